package login_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// idp is an OpenID provider on loopback: a correct one, with hooks that make
// it lie. Its fields are set before a request that they concern.
type idp struct {
	t      *testing.T
	server *httptest.Server
	client client

	mu       sync.Mutex
	key      crypto.Signer
	keyID    string
	alg      jose.SignatureAlgorithm
	codes    map[string]grant
	tokens   map[string]bool
	secrets  []string // whatever must never be logged
	calls    map[string]int
	requests []url.Values // of the token endpoint
	ended    []url.Values // of the end session endpoint

	tenant   string                    // stands in the issuer, if not empty
	next     string                    // a second client secret, if not empty
	old      bool                      // the first client secret is not taken any more
	keys     func() jose.JSONWebKeySet // of the client, for private_key_jwt
	refresh  map[string]bool           // refresh tokens that are alive
	now      func() time.Time
	person   map[string]any                     // claims of the ID token beyond the protocol's
	userInfo map[string]any                     // claims of userinfo
	metadata func(map[string]any)               // changes the metadata
	claims   func(map[string]any)               // changes the claims of the ID token
	header   map[jose.HeaderKey]any             // of the ID token
	forge    func(claims map[string]any) string // makes the ID token instead
	answer   func(map[string]any)               // changes the answer of the token endpoint
	redirect func(url.Values)                   // changes the parameters that go back to the gate
	keySet   func() []byte                      // the JWK set instead
	take     map[string]http.HandlerFunc        // path → handler instead
}

type client struct{ id, secret string }

type grant struct{ nonce, challenge, redirect, scope string }

func newIDP(t *testing.T) *idp {
	t.Helper()
	p := newStoppedIDP(t)
	p.server.Start()
	return p
}

func newStoppedIDP(t *testing.T) *idp {
	t.Helper()
	p := &idp{
		t: t, client: client{"portal", "s3cret/with+signs"}, codes: map[string]grant{}, tokens: map[string]bool{}, refresh: map[string]bool{},
		calls: map[string]int{}, now: time.Now, take: map[string]http.HandlerFunc{},
		person: map[string]any{
			"sub": "alice-1", "email": "alice@acme.example", "email_verified": true, "name": "Alice",
			"preferred_username": "alice", "groups": []string{"g-1", "g-2"},
		},
	}
	p.rotate("k1")
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.server.Close)
	return p
}

func (p *idp) issuer() string {
	issuer := p.server.URL
	if issuer == "" {
		issuer = "http://" + p.server.Listener.Addr().String()
	}
	if p.tenant != "" {
		issuer += "/" + p.tenant
	}
	return issuer
}

// local is a path without the tenant in front of it.
func (p *idp) local(path string) string {
	if p.tenant == "" {
		return path
	}
	return strings.TrimPrefix(path, "/"+p.tenant)
}

// rotate makes a new signing key.
func (p *idp) rotate(id string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key, p.keyID, p.alg = key, id, jose.ES256
}

func (p *idp) count(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[path]
}

// handle answers a path with h from now on; nil takes it back.
func (p *idp) handle(path string, h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.take[path] = h
}

func (p *idp) hide(secret string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secrets = append(p.secrets, secret)
	return secret
}

func (p *idp) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.calls[r.URL.Path]++
	instead := p.take[r.URL.Path]
	p.mu.Unlock()
	if instead != nil {
		instead(w, r)
		return
	}
	switch p.local(r.URL.Path) {
	case "/.well-known/openid-configuration":
		doc := map[string]any{
			"issuer": p.issuer(), "authorization_endpoint": p.issuer() + "/authorize", "token_endpoint": p.issuer() + "/token",
			"jwks_uri": p.issuer() + "/jwks", "userinfo_endpoint": p.issuer() + "/userinfo", "end_session_endpoint": p.issuer() + "/end?x=1",
			"id_token_signing_alg_values_supported": []string{"ES256", "RS256", "HS256", "none"},
		}
		if p.metadata != nil {
			p.metadata(doc)
		}
		writeJSON(w, http.StatusOK, doc)
	case "/authorize":
		p.authorize(w, r)
	case "/token":
		p.token(w, r)
	case "/userinfo":
		p.info(w, r)
	case "/jwks":
		_, _ = w.Write(p.jwks())
	case "/end":
		p.mu.Lock()
		p.ended = append(p.ended, r.URL.Query())
		p.mu.Unlock()
		back := r.URL.Query().Get("post_logout_redirect_uri")
		if state := r.URL.Query().Get("state"); state != "" {
			back += "?state=" + url.QueryEscape(state)
		}
		http.Redirect(w, r, back, http.StatusFound)
	default:
		http.NotFound(w, r)
	}
}

