package scim

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	filter "github.com/scim2/filter-parser/v2"

	"portcullis/directory"
)

// wanted is an attribute that a client names in attributes or
// excludedAttributes.
type wanted struct {
	urn  string // of an extension; empty: the core
	attr string // empty: the whole extension
	sub  string // empty: the whole attribute
}

// projection is what of a resource a client wants to see (RFC 7644, section
// 3.9).
type projection struct {
	t    *resourceType
	some bool // attributes was given: only these
	only []wanted
	less []wanted
}

// alwaysReturned are never left out (RFC 7643, section 3.1).
func alwaysReturned(attr string) bool { return attr == "id" || attr == "schemas" }

// project reads the query. Names that no schema has ask for nothing.
func (t *resourceType) project(q url.Values) (projection, error) {
	p := projection{t: t}
	for _, list := range [2]struct {
		name string
		to   *[]wanted
	}{{"attributes", &p.only}, {"excludedAttributes", &p.less}} {
		for _, text := range q[list.name] {
			if len(text) > maxFilter {
				return p, invalid(typeValue, "%s is longer than %d bytes", list.name, maxFilter)
			}
			for name := range strings.SplitSeq(text, ",") {
				if name = strings.TrimSpace(name); name == "" {
					continue
				}
				if list.to == &p.only {
					p.some = true
				}
				if w, ok := t.wanted(name); ok {
					*list.to = append(*list.to, w)
				}
			}
		}
	}
	return p, nil
}

func (t *resourceType) wanted(name string) (wanted, bool) {
	urn, rest := t.splitURN(name)
	if urn != "" && rest == "" {
		return wanted{urn: urn}, urn != t.core.ID
	}
	path, err := filter.ParseAttrPath([]byte(rest))
	if err != nil || path.URIPrefix != nil {
		return wanted{}, false
	}
	f, ok := t.field(urn, path.AttributeName)
	if !ok {
		return wanted{}, false
	}
	w := wanted{urn: f.urn, attr: f.attr.Name()}
	if path.SubAttribute != nil {
		sub, ok := f.attr.SubAttributes().ContainsAttribute(*path.SubAttribute)
		if !ok {
			return wanted{}, false
		}
		w.sub = sub.Name()
	}
	return w, true
}

// wants reports whether any of a core attribute is to be shown, so that what
// is not wanted need not be read.
func (p projection) wants(attr string) bool {
	if slices.Contains(p.less, wanted{attr: attr}) {
		return false
	}
	return !p.some || p.asksFor(attr)
}

// asksFor reports whether a core attribute is named in attributes.
func (p projection) asksFor(attr string) bool {
	return slices.ContainsFunc(p.only, func(w wanted) bool { return w.urn == "" && w.attr == attr })
}

// apply gives what is to be shown of a document, with the schemas that are
// present in it.
func (p projection) apply(doc map[string]any) map[string]any {
	out := doc
	if p.some {
		out = map[string]any{}
		for name, v := range doc {
			if alwaysReturned(name) {
				out[name] = v
			}
		}
		for _, w := range p.only {
			w.pick(doc, out)
		}
	}
	for _, w := range p.less {
		w.drop(out)
	}
	delete(out, "password")
	schemas := []string{p.t.core.ID}
	for _, x := range p.t.extensions {
		if part, ok := out[x.ID].(map[string]any); ok && len(part) > 0 {
			schemas = append(schemas, x.ID)
		} else {
			delete(out, x.ID)
		}
	}
	out["schemas"] = schemas
	return out
}

func (w wanted) pick(from, to map[string]any) {
	if w.urn != "" {
		part, ok := from[w.urn].(map[string]any)
		if !ok {
			return
		}
		if w.attr == "" {
			to[w.urn] = part
			return
		}
		place, ok := to[w.urn].(map[string]any)
		if !ok {
			place = map[string]any{}
			to[w.urn] = place
		}
		from, to = part, place
	}
	v, ok := from[w.attr]
	if !ok {
		return
	}
	if w.sub == "" {
		to[w.attr] = v
		return
	}
	switch v := v.(type) {
	case map[string]any:
		if s, ok := v[w.sub]; ok {
			place, ok := to[w.attr].(map[string]any)
			if !ok {
				place = map[string]any{}
				to[w.attr] = place
			}
			place[w.sub] = s
		}
	case []any:
		w.pickEach(v, to)
	}
}

