package mapping

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

const maxRules = 10_000 // of one file, and of all that a policy is made of but fragments

// ruleDecl is one rule. Exactly one of its effects is in use. Conditions of
// different kinds must all hold; of one kind, one of its values must.
type ruleDecl struct {
	id         name
	at         pos
	connection name // "*" for every connection
	groups     []selector
	appRoles   []name
	domains    []name // of a verified e-mail address, in lower case
	userTypes  []name
	claims     []claimDecl
	when       *expression
	valid      window
	effect     effect
	roles      []name // granted or denied
	permission []callDecl
	reason     string // of a denied login, for the person
}

// claimDecl asks for a claim to be one of some values.
type claimDecl struct {
	name   name
	values []scalar
}

// window is the time in which a rule is valid: from is part of it, until is
// not. A zero time is no bound.
type window struct {
	from, until     time.Time
	fromAt, untilAt pos
}

// set reports whether there is a bound at all.
func (w window) set() bool { return !w.from.IsZero() || !w.until.IsZero() }

func (w window) holds(at time.Time) bool {
	return !at.Before(w.from) && (w.until.IsZero() || at.Before(w.until))
}

// next is the next moment after at when the window opens or closes; zero if
// there is none.
func (w window) next(at time.Time) time.Time {
	switch {
	case at.Before(w.from):
		return w.from
	case at.Before(w.until):
		return w.until
	default:
		return time.Time{}
	}
}

// callDecl names a permission group, with the values of its parameters.
type callDecl struct {
	group name
	args  []argDecl
	given bool // written {group: {…}}
}

type argDecl struct{ param, value name }

// effect is what a rule does when it matches.
type effect int

const (
	effectGrant effect = iota
	effectRestrict
	effectDenyRoles
	effectDenyLogin
)

// selector names groups. An id, a name and a regular expression select groups
// that a token asserted, scim selects groups that were pushed.
type selector struct {
	kind  selectorKind
	text  string
	raw   string // before variables were put in; empty if there were none
	label string // documentation
	at    pos
	re    *regexp.Regexp // of a byRegex, for the whole name
}

type selectorKind int

const (
	byID selectorKind = iota
	byName
	bySCIM
	byRegex
)

// String is the key of the selector in the file.
func (k selectorKind) String() string { return [...]string{"id", "name", "scim", "regex"}[k] }

// String is the selector as it stands in the file.
func (s selector) String() string { return s.kind.String() + " " + quote(s.text) }

func (s selector) glob() bool {
	return (s.kind == byName || s.kind == bySCIM) && strings.ContainsAny(s.text, "*?")
}

func (d decoder) rules(n *node) []ruleDecl {
	if n.kind == kindList && len(n.items) > maxRules {
		d.fail(n.items[maxRules].at, "%d rules; want at most %d", len(n.items), maxRules)
		return nil
	}
	rules := make([]ruleDecl, 0, len(n.items))
	d.each(n, "rules", func(_ int, n *node, path string) {
		rules = append(rules, d.rule(n, path))
	})
	return rules
}

func (d decoder) rule(n *node, path string) ruleDecl {
	r := ruleDecl{at: n.at}
	effects := 0
	ok := d.mapping(n, path, keys{
		known: map[string]func(*node){
			"id":       func(n *node) { r.id, _ = d.id(n, join(path, "id")) },
			"note":     func(n *node) { d.label(n, join(path, "note")) },
			"match":    func(n *node) { d.match(n, join(path, "match"), &r) },
			"valid":    func(n *node) { d.valid(n, join(path, "valid"), &r) },
			"grant":    func(n *node) { effects++; d.grant(n, join(path, "grant"), &r) },
			"restrict": func(n *node) { effects++; d.restrict(n, join(path, "restrict"), &r) },
			"deny":     func(n *node) { effects++; d.deny(n, join(path, "deny"), &r) },
		},
		required: []string{"id", "match"},
	})
	if r.id.text != "" {
		r.at = r.id.at
	}
	if ok && effects != 1 {
		d.fail(r.at, "%s has %s; want exactly one of grant, restrict or deny", path, [...]string{"no effect", "one effect", "two effects", "three effects"}[effects])
	}
	return r
}

func (d decoder) match(n *node, path string, r *ruleDecl) {
	k := keys{
		known: map[string]func(*node){
			"connection": func(n *node) {
				if t, ok := d.text(n, join(path, "connection")); ok {
					r.connection = t
				}
			},
			"groups":      func(n *node) { r.groups = d.selectors(n, join(path, "groups")) },
			"appRoles":    func(n *node) { r.appRoles = d.some(n, join(path, "appRoles")) },
			"emailDomain": func(n *node) { r.domains = d.domains(n, join(path, "emailDomain")) },
			"userType":    func(n *node) { r.userTypes = d.some(n, join(path, "userType")) },
			"claims":      func(n *node) { r.claims = d.claimConditions(n, join(path, "claims")) },
			"when":        func(n *node) { r.when = d.when(n, join(path, "when")) },
		},
		required: []string{"connection"},
		hints:    map[string]string{"connection": `the id of a connection, or "*" for every connection`},
	}
	if d.fragment != nil {
		r.connection = name{text: d.fragment.text, at: n.at}
		k.required = nil
	}
	d.mapping(n, path, k)
	d.ofFragment(r.connection)
}

// ofFragment notes a problem when a fragment names another connection.
func (d decoder) ofFragment(connection name) {
	if d.fragment != nil && connection.text != "" && connection.text != d.fragment.text {
		d.fail(connection.at, "connection %q is beyond this file, which is for %q alone", clip(connection.text), clip(d.fragment.text))
	}
}

