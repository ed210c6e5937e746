package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/web"
)

// How long a setup link can be opened, and how long what it opened lasts.
const (
	SetupLinkLife  = 72 * time.Hour
	SetupVisitLife = 8 * time.Hour
)

const (
	setupCookie = "portcullis-setup"
	setupPath   = web.ConsolePrefix + "/setup"
)

// setupLinkView shows a link for a client's own administrator, once.
type setupLinkView struct {
	spot

	Link    string    `json:"link"`
	Expires time.Time `json:"expires"`
}

// makeSetupLink makes a link that opens one connection, once: to see what to do
// at the provider, and to fill in what the gate has to know. What stands in it is
// 256 random bits, of which the hash is kept.
func (c *Console) makeSetupLink(r *request) (any, error) {
	conn, w, _, err := c.look(r)
	if err != nil {
		return nil, err
	}
	if c.reachesTheGate(conn) {
		return nil, fault.New(fault.Conflict, "people of this connection can have rights over the gate itself: set it up here, a link can do no more than look")
	}
	token, now := rand.Text()+rand.Text(), c.now()
	hash := sha256.Sum256([]byte(token))
	link := Link{
		ID: strings.ToLower(rand.Text()), Hash: hash[:], Issuer: r.actor().Name, Connection: conn.ID, Created: now, Expires: now.Add(SetupLinkLife),
	}
	err = c.store.InsertLink(r.ctx, link, audit.Event{
		At: now, Action: audit.SetupLink, Actor: r.actor(), Connection: conn.ID, Subject: conn.ID, Detail: map[string]string{"link": link.ID},
	})
	if err != nil {
		return nil, err
	}
	r.gin.Header("Cache-Control", "no-store")
	return &setupLinkView{c.spot(r, conn, w, ""), strings.TrimSuffix(c.public.String(), "/") + setupPath + "?link=" + token, link.Expires}, nil
}

// askSetup shows what a setup link is for. Looking at it does not use it up. It
// is in English, as what it leads to is: nobody is to choose by its language
// and lose it with the next page.
func (c *Console) askSetup(g *gin.Context) error {
	return c.standard(g, false).Render(g.Writer, g.Request, http.StatusOK, "setup", frame{View: g.Query("link")})
}

// openSetup uses a setup link up.
func (c *Console) openSetup(g *gin.Context) error {
	v, token, err := c.openVisit(g, SetupVisitLife, true, func(v Visit) audit.Event {
		return audit.Event{
			At: v.Created, Action: audit.SetupOpened, Actor: (&visitor{link: &v, address: v.Address}).actor(), Connection: v.Connection, Subject: v.Connection,
		}
	})
	if fault.Is(err, fault.NotFound) {
		return &web.Failure{
			Err:    fault.New(fault.Forbidden, "this link has been used or is too old"),
			Advice: "Ask whoever gave it to you for a new one.",
		}
	}
	if err != nil {
		return err
	}
	web.SetCookie(g.Writer, c.public, setupCookie, token, SetupVisitLife)
	web.SetHeaders(g.Writer.Header())
	g.Redirect(http.StatusSeeOther, web.ConsolePrefix+theirs.path+"/"+v.Connection+"/setup")
	return nil
}

// setupVisitor is whoever holds what a setup link opened: they may see to that
// connection, and nothing else. It fails with
// fault.Unauthenticated once that is over.
func (c *Console) setupVisitor(r *http.Request) (*visitor, error) {
	v, err := c.visit(r, setupCookie, true)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, &web.Failure{
			Err:    fault.New(fault.Unauthenticated, "no setup link is open in this browser, or its time is over"),
			Advice: "Ask whoever gave you the link for a new one.",
		}
	}
	out := &visitor{link: v, tasks: []string{mapping.GateConnectionsOwn}, address: web.ClientAddress(r)}
	all := c.connections()
	if i := slices.IndexFunc(all, func(conn Connection) bool { return conn.ID == v.Connection && !conn.Shadowed }); i >= 0 {
		out.home.organization = all[i].Organization
	}
	return out, nil
}

// closeSetup ends a visit that a setup link opened.
func (c *Console) closeSetup(r *request) (any, error) {
	now := c.now()
	err := c.store.EndVisit(r.ctx, r.link.ID, now, audit.Event{
		At: now, Action: audit.SetupClosed, Actor: r.actor(), Connection: r.link.Connection, Subject: r.link.Connection,
	})
	if err != nil {
		return nil, err
	}
	web.ClearCookie(r.gin.Writer, c.public, setupCookie)
	return &closedView{}, nil
}

// closedView says that a visit is over.
type closedView struct{}
