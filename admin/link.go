package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/web"
)

// How long a link can be opened, and how long what it opened lasts.
const (
	LinkLife  = 15 * time.Minute
	VisitLife = time.Hour
)

const (
	linkCookie = "portcullis-console"
	linkPath   = web.ConsolePrefix + "/break-glass"
)

// Links makes links that open the console once, with every right but that of a
// second person.
type Links struct {
	Store     Store            // required
	PublicURL *url.URL         // required
	Now       func() time.Time // required
}

// Make makes a link; by is who asked for it. What stands in it is 256 random
// bits, of which the hash is kept.
func (l Links) Make(ctx context.Context, by audit.Actor) (string, error) {
	token, now := rand.Text()+rand.Text(), l.Now().UTC()
	hash := sha256.Sum256([]byte(token))
	link := Link{ID: strings.ToLower(rand.Text()), Hash: hash[:], Issuer: by.Name, Created: now, Expires: now.Add(LinkLife)}
	err := l.Store.InsertLink(ctx, link, audit.Event{
		At: now, Action: audit.ConsoleLink, Actor: by, Subject: "console", Detail: map[string]string{"link": link.ID},
	})
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(l.PublicURL.String(), "/") + linkPath + "?link=" + token, nil
}

// askLink shows what a link is for. Looking at it does not use it up: mail and
// chat programs look at links, too.
func (c *Console) askLink(g *gin.Context) error {
	return c.standard(g, true).Render(g.Writer, g.Request, http.StatusOK, "link", frame{View: g.Query("link")})
}

// openVisit uses the link of a form up, for a visit that lasts for life, and
// gives what the browser keeps of it. It fails with fault.NotFound where there
// is no such link, which is counted against the address.
func (c *Console) openVisit(g *gin.Context, life time.Duration, setup bool, e func(Visit) audit.Event) (v Visit, token string, err error) {
	address := web.ClientAddress(g.Request)
	if err := c.throttle.Debt(address); err != nil {
		return v, "", err
	}
	g.Request.Body = http.MaxBytesReader(g.Writer, g.Request.Body, maxForm)
	if err := g.Request.ParseForm(); err != nil {
		return v, "", fault.Wrap(fault.Invalid, err, "the form cannot be read")
	}
	link, now := sha256.Sum256([]byte(g.Request.PostForm.Get("link"))), c.now()
	token = rand.Text() + rand.Text()
	hash := sha256.Sum256([]byte(token))
	v = Visit{ID: strings.ToLower(rand.Text()), Hash: hash[:], Address: address, Created: now, Expires: now.Add(life)}
	v, err = c.store.OpenVisit(g.Request.Context(), link[:], setup, v, e)
	if fault.Is(err, fault.NotFound) {
		c.throttle.Failed(address)
	}
	return v, token, err
}

// openLink uses a link up.
func (c *Console) openLink(g *gin.Context) error {
	v, token, err := c.openVisit(g, VisitLife, false, func(v Visit) audit.Event {
		return audit.Event{At: v.Created, Action: audit.ConsoleOpened, Actor: (&visitor{link: &v, address: v.Address}).actor(), Subject: "console"}
	})
	if fault.Is(err, fault.NotFound) {
		return &web.Failure{
			Err:    fault.New(fault.Forbidden, "this link has been used or is too old"),
			Advice: "Make another one with: portcullis admin bootstrap",
		}
	}
	if err != nil {
		return err
	}
	ctx := g.Request.Context()
	c.log.WarnContext(ctx, "the console was opened by a one-time link", "visit", v.ID, "issuer", v.Issuer, "address", v.Address)
	web.SetCookie(g.Writer, c.public, linkCookie, token, VisitLife)
	web.SetHeaders(g.Writer.Header())
	g.Redirect(http.StatusSeeOther, web.ConsolePrefix+"/")
	return nil
}

// closeLink ends a visit that a link opened.
func (c *Console) closeLink(r *request) (any, error) {
	if r.link == nil {
		return nil, fault.New(fault.NotFound, "there is nothing to close")
	}
	now := c.now()
	err := c.store.EndVisit(r.ctx, r.link.ID, now, audit.Event{At: now, Action: audit.ConsoleClosed, Actor: r.actor(), Subject: "console"})
	if err != nil {
		return nil, err
	}
	web.ClearCookie(r.gin.Writer, c.public, linkCookie)
	return done{to: "/", Done: "closed"}, nil
}
