package login

import (
	"bytes"
	"context"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/directory"
	"portcullis/session"
	"portcullis/web"
)

// provider is one connection with the protocol that its identity provider
// speaks.
type provider struct {
	conn     Connection
	protocol protocol
}

// protocol is what the flow needs of a connection, whichever language its
// identity provider speaks. How the answer comes back differs: each protocol
// has a handler of its own, which ends in [Login.arrive].
type protocol interface {
	// cookie is the name of the cookie that binds attempts to a browser.
	cookie() string
	// begin writes into a what the answer will be held against, and gives
	// where to send the browser. hint is what the person typed; may be empty.
	begin(ctx context.Context, a *Attempt, state, hint string) (departure, error)
	// signOut is where the identity provider ends its own session; the zero
	// value if it offers nothing of the kind. back is where it should send the
	// browser, with state.
	signOut(ctx context.Context, ticket session.Ticket, back, state string) departure
	// check looks at the connection from the command line, and changes nothing.
	check(ctx context.Context) []Result
	// run keeps what is known of the identity provider fresh until ctx ends.
	run(ctx context.Context)
}

// departure is where the browser goes: it follows a redirect to URL, or posts
// Fields there.
type departure struct {
	URL    string
	Fields []web.Field
	ID     string // of a message that is answered; empty for others
}

func newProvider(conn Connection, c *Config) *provider {
	conn = conn.withDefaults()
	if conn.SAML != nil {
		return &provider{conn: conn, protocol: newFederated(conn, c)}
	}
	return &provider{conn: conn, protocol: newOpenID(conn, c)}
}

// is reports whether both are the same identity provider, and know us as the
// same: what else is said of a connection, as its name or a client secret, may
// change while somebody is under way.
func (p *provider) is(other *provider) bool {
	if p == other {
		return true
	}
	a, b := p.conn, other.conn
	switch {
	case a.OIDC != nil && b.OIDC != nil:
		return a.OIDC.Provider.Issuer == b.OIDC.Provider.Issuer && a.OIDC.Provider.ClientID == b.OIDC.Provider.ClientID
	case a.SAML != nil && b.SAML != nil:
		return a.SAML.sameIDP(b.SAML)
	}
	return false
}

// sameIDP reports whether what both trust is said at the same place.
func (s *SAML) sameIDP(other *SAML) bool {
	return s.MetadataFile == other.MetadataFile && s.MetadataURL == other.MetadataURL && bytes.Equal(s.Metadata, other.Metadata) &&
		s.Provider == other.Provider && s.EntityID == other.EntityID && s.AllowSHA1 == other.AllowSHA1 &&
		slices.EqualFunc(s.Signers, other.Signers, (*x509.Certificate).Equal)
}

// unasked reports whether people may begin at the provider, and arrive without
// a cookie of ours.
func (p *provider) unasked() bool { return p.conn.SAML != nil && p.conn.SAML.AllowIDPInitiated }

// send makes the browser go.
func (d departure) send(c *gin.Context, title string) error {
	c.Header("Cache-Control", "no-store")
	if len(d.Fields) == 0 {
		c.Redirect(http.StatusSeeOther, d.URL)
		return nil
	}
	return web.Page(c, http.StatusOK, "post", web.Post{Title: title, Action: d.URL, Fields: d.Fields})
}

func (c Connection) withDefaults() Connection {
	if c.Organization == "" {
		c.Organization = c.ID
	}
	if c.Link == "" {
		c.Link = directory.LinkExternalID
	}
	domains := make([]string, len(c.Domains))
	for i, d := range c.Domains {
		domains[i] = strings.ToLower(d)
	}
	c.Domains = domains
	return c
}

// Result is one thing that [Login.Check] looked at.
type Result struct {
	Connection string
	Name       string // "metadata", "keys", "clock" or "certificate"
	Detail     string // what was found, in words
	Err        error  // nil if it is well
	Warning    bool   // Detail is something to look at, though it works
	// Expires is when what Detail names, without an article, ends; the zero
	// time for nothing.
	Expires time.Time
}

// Check reaches each identity provider and looks at what it publishes of
// itself and at its clock. It changes nothing that sign-ins see.
func (l *Login) Check(ctx context.Context) []Result {
	var results []Result
	for _, p := range l.providers() {
		results = append(results, p.protocol.check(ctx)...)
	}
	return results
}
