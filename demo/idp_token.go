package demo

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4/jwt"
)

// token redeems a code (RFC 6749, section 4.1.3; RFC 7636, section 4.6).
func (d *IDP) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		d.refuse(w, r, http.StatusBadRequest, "invalid_request")
		return
	}
	if !d.client(r) {
		if _, _, basic := r.BasicAuth(); basic {
			w.Header().Set("WWW-Authenticate", `Basic realm="token"`)
		}
		d.refuse(w, r, http.StatusUnauthorized, "invalid_client")
		return
	}
	f := r.PostForm
	for _, values := range f {
		if len(values) > 1 {
			d.refuse(w, r, http.StatusBadRequest, "invalid_request")
			return
		}
	}
	if f.Get("grant_type") != "authorization_code" {
		d.refuse(w, r, http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	token, err := d.text()
	if err != nil {
		d.refuse(w, r, http.StatusInternalServerError, "server_error")
		return
	}
	g, ok := d.redeem(f, token)
	if !ok {
		d.refuse(w, r, http.StatusBadRequest, "invalid_grant")
		return
	}
	id, err := d.idToken(g, token)
	if err != nil {
		d.log.ErrorContext(r.Context(), "id token cannot be signed", "error", err)
		d.refuse(w, r, http.StatusInternalServerError, "server_error")
		return
	}
	d.json(w, r, http.StatusOK, map[string]any{
		"access_token": token, "token_type": "Bearer", "expires_in": int(tokenLife.Seconds()), "id_token": id, "scope": g.scope,
	})
}

func (d *IDP) refuse(w http.ResponseWriter, r *http.Request, status int, code string) {
	d.log.InfoContext(r.Context(), "token request refused", "oauth_error", code)
	d.json(w, r, status, map[string]string{"error": code})
}

// client checks the client's id and secret, given one way only and compared
// in constant time.
func (d *IDP) client(r *http.Request) bool {
	id, secret, basic := r.BasicAuth()
	if basic {
		// Both parts are form-encoded first (RFC 6749, section 2.3.1).
		var idErr, secretErr error
		id, idErr = url.QueryUnescape(id)
		secret, secretErr = url.QueryUnescape(secret)
		if idErr != nil || secretErr != nil || r.PostForm.Has("client_secret") {
			return false
		}
	} else {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	return same(id, d.c.ClientID)&same(secret, d.c.ClientSecret) == 1
}

// same compares in constant time, whatever the lengths.
func same(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}

// redeem uses a code up, whatever comes of it. A code that comes twice takes
// back what it gave (RFC 6749, section 4.1.2).
func (d *IDP) redeem(f url.Values, token string) (grant, bool) {
	now := d.c.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	g, ok := d.grants[f.Get("code")]
	if !ok {
		return grant{}, false
	}
	if g.used {
		delete(d.tokens, g.token)
		return grant{}, false
	}
	g.used = true
	sum := sha256.Sum256([]byte(f.Get("code_verifier")))
	verifier := base64.RawURLEncoding.EncodeToString(sum[:])
	if !now.Before(g.expires) || f.Get("redirect_uri") != g.redirectURI || same(verifier, g.challenge) != 1 || !d.dir.maySignIn(g.person) {
		return grant{}, false
	}
	g.token = token
	d.tokens[token] = access{person: g.person, expires: now.Add(tokenLife)}
	return *g, true
}

// claims is what the provider says of a person, in ID tokens and at userinfo.
type claims struct {
	Subject       string   `json:"sub"`
	Email         string   `json:"email"`
	EmailVerified bool     `json:"email_verified"`
	Name          string   `json:"name"`
	UserName      string   `json:"preferred_username"`
	Groups        []string `json:"groups"`
}

func (d *IDP) claims(person string) claims {
	e, _ := d.dir.person(person)
	return claims{
		Subject: d.Subject(e.ID), Email: e.Email, EmailVerified: true, Name: e.Name, UserName: e.Email,
		Groups: append([]string{}, e.Groups...), // [] and not null
	}
}

func (d *IDP) idToken(g grant, token string) (string, error) {
	now := d.c.Now()
	half := sha256.Sum256([]byte(token))
	extra := map[string]any{
		"auth_time": g.signedIn.Unix(),
		"at_hash":   base64.RawURLEncoding.EncodeToString(half[:16]), // OpenID Connect Core 1.0, section 3.1.3.6
	}
	if g.nonce != "" {
		extra["nonce"] = g.nonce
	}
	return jwt.Signed(d.signer).Claims(d.claims(g.person)).Claims(extra).Claims(jwt.Claims{
		Issuer: d.c.Issuer, Audience: jwt.Audience{d.c.ClientID},
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(tokenLife)),
	}).Serialize()
}

// userinfo is OpenID Connect Core 1.0, section 5.3.
func (d *IDP) userinfo(w http.ResponseWriter, r *http.Request) {
	raw, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	d.mu.Lock()
	a, known := d.tokens[raw]
	d.mu.Unlock()
	if !ok || !known || !d.c.Now().Before(a.expires) || !d.dir.maySignIn(a.person) {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		d.refuse(w, r, http.StatusUnauthorized, "invalid_token")
		return
	}
	d.json(w, r, http.StatusOK, d.claims(a.person))
}
