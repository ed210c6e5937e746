package web_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"portcullis/fault"
	"portcullis/web"
)

// answer is what came back.
type answer struct {
	Code   int
	Header http.Header
	Text   string
}

// serve answers one request with h behind the middleware of the gate, and
// gives the response and the log.
func serve(t *testing.T, r *http.Request, h func(*gin.Context) error) (answer, string) {
	t.Helper()
	var logged bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.Use(web.Recover(log))
	e.Any("/*path", web.Handle(log, h))
	w := httptest.NewRecorder()
	web.References(e).ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}, logged.String()
}

func navigation(target string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	return r
}

func TestHandleAnswersEachKindWithItsStatus(t *testing.T) {
	for kind, want := range map[fault.Kind]int{
		fault.NotFound: 404, fault.Conflict: 409, fault.Invalid: 400, fault.Unauthenticated: 401, fault.Forbidden: 403,
		fault.Unavailable: 503, fault.TooLarge: 413, fault.Precondition: 412, fault.Internal: 500,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			err := fault.Wrap(kind, errors.New("dial tcp 10.0.0.1"), "the thing is <b>odd</b>")
			for _, r := range []*http.Request{navigation("/x"), httptest.NewRequest(http.MethodGet, "/x", nil)} {
				res, logged := serve(t, r, func(*gin.Context) error { return err })
				if res.Code != want {
					t.Errorf("status = %d, want %d", res.Code, want)
				}
				text := res.Text
				if strings.Contains(text, "10.0.0.1") || strings.Contains(text, "<b>odd") && res.Header.Get("Content-Type") == "text/html; charset=utf-8" {
					t.Errorf("the answer shows too much: %s", text)
				}
				ref := res.Header.Get(web.ReferenceHeader)
				if len(ref) < 12 || !strings.Contains(text, ref) {
					t.Errorf("reference %q is not in the answer: %s", ref, text)
				}
				if strings.Count(logged, "\n") != 1 || !strings.Contains(logged, ref) || !strings.Contains(logged, "10.0.0.1") {
					t.Errorf("log = %q, want one line with the cause and %s", logged, ref)
				}
			}
		})
	}
}

func TestPlainErrorIsInternalAndShownToNobody(t *testing.T) {
	res, _ := serve(t, navigation("/x"), func(*gin.Context) error { return errors.New("secret detail") })
	if text := res.Text; res.Code != http.StatusInternalServerError || strings.Contains(text, "secret detail") {
		t.Errorf("status = %d, body = %s", res.Code, text)
	}
}

func TestProblemDocument(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/x", nil)
	res, _ := serve(t, r, func(*gin.Context) error {
		return &web.Failure{
			Err: fault.New(fault.Unauthenticated, "nobody is signed in"), Status: 401,
			Header: http.Header{"Allow": {"GET"}}, Members: map[string]any{"sign_in": "/in", "status": 7},
		}
	})
	var got map[string]any
	if err := json.Unmarshal([]byte(res.Text), &got); err != nil {
		t.Fatal(err)
	}
	ref := res.Header.Get(web.ReferenceHeader)
	want := map[string]any{
		"type": "about:blank", "title": "Unauthorized", "status": 401.0, "detail": "Nobody is signed in.",
		"instance": "#" + ref, "reference": ref, "sign_in": "/in",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problem (-want +got):\n%s", diff)
	}
	if got := res.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type = %q", got)
	}
	if got := res.Header.Get("Allow"); got != "GET" {
		t.Errorf("Allow = %q", got)
	}
}

func TestOwnPagesCarrySecurityHeaders(t *testing.T) {
	res, _ := serve(t, navigation("/x"), func(*gin.Context) error { return fault.New(fault.Forbidden, "no") })
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "same-origin",
		"Cache-Control":           "no-store",
	}
	for k, v := range want {
		if got := res.Header.Get(k); got != v {
			t.Errorf("%s = %q, want %q", k, got, v)
		}
	}
	if text := res.Text; strings.Contains(text, "<script") || strings.Contains(text, "style=") {
		t.Errorf("the page needs what its policy forbids: %s", text)
	}
}