// some reads a list of values, of which one must be met.
func (d decoder) some(n *node, path string) []name {
	values := d.strings(n, path)
	if n.kind == kindList && len(n.items) == 0 {
		d.fail(n.at, "%s is an empty list; want at least one value", path)
	}
	return values
}

func (d decoder) domains(n *node, path string) []name {
	domains := d.some(n, path)
	for i, v := range domains {
		if strings.ContainsAny(v.text, "@*? ") || !strings.Contains(v.text, ".") {
			d.fail(v.at, "%s[%d] is %s; want a domain like partner.example, without @ and *", path, i, quote(clip(v.text)))
		}
		domains[i].text = strings.ToLower(v.text)
	}
	return domains
}

func (d decoder) claimConditions(n *node, path string) []claimDecl {
	var claims []claimDecl
	d.named(n, path, "{claim: value}", func(id name, v *node, path string) {
		c := claimDecl{name: id}
		items := []*node{v}
		if v.kind == kindList {
			items = v.items
		}
		for _, item := range items {
			s, ok := scalarOf(item)
			if !ok {
				d.fail(item.at, "%s is %s; want a string, a number, true, false, or a list of them", path, item.kind)
				continue
			}
			if d.noHoles(item, path) {
				c.values = append(c.values, s)
			}
		}
		if len(items) == 0 {
			d.fail(v.at, "%s is an empty list; want at least one value", path)
		}
		claims = append(claims, c)
	})
	if n.kind == kindMap && len(n.fields) == 0 {
		d.fail(n.at, "%s is empty; want at least one claim", path)
	}
	return claims
}

func (d decoder) valid(n *node, path string, r *ruleDecl) {
	w := &r.valid
	ok := d.mapping(n, path, keys{known: map[string]func(*node){
		"from":  func(n *node) { w.from, w.fromAt = d.time(n, join(path, "from")), n.at },
		"until": func(n *node) { w.until, w.untilAt = d.time(n, join(path, "until")), n.at },
	}})
	if ok && len(n.fields) == 0 {
		d.fail(n.at, "%s is empty; want from, until or both", path)
	}
	if !w.from.IsZero() && !w.until.IsZero() && !w.until.After(w.from) {
		d.fail(w.untilAt, "%s.until is not after from; want a later time: the rule would never be valid", path)
	}
}

func (d decoder) grant(n *node, path string, r *ruleDecl) {
	r.effect = effectGrant
	ok := d.mapping(n, path, keys{known: map[string]func(*node){
		"roles":            func(n *node) { r.roles = d.ids(n, join(path, "roles")) },
		"permissionGroups": func(n *node) { r.permission = d.calls(n, join(path, "permissionGroups")) },
	}})
	something := func(f field) bool { return f.value.kind != kindList || len(f.value.items) > 0 }
	if ok && !slices.ContainsFunc(n.fields, something) {
		d.fail(n.at, "%s grants nothing; want roles: […] or permissionGroups: […]", path)
	}
}

func (d decoder) restrict(n *node, path string, r *ruleDecl) {
	r.effect = effectRestrict
	d.mapping(n, path, keys{
		known: map[string]func(*node){
			"permissionGroups": func(n *node) {
				r.permission = d.calls(n, join(path, "permissionGroups"))
				if n.kind == kindList && len(n.items) == 0 {
					d.fail(n.at, "%s.permissionGroups is an empty list; want at least one permission group", path)
				}
			},
		},
		required: []string{"permissionGroups"},
	})
}

// calls reads permission groups: by name, or {group: {parameter: value}}.
func (d decoder) calls(n *node, path string) []callDecl {
	calls := make([]callDecl, 0, len(n.items))
	d.each(n, path, func(_ int, n *node, path string) {
		if n.kind != kindMap {
			if id, ok := d.id(n, path); ok {
				calls = append(calls, callDecl{group: id})
			}
			return
		}
		if len(n.fields) != 1 {
			d.fail(n.at, "%s has %d keys; want one permission group with its parameters: {group: {parameter: value}}", path, len(n.fields))
			return
		}
		d.named(n, path, "{group: {parameter: value}}", func(group name, v *node, path string) {
			c := callDecl{group: group, given: true}
			inner := d
			inner.holes = true
			d.named(v, path, "{parameter: value}", func(param name, v *node, path string) {
				if value, ok := inner.text(v, path); ok {
					c.args = append(c.args, argDecl{param, value})
				}
			})
			calls = append(calls, c)
		})
	})
	return calls
}

func (d decoder) deny(n *node, path string, r *ruleDecl) {
	login, roles := false, false
	var reason *node
	ok := d.mapping(n, path, keys{known: map[string]func(*node){
		"login": func(n *node) {
			login = true
			if !d.boolean(n, join(path, "login")) && n.kind == kindBool {
				d.fail(n.at, "%s.login is false; the only thing to say here is true", path)
			}
		},
		"reason": func(n *node) { reason = n; r.reason = d.label(n, join(path, "reason")) },
		"roles": func(n *node) {
			roles = true
			r.roles = d.ids(n, join(path, "roles"))
			if n.kind == kindList && len(n.items) == 0 {
				d.fail(n.at, "%s.roles is an empty list; want at least one role", path)
			}
		},
	}})
	r.effect = effectDenyRoles
	if login {
		r.effect = effectDenyLogin
	}
	if !ok {
		return
	}
	if login == roles {
		d.fail(n.at, "%s: want either {login: true, reason: …} or {roles: […]}", path)
	}
	if roles && reason != nil && !login {
		d.fail(reason.at, "%s.reason is for {login: true}; write a note at the rule instead", path)
	}
}
