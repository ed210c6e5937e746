package config

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Route is what the gate asks of requests below a path. Exactly one holds:
// Public, a Require that is not empty, or neither: then it is enough to be
// signed in, which carves a part out of a wider route.
type Route struct {
	Path    string   // a canonical path prefix: decoded, starts with "/"
	Hosts   []string // lower case, without the port of public_url's scheme; every host if empty
	Methods []string // every method if empty; GET stands for HEAD, too
	Public  bool     // for everybody, signed in or not
	Require Require

	EncodedSlash bool // %2F passes
	Semicolon    bool // ; passes
	Headers      Headers
	Upstream     *Upstream // nil: where the wider route leads
	MaxBody      int64     // bytes; 0: what the wider route says
}

// Headers are what a route calls the headers that say who is there; empty
// where it keeps the usual name.
type Headers struct {
	User, Email, Name, Roles, Assertion string
}

// Require names what a person needs, roles and tasks in the words of the
// mapping file. It is empty where nothing is needed but being signed in.
type Require struct {
	Roles         []string
	Tasks         []string
	Connections   []string       // one of these
	Organizations []string       // one of these
	Addresses     []netip.Prefix // one of these has the client's address
	ACR           []string       // one of these authentication context classes, as the identity provider names them
	MaxAge        time.Duration  // how long ago somebody may have proved who they are there; 0 where the file does not say
}

// IsZero reports whether nothing is required.
func (r Require) IsZero() bool {
	return len(r.Roles) == 0 && len(r.Tasks) == 0 && len(r.Connections) == 0 && len(r.Organizations) == 0 && len(r.Addresses) == 0 &&
		len(r.ACR) == 0 && r.MaxAge == 0
}

// Limits bounds what outsiders may ask.
type Limits struct {
	SCIM   Rate // requests of one connection; defaults to 200/s
	SignIn Rate // sign-ins started from one address; defaults to 10/s

	// Requests for the portal; 0 is no bound, and the default.
	PerAddress, PerAccount, PerConnection Rate

	Body    int64 // bytes of a request's body for the portal; 0 is no bound, and the default
	Headers int64 // bytes of a request's headers; defaults to 512KB
}

// Rate is how often something may happen.
type Rate struct {
	PerSecond float64 // above 0; 30/m is 0.5
}

// routes reads the rules of paths. c holds what was read before them.
func (s section) routes(c *Config) []Route {
	const want = "a list such as [{path: /assets/, public: true}]"
	var out []Route
	var lines []int
	for _, it := range s.items("routes", want) {
		rt := s.r.section(it.node, it.key, shape{
			keys:  []string{"path", "hosts", "methods", "public", "require", "allow", "headers", "upstream", "max_body"},
			later: []string{"preset"},
			hints: map[string]string{"host": "hosts is the key, with a list"},
		})
		route := rt.route(c)
		if n := rt.get("path"); n != nil && route.Path != "" {
			for i, before := range out {
				rt.meets(n, route, before, lines[i])
			}
		}
		line := 0
		if n := rt.get("path"); n != nil {
			line = n.line
		}
		out, lines = append(out, route), append(lines, line)
	}
	return out
}

// meets reports two routes of which nobody can say which one counts.
func (s section) meets(n *node, a, b Route, line int) {
	if strings.TrimSuffix(a.Path, "/") != strings.TrimSuffix(b.Path, "/") || !alike(a.Hosts, b.Hosts) {
		return
	}
	switch {
	case alike(a.Methods, b.Methods):
		s.r.problem(n.line, n.col, "%s: want each path once for the same hosts and methods, got %s again (first at line %d)", s.key("path"), show(a.Path), line)
	case a.Public && len(a.Methods) == 0 && !b.Public, b.Public && len(b.Methods) == 0 && !a.Public:
		s.r.problem(n.line, n.col, "%s: want the methods of the public one of two routes for %s, got one for every method (the other is at line %d)",
			s.key("path"), show(a.Path), line)
	}
}

// alike reports whether two lists have something in common, or are both empty.
func alike(a, b []string) bool {
	return len(a) == 0 && len(b) == 0 || slices.ContainsFunc(a, func(v string) bool { return slices.Contains(b, v) })
}

func (s section) route(c *Config) Route {
	s.missing("path", "a path such as /reports/")
	route := Route{
		Path:   scalar(s, "path", "a path prefix that starts with / and has no //, . or .. segment, %, ;, \\, ? or #", "", routePath),
		Hosts:  s.hosts(c),
		Public: s.flag("public"),
		Methods: s.texts("methods", "a list of methods such as [GET, POST]", "a method in capital letters such as GET", func(v string) (string, bool) {
			return v, methodShape.MatchString(v) && !slices.Contains([]string{http.MethodConnect, http.MethodTrace, "TRACK"}, v)
		}),
		Headers: s.headers(),
		MaxBody: scalar(s, "max_body", wantSize, 0, size),
	}
	s.notEmpty("hosts", "host")
	s.notEmpty("methods", "method")
	if n := s.get("path"); n != nil && reserved(route.Path) {
		s.r.wrong(n, s.key("path"), "a path of the portal (the gate answers there itself)")
	}
	if s.has("require") {
		route.Require = s.require(c)
		if n := s.get("require"); route.Public && n != nil {
			s.r.problem(n.line, n.col, "%s: want either public or require, got both", s.key("require"))
		}
	}
	if n := s.get("public"); route.Public && route.Path == "/" && len(route.Hosts) == 0 && n != nil {
		s.r.warn(n, "%s: the whole portal is open to everybody but where another route says otherwise", s.key("public"))
	}
	for _, odd := range s.texts("allow", "a list of encoded_slash and semicolon", "encoded_slash or semicolon", func(v string) (string, bool) {
		return v, v == "encoded_slash" || v == "semicolon"
	}) {
		route.EncodedSlash = route.EncodedSlash || odd == "encoded_slash"
		route.Semicolon = route.Semicolon || odd == "semicolon"
	}
	if s.has("upstream") {
		up := s.upstream(false)
		route.Upstream = &up
	}
	return route
}

