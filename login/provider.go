package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"portcullis/fault"
)

const (
	retryInterval = time.Second     // between discoveries that requests ask for
	refreshEvery  = time.Hour       // between discoveries in the background
	firstBackoff  = 2 * time.Second // after a discovery in the background failed; doubles
	lastBackoff   = 5 * time.Minute
)

// provider is what the gate knows of one identity provider. Safe for
// concurrent use.
type provider struct {
	conn   Connection
	issuer *url.URL
	client *http.Client
	now    func() time.Time
	keys   *keySet
	flight flight

	mu     sync.Mutex
	meta   *metadata // last good one; nil before
	failed time.Time // when the last discovery failed; zero if it did not
}

// metadata is the part of an identity provider's metadata that is used
// (OpenID Connect Discovery 1.0, section 3).
type metadata struct {
	authURL       string
	tokenURL      string
	keysURL       string
	userInfoURL   string // empty if there is none
	endSessionURL string // empty if there is none
	algorithms    []string
	authStyle     oauth2.AuthStyle
	answersIssuer bool // RFC 9207, section 3
}

func newProvider(c Connection, base *http.Client, now func() time.Time) *provider {
	issuer, err := url.Parse(c.Issuer)
	if err != nil {
		issuer = &url.URL{} // refused at discovery
	}
	p := &provider{conn: c, issuer: issuer, client: newClient(issuer, base), now: now}
	p.keys = &keySet{fetch: p.fetchKeys, now: now}
	return p
}

// metadata gives what is known, or discovers it. While the identity provider
// is away, callers share one discovery a second and wait for it, so that the
// first request after its return gets through.
func (p *provider) metadata(ctx context.Context) (*metadata, error) {
	if m := p.known(); m != nil {
		return m, nil
	}
	err := p.flight.do(ctx, func() error {
		ctx := context.WithoutCancel(ctx) // others wait, too; the client bounds it
		p.mu.Lock()
		failed := p.failed
		p.mu.Unlock()
		if rest := retryInterval - p.now().Sub(failed); rest > 0 && rest <= retryInterval {
			time.Sleep(rest)
		}
		return p.discover(ctx)
	})
	if m := p.known(); m != nil {
		return m, nil
	}
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = classify(fmt.Errorf("waiting: %w", context.Canceled), "discovery")
	}
	return nil, err
}

func (p *provider) known() *metadata {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.meta
}

// refresh discovers anew and keeps what is known when that fails.
func (p *provider) refresh(ctx context.Context) error {
	return p.flight.do(ctx, func() error { return p.discover(ctx) })
}

func (p *provider) discover(ctx context.Context) error {
	m, _, err := p.fetchMetadata(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.failed = p.now()
		return err
	}
	p.meta, p.failed = m, time.Time{}
	return nil
}

// fetchMetadata reads the metadata, and gives the header of the answer for
// its clock.
func (p *provider) fetchMetadata(ctx context.Context) (*metadata, http.Header, error) {
	if err := p.checkIssuer(); err != nil {
		return nil, nil, err
	}
	target := strings.TrimSuffix(p.conn.Issuer, "/") + "/.well-known/openid-configuration"
	data, header, err := get(ctx, p.client, target, nil)
	if err != nil {
		if status, ok := errors.AsType[statusError](err); ok && status >= http.StatusInternalServerError {
			return nil, header, fault.Wrap(fault.Unavailable, err, "the identity provider does not work right now")
		}
		return nil, header, classify(err, "discovery")
	}
	m, err := p.readMetadata(data)
	return m, header, err
}

func (p *provider) checkIssuer() error {
	u := p.issuer
	if u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil ||
		u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return fault.New(fault.Invalid, "the issuer of this connection is not an https URL")
	}
	return nil
}

