package proxy

import (
	"portcullis/fault"
	"portcullis/web"
)

// place is how a request is handed on.
type place struct {
	backend *backend
	names   *names
	maxBody int64 // of a body, in bytes; 0 is no bound
}

// settled settles how a request is handed on. What could be read as a way to
// two places is refused: only one of them would have been judged.
func (p *Proxy) settled(g *passage, method string) error {
	g.place = p.placeOf(g.host, method, g.readings[0].Once)
	for _, r := range g.readings[1:] {
		if p.placeOf(g.host, method, r.Once) != g.place {
			return fault.New(fault.Invalid, "the address is ambiguous: it could lead to two places")
		}
	}
	return nil
}

// placeOf finds the longest route for each setting. Only as it is written
// does a path lead somewhere; the bound of a body holds in any case of its
// letters, too.
func (p *Proxy) placeOf(host, method, path string) place {
	out := place{p.main, p.names, p.maxBody}
	var placed, named, bounded bool
	for _, r := range p.settings {
		if !r.at(host) || r.covers(method) != covered || !r.matchesFolded(path) {
			continue
		}
		if !r.matchesExactly(path) {
			if r.MaxBody > 0 && (out.maxBody == 0 || r.MaxBody < out.maxBody) {
				out.maxBody, bounded = r.MaxBody, true
			}
			continue
		}
		if r.backend != nil && !placed {
			out.backend, placed = r.backend, true
		}
		if r.names != nil && !named {
			out.names, named = r.names, true
		}
		if r.MaxBody > 0 && !bounded {
			out.maxBody, bounded = r.MaxBody, true
		}
	}
	return out
}

// allowed reports whether routes let the odd signs of a path through, below
// each of its readings: the way to a reading leads through the route.
func (p *Proxy) allowed(host string, readings []web.Reading, slash, semicolon bool) bool {
	for _, r := range readings {
		for _, path := range []string{r.Once, r.Fully} {
			if slash && !p.lets(host, path, func(r *rule) bool { return r.EncodedSlash }) ||
				semicolon && !p.lets(host, path, func(r *rule) bool { return r.Semicolon }) {
				return false
			}
		}
	}
	return true
}

func (p *Proxy) lets(host, path string, through func(*rule) bool) bool {
	for i := range p.rules {
		if r := &p.rules[i]; r.at(host) && r.matchesExactly(path) && through(r) {
			return true
		}
	}
	return false
}
