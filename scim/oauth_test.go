package scim_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/scim"
)

const acmeTokenURL = "https://gate.example/base/scim/v2/acme/oauth/token"

// grant asks the token endpoint of a connection. The headers follow the form.
func (r *rig) grant(connection string, form url.Values, headers ...string) answer {
	r.t.Helper()
	return r.sendTo(connection, "", "POST", "/oauth/token", form.Encode(),
		append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

// client makes an OAuth client of acme.
func (r *rig) client(key []byte) (id, secret string) {
	r.t.Helper()
	secret, token, err := r.tokens.CreateClient(context.Background(), audit.Gate(), "acme", "test", 0, key)
	if err != nil {
		r.t.Fatal(err)
	}
	return token.ID, secret
}

func credentials(id, secret string, more ...string) url.Values {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	for i := 0; i+1 < len(more); i += 2 {
		if form.Set(more[i], more[i+1]); more[i+1] == "" {
			form.Del(more[i])
		}
	}
	return form
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

func TestClientCredentialsGiveATokenForAnHour(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.clock.turn(time.Second) // the list is in the order of creation
	id, secret := r.client(nil)
	for name, a := range map[string]answer{
		"post":        r.grant("acme", credentials(id, secret, "scope", "scim")),
		"basic":       r.grant("acme", url.Values{"grant_type": {"client_credentials"}}, "Authorization", basic(id, secret)),
		"many scopes": r.grant("acme", credentials(id, secret, "scope", "openid scim")),
	} {
		r.want(a, 200)
		token := a.text("access_token")
		if a.text("token_type") != "Bearer" || a.text("scope") != "scim" || a.at("expires_in") != 3600.0 {
			t.Errorf("%s: answer = %s", name, a.raw)
		}
		if cc, ct := a.header.Get("Cache-Control"), a.header.Get("Content-Type"); cc != "no-store" || ct != "application/json" {
			t.Errorf("%s: Cache-Control = %q, Content-Type = %q", name, cc, ct)
		}
		r.want(r.sendTo("acme", token, "GET", "/Users", nil), 200)
		r.want(r.sendTo("beta", token, "GET", "/Users", nil), 401)
	}
	r.want(r.sendTo("acme", secret, "GET", "/Users", nil), 401) // the client's secret is no token
	list, err := r.tokens.List(t.Context(), "acme")
	if err != nil || len(list) != 2 || list[1].LastUsed.IsZero() || bytes.Contains(list[1].Hash, []byte(secret)) {
		t.Errorf("List = %+v, %v, want a client that was used", list, err)
	}
	token := r.grant("acme", credentials(id, secret)).text("access_token")
	r.clock.turn(time.Hour - time.Second)
	r.want(r.sendTo("acme", token, "GET", "/Users", nil), 200)
	r.clock.turn(time.Second)
	r.want(r.sendTo("acme", token, "GET", "/Users", nil), 401)
}

func TestARevokedClientHasNoTokensOnAnyReplica(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	other := newRigOnSame(t, r)
	id, secret := r.client(nil)
	token := r.grant("acme", credentials(id, secret)).text("access_token")
	r.want(other.sendTo("acme", token, "GET", "/Users", nil), 200)
	if err := r.tokens.Revoke(t.Context(), audit.Gate(), id); err != nil {
		t.Fatal(err)
	}
	r.want(r.sendTo("acme", token, "GET", "/Users", nil), 401)
	r.want(other.sendTo("acme", token, "GET", "/Users", nil), 401)
	r.want(other.grant("acme", credentials(id, secret)), 401)
	// No token outlives its client.
	secret, client, err := r.tokens.CreateClient(t.Context(), audit.Gate(), "acme", "", 10*time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := r.want(r.grant("acme", credentials(client.ID, secret)), 200)
	if a.at("expires_in") != 600.0 {
		t.Errorf("expires_in = %v, want 600", a.at("expires_in"))
	}
	r.clock.turn(10 * time.Minute)
	r.want(r.sendTo("acme", a.text("access_token"), "GET", "/Users", nil), 401)
	r.want(r.grant("acme", credentials(client.ID, secret)), 401)
}

func TestTwoLiveClientsBesideTheTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.token("acme", 0)
	id, _ := r.client(nil)
	r.client(nil)
	if _, _, err := r.tokens.CreateClient(t.Context(), audit.Gate(), "acme", "", 0, nil); !fault.Is(err, fault.Conflict) {
		t.Fatalf("third CreateClient = %v, want a conflict", err)
	}
	if err := r.tokens.Revoke(t.Context(), audit.Gate(), id); err != nil {
		t.Fatal(err)
	}
	r.client(nil)
}

// RFC 6749, section 5.2.
func TestTokenEndpointRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id, secret := r.client(nil)
	bearer := r.secret
	list, err := r.tokens.List(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	wrong := r.want(r.grant("acme", credentials(id, "pcc_"+strings.Repeat("a", 52))), 401).raw
	for _, tc := range []struct {
		name       string
		connection string
		form       url.Values
		headers    []string
		status     int
		code       string
	}{
		{"unknown client", "acme", credentials("NOBODY", secret), nil, 401, "invalid_client"},
		{"no credentials", "acme", url.Values{"grant_type": {"client_credentials"}}, nil, 401, "invalid_client"},
		{"no secret", "acme", credentials(id, ""), nil, 401, "invalid_client"},
		{"another connection", "beta", credentials(id, secret), nil, 401, "invalid_client"},
		{"no such connection", "nobody", credentials(id, secret), nil, 401, "invalid_client"},
		{"a connection without SCIM", "plain", credentials(id, secret), nil, 401, "invalid_client"},
		{"a bearer token as client", "acme", credentials(list[0].ID, bearer), nil, 401, "invalid_client"},
		{"wrong basic", "acme", credentials("", "", "client_id", "", "client_secret", ""), []string{"Authorization", basic(id, "x")}, 401, "invalid_client"},
		{"bearer in the header", "acme", credentials("", "", "client_id", "", "client_secret", ""), []string{"Authorization", "Bearer " + bearer}, 401, "invalid_client"},
		{"basic of somebody else", "acme", credentials("OTHER", "", "client_secret", ""), []string{"Authorization", basic(id, secret)}, 401, "invalid_client"},
		{"two ways", "acme", credentials(id, secret), []string{"Authorization", basic(id, secret)}, 400, "invalid_request"},
		{"secret twice", "acme", url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret, secret}}, nil, 400, "invalid_request"},
		{"no grant type", "acme", credentials(id, secret, "grant_type", ""), nil, 400, "invalid_request"},
		{"another grant type", "acme", credentials(id, secret, "grant_type", "password"), nil, 400, "unsupported_grant_type"},
		{"another scope", "acme", credentials(id, secret, "scope", "admin"), nil, 400, "invalid_scope"},
		{"half an assertion", "acme", credentials(id, "", "client_assertion", "x"), nil, 400, "invalid_request"},
		{"not a form", "acme", credentials(id, secret), []string{"Content-Type", "application/json"}, 400, "invalid_request"},
		{"too large", "acme", credentials(id, secret, "x", strings.Repeat("x", 65<<10)), nil, 413, "invalid_request"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := r.in(t)
			a := r.want(r.grant(tc.connection, tc.form, tc.headers...), tc.status)
			if a.text("error") != tc.code || a.text("error_description") == "" || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("answer = %s, want %s", a.raw, tc.code)
			}
			if tc.status == 401 && a.raw != wrong {
				t.Errorf("answer = %s, want the same as for a wrong secret", a.raw)
			}
			usedHeader := len(tc.headers) > 0 && tc.headers[0] == "Authorization"
			if got := a.header.Get("WWW-Authenticate"); strings.HasPrefix(got, "Basic") != (usedHeader && tc.status == 401) {
				t.Errorf("WWW-Authenticate = %q", got)
			}
		})
	}
	r.want(r.sendTo("acme", "", "GET", "/oauth/token", nil), 405)
	if a := r.sendTo("acme", "", "POST", "/oauth/token?"+credentials(id, secret).Encode(), "", "Content-Type", "application/x-www-form-urlencoded"); a.status != 401 {
		t.Errorf("credentials in the query = %d, want 401", a.status)
	}
}

