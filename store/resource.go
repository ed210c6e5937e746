package store

import (
	"strings"
	"time"

	"portcullis/directory"
)

// What a SCIM resource holds beyond the columns is JSON in people.attributes.
// people.attributes_key is the same text in lower case, so that both databases
// compare without regard to case as Go does; names in its paths are in lower
// case, too.

// resource is one of the two texts.
type resource struct {
	t      tx
	folded bool
}

func (r resource) column() string {
	if r.folded {
		return "people.attributes_key"
	}
	return "people.attributes"
}

func (r resource) name(s string) string {
	if r.folded {
		return strings.ToLower(s)
	}
	return s
}

// at is the JSON value at a path. On SQLite it is the document and the path,
// for the functions that take both.
func (r resource) at(path ...string) fragment {
	if r.t.dialect == "postgres" {
		f := sqlf("nullif(" + r.column() + ", '')::jsonb")
		for _, name := range path {
			f = join(f, sqlf(" -> CAST(? AS text)", r.name(name)))
		}
		return join("(", f, ")")
	}
	return join("nullif("+r.column()+", ''), ", sqlf("?", r.path(path...)))
}

// path is a path for SQLite. Names of attributes hold no quotes (RFC 7643,
// section 2.1).
func (r resource) path(path ...string) string {
	var b strings.Builder
	b.WriteByte('$')
	for _, name := range path {
		b.WriteString(`."` + r.name(name) + `"`)
	}
	return b.String()
}

// scalar reads a JSON value as a value of SQL; NULL if it is of another type.
func (t tx) scalar(kind directory.Kind, at fragment) fragment {
	if t.dialect == "postgres" {
		switch kind {
		case directory.Folded, directory.Exact:
			return join("(CASE jsonb_typeof(", at, ") WHEN 'string' THEN ", at, ` #>> '{}' END COLLATE "C")`)
		case directory.Time:
			return join("(CASE jsonb_typeof(", at, ") WHEN 'string' THEN rtrim(", at, ` #>> '{}', 'Z') END COLLATE "C")`)
		case directory.Boolean:
			return join("(CASE jsonb_typeof(", at, ") WHEN 'boolean' THEN (", at, ")::boolean END)")
		case directory.Number:
			return join("(CASE jsonb_typeof(", at, ") WHEN 'number' THEN (", at, ")::numeric END)")
		default:
			return join("nullif(", at, ", 'null'::jsonb)")
		}
	}
	switch kind {
	case directory.Folded, directory.Exact:
		return join("(CASE json_type(", at, ") WHEN 'text' THEN json_extract(", at, ") END)")
	case directory.Time:
		return join("(CASE json_type(", at, ") WHEN 'text' THEN rtrim(json_extract(", at, "), 'Z') END)")
	case directory.Boolean:
		return join("(CASE json_type(", at, ") WHEN 'true' THEN 1 WHEN 'false' THEN 0 END)")
	case directory.Number:
		return join("(CASE WHEN json_type(", at, ") IN ('integer', 'real') THEN json_extract(", at, ") END)")
	default:
		return join("nullif(json_type(", at, "), 'null')")
	}
}

// elements are the values of a multi-valued attribute, each a row of e.
func (r resource) elements(path ...string) fragment {
	at := r.at(path...)
	if r.t.dialect == "postgres" {
		return join("jsonb_array_elements(CASE jsonb_typeof(", at, ") WHEN 'array' THEN ", at,
			" ELSE '[]'::jsonb END) WITH ORDINALITY AS e (value, position)")
	}
	return join("json_each(", at, ") AS e")
}

// plainNames reports whether names can stand in a path.
func plainNames(names []string) bool {
	for _, name := range names {
		if strings.ContainsAny(name, "\"\\\x00") {
			return false
		}
	}
	return true
}

// attribute finds an attribute of a person's resource.
func (t tx) attribute(a directory.Attr) (operand, bool) {
	path := []string{a.Name}
	if a.Extension != "" {
		path = []string{a.Extension, a.Name}
	}
	if !plainNames(append(path, a.Sub)) {
		return operand{}, false
	}
	folded := resource{t: t, folded: a.Kind == directory.Folded}
	if !a.Many {
		if a.Sub != "" {
			path = append(path, a.Sub)
		}
		return operand{kind: a.Kind, value: t.scalar(a.Kind, folded.at(path...))}, true
	}
	folded.folded = true
	o := operand{kind: a.Kind, value: sqlf("1"), sure: true, from: join(folded.elements(path...), " WHERE "+always)}
	if a.Sub == "" {
		return o, a.Kind == directory.Complex
	}
	o.value, o.sure = t.scalar(a.Kind, t.element(path, a.Sub, a.Kind)), false
	return o, true
}

