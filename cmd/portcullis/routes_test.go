package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/config"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/proxy"
	"portcullis/session"
)

// guests are the sessions of the guide: the cookie is the name.
type guests map[string]*session.Principal

func (g guests) Verify(_ context.Context, token string) (*session.Principal, error) {
	if who := g[token]; who != nil {
		return who, nil
	}
	return nil, fault.New(fault.Unauthenticated, "you are not signed in")
}

func (g guests) VerifyToken(ctx context.Context, secret string) (*session.Principal, error) {
	return g.Verify(ctx, secret)
}

func (guests) CutWhere(func(*session.Principal, string) bool) int { return 0 }

func (guests) Watch(ctx context.Context, _ *session.Principal, _ string) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}

type noKeys struct{}

func (noKeys) Sign(any) (string, error) { return "a.b.c", nil }
func (noKeys) JWKS() []byte             { return nil }

// TestTheExamplesOfTheRoutesGuideWork: each is a configuration as it stands,
// and does what the block under it says.
func TestTheExamplesOfTheRoutesGuideWork(t *testing.T) {
	text, err := os.ReadFile("../../docs/guides/routes.md")
	if err != nil {
		t.Fatal(err)
	}
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer up.Close()
	target, err := url.Parse(up.URL)
	if err != nil {
		t.Fatal(err)
	}
	who := guests{}
	for name, access := range map[string]mapping.Access{"clerk": {Tasks: []string{"report.view"}}, "guest": {}, "partner": {}} {
		who[name] = &session.Principal{SessionID: name, PersonID: name, Connection: "acme", Organization: "Acme", Subject: name, Expires: time.Now().Add(time.Hour), Access: access}
	}
	who["partner"].Connection, who["partner"].Organization = "partner", "Partner"
	asked := 0
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```\n(?:\n```text\n(.*?)```)?").FindAllStringSubmatch(string(text), -1) {
		cfg := parseGuide(t, m[1])
		c := proxy.Config{PublicURL: cfg.PublicURL, Sessions: who, Keys: noKeys{}, HandOver: &proxy.HandOver{}}
		if err := portals(&c, cfg, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		c.Upstream.URL = target
		for i := range c.Routes {
			if c.Routes[i].Upstream != nil {
				c.Routes[i].Upstream.URL = target
			}
		}
		p := proxy.New(c)
		for line := range strings.Lines(m[2]) {
			var method, address, name string
			var want int
			if _, err := fmt.Sscan(line, &method, &address, &name, &want); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			asked++
			if got := askAs(p, method, address, name, cfg.PublicURL); got != want {
				t.Errorf("%s = %d in\n%s", strings.TrimSpace(line), got, m[1])
			}
		}
		p.Close()
	}
	if asked < 35 {
		t.Errorf("%d requests are tried", asked)
	}
}

// parseGuide makes a whole configuration of a part.
func parseGuide(t *testing.T, part string) *config.Config {
	t.Helper()
	for key, line := range map[string]string{
		"public_url":  "public_url: https://portal.example.com\n",
		"upstream":    "upstream: {url: \"http://127.0.0.1:3000\"}\n",
		"database":    "database: {url: \"sqlite:gate.db\"}\n",
		"mapping":     "mapping: {file: mapping.yaml}\n",
		"connections": "connections: [{id: acme, organization: Acme, scim: {enabled: true}}, {id: partner, organization: Partner, scim: {enabled: true}}]\n",
	} {
		if !strings.Contains("\n"+part, "\n"+key+":") {
			part += line
		}
	}
	cfg, err := config.Parse("portcullis.yaml", []byte(part), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatalf("%v in\n%s", err, part)
	}
	return cfg
}

func askAs(p *proxy.Proxy, method, address, name string, public *url.URL) int {
	r := httptest.NewRequest(method, "/", nil)
	r.Host, r.RequestURI = public.Host, address
	if rest, ok := strings.CutPrefix(address, "http://"); ok {
		host, path, _ := strings.Cut(rest, "/")
		r.Host, r.RequestURI = host, "/"+path
	}
	var err error
	if r.URL, err = url.ParseRequestURI(r.RequestURI); err != nil {
		return http.StatusBadRequest
	}
	if name != "nobody" {
		r.Header.Set("Cookie", "__Host-portcullis="+name)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Code
}

// TestEveryKeyOfARouteReachesTheProxy holds that nothing which the file says
// of routes, upstreams, limits and proxies in front gets lost on the way.
func TestEveryKeyOfARouteReachesTheProxy(t *testing.T) {
	dir := t.TempDir()
	writePair(t, dir)
	cfg, err := config.Parse(filepath.Join(dir, "portcullis.yaml"), []byte(`public_url: https://portal.example.com
upstream: {url: "http://127.0.0.1:3000", audience: portal, answer_within: 3m, health: /up}
database: {url: "sqlite:gate.db"}
mapping: {file: mapping.yaml}
limits: {requests_per_address: 1/s, requests_per_account: 2/s, requests_per_connection: 3/s, body: 4KB, headers: 8KB}
security_headers: {hsts: 1d, portal: true}
trusted_proxies: [10.0.0.0/8]
forward_auth: [10.0.0.1]
connections: [{id: acme, organization: Acme, addresses: [192.0.2.0/24], scim: {enabled: true}}]
routes:
  - {path: /a/, hosts: [portal.example.com], methods: [POST], allow: [encoded_slash], max_body: 5KB, headers: {user: U, email: E, name: N, roles: R, assertion: A},
     require: {roles: [r], tasks: [t], connections: [acme], organizations: [Acme], addresses: [10.0.0.1], acr: [mfa], max_age: 1m}}
  - {path: /b/, public: true, allow: [semicolon], upstream: {url: "https://b.example", tls: {ca_file: cert.pem, server_name: b.internal, cert_file: cert.pem, key_file: key.pem}}}
`), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	var got proxy.Config
	if err := portals(&got, cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	got.Networks = newRoster(cfg, nil, nil, slog.New(slog.DiscardHandler), time.Now).state.Load().networks()
	conf := got.Routes[1].Upstream.TLS
	// The authorities of the file judge in VerifyConnection.
	if conf.ServerName != "b.internal" || conf.VerifyConnection == nil || conf.GetClientCertificate == nil {
		t.Errorf("TLS = %+v", conf)
	}
	got.Routes[1].Upstream.TLS = nil
	own := netip.MustParsePrefix("192.0.2.0/24")
	want := proxy.Config{
		Upstream: proxy.Upstream{URL: cfg.Upstream.URL, Audience: "portal", AnswerWithin: 3 * time.Minute, Health: "/up"},
		Limits:   proxy.Limits{PerAddress: 1, PerAccount: 2, PerConnection: 3}, MaxBody: 4 << 10, HSTS: 24 * time.Hour, PortalHeaders: true,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Askers: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")},
		Networks: map[string][]netip.Prefix{"acme": {own}},
		Routes: []proxy.Route{
			{
				Path: "/a/", Hosts: []string{"portal.example.com"}, Methods: []string{"POST"}, Roles: []string{"r"}, Tasks: []string{"t"}, Connections: []string{"acme"},
				Organizations: []string{"Acme"}, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}, Demand: session.Demand{ACR: []string{"mfa"}, MaxAge: time.Minute},
				EncodedSlash: true, MaxBody: 5 << 10, Headers: proxy.Headers{User: "U", Email: "E", Name: "N", Roles: "R", Assertion: "A"},
			},
			{Path: "/b/", Public: true, Semicolon: true, Upstream: &proxy.Upstream{URL: cfg.Routes[1].Upstream.URL, Audience: "https://b.example", AnswerWithin: 2 * time.Minute}},
		},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("portals (-want +got):\n%s", diff)
	}
}

// writePair writes a certificate and its key, and gives what trusts it.
func writePair(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{
		SerialNumber: serial, DNSNames: []string{"portal.example.com"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10*24*time.Hour + time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	err = errors.Join(os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
		os.WriteFile(filepath.Join(dir, "cert.pem"), cert, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return pool
}

// TestTheGateSpeaksTLS: the running gate takes a new certificate without a
// restart, tells how long it holds, and how its upstreams are.
func TestTheGateSpeaksTLS(t *testing.T) {
	w := newWorld(t, terrain{idpDown: true})
	roots := writePair(t, w.dir)
	text, err := os.ReadFile(filepath.Join(w.dir, "portcullis.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	secure := "https" + strings.TrimPrefix(w.public, "http")
	conf := strings.Replace(string(text), "public_url: "+w.public, "public_url: "+secure+"\ntls: {cert_file: cert.pem, key_file: key.pem}", 1)
	w.write(t, "portcullis.yaml", strings.Replace(conf, "upstream: {", "upstream: {health: /public/healthz, ", 1))
	w.start(t)
	get := func(roots *x509.CertPool) (int, http.Header) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableKeepAlives: true}
		res, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Get(secure + "/.portcullis/jwks.json")
		if err != nil {
			return 0, nil
		}
		_ = res.Body.Close()
		if res.ProtoMajor != 2 {
			t.Errorf("spoken is %s", res.Proto)
		}
		return res.StatusCode, res.Header
	}
	if code, h := get(roots); code != http.StatusOK || h.Get("Strict-Transport-Security") != "max-age=31536000" {
		t.Errorf("answer = %d %v", code, h)
	}
	expires := w.metric(t, "portcullis_tls_certificate_expires_timestamp_seconds")
	if up := w.metric(t, `portcullis_upstream_up{upstream="`+w.portal.URL+`"}`); up != "1" || expires == "0" {
		t.Errorf("upstream up = %s, certificate expires %s", up, expires)
	}
	next := writePair(t, w.dir)
	eventually(t, "the new certificate is used", 30*time.Second, func() bool { code, _ := get(next); return code == http.StatusOK })
	if code, _ := get(roots); code != 0 {
		t.Error("the old certificate is still used")
	}
	found := examineTLS(must(config.Load(filepath.Join(w.dir, "portcullis.yaml"), os.LookupEnv)), time.Now())
	if len(found) != 1 || found[0].Status != "warning" || !strings.Contains(found[0].Detail, "10 days left") {
		t.Errorf("doctor = %+v", found)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestTheDoctorLooksAtUpstreams: at each, once, with its certificate and
// health.
func TestTheDoctorLooksAtUpstreams(t *testing.T) {
	dir := t.TempDir()
	well := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer well.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: well.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	u := must(url.Parse(well.URL))
	trusted := &config.UpstreamTLS{CAFile: filepath.Join(dir, "ca.pem")}
	now := well.Certificate().NotAfter.Add(-100 * 24 * time.Hour)
	for want, up := range map[string]config.Upstream{
		"fine " + well.URL + ", certificate for 100 days, /healthz answers 200 OK":          {URL: u, TLS: trusted, Health: "/healthz"},
		"fine " + well.URL + ", certificate for 100 days":                                   {URL: u, TLS: trusted},
		"broken " + well.URL + ", certificate for 100 days: /sick answers 500 Internal":     {URL: u, TLS: trusted, Health: "/sick"},
		"broken " + well.URL + ": tls: failed to verify certificate":                        {URL: u},
		"broken " + well.URL + ": read the authorities of the upstream: open " + dir + "/x": {URL: u, TLS: &config.UpstreamTLS{CAFile: filepath.Join(dir, "x")}},
	} {
		cfg := &config.Config{Upstream: up, Routes: []config.Route{{Path: "/a", Upstream: &up}, {Path: "/b"}}}
		found := examineUpstreams(t.Context(), cfg, now)
		if len(found) != 1 || !strings.HasPrefix(found[0].Status+" "+found[0].Detail, want) {
			t.Errorf("doctor = %+v, want %s", found, want)
		}
	}
	found := examineUpstreams(t.Context(), &config.Config{Upstream: config.Upstream{URL: u, TLS: trusted}}, well.Certificate().NotAfter.Add(-time.Hour))
	if !slices.ContainsFunc(found, func(d diagnosis) bool { return d.Status == "warning" }) {
		t.Errorf("doctor, an hour before the end = %+v", found)
	}
}
