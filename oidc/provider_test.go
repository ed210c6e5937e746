package oidc_test

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/fault"
	"portcullis/oidc"
)

func TestNobodyWaitsForAProviderLongerThanTheyStay(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	now := time.Now()
	p := oidc.New(oidc.Config{Issuer: server.URL, ClientID: "portal", Now: func() time.Time { return now }})
	if _, err := p.AuthURL(t.Context(), oidc.Request{}); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("a provider that is down: %v", err)
	}
	// The clock stands still: a discovery would have to wait for a second.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.AuthURL(ctx, oidc.Request{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("whoever left: %v", err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the provider was asked %d times, want once", n)
	}
}

// A provider that does not know a prompt refuses the whole request: only what
// it has to know, or says that it knows, is asked for.
func TestAnotherAccountIsAskedForAsTheProviderKnowsIt(t *testing.T) {
	const login, choose = "login", "select_account"
	for _, tc := range []struct {
		name, issuer string
		known        any // prompt_values_supported
		request      oidc.Request
		want         string
	}{
		{"nothing", "", []string{"none", login, choose}, oidc.Request{}, ""},
		{"unknown", "", nil, oidc.Request{Another: true}, login},
		{"said", "", []string{"none", login, choose}, oidc.Request{Another: true}, choose},
		{"not said", "", []string{"none", login, "consent"}, oidc.Request{Another: true}, login},
		{"nonsense", "", map[string]any{"x": 1}, oidc.Request{Another: true}, login},
		{"afresh", "", []string{choose}, oidc.Request{Another: true, Afresh: true}, login},
		{"Entra", "https://login.microsoftonline.com/x/v2.0", nil, oidc.Request{Another: true}, choose},
		{"Google", "https://accounts.google.com", nil, oidc.Request{Another: true}, choose},
		{"Entra says", "https://login.microsoftonline.com/x/v2.0", []string{login}, oidc.Request{Another: true}, login},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var server *httptest.Server
			server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				base := cmp.Or(tc.issuer, server.URL)
				doc := map[string]any{"issuer": base, "authorization_endpoint": base + "/a", "token_endpoint": base + "/t", "jwks_uri": base + "/k"}
				if tc.known != nil {
					doc["prompt_values_supported"] = tc.known
				}
				_ = json.NewEncoder(w).Encode(doc)
			}))
			t.Cleanup(server.Close)
			c := oidc.Config{Issuer: cmp.Or(tc.issuer, server.URL), ClientID: "portal", AllowPrivate: true}
			if tc.issuer != "" { // whose name leads to the server of this test
				c.HTTP = to(server)
			}
			text, err := oidc.New(c).AuthURL(t.Context(), tc.request)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := u.Query().Get("prompt"); got != tc.want {
				t.Errorf("prompt = %q, want %q", got, tc.want)
			}
		})
	}
}

// led leads every request to one server.
type led struct {
	http.RoundTripper

	host string
}

func to(s *httptest.Server) *http.Client {
	return &http.Client{Transport: led{http.DefaultTransport, s.Listener.Addr().String()}}
}

func (l led) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", l.host
	return l.RoundTripper.RoundTrip(r)
}
