package login

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gin-gonic/gin"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/trace"
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
	email := strings.TrimSpace(form.Get("email"))
	w := wish{returnTo: web.SafeReturn(l.public, form.Get("return_to")), hint: email, another: form.Has(anotherParameter)}
	if id := form.Get("connection"); id != "" {
		return l.startAt(c, id, w)
	}
	if email == "" && !w.another && l.signedIn(c) {
		c.Redirect(http.StatusSeeOther, w.returnTo)
		return nil
	}
	if all := l.offered(); len(all) == 1 {
		return l.startAt(c, all[0].conn.ID, w)
	}
	if w.another {
		l.forget(c)
	} else if p := l.remembered(c.Request); p != nil && email == "" {
		return l.startAt(c, p.conn.ID, w)
	}
	page := web.SignIn{ReturnTo: w.returnTo, Another: w.another}
	if email != "" {
		if p := l.byDomain(email); p != nil {
			return l.startAt(c, p.conn.ID, w)
		}
		page.Message = "No organization is known for this e-mail address. Check it, or choose your organization below."
		page.Email = email
	}
	return web.Page(c, http.StatusOK, "sign-in", l.choices(page))
}

// wish is what somebody wants of a sign-in.
type wish struct {
	returnTo string // a safe local target
	page     string // what it is for, if that is another one
	hint     string // login_hint
	another  bool   // another account than the one used last
	test     string // id of the dry run that it is
}

// signedIn says whether the browser holds a session that is alive.
func (l *Login) signedIn(c *gin.Context) bool {
	for _, token := range web.Cookies(c.Request, l.public, web.SessionCookie) {
		if _, err := l.sessions.Verify(c.Request.Context(), token); err == nil {
			return true
		}
	}
	web.ReadByNobody(c.Request.Context())
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
	for _, p := range l.providers() {
		if slices.Contains(p.conn.Domains, domain) {
			return p
		}
	}
	return nil
}

// choices fills in the identity providers. One organization may have several.
func (l *Login) choices(page web.SignIn) web.SignIn {
	count := make(map[string]int)
	offered := l.offered()
	for _, p := range offered {
		count[p.conn.Organization]++
		if len(p.conn.Domains) > 0 {
			page.Action = signInPath
		}
	}
	for _, p := range offered {
		name := p.conn.Organization
		if count[name] > 1 {
			name += " (" + p.conn.ID + ")"
		}
		page.Choices = append(page.Choices, web.Choice{Name: name, URL: signInURL(p.conn.ID, page.ReturnTo, page.Another)})
	}
	return page
}

// start begins at the identity provider that the path names, always anew: it
// is also how somebody changes to another account.
func (l *Login) start(c *gin.Context) error {
	query := c.Request.URL.Query()
	w := wish{returnTo: web.SafeReturn(l.public, query.Get("return_to")), hint: query.Get("login_hint"), another: query.Has(anotherParameter)}
	if query.Has("for") { // a script's: the page to return to is another one
		w.page = web.SafeReturn(l.public, query.Get("for"))
	}
	return l.startAt(c, c.Param("connection"), w)
}

// startAt sends the browser to an identity provider with a new attempt.
func (l *Login) startAt(c *gin.Context, id string, w wish) error {
	if !web.Navigates(c.Request) || framed(c.Request) && !ofOurs(c.Request) { // as in [Login.arrive]
		return errPart
	}
	address := web.ClientAddress(c.Request)
	if err := l.limit.start(address); err != nil {
		return err
	}
	p, ok := l.provider(id)
	if !ok {
		l.limit.failed(address)
		return errNoSuchWay
	}
	b := l.traced(c, p)
	err := l.depart(c, p, w)
	if err != nil && w.test != "" {
		if _, failed := l.reportTest(c, p, b, w.test, err); failed != nil {
			return failed
		}
		return l.failure(p, w.returnTo, err)
	}
	if err != nil {
		l.conclude(b, directory.SignedIn{}, err)
		l.record(c, p, "", err)
		return l.failure(p, w.returnTo, err)
	}
	return nil
}

// depart writes down what the answer will be held against, and redirects.
func (l *Login) depart(c *gin.Context, p *provider, w wish) error {
	ctx := c.Request.Context()
	browser := l.browser(c.Request, p.protocol.cookie())
	if browser == "" {
		browser = rand.Text()
	}
	state, now := l.marked(ctx, rand.Text()), l.now().UTC()
	a := Attempt{
		StateHash: digest(state), BrowserHash: digest(browser), Connection: p.conn.ID, ReturnTo: w.returnTo,
		Reference: web.Reference(ctx), Created: now, Expires: now.Add(attemptLife),
		Address: web.ClientAddress(c.Request), Test: w.test, Another: w.another,
	}
	// A form that another site posts brings along no cookie of ours but the
	// one that is made for it.
	if w.test == "" && p.protocol.cookie() != BrowserCookie {
		a.Replaces = l.held(c.Request)
	}
	l.demanded(c, &a, cmp.Or(w.page, w.returnTo))
	if !usableHint(w.hint) {
		w.hint = ""
	}
	to, err := p.protocol.begin(ctx, &a, state, w.hint)
	trace.Of(ctx).Check("identity provider", err == nil, "metadata that can be used", outcomeOf(err))
	if err != nil {
		return err
	}
	if err := l.store.InsertAttempt(ctx, a); err != nil {
		return fmt.Errorf("attempt: %w", err)
	}
	if name := p.protocol.cookie(); name == BrowserCookie {
		web.SetCookie(c.Writer, l.public, name, browser, attemptLife)
	} else {
		web.SetForeignCookie(c.Writer, l.public, name, browser, attemptLife)
	}
	l.log.InfoContext(ctx, "sign-in started", "reference", a.Reference, "connection", p.conn.ID)
	return to.send(c, "Going to your identity provider")
}

// held is the SHA-256 of the session that the browser brings along, nil if it
// brings none.
func (l *Login) held(r *http.Request) []byte {
	for _, token := range web.Cookies(r, l.public, web.SessionCookie) {
		if _, err := l.sessions.Verify(r.Context(), token); err == nil {
			return digest(token)
		}
	}
	web.ReadByNobody(r.Context())
	return nil
}

// browser is the id that binds attempts to this browser, empty if it has
// none. Only what this package made is taken, so that nobody plants a known
// one of another shape.
func (l *Login) browser(r *http.Request, cookie string) string {
	for _, v := range web.Cookies(r, l.public, cookie) {
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
