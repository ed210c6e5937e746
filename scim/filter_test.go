package scim_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portcullis/store"
	"portcullis/store/storetest"
)

// The oracle judges the documents that the endpoint shows, one by one, by the
// words of RFC 7644, section 3.4.2.2. It shares nothing with the endpoint.

// subject is an attribute that a filter may name.
type subject struct {
	paths []string // the ways to write it
	kind  string   // text, exact, boolean, number, time, complex
	of    func(doc map[string]any) []any
}

func dig(doc any, path ...string) []any {
	if len(path) == 0 {
		if list, ok := doc.([]any); ok || doc == nil {
			return list
		}
		return []any{doc}
	}
	switch v := doc.(type) {
	case map[string]any:
		return dig(v[path[0]], path[1:]...)
	case []any:
		var out []any
		for _, e := range v {
			out = append(out, dig(e, path...)...)
		}
		return out
	default:
		return nil
	}
}

func at(kind string, paths []string, path ...string) subject {
	return subject{paths: paths, kind: kind, of: func(doc map[string]any) []any { return dig(doc, path...) }}
}

var userSubjects = []subject{
	at("exact", []string{"id", "ID", userURN + ":id"}, "id"),
	at("text", []string{"userName", "USERNAME", userURN + ":userName"}, "userName"),
	at("exact", []string{"externalId", "externalid"}, "externalId"),
	at("text", []string{"displayName"}, "displayName"),
	at("text", []string{"title"}, "title"),
	at("text", []string{"name.familyName", "NAME.familyname"}, "name", "familyName"),
	at("complex", []string{"name"}, "name"),
	at("text", []string{"emails", "emails.value", "Emails.Value"}, "emails", "value"),
	at("text", []string{"emails.type"}, "emails", "type"),
	at("boolean", []string{"emails.primary"}, "emails", "primary"),
	at("complex", []string{"addresses"}, "addresses"),
	at("text", []string{"addresses.locality"}, "addresses", "locality"),
	at("boolean", []string{"active", "ACTIVE"}, "active"),
	at("text", []string{"department", enterpriseURN + ":department"}, enterpriseURN, "department"),
	at("text", []string{"manager", enterpriseURN + ":manager.value"}, enterpriseURN, "manager", "value"),
	at("text", []string{portalURN + ":tag", "tag"}, portalURN, "tag"),
	at("boolean", []string{portalURN + ":vip"}, portalURN, "vip"),
	at("number", []string{portalURN + ":rank"}, portalURN, "rank"),
	at("time", []string{portalURN + ":since"}, portalURN, "since"),
	at("time", []string{"meta.created"}, "meta", "created"),
	at("time", []string{"meta.lastModified", "META.lastmodified"}, "meta", "lastModified"),
	at("exact", []string{"meta.version"}, "meta", "version"),
	at("exact", []string{"meta.location"}, "meta", "location"),
	at("exact", []string{"groups", "groups.value"}, "groups", "value"),
	at("text", []string{"groups.display"}, "groups", "display"),
	at("text", []string{"schemas"}, "schemas"),
}

var groupSubjects = []subject{
	at("exact", []string{"id"}, "id"),
	at("text", []string{"displayName", groupURN + ":displayName"}, "displayName"),
	at("exact", []string{"externalId"}, "externalId"),
	at("exact", []string{"members", "members.value"}, "members", "value"),
	at("text", []string{"members.display"}, "members", "display"),
	at("text", []string{"members.type"}, "members", "type"),
	at("time", []string{"meta.created"}, "meta", "created"),
	at("exact", []string{"members.$ref"}, "members", "$ref"),
}

// lists are the attributes that may have a filter in brackets.
var lists = map[string]struct {
	path []string
	subs []subject
}{
	"emails": {[]string{"emails"}, []subject{
		at("text", []string{"value"}, "value"), at("text", []string{"type", "TYPE"}, "type"), at("boolean", []string{"primary"}, "primary"),
	}},
	"addresses": {[]string{"addresses"}, []subject{at("text", []string{"locality"}, "locality"), at("text", []string{"type"}, "type")}},
	"x509Certificates": {[]string{"x509Certificates"}, []subject{
		at("exact", []string{"value"}, "value"), at("text", []string{"display"}, "display"),
	}},
}

// judged is a filter with what the oracle says of it.
type judged struct {
	text  string
	holds func(doc map[string]any) bool
}

