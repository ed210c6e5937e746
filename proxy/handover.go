package proxy

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
	"portcullis/session"
	"portcullis/web"
)

// People sign in at the host of the public URL, and the session's cookie is
// bound to that host. Whoever opens a page on another host that routes name is
// handed over, in three steps that a browser follows by itself:
//
//  1. That host gives the browser a secret of its own in a cookie, and sends it
//     to the public host with the hash of it.
//  2. The public host, where the session is, or is begun now, sends it back with
//     a code that is sealed for that host and that secret, for a minute.
//  3. That host takes the code once, from the browser with the secret, and sets
//     a cookie that holds the session's token, sealed for this host.
//
// So a code that somebody else began or caught is worth nothing, nobody can be
// put into a session that is not theirs, and what one host's cookie opens no
// other host takes. It is one session: what ends it ends it everywhere.
const (
	handOverPath   = web.Prefix + "/hand-over"
	signOutPath    = web.Prefix + "/sign-out"
	handOverCookie = web.SessionCookie + "-handover"
	handOverLife   = 10 * time.Minute // of the secret: as long as a sign-in may take
	codeLife       = time.Minute
)

// HandOver is what it takes to hand people over to other hosts.
type HandOver struct {
	Sealer session.Sealer
	// Once remembers the SHA-256 of a code until it has expired, on every
	// replica. It fails with fault.Conflict if it did before.
	Once func(ctx context.Context, hash []byte, expires time.Time) error
}

// parcel is what a code holds.
type parcel struct {
	Token    string    `json:"token"`
	ReturnTo string    `json:"return_to"`
	Expires  time.Time `json:"expires"`
}

// Purposes that values are sealed for: each opens at one host alone, a code
// with one browser's secret besides.
func cookiePurpose(host string) string     { return "session at " + host }
func codePurpose(host, bind string) string { return "hand-over to " + host + " " + bind }

// elsewhere reports whether a path of our own is served at other hosts than
// the public one.
func (p *Proxy) elsewhere(path string) bool {
	return p.handOver != nil && (path == handOverPath || path == signOutPath || path == signInPath || strings.HasPrefix(path, signInPath+"/"))
}

// visit serves what elsewhere says, at a host.
func (p *Proxy) visit(w http.ResponseWriter, r *http.Request, path, host string) error {
	web.SetHeaders(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return &web.Failure{Err: fault.New(fault.Invalid, "this address does not take that method"), Status: http.StatusMethodNotAllowed}
	}
	switch path {
	case handOverPath:
		return p.takeOver(w, r, host)
	case signOutPath: // where the session is
		http.Redirect(w, r, p.issuer+signOutPath, http.StatusSeeOther)
	default:
		p.leaveFor(w, r, path, host)
	}
	return nil
}