func (p *provider) readMetadata(data []byte) (*metadata, error) {
	doc, err := decodeObject(data)
	if err != nil {
		return nil, refuse(err, "its metadata is not a proper JSON object")
	}
	if doc["issuer"] != p.conn.Issuer { // exactly, section 4.3
		return nil, refuse(fmt.Errorf("issuer %.200q", doc["issuer"]), "its metadata names another issuer than this connection")
	}
	m := &metadata{answersIssuer: doc["authorization_response_iss_parameter_supported"] == true}
	for _, e := range []struct {
		name     string
		required bool
		into     *string
	}{
		{"authorization_endpoint", true, &m.authURL},
		{"token_endpoint", true, &m.tokenURL},
		{"jwks_uri", true, &m.keysURL},
		{"userinfo_endpoint", false, &m.userInfoURL},
		{"end_session_endpoint", false, &m.endSessionURL},
	} {
		if *e.into, err = p.endpoint(doc, e.name, e.required); err != nil {
			return nil, err
		}
	}
	if m.algorithms, err = signing(doc); err != nil {
		return nil, err
	}
	m.authStyle, err = p.authStyle(doc)
	return m, err
}

// endpoint reads a URL of the metadata: https, or http on loopback if the
// issuer is there, too.
func (p *provider) endpoint(doc map[string]any, name string, required bool) (string, error) {
	if doc[name] == nil && !required {
		return "", nil
	}
	text, ok := doc[name].(string)
	if !ok || text == "" && required {
		return "", refuse(errors.New(name), "its metadata lacks an endpoint")
	}
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || len(text) > 2048 {
		return "", refuse(errors.New(name), "its metadata holds an endpoint that is not a URL")
	}
	plain := u.Scheme == "http" && isLoopback(u.Hostname()) && p.issuer.Scheme == "http"
	if u.Scheme != "https" && !plain {
		return "", refuse(errors.New(name), "its metadata holds an endpoint that is not https")
	}
	return text, nil
}

// signing is the algorithms that are both announced and accepted.
func signing(doc map[string]any) ([]string, error) {
	announced, ok := stringsOf(doc["id_token_signing_alg_values_supported"])
	if !ok {
		return nil, refuse(nil, "its metadata lists no signing algorithms")
	}
	var out []string
	for _, alg := range algorithms() {
		if announced == nil || slices.Contains(announced, string(alg)) {
			out = append(out, string(alg))
		}
	}
	if len(out) == 0 {
		return nil, refuse(nil, "it signs with no algorithm that is accepted")
	}
	return out, nil
}

// authStyle is how the gate proves itself at the token endpoint. It is never
// found out by trying, which would send the code twice.
func (p *provider) authStyle(doc map[string]any) (oauth2.AuthStyle, error) {
	methods, ok := stringsOf(doc["token_endpoint_auth_methods_supported"])
	if !ok {
		return 0, refuse(nil, "its metadata lists no client authentication")
	}
	switch {
	case p.conn.ClientSecret == "":
		return oauth2.AuthStyleInParams, nil // a public client sends its client_id alone
	case methods == nil, slices.Contains(methods, "client_secret_basic"): // the default, section 3
		return oauth2.AuthStyleInHeader, nil
	case slices.Contains(methods, "client_secret_post"):
		return oauth2.AuthStyleInParams, nil
	default:
		return 0, refuse(fmt.Errorf("%.200q", methods), "it takes no client authentication that the gate offers")
	}
}

// oauth is the client configuration of the code flow.
func (p *provider) oauth(m *metadata, redirect string) *oauth2.Config {
	return &oauth2.Config{
		ClientID:     p.conn.ClientID,
		ClientSecret: p.conn.ClientSecret,
		RedirectURL:  redirect,
		Scopes:       p.conn.Scopes,
		Endpoint:     oauth2.Endpoint{AuthURL: m.authURL, TokenURL: m.tokenURL, AuthStyle: m.authStyle},
	}
}

// isLoopback says whether a host of a URL is this machine by its name alone.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
