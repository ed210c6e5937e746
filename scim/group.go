package scim

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"portcullis/directory"
	"portcullis/fault"
)

// groupBody is what POST and PUT of a group say.
type groupBody struct {
	name       string
	externalID *string
	members    *[]string // nil: not named
}

func (c *call) createGroup(string) error {
	show, body, err := c.groupBody()
	if err != nil {
		return err
	}
	externalID, members := "", []string(nil)
	if body.externalID != nil {
		externalID = *body.externalID
	}
	if body.members != nil {
		members = *body.members
	}
	if c.frozen {
		return errFrozen()
	}
	g, err := c.directory.ProvisionGroup(c.ctx(), c.by, c.site.connection, body.name, externalID, members)
	if err != nil {
		return err
	}
	// A group that is pushed before its members may find some of them parked.
	return c.answerGroup(http.StatusCreated, g, show)
}

func (c *call) getGroup(id string) error {
	show, err := c.site.group.project(c.query)
	if err != nil {
		return err
	}
	g, err := c.directory.Group(c.ctx(), c.site.connection, id)
	if err != nil {
		return err
	}
	if c.notModified(g.Version) {
		return nil
	}
	return c.answerGroup(http.StatusOK, g, show)
}

// putGroup replaces a group. One that does not name members keeps them: a
// group is emptied by saying so.
func (c *call) putGroup(id string) error {
	show, body, err := c.groupBody()
	if err != nil {
		return err
	}
	g, err := c.directory.ReviseGroup(c.ctx(), c.by, c.site.connection, id,
		func(g directory.Group) (directory.GroupEdit, error) {
			if err := c.ifMatch(g.Version); err != nil {
				return directory.GroupEdit{}, err
			}
			return directory.GroupEdit{Name: &body.name, ExternalID: body.externalID, Replace: body.members, LossesOnly: c.frozen}, nil
		})
	if err != nil {
		return err
	}
	return c.answerGroup(http.StatusOK, g, show)
}

// patchGroup answers 204 unless attributes are asked for (RFC 7644, section
// 3.5.2): a group may have more members than anybody wants back.
func (c *call) patchGroup(id string) error {
	show, err := c.site.group.project(c.query)
	if err != nil {
		return err
	}
	body, err := c.body()
	if err != nil {
		return err
	}
	change, err := c.site.group.parsePatch(body)
	if err != nil {
		return err
	}
	edit, err := change.groupEdit()
	if err != nil {
		return err
	}
	edit.LossesOnly = c.frozen
	g, err := c.directory.ReviseGroup(c.ctx(), c.by, c.site.connection, id,
		func(g directory.Group) (directory.GroupEdit, error) { return edit, c.ifMatch(g.Version) })
	if err != nil {
		return err
	}
	c.logIgnored(change)
	if show.some {
		return c.answerGroup(http.StatusOK, g, show)
	}
	c.w.Header().Set("ETag", etag(g.Version))
	c.write(c.ctx(), c.w, http.StatusNoContent, nil)
	return nil
}

func (c *call) deleteGroup(id string) error {
	err := c.directory.DeleteGroupIf(c.ctx(), c.by, c.site.connection, id, func(g directory.Group) error { return c.ifMatch(g.Version) })
	if err != nil {
		return err
	}
	c.write(c.ctx(), c.w, http.StatusNoContent, nil)
	return nil
}

func (c *call) answerGroup(status int, g directory.Group, show projection) error {
	doc := c.site.groupDoc(g)
	if show.wants("members") {
		of, err := c.directory.Members(c.ctx(), g.ID)
		if err != nil {
			return err
		}
		setList(doc, "members", c.site.membersValue(of[g.ID], show))
	}
	return c.answer(status, doc, show)
}

func (c *call) groupBody() (projection, groupBody, error) {
	var body groupBody
	t := c.site.group
	show, err := t.project(c.query)
	if err != nil {
		return show, body, err
	}
	doc, err := c.body()
	if err != nil {
		return show, body, err
	}
	if err := t.checkSchemas(doc); err != nil {
		return show, body, err
	}
	if raw, _ := member(doc, "members"); raw != nil {
		ids, err := memberIDs(raw)
		if err != nil {
			return show, body, err
		}
		body.members = &ids
	}
	if raw, named := member(doc, "externalId"); named && raw == nil {
		body.externalID = new(string)
	}
	// The members have been read: they are rows, and may be many.
	doc = maps.Clone(doc)
	maps.DeleteFunc(doc, func(k string, _ any) bool { return strings.EqualFold(k, "members") })
	if doc, err = t.normalise(doc); err != nil {
		return show, body, err
	}
	name, _ := doc["displayName"].(string)
	if body.name, err = groupName(name); err != nil {
		return show, body, err
	}
	if err := t.validate(doc); err != nil {
		return show, body, err
	}
	if external, ok := doc["externalId"].(string); ok {
		if len(external) > maxKey {
			return show, body, invalid(typeValue, "externalId is longer than %d bytes", maxKey)
		}
		body.externalID = &external
	}
	return show, body, nil
}

