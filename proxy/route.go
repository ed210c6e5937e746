package proxy

import (
	"slices"
	"strings"
	"unicode/utf8"

	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/session"
)

// Route is a rule for the paths below one: for everybody, or for whoever has
// all that is required. Where no Route applies, and where one says neither,
// it is enough to be signed in.
type Route struct {
	Path   string         // decoded; "/assets" and "/assets/" both mean /assets and everything below it
	Public bool           // for everybody, signed in or not
	Roles  []string       // all of these
	Tasks  []string       // all of these
	Demand session.Demand // of the sign-in
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
		rules = append(rules, rule{prefix: strings.TrimSuffix(r.Path, "/"), exact: len(r.Roles) == 0 && len(r.Tasks) == 0 && r.Demand.IsZero(), Route: r})
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
	if r.exact {
		rest, ok := strings.CutPrefix(path, r.prefix)
		return ok && (rest == "" || rest[0] == '/')
	}
	return r.matchesFolded(path)
}

// matchesFolded is matches in any case: rune by rune, since some letters have
// a longer form of the other case.
func (r *rule) matchesFolded(path string) bool {
	for _, want := range r.prefix {
		got, size := utf8.DecodeRuneInString(path)
		if size == 0 || got != want && !strings.EqualFold(string(got), string(want)) {
			return false
		}
		path = path[size:]
	}
	return path == "" || path[0] == '/'
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

// strictest is what a path asks for that nobody knows: everything that any
// path asks for.
func (p *Proxy) strictest() access {
	var out access
	for i := range p.rules {
		if r := &p.rules[i]; !r.exact {
			out.needs = append(out.needs, r)
		}
	}
	return out
}

// match is the rule of a path; none is nil.
type match struct {
	*rule

	closed bool // a rule with a longer path that is not public has this one in another case
}

func (p *Proxy) match(path string) (m match) {
	for i := range p.rules {
		r := &p.rules[i]
		if r.matches(path) {
			m.rule = r
			return m
		}
		// What only asks for a session lifts a requirement as it is written
		// alone, but nothing shorter makes public what it closes.
		m.closed = m.closed || !r.Public && r.matchesFolded(path)
	}
	return m
}

func combine(a, b match) access {
	var out access
	out.public = a.opens() && b.opens()
	for _, m := range []match{a, b} {
		if m.rule != nil && !m.exact && !slices.Contains(out.needs, m.rule) {
			out.needs = append(out.needs, m.rule)
		}
	}
	return out
}

func (m match) opens() bool { return m.rule != nil && m.Public && !m.closed }

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
