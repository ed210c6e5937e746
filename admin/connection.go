package admin

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/scim"
)

// Connection is a way in, as administrators see it. It holds no secret.
type Connection struct {
	ID           string
	Organization string
	Domains      []string
	Preset       string // whose names and steps count; empty for no maker's
	Protocol     string // OverOIDC or OverSAML; empty where nobody signs in
	Provisioning string // "jit" or "scim"
	Link         string // attribute on which a pushed record and a sign-in meet
	SCIM         bool
	Addresses    []netip.Prefix // where its people may come from; anywhere if empty

	Issuer         string    // of OpenID Connect
	ClientID       string    // likewise, and what follows
	Authentication string    // BySecret, ByKey or Public
	SecretExpires  time.Time // zero: not known
	NextSecret     bool      // a further secret is tried
	MetadataURL    string    // of SAML; one of the three
	MetadataFile   string
	Metadata       bool   // it was uploaded
	EntityID       string // ours, if it is not the address of our metadata

	Incomplete bool // what stands at the identity provider is not filled in, so that nobody signs in

	Made     bool      // in the console; otherwise it stands in the configuration
	Shadowed bool      // made in the console, and another of that id stands in the configuration, which counts
	Problem  string    // why one that was made in the console is not in force
	Version  int64     // of one that was made in the console
	Changed  time.Time // likewise
	Author   string    // likewise

	Reading Reading // what the gate reads out of what its provider says

	unnamed bool // by the mapping in force
}

// The protocols of a [Connection], and how its client proves itself.
const (
	OverOIDC = "oidc"
	OverSAML = "saml"

	BySecret = "secret"
	ByKey    = "key"
	Public   = "public"
)

// Draft is what an administrator wants a connection to be. Secrets and
// metadata that are empty stay what they are.
type Draft struct {
	ID, Organization string
	Domains          []string
	Preset, Protocol string
	Provisioning     string
	Link             string
	SCIM             bool
	Addresses        []string // networks in CIDR, or addresses; none: anywhere
	Reading          Reading

	Issuer, ClientID, Authentication, SecretExpires string
	ClientSecret, NextSecret                        string
	DropNext                                        bool // the next secret becomes nothing
	MetadataURL, Metadata                           string

	Version int64 // of what was changed; 0 for a new one
}

// Made is a connection that was made in the console, as it is stored.
type Made struct {
	ID       string
	Document []byte
	Sealed   []byte // its secrets; nil for none
	Version  int64
	Created  time.Time
	Changed  time.Time
	Author   string
	Removed  time.Time // zero: it is there
	Stays    bool      // it was removed, and the configuration's of that id goes on, of which people, sessions and tokens are
}

// SecretsPurpose is, in front of the id of a connection, for what the secrets
// of one that was made in the console are sealed.
const SecretsPurpose = "console connection "

// Certificate is a certificate of a connection.
type Certificate struct {
	Ours bool   // otherwise the provider signs with its key
	Name string // the beginning of its fingerprint
	Ends time.Time
	Note string // what is special about it; empty for nothing
}

// Trust is on what a SAML connection rests.
type Trust struct {
	Certificates []Certificate
	EntityID     string    // the provider's; empty while it is not known
	Accepted     time.Time // when the metadata came into force; zero: not known
	ValidUntil   time.Time // of what was fetched; zero: it does not say
	Waiting      time.Time // since when other metadata waits for somebody; zero: none does
	Changes      []string  // how that differs
}

// Ways keeps the connections. Those of the configuration cannot be changed.
// What it changes is in force here when it answers, and at every other gate
// within a second.
type Ways interface {
	// Connections gives those that there are, also what is not in force.
	Connections() []Connection
	Trust(ctx context.Context, id string) (Trust, error)
	// ApproveMetadata puts in force what waits for somebody.
	ApproveMetadata(ctx context.Context, by audit.Actor, id string) error
	// Rollover makes our next key at a SAML provider.
	Rollover(ctx context.Context, by audit.Actor, id string) error
	// Test begins a dry run of a sign-in; path opens it, once.
	Test(ctx context.Context, by audit.Actor, id string) (test, path string, err error)
	// Tested gives how far a dry run has come. It fails with fault.NotFound.
	Tested(ctx context.Context, test string) (Tested, error)

	Draft(id string) (Draft, error)
	// Save makes or changes a connection. Where another identity provider is in
	// it than before, it ends every session of those who came in by the old one.
	// It fails with fault.Invalid, in words for the person, and with
	// fault.Conflict.
	Save(ctx context.Context, by audit.Actor, d Draft) (ended int, err error)
	// Remove ends every session of those who came in by it.
	Remove(ctx context.Context, by audit.Actor, id, reason string) (ended int, err error)
}

// Tokens makes and ends SCIM tokens. [scim.Tokens] is one.
type Tokens interface {
	Create(ctx context.Context, by audit.Actor, connection, note string, life time.Duration) (string, scim.Token, error)
	List(ctx context.Context, connection string) ([]scim.Token, error)
	Revoke(ctx context.Context, by audit.Actor, id string) error
}

// Fare is how a connection fared lately.
type Fare struct {
	In, Failed int // attempts to sign in
	Refused    int // requests over SCIM
	SignedIn   time.Time
	Pushed     time.Time // the last request over SCIM; zero: never
}

// Span counts the attempts to sign in within some time.
type Span struct {
	Began      time.Time
	In, Failed int
}