// element is a sub-attribute of the value e. What is compared with regard to
// case comes from the resource as it was pushed: e is of the one in lower case.
func (t tx) element(path []string, sub string, kind directory.Kind) fragment {
	if kind == directory.Exact || kind == directory.Time {
		whole := resource{t: t}
		if t.dialect == "postgres" {
			return join("(", whole.at(path...), sqlf(" -> (e.position - 1)::integer -> CAST(? AS text))", sub))
		}
		return join("people.attributes, ", sqlf("? || '[' || e.key || ']' || ?", whole.path(path...), `."`+sub+`"`))
	}
	sub = strings.ToLower(sub)
	if t.dialect == "postgres" {
		return sqlf("(e.value -> CAST(? AS text))", sub)
	}
	return sqlf("e.value, ?", `$."`+sub+`"`)
}

// peopleTable is what filters can name of people. What has a column or a table
// of its own is looked up there.
type peopleTable struct {
	tx

	connection string
}

func (p peopleTable) operand(a directory.Attr) (operand, bool) {
	if a.Extension != "" {
		return p.attribute(a)
	}
	if o, ok := common("people", a); ok {
		if a.Name == "meta" && a.Sub == "created" {
			o.narrow = narrowCreated
		}
		return o, true
	}
	switch {
	case a.Name == "userName" && a.Sub == "":
		return operand{kind: directory.Folded, value: sqlf("people.user_name_key"), sure: true}, true
	case a.Name == "email" && a.Sub == "":
		return operand{kind: directory.Folded, value: sqlf("people.email_key"), sure: true}, true
	case a.Name == "active" && a.Sub == "":
		return operand{kind: directory.Boolean, value: sqlf("people.idp_active"), sure: true}, true
	case a.Name == "groups":
		return p.groups(a)
	case a.Name == "meta":
		return operand{}, false
	}
	o, ok := p.attribute(a)
	switch {
	case a.Name == "displayName" && a.Sub == "":
		o.narrow = p.narrowName
	case a.Name == "emails" && a.Sub == "value":
		o.narrow = p.narrowEmail
	}
	return o, ok
}

func (p peopleTable) element(a, sub directory.Attr) (operand, bool) {
	if a.Extension == "" && a.Name == "groups" {
		o, ok := p.groups(directory.Attr{Sub: sub.Name, Prefix: sub.Prefix})
		return operand{kind: o.kind, value: o.value, sure: true}, ok
	}
	path := []string{a.Name}
	if a.Extension != "" {
		path = []string{a.Extension, a.Name}
	}
	if !plainNames(append(path, sub.Name)) {
		return operand{}, false
	}
	return operand{kind: sub.Kind, value: p.scalar(sub.Kind, p.tx.element(path, sub.Name, sub.Kind))}, true
}

// common are the attributes of every resource that are columns.
func common(in string, a directory.Attr) (operand, bool) {
	switch a.Name + "." + a.Sub {
	case "id.":
		return operand{kind: directory.Exact, value: prefixedBy(a.Prefix, in+".id"), sure: true}, true
	case "externalId.":
		return operand{kind: directory.Exact, value: sqlf(in + ".external_id"), sure: true, unset: true}, true
	case "meta.created":
		return operand{kind: directory.Time, value: sqlf(in + ".created"), sure: true, micros: true}, true
	case "meta.lastModified":
		return operand{kind: directory.Time, value: sqlf(in + ".modified"), sure: true, micros: true}, true
	case "meta.version":
		return operand{kind: directory.Exact, value: sqlf(`('W/"' || CAST(` + in + `.version AS text) || '"')`), sure: true}, true
	default:
		return operand{}, false
	}
}

// narrowCreated uses the index of when people were modified: whoever was made
// after a time was modified after it, but for what the clocks of replicas
// differ.
func narrowCreated(op directory.Op, value any) fragment {
	at, ok := value.(time.Time)
	if !ok || op != directory.Eq && op != directory.Gt && op != directory.Ge {
		return fragment{}
	}
	return sqlf("people.modified > ?", micros(at.Add(-time.Hour)))
}

// prefixedBy makes a location of an identifier.
func prefixedBy(prefix, column string) fragment {
	if prefix == "" {
		return sqlf(column)
	}
	return sqlf("(CAST(? AS text) || "+column+")", prefix)
}

// narrowName uses the index of what people are called: that is their
// displayName if they have one.
func (p peopleTable) narrowName(op directory.Op, value any) fragment {
	s, _ := value.(string)
	s = strings.ToLower(s)
	switch {
	case s == "" || storable(s) != nil:
		return fragment{}
	case op == directory.Eq:
		return sqlf("people.name_key = ?", s)
	case op == directory.Sw:
		return p.prefixed(sqlf("people.name_key"), s)
	default:
		return fragment{}
	}
}

