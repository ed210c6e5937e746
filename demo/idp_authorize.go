package demo

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	codeLife    = time.Minute
	tokenLife   = 5 * time.Minute
	sessionLife = 12 * time.Hour
)

// grant is what a code stands for.
type grant struct {
	person, redirectURI, challenge, nonce, scope string

	signedIn, expires time.Time
	used              bool
	token             string // issued for it
}

// access is what an access token stands for.
type access struct {
	person  string
	expires time.Time
}

// request is a checked authorization request.
type request struct {
	RedirectURI, State, Challenge, Nonce, Scope, Prompt string
}

// read checks an authorization request. A fault in the client or in the
// redirect URI is told to the person, because there is nowhere safe to send
// it (RFC 6749, section 4.1.2.1); any other is sent back, and then code is
// an OAuth error code. An ok request has neither.
func (d *IDP) read(q url.Values) (req request, fault, code string) {
	if q.Get("client_id") != d.c.ClientID {
		return request{}, "The application that sent you here is not known.", ""
	}
	if !slices.Contains(d.c.RedirectURIs, q.Get("redirect_uri")) {
		return request{}, "The application wants the answer at an address that is not registered.", ""
	}
	req = request{
		RedirectURI: q.Get("redirect_uri"), State: q.Get("state"), Challenge: q.Get("code_challenge"),
		Nonce: q.Get("nonce"), Scope: q.Get("scope"), Prompt: q.Get("prompt"),
	}
	for _, values := range q {
		if len(values) > 1 { // RFC 6749, section 3.1
			return req, "", "invalid_request"
		}
	}
	hash, err := base64.RawURLEncoding.DecodeString(req.Challenge)
	switch {
	case q.Get("response_type") != "code":
		return req, "", "unsupported_response_type"
	case q.Has("response_mode") && q.Get("response_mode") != "query":
		return req, "", "invalid_request"
	case !slices.Contains(strings.Fields(req.Scope), "openid"):
		return req, "", "invalid_scope"
	case q.Get("code_challenge_method") != "S256" || err != nil || len(hash) != 32:
		return req, "", "invalid_request" // RFC 7636, section 4.4.1
	case q.Has("request"):
		return req, "", "request_not_supported"
	case q.Has("request_uri"):
		return req, "", "request_uri_not_supported"
	case req.Prompt == "none":
		return req, "", "login_required" // it always asks who one is
	}
	return req, "", ""
}

// back sends an answer to the client, with iss against mix-up (RFC 9207).
func (d *IDP) back(w http.ResponseWriter, r *http.Request, req request, answer url.Values) {
	u, err := url.Parse(req.RedirectURI)
	if err != nil {
		d.message(w, r, http.StatusBadRequest, "This sign-in cannot go on", "The registered address cannot be read.")
		return
	}
	q := u.Query()
	maps.Copy(q, answer)
	if req.State != "" {
		q.Set("state", req.State)
	}
	q.Set("iss", d.c.Issuer)
	u.RawQuery = q.Encode()
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}

// checked reads the request and answers it when it is wrong.
func (d *IDP) checked(w http.ResponseWriter, r *http.Request) (request, bool) {
	req, fault, code := d.read(r.URL.Query())
	switch {
	case fault != "":
		d.message(w, r, http.StatusBadRequest, "This sign-in cannot go on", fault)
		return req, false
	case code != "":
		d.back(w, r, req, url.Values{"error": {code}})
		return req, false
	}
	return req, true
}

// picker is the sign-in page.
type picker struct {
	Company, Domain, Slug string
	Protocol              string // that brought the person here
	Action                string
	PortalURL             string
	People                []pickable
}

type pickable struct {
	entry

	Before bool // signed in here before, in this browser
	Barred bool
}

// authorize always asks who one is, so that one can be somebody else.
func (d *IDP) authorize(w http.ResponseWriter, r *http.Request) {
	if _, ok := d.checked(w, r); ok {
		d.askWho(w, r, "/authorize?"+r.URL.RawQuery)
	}
}

// askWho shows the sign-in page, whose form goes to action.
func (d *IDP) askWho(w http.ResponseWriter, r *http.Request, action string) {
	pg := picker{Company: d.c.Company, Domain: d.c.Domain, Slug: d.slug, Protocol: d.protocol(), PortalURL: d.c.PortalURL, Action: action}
	before, _ := d.session(r)
	for _, e := range d.dir.people() {
		pg.People = append(pg.People, pickable{entry: e, Before: e.ID == before, Barred: !d.dir.maySignIn(e.ID)})
	}
	d.render(w, r, http.StatusOK, "idp-picker", pg)
}

