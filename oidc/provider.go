// Package oidc is one OpenID provider as the gate sees it: its metadata and
// keys, the redemption of a code, and the tokens that it signs. It does what
// the libraries leave to their callers: OpenID Connect Core 1.0, section
// 3.1.3.7, in full, over keys that are forgotten when the provider removes
// them, and over a decoder that knows no second reading.
//
// Whatever a provider sends is foreign input: bounded, decoded strictly, and
// refused as fault.Invalid; only a provider that cannot be reached is
// fault.Unavailable. The package knows no browser, keeps no sign-in and logs
// no token or code: the flow is package login's.
package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/fault"
	"portcullis/outbound"
)

const (
	retryInterval = time.Second     // between discoveries that requests ask for
	refreshEvery  = time.Hour       // between discoveries in the background
	firstBackoff  = 2 * time.Second // after a discovery in the background failed; doubles
	lastBackoff   = 5 * time.Minute
)

// Config is what a Provider needs.
type Config struct {
	Issuer       string           // required; https, or http on loopback
	ClientID     string           // required
	ClientSecret string           // empty for a public client, and where there is a Signer
	NextSecret   string           // tried where ClientSecret is no longer taken, or not yet; may be empty
	Signer       Signer           // private_key_jwt; nil for none
	NextSigner   Signer           // tried where Signer is no longer taken, or not yet; may be nil
	Scopes       []string         // defaults to openid profile email
	Offline      bool             // ask for offline_access: a refresh token
	AllowPrivate bool             // let the provider's names resolve into private networks
	HTTP         *http.Client     // transport and time limit, for tests; defaults to a guarded client of 5 s
	Now          func() time.Time // defaults to time.Now
	Log          *slog.Logger     // defaults to discarding; names the connection
}

// Provider is safe for concurrent use.
type Provider struct {
	c      Config
	issuer *url.URL
	client *http.Client
	keys   *keySet
	flight flight

	rotated atomic.Bool // NextSecret or NextSigner is the one that was taken last

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
	auth          clientAuth
	answersIssuer bool     // RFC 9207, section 3
	prompts       []string // that it knows (Initiating User Registration via OpenID Connect 1.0, section 4.1); nil if it does not say
}

// New makes a Provider. It reaches nobody: a provider that is down, or whose
// issuer is no safe URL, fails at its first use.
func New(c Config) *Provider {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case len(c.Scopes) == 0:
		c.Scopes = []string{scopeOpenID, "profile", "email"}
	case !slices.Contains(c.Scopes, scopeOpenID): // without it there is no ID token
		c.Scopes = append([]string{scopeOpenID}, c.Scopes...)
	}
	if c.Offline && !slices.Contains(c.Scopes, scopeOffline) {
		c.Scopes = append(slices.Clone(c.Scopes), scopeOffline)
	}
	issuer, err := url.Parse(c.Issuer)
	if err != nil {
		issuer = &url.URL{} // refused at discovery
	}
	p := &Provider{c: c, issuer: issuer, client: outbound.New(outbound.Config{
		Host: issuer.Hostname(), AllowPrivate: c.AllowPrivate, Base: c.HTTP,
	})}
	p.keys = &keySet{fetch: p.fetchKeys, now: c.Now}
	return p
}

const (
	scopeOpenID  = "openid"
	scopeOffline = "offline_access" // OpenID Connect Core 1.0, section 11
)

// Issuer is the issuer as it was configured.
func (p *Provider) Issuer() string { return p.c.Issuer }

