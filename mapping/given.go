package mapping

import "time"

// testDecl is one test of the file. Nil lists and zero positions are not
// expected anything of.
type testDecl struct {
	name        name
	given       Facts
	connection  name
	at          time.Time
	env         name // "" for the default environment
	login       *bool
	roles       *expected
	permissions *expected
	because     *expected
	violations  *expected
	can, cannot []row
}

// expected is a list that must be met exactly.
type expected struct {
	at    pos
	names []name
}

// row is one row of the portal's data, as far as it matters.
type row struct {
	at     pos
	values []cell
}

type cell struct{ attribute, value name }

func (r row) data() map[string]string {
	m := make(map[string]string, len(r.values))
	for _, c := range r.values {
		m[c.attribute.text] = c.value.text
	}
	return m
}

func (d decoder) tests(n *node) []testDecl {
	tests := make([]testDecl, 0, len(n.items))
	d.each(n, "tests", func(_ int, n *node, path string) {
		tests = append(tests, d.test(n, path))
	})
	return tests
}

func (d decoder) test(n *node, path string) testDecl {
	var t testDecl
	checks := 0
	ok := d.mapping(n, path, keys{
		known: map[string]func(*node){
			"name":   func(n *node) { t.name, _ = d.text(n, join(path, "name")) },
			"env":    func(n *node) { t.env, _ = d.text(n, join(path, "env")) },
			"at":     func(n *node) { t.at = d.time(n, join(path, "at")) },
			"given":  func(n *node) { t.given, t.connection = d.given(n, join(path, "given")) },
			"expect": func(n *node) { checks += len(n.fields); d.expect(n, join(path, "expect"), &t) },
			"because": func(n *node) {
				checks++
				t.because = &expected{n.at, d.ids(n, join(path, "because"))}
			},
			"can":    func(n *node) { checks++; t.can = d.rows(n, join(path, "can")) },
			"cannot": func(n *node) { checks++; t.cannot = d.rows(n, join(path, "cannot")) },
		},
		required: []string{"name", "given"},
	})
	if ok && checks == 0 {
		d.fail(n.at, "%s checks nothing; want expect, can or cannot", path)
	}
	return t
}

func (d decoder) time(n *node, path string) time.Time {
	t, ok := d.text(n, path)
	if !ok {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, t.text)
	if err != nil {
		d.fail(t.at, "%s is %q; want a time like 2026-12-24T18:00:00Z (RFC 3339)", path, clip(t.text))
	}
	return at
}

func (d decoder) expect(n *node, path string, t *testDecl) {
	list := func(key string, to **expected) func(*node) {
		return func(n *node) { *to = &expected{n.at, d.ids(n, join(path, key))} }
	}
	d.mapping(n, path, keys{
		known: map[string]func(*node){
			"login": func(n *node) {
				if word := d.choice(n, join(path, "login"), "allow", "deny"); word != "" {
					allow := word == "allow"
					t.login = &allow
				}
			},
			"roles":            list("roles", &t.roles),
			"permissionGroups": list("permissionGroups", &t.permissions),
			"because":          list("because", &t.because),
			"violations":       list("violations", &t.violations),
		},
	})
}

func (d decoder) rows(n *node, path string) []row {
	rows := make([]row, 0, len(n.items))
	ok := d.each(n, path, func(_ int, n *node, path string) {
		r := row{at: n.at}
		d.named(n, path, "{attribute: value}", func(attribute name, v *node, path string) {
			if t, ok := d.text(v, path); ok {
				r.values = append(r.values, cell{attribute, t})
			}
		})
		rows = append(rows, r)
	})
	if ok && len(rows) == 0 {
		d.fail(n.at, "%s is an empty list; want at least one row", path)
	}
	return rows
}

// given reads facts: of a test, or of the command line.
func (d decoder) given(n *node, path string) (Facts, name) {
	var (
		f          Facts
		connection name
		verified   = true
		pushed     bool
	)
	text := func(key string, to *string) func(*node) {
		return func(n *node) { *to = d.label(n, join(path, key)) }
	}
	k := keys{
		known: map[string]func(*node){
			"connection":    func(n *node) { connection, _ = d.text(n, join(path, "connection")) },
			"subject":       text("subject", &f.Subject),
			"userName":      text("userName", &f.UserName),
			"email":         text("email", &f.Email),
			"emailVerified": func(n *node) { verified = d.boolean(n, join(path, "emailVerified")) },
			"name":          text("name", &f.Name),
			"groups":        func(n *node) { f.Groups = texts(d.strings(n, join(path, "groups"))) },
			"groupsIncomplete": func(n *node) {
				f.GroupsIncomplete = d.boolean(n, join(path, "groupsIncomplete"))
			},
			"lastKnownGroups": func(n *node) {
				// An empty list is known to be empty; only absence is unknown.
				f.LastKnownGroups = append([]string{}, texts(d.strings(n, join(path, "lastKnownGroups")))...)
			},
			"appRoles":   func(n *node) { f.AppRoles = texts(d.strings(n, join(path, "appRoles"))) },
			"userType":   text("userType", &f.UserType),
			"received":   func(n *node) { f.Received = d.time(n, join(path, "received")) },
			"claims":     func(n *node) { f.Claims = d.object(n, join(path, "claims")) },
			"attributes": func(n *node) { f.Attributes = d.object(n, join(path, "attributes")) },
			"pushed":     func(n *node) { pushed = true; f.Pushed = d.pushed(n, join(path, "pushed")) },
		},
		required: []string{"connection"},
	}
	if d.fragment != nil {
		connection, k.required = name{text: d.fragment.text, at: n.at}, nil
	}
	if !d.mapping(n, path, k) {
		return Facts{}, name{}
	}
	d.ofFragment(connection)
	f.Connection = connection.text
	f.EmailVerified = f.Email != "" && verified
	if !pushed {
		for _, g := range f.Groups {
			f.Pushed = append(f.Pushed, Group{Name: g})
		}
	}
	return f, connection
}

func (d decoder) pushed(n *node, path string) []Group {
	groups := make([]Group, 0, len(n.items))
	d.each(n, path, func(_ int, n *node, path string) {
		var g Group
		ok := d.mapping(n, path, keys{known: map[string]func(*node){
			"name":       func(n *node) { g.Name = d.label(n, join(path, "name")) },
			"externalId": func(n *node) { g.ExternalID = d.label(n, join(path, "externalId")) },
		}})
		if ok && g == (Group{}) {
			d.fail(n.at, "%s names no group; want {name: …} or {externalId: …}", path)
			return
		}
		groups = append(groups, g)
	})
	return groups
}

// object reads a mapping of anything.
func (d decoder) object(n *node, path string) map[string]any {
	if n.kind != kindMap {
		d.fail(n.at, "%s is %s; want a mapping", path, n.kind)
		return nil
	}
	m, _ := n.value().(map[string]any)
	return m
}

// texts drops the places.
func texts(names []name) []string {
	if len(names) == 0 {
		return nil
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n.text
	}
	return out
}
