package mapping

import (
	"slices"
	"strings"
)

const maxRules = 10_000 // of one file

// ruleDecl is one rule. Exactly one of its effects is in use.
type ruleDecl struct {
	id         name
	at         pos
	connection name // "*" for every connection
	groups     []selector
	effect     effect
	roles      []name // granted or denied
	permission []name // permission groups granted
	reason     string // of a denied login, for the person
}

// effect is what a rule does when it matches.
type effect int

const (
	effectGrant effect = iota
	effectDenyRoles
	effectDenyLogin
)

// selector names groups. An id and a name select groups that a token
// asserted, scim selects groups that were pushed.
type selector struct {
	kind  selectorKind
	text  string
	label string // documentation
	at    pos
}

type selectorKind int

const (
	byID selectorKind = iota
	byName
	bySCIM
)

// String is the key of the selector in the file.
func (k selectorKind) String() string { return [...]string{"id", "name", "scim"}[k] }

// String is the selector as it stands in the file.
func (s selector) String() string { return s.kind.String() + " " + quote(s.text) }

func (s selector) glob() bool { return s.kind != byID && strings.ContainsAny(s.text, "*?") }

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
			"id":    func(n *node) { r.id, _ = d.id(n, join(path, "id")) },
			"note":  func(n *node) { d.label(n, join(path, "note")) },
			"match": func(n *node) { d.match(n, join(path, "match"), &r) },
			"grant": func(n *node) { effects++; d.grant(n, join(path, "grant"), &r) },
			"deny":  func(n *node) { effects++; d.deny(n, join(path, "deny"), &r) },
		},
		later: map[string]string{
			"valid": laterValid, "restrict": laterRestrict, "when": laterWhen + ", in match",
		},
		required: []string{"id", "match"},
	})
	if r.id.text != "" {
		r.at = r.id.at
	}
	if ok && effects != 1 {
		d.fail(r.at, "%s has %s; want exactly one of grant or deny", path, [...]string{"no effect", "one effect", "both grant and deny"}[effects])
	}
	return r
}

func (d decoder) match(n *node, path string, r *ruleDecl) {
	d.mapping(n, path, keys{
		known: map[string]func(*node){
			"connection": func(n *node) {
				if t, ok := d.text(n, join(path, "connection")); ok {
					r.connection = t
				}
			},
			"groups": func(n *node) { r.groups = d.selectors(n, join(path, "groups")) },
		},
		later: map[string]string{
			"appRoles": laterAppRoles, "emailDomain": laterDomain, "userType": laterUserType,
			"claims": laterClaims, "when": laterWhen,
		},
		required: []string{"connection"},
		hints:    map[string]string{"connection": `the id of a connection, or "*" for every connection`},
	})
}

func (d decoder) selectors(n *node, path string) []selector {
	selectors := make([]selector, 0, len(n.items))
	ok := d.each(n, path, func(_ int, n *node, path string) {
		if s, ok := d.selector(n, path); ok {
			selectors = append(selectors, s)
		}
	})
	if ok && len(n.items) == 0 {
		d.fail(n.at, "%s is an empty list; leave it out to match everybody of the connection", path)
	}
	return selectors
}

func (d decoder) selector(n *node, path string) (selector, bool) {
	if n.kind == kindString {
		d.fail(n.at, "%s is a string; want {id: …}, {name: %s} or {scim: %s}", path, clip(n.text), clip(n.text))
		return selector{}, false
	}
	s := selector{at: n.at}
	forms := 0
	read := func(k selectorKind) func(*node) {
		return func(n *node) {
			forms++
			if t, ok := d.text(n, join(path, k.String())); ok {
				s.kind, s.text, s.at = k, t.text, t.at
			}
		}
	}
	ok := d.mapping(n, path, keys{
		known: map[string]func(*node){
			"id": read(byID), "name": read(byName), "scim": read(bySCIM),
			"label": func(n *node) { s.label = d.label(n, join(path, "label")) },
		},
		later: map[string]string{"regex": laterRegex},
	})
	if ok && forms != 1 {
		d.fail(n.at, "%s has %d selectors; want exactly one of id, name or scim", path, forms)
	}
	if s.kind == byID && strings.Contains(s.text, "*") {
		d.fail(s.at, "%s.id has a * in it; an id is compared as it stands: use name for a pattern", path)
		return s, false
	}
	return s, ok && forms == 1 && s.text != ""
}

func (d decoder) grant(n *node, path string, r *ruleDecl) {
	r.effect = effectGrant
	ok := d.mapping(n, path, keys{known: map[string]func(*node){
		"roles":            func(n *node) { r.roles = d.ids(n, join(path, "roles")) },
		"permissionGroups": func(n *node) { r.permission = d.granted(n, join(path, "permissionGroups")) },
	}})
	something := func(f field) bool { return f.value.kind != kindList || len(f.value.items) > 0 }
	if ok && !slices.ContainsFunc(n.fields, something) {
		d.fail(n.at, "%s grants nothing; want roles: […] or permissionGroups: […]", path)
	}
}

func (d decoder) granted(n *node, path string) []name {
	groups := make([]name, 0, len(n.items))
	d.each(n, path, func(_ int, n *node, path string) {
		if n.kind == kindMap {
			d.fail(n.at, "%s is not understood by this version: %s", path, laterParams)
			return
		}
		if id, ok := d.id(n, path); ok {
			groups = append(groups, id)
		}
	})
	return groups
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
	if !ok {
		return
	}
	r.effect = effectDenyRoles
	if login {
		r.effect = effectDenyLogin
	}
	if login == roles {
		d.fail(n.at, "%s: want either {login: true, reason: …} or {roles: […]}", path)
	}
	if roles && reason != nil && !login {
		d.fail(reason.at, "%s.reason is for {login: true}; write a note at the rule instead", path)
	}
}
