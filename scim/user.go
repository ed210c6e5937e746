package scim

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"portcullis/directory"
	"portcullis/fault"
)

// maxKey bounds, in bytes, what a resource is looked up by.
const maxKey = 1024

func errUser(id string) error { return fault.New(fault.NotFound, "no user %q", clip(id)) }

func (c *call) createUser(string) error {
	show, doc, err := c.userBody()
	if err != nil {
		return err
	}
	record, err := c.site.user.record(doc, true)
	if err != nil {
		return err
	}
	if c.frozen {
		return errFrozen()
	}
	p, err := c.directory.Provision(c.ctx(), c.by, c.site.connection, record)
	if err != nil {
		return err
	}
	return c.answerUser(http.StatusCreated, directory.Shown{Person: p}, show)
}

func (c *call) getUser(id string) error {
	show, err := c.site.user.project(c.query)
	if err != nil {
		return err
	}
	p, err := c.person(id)
	if err != nil {
		return err
	}
	if c.notModified(p.Version) {
		return nil
	}
	return c.answerUser(http.StatusOK, p, show)
}

// putUser replaces a person. What keeps somebody in or out, and what ties them
// to their sign-in, changes only if the client says so: a PUT without active
// leaves it as it is, and one without externalId does not cut the tie.
func (c *call) putUser(id string) error {
	show, doc, err := c.userBody()
	if err != nil {
		return err
	}
	raw, named := member(doc, "externalId")
	cut := named && raw == nil
	p, err := c.directory.Revise(c.ctx(), c.by, c.site.connection, id,
		func(p directory.Person, old directory.Record) (directory.Record, error) {
			if !p.Provisioned {
				return old, errUser(id)
			}
			if err := c.ifMatch(p.Version); err != nil {
				return old, err
			}
			r, err := c.site.user.record(doc, old.Active)
			if err != nil {
				return old, err
			}
			_, r.Insists = member(doc, "active")
			if r.ExternalID == "" && old.ExternalID != "" && !cut {
				r.ExternalID = old.ExternalID
				r.Attributes["externalId"] = old.ExternalID
			}
			return r, c.losing(r)
		})
	if err != nil {
		return err
	}
	return c.answerUser(http.StatusOK, p, show)
}

func (c *call) patchUser(id string) error {
	show, err := c.site.user.project(c.query)
	if err != nil {
		return err
	}
	body, err := c.body()
	if err != nil {
		return err
	}
	change, err := c.site.user.parsePatch(body)
	if err != nil {
		return err
	}
	verb := c.directory.Revise
	if change.dismisses() && len(c.r.Header.Values("If-Match")) == 0 {
		verb = c.directory.Dismiss
	}
	p, err := verb(c.ctx(), c.by, c.site.connection, id,
		func(p directory.Person, old directory.Record) (directory.Record, error) {
			if !p.Provisioned {
				return old, errUser(id)
			}
			if err := c.ifMatch(p.Version); err != nil {
				return old, err
			}
			r, err := c.site.user.patched(old, change)
			r.Insists = change.names("active")
			if err != nil {
				return r, err
			}
			return r, c.losing(r)
		})
	if err != nil {
		return err
	}
	c.logIgnored(change)
	return c.answerUser(http.StatusOK, p, show)
}

// patched applies a PATCH to what is stored: all of it in memory, so that a
// failing operation leaves nothing behind (RFC 7644, section 3.5.2).
func (t *resourceType) patched(old directory.Record, change patch) (directory.Record, error) {
	if change.onlyActive() { // the rest is normalised and valid, as it was stored
		doc := map[string]any{"active": old.Active}
		if err := change.apply(doc); err != nil {
			return old, err
		}
		if active, ok := doc["active"].(bool); ok {
			old.Active = active
			return old, nil
		}
	}
	doc, ok := clone(old.Attributes).(map[string]any)
	if !ok || doc == nil {
		doc = map[string]any{}
	}
	doc["active"] = old.Active
	if err := change.apply(doc); err != nil {
		return old, err
	}
	return t.record(doc, old.Active)
}

func (c *call) deleteUser(id string) error {
	err := c.directory.DeleteIf(c.ctx(), c.by, c.site.connection, id, func(p directory.Person) error { return c.ifMatch(p.Version) })
	if err != nil {
		return err
	}
	c.write(c.ctx(), c.w, http.StatusNoContent, nil)
	return nil
}

// person reads somebody who was pushed; whoever only signed in is not there.
func (c *call) person(id string) (directory.Shown, error) {
	p, err := c.directory.Person(c.ctx(), c.site.connection, id)
	if err != nil {
		return p, err
	}
	if !p.Provisioned {
		return p, errUser(id)
	}
	return p, c.confirm(p.Person)
}

