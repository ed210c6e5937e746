package login

import (
	"context"
	"strings"

	"portcullis/directory"
	"portcullis/session"
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
	// begin writes into a what the answer will be held against, and gives
	// where to send the browser. hint is what the person typed; may be empty.
	begin(ctx context.Context, a *Attempt, state, hint string) (target string, err error)
	// signOut is where the identity provider ends its own session; empty if it
	// offers nothing of the kind. back is where it should send the browser,
	// with state.
	signOut(ticket session.Ticket, back, state string) string
	// check looks at the connection from the command line, and changes nothing.
	check(ctx context.Context) []Result
	// run keeps what is known of the identity provider fresh until ctx ends.
	run(ctx context.Context)
}

func newProvider(conn Connection, c *Config) *provider {
	conn = conn.withDefaults()
	return &provider{conn: conn, protocol: newOpenID(conn, c)}
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
	Name       string // "metadata", "keys" or "clock"
	Detail     string // what was found, in words
	Err        error  // nil if it is well
}

// Check reaches each identity provider and looks at what it publishes of
// itself and at its clock. It changes nothing that sign-ins see.
func (l *Login) Check(ctx context.Context) []Result {
	var results []Result
	for _, p := range l.providers {
		results = append(results, p.protocol.check(ctx)...)
	}
	return results
}