var pool = []string{
	"ada", "Ada", "ADA@x.example", "ada@x.example", "ben", "b", "A", "", "ü", "Ü", "straße", "O'Br\"ien", `\`, "%", "_", "a%", "50%", "ﬀ", "日本", "\U0010ffff", "work", "home", "true", "5", "[", "null",
}

func drawText(t *rapid.T) string { return rapid.SampledFrom(pool).Draw(t, "text") }

func drawAtom(t *rapid.T, from []subject, known []string) judged {
	s := rapid.SampledFrom(from).Draw(t, "attribute")
	path := rapid.SampledFrom(s.paths).Draw(t, "path")
	ops := map[string][]string{
		"text": {"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"}, "boolean": {"eq", "ne"},
		"number": {"eq", "ne", "gt", "ge", "lt", "le"}, "time": {"eq", "ne", "gt", "ge", "lt", "le"}, "complex": {},
	}
	ops["exact"] = ops["text"]
	op := rapid.SampledFrom(append([]string{"pr", "eq null", "ne null"}, ops[s.kind]...)).Draw(t, "op")
	present := func(doc map[string]any) bool {
		return slices.ContainsFunc(s.of(doc), func(v any) bool { return v != "" })
	}
	switch op {
	case "pr", "ne null":
		return judged{path + " " + op, present}
	case "eq null":
		return judged{path + " " + op, func(doc map[string]any) bool { return !present(doc) }}
	}
	text, compare := drawValue(t, s.kind, known)
	shown := op
	if rapid.Bool().Draw(t, "upper") {
		shown = strings.ToUpper(op)
	}
	some := func(doc map[string]any, op string) bool {
		return slices.ContainsFunc(s.of(doc), func(v any) bool { return compare(v, op) })
	}
	return judged{path + " " + shown + " " + text, func(doc map[string]any) bool {
		if op == "ne" {
			return !some(doc, "eq")
		}
		return some(doc, op)
	}}
}

// drawValue draws a value of a kind, and how it compares with another.
func drawValue(t *rapid.T, kind string, known []string) (string, func(any, string) bool) {
	switch kind {
	case "boolean":
		want := rapid.Bool().Draw(t, "bool")
		return strconv.FormatBool(want), func(v any, _ string) bool { return v == want }
	case "number":
		want := rapid.SampledFrom([]float64{0, 1, 5, -3, 2.5}).Draw(t, "number")
		return strconv.FormatFloat(want, 'f', -1, 64), func(v any, op string) bool {
			n, ok := v.(float64)
			return ok && ordered(n, want, op)
		}
	case "time":
		text := rapid.SampledFrom([]string{"2026-03-01T09:00:00Z", "2026-03-01T10:00:00+01:00", "2026-03-01T09:00:01Z", "2026-03-01T09:00:00.5Z", "2026-03-01T09:00:00.0000005Z", "2001-01-01T00:00:00Z"}).Draw(t, "time")
		want, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return strconv.Quote(text), func(v any, op string) bool {
			s, _ := v.(string)
			got, err := time.Parse(time.RFC3339, s)
			return err == nil && ordered(got.Compare(want), 0, op)
		}
	}
	want := drawText(t)
	if len(known) > 0 && rapid.IntRange(0, 3).Draw(t, "known") == 0 {
		want = rapid.SampledFrom(known).Draw(t, "of those there")
	}
	quoted, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted), func(v any, op string) bool {
		got, ok := v.(string)
		want := want
		if kind == "text" {
			got, want = strings.ToLower(got), strings.ToLower(want)
		}
		switch op {
		case "co":
			return ok && strings.Contains(got, want)
		case "sw":
			return ok && strings.HasPrefix(got, want)
		case "ew":
			return ok && strings.HasSuffix(got, want)
		}
		return ok && ordered(strings.Compare(got, want), 0, op)
	}
}

func ordered[N int | float64](a, b N, op string) bool {
	return map[string]bool{"eq": a == b, "gt": a > b, "ge": a >= b, "lt": a < b, "le": a <= b}[op]
}

func drawFilter(t *rapid.T, from []subject, known []string, paths bool, depth int) judged {
	kinds := []string{"atom", "atom", "and", "or", "not", "path"}
	if !paths {
		kinds = kinds[:5]
	}
	if depth == 0 {
		kinds = kinds[:1]
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case "and", "or":
		l, r := drawFilter(t, from, known, paths, depth-1), drawFilter(t, from, known, paths, depth-1)
		if rapid.Bool().Draw(t, "and") {
			return judged{"(" + l.text + ") and (" + r.text + ")", func(d map[string]any) bool { return l.holds(d) && r.holds(d) }}
		}
		return judged{"(" + l.text + ") or (" + r.text + ")", func(d map[string]any) bool { return l.holds(d) || r.holds(d) }}
	case "not":
		inner := drawFilter(t, from, known, paths, depth-1)
		return judged{"not (" + inner.text + ")", func(d map[string]any) bool { return !inner.holds(d) }}
	case "path":
		name := rapid.SampledFrom([]string{"emails", "addresses", "x509Certificates"}).Draw(t, "list")
		of := lists[name]
		inner := drawFilter(t, of.subs, known, false, depth-1)
		return judged{name + "[" + inner.text + "]", func(d map[string]any) bool {
			list, _ := d[of.path[0]].([]any)
			return slices.ContainsFunc(list, func(e any) bool { m, ok := e.(map[string]any); return ok && inner.holds(m) })
		}}
	default:
		return drawAtom(t, from, known)
	}
}

// drawUser draws a resource as a client writes it.
func drawUser(t *rapid.T) map[string]any {
	doc := map[string]any{}
	maybe := func(name string, put func()) {
		if rapid.Bool().Draw(t, name) {
			put()
		}
	}
	for _, name := range []string{"externalId", "displayName", "title"} {
		maybe(name, func() { doc[name] = drawText(t) })
	}
	doc["active"] = rapid.Bool().Draw(t, "active")
	maybe("name", func() { doc["name"] = map[string]any{"familyName": drawText(t), "givenName": drawText(t)} })
	several := func(name string, sub ...string) {
		maybe(name, func() {
			var list []any
			for range rapid.IntRange(1, 3).Draw(t, "n") {
				e := map[string]any{}
				for _, s := range sub {
					maybe(s, func() { e[s] = drawText(t) })
				}
				list = append(list, e)
			}
			if rapid.Bool().Draw(t, "primary") {
				list[0].(map[string]any)["primary"] = true
			}
			doc[name] = list
		})
	}
	several("emails", "value", "type")
	several("addresses", "locality", "type")
	several("x509Certificates", "value", "display")
	delete(doc, "x509Certificates") // base64 alone; see below
	maybe("certificate", func() {
		doc["x509Certificates"] = []any{map[string]any{"value": rapid.SampledFrom([]string{"YWRh", "ywrh", "YQ=="}).Draw(t, "certificate"), "display": drawText(t)}}
	})
	maybe("enterprise", func() {
		doc[enterpriseURN] = map[string]any{"department": drawText(t), "manager": map[string]any{"value": drawText(t)}}
	})
	maybe("portal", func() {
		p := map[string]any{"tag": drawText(t)}
		maybe("vip", func() { p["vip"] = rapid.Bool().Draw(t, "is vip") })
		maybe("rank", func() { p["rank"] = rapid.SampledFrom([]int{0, 1, 5, -3}).Draw(t, "its rank") })
		maybe("since", func() {
			p["since"] = rapid.SampledFrom([]string{"2026-03-01T09:00:00Z", "2026-03-01T10:00:00.500+01:00", "2026-03-01T09:00:01Z"}).Draw(t, "when")
		})
		doc[portalURN] = p
	})
	return doc
}

// TestFiltersAgreeWithTheOracle holds the SQL of both databases against the
// oracle, on random resources and random filters (RFC 7644, section 3.4.2.2).
func TestFiltersAgreeWithTheOracle(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		t.Helper()
		r := newRigOn(t, open())
		gen := rapid.Custom(drawUser)
		var ids []string
		for i := range 40 {
			doc := gen.Example(i)
			doc["userName"] = fmt.Sprintf("%s-%d", pool[i%len(pool)], i)
			ids = append(ids, r.want(r.send("POST", "/Users", doc), 201).text("id"))
			if i%8 == 7 {
				r.clock.turn(500 * time.Millisecond)
			}
		}
		for i := range 6 {
			r.group(fmt.Sprintf("%s %d", pool[i+7], i), ids[i*3:i*5+1]...)
		}
		for _, tc := range []struct {
			path     string
			subjects []subject
			valued   bool
		}{{"/Users", userSubjects, true}, {"/Groups", groupSubjects, false}} {
			every := "schemas,externalId,displayName,title,name,emails,addresses,x509Certificates,active,userName,meta,groups,members,members.display," + enterpriseURN + "," + portalURN
			all := r.want(r.send("GET", tc.path+"?count=1000&attributes="+every, nil), 200).list("Resources")
			known := []string{}
			for _, doc := range all[:5] {
				known = append(known, doc["id"].(string), dig(doc, "meta", "location")[0].(string), `W/"1"`)
				for _, v := range slices.Concat(dig(doc, "groups", "value"), dig(doc, "members", "$ref"), dig(doc, "userName")) {
					known = append(known, v.(string))
				}
			}
			rapid.Check(t, func(rt *rapid.T) {
				r := r.in(t)
				r.clock.turn(time.Second) // so that the rate limit does not bite
				f := drawFilter(rt, tc.subjects, known, tc.valued, 3)
				a := r.send("GET", tc.path+find(f.text)+"&count=1000&attributes=id", nil)
				if a.status != 200 {
					rt.Fatalf("filter %s answers %d %s", f.text, a.status, a.raw)
				}
				var want, got []string
				for _, doc := range all {
					if f.holds(doc) {
						want = append(want, doc["id"].(string))
					}
				}
				for _, doc := range a.list("Resources") {
					got = append(got, doc["id"].(string))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					rt.Errorf("filter %s finds (-want +got):\n%s", f.text, diff)
				}
			})
		}
	})
}