// confirm takes note that the identity provider still knows somebody: it names
// them, in a write or in a look-up. To be listed with everybody says nothing.
func (c *call) confirm(p directory.Person) error {
	if !p.Unconfirmed {
		return nil
	}
	return c.directory.Confirm(c.ctx(), p.ID)
}

// people lists people, and takes note of the one who was looked up.
func (c *call) people(q directory.Query) (directory.Page[directory.Person], error) {
	page, err := c.directory.People(c.ctx(), q)
	if err == nil && q.Filter != nil && q.Filter.Op == directory.Eq && len(page.Items) == 1 {
		err = c.confirm(page.Items[0])
	}
	return page, err
}

// userBody reads the projection and the body of POST and PUT.
func (c *call) userBody() (projection, map[string]any, error) {
	show, err := c.site.user.project(c.query)
	if err != nil {
		return show, nil, err
	}
	doc, err := c.body()
	if err != nil {
		return show, nil, err
	}
	return show, doc, c.site.user.checkSchemas(doc)
}

func (c *call) answerUser(status int, p directory.Shown, show projection) error {
	if show.whole() {
		values, h := [2]string{c.site.location(c.site.user, p.ID), etag(p.Version)}, c.w.Header()
		h["Location"], h["Etag"] = values[0:1:1], values[1:2:2]
		raw := c.site.appendUser(make([]byte, 0, len(p.Attributes)+roomBeside), &p.Person, p.Groups)
		c.write(c.ctx(), c.w, status, json.RawMessage(raw))
		return nil
	}
	doc, err := c.site.userDoc(p.Person)
	if err != nil {
		return err
	}
	setList(doc, "groups", c.site.groupsValue(p.Groups))
	return c.answer(status, doc, show)
}

func (c *call) logIgnored(p patch) {
	if len(p.ignored) > 0 {
		c.log.InfoContext(c.ctx(), "scim attributes ignored: no schema of the connection has them",
			slog.String("connection", c.site.connection), slog.Any("attributes", p.ignored[:min(len(p.ignored), 10)]))
	}
}

// record makes what the directory keeps out of a document: normalised, judged
// by the schemas, and with what people are looked up by taken out of it.
func (t *resourceType) record(doc map[string]any, active bool) (directory.Record, error) {
	var r directory.Record
	doc, err := t.normalise(doc)
	if err != nil {
		return r, err
	}
	if text, _ := doc["userName"].(string); strings.TrimSpace(text) == "" {
		return r, invalid(typeValue, "userName is required")
	}
	if err := t.validate(doc); err != nil {
		return r, err
	}
	if b, ok := doc["active"].(bool); ok {
		active = b
	}
	delete(doc, "active")
	delete(doc, "password")
	r = directory.Record{Active: active, Attributes: doc, Name: displayName(doc), Email: mainEmail(doc)}
	r.UserName, _ = doc["userName"].(string)
	if r.ExternalID, _ = doc["externalId"].(string); r.ExternalID == "" {
		delete(doc, "externalId") // an empty one ties to nobody
	}
	for _, key := range [...]struct{ name, value string }{
		{"userName", r.UserName}, {"externalId", r.ExternalID}, {"displayName", r.Name}, {"emails", r.Email},
	} {
		if len(key.value) > maxKey {
			return r, invalid(typeValue, "%s is longer than %d bytes", key.name, maxKey)
		}
	}
	return r, nil
}

// displayName is what a person is called: as the client says, or made of what
// else it says.
func displayName(doc map[string]any) string {
	if s, _ := doc["displayName"].(string); s != "" {
		return s
	}
	if name, ok := doc["name"].(map[string]any); ok {
		if s, _ := name["formatted"].(string); s != "" {
			return s
		}
		given, _ := name["givenName"].(string)
		family, _ := name["familyName"].(string)
		if s := strings.TrimSpace(given + " " + family); s != "" {
			return s
		}
	}
	s, _ := doc["userName"].(string)
	return s
}

// mainEmail is the primary address, else that of type work, else the first.
func mainEmail(doc map[string]any) string {
	var work, first string
	for _, e := range listOf(doc["emails"]) {
		m, ok := e.(map[string]any)
		if !ok {
			continue
		}
		value, _ := m["value"].(string)
		kind, _ := m["type"].(string)
		switch {
		case value == "":
		case isPrimary(m):
			return value
		case work == "" && strings.EqualFold(kind, "work"):
			work = value
		case first == "":
			first = value
		}
	}
	if work != "" {
		return work
	}
	return first
}