// Run keeps what is known of the provider fresh until ctx ends, less often
// while it is away. It logs only when that changes.
func (p *Provider) Run(ctx context.Context) {
	defer p.client.CloseIdleConnections()
	backoff, healthy := firstBackoff, true
	for {
		err := p.refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := refreshEvery
		switch {
		case err != nil:
			if healthy {
				p.c.Log.WarnContext(ctx, "identity provider is not usable", "error", err.Error())
			}
			healthy = false
			wait, backoff = backoff, min(2*backoff, lastBackoff)
		case !healthy:
			p.c.Log.InfoContext(ctx, "identity provider is usable again")
			fallthrough
		default:
			backoff, healthy = firstBackoff, true
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// pause waits, and says whether ctx is still there.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// metadata gives what is known, or discovers it. While the provider is away,
// callers share one discovery a second and wait for it, so that the first
// request after its return gets through. Nobody waits longer than ctx lives.
func (p *Provider) metadata(ctx context.Context) (*metadata, error) {
	for {
		if m := p.known(); m != nil {
			return m, nil
		}
		err := p.flight.do(ctx, func() error {
			p.mu.Lock()
			failed := p.failed
			p.mu.Unlock()
			rest := retryInterval - p.c.Now().Sub(failed)
			if rest > 0 && rest <= retryInterval && !pause(ctx, rest) {
				return ctx.Err()
			}
			return p.discover(context.WithoutCancel(ctx)) // others wait, too; the client bounds it
		})
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil, outbound.Classify(fmt.Errorf("waiting: %w", ctx.Err()), "discovery")
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			if fault.KindOf(err) != fault.Internal {
				return nil, err
			}
			// Whoever was first left before it began: it is somebody else's turn.
		default:
			return nil, err
		}
	}
}

func (p *Provider) known() *metadata {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.meta
}

// refresh discovers anew and keeps what is known when that fails.
func (p *Provider) refresh(ctx context.Context) error {
	return p.flight.do(ctx, func() error { return p.discover(ctx) })
}

func (p *Provider) discover(ctx context.Context) error {
	m, _, err := p.fetchMetadata(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.failed = p.c.Now()
		return err
	}
	p.meta, p.failed = m, time.Time{}
	return nil
}

// fetchMetadata reads the metadata, and gives the header of the answer for
// its clock.
func (p *Provider) fetchMetadata(ctx context.Context) (*metadata, http.Header, error) {
	if err := p.checkIssuer(); err != nil {
		return nil, nil, err
	}
	target := strings.TrimSuffix(p.c.Issuer, "/") + "/.well-known/openid-configuration"
	data, header, err := outbound.Get(ctx, p.client, target, nil)
	if err != nil {
		if status, ok := errors.AsType[outbound.Status](err); ok && status >= http.StatusInternalServerError {
			return nil, header, fault.Wrap(fault.Unavailable, err, "the identity provider does not work right now")
		}
		return nil, header, outbound.Classify(err, "discovery")
	}
	m, err := p.readMetadata(data)
	return m, header, err
}

func (p *Provider) checkIssuer() error {
	u := p.issuer
	if u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil ||
		u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return fault.New(fault.Invalid, "the issuer of this connection is not an https URL")
	}
	return nil
}

func (p *Provider) readMetadata(data []byte) (*metadata, error) {
	doc, err := decodeObject(data)
	if err != nil {
		return nil, outbound.Refuse(err, "its metadata is not a proper JSON object")
	}
	if doc["issuer"] != p.c.Issuer { // exactly, section 4.3
		return nil, outbound.Refuse(fmt.Errorf("issuer %.200q", doc["issuer"]), "its metadata names another issuer than this connection")
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
	m.prompts, _ = Strings(doc["prompt_values_supported"]) // of another kind, it says nothing
	m.auth, err = p.clientAuth(doc)
	return m, err
}

// endpoint reads a URL of the metadata: https, or http on loopback if the
// issuer is there, too.
func (p *Provider) endpoint(doc map[string]any, name string, required bool) (string, error) {
	if doc[name] == nil && !required {
		return "", nil
	}
	text, ok := doc[name].(string)
	if !ok || text == "" && required {
		return "", outbound.Refuse(errors.New(name), "its metadata lacks an endpoint")
	}
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || len(text) > 2048 {
		return "", outbound.Refuse(errors.New(name), "its metadata holds an endpoint that is not a URL")
	}
	plain := u.Scheme == "http" && isLoopback(u.Hostname()) && p.issuer.Scheme == "http"
	if u.Scheme != "https" && !plain {
		return "", outbound.Refuse(errors.New(name), "its metadata holds an endpoint that is not https")
	}
	return text, nil
}

// signing is the algorithms that are both announced and accepted.
func signing(doc map[string]any) ([]string, error) {
	announced, ok := Strings(doc["id_token_signing_alg_values_supported"])
	if !ok {
		return nil, outbound.Refuse(nil, "its metadata lists no signing algorithms")
	}
	var out []string
	for _, alg := range algorithms() {
		if announced == nil || slices.Contains(announced, string(alg)) {
			out = append(out, string(alg))
		}
	}
	if len(out) == 0 {
		return nil, outbound.Refuse(nil, "it signs with no algorithm that is accepted")
	}
	return out, nil
}

// isLoopback says whether a host of a URL is this machine by its name alone.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