func TestTokenEndpointIsLimited(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id, secret := r.client(nil)
	guess := func(n int, address string) (last answer) {
		for range n {
			req := httptest.NewRequest(http.MethodPost, "/scim/v2/acme/oauth/token", strings.NewReader(credentials(id, "x").Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.RemoteAddr = address
			w := httptest.NewRecorder()
			r.handler.ServeHTTP(w, req)
			last = answer{status: w.Code, header: w.Header()}
		}
		return last
	}
	r.want(guess(50, "198.51.100.7:1"), 401)
	if a := r.want(guess(1, "198.51.100.7:2"), 429); a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After = %q, want 1", a.header.Get("Retry-After"))
	}
	r.want(guess(25, "[2001:db8::1]:1"), 401)
	r.want(guess(25, "[2001:db8::2]:1"), 401)
	r.want(guess(1, "[2001:db8::3]:1"), 429) // one network
	// Others go on, and so does SCIM for the same client.
	for range 200 {
		r.want(r.grant("acme", credentials(id, secret)), 200)
	}
	if a := r.want(r.grant("acme", credentials(id, secret)), 429); a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After = %q, want 1", a.header.Get("Retry-After"))
	}
	r.want(r.send("GET", "/Users", nil), 200)
	r.clock.turn(time.Second)
	r.want(r.grant("acme", credentials(id, secret)), 200)
}

func TestTokenRequestsAreLoggedWithoutSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	journal := r.db.Journal()
	r = newRigOnSame(t, r, func(c *scim.Config) { c.Journal = journal })
	id, secret := r.client(nil)
	r.want(r.grant("acme", credentials(id, secret)), 200)
	r.want(r.grant("acme", credentials(id, secret, "scope", "other")), 400)
	r.want(r.sendTo("acme", "", "POST", "/oauth/token?client_secret="+secret, credentials(id, secret).Encode(), "Content-Type", "application/x-www-form-urlencoded"), 200)
	if err := r.handler.(*scim.Endpoint).Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := journal.Journal(t.Context(), scim.JournalQuery{Limit: 10})
	if err != nil || len(entries) != 3 {
		t.Fatalf("Journal = %+v, %v, want three entries", entries, err)
	}
	for _, e := range entries {
		if e.Token != id || e.Path != "/oauth/token" || e.Body != "" {
			t.Errorf("entry = %+v, want the client and no body", e)
		}
	}
	if !strings.Contains(entries[1].Cause, "scope") {
		t.Errorf("cause = %q, want the scope", entries[1].Cause)
	}
	if strings.Contains(r.log.String(), secret) {
		t.Error("the log holds a secret")
	}
}
