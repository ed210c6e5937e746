package login_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"portcullis/login"
	"portcullis/oidc"
)

func TestProviderThatIsDownAtStartHealsOnTheNextAttempt(t *testing.T) {
	const wellKnown = "/.well-known/openid-configuration"
	p, up, gone := newIDP(t), newIDP(t), newStoppedIDP(t)
	p.handle(wellKnown, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_ = gone.server.Listener.Close()
	g, b := newGate(t, nil, p, up, gone), newBrowser(t)
	for _, id := range []string{"acme", "gamma"} {
		g.refused(t, b.get(g.public.String()+"/.portcullis/sign-in/"+id), http.StatusServiceUnavailable, "cannot be reached")
	}
	if answer := b.signIn(g, "/.portcullis/sign-in/beta"); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("the other connection: %d", answer.StatusCode)
	}
	p.handle(wellKnown, nil)
	if answer := b.signIn(g, "/.portcullis/sign-in/acme"); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("after the return: %d\n%s", answer.StatusCode, answer.body)
	}
}

func TestRediscoveryIsSharedAndRateLimited(t *testing.T) {
	p := newIDP(t)
	p.handle("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	g, b := newGate(t, nil, p), newBrowser(t)
	began := time.Now()
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if answer := b.get(g.public.String() + "/.portcullis/sign-in/acme"); answer.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("status %d", answer.StatusCode)
			}
		})
	}
	wg.Wait()
	b.get(g.public.String() + "/.portcullis/sign-in/acme")
	limit := 1 + int(time.Since(began)/time.Second)
	if n := p.count("/.well-known/openid-configuration"); n > limit {
		t.Errorf("%d discoveries in %s, want at most %d", n, time.Since(began), limit)
	}
}

func TestUnusableMetadataIsRefusedInWords(t *testing.T) {
	const wellKnown = "/.well-known/openid-configuration"
	put := func(name string, v any) func(*idp) {
		return func(p *idp) { p.metadata = func(m map[string]any) { m[name] = v } }
	}
	answer := func(body string) func(*idp) {
		return func(p *idp) {
			p.handle(wellKnown, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
		}
	}
	for _, tc := range []struct {
		name  string
		lie   func(*idp)
		words string
	}{
		{"another issuer", put("issuer", "https://evil.example"), "another issuer"},
		{"issuer with a slash", func(p *idp) { p.metadata = func(m map[string]any) { m["issuer"] = p.issuer() + "/" } }, "another issuer"},
		{"issuer in another case alone", func(p *idp) {
			p.metadata = func(m map[string]any) { m["ISSUER"] = m["issuer"]; delete(m, "issuer") }
		}, "another issuer"},
		{"oversized", answer(`{"x":"` + strings.Repeat("x", 2<<20) + `"}`), "not usable"},
		{"HTML", answer("<html>"), "not a proper JSON object"},
		{"members twice", answer(`{"issuer":"a","issuer":"b"}`), "not a proper JSON object"},
		{"not found", func(p *idp) { p.handle(wellKnown, http.NotFound) }, "not usable"},
		{"redirect to another host", func(p *idp) {
			p.handle(wellKnown, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, strings.Replace(p.issuer(), "127.0.0.1", "localhost", 1)+"/elsewhere", http.StatusFound)
			})
		}, "not usable"},
		{"redirect loop", func(p *idp) {
			p.handle(wellKnown, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, wellKnown, http.StatusFound) })
		}, "not usable"},
		{"no authorization endpoint", put("authorization_endpoint", nil), "lacks an endpoint"},
		{"no key set", put("jwks_uri", ""), "lacks an endpoint"},
		{"endpoint of plain http", put("token_endpoint", "http://idp.example/token"), "not https"},
		{"endpoint of another scheme", put("jwks_uri", "file:///etc/passwd"), "not a URL"},
		{"script as an endpoint", put("authorization_endpoint", "javascript:alert(1)"), "not a URL"},
		{"endpoint with a password", put("userinfo_endpoint", "https://a:b@idp.example/"), "not a URL"},
		{"endpoint that is no string", put("end_session_endpoint", 7), "lacks an endpoint"},
		{"no asymmetric algorithm", put("id_token_signing_alg_values_supported", []string{"none", "HS256"}), "no algorithm that is accepted"},
		{"algorithms that are no list", put("id_token_signing_alg_values_supported", 7), "lists no signing algorithms"},
		{"client authentication we have not", put("token_endpoint_auth_methods_supported", []string{"private_key_jwt"}), "no client authentication"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newIDP(t)
			tc.lie(p)
			g := newGate(t, nil, p)
			g.refused(t, newBrowser(t).get(g.public.String()+"/.portcullis/sign-in"), http.StatusBadRequest, tc.words)
			if p.count("/elsewhere") != 0 || p.count(wellKnown) > 4 {
				t.Errorf("redirects were followed")
			}
		})
	}
}