// pickEach shows one sub-attribute of each value, beside those that are shown
// already.
func (w wanted) pickEach(values []any, to map[string]any) {
	shown, ok := to[w.attr].([]any)
	if !ok || len(shown) != len(values) {
		shown = make([]any, len(values))
		for i := range shown {
			shown[i] = map[string]any{}
		}
		to[w.attr] = shown
	}
	for i, v := range values {
		from, ok := v.(map[string]any)
		place, isMap := shown[i].(map[string]any)
		if ok && isMap && from[w.sub] != nil {
			place[w.sub] = from[w.sub]
		}
	}
}

func (w wanted) drop(doc map[string]any) {
	if w.urn != "" {
		part, ok := doc[w.urn].(map[string]any)
		if !ok {
			return
		}
		if w.attr == "" {
			delete(doc, w.urn)
			return
		}
		doc = part
	} else if alwaysReturned(w.attr) {
		return
	}
	if w.sub == "" {
		delete(doc, w.attr)
		return
	}
	for _, v := range listOf(doc[w.attr]) {
		if m, ok := v.(map[string]any); ok {
			delete(m, w.sub)
		}
	}
}

// etag is the version of a resource as RFC 7644, section 3.14 writes it.
func etag(version int64) string { return `W/"` + strconv.FormatInt(version, 10) + `"` }

func (s *site) meta(t *resourceType, id string, version int64, created, modified time.Time) map[string]any {
	return map[string]any{
		"resourceType": t.name,
		"created":      created.UTC().Format(time.RFC3339Nano),
		"lastModified": modified.UTC().Format(time.RFC3339Nano),
		"location":     s.location(t, id),
		"version":      etag(version),
	}
}

func (s *site) location(t *resourceType, id string) string {
	return s.base + "/" + t.endpoint + "/" + url.PathEscape(id)
}

// userDoc is the whole document of a person, without groups.
func (s *site) userDoc(p directory.Person) (map[string]any, error) {
	doc := map[string]any{}
	if len(p.Attributes) > 0 {
		d, err := decodeStored(p.Attributes)
		if err != nil {
			return nil, err
		}
		doc = d
	}
	doc["id"] = p.ID
	doc["active"] = p.IDPActive
	doc["meta"] = s.meta(s.user, p.ID, p.Version, p.Created, p.Modified)
	return doc, nil
}

// whole reports whether a resource is shown as it is.
func (p projection) whole() bool { return !p.some && len(p.less) == 0 }

// decodeStored reads what the directory keeps of a resource.
func decodeStored(raw []byte) (map[string]any, error) {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		return nil, err
	}
	if doc == nil {
		doc = map[string]any{}
	}
	return doc, nil
}

// groupsValue is the read-only groups attribute of a user.
func (s *site) groupsValue(groups []directory.Group) []any {
	out := make([]any, len(groups))
	for i, g := range groups {
		kind := "direct"
		if g.Indirect {
			kind = "indirect"
		}
		out[i] = map[string]any{"value": g.ID, "$ref": s.location(s.group, g.ID), "display": g.Name, "type": kind}
	}
	return out
}

// groupDoc is the document of a group, without members.
func (s *site) groupDoc(g directory.Group) map[string]any {
	doc := map[string]any{
		"id": g.ID, "displayName": g.Name, "meta": s.meta(s.group, g.ID, g.Version, g.Created, g.Modified),
	}
	if g.ExternalID != "" {
		doc["externalId"] = g.ExternalID
	}
	return doc
}

// membersValue leaves out how members are called, which changes without the
// group, unless it is asked for: members.display is returned on request.
func (s *site) membersValue(members []directory.Member, show projection) []any {
	named := slices.Contains(show.only, wanted{attr: "members", sub: "display"})
	out := make([]any, len(members))
	for i, m := range members {
		t := s.user
		if m.Group {
			t = s.group
		}
		e := map[string]any{"value": m.ID, "$ref": s.location(t, m.ID), "type": t.name}
		if named && m.Name != "" {
			e["display"] = m.Name
		}
		out[i] = e
	}
	return out
}