// Chromium applies form-action to redirects that follow a form, so a page
// whose form ends at an identity provider must do without it.
func TestFormsThatLeaveAreNotHeldBack(t *testing.T) {
	for _, tc := range []struct {
		page  string
		data  any
		wants string
		held  bool
	}{
		{"sign-in", web.SignIn{Action: "/go", ReturnTo: "/a?b=c", Choices: []web.Choice{{Name: "Acme", URL: "/.portcullis/sign-in/acme"}}}, `value="/a?b=c"`, false},
		{"sign-out", web.SignOut{Action: "/out", Name: "Ann <x>", Cancel: "/"}, "Ann &lt;x&gt;", false},
		{"message", web.Message{Title: "Signed out", Text: "Good bye.", Link: web.Link{Text: "In", URL: "javascript:alert(1)"}}, "#ZgotmplZ", true},
	} {
		t.Run(tc.page, func(t *testing.T) {
			res, _ := serve(t, navigation("/x"), func(c *gin.Context) error { return web.Page(c, 200, tc.page, tc.data) })
			if got := strings.Contains(res.Header.Get("Content-Security-Policy"), "form-action"); got != tc.held {
				t.Errorf("form-action present = %v, want %v", got, tc.held)
			}
			if text := res.Text; !strings.Contains(text, tc.wants) {
				t.Errorf("page = %s, want it to hold %s", text, tc.wants)
			}
		})
	}
}

