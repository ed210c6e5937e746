package demo

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Person is somebody whom a sample provider knows.
type Person struct {
	ID     string // short, unique at the provider, as in "ada"
	Name   string
	Email  string
	Title  string
	Groups []string
}

// IDPConfig is what a sample provider has to know.
type IDPConfig struct {
	Issuer  string // required: URL, as the gate's configuration names it
	Company string // required: for people, as in "Alpha"
	Domain  string // required: its first label names the session cookie

	// The gate as an OpenID Connect client: required unless SAML is used.
	ClientID               string
	ClientSecret           string
	RedirectURIs           []string // compared exactly
	PostLogoutRedirectURIs []string // compared exactly

	SAML SAMLConfig // with a MetadataURL: SAML 2.0 in place of OpenID Connect

	People []Person
	Groups []string // also those with nobody in them
	SCIM   SCIMConfig

	// Explain asks the gate what it makes of a subject, for the directory's
	// page; nil shows nothing.
	Explain   func(ctx context.Context, subject string) (string, error)
	PortalURL string // linked from the pages; may be empty

	Now  func() time.Time // defaults to time.Now
	Log  *slog.Logger     // defaults to discarding
	Rand io.Reader        // of codes and tokens; defaults to crypto/rand
}

// IDP is a sample identity provider for one company, which speaks OpenID
// Connect or SAML 2.0, with the page on which that company's administrator
// manages its directory. It asks for no
// password: whoever opens its sign-in page picks who they are. It is an
// [http.Handler], safe for concurrent use, and keeps everything in memory.
type IDP struct {
	site
	c      IDPConfig
	slug   string          // first label of the domain
	key    jose.JSONWebKey // of ID tokens
	signer jose.Signer
	saml   *samlSide // nil with OpenID Connect
	dir    *directory
	mux    http.Handler

	mu       sync.Mutex
	grants   map[string]*grant // by code
	tokens   map[string]access // by access token
	sessions map[string]string // person by session cookie
	done     string            // what the directory's page says next, once
	problem  string            // or what went wrong
}

// NewIDP makes a provider with a fresh signing key. Nothing is pushed before
// [IDP.PushAll] or a button says so.
func NewIDP(c IDPConfig) *IDP {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	slug, _, _ := strings.Cut(c.Domain, ".")
	d := &IDP{
		site: newSite(c.Log, formAction(c)), c: c, slug: slug, dir: newDirectory(c, slug),
		grants: map[string]*grant{}, tokens: map[string]access{}, sessions: map[string]string{},
	}
	mux := http.NewServeMux()
	if c.SAML.MetadataURL != "" {
		d.saml = d.newSAML()
		d.routeSAML(mux)
	} else {
		d.key, d.signer = newKey()
		d.routeOpenID(mux)
	}
	mux.HandleFunc("GET /assets/{name}", asset)
	mux.Handle("GET /{$}", http.RedirectHandler("/admin", http.StatusSeeOther))
	mux.HandleFunc("GET /admin", d.admin)
	mux.HandleFunc("POST /admin/people/{person}/{action}", d.changePerson)
	mux.HandleFunc("POST /admin/groups", d.createGroup)
	mux.HandleFunc("POST /admin/groups/rename", d.renameGroup)
	mux.HandleFunc("POST /admin/push-all", d.pushAll)
	mux.HandleFunc("POST /admin/barred-sign-in", d.barredSignIn)
	d.mux = http.NewCrossOriginProtection().Handler(mux)
	return d
}

func (d *IDP) routeOpenID(mux *http.ServeMux) {
	mux.HandleFunc("GET /.well-known/openid-configuration", d.discovery)
	mux.HandleFunc("GET /keys", d.keys)
	mux.HandleFunc("GET /authorize", d.authorize)
	mux.HandleFunc("POST /authorize", d.pick)
	mux.HandleFunc("POST /token", d.token)
	mux.HandleFunc("GET /userinfo", d.userinfo)
	mux.HandleFunc("POST /userinfo", d.userinfo)
	mux.HandleFunc("GET /sign-out", d.signOut)
}

// ServeHTTP answers for the provider and for its directory's page.
func (d *IDP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.secure(w)
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	d.mux.ServeHTTP(w, r)
}

// Subject is the stable id under which the gate knows a person: sub in
// tokens, NameID in SAML, externalId over SCIM.
func (d *IDP) Subject(personID string) string { return subject(d.slug, personID) }

func subject(slug, personID string) string { return slug + "-" + personID }

// formAction lists where a form of ours may lead: browsers hold form-action
// against the redirect that answers a form too.
func formAction(c IDPConfig) string {
	to := []string{"'self'"}
	for _, raw := range slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs, []string{c.SAML.MetadataURL}) {
		if u, err := url.Parse(raw); err == nil && u.Host != "" {
			to = append(to, u.Scheme+"://"+u.Host)
		}
	}
	slices.Sort(to)
	return strings.Join(slices.Compact(to), " ")
}

// newKey makes the key that signs ID tokens. The algorithm is fixed and the
// system's randomness does not fail, so errors are impossible.
func newKey() (jose.JSONWebKey, jose.Signer) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("demo: " + err.Error())
	}
	key := jose.JSONWebKey{Key: private, Algorithm: string(jose.ES256), Use: "sig"}
	public, err := private.PublicKey.Bytes()
	if err != nil {
		panic("demo: " + err.Error())
	}
	sum := sha256.Sum256(public)
	key.KeyID = base64.RawURLEncoding.EncodeToString(sum[:12])
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		panic("demo: " + err.Error())
	}
	return key, signer
}

// text gives 256 random bits as text.
func (d *IDP) text() (string, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(d.c.Rand, b); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

func (d *IDP) url(path string) string { return strings.TrimSuffix(d.c.Issuer, "/") + path }

// discovery is OpenID Connect Discovery 1.0, section 3.
func (d *IDP) discovery(w http.ResponseWriter, r *http.Request) {
	d.json(w, r, http.StatusOK, map[string]any{
		"issuer":                                         d.c.Issuer,
		"authorization_endpoint":                         d.url("/authorize"),
		"token_endpoint":                                 d.url("/token"),
		"userinfo_endpoint":                              d.url("/userinfo"),
		"jwks_uri":                                       d.url("/keys"),
		"end_session_endpoint":                           d.url("/sign-out"),
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{"authorization_code"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{string(jose.ES256)},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post"},
		"code_challenge_methods_supported":               []string{"S256"},
		"scopes_supported":                               []string{"openid", "profile", "email", "groups"},
		"claims_supported":                               []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "email", "email_verified", "name", "preferred_username", "groups"},
		"authorization_response_iss_parameter_supported": true,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
	})
}

func (d *IDP) keys(w http.ResponseWriter, r *http.Request) {
	d.json(w, r, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{d.key.Public()}})
}

func (d *IDP) json(w http.ResponseWriter, r *http.Request, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		d.log.ErrorContext(r.Context(), "answer cannot be written", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(b); err != nil {
		d.log.DebugContext(r.Context(), "reader went away", "error", err)
	}
}

func (d *IDP) message(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	m := message{Title: title, Text: text, Style: "idp " + d.slug}
	if d.c.PortalURL != "" {
		m.Link, m.Label = d.c.PortalURL, "To the portal"
	}
	d.render(w, r, status, "message", m)
}
