package proxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"portcullis/fault"
	"portcullis/session"
)

// access is what a request asks for.
type access struct {
	public bool
	needs  []*rule // all of them
}

// accessTo finds the rules of a request: of each of the readings of its path
// as a portal that decodes the path once sees it, and of what is left when
// nothing can be decoded any more. They differ for nobody but those who try;
// then all of the rules hold.
func (p *Proxy) accessTo(t *target) access {
	out := access{public: true}
	for i := range t.readings {
		out.join(p.match(t, t.readings[i].Once))
		if t.readings[i].Fully != t.readings[i].Once {
			out.join(p.match(t, t.readings[i].Fully))
		}
	}
	return out
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

// match is what holds for a path.
type match struct {
	*rule // that counts; none is nil

	besides []*rule // hold, too, since nobody can say what the method does
	closed  bool    // nothing makes the path public
}

// match finds the rule that counts.
//
// A rule of other methods lets a request fall through to the next. What
// requires something, or a session, closes behind it: nothing makes public
// what falls through, but a rule for the same path that names the method.
func (p *Proxy) match(t *target, path string) (m match) {
	var passed *rule // the first that was of other methods, and not public
	for i := range p.rules {
		r := &p.rules[i]
		if !r.at(t.host) {
			continue
		}
		if !r.matches(path) {
			// What only asks for a session lifts a requirement as it is written
			// alone, but nothing shorter makes public what it closes.
			m.closed = m.closed || !r.Public && r.matchesFolded(path)
			continue
		}
		c := r.covers(t.method)
		if c == covered {
			m.rule = r
			if len(r.Methods) > 0 { // what it names is no other method of the same path
				m.besides = slices.DeleteFunc(m.besides, func(other *rule) bool { return len(other.prefix) == len(r.prefix) })
			}
			m.closed = m.closed || passed != nil && (len(r.Methods) == 0 || len(r.prefix) < len(passed.prefix))
			return m
		}
		if c == perhaps && !r.exact {
			m.besides = append(m.besides, r)
		}
		if passed == nil && !r.Public {
			passed = r
		}
	}
	return m
}

func (a *access) join(m match) {
	a.public = a.public && m.rule != nil && m.Public && !m.closed
	if m.rule != nil {
		a.need(m.rule)
	}
	for _, r := range m.besides {
		a.need(r)
	}
}

func (a *access) need(r *rule) {
	if !r.exact && !slices.Contains(a.needs, r) {
		a.needs = append(a.needs, r)
	}
}

// refuseAddress fails with fault.Forbidden for an address from which nobody
// may come.
func (a access) refuseAddress(client string) error {
	for _, r := range a.needs {
		if len(r.Addresses) > 0 && !within(r.Addresses, client) {
			return fault.New(fault.Forbidden, "you may not open this page from your network")
		}
	}
	return nil
}

// within reports whether an address is in one of the ranges. What is no
// address is in none.
func within(ranges []netip.Prefix, client string) bool {
	addr, err := netip.ParseAddr(client)
	return err == nil && slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// refuse says what of the access is missing, as a fault.Forbidden; it gives
// nil when nothing is.
func (a access) refuse(who *session.Principal) error {
	var missing []string
	for _, r := range a.needs {
		if len(r.Connections) > 0 && !slices.Contains(r.Connections, who.Connection) ||
			len(r.Organizations) > 0 && !slices.Contains(r.Organizations, who.Organization) {
			return fault.New(fault.Forbidden, "you may not open this page: it is for another organization")
		}
		missing = append(missing, lacking("the role “%s”", r.Roles, who.Access.Roles)...)
		missing = append(missing, lacking("the task “%s”", r.Tasks, who.Access.Tasks)...)
	}
	if len(missing) == 0 {
		return nil
	}
	return fault.New(fault.Forbidden, "you may not open this page: you lack %s", strings.Join(missing, " and "))
}

// lacking names, by a format, what of want is not in have.
func lacking(format string, want, have []string) []string {
	var out []string
	for _, w := range want {
		if !slices.Contains(have, w) {
			out = append(out, fmt.Sprintf(format, w))
		}
	}
	return out
}
