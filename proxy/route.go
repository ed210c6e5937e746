package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"portcullis/session"
)

// Route is a rule for the paths below one: for everybody, or for whoever has
// all that is required. Where no Route applies, and where one says neither,
// it is enough to be signed in.
//
// Of the Routes that apply to a request the one with the longest path counts;
// of those with one path the one that names hosts, then the one that names
// methods, then the one that requires something. How the request is handed on
// (Headers, Upstream, MaxBody, EncodedSlash, Semicolon) is settled one by one:
// each by the longest Route that says so.
type Route struct {
	Path    string   // decoded; "/assets" and "/assets/" both mean /assets and everything below it
	Hosts   []string // lower case, without the scheme's own port; every host if empty
	Methods []string // every method if empty; GET stands for HEAD, too

	Public        bool           // for everybody, signed in or not
	Roles         []string       // all of these
	Tasks         []string       // all of these
	Connections   []string       // one of these
	Organizations []string       // one of these
	Addresses     []netip.Prefix // one of these has the client's address
	Demand        session.Demand // of the sign-in

	EncodedSlash bool      // let "%2F" through; each of its readings is judged
	Semicolon    bool      // let ";" through; each of its readings is judged
	Headers      Headers   // what identity headers are called here
	Upstream     *Upstream // where this goes instead
	MaxBody      int64     // bytes of a request's body; defaults to [Config.MaxBody]
}

// opens reports whether a route requires nothing but a session, or not even
// that.
func (r *Route) opens() bool {
	return len(r.Roles) == 0 && len(r.Tasks) == 0 && len(r.Connections) == 0 && len(r.Organizations) == 0 && len(r.Addresses) == 0 && r.Demand.IsZero()
}

// rule is a Route made ready for matching.
type rule struct {
	prefix  string // without its last slash
	exact   bool   // in this case only
	backend *backend
	names   *names
	Route
}

// compile orders rules so that the first that matches is the one that counts.
//
// A rule that requires something applies in any case: a portal that does not
// tell /Admin from /admin must not have a way around it. One that opens
// something applies only as it is written.
func compile(routes []Route) []rule {
	rules := make([]rule, 0, len(routes))
	for _, r := range routes {
		rules = append(rules, rule{prefix: strings.TrimSuffix(r.Path, "/"), exact: r.opens(), Route: r})
	}
	first := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return -1
		default:
			return 1
		}
	}
	slices.SortStableFunc(rules, func(a, b rule) int {
		if d := len(b.prefix) - len(a.prefix); d != 0 {
			return d
		}
		if d := first(len(a.Hosts) > 0, len(b.Hosts) > 0); d != 0 {
			return d
		}
		if d := first(len(a.Methods) > 0, len(b.Methods) > 0); d != 0 {
			return d
		}
		return first(!a.exact, !b.exact)
	})
	return rules
}

// matches reports whether a rule is about a path.
func (r *rule) matches(path string) bool {
	if r.exact {
		return r.matchesExactly(path)
	}
	return r.matchesFolded(path)
}

func (r *rule) matchesExactly(path string) bool {
	rest, ok := strings.CutPrefix(path, r.prefix)
	return ok && (rest == "" || rest[0] == '/')
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

// at reports whether a rule holds on a host.
func (r *rule) at(host string) bool { return len(r.Hosts) == 0 || slices.Contains(r.Hosts, host) }

// coverage says whether a rule is about a method.
type coverage int

const (
	other   coverage = iota // it names others
	perhaps                 // it names some, and nobody can say what this one does
	covered
)

// covers says whether a rule is about a method, which is empty where nobody
// knows it. A method that neither the rule nor the standard knows may be taken
// for any other by the portal, such as "post" for POST.
func (r *rule) covers(method string) coverage {
	switch {
	case len(r.Methods) == 0, slices.Contains(r.Methods, method), method == http.MethodHead && slices.Contains(r.Methods, http.MethodGet):
		return covered
	case slices.Contains(usualMethods[:], method):
		return other
	default:
		return perhaps
	}
}

// usualMethods is every method whose meaning is known without a rule that
// names it.
var usualMethods = [...]string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut,
	http.MethodPatch, http.MethodDelete, http.MethodOptions,
}
