package scim

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/fault"
)

// TokenPath is where, below its base URL, a connection has its token endpoint.
const TokenPath = "/oauth/token" //nolint:gosec // a path

const (
	scopeSCIM = "scim"

	grantType     = "client_credentials"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523, section 2.2
	maxForm       = 64 << 10                                                 // bytes
)

// The error codes of RFC 6749, section 5.2.
const (
	oauthRequest = "invalid_request"
	oauthClient  = "invalid_client"
	oauthGrant   = "unsupported_grant_type"
	oauthScope   = "invalid_scope"
)

// tokenRefusal is an answer of the token endpoint that gives no token.
type tokenRefusal struct {
	status int
	code   string
	basic  bool          // the client used the Authorization header
	retry  time.Duration // of a 429
	allow  string        // of a 405
	err    error
}

func (r *tokenRefusal) Error() string { return r.err.Error() }
func (r *tokenRefusal) Unwrap() error { return r.err }

func badRequest(code, format string, args ...any) error {
	return &tokenRefusal{status: http.StatusBadRequest, code: code, err: fault.New(fault.Invalid, format, args...)}
}

// grant is the token endpoint of a connection: client credentials for an
// access token (RFC 6749, section 4.4). Every refusal is a *tokenRefusal. A
// connection that does not exist answers as one whose client is wrong.
func (e *Endpoint) grant(w http.ResponseWriter, r *http.Request, connection string, entry *Entry) error {
	if r.Method != http.MethodPost {
		return &tokenRefusal{
			status: http.StatusMethodNotAllowed, code: oauthRequest, allow: http.MethodPost,
			err: fault.New(fault.Invalid, "the token endpoint takes POST alone"),
		}
	}
	from := guesser(connection, e.address(r))
	if wait := e.guesses.wait(from, e.now()); wait > 0 {
		return tooManyGrants(wait)
	}
	form, err := e.readForm(w, r)
	if err != nil {
		return err
	}
	cred, basic, err := e.credentialsOf(r, form, connection)
	if err != nil {
		return err
	}
	proof, err := e.tokens.authenticate(r.Context(), connection, cred)
	s := e.site(connection)
	if err == nil && s == nil {
		err = errClient()
	}
	if err != nil {
		return e.clientRefused(err, basic, from)
	}
	entry.Token = proof.client.ID
	scope, err := wantedScope(form)
	if err != nil {
		return err
	}
	if wait := s.grants.take(e.now()); wait > 0 {
		return tooManyGrants(wait)
	}
	secret, life, err := e.tokens.issue(r.Context(), proof)
	if err != nil {
		return e.clientRefused(err, basic, from)
	}
	e.writeToken(r.Context(), w, http.StatusOK, map[string]any{
		"access_token": secret, "token_type": "Bearer", "expires_in": int(life / time.Second), "scope": scope,
	})
	return nil
}

// clientRefused counts wrong credentials, and translates what is none of the
// client's doing.
func (e *Endpoint) clientRefused(err error, basic bool, from string) error {
	switch fault.KindOf(err) {
	case fault.Unauthenticated:
		e.guesses.count(from, e.now())
		return &tokenRefusal{status: http.StatusUnauthorized, code: oauthClient, basic: basic, err: err}
	case fault.Unavailable:
		return &tokenRefusal{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", retry: 5 * time.Second, err: err}
	default:
		return &tokenRefusal{status: http.StatusInternalServerError, code: "server_error", err: err}
	}
}

func tooManyGrants(wait time.Duration) error {
	return &tokenRefusal{
		status: http.StatusTooManyRequests, code: "temporarily_unavailable", retry: wait,
		err: fault.New(fault.Unavailable, "too many token requests: an access token is good for an hour"),
	}
}

// readForm reads the parameters of the body. What stands in the query is not
// looked at (RFC 6749, section 2.3.1), and nothing may stand twice (section
// 3.2). A parameter without a value is none.
func (e *Endpoint) readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, badRequest(oauthRequest, "the content type is application/x-www-form-urlencoded")
	}
	raw, err := e.readBody(w, r, maxForm)
	if err != nil {
		status, _ := answerOf(err)
		return nil, &tokenRefusal{status: status, code: oauthRequest, err: err}
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, badRequest(oauthRequest, "the body is not a form")
	}
	for name, values := range form {
		if len(values) > 1 {
			return nil, badRequest(oauthRequest, "%q stands more than once", clip(name))
		}
		if values[0] == "" {
			delete(form, name)
		}
	}
	return form, nil
}

