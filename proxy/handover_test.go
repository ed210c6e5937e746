package proxy_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/fault"
	"portcullis/proxy"
	"portcullis/session"
	"portcullis/web"
)

// once is what replicas remember of codes.
type once struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (o *once) use(_ context.Context, hash []byte, _ time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[string(hash)] {
		return fault.New(fault.Conflict, "it counted before")
	}
	if o.seen == nil {
		o.seen = map[string]bool{}
	}
	o.seen[string(hash)] = true
	return nil
}

// surfer is a browser that keeps cookies by host, and follows nothing by
// itself.
type surfer struct {
	*gate
	jar map[string]map[string]string
}

func (g *gate) surfer() *surfer { return &surfer{g, map[string]map[string]string{}} }

// visit asks for a target at a host as a page.
func (s *surfer) visit(t *testing.T, host, target string, lines ...string) answer {
	t.Helper()
	var cookies []string
	for name, value := range s.jar[host] {
		cookies = append(cookies, name+"="+value)
	}
	if len(cookies) > 0 {
		lines = append(lines, "Cookie: "+strings.Join(cookies, "; "))
	}
	request := strings.Replace(s.request("GET", target, append(lines, "page")...), "Host: "+s.addr+"\r\n", "Host: "+host+"\r\n", 1)
	res := raw(t, s.addr, request)
	for _, c := range (&http.Response{Header: res.Header}).Cookies() {
		if s.jar[host] == nil {
			s.jar[host] = map[string]string{}
		}
		if c.Domain != "" || c.Path != "/" || !c.HttpOnly {
			t.Errorf("%s sets %v", host, c)
		}
		if c.MaxAge < 0 {
			delete(s.jar[host], c.Name)
		} else {
			s.jar[host][c.Name] = c.Value
		}
	}
	return res
}

// follow goes where an answer leads, and gives the next one.
func (s *surfer) follow(t *testing.T, host string, res answer) (string, answer) {
	t.Helper()
	to, err := url.Parse(res.Header.Get("Location"))
	if err != nil || res.Code/100 != 3 {
		t.Fatalf("%d leads to %q, %v", res.Code, res.Header.Get("Location"), err)
	}
	if to.Host != "" {
		host = to.Host
	}
	return host, s.visit(t, host, to.RequestURI())
}

const (
	reports = "reports.example"
	ledger  = "ledger.example"
)

// houses opens a gate with three hosts, and a clock.
func houses(t *testing.T, change ...func(*proxy.Config)) (*gate, *tape, *time.Time) {
	t.Helper()
	r := furnish(t)
	tp := record(t)
	now := time.Now()
	var codes once
	g := open(t, tp.url, append([]func(*proxy.Config){
		trusting("127.0.0.1/32"),
		routes(
			proxy.Route{Path: "/", Hosts: []string{reports, ledger}},
			proxy.Route{Path: "/open/", Hosts: []string{reports}, Public: true},
			proxy.Route{Path: "/admin/", Roles: []string{"administrator"}},
			proxy.Route{Path: "/pay/", Hosts: []string{reports}, Demand: session.Demand{ACR: []string{"mfa"}}},
		),
		func(c *proxy.Config) {
			c.HandOver = &proxy.HandOver{Sealer: r.ring, Once: codes.use}
			c.Now = func() time.Time { return now }
		},
	}, change...)...)
	return g, tp, &now
}

// begun is a browser of Ann's with a session at the public host.
func (g *gate) begun() *surfer {
	s := g.surfer()
	s.jar[g.addr] = map[string]string{"portcullis": annToken}
	return s
}

// code goes as far as to be sent to a host with a code, and gives the address.
func (s *surfer) code(t *testing.T, host, target string) string {
	t.Helper()
	at, res := s.follow(t, host, s.visit(t, host, target))
	at, res = s.follow(t, at, res)
	if at != s.addr || res.Code != http.StatusSeeOther {
		t.Fatalf("the public host answers %d", res.Code)
	}
	return res.Header.Get("Location")
}

