package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"portcullis/fault"
	"portcullis/outbound"
	"portcullis/trace"
)

// maxParameter bounds what a provider sends through the browser, in bytes.
const maxParameter = 8 << 10

// Request is an authentication request (OpenID Connect Core 1.0, section
// 3.1.2.1). All but Hint is required.
type Request struct {
	Redirect string // our callback
	State    string
	Nonce    string
	Verifier string // PKCE (RFC 7636); its S256 challenge is sent
	Hint     string // login_hint

	ACR []string // acr_values: one of these is wanted; none by default
	// Contexts are authentication contexts of Microsoft Entra ID, of which one is
	// wanted in the claim acrs; none by default.
	Contexts []string
	MaxAge   time.Duration // max_age in whole seconds; 0 for any
	Afresh   bool          // somebody must prove again who they are
	Another  bool          // somebody is to choose among their accounts
}

// AuthURL is where to send the browser. It discovers the provider if need be
// and fails with fault.Unavailable or fault.Invalid as [Provider.Redeem] does.
func (p *Provider) AuthURL(ctx context.Context, r Request) (string, error) {
	m, err := p.metadata(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(r.Verifier), oauth2.SetAuthURLParam("nonce", r.Nonce)}
	if r.Hint != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", r.Hint))
	}
	if len(r.ACR) > 0 {
		options = append(options, oauth2.SetAuthURLParam("acr_values", strings.Join(r.ACR, " ")))
	}
	if len(r.Contexts) > 0 {
		options = append(options, oauth2.SetAuthURLParam("claims", contextClaim(r.Contexts)))
	}
	if r.MaxAge > 0 {
		options = append(options, oauth2.SetAuthURLParam("max_age", strconv.FormatInt(int64(r.MaxAge/time.Second), 10)))
	}
	if prompt := p.prompt(m, r); prompt != "" {
		options = append(options, oauth2.SetAuthURLParam("prompt", prompt))
	}
	client := oauth2.Config{
		ClientID: p.c.ClientID, RedirectURL: r.Redirect, Scopes: p.c.Scopes, Endpoint: oauth2.Endpoint{AuthURL: m.authURL},
	}
	return client.AuthCodeURL(r.State, options...), nil
}

// prompt is how to ask for what a request wants of the person. Every provider
// has to know login and none alone (OpenID Connect Core 1.0, section 15.1), and
// many refuse the whole request for the sake of another.
func (p *Provider) prompt(m *metadata, r Request) string {
	const login, choose = "login", "select_account"
	switch {
	case r.Afresh:
		return login
	case !r.Another:
		return ""
	case slices.Contains(m.prompts, choose), m.prompts == nil && offersChoice(p.issuer.Hostname()):
		return choose
	default:
		return login
	}
}

// offersChoice names the providers whose documentation says that they let
// people choose, and whose metadata does not: Microsoft Entra ID, and Google,
// which does not know login.
func offersChoice(host string) bool {
	switch host {
	case "login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn", "sts.windows.net", "accounts.google.com":
		return true
	default:
		return false
	}
}

// contextClaim asks for an authentication context by claim (OpenID Connect
// Core 1.0, section 5.5.1). Several are asked for by their list alone: the
// documentation of Microsoft Entra ID knows one at a time.
func contextClaim(contexts []string) string {
	wanted := map[string]any{"essential": true, "values": contexts}
	if len(contexts) == 1 {
		wanted = map[string]any{"essential": true, "value": contexts[0]}
	}
	text, _ := json.Marshal(map[string]any{"id_token": map[string]any{"acrs": wanted}}) // never fails: it is text
	return string(text)
}

// Answer is what stands in the query of a callback (RFC 6749, section 4.1.2;
// RFC 9207). Nothing in it is verified.
type Answer struct {
	State string

	code, problem string
	issuer        string
	hasIssuer     bool
}

// ReadAnswer reads the query of a callback. It fails with fault.Invalid.
func ReadAnswer(rawQuery string) (Answer, error) {
	var a Answer
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return a, outbound.Refuse(errors.New("malformed query"), "it is malformed")
	}
	for _, f := range []struct {
		name string
		into *string
	}{{"state", &a.State}, {"code", &a.code}, {"error", &a.problem}, {"iss", &a.issuer}} {
		values := query[f.name]
		if len(values) > 1 || len(values) == 1 && len(values[0]) > maxParameter {
			return a, outbound.Refuse(nil, "it is malformed") // RFC 6749, section 3.1: none stands twice
		}
		*f.into = query.Get(f.name)
	}
	a.hasIssuer = query.Has("iss")
	if a.State == "" {
		return a, outbound.Refuse(nil, "it belongs to no sign-in")
	}
	return a, nil
}

// Expected is what the answer to a request is held against.
type Expected struct {
	Redirect string // the callback that the request named
	Nonce    string
	Verifier string
}

// Tokens is what a code was redeemed for, verified.
type Tokens struct {
	IDToken string         // as it came
	Claims  map[string]any // of the ID token; strictly decoded
	Session string         // sid, what the provider calls its session; empty if it does not say
	Refresh string         // refresh token; empty if none was asked for or came

	access string
}