// authorize lets everybody in at once. A real one asks who it is.
func (p *idp) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for name, want := range map[string]string{"client_id": p.client.id, "response_type": "code", "code_challenge_method": "S256"} {
		if q.Get(name) != want {
			p.t.Errorf("authorize: %s = %q, want %q", name, q.Get(name), want)
		}
	}
	if q.Get("state") == "" || q.Get("nonce") == "" || len(q.Get("code_challenge")) != 43 {
		p.t.Errorf("authorize: state, nonce or challenge is missing in %v", q)
	}
	code := p.hide("code-" + rand.Text())
	p.hide(q.Get("state"))
	p.hide(q.Get("nonce"))
	p.mu.Lock()
	p.codes[code] = grant{q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri"), q.Get("scope")}
	p.mu.Unlock()
	back := url.Values{"state": {q.Get("state")}, "code": {code}}
	if p.redirect != nil {
		p.redirect(back)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

// authentic says whether a request comes from our client.
func (p *idp) authentic(r *http.Request) bool {
	if assertion := r.FormValue("client_assertion"); assertion != "" {
		return p.keys != nil && p.asserted(r, assertion)
	}
	id, secret, basic := r.BasicAuth()
	if basic {
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
	}
	p.hide(secret)
	return id == p.client.id && p.keys == nil && (secret == p.client.secret && !p.old || p.next != "" && secret == p.next)
}

// asserted checks private_key_jwt (RFC 7523, section 3).
func (p *idp) asserted(r *http.Request, assertion string) bool {
	p.hide(assertion)
	token, err := jwt.ParseSigned(assertion, []jose.SignatureAlgorithm{jose.ES256, jose.PS256, jose.RS256})
	if err != nil {
		return false
	}
	var claims jwt.Claims
	if err := token.Claims(p.keys(), &claims); err != nil {
		return false // no key that it knows
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := claims.ID != "" && !p.tokens[claims.ID]
	p.tokens[claims.ID] = true
	err = claims.ValidateWithLeeway(jwt.Expected{Issuer: p.client.id, Subject: p.client.id, AnyAudience: jwt.Audience{p.issuer() + "/token"}, Time: p.now()}, 0)
	return fresh && err == nil && claims.Expiry != nil && claims.Expiry.Time().Sub(p.now()) <= 5*time.Minute &&
		r.FormValue("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" && r.FormValue("client_secret") == ""
}

// renew answers a refresh, and takes the token for the next.
func (p *idp) renew(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	alive := p.refresh[r.FormValue("refresh_token")]
	delete(p.refresh, r.FormValue("refresh_token"))
	p.mu.Unlock()
	if !alive {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	now := p.now().Unix()
	claims := map[string]any{"iss": p.issuer(), "aud": p.client.id, "iat": now, "exp": now + 300, "sub": p.person["sub"]}
	if p.claims != nil {
		p.claims(claims)
	}
	p.mu.Lock()
	p.calls["/refreshed"]++
	p.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": p.hide(rand.Text()), "token_type": "Bearer", "refresh_token": p.grantRefresh(), "id_token": p.hide(p.sign(nil, claims)),
	})
}

func (p *idp) grantRefresh() string {
	token := p.hide("refresh-" + rand.Text())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refresh[token] = true
	return token
}

// forgetSessions ends every session here.
func (p *idp) forgetSessions() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.refresh)
}

func (p *idp) token(w http.ResponseWriter, r *http.Request) {
	authentic := p.authentic(r)
	p.mu.Lock()
	p.requests = append(p.requests, r.Form)
	p.mu.Unlock()
	if !authentic {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	switch r.FormValue("grant_type") {
	case "refresh_token":
		p.renew(w, r)
		return
	case "client_credentials":
		writeJSON(w, http.StatusOK, map[string]any{"access_token": p.hide("app-" + r.FormValue("scope")), "token_type": "Bearer", "expires_in": 3600})
		return
	}
	code := r.FormValue("code")
	p.mu.Lock()
	g, ok := p.codes[code]
	delete(p.codes, code)
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	p.hide(r.FormValue("code_verifier"))
	switch {
	case !ok || g.redirect != r.FormValue("redirect_uri") || g.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	access := p.hide("access-" + rand.Text())
	now := p.now().Unix()
	claims := map[string]any{
		"iss": p.issuer(), "aud": p.client.id, "iat": now, "exp": now + 300, "nonce": g.nonce, "at_hash": half(access),
	}
	maps.Copy(claims, p.person)
	if p.claims != nil {
		p.claims(claims)
	}
	forge := p.forge
	if forge == nil {
		forge = func(claims map[string]any) string { return p.sign(p.header, claims) }
	}
	body := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": p.hide(forge(claims))}
	p.mu.Lock()
	p.tokens[access] = true
	p.mu.Unlock()
	if strings.Contains(" "+g.scope+" ", " offline_access ") {
		body["refresh_token"] = p.grantRefresh()
	}
	if p.answer != nil {
		p.answer(body)
	}
	writeJSON(w, http.StatusOK, body)
}

func (p *idp) info(w http.ResponseWriter, r *http.Request) {
	access, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p.mu.Lock()
	ok := p.tokens[access]
	p.mu.Unlock()
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	info := map[string]any{"sub": p.person["sub"]}
	maps.Copy(info, p.userInfo)
	writeJSON(w, http.StatusOK, info)
}

func (p *idp) jwks() []byte {
	if p.keySet != nil {
		return p.keySet()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return keySetOf(p.t, jose.JSONWebKey{Key: p.key.Public(), KeyID: p.keyID, Use: "sig"})
}

func keySetOf(t *testing.T, keys ...jose.JSONWebKey) []byte {
	t.Helper()
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sign makes a JWS over the claims with the identity provider's key.
func (p *idp) sign(header map[jose.HeaderKey]any, claims map[string]any) string {
	data, err := json.Marshal(claims)
	if err != nil {
		p.t.Error(err)
	}
	p.mu.Lock()
	key, id, alg := p.key, p.keyID, p.alg
	p.mu.Unlock()
	return signed(p.t, alg, jose.JSONWebKey{Key: key, KeyID: id}, header, data)
}

func signed(t *testing.T, alg jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any, payload []byte) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, &jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		t.Error(err)
		return ""
	}
	jws, err := s.Sign(payload)
	if err != nil {
		t.Error(err)
		return ""
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Error(err)
	}
	return token
}

// rsaKey is made once: it takes a while.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func half(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (p *idp) everSecret() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.secrets)
}