// pick is the click on a person. The request rides in the URL and is checked
// again, so that an old page, a reload and the back button all work.
func (d *IDP) pick(w http.ResponseWriter, r *http.Request) {
	req, ok := d.checked(w, r)
	if !ok {
		return
	}
	person := r.PostFormValue("person")
	if !d.dir.maySignIn(person) {
		d.back(w, r, req, url.Values{"error": {"access_denied"}})
		return
	}
	code, err := d.text()
	if err != nil {
		d.back(w, r, req, url.Values{"error": {"server_error"}})
		return
	}
	cookie, err := d.text()
	if err != nil {
		d.back(w, r, req, url.Values{"error": {"server_error"}})
		return
	}
	now := d.c.Now()
	d.mu.Lock()
	d.grants[code] = &grant{
		person: person, redirectURI: req.RedirectURI, challenge: req.Challenge, nonce: req.Nonce, scope: req.Scope,
		signedIn: now, expires: now.Add(codeLife),
	}
	d.mu.Unlock()
	d.remember(w, cookie, person)
	d.back(w, r, req, url.Values{"code": {code}})
}

// forget drops what has expired; the caller holds mu. Sessions only mark a
// card, so a rough bound is enough for them.
func (d *IDP) forget(now time.Time) {
	for code, g := range d.grants {
		if !now.Before(g.expires.Add(tokenLife)) { // a code that comes twice must still be known
			delete(d.grants, code)
		}
	}
	for token, a := range d.tokens {
		if !now.Before(a.expires) {
			delete(d.tokens, token)
		}
	}
	if len(d.sessions) > 1000 {
		clear(d.sessions)
	}
}

// cookie is the session cookie. Ports of one host share cookies, so each
// provider's has a name of its own.
func (d *IDP) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure follows the issuer: the demo is http on loopback
		Name: "idp_" + d.slug, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true,
		Secure: strings.HasPrefix(d.c.Issuer, "https://"), SameSite: http.SameSiteLaxMode,
	}
}

// session gives who signed in here before, in this browser, and the cookie
// that says so; "" for nobody.
func (d *IDP) session(r *http.Request) (person, cookie string) {
	c, err := r.Cookie("idp_" + d.slug)
	if err != nil {
		return "", ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sessions[c.Value], c.Value
}

// remember begins a session of this browser.
func (d *IDP) remember(w http.ResponseWriter, cookie, person string) {
	d.mu.Lock()
	d.forget(d.c.Now())
	d.sessions[cookie] = person
	d.mu.Unlock()
	http.SetCookie(w, d.cookie(cookie, int(sessionLife.Seconds())))
}

// endSession ends the session of this browser, if there is one.
func (d *IDP) endSession(w http.ResponseWriter, r *http.Request) {
	_, cookie := d.session(r)
	d.mu.Lock()
	delete(d.sessions, cookie)
	d.mu.Unlock()
	http.SetCookie(w, d.cookie("", -1))
}

// protocol is what the provider speaks, for people.
func (d *IDP) protocol() string {
	if d.saml != nil {
		return "SAML 2.0"
	}
	return "OpenID Connect"
}

// signOut is OpenID Connect RP-Initiated Logout 1.0. It goes back only to a
// registered address, and only for the client that it knows.
func (d *IDP) signOut(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	known := !q.Has("client_id") || q.Get("client_id") == d.c.ClientID
	if hint := q.Get("id_token_hint"); hint != "" && !d.ours(hint) {
		known = false
	}
	d.endSession(w, r)
	to := q.Get("post_logout_redirect_uri")
	u, err := url.Parse(to)
	if to == "" || !known || err != nil || !slices.Contains(d.c.PostLogoutRedirectURIs, to) {
		d.message(w, r, http.StatusOK, "You are signed out", "You are signed out of "+d.c.Company+".")
		return
	}
	if state := q.Get("state"); state != "" {
		v := u.Query()
		v.Set("state", state)
		u.RawQuery = v.Encode()
	}
	http.Redirect(w, r, u.String(), http.StatusSeeOther) //nolint:gosec // compared exactly with the registered addresses above
}

// ours reports whether an ID token, expired or not, is one of ours for the
// client.
func (d *IDP) ours(raw string) bool {
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return false
	}
	var c jwt.Claims
	return token.Claims(d.key.Public(), &c) == nil && c.Issuer == d.c.Issuer && c.Audience.Contains(d.c.ClientID)
}