// maxToken bounds a token that is kept, in bytes.
const maxToken = 16 << 10

// Redeem judges an answer whose state was found to be ours, exchanges its code
// and verifies the ID token. It fails with fault.Forbidden if the provider let
// nobody in, with fault.Unavailable if it cannot be reached, and with
// fault.Invalid for whatever else it answered.
func (p *Provider) Redeem(ctx context.Context, a Answer, want Expected) (t Tokens, err error) {
	m, err := p.metadata(ctx)
	if err != nil {
		return t, err
	}
	b := trace.Of(ctx)
	traceAnswer(b, a, m, p.c.Issuer)
	if err := a.check(m, p.c.Issuer); err != nil {
		return t, err
	}
	answer, err := p.ask(ctx, m, url.Values{
		"grant_type": {"authorization_code"}, "code": {a.code}, "redirect_uri": {want.Redirect}, "code_verifier": {want.Verifier},
	})
	if err != nil {
		err = notAccepted(err)
		b.Check("token endpoint", false, "tokens for the code", err.Error())
		return t, err
	}
	b.Check("token endpoint", true, "tokens for the code", "as wanted")
	var ok bool
	if t.IDToken, ok = answer["id_token"].(string); !ok || t.IDToken == "" {
		return t, outbound.Refuse(nil, "it holds no ID token")
	}
	if t.access, ok = answer["access_token"].(string); !ok || t.access == "" { // RFC 6749, section 5.1
		return t, outbound.Refuse(nil, "it holds no access token")
	}
	if t.Claims, err = p.verify(ctx, m, t.IDToken, proof{want.Nonce, t.access, a.code}); err != nil {
		return Tokens{}, err
	}
	if sid, present := t.Claims["sid"]; present {
		if t.Session, err = Subject(sid); err != nil {
			return Tokens{}, outbound.Refuse(nil, "its ID token names a session that is not a name")
		}
	}
	if p.c.Offline {
		t.Refresh, _ = answer["refresh_token"].(string)
		if len(t.Refresh) > maxToken {
			return Tokens{}, outbound.Refuse(nil, "its refresh token is not one")
		}
	}
	return t, nil
}

// check judges the answer before the code is redeemed.
func (a Answer) check(m *metadata, issuer string) error {
	switch {
	case a.hasIssuer && a.issuer != issuer, !a.hasIssuer && m.answersIssuer:
		return outbound.Refuse(nil, "it does not come from the identity provider that was asked") // RFC 9207, section 2.4
	case a.problem == "access_denied":
		return fault.New(fault.Forbidden, "the identity provider did not let you in, or the sign-in was cancelled there")
	case a.problem != "":
		return fault.Wrap(fault.Invalid, fmt.Errorf("error %s", codeOf(a.problem)), "the identity provider reported an error")
	case a.code == "":
		return outbound.Refuse(nil, "it holds no code")
	}
	return nil
}

// UserInfo asks the userinfo endpoint, and gives nil if there is none. What it
// gives is not signed, and is about the person of the ID token (OpenID Connect
// Core 1.0, section 5.3.2).
func (p *Provider) UserInfo(ctx context.Context, t Tokens) (map[string]any, error) {
	m, err := p.metadata(ctx)
	if err != nil || m.userInfoURL == "" {
		return nil, err
	}
	data, header, err := outbound.Get(ctx, p.client, m.userInfoURL, http.Header{"Authorization": {"Bearer " + t.access}})
	if err != nil {
		return nil, outbound.Classify(err, "userinfo")
	}
	if strings.HasPrefix(strings.ToLower(header.Get("Content-Type")), "application/jwt") {
		return nil, outbound.Refuse(nil, "its user information is signed, which this connection did not ask for")
	}
	info, err := decodeObject(data)
	if err != nil {
		return nil, outbound.Refuse(err, "its user information is malformed")
	}
	if info["sub"] != t.Claims["sub"] {
		return nil, outbound.Refuse(nil, "its user information is about somebody else")
	}
	return info, nil
}

// SignOut is a request to end the session at the provider (OpenID Connect
// RP-Initiated Logout 1.0, section 2).
type SignOut struct {
	Redirect string // where to come back to; registered there
	IDToken  string // id_token_hint; may be empty
	State    string // comes back as it is; may be empty
}

// SignOutURL is where to send the browser. It is empty when the provider
// offers nothing of the kind or is not known at the moment: nobody waits for
// it in order to leave.
func (p *Provider) SignOutURL(s SignOut) string {
	m := p.known()
	if m == nil || m.endSessionURL == "" {
		return ""
	}
	u, err := url.Parse(m.endSessionURL)
	if err != nil {
		return ""
	}
	query := u.Query()
	query.Set("client_id", p.c.ClientID)
	query.Set("post_logout_redirect_uri", s.Redirect)
	if s.IDToken != "" {
		query.Set("id_token_hint", s.IDToken)
	}
	if s.State != "" {
		query.Set("state", s.State)
	}
	u.RawQuery = query.Encode()
	return u.String()
}
