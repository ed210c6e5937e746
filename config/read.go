package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The defaults of the contract.
const (
	defaultEnvironment = "prod"
	defaultListen      = "127.0.0.1:8080"
	defaultOpsListen   = "127.0.0.1:9090"
	defaultKeys        = "gate.key"
	defaultIdle        = 15 * time.Minute
	defaultAbsolute    = 12 * time.Hour
	defaultSCIMRate    = 200
	defaultSignInRate  = 10
	defaultDelay       = time.Second
	defaultDrain       = 5 * time.Second

	maxAbsolute = 30 * 24 * time.Hour
)

const sqliteScheme = "sqlite:"

// config reads the whole file.
func (r *reader) config(root *node) *Config {
	s := r.section(root, "", shape{
		keys: []string{
			"environment", "public_url", "listen", "ops_listen", "upstream", "database", "keys", "mapping",
			"connections", "sessions", "routes", "trusted_proxies", "limits", "shutdown",
		},
		later: []string{"mail", "tls", "preset", "saml", "local"},
	})
	c := &Config{
		Environment:    s.text("environment", "a name of letters, digits, - and _", defaultEnvironment, environmentShape.MatchString),
		PublicURL:      s.publicURL(),
		Upstream:       s.upstream(),
		Database:       s.database(),
		Mapping:        s.mapping(),
		Sessions:       s.sessions(),
		Connections:    s.connections(),
		Routes:         s.routes(),
		TrustedProxies: s.trustedProxies(),
		Limits:         s.limits(),
		Shutdown:       s.shutdown(),
	}
	c.Listen, c.OpsListen = s.listeners()
	c.Keys = s.keys(c.Database)
	return c
}

func (s section) publicURL() *url.URL {
	const k, want = "public_url", "an origin such as https://portal.example.com"
	u := s.origin(k, want)
	if u != nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		s.r.wrong(s.get(k), s.key(k), "https (http is for loopback only)")
	}
	return u
}

// origin reads an URL that must be there.
func (s section) origin(k, want string) *url.URL {
	s.missing(k, want)
	n := s.get(k)
	if n == nil {
		return nil
	}
	if n.kind != text {
		s.r.wrong(n, s.key(k), want)
		return nil
	}
	u, got := origin(n.text)
	if got != "" {
		s.r.problem(n.line, n.col, "%s: want %s, got %s", s.key(k), want, got)
	}
	return u
}

// listeners reads the two addresses. "off" as the second turns it off.
func (s section) listeners() (listen, ops string) {
	const want = "host:port"
	listen = scalar(s, "listen", want, defaultListen, address)
	ops = scalar(s, "ops_listen", want+" or off", defaultOpsListen, func(v string) (string, bool) {
		if v == "off" {
			return "", true
		}
		return address(v)
	})
	if clash(listen, ops) {
		k, other := "ops_listen", "listen"
		if !s.has(k) {
			k, other = other, k
		}
		if n := s.get(k); n != nil {
			s.r.wrong(n, s.key(k), "another address than "+other+" has")
		}
	}
	return listen, ops
}

func (s section) upstream() Upstream {
	s.missing("upstream", "a mapping such as {url: http://127.0.0.1:3000}")
	up := s.sub("upstream", shape{keys: []string{"url", "audience"}})
	u := up.origin("url", "the portal's origin, such as http://127.0.0.1:3000")
	audience := ""
	if u != nil {
		audience = u.String()
	}
	return Upstream{URL: u, Audience: up.text("audience", "a text", audience, visible)}
}

func (s section) database() Database {
	const want = "sqlite:FILE or postgres://…"
	s.missing("database", `a mapping such as {url: "sqlite:portcullis.db"}`)
	db := s.sub("database", shape{keys: []string{"url", "url_file", "url_env"}})
	key, dsn := db.dsn(want)
	if dsn == "" {
		return Database{}
	}
	n := db.get(key)
	if path, ok := strings.CutPrefix(dsn, sqliteScheme); ok {
		if !fileName(path) || strings.ContainsAny(path, "?#") || strings.HasPrefix(path, "//") || strings.HasPrefix(path, ":") {
			s.r.secretly(n, db.key(key), "sqlite: and the path of a file, without parameters")
			return Database{}
		}
		return Database{URL: NewSecret(sqliteScheme + s.r.resolve(path))}
	}
	u, ok := postgres(dsn)
	if !ok {
		s.r.secretly(n, db.key(key), want)
		return Database{}
	}
	if _, has := u.User.Password(); key == "url" && (has || u.Query().Has("password")) {
		s.r.warn(n, "%s: a password stands in this file: url_file or url_env keeps it out", db.key(key))
	}
	return Database{URL: NewSecret(dsn)}
}

// dsn finds the database's URL and the key that gave it. It gives "" after
// reporting what is wrong.
func (s section) dsn(want string) (key, dsn string) {
	for _, k := range []string{"url", "url_file", "url_env"} {
		if s.has(k) && key != "" {
			n := s.values[k]
			s.r.problem(n.line, n.col, "%s: want one of url, url_file and url_env, got several", s.key(k))
			return "", ""
		}
		if s.has(k) {
			key = k
		}
	}
	n := s.get(key)
	switch {
	case key == "":
		s.missing("url", want)
	case n == nil: // reported
	case key != "url":
		return key, s.secret("url_file", "url_env").Reveal()
	case n.kind != text || n.text == "":
		s.r.secretly(n, s.key(key), want)
	default:
		return key, n.text
	}
	return "", ""
}

// postgres reads a connection URL as libpq takes it, where the host may also
// be a parameter (a socket's folder) or absent.
func postgres(dsn string) (*url.URL, bool) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Opaque != "" || u.Fragment != "" {
		return nil, false
	}
	return u, strings.HasPrefix(dsn, u.Scheme+"://")
}