func TestWhoIsSignedInIsHandedOverToOtherHosts(t *testing.T) {
	g, tp, _ := houses(t)
	s := g.begun()
	deep := "/q?next=https://a.b/c&x=%2Fy;z"
	res := s.visit(t, reports, deep)
	if want := "/.portcullis/sign-in?return_to=" + url.QueryEscape(deep); res.Code != http.StatusFound || res.Header.Get("Location") != want {
		t.Fatalf("without a session = %d to %q, want a redirect to %q", res.Code, res.Header.Get("Location"), want)
	}
	host := reports
	for range 4 {
		host, res = s.follow(t, host, res)
	}
	head := tp.head(t)
	if host != reports || res.Code != http.StatusOK || !strings.HasPrefix(head, "GET "+deep+" ") {
		t.Fatalf("it ended at %s with %d, the portal saw %q", host, res.Code, head)
	}
	if h := header(t, head); h.Get("X-Portcullis-User") != "ann-1" || strings.Contains(head, "portcullis=") {
		t.Errorf("the portal was told %v", h)
	}
	if c := s.jar[reports]; len(c) != 1 || c["portcullis"] == "" || strings.Contains(c["portcullis"], annToken) {
		t.Errorf("the cookies there are %v", c)
	}
	if res := s.visit(t, reports, "/admin/"); res.Code != http.StatusForbidden {
		t.Errorf("a page for others = %d", res.Code)
	}
	if res := s.visit(t, reports, "/.portcullis/whoami"); res.Code != http.StatusOK || !strings.Contains(res.Text, "ann-1") {
		t.Errorf("whoami there = %d", res.Code)
	}
	if res := s.visit(t, reports, "/.portcullis/sign-out"); res.Header.Get("Location") != g.url+"/.portcullis/sign-out" {
		t.Errorf("sign-out there leads to %q", res.Header.Get("Location"))
	}
	g.people.leave(annToken) // ends it everywhere
	if res := s.visit(t, reports, "/q"); res.Code != http.StatusFound || len(s.jar[reports]) != 0 {
		t.Errorf("after the end of the session = %d, with the cookies %v", res.Code, s.jar[reports])
	}
}

func TestOneHostsCookieOpensNoOther(t *testing.T) {
	g, _, _ := houses(t)
	s := g.begun()
	if _, res := s.follow(t, reports, answer{Code: 303, Header: http.Header{"Location": {s.code(t, reports, "/q")}}}); res.Code != http.StatusSeeOther {
		t.Fatalf("the hand-over ends with %d", res.Code)
	}
	sealed := s.jar[reports]["portcullis"]
	for host, value := range map[string]string{
		g.addr: sealed, ledger: sealed, reports: annToken,
		reports + ":80": annToken, ledger + ":80": sealed[:len(sealed)-2] + "AA",
	} {
		thief := g.surfer()
		thief.jar[host] = map[string]string{"portcullis": value}
		if res := thief.visit(t, host, "/q"); res.Code != http.StatusFound {
			t.Errorf("%s with %q = %d", host, value, res.Code)
		}
	}
}

func TestACodeIsWorthNothingToAnybodyElse(t *testing.T) {
	g, _, now := houses(t)
	for name, try := range map[string]func(s *surfer, code string) answer{
		"twice": func(s *surfer, code string) answer {
			secret := s.jar[reports]["portcullis-handover"]
			s.visit(t, reports, code)
			s.jar[reports] = map[string]string{"portcullis-handover": secret}
			return s.visit(t, reports, code)
		},
		"in another browser, as a login that somebody else began": func(_ *surfer, code string) answer {
			return g.surfer().visit(t, reports, code)
		},
		"in another browser that is on its way, too": func(_ *surfer, code string) answer {
			victim := g.surfer()
			victim.visit(t, reports, "/.portcullis/sign-in")
			return victim.visit(t, reports, code)
		},
		"at another host": func(s *surfer, code string) answer {
			s.jar[ledger] = s.jar[reports]
			return s.visit(t, ledger, code)
		},
		"at the public host": func(s *surfer, code string) answer {
			s.jar[g.addr]["portcullis-handover"] = s.jar[reports]["portcullis-handover"]
			return s.visit(t, g.addr, code)
		},
		"too late": func(s *surfer, code string) answer {
			*now = now.Add(2 * time.Minute)
			return s.visit(t, reports, code)
		},
		"altered": func(s *surfer, code string) answer { return s.visit(t, reports, code[:len(code)-4]+"AAAA") },
		"none":    func(s *surfer, _ string) answer { return s.visit(t, reports, "/.portcullis/hand-over") },
		"no code": func(s *surfer, _ string) answer { return s.visit(t, reports, "/.portcullis/hand-over?code=%00") },
	} {
		s := g.begun()
		to, err := url.Parse(s.code(t, reports, "/q"))
		if err != nil {
			t.Fatal(err)
		}
		res := try(s, to.RequestURI())
		for host, jar := range s.jar {
			if host != g.addr && jar["portcullis"] != "" && name != "twice" {
				t.Errorf("%s: %s has a session", name, host)
			}
		}
		if res.Code != http.StatusBadRequest {
			t.Errorf("%s = %d, want 400", name, res.Code)
		}
	}
	s := g.begun()
	to, err := url.Parse(s.code(t, reports, "/q"))
	if err != nil {
		t.Fatal(err)
	}
	g.people.leave(annToken)
	if res := s.visit(t, reports, to.RequestURI()); res.Code != http.StatusUnauthorized || s.jar[reports]["portcullis"] != "" {
		t.Errorf("after the end of the session a code = %d", res.Code)
	}
}

