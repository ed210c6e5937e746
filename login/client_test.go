package login_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"portcullis/login"
	"portcullis/oidc"
)

func TestClientSecretsRotateWithoutAFailedSignIn(t *testing.T) {
	p := newIDP(t)
	p.next = "n3xt"
	g := newGate(t, func(c *login.Config) { c.Connections[0].OIDC.Provider.NextSecret = p.next }, p)
	b := newBrowser(t)
	b.mustSignIn(g)
	p.old = true // the provider takes the new one alone
	b.mustSignIn(g)
	b.mustSignIn(g)
	if n := p.count("/token"); n != 1+2+1 {
		t.Errorf("%d requests, want 4: the secret that works is remembered", n)
	}
	p.old, p.next = false, "" // and back
	b.mustSignIn(g)
	p.client.secret = "neither"
	if answer := b.signIn(g, "/.portcullis/sign-in/acme"); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("neither secret: %d", answer.StatusCode)
	}
	if n := p.count("/token"); n != 4+2+2 {
		t.Errorf("%d requests, want 8: a code is sent twice at most", n)
	}
}

func TestCodeIsNotSentAgainWhenItWasRefused(t *testing.T) {
	p := newIDP(t)
	g := newGate(t, func(c *login.Config) { c.Connections[0].OIDC.Provider.NextSecret = "n3xt" }, p)
	p.handle("/token", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
	})
	newBrowser(t).signIn(g, "/.portcullis/sign-in/acme")
	if n := p.count("/token"); n != 1 {
		t.Errorf("the code was sent %d times", n)
	}
}

func TestClientProvesItselfWithItsOwnKey(t *testing.T) {
	r, p, beta := newRooms(t), newIDP(t), newIDP(t)
	one, err := r.ring.Client(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t, func(c *login.Config) {
		o := c.Connections[0].OIDC
		o.Provider.ClientSecret, o.Provider.Signer, o.JWKS = "", one, one.JWKS
	}, p, beta)
	at := func(conn string) page {
		return newBrowser(t).get(g.public.String() + "/.portcullis/oidc/" + conn + "/jwks.json")
	}
	published := at("acme")
	if published.StatusCode != http.StatusOK || strings.Contains(published.body, `"d"`) {
		t.Fatalf("keys: %d: %s", published.StatusCode, published.body)
	}
	if answer := at("beta"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("keys of a connection without: %d", answer.StatusCode)
	}
	p.keys = func() (set jose.JSONWebKeySet) {
		if err := json.Unmarshal([]byte(published.body), &set); err != nil {
			t.Error(err)
		}
		return set
	}
	newBrowser(t).mustSignIn(g)
	newBrowser(t).mustSignIn(g) // with another jti

	again, err := r.ring.Client(t.Context(), "acme")
	if err != nil || string(again.JWKS()) != published.body {
		t.Errorf("the key after a restart: %s, %v", again.JWKS(), err)
	}
	other, err := r.ring.Client(t.Context(), "beta")
	if err != nil || string(other.JWKS()) == published.body || string(r.ring.JWKS()) == published.body {
		t.Errorf("two purposes have one key: %v", err)
	}
	p.metadata = func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic"} }
	fresh := newGate(t, func(c *login.Config) { c.Connections[0].OIDC.Provider.Signer = one }, p)
	fresh.refused(t, newBrowser(t).get(fresh.public.String()+"/.portcullis/sign-in"), http.StatusBadRequest, "no client authentication")
}

const tenantID = "7d1f0000-0000-4000-8000-000000000001"

// entra makes a provider speak like a tenant of Microsoft Entra ID whose
// person has too many groups, with a directory that answers with these pages.
func entra(t *testing.T, pages func(http.ResponseWriter, *http.Request)) (*idp, *gate) {
	t.Helper()
	p := newIDP(t)
	p.tenant = tenantID
	p.person = map[string]any{
		"sub": "pairwise", "oid": "0a1b2c3d-0000-4000-8000-000000000002", "tid": tenantID, "email": "alice@acme.example", "name": "Alice",
		"_claim_names":   map[string]any{"groups": "src1"},
		"_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://evil.example/steal"}},
	}
	p.handle("/v1.0/users/0a1b2c3d-0000-4000-8000-000000000002/transitiveMemberOf/microsoft.graph.group", pages)
	return p, newGate(t, func(c *login.Config) { c.Connections[0].OIDC.GraphURL = p.server.URL + "/v1.0" }, p)
}

func TestGroupsBeyondTheTokenComeFromTheDirectory(t *testing.T) {
	p, g := entra(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" || r.URL.Query().Get("$select") != "id" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"value": []any{map[string]any{"id": "g-1"}, map[string]any{"id": "g-7"}}})
	})
	newBrowser(t).mustSignIn(g)
	a := g.people.last(t)
	if a.Subject != "0a1b2c3d-0000-4000-8000-000000000002" || a.GroupsIncomplete || !slices.Equal(a.Groups, []string{"g-1", "g-7"}) {
		t.Errorf("assertion = %+v", a)
	}
	for _, ticket := range g.sessions.tickets {
		if ticket.Subject != "pairwise" { // what a logout token would name
			t.Errorf("ticket = %+v", ticket)
		}
	}
	scope := ""
	for _, r := range p.requests {
		if r.Get("grant_type") == "client_credentials" {
			scope = r.Get("scope")
		}
	}
	if scope != p.server.URL+"/.default" {
		t.Errorf("scope = %q", scope)
	}
}

func TestGroupsThatCannotBeReadAreUnknownAndNotNone(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"forbidden": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"away":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"empty":     func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, map[string]any{}) },
		"elsewhere": func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, map[string]any{"value": []any{map[string]any{"id": "g-1"}}, "@odata.nextLink": "https://evil.example/next"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, g := entra(t, answer)
			newBrowser(t).mustSignIn(g)
			if a := g.people.last(t); !a.GroupsIncomplete || len(a.Groups) != 0 {
				t.Errorf("assertion = %+v", a)
			}
		})
	}
}

// clientKey is a private key of the operator's, and what is published of it.
func clientKey(t *testing.T) (*oidc.Key, jose.JSONWebKeySet) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	k, err := oidc.ReadKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	text, err := oidc.JWKS(k)
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	return k, set
}

func TestClientKeysRotateWithoutAFailedSignIn(t *testing.T) {
	p := newIDP(t)
	first, known := clientKey(t)
	second, next := clientKey(t)
	p.keys = func() jose.JSONWebKeySet { return known }
	g := newGate(t, func(c *login.Config) {
		o := c.Connections[0].OIDC
		o.Provider.ClientSecret, o.Provider.Signer, o.Provider.NextSigner = "", first, second
	}, p)
	newBrowser(t).mustSignIn(g)
	known = next // the provider's administrator is first
	newBrowser(t).mustSignIn(g)
	newBrowser(t).mustSignIn(g)
	if n := p.count("/token"); n != 1+2+1 {
		t.Errorf("%d requests, want 4: the key that works is remembered", n)
	}
	_, known = clientKey(t)
	if answer := newBrowser(t).signIn(g, "/.portcullis/sign-in/acme"); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("neither key: %d", answer.StatusCode)
	}
}