// leaveFor is the first step.
func (p *Proxy) leaveFor(w http.ResponseWriter, r *http.Request, path, host string) {
	secret := rand.Text()
	for _, known := range web.Cookies(r, p.public, handOverCookie) {
		if len(known) == len(secret) { // of another tab, which is on its way, too
			secret = known
		}
	}
	web.SetCookie(w, p.public, handOverCookie, secret, handOverLife)
	query := r.URL.Query()
	back := handOverPath + "?" + url.Values{
		"host": {host}, "bind": {bindOf(secret)}, "return_to": {web.SafeReturn(p.at(host), query.Get("return_to"))},
	}.Encode()
	to := p.issuer + back
	if path != signInPath { // to prove who they are anew
		to = p.issuer + path + "?return_to=" + url.QueryEscape(back)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// bindOf is what is told of a secret.
func bindOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// at is the origin of a host.
func (p *Proxy) at(host string) *url.URL { return &url.URL{Scheme: p.public.Scheme, Host: host} }

// handOff is the second step, at the public host.
func (p *Proxy) handOff(c *gin.Context) error {
	r, query := c.Request, c.Request.URL.Query()
	host, bind := query.Get("host"), query.Get("bind")
	if sum, err := base64.RawURLEncoding.DecodeString(bind); p.handOver == nil || host == p.home || !p.hosts[host] || err != nil || len(sum) != sha256.Size {
		return fault.New(fault.Invalid, "there is no such place to go on to")
	}
	token, err := p.handed(r)
	if fault.Is(err, fault.Unauthenticated) {
		c.Redirect(http.StatusSeeOther, signInPath+"?return_to="+url.QueryEscape(handOverPath+"?"+r.URL.RawQuery))
		return nil
	}
	if err != nil {
		return err
	}
	plain, err := json.Marshal(parcel{token, web.SafeReturn(p.at(host), query.Get("return_to")), p.now().Add(codeLife)})
	if err != nil {
		return err
	}
	sealed, err := p.handOver.Sealer.Seal(codePurpose(host, bind), plain)
	if err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, p.originAt(host)+handOverPath+"?code="+base64.RawURLEncoding.EncodeToString(sealed))
	return nil
}

// handed gives the token of the session that a browser has here.
func (p *Proxy) handed(r *http.Request) (string, error) {
	if _, err := p.whose(journeyOf(r.Context()), p.home); err != nil {
		return "", err
	}
	for token := range p.tokens(r, p.home) { //nolint:contextcheck // it reads cookies alone
		if _, err := p.sessions.Verify(r.Context(), token); err == nil {
			return token, nil
		}
	}
	return "", fault.New(fault.Unauthenticated, "you are not signed in") // a program is not handed over
}

// takeOver is the third step.
func (p *Proxy) takeOver(w http.ResponseWriter, r *http.Request, host string) error {
	got, hash, err := p.unpack(r, host)
	if err != nil {
		return &web.Failure{Err: err, Link: web.Link{Text: "Try again", URL: signInPath}, Advice: "Open the page again from where you were."}
	}
	ctx := r.Context()
	if err := p.handOver.Once(ctx, hash, got.Expires); err != nil {
		if fault.Is(err, fault.Conflict) {
			err = fault.Wrap(fault.Invalid, err, "this way here was taken already")
		}
		return err
	}
	who, err := p.sessions.Verify(ctx, got.Token)
	if err != nil {
		return p.signInFirst(err, host)
	}
	sealed, err := p.handOver.Sealer.Seal(cookiePurpose(host), []byte(got.Token))
	if err != nil {
		return err
	}
	web.ClearCookie(w, p.public, handOverCookie)
	web.SetCookie(w, p.public, web.SessionCookie, base64.RawURLEncoding.EncodeToString(sealed), who.Expires.Sub(p.now()))
	p.log.InfoContext(ctx, "handed over", "reference", web.Reference(ctx), "host", host, "connection", who.Connection)
	http.Redirect(w, r, web.SafeReturn(p.at(host), got.ReturnTo), http.StatusSeeOther)
	return nil
}

// unpack opens the code of a request, if this browser began at this host, and
// gives its hash.
func (p *Proxy) unpack(r *http.Request, host string) (got parcel, hash []byte, err error) {
	code := r.URL.Query().Get("code")
	sealed, err := base64.RawURLEncoding.DecodeString(code)
	if err != nil || code == "" {
		return got, nil, fault.New(fault.Invalid, "there is nothing to take over")
	}
	for _, secret := range web.Cookies(r, p.public, handOverCookie) {
		plain, err := p.handOver.Sealer.Open(codePurpose(host, bindOf(secret)), sealed)
		if err != nil || json.Unmarshal(plain, &got) != nil {
			continue
		}
		if !p.now().Before(got.Expires) {
			return parcel{}, nil, fault.New(fault.Invalid, "it took too long to come here")
		}
		sum := sha256.Sum256(sealed)
		return got, sum[:], nil
	}
	return got, nil, fault.New(fault.Invalid, "the way here was not begun in this browser")
}

// opened gives the tokens in the session cookies of another host. What was not
// sealed for that host is nothing.
func (p *Proxy) opened(host string, values iter.Seq[string]) iter.Seq[string] {
	return func(yield func(string) bool) {
		if p.handOver == nil {
			return
		}
		for v := range values {
			sealed, err := base64.RawURLEncoding.DecodeString(v)
			if err != nil {
				continue
			}
			if token, err := p.handOver.Sealer.Open(cookiePurpose(host), sealed); err == nil && !yield(string(token)) {
				return
			}
		}
	}
}

// demandedAt is where a path that sign-in leads back to leads on to: a hand-over
// is for the page behind it.
func (p *Proxy) demandedAt(u *url.URL) (path, host string) {
	if u.Path != handOverPath {
		return u.EscapedPath(), p.home
	}
	query := u.Query()
	host = query.Get("host")
	behind, err := url.ParseRequestURI(web.SafeReturn(p.at(host), query.Get("return_to")))
	if err != nil || !p.hosts[host] {
		return "/", p.home
	}
	return behind.EscapedPath(), host
}