func TestIssuerMustBeSafe(t *testing.T) {
	for _, issuer := range []string{"http://idp.example", "https://idp.example?x=1", "https://a@idp.example", "ftp://127.0.0.1", "", ":", "127.0.0.1"} {
		g := newGate(t, func(c *login.Config) {
			c.Connections = []login.Connection{{ID: "acme", OIDC: &login.OIDC{Provider: oidc.Config{Issuer: issuer, ClientID: "x"}}}}
		})
		g.refused(t, newBrowser(t).get(g.public.String()+"/.portcullis/sign-in"), http.StatusBadRequest, "not an https URL")
	}
}

func TestMetadataCannotPointIntoTheNetwork(t *testing.T) {
	for _, address := range []string{"10.255.255.1", "169.254.169.254", "[fd00::1]", "[::ffff:192.168.0.1]", "0.0.0.0"} {
		p := newIDP(t)
		p.metadata = func(m map[string]any) { m["jwks_uri"] = "https://" + address + "/jwks" }
		g := newGate(t, nil, p)
		// Refused at once, not after a time-out.
		g.refused(t, newBrowser(t).signIn(g, "/.portcullis/sign-in"), http.StatusBadRequest, "not usable")
	}
}

func TestRunDiscoversInTheBackgroundAndEnds(t *testing.T) {
	p := newIDP(t)
	g := newGate(t, nil, p)
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- g.login.Run(ctx) }()
	for deadline := time.Now().Add(10 * time.Second); p.count("/.well-known/openid-configuration") == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no discovery")
		}
		runtime.Gosched()
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
	goleak.VerifyNone(t, before)
}

func TestCheckTellsWhatIsWrong(t *testing.T) {
	fine, down, keyless := newIDP(t), newStoppedIDP(t), newIDP(t)
	_ = down.server.Listener.Close()
	keyless.keySet = func() []byte { return []byte(`{"keys":[]}`) }
	g := newGate(t, func(c *login.Config) {
		c.Connections = []login.Connection{
			connection(fine, "fine"), connection(down, "down"), connection(keyless, "keyless"),
		}
	})
	var got []string
	for _, r := range g.login.Check(t.Context()) {
		line := r.Connection + " " + r.Name
		if r.Err != nil {
			line += ": " + r.Detail
		}
		got = append(got, line)
	}
	text := strings.Join(got, "\n")
	for _, want := range []string{
		"fine metadata\nfine keys\nfine clock\n",
		"down metadata: the identity provider cannot be reached",
		"keyless keys: the answer of the identity provider was refused: it offers no signing key",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("Check lacks %q in:\n%s", want, text)
		}
	}
	g.advance(5 * time.Minute)
	skewed := g.login.Check(t.Context())[2]
	if skewed.Name != "clock" || skewed.Err == nil || !strings.Contains(skewed.Err.Error(), "clocks are 5m") {
		t.Errorf("a skew of 5 minutes: %+v", skewed)
	}
}

func TestProviderOverTLSIsVerified(t *testing.T) {
	p := newStoppedIDP(t)
	p.server.StartTLS()
	untrusted := newGate(t, nil, p)
	answer := newBrowser(t).get(untrusted.public.String() + "/.portcullis/sign-in")
	if answer.StatusCode != http.StatusBadRequest {
		t.Errorf("an untrusted certificate: %d", answer.StatusCode)
	}
	trusted := newGate(t, func(c *login.Config) { c.HTTP = p.server.Client() }, p)
	b := newBrowser(t)
	b.http.Transport = p.server.Client().Transport
	if answer := b.signIn(trusted, "/.portcullis/sign-in"); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("a trusted certificate: %d\n%s", answer.StatusCode, answer.body)
	}
}