// narrowEmail uses the indexes of the main address and of the others.
func (p peopleTable) narrowEmail(op directory.Op, value any) fragment {
	s, _ := value.(string)
	s = strings.ToLower(s)
	if op != directory.Eq || s == "" || len(s) > maxIndexed || storable(s) != nil {
		return fragment{}
	}
	return sqlf(`people.id IN (SELECT id FROM people WHERE connection = ? AND email_key = ?
		UNION ALL SELECT person_id FROM person_emails WHERE connection = ? AND value_key = ?)`, p.connection, s, p.connection, s)
}

// groups are the groups that a person is in, through other groups too.
func (p peopleTable) groups(a directory.Attr) (operand, bool) {
	o := operand{sure: true, from: sqlf(`pushed_groups e WHERE e.id IN (` + groupsAbove("people.id") + `)`)}
	switch a.Sub {
	case "":
		o.kind, o.value = directory.Complex, sqlf("1")
	case "value":
		o.kind, o.value = directory.Exact, prefixedBy(a.Prefix, "e.id")
		o.narrow = func(op directory.Op, value any) fragment {
			id, _ := value.(string)
			if op != directory.Eq || a.Prefix != "" || storable(id) != nil {
				return fragment{}
			}
			return sqlf("people.id IN ("+peopleBelow("SELECT CAST(? AS text)")+")", id)
		}
	case "display":
		o.kind, o.value = directory.Folded, sqlf("e.name_key")
	case "type":
		o.kind = directory.Folded
		o.value = sqlf(`(CASE WHEN EXISTS (SELECT 1 FROM memberships m WHERE m.group_id = e.id AND m.person_id = people.id) THEN 'direct' ELSE 'indirect' END)`)
	default:
		return operand{}, false
	}
	return o, true
}

// groupsAbove selects the ids of all groups that a person is in, directly or
// through groups; peopleBelow those of all people in some groups. UNION takes
// each row once, so that groups inside each other come to an end.
func groupsAbove(person string) string {
	return `WITH RECURSIVE above (id) AS (
		SELECT m.group_id FROM memberships m WHERE m.person_id = ` + person + `
		UNION SELECT n.group_id FROM nested_groups n JOIN above a ON n.member_id = a.id)
		SELECT id FROM above`
}

func peopleBelow(groups string) string {
	return `WITH RECURSIVE below (id) AS (` + groups + `
		UNION SELECT n.member_id FROM nested_groups n JOIN below b ON n.group_id = b.id)
		SELECT m.person_id FROM memberships m JOIN below b ON m.group_id = b.id`
}

// groupTable is what filters can name of groups.
type groupTable struct{ tx }

func (g groupTable) operand(a directory.Attr) (operand, bool) {
	if a.Extension != "" {
		return operand{}, false
	}
	if o, ok := common("pushed_groups", a); ok {
		return o, true
	}
	switch {
	case a.Name == "displayName" && a.Sub == "":
		return operand{kind: directory.Folded, value: sqlf("pushed_groups.name_key"), sure: true}, true
	case a.Name == "members":
		return g.members(a)
	default:
		return operand{}, false
	}
}

func (g groupTable) element(a, sub directory.Attr) (operand, bool) {
	if a.Name != "members" {
		return operand{}, false
	}
	o, ok := g.members(directory.Attr{Sub: sub.Name, Prefix: sub.Prefix})
	return operand{kind: o.kind, value: o.value, sure: true}, ok
}

// members are people and groups, each a row of e.
func (g groupTable) members(a directory.Attr) (operand, bool) {
	o := operand{sure: true, from: sqlf(`(
		SELECT m.group_id AS owner, p.id, p.name_key AS display, 'user' AS type FROM memberships m JOIN people p ON p.id = m.person_id
		UNION ALL SELECT n.group_id, c.id, c.name_key, 'group' FROM nested_groups n JOIN pushed_groups c ON c.id = n.member_id
		) e WHERE e.owner = pushed_groups.id`)}
	switch a.Sub {
	case "":
		o.kind, o.value = directory.Complex, sqlf("1")
	case "value":
		o.kind, o.value = directory.Exact, prefixedBy(a.Prefix, "e.id")
		o.narrow = func(op directory.Op, value any) fragment {
			id, _ := value.(string)
			if op != directory.Eq || a.Prefix != "" || storable(id) != nil {
				return fragment{}
			}
			return sqlf(`pushed_groups.id IN (SELECT group_id FROM memberships WHERE person_id = ?
				UNION ALL SELECT group_id FROM nested_groups WHERE member_id = ?)`, id, id)
		}
	case "display":
		o.kind, o.value = directory.Folded, sqlf("e.display")
	case "type":
		o.kind, o.value = directory.Folded, sqlf("e.type")
	default:
		return operand{}, false
	}
	return o, true
}
