package login

import (
	"net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/web"
)

// ChoiceCookie is the name of the cookie that remembers where this browser
// signed in last, for [web.CookieName]. It names a connection and nobody.
const ChoiceCookie = "portcullis-connection"

const choiceLife = 180 * 24 * time.Hour

// anotherParameter asks for another account than the one that was used last:
// the choice is forgotten, and the identity provider asks which one.
const anotherParameter = "another"

// remember notes where somebody signed in, so that they need not choose again.
// With one connection there is nothing to choose.
func (l *Login) remember(c *gin.Context, p *provider) {
	if len(l.providers()) > 1 {
		web.SetCookie(c.Writer, l.public, ChoiceCookie, p.conn.ID, choiceLife)
	}
}

// remembered is the connection that this browser used last; nil if there is
// none any more.
func (l *Login) remembered(r *http.Request) *provider {
	for _, id := range web.Cookies(r, l.public, ChoiceCookie) {
		if p, ok := l.provider(id); ok {
			return p
		}
	}
	return nil
}

// forget takes the remembered choice back.
func (l *Login) forget(c *gin.Context) {
	if len(web.Cookies(c.Request, l.public, ChoiceCookie)) > 0 {
		web.ClearCookie(c.Writer, l.public, ChoiceCookie)
	}
}

// signInURL is where a sign-in begins: at a connection, or with the choice
// among all of them if it is empty.
func signInURL(connection, returnTo string, another bool) string {
	target, query := signInPath, url.Values{}
	if connection != "" {
		target += "/" + url.PathEscape(connection)
	}
	if returnTo != "" && returnTo != "/" {
		query.Set("return_to", returnTo)
	}
	if another {
		query.Set(anotherParameter, "1")
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return target
}

// another leads to a sign-in with another account.
func another(returnTo string) web.Link {
	return web.Link{Text: "Use another account", URL: signInURL("", returnTo, true)}
}
