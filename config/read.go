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
	defaultHeaders     = 512 << 10
	defaultHSTS        = 365 * 24 * time.Hour
	defaultAnswer      = 2 * time.Minute

	maxAbsolute = 30 * 24 * time.Hour
	maxHSTS     = 730 * 24 * time.Hour
	maxAnswer   = 24 * time.Hour
)

const sqliteScheme = "sqlite:"

// config reads the whole file.
func (r *reader) config(root *node) *Config {
	s := r.section(root, "", shape{
		keys: []string{
			"environment", "public_url", "listen", "ops_listen", "upstream", "database", "keys", "mapping",
			"connections", "sessions", "routes", "trusted_proxies", "forward_auth", "limits", "shutdown", "tls", "security_headers", "telemetry",
		},
		later: []string{"mail", "preset", "saml", "local"},
	})
	c := &Config{
		Environment:    s.text("environment", "a name of letters, digits, - and _", defaultEnvironment, environmentShape.MatchString),
		PublicURL:      s.publicURL(),
		Upstream:       s.upstream(true),
		Database:       s.database(),
		Mapping:        s.mapping(),
		Sessions:       s.sessions(),
		Connections:    s.connections(),
		TrustedProxies: s.prefixes("trusted_proxies"),
		Limits:         s.limits(),
		Shutdown:       s.shutdown(),
		Traces:         s.telemetry(),
	}
	c.ForwardAuth = s.forwardAuth(c.TrustedProxies)
	c.Routes = s.routes(c)
	c.TLS, c.SecurityHeaders = s.tls(c.PublicURL), s.securityHeaders()
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
	ss := s.sub("sessions", shape{keys: []string{"idle", "absolute", "max"}})
	bounded := func(v string) (time.Duration, bool) {
		d, ok := duration(v)
		return d, ok && d >= time.Second && d <= maxAbsolute
	}
	const want = "from 1s to 30d, such as 15m, 12h or 1h30m"
	out := Sessions{
		Idle:     scalar(ss, "idle", want, defaultIdle, bounded),
		Absolute: scalar(ss, "absolute", want, defaultAbsolute, bounded),
		Max:      ss.count("max", 10_000),
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

// prefixes reads a list of addresses and ranges.
func (s section) prefixes(k string) []netip.Prefix {
	return s.ranges(k, "an address or a range such as 10.0.0.0/8", func(netip.Prefix) bool { return true })
}

// ranges is prefixes where each must fit.
func (s section) ranges(k, each string, fits func(netip.Prefix) bool) []netip.Prefix {
	var out []netip.Prefix
	for _, it := range s.items(k, "a list of addresses and ranges") {
		p, ok := netip.Prefix{}, false
		if it.kind == text {
			p, ok = addressRange(it.text)
		}
		switch {
		case !ok, !fits(p):
			s.r.wrong(it.node, it.key, each)
		case slices.Contains(out, p):
			s.r.problem(it.line, it.col, "%s: want each once, got %s again", it.key, show(it.text))
		default:
			out = append(out, p)
		}
	}
	return out
}

// forwardAuth reads which of the trusted proxies ask about requests.
func (s section) forwardAuth(trusted []netip.Prefix) []netip.Prefix {
	const k = "forward_auth"
	if s.has(k) {
		return append([]netip.Prefix{}, s.ranges(k, "an address or a range within those of trusted_proxies", func(p netip.Prefix) bool {
			return slices.ContainsFunc(trusted, func(t netip.Prefix) bool { return t.Bits() <= p.Bits() && t.Contains(p.Addr()) })
		})...)
	}
	if n := s.get("trusted_proxies"); n != nil && len(trusted) > 0 {
		s.r.warn(n, "trusted_proxies: forward_auth does not say which of these ask at /.portcullis/auth, [] for none: "+
			"until it does, what a page's script asks for is refused there")
	}
	return nil
}

// some is prefixes for a list that means nobody when it is empty: that is
// never meant.
func (s section) some(k string) []netip.Prefix {
	s.notEmpty(k, "address")
	return s.prefixes(k)
}

// notEmpty reports an empty list under k.
func (s section) notEmpty(k, of string) {
	if n := s.get(k); n != nil && n.kind == list && len(n.items) == 0 {
		s.r.problem(n.line, n.col, "%s: want at least one %s, got an empty list", s.key(k), of)
	}
}

func (s section) limits() Limits {
	const want = "a rate such as 10/s or 30/m"
	l := s.sub("limits", shape{keys: []string{
		"scim", "sign_in", "requests_per_address", "requests_per_account", "requests_per_connection", "body", "headers",
	}})
	return Limits{
		SCIM:          scalar(l, "scim", want, Rate{PerSecond: defaultSCIMRate}, rate),
		SignIn:        scalar(l, "sign_in", want, Rate{PerSecond: defaultSignInRate}, rate),
		PerAddress:    scalar(l, "requests_per_address", want, Rate{}, rate),
		PerAccount:    scalar(l, "requests_per_account", want, Rate{}, rate),
		PerConnection: scalar(l, "requests_per_connection", want, Rate{}, rate),
		Body:          scalar(l, "body", wantSize, 0, size),
		Headers: scalar(l, "headers", "from 8KB to 16MB", defaultHeaders, func(v string) (int64, bool) {
			n, ok := size(v)
			return n, ok && n >= 8<<10 && n <= 16<<20
		}),
	}
}

func (s section) tls(public *url.URL) *TLS {
	if !s.has("tls") {
		return nil
	}
	t := s.sub("tls", shape{keys: []string{"cert_file", "key_file"}})
	t.missing("cert_file", "the path of a file")
	t.missing("key_file", "the path of a file")
	if n := s.get("tls"); n != nil && public != nil && public.Scheme == "http" {
		s.r.problem(n.line, n.col, "tls: want an https public_url with it, got http")
	}
	return &TLS{CertFile: t.file("cert_file"), KeyFile: t.file("key_file")}
}

// file reads the path of a file.
func (s section) file(k string) string {
	if s.get(k) == nil {
		return ""
	}
	return s.r.resolve(s.text(k, "the path of a file", "", fileName))
}

func (s section) securityHeaders() SecurityHeaders {
	sh := s.sub("security_headers", shape{keys: []string{"hsts", "portal"}})
	return SecurityHeaders{
		HSTS: scalar(sh, "hsts", "from 1s to 730d, such as 365d, or off", defaultHSTS, func(v string) (time.Duration, bool) {
			if v == "off" {
				return 0, true
			}
			d, ok := duration(v)
			return d, ok && d >= time.Second && d <= maxHSTS
		}),
		Portal: sh.flag("portal"),
	}
}