// credentialsOf finds how the client authenticates itself: one way and not
// two (RFC 6749, section 2.3).
func (e *Endpoint) credentialsOf(r *http.Request, form url.Values, connection string) (credentials, bool, error) {
	c := credentials{id: form.Get("client_id"), secret: form.Get("client_secret"), assertion: form.Get("client_assertion")}
	ways := 0
	for _, name := range []string{"client_secret", "client_assertion"} {
		if form.Has(name) {
			ways++
		}
	}
	if (form.Get("client_assertion_type") != "") != (c.assertion != "") || c.assertion != "" && form.Get("client_assertion_type") != assertionType {
		return c, false, badRequest(oauthRequest, "client_assertion needs the client_assertion_type %s", assertionType)
	}
	header := r.Header.Values("Authorization")
	if len(header)+ways > 1 {
		return c, false, badRequest(oauthRequest, "the client authenticates itself in more than one way")
	}
	if s := e.site(connection); s != nil {
		c.audiences = s.audiences
	}
	if len(header) == 0 {
		return c, false, nil
	}
	id, secret, ok := basicAuth(header[0])
	if !ok || c.id != "" && c.id != id {
		return credentials{}, true, nil // known to nobody
	}
	c.id, c.secret = id, secret
	return c, true, nil
}

// basicAuth reads HTTP Basic credentials, in which both parts are encoded as
// in a form (RFC 6749, section 2.3.1).
func basicAuth(header string) (id, secret string, ok bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	if err != nil || !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	id, secret, ok = strings.Cut(string(raw), ":")
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	return id, secret, ok && errID == nil && errSecret == nil
}

// wantedScope checks what is asked for. There is one scope; of a list that
// holds it, it is what the client gets (RFC 6749, section 3.3).
func wantedScope(form url.Values) (string, error) {
	switch form.Get("grant_type") {
	case grantType:
	case "":
		return "", badRequest(oauthRequest, "grant_type is missing: want %s", grantType)
	default:
		return "", badRequest(oauthGrant, "want the grant_type %s", grantType)
	}
	if scope := form.Get("scope"); scope != "" && !slices.Contains(strings.Split(scope, " "), scopeSCIM) {
		return "", badRequest(oauthScope, "want the scope %s, or none", scopeSCIM)
	}
	return scopeSCIM, nil
}

// failGrant answers with a refusal (RFC 6749, section 5.2).
func (e *Endpoint) failGrant(ctx context.Context, w http.ResponseWriter, r *tokenRefusal) {
	h := w.Header()
	if r.basic && r.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="scim", charset="UTF-8"`)
	}
	if r.allow != "" {
		h.Set("Allow", r.allow)
	}
	if r.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((r.retry+time.Second-1)/time.Second)))
	}
	switch r.status {
	case http.StatusServiceUnavailable:
		e.log.WarnContext(ctx, "token request refused: a dependency is away", slog.Any("error", r.err))
	case http.StatusInternalServerError:
		e.log.ErrorContext(ctx, "token request failed", slog.Any("error", r.err))
	}
	e.writeToken(ctx, w, r.status, map[string]any{"error": r.code, "error_description": described(fault.Message(r.err))})
}

// described keeps to the characters of an error_description.
func described(s string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return '\''
		}
		return c
	}, s)
}

func (e *Endpoint) writeToken(ctx context.Context, w http.ResponseWriter, status int, doc map[string]any) {
	body, err := json.Marshal(doc)
	if err != nil { // texts and numbers alone
		e.log.ErrorContext(ctx, "token answer cannot be encoded", slog.Any("error", err))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache") // RFC 6749, section 5.1
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		e.log.DebugContext(ctx, "token answer was not taken", slog.Any("error", err))
	}
}