func TestPagesOfAnotherPackage(t *testing.T) {
	if _, err := web.NewPages(fstest.MapFS{"a.html": {Data: []byte(`{{define "title"}}x{{end}}`)}}); err == nil {
		t.Error("NewPages took a page without a main template")
	}
	p, err := web.NewPages(fstest.MapFS{"a.html": {Data: []byte(`{{define "title"}}x{{end}}{{define "main"}}<h1>{{.Name}}</h1>{{end}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	res, _ := serve(t, navigation("/x"), func(c *gin.Context) error {
		return p.Render(c.Writer, c.Request, 202, "a", struct{ Name string }{"Ann"})
	})
	if text := res.Text; res.Code != http.StatusAccepted || !strings.Contains(text, "<h1>Ann</h1>") {
		t.Errorf("status = %d, page = %s", res.Code, text)
	}
	res, _ = serve(t, navigation("/x"), func(c *gin.Context) error { return p.Render(c.Writer, c.Request, 200, "a", 7) })
	if res.Code != http.StatusInternalServerError {
		t.Errorf("data that does not fit: status = %d, want 500", res.Code)
	}
}

func TestStyleSheetNamesItsContent(t *testing.T) {
	res, _ := serve(t, navigation("/x"), func(*gin.Context) error { return fault.New(fault.NotFound, "no") })
	paths := regexp.MustCompile(`/\.portcullis/assets/portcullis-[0-9a-f]{16}\.(css|svg)`).FindAllString(res.Text, -1)
	if len(paths) < 2 {
		t.Fatalf("assets on the page = %v", paths)
	}
	for _, p := range append(paths, "/.portcullis/assets/portcullis.css") {
		res, _ := serve(t, httptest.NewRequest(http.MethodGet, p, nil), func(c *gin.Context) error { return web.Asset(c.Writer, c.Request) })
		if p == "/.portcullis/assets/portcullis.css" {
			if res.Code != http.StatusNotFound {
				t.Errorf("%s: status = %d, want 404", p, res.Code)
			}
			continue
		}
		if got := res.Header.Get("Cache-Control"); res.Code != http.StatusOK || !strings.Contains(got, "immutable") {
			t.Errorf("%s: status = %d, Cache-Control = %q", p, res.Code, got)
		}
	}
}

func TestRecover(t *testing.T) {
	res, logged := serve(t, navigation("/x"), func(*gin.Context) error { panic("boom") })
	if text := res.Text; res.Code != http.StatusInternalServerError || strings.Contains(text, "boom") {
		t.Errorf("status = %d, body = %s", res.Code, text)
	}
	if !strings.Contains(logged, "boom") || !strings.Contains(logged, "web_test.go") {
		t.Errorf("log = %s, want the panic and its stack", logged)
	}
}

func TestWhatBeganIsCutAndNotFinished(t *testing.T) {
	for name, h := range map[string]func(*gin.Context) error{
		"abort":        func(*gin.Context) error { panic(http.ErrAbortHandler) },
		"late panic":   func(c *gin.Context) error { c.String(200, "half"); c.Writer.Flush(); panic("boom") },
		"late failure": func(c *gin.Context) error { c.String(200, "half"); c.Writer.Flush(); return errors.New("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if v, ok := recover().(error); !ok || !errors.Is(v, http.ErrAbortHandler) {
					t.Errorf("recover() = %v, want http.ErrAbortHandler", v)
				}
			}()
			serve(t, navigation("/x"), h)
		})
	}
}

func TestReferencesAreOurs(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		r := navigation("/x")
		r.Header.Set(web.ReferenceHeader, "theirs")
		res, _ := serve(t, r, func(c *gin.Context) error { c.String(200, web.Reference(c.Request.Context())); return nil })
		ref := res.Header.Get(web.ReferenceHeader)
		if got := res.Text; got != ref || seen[ref] || !regexp.MustCompile(`^[A-Z2-7]{12}$`).MatchString(ref) {
			t.Fatalf("reference = %q in the header, %q in the context", ref, got)
		}
		seen[ref] = true
	}
}

func TestWantsPage(t *testing.T) {
	for _, tc := range []struct {
		mode, accept string
		want         bool
	}{
		{"navigate", "text/html", true},
		{"", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true},
		{"", "application/json, TEXT/HTML;q=0.5", true},
		{"cors", "text/html", false},
		{"websocket", "text/html", false},
		{"navigate", "*/*", false},
		{"", "", false},
		{"", "text/html;q=0", false},
		{"", "text/html;q=0.0, */*", false},
		{"", "text/htmlx", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if tc.mode != "" {
			r.Header.Set("Sec-Fetch-Mode", tc.mode)
		}
		if tc.accept != "" {
			r.Header.Set("Accept", tc.accept)
		}
		if got := web.WantsPage(r); got != tc.want {
			t.Errorf("WantsPage(mode %q, accept %q) = %v, want %v", tc.mode, tc.accept, got, tc.want)
		}
	}
}

func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tc := range []struct {
		name, remote string
		forwarded    []string
		want         string
		proxied      bool
	}{
		{"no proxy", "203.0.113.9:1", nil, "203.0.113.9", false},
		{"a stranger's word", "203.0.113.9:1", []string{"1.1.1.1"}, "203.0.113.9", false},
		{"one proxy", "10.0.0.1:1", []string{"203.0.113.9"}, "203.0.113.9", true},
		{"the client lies", "10.0.0.1:1", []string{"1.1.1.1, 203.0.113.9"}, "203.0.113.9", true},
		{"two proxies", "10.0.0.1:1", []string{"1.1.1.1, 203.0.113.9, 10.0.0.2"}, "203.0.113.9", true},
		{"several lines", "10.0.0.1:1", []string{"1.1.1.1", "203.0.113.9", "10.0.0.2"}, "203.0.113.9", true},
		{"garbage stops", "10.0.0.1:1", []string{"1.1.1.1, what, 10.0.0.2"}, "10.0.0.2", true},
		{"empty stops", "10.0.0.1:1", []string{""}, "10.0.0.1", true},
		{"only proxies", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3", true},
		{"ports", "10.0.0.1:1", []string{"203.0.113.9:4711"}, "203.0.113.9", true},
		{"IPv6", "[fd00::1%eth0]:1", []string{"[2001:db8::1]:99"}, "2001:db8::1", true},
		{"IPv6 in brackets", "[fd00::1]:1", []string{"[2001:db8::1]"}, "2001:db8::1", true},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"203.0.113.9"}, "203.0.113.9", true},
		{"socket", "@", nil, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tc.remote
			r.Header["X-Forwarded-For"] = tc.forwarded
			var got string
			var proxied bool
			web.References(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got, proxied = web.ClientAddress(r), web.FromTrustedProxy(r)
			}), trusted...).ServeHTTP(httptest.NewRecorder(), r)
			if got != tc.want || proxied != tc.proxied {
				t.Errorf("ClientAddress = %q, %v, want %q, %v", got, proxied, tc.want, tc.proxied)
			}
		})
	}
}

func TestCookiesAreBoundToTheHost(t *testing.T) {
	for _, tc := range []struct{ public, set, cleared string }{
		{
			"https://gate.example", "__Host-portcullis=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax",
			"__Host-portcullis=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"http://127.0.0.1:8080", "portcullis=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax",
			"portcullis=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",
		},
	} {
		public, err := url.Parse(tc.public)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		web.SetCookie(w, public, web.SessionCookie, "v", time.Minute)
		web.ClearCookie(w, public, web.SessionCookie)
		if diff := cmp.Diff([]string{tc.set, tc.cleared}, w.Header()["Set-Cookie"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.public, diff)
		}
	}
}

func TestCookiesGivesAllValuesInOrder(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "gate.example"}
	many := strings.Repeat("a=b; ", 10_000)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["Cookie"] = []string{many + `=x; __Host-portcullis=one; ;; portcullis=no; __host-portcullis=no; __Host-portcullis=`, `__Host-portcullis="two"`}
	if diff := cmp.Diff([]string{"one", "two"}, web.Cookies(r, public, web.SessionCookie)); diff != "" {
		t.Errorf("Cookies (-want +got):\n%s", diff)
	}
	r.Header.Set("Cookie", strings.Repeat("__Host-portcullis=x;", 1000))
	if got := len(web.Cookies(r, public, web.SessionCookie)); got != 8 {
		t.Errorf("%d values, want 8: each costs a look-up", got)
	}
}

// A sibling host may set a cookie whose name begins with a space that is not
// ASCII: to the browser it has no prefix, and whoever trims it reads one of
// ours, which no other host can set.
func TestCookiesOfOtherNamesAreNotTrimmedIntoOurs(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "gate.example"}
	for _, space := range []string{"\u0085", "\u00a0", "\u1680", "\u2000", "\u2028", "\u202f", "\u3000", "\v", "\f"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Cookie"] = []string{"a=b; " + space + "__Host-portcullis=planted; __Host-portcullis" + space + "=planted; \t__Host-portcullis=ours"}
		if diff := cmp.Diff([]string{"ours"}, web.Cookies(r, public, web.SessionCookie)); diff != "" {
			t.Errorf("Cookies behind %q (-want +got):\n%s", space, diff)
		}
		if !web.OwnCookie(space + "__Host-portcullis") { // the upstream may trim, too
			t.Errorf("OwnCookie behind %q = false, want true", space)
		}
	}
}

func TestOwnCookie(t *testing.T) {
	for name, want := range map[string]bool{
		"portcullis": true, "__Host-portcullis": true, "__host-PORTCULLIS": true, "__Secure-portcullis-signin": true,
		"portcullis-oidc.acme": true, "portcullis_x": true, " portcullis ": true,
		"portcullisx": false, "my-portcullis": false, "": false, "__Host-": false, "__Host-session": false,
	} {
		if got := web.OwnCookie(name); got != want {
			t.Errorf("OwnCookie(%q) = %v, want %v", name, got, want)
		}
	}
}