func groupName(name string) (string, error) {
	switch {
	case strings.TrimSpace(name) == "":
		return "", invalid(typeValue, "displayName is required")
	case len(name) > maxKey:
		return "", invalid(typeValue, "displayName is longer than %d bytes", maxKey)
	}
	return name, nil
}

// memberIDs reads members in the shapes that clients write: a list of objects,
// one object, ids as they are.
func memberIDs(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	ids := make([]string, 0, len(list))
	seen := make(map[string]bool, len(list))
	for _, e := range list {
		id, ok := e.(string)
		if m, isMap := e.(map[string]any); isMap {
			raw, _ := member(m, "value")
			id, ok = raw.(string)
		}
		if !ok || !plausibleID(id) {
			return nil, invalid(typeValue, "a member is an object with the id of a user or a group as its value")
		}
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// membership gathers operations on members into one edit, in their order.
type membership struct {
	replaced bool
	set      map[string]bool // replaced: who remains; else: true added, false removed
	order    []string        // of first mention
}

func (m *membership) mark(ids []string, in bool) {
	for _, id := range ids {
		if _, known := m.set[id]; !known {
			m.order = append(m.order, id)
		}
		m.set[id] = in
	}
}

func (m *membership) replace(ids []string) {
	m.replaced, m.set, m.order = true, make(map[string]bool, len(ids)), nil
	m.mark(ids, true)
}

func (m *membership) pick(in bool) []string {
	var out []string
	for _, id := range m.order {
		if m.set[id] == in {
			out = append(out, id)
		}
	}
	return out
}

// groupEdit turns a PATCH into the one edit that does the same. It reads
// nobody: adding one member costs the same in a group of any size.
func (p patch) groupEdit() (directory.GroupEdit, error) {
	var edit directory.GroupEdit
	m := membership{set: make(map[string]bool)}
	for _, o := range p.ops {
		var err error
		switch o.target.field.attr.Name() {
		case "members":
			err = o.editMembers(&m)
		case "displayName":
			var name string
			if name, err = o.text(); err == nil {
				if name, err = groupName(name); err == nil {
					edit.Name = &name
				}
			}
			if o.verb == opRemove {
				err = invalid(typeMutability, "displayName is required")
			}
		case "externalId":
			var external string
			if external, err = o.text(); err == nil {
				if len(external) > maxKey {
					err = invalid(typeValue, "externalId is longer than %d bytes", maxKey)
				}
				edit.ExternalID = &external
			}
		}
		if err != nil {
			return directory.GroupEdit{}, err
		}
	}
	if m.replaced {
		whole := m.pick(true)
		if whole == nil {
			whole = []string{}
		}
		edit.Replace = &whole
	} else {
		edit.Add, edit.Remove = m.pick(true), m.pick(false)
	}
	return edit, nil
}

// text is the value of an operation on a simple attribute; empty if it takes
// the attribute away.
func (o op) text() (string, error) {
	if o.verb == opRemove || o.value == nil {
		return "", nil
	}
	v, err := coerce(o.target.field.attr, o.value)
	if err != nil {
		return "", err
	}
	s, _ := v.(string)
	return s, nil
}

func (o op) editMembers(m *membership) error {
	if o.target.match != nil || o.target.sub != nil {
		return o.editMatching(m)
	}
	switch {
	case o.verb == opRemove && (!o.hasValue || o.value == nil):
		m.replace(nil) // RFC 7644, section 3.5.2.2: all of them
		return nil
	case o.value == nil:
		// Null would empty the group, which no client means by a replace.
		return invalid(typeValue, "members has no value: name the members, or [] for none")
	}
	ids, err := memberIDs(o.value)
	if err != nil {
		return err
	}
	if o.verb == opReplace {
		m.replace(ids)
	} else {
		m.mark(ids, o.verb == opAdd)
	}
	return nil
}

// editMatching takes members[value eq "id"], the shape that Entra ID removes
// with under aadOptscim062020. Other filters are refused, loudly: a removal
// that is answered and not done would keep a right alive.
func (o op) editMatching(m *membership) error {
	if o.target.sub != nil && o.target.sub.Name() != "value" && o.verb != opRemove {
		return nil // display and $ref of a member are ours
	}
	if o.verb != opRemove || o.target.sub != nil || o.target.values == nil {
		return invalid(typePath, `members are named by members[value eq "id"]`)
	}
	if slices.ContainsFunc(o.target.values, func(id string) bool { return !plausibleID(id) }) {
		return fault.New(fault.Invalid, "a member is named by the id of a user")
	}
	m.mark(o.target.values, false)
	return nil
}