func (s section) keys(db Database) Keys {
	const k = "file"
	ks := s.sub("keys", shape{keys: []string{k}})
	if n := ks.get(k); n != nil {
		return Keys{File: s.r.resolve(ks.text(k, "the path of a file", defaultKeys, fileName))}
	}
	if _, embedded := db.SQLite(); !embedded && !db.URL.IsZero() && !ks.has(k) {
		s.r.problem(ks.at.line, ks.at.col, "%s: want the path of a file: with PostgreSQL every replica needs the same key, got nothing", ks.key(k))
	}
	return Keys{File: s.r.resolve(defaultKeys)}
}

func (s section) sessions() Sessions {
	ss := s.sub("sessions", shape{keys: []string{"idle", "absolute"}})
	bounded := func(v string) (time.Duration, bool) {
		d, ok := duration(v)
		return d, ok && d >= time.Second && d <= maxAbsolute
	}
	const want = "from 1s to 30d, such as 15m, 12h or 1h30m"
	out := Sessions{
		Idle:     scalar(ss, "idle", want, defaultIdle, bounded),
		Absolute: scalar(ss, "absolute", want, defaultAbsolute, bounded),
	}
	if out.Idle > out.Absolute {
		k, want := "idle", "at most sessions.absolute ("+brief(out.Absolute)+")"
		if !ss.has(k) {
			k, want = "absolute", "at least sessions.idle ("+brief(out.Idle)+")"
		}
		s.r.wrong(ss.get(k), ss.key(k), want)
	}
	return out
}

func (s section) shutdown() Shutdown {
	ss := s.sub("shutdown", shape{keys: []string{"delay", "drain"}})
	within := func(least, most time.Duration) func(string) (time.Duration, bool) {
		return func(v string) (time.Duration, bool) {
			d, ok := duration(v)
			return d, ok && d >= least && d <= most
		}
	}
	return Shutdown{
		Delay: scalar(ss, "delay", "from 0s to 5m, such as 10s", defaultDelay, within(0, 5*time.Minute)),
		Drain: scalar(ss, "drain", "from 1s to 1h, such as 30s", defaultDrain, within(time.Second, time.Hour)),
	}
}

func (s section) routes() []Route {
	const want = "a list such as [{path: /assets/, public: true}]"
	var out []Route
	lines := map[string]int{}
	for _, it := range s.items("routes", want) {
		rt := s.r.section(it.node, it.key, shape{
			keys:  []string{"path", "public", "require"},
			later: []string{"preset", "headers", "host", "hosts", "methods"},
		})
		rt.missing("path", "a path such as /reports/")
		route := Route{
			Path:   scalar(rt, "path", "a path prefix that starts with / and has no //, . or .. segment, %, ;, \\, ? or #", "", routePath),
			Public: rt.flag("public"),
		}
		if n := rt.get("path"); n != nil && route.Path != "" {
			if reserved(route.Path) {
				rt.r.wrong(n, rt.key("path"), "a path of the portal (the gate answers there itself)")
			}
			if line, twice := lines[route.Path]; twice {
				rt.r.problem(n.line, n.col, "%s: want each path once, got %s again (first at line %d)", rt.key("path"), show(route.Path), line)
			}
			lines[route.Path] = n.line
		}
		if rt.has("require") {
			route.Require = rt.require()
			if n := rt.get("require"); route.Public && n != nil {
				rt.r.problem(n.line, n.col, "%s: want either public or require, got both", rt.key("require"))
			}
		}
		if n := rt.get("public"); route.Public && route.Path == "/" && n != nil {
			rt.r.warn(n, "%s: the whole portal is open to everybody but where another route says otherwise", rt.key("public"))
		}
		out = append(out, route)
	}
	return out
}

func (s section) require() Require {
	const want, each = "a list of names from the mapping file", "a name from the mapping file"
	rq := s.sub("require", shape{
		keys:  []string{"roles", "tasks", "acr", "max_age"},
		later: []string{"connections", "permission_groups"},
	})
	for _, k := range []string{"roles", "tasks", "acr"} {
		if n := rq.get(k); n != nil && n.kind == list && len(n.items) == 0 {
			rq.r.problem(n.line, n.col, "%s: want at least one name, got an empty list", rq.key(k))
		}
	}
	if n := rq.at; !rq.absent && len(n.pairs) == 0 {
		rq.r.problem(n.line, n.col, "%s: want roles, tasks, acr or max_age, got an empty mapping", rq.path)
	}
	return Require{
		Roles: rq.texts("roles", want, each, oneWord), Tasks: rq.texts("tasks", want, each, oneWord), ACR: rq.classes(),
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

func (s section) trustedProxies() []netip.Prefix {
	const k, want = "trusted_proxies", "an address or a range such as 10.0.0.0/8"
	var out []netip.Prefix
	for _, it := range s.items(k, "a list of addresses and ranges") {
		p, ok := netip.Prefix{}, false
		if it.kind == text {
			p, ok = proxyPrefix(it.text)
		}
		switch {
		case !ok:
			s.r.wrong(it.node, it.key, want)
		case slices.Contains(out, p):
			s.r.problem(it.line, it.col, "%s: want each once, got %s again", it.key, show(it.text))
		default:
			out = append(out, p)
		}
	}
	return out
}

func (s section) limits() Limits {
	const want = "a rate such as 10/s or 30/m"
	l := s.sub("limits", shape{keys: []string{"scim", "sign_in"}})
	return Limits{
		SCIM:   scalar(l, "scim", want, Rate{PerSecond: defaultSCIMRate}, rate),
		SignIn: scalar(l, "sign_in", want, Rate{PerSecond: defaultSignInRate}, rate),
	}
}
