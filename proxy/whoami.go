package proxy

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
	"portcullis/web"
)

// whoamiJSON tells the portal's pages, and the curious, who is signed in. It
// never holds a token.
type whoamiJSON struct {
	Subject      string          `json:"subject"`
	Connection   string          `json:"connection"`
	Organization string          `json:"organization"`
	Email        string          `json:"email"`
	Name         string          `json:"name"`
	Roles        []string        `json:"roles"`
	Tasks        []string        `json:"tasks"`
	Permissions  permissionsJSON `json:"permissions"`
	Expires      time.Time       `json:"expires"`
}

func (p *Proxy) whoami(c *gin.Context) error {
	j := journeyOf(c.Request.Context())
	who, err := p.whose(j, j.host)
	if err != nil {
		if fault.Is(err, fault.Unauthenticated) && !isBearer(c.Request) {
			if p.hasToken(c.Request, j.host) {
				web.ClearCookie(c.Writer, p.public, web.SessionCookie)
			}
			return p.signInFirst(err, j.host)
		}
		return err
	}
	c.JSON(http.StatusOK, whoamiJSON{
		Subject: who.Subject, Connection: who.Connection, Organization: who.Organization, Email: who.Email, Name: who.Name,
		Roles: list(who.Access.Roles), Tasks: list(who.Access.Tasks), Permissions: permissionsOf(who.Access.Permissions),
		Expires: who.Expires.UTC(),
	})
	return nil
}

// jwks publishes the keys of the assertion. Portals keep them for five
// minutes, the life of an assertion.
func (p *Proxy) jwks(c *gin.Context) error {
	set := p.keys.JWKS()
	if set == nil {
		return fault.New(fault.Unavailable, "the keys are not known to be good at the moment")
	}
	c.Header("Cache-Control", "public, max-age=300")
	c.Data(http.StatusOK, "application/jwk-set+json", set)
	return nil
}
