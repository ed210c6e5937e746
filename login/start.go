package login

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
	"portcullis/web"
)

const (
	attemptLife = 10 * time.Minute
	maxEmail    = 320 // bytes; RFC 3696, section 3
	maxForm     = 16 << 10
)

// choose leads to the right identity provider: the only one, the one that is
// named, the one of an e-mail's domain; or it asks. Whoever is signed in
// already and names none goes on to where they wanted.
func (l *Login) choose(c *gin.Context) error {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxForm)
	if err := c.Request.ParseForm(); err != nil {
		return fault.Wrap(fault.Invalid, err, "the form cannot be read")
	}
	form := c.Request.Form
	returnTo, email := web.SafeReturn(l.public, form.Get("return_to")), strings.TrimSpace(form.Get("email"))
	if id := form.Get("connection"); id != "" {
		return l.startAt(c, id, returnTo, email)
	}
	if email == "" && l.signedIn(c) {
		c.Redirect(http.StatusSeeOther, returnTo)
		return nil
	}
	if len(l.providers) == 1 {
		return l.startAt(c, l.providers[0].conn.ID, returnTo, email)
	}
	page := web.SignIn{ReturnTo: returnTo}
	if email != "" {
		if p := l.byDomain(email); p != nil {
			return l.startAt(c, p.conn.ID, returnTo, email)
		}
		page.Message = "No organization is known for this e-mail address. Check it, or choose your organization below."
		page.Email = email
	}
	return web.Page(c, http.StatusOK, "sign-in", l.choices(page))
}

// signedIn says whether the browser holds a session that is alive.
func (l *Login) signedIn(c *gin.Context) bool {
	for _, token := range web.Cookies(c.Request, l.public, web.SessionCookie) {
		if _, err := l.sessions.Verify(c.Request.Context(), token); err == nil {
			return true
		}
	}
	return false
}

// byDomain finds the connection of an e-mail's domain. Nothing but the domain
// counts, so that the answer tells nothing of any account.
func (l *Login) byDomain(email string) *provider {
	if len(email) > maxEmail {
		return nil
	}
	_, domain, ok := strings.Cut(email, "@")
	if _, err := mail.ParseAddress(email); err != nil || !ok {
		return nil
	}
	domain = strings.ToLower(domain)
	for _, p := range l.providers {
		if slices.Contains(p.conn.Domains, domain) {
			return p
		}
	}
	return nil
}

// choices fills in the identity providers. One organization may have several.
func (l *Login) choices(page web.SignIn) web.SignIn {
	count := make(map[string]int)
	for _, p := range l.providers {
		count[p.conn.Organization]++
		if len(p.conn.Domains) > 0 {
			page.Action = signInPath
		}
	}
	for _, p := range l.providers {
		name := p.conn.Organization
		if count[name] > 1 {
			name += " (" + p.conn.ID + ")"
		}
		target := signInPath + "/" + url.PathEscape(p.conn.ID)
		if page.ReturnTo != "/" {
			target += "?" + url.Values{"return_to": {page.ReturnTo}}.Encode()
		}
		page.Choices = append(page.Choices, web.Choice{Name: name, URL: target})
	}
	return page
}

// start begins at the identity provider that the path names, always anew: it
// is also how somebody changes to another account.
func (l *Login) start(c *gin.Context) error {
	query := c.Request.URL.Query()
	return l.startAt(c, c.Param("connection"), web.SafeReturn(l.public, query.Get("return_to")), query.Get("login_hint"))
}

// startAt sends the browser to an identity provider with a new attempt.
func (l *Login) startAt(c *gin.Context, id, returnTo, hint string) error {
	ctx, address := c.Request.Context(), web.ClientAddress(c.Request)
	if err := l.limit.start(address); err != nil {
		return err
	}
	p, ok := l.byID[id]
	if !ok {
		l.limit.failed(address)
		return errNoSuchWay
	}
	browser := l.browser(c.Request)
	if browser == "" {
		browser = rand.Text()
	}
	state, now := rand.Text(), l.now().UTC()
	a := Attempt{
		StateHash: digest(state), BrowserHash: digest(browser), Connection: p.conn.ID, ReturnTo: returnTo,
		Reference: web.Reference(ctx), Created: now, Expires: now.Add(attemptLife),
	}
	if !usableHint(hint) {
		hint = ""
	}
	target, err := p.protocol.begin(ctx, &a, state, hint)
	if err != nil {
		l.record(c, p, "", err)
		return err
	}
	if err := l.store.InsertAttempt(ctx, a); err != nil {
		return fmt.Errorf("attempt: %w", err)
	}
	web.SetCookie(c.Writer, l.public, BrowserCookie, browser, attemptLife)
	c.Header("Cache-Control", "no-store")
	l.log.InfoContext(ctx, "sign-in started", "reference", a.Reference, "connection", p.conn.ID)
	c.Redirect(http.StatusSeeOther, target)
	return nil
}

// browser is the id that binds attempts to this browser, empty if it has
// none. Only what this package made is taken, so that nobody plants a known
// one of another shape.
func (l *Login) browser(r *http.Request) string {
	for _, v := range web.Cookies(r, l.public, BrowserCookie) {
		if len(v) == len(rand.Text()) {
			return v
		}
	}
	return ""
}

func usableHint(hint string) bool {
	return hint != "" && len(hint) <= maxEmail && !strings.ContainsFunc(hint, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r)
	})
}

func digest(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}
