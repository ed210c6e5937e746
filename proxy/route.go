package proxy

import (
	"slices"
	"strings"

	"portcullis/fault"
	"portcullis/mapping"
)

// Route is a rule for the paths below one: for everybody, or for whoever has
// all that is required. Where no Route applies, and where one says neither,
// it is enough to be signed in.
type Route struct {
	Path   string   // decoded; "/assets" and "/assets/" both mean /assets and everything below it
	Public bool     // for everybody, signed in or not
	Roles  []string // all of these
	Tasks  []string // all of these
}

// rule is a Route made ready for matching.
type rule struct {
	prefix string // without its last slash
	exact  bool   // in this case only
	Route
}

// compile orders rules so that the first that matches is the longest.
//
// A rule that requires something applies in any case: a portal that does not
// tell /Admin from /admin must not have a way around it. One that opens
// something applies only as it is written.
func compile(routes []Route) []rule {
	rules := make([]rule, 0, len(routes))
	for _, r := range routes {
		rules = append(rules, rule{prefix: strings.TrimSuffix(r.Path, "/"), exact: len(r.Roles) == 0 && len(r.Tasks) == 0, Route: r})
	}
	slices.SortStableFunc(rules, func(a, b rule) int {
		if d := len(b.prefix) - len(a.prefix); d != 0 {
			return d
		}
		if a.exact != b.exact && !a.exact { // of two alike the one that requires something
			return -1
		}
		return 0
	})
	return rules
}

func (r *rule) matches(path string) bool {
	if len(path) < len(r.prefix) || len(path) > len(r.prefix) && path[len(r.prefix)] != '/' {
		return false
	}
	head := path[:len(r.prefix)]
	return head == r.prefix || !r.exact && strings.EqualFold(head, r.prefix)
}

// access is what a path asks for.
type access struct {
	public bool
	needs  []*rule // all of them
}

// accessTo finds the rules of a path: once says what a portal that decodes
// the path once sees, fully what is left when nothing can be decoded any
// more. They differ for nobody but those who try; then both rules hold.
func (p *Proxy) accessTo(once, fully string) access {
	first := p.match(once)
	if once == fully {
		return combine(first, first)
	}
	return combine(first, p.match(fully))
}

func (p *Proxy) match(path string) *rule {
	for i := range p.rules {
		if r := &p.rules[i]; r.matches(path) {
			return r
		}
	}
	return nil
}

func combine(a, b *rule) access {
	var out access
	out.public = a != nil && b != nil && a.Public && b.Public
	for _, r := range []*rule{a, b} {
		if r != nil && !r.exact && !slices.Contains(out.needs, r) {
			out.needs = append(out.needs, r)
		}
	}
	return out
}

// refuse says what of the access is missing, as a fault.Forbidden; it gives
// nil when nothing is.
func (a access) refuse(have mapping.Access) error {
	var missing []string
	for _, r := range a.needs {
		missing = append(missing, lacking("role", r.Roles, have.Roles)...)
		missing = append(missing, lacking("task", r.Tasks, have.Tasks)...)
	}
	if len(missing) == 0 {
		return nil
	}
	return fault.New(fault.Forbidden, "you may not open this page: you lack %s", strings.Join(missing, " and "))
}

func lacking(kind string, want, have []string) []string {
	var out []string
	for _, w := range want {
		if !slices.Contains(have, w) {
			out = append(out, "the "+kind+" “"+w+"”")
		}
	}
	return out
}