// ConnectionStore knows how connections fare.
type ConnectionStore interface {
	// Fares counts since a time, and gives the last times of all.
	Fares(ctx context.Context, connections []string, since time.Time) (map[string]Fare, error)
	SignInSpans(ctx context.Context, q SignInQuery, since time.Time, span time.Duration) ([]Span, error)
}

// connections are those of now.
func (c *Console) connections() []Connection { return c.ways.Connections() }

// corner is the part of the console that a call about connections is in: that
// of the gate's administrators, that of whoever may see to their own, or that of
// whoever holds a setup link.
type corner struct {
	path string // below the console
	own  bool
}

var (
	everyones = corner{"/connections", false}
	ones      = corner{"/own-connections", true}
	theirs    = corner{"/setup", true} // of whoever holds a setup link
)

// cornerOf tells by the route's path.
func cornerOf(r *request) corner {
	switch {
	case r.setup() != "":
		return theirs
	case r.own:
		return ones
	default:
		return everyones
	}
}

// reachable are the connections that a call may be about.
func (c *Console) reachable(r *request) (out []Connection) {
	for _, conn := range c.connections() {
		switch {
		case !r.own:
			if r.units != nil || r.organization != "" && r.organization != conn.Organization {
				continue // a connection brings everybody of the organization
			}
		case conn.Shadowed:
			continue // the one of the configuration is theirs
		case r.link != nil:
			if r.setup() == "" || r.link.Connection != conn.ID {
				continue
			}
		case r.home.organization != conn.Organization:
			continue
		}
		out = append(out, conn)
	}
	return out
}

// connection finds the one that a call is about.
func (c *Console) connection(r *request) (Connection, error) {
	all, id := c.reachable(r), r.param("connection")
	i := slices.IndexFunc(all, func(conn Connection) bool { return conn.ID == id && !conn.Shadowed })
	if i < 0 {
		return Connection{}, fault.New(fault.NotFound, "there is no such connection")
	}
	return all[i], nil
}

// closed says why the visitor may not say who the people of a connection are;
// empty if they may.
func (c *Console) closed(r *request) string {
	_, err := c.trusted(r)
	if err == nil {
		return ""
	}
	return fault.Message(err)
}

// trusted finds the connection that a call is about, for something that
// decides who its people are. Where those can have rights over the gate itself,
// that is for whoever has all of those: anybody else would give themselves what
// they lack. Where a change of rights needs a second person, nobody who is
// signed in is enough: it takes a one-time link, which somebody at the machine
// makes, and everybody sees in the trail.
func (c *Console) trusted(r *request) (Connection, error) {
	conn, err := c.connection(r)
	if err == nil {
		err = c.entrusted(r, conn)
	}
	return conn, err
}

// entrusted says why who the people of a connection are is not the visitor's to
// decide, or nil.
func (c *Console) entrusted(r *request, conn Connection) error {
	switch {
	case !c.reachesTheGate(conn), r.link != nil && !r.own:
		return nil
	case r.own:
		return fault.New(fault.Forbidden, "people of this connection can have rights over the gate itself: its administrators alone change it")
	case !c.hasAllOf(r, conn):
		return fault.New(fault.Forbidden, "people of this connection can have rights over the gate itself: whoever says who they are needs every one of those")
	case c.ledger.NeedsTwo():
		return fault.New(fault.Forbidden,
			"people of this connection can have rights over the gate itself, which nobody changes alone here: open the console by a one-time link of “portcullis admin bootstrap” for it")
	}
	return nil
}

// joins says why people of a connection are not the visitor's to put into an
// organization, or to take out of it, or nil: they come to those around whom
// they may have rights, and leave those around whom others have them. Where
// other connections of it reach the gate, that is as much as to say who its
// people are. id is that of the connection itself.
func (c *Console) joins(r *request, id, organization string) error {
	for _, other := range c.connections() {
		if cmp.Or(other.Organization, other.ID) != organization || other.ID == id {
			continue
		}
		if err := c.entrusted(r, other); err != nil {
			return fault.Wrap(fault.Forbidden, err, "organization: %q is in %q: %s", other.ID, organization, fault.Message(err))
		}
	}
	return nil
}

const whoseTheyAre = "of which organization the people of a connection are"

// moves says why a connection with all its people is not the visitor's to move
// from one organization to another, or nil. Managers of the one lose them, those
// of the other gain them, and their own managers with them.
func (c *Console) moves(r *request, id, from, to string) error {
	if err := c.governs(r, whoseTheyAre); err != nil {
		return fault.Wrap(fault.Forbidden, err, "organization: %s", fault.Message(err))
	}
	for _, organization := range []string{from, to} {
		if err := c.joins(r, id, organization); err != nil {
			return err
		}
	}
	return c.thawed(r, from)
}

// hasAllOf reports whether a visitor has every right over the gate that people
// of a connection can be given for everybody.
func (c *Console) hasAllOf(r *request, conn Connection) bool {
	p := c.keeper.Policy()
	for _, role := range p.Roles() {
		for _, task := range p.Wide(conn.ID, []string{role.Name}) {
			if !slices.Contains(r.wide, task) {
				return false
			}
		}
	}
	return true
}

// reachesTheGate reports whether people of a connection can be given rights
// that reach beyond their own organization.
func (c *Console) reachesTheGate(conn Connection) bool {
	p := c.keeper.Policy()
	return p != nil && p.Unrestricted(conn.ID)
}