func TestAHandOverLeadsToOurHostsAlone(t *testing.T) {
	g, _, _ := houses(t)
	bind := "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
	for _, query := range []string{
		"", "?host=" + reports, "?host=evil.example&bind=" + bind, "?host=" + g.addr + "&bind=" + bind, "?host=" + reports + "&bind=x",
		"?host=" + reports + "%40evil.example&bind=" + bind, "?host=evil.example%2F" + reports + "&bind=" + bind,
	} {
		if res := g.begun().visit(t, g.addr, "/.portcullis/hand-over"+query); res.Code != http.StatusBadRequest {
			t.Errorf("%q = %d to %q", query, res.Code, res.Header.Get("Location"))
		}
	}
	for _, evil := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "/.portcullis/sign-out", "javascript:alert(1)", "/%2Fevil.example", "/a\tb"} {
		s := g.begun()
		host, res := s.follow(t, reports, s.visit(t, reports, "/.portcullis/sign-in?return_to="+url.QueryEscape(evil)))
		host, res = s.follow(t, host, res)
		if to := res.Header.Get("Location"); host != reports || to != "/" {
			t.Errorf("return_to %q leads to %q at %s", evil, to, host)
		}
	}
	for _, target := range []string{"/.portcullis/admin/", "/.portcullis/oidc/acme/callback", "/scim/v2/acme/Users", "/.portcullis/Sign-In", "/.portcullis/%73ign-in", "/.portcullis/sign-in/../x"} {
		if res := g.begun().visit(t, reports, target); res.Code != http.StatusMisdirectedRequest && res.Code != http.StatusBadRequest {
			t.Errorf("%s at another host = %d", target, res.Code)
		}
	}
	request := strings.Replace(g.request("POST", "/.portcullis/sign-in", "Content-Length: 0"), "Host: "+g.addr, "Host: "+reports, 1)
	if res := raw(t, g.addr, request); res.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST = %d", res.Code)
	}
}

// Whoever has no session is sent to sign in, and comes back with what the page
// at the other host demands; and whose sign-in falls short of that is sent to
// their identity provider again.
func TestAHandOverGoesByWayOfTheSignIn(t *testing.T) {
	g, _, _ := houses(t)
	s := g.surfer()
	host, res := s.follow(t, reports, s.visit(t, reports, "/pay/now"))
	host, res = s.follow(t, host, res)
	to, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	back := to.Query().Get("return_to")
	if host != g.addr || to.Path != "/.portcullis/sign-in" || web.SafeReturn(parse(t, g.url), back) != back {
		t.Errorf("it leads to %s", to)
	}
	if d := g.Demand(back); len(d.ACR) != 1 || d.ACR[0] != "mfa" {
		t.Errorf("the sign-in for %s demands %v", back, d)
	}
	if d := g.Demand("/pay/now"); !d.IsZero() {
		t.Errorf("the same path of the public host demands %v", d)
	}

	s = g.begun()
	if _, res := s.follow(t, reports, answer{Code: 303, Header: http.Header{"Location": {s.code(t, reports, "/q")}}}); res.Code != http.StatusSeeOther {
		t.Fatalf("the hand-over ends with %d", res.Code)
	}
	_, res = s.follow(t, reports, s.visit(t, reports, "/pay/now"))
	if to := res.Header.Get("Location"); !strings.HasPrefix(to, g.url+"/.portcullis/sign-in/acme?return_to=%2F.portcullis%2Fhand-over%3F") {
		t.Errorf("a step-up leads to %q", to)
	}
}

// A proxy in front is told the same at every host.
func TestForwardAuthHandsOverToo(t *testing.T) {
	g, _, _ := houses(t)
	s := g.begun()
	ask := func(host string) answer {
		return s.visit(t, host, authURL, "X-Original-URI: /q", "X-Original-Method: GET")
	}
	if res := ask(reports); res.Code != http.StatusUnauthorized || res.Header.Get("X-Portcullis-Sign-In") != "/.portcullis/sign-in?return_to=%2Fq" {
		t.Errorf("without a session = %d, %v", res.Code, res.Header)
	}
	if _, res := s.follow(t, reports, answer{Code: 303, Header: http.Header{"Location": {s.code(t, reports, "/q")}}}); res.Code != http.StatusSeeOther {
		t.Fatalf("the hand-over ends with %d", res.Code)
	}
	if res := ask(reports); res.Code != http.StatusOK || res.Header.Get("X-Portcullis-User") != "ann-1" || res.Header.Get("Cookie") != "" {
		t.Errorf("with one = %d, %v", res.Code, res.Header)
	}
	s.jar[ledger] = s.jar[reports]
	if res := ask(ledger); res.Code != http.StatusUnauthorized {
		t.Errorf("with another host's = %d", res.Code)
	}
	if res := s.visit(t, "internal", authURL, "X-Forwarded-Host: "+reports, "X-Original-URI: /q", "X-Original-Method: GET", "Cookie: portcullis="+s.jar[reports]["portcullis"]); res.Code != http.StatusOK {
		t.Errorf("named by the proxy = %d", res.Code)
	}
}