// hosts reads hosts as browsers write them in an origin of public_url's
// scheme.
func (s section) hosts(c *Config) []string {
	scheme := "https"
	if c.PublicURL != nil {
		scheme = c.PublicURL.Scheme
	}
	return s.texts("hosts", "a list of hosts", "a host such as status.example.com, with its port if it is not the usual one", func(v string) (string, bool) {
		u, got := origin(scheme + "://" + v)
		if got != "" || strings.ContainsRune(v, '/') {
			return "", false
		}
		return u.Host, true
	})
}

// headers reads what the identity headers are called.
func (s section) headers() Headers {
	keys := []string{"user", "email", "name", "roles", "assertion"}
	hs := s.sub("headers", shape{keys: keys})
	seen := map[string]bool{}
	read := func(k string) string {
		v := hs.text(k, "the name of a header of letters, digits and - that says who somebody is, such as Remote-User", "", func(v string) bool {
			return headerShape.MatchString(v) && !meaningful(v)
		})
		if folded := strings.ToLower(v); v != "" && seen[folded] {
			hs.r.wrong(hs.get(k), hs.key(k), "another header than its neighbours have")
		} else {
			seen[folded] = true
		}
		return v
	}
	if n := hs.at; !hs.absent && len(n.pairs) == 0 {
		hs.r.problem(n.line, n.col, "%s: want user, email, name, roles or assertion, got an empty mapping", hs.path)
	}
	return Headers{User: read("user"), Email: read("email"), Name: read("name"), Roles: read("roles"), Assertion: read("assertion")}
}

// meaningful reports whether a header has a meaning of its own: it would be
// dropped from every request, or say two things. Package proxy knows what
// proxies say of requests, and its tests hold this list against that.
func meaningful(name string) bool {
	name = strings.ToLower(name)
	for _, prefix := range []string{
		"accept", "access-control-", "cache-", "content-", "forwarded", "if-", "proxy-", "sec-", "ssl-client-", "x-original-", "x-portcullis-", "x-http-method", "x-ssl",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	if of, ok := strings.CutPrefix(name, "x-forwarded-"); ok {
		return slices.Contains([]string{
			"by", "client-cert", "for", "host", "method", "path", "port", "prefix", "proto", "protocol", "scheme", "server", "ssl", "tls-client-cert",
			"tls-client-cert-info", "uri",
		}, of)
	}
	return slices.Contains([]string{
		"authorization", "cf-connecting-ip", "client-cert", "client-cert-chain", "client-ip", "connection", "cookie", "date", "expect", "fastly-client-ip",
		"front-end-https", "host", "http2-settings", "keep-alive", "max-forwards", "origin", "pragma", "range", "referer", "te", "trailer",
		"transfer-encoding", "true-client-ip", "upgrade", "user-agent", "via", "x-client-cert", "x-client-ip", "x-cluster-client-ip", "x-forwarded", "x-method",
		"x-method-override", "x-real-ip", "x-rewrite-url", "x-scheme", "x-url-scheme",
	}, name)
}

func (s section) require(c *Config) Require {
	const want, each = "a list of names from the mapping file", "a name from the mapping file"
	rq := s.sub("require", shape{
		keys:  []string{"roles", "tasks", "connections", "organizations", "acr", "max_age", "addresses"},
		later: []string{"permission_groups"},
	})
	for _, k := range []string{"roles", "tasks", "acr", "connections", "organizations"} {
		rq.notEmpty(k, "name")
	}
	if n := rq.at; !rq.absent && len(n.pairs) == 0 {
		rq.r.problem(n.line, n.col, "%s: want roles, tasks, connections, organizations, acr, max_age or addresses, got an empty mapping", rq.path)
	}
	known := func(name func(Connection) string) func(string) (string, bool) {
		return func(v string) (string, bool) {
			return v, slices.ContainsFunc(c.Connections, func(conn Connection) bool { return name(conn) == v })
		}
	}
	return Require{
		Roles: rq.texts("roles", want, each, oneWord), Tasks: rq.texts("tasks", want, each, oneWord), ACR: rq.classes(),
		Connections:   rq.texts("connections", "a list of ids of connections", "the id of a connection", known(func(c Connection) string { return c.ID })),
		Organizations: rq.texts("organizations", "a list of organizations", "the organization of a connection", known(func(c Connection) string { return c.Organization })),
		Addresses:     rq.some("addresses"),
		MaxAge: scalar(rq, "max_age", "from 1s to 30d, such as 5m", 0, func(v string) (time.Duration, bool) {
			d, ok := duration(v)
			return d, ok && d >= time.Second && d <= maxAbsolute
		}),
	}
}

// classes reads one authentication context class, or a list of which one is
// enough. They travel in one parameter with spaces between them (OpenID
// Connect Core 1.0, section 3.1.2.1).
func (s section) classes() []string {
	const k, each = "acr", "an authentication context class as the identity provider names it, without spaces"
	n := s.get(k)
	switch {
	case n == nil:
		return nil
	case n.kind == list:
		return s.texts(k, "a list", each, oneWord)
	}
	if v := scalar(s, k, each+", or a list of them", "", oneWord); v != "" {
		return []string{v}
	}
	return nil
}
