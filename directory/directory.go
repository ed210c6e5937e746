// Package directory knows the organizations, people, groups and identities,
// and their life cycle. It is the only writer of a person's state.
//
// Facts are stored, access is computed: the directory keeps what an identity
// provider asserted at sign-in and what it pushed over SCIM, and
// [Standing.Admit] evaluates the mapping over both.
//
// Invariants:
//   - A person is keyed on (connection, issuer, subject). E-mail never links
//     anything, and nothing crosses from one connection to another.
//   - Whatever takes a right away ends sessions and writes a [Change] in the
//     same transaction, so that every replica hears of it.
//   - Each change of state has its audit event in the same transaction.
//   - Somebody deleted over SCIM leaves a hashed tombstone; only a new SCIM
//     create brings them back.
//
// The directory does not speak HTTP, OIDC or SCIM, and does not issue sessions.
package directory

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"portcullis/audit"
	"portcullis/mapping"
)

// Organization is a client company.
type Organization struct {
	Name     string
	Disabled bool // frozen: none of its people is inside, see [Directory.Freeze]
}

// Connection is one identity provider of one organization.
type Connection struct {
	ID           string
	Organization string   // the organization's name
	Domains      []string // lower-case e-mail domains that are theirs
	Provisioning Provisioning
	Link         string // SCIM attribute on which a pushed record and a sign-in meet; "externalId" if empty
	Guard        Guard  // what of a mass loss over SCIM can be undone
	Units        UnitSource
}

// Provisioning says who makes people.
type Provisioning string

// JIT lets a first sign-in make a person; SCIM refuses whoever was not pushed.
const (
	JIT  Provisioning = "jit"
	SCIM Provisioning = "scim"
)

// State is where a person stands in their life cycle.
type State string

// The states of people who come from an identity provider. A deleted person
// has no row, hence no state.
const (
	Active      State = "active"
	Locked      State = "locked"      // a decision at the gate
	Deactivated State = "deactivated" // by SCIM (active: false) or by an administrator
)

// Bar is a decision at the gate that keeps a person out.
type Bar struct {
	At     time.Time
	By     string
	Reason string
}

// Person is somebody whom a connection vouches for, or once did.
type Person struct {
	ID            string
	Connection    string
	Organization  string
	Unit          string // id of the sub-organization that they are in; empty: the organization itself, or [Unplaced]
	UserName      string // SCIM userName; of a person who only signed in, what their identity provider calls them
	ExternalID    string
	Name          string // for display
	Email         string
	EmailVerified bool
	Provisioned   bool   // pushed over SCIM: the identity provider's record wins
	IDPActive     bool   // SCIM active; true for whoever was never pushed
	Deactivated   *Bar   // by an administrator
	Locked        *Bar   // by an administrator
	Attributes    []byte // the SCIM resource as JSON, without id, meta, groups and password; nil if never pushed
	Unconfirmed   bool   // brought back by a restore: out until the identity provider names them, see [Directory.Confirm]
	Version       int64  // grows by one with each change; the SCIM ETag
	Created       time.Time
	Modified      time.Time
	LastActive    time.Time // zero if never
}

// State is the strictest of what bars the person.
func (p *Person) State() State {
	switch {
	case !p.IDPActive, p.Deactivated != nil:
		return Deactivated
	case p.Locked != nil:
		return Locked
	default:
		return Active
	}
}

// Assertion is what an identity provider said of somebody at one sign-in,
// verified by package login. It holds for the session that it began.
type Assertion struct {
	Connection       string
	Issuer           string
	Subject          string // unique at Issuer: sub; oid at Entra ID
	Link             string // the value on which a pushed record would meet it; empty if there is none
	UserName         string // preferred_username
	Email            string
	EmailVerified    bool
	Name             string
	Groups           []string
	GroupsIncomplete bool
	AppRoles         []string
	UserType         string
	Claims           map[string]any
	ACR              string    // authentication context class; empty if none was named
	AuthTime         time.Time // when they proved who they are; zero if that was not said
	Received         time.Time
}

// Group is a group that an identity provider pushed.
type Group struct {
	ID         string
	Connection string
	Name       string // displayName
	ExternalID string
	Version    int64
	Created    time.Time
	Modified   time.Time
	Indirect   bool // of one person's groups: they are in it through another
}

// Shown is a person with the pushed groups that they are in, as SCIM shows
// them. Of the groups there may be no more than ID, Name and Indirect.
type Shown struct {
	Person

	Groups []Group
}

// Member is somebody in a group, or a group in a group: whoever is in the
// inner one is in the outer one.
type Member struct {
	ID    string // of the person, or of the group
	Name  string
	Group bool
}

// Change is a record that every replica reads: forget what you know of this
// person, of this session, of everybody in this organization, or (all three
// empty) of everybody. With Loss the right
// to be inside is gone and open streams are cut; without it they are cut only
// if what the person may do has become different.
type Change struct {
	Seq     int64
	At      time.Time
	Person  string
	Session string // or the API token that stands for one
	Loss    bool

	Organization string
}

// Config is what a Directory needs.
type Config struct {
	Store       Store                  // required
	Policy      func() *mapping.Policy // required; nil while no revision is in force
	Connections []Connection           // required
	Now         func() time.Time       // defaults to time.Now
	Log         *slog.Logger           // defaults to discarding
}

// Directory is safe for concurrent use.
type Directory struct {
	store  Store
	policy func() *mapping.Policy
	ways   atomic.Pointer[ways]
	now    func() time.Time
	log    *slog.Logger
}

// ways are the connections of a moment. Nothing changes them.
type ways struct {
	byID    map[string]Connection
	claimed map[string]string // e-mail domain → organization
}

func newWays(connections []Connection) *ways {
	w := &ways{make(map[string]Connection), make(map[string]string)}
	for _, conn := range connections {
		if conn.Link == "" {
			conn.Link = LinkExternalID
		}
		conn.Guard = conn.Guard.filled()
		w.byID[conn.ID] = conn
		for _, domain := range conn.Domains {
			w.claimed[canonicalDomain(domain)] = conn.Organization
		}
	}
	return w
}

// known are the connections of now.
func (d *Directory) known() map[string]Connection { return d.ways.Load().byID }

// New makes a Directory. Call [Directory.Reconcile] once before use.
func New(c Config) *Directory {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &Directory{
		store: c.Store, policy: c.Policy, log: c.Log,
		// What is answered now is what the databases give back later.
		now: func() time.Time { return c.Now().UTC().Truncate(time.Microsecond) },
	}
	d.ways.Store(newWays(c.Connections))
	return d
}

// Store keeps the directory. Update runs f in one transaction, which may be
// retried: f does nothing but with its Tx.
type Store interface {
	Update(ctx context.Context, f func(Tx) error) error
	// UpdateOne is Update for what takes a moment, as one person does. Several
	// may be committed at once, but each is undone alone.
	UpdateOne(ctx context.Context, f func(Tx) error) error
	View(ctx context.Context, f func(Tx) error) error
	// Glance reads without a transaction: each look-up sees a state of its own.
	Glance(ctx context.Context, f func(Tx) error) error
}

// Departure is whoever an identity provider says is active no more, and no
// other news of them: the person, connection and time of the event, which lacks
// its subject and the number of sessions that end for the reason.
type Departure struct {
	Event  audit.Event
	Reason string
}

// Arrival is somebody who is pushed for the first time, the event that says so,
// and under what something may wait for them: hashes of burials, the link value
// of a sign-in, values that groups have parked.
type Arrival struct {
	Person

	Link   string
	Event  audit.Event
	Graves []string // at least one
	Names  []string // at least one
}

// Tx is one transaction. Look-ups fail with fault.NotFound, inserts and
// updates that clash with fault.Conflict.
type Tx interface {
	Organization(name string) (Organization, error)
	Organizations() ([]Client, error) // by name
	PutOrganization(o Organization, at time.Time) error
	FreezeOrganization(name string, b Bar) error
	ConnectionLink(id string) (link string, err error)       // what Link was when the connection was last seen
	ConnectionUnits(id string) (attribute string, err error) // what Units.Attribute was when the connection was last seen
	PutConnection(Connection) error
	Rehome(connection, organization string, at time.Time) (moved int, err error) // its people and API tokens, to another organization

	UnitTx // sub-organizations

	Person(id string) (Person, error)
	PersonInGroups(id string) (Shown, error) // of a Glance or a View, what Directory.Person gives
	PersonBySubject(connection, issuer, subject string) (Person, error)
	PersonByLink(connection, link string) (Person, error)         // pushed people only; fault.Conflict if it is several
	PeopleBySubject(connection, subject string) ([]Person, error) // at any issuer; of all connections if it is empty
	IdentitiesByLink(connection, link string) ([]Identity, error) // of people who were not pushed, the oldest first
	People(Query) (Page[Person], error)
	InsertPerson(p Person, link string) error
	UpdatePerson(p Person, link string) error // by ID; where Version is what it was, only link is new; not Unconfirmed
	ConfirmPerson(id string) error
	ConfirmPeople(connection string) (confirmed int, err error)
	UnconfirmedPeople() (byConnection map[string]int, err error)
	DeletePerson(id string) error // with identities, memberships, assertions and sessions

	Identities(person string) ([]Identity, error)
	InsertIdentity(Identity) error
	Relink(Identity) error                          // stores its Link, by connection, issuer and subject
	ForgetLinks(connection string) error            // of its identities: they were values of another attribute
	MovePerson(from, to string, at time.Time) error // identities, assertions, sessions and history
	InsertAssertion(person string, a Assertion) (id string, err error)
	LastAssertion(person string, complete bool) (Assertion, error) // complete: the last with all groups

	Group(connection, id string) (Group, error)
	Groups(Query) (Page[Group], error)
	InsertGroup(Group) error
	UpdateGroup(Group) error
	DeleteGroup(id string, at time.Time) error
	GroupsOf(person string) ([]Group, error) // through other groups too
	Members(group string) ([]Member, error)
	MembersOf(groups []string) (map[string][]Member, error)
	AddMembers(group string, people []string, at time.Time) (added []string, err error)
	RemoveMembers(group string, people []string, at time.Time) (removed []string, err error)
	KnownPeople(connection string, ids []string) (known []string, err error) // pushed people among ids
	KnownGroups(connection string, ids []string) (known []string, err error)
	Nest(group string, groups []string, at time.Time) (added []string, err error)
	Unnest(group string, groups []string, at time.Time) (removed []string, err error)
	PeopleIn(groups []string) (people []string, err error) // through other groups too
	// Park notes members who are not known yet, but for those who have arrived
	// under one of the values meanwhile: those it gives by id.
	Park(group string, values []string) (arrived []string, err error)
	Unpark(group string, values []string) error
	ClaimParked(connection string, values []string) (groups []string, err error) // takes them out
	// Welcome stores somebody who arrives, unless anything may wait for them;
	// then it stores nothing and reports false. Where it reports true, it is
	// the last verb of its transaction, and may have committed it.
	Welcome(a Arrival) (bool, error)
	// Dismiss makes a pushed person of the connection who is active inactive,
	// with all that follows from it: the history, the loss, the event, the ended
	// sessions and the change. It does nothing and reports false for anybody
	// else, for somebody unconfirmed, and perhaps for somebody whom another
	// transaction changes meanwhile. Where it reports true, it is the last verb
	// of its transaction, and may have committed it.
	Dismiss(d Departure) (p Shown, gone bool, err error)

	Bury(connection string, hashes []string, at time.Time) (burial string, err error)
	Buried(connection string, hashes []string) (bool, error)
	Unbury(connection string, hashes []string) error // every burial that one of them belongs to, whole

	// StandingAt and Standings give what was known at a time, the zero time
	// being now; people who were not there are left out. A page begins after a
	// place in the order of creation; next is 0 after the last one.
	StandingAt(person string, at time.Time) (Standing, error)
	Standings(at time.Time, after int64, limit int) (page []Standing, next int64, err error)

	KnownTx // for those who keep everybody in memory

	InsertException(x Exception) error
	Exceptions(person string) ([]Exception, error) // all of them, the oldest first
	RevokeException(person, id string, at time.Time, by string) (Exception, error)

	LedgerTx // what was lost

	// EndSessions and EndSessionsOf end the sessions of a person and of an
	// organization, and count those that had not expired by themselves.
	EndSessions(person, reason string, at time.Time) (ended int, err error)
	EndSessionsOf(organization, reason string, at time.Time) (ended int, err error)
	// AuditEnding ends the sessions of the event's person, and writes the event
	// with their number, see [EndedDetail].
	AuditEnding(e audit.Event, reason string) error
	Change(Change) error
	Audit(audit.Event) error
	// Decision gives the last event about a person of that action and time.
	Decision(person string, action audit.Action, at time.Time) (audit.Event, error)
}

// Identity ties what an identity provider calls somebody to a person.
type Identity struct {
	Connection string
	Issuer     string
	Subject    string
	Link       string
	Person     string
	Created    time.Time
}

// LinkExternalID and LinkUserName are the two values of Connection.Link that
// every pushed record has a column for.
const (
	LinkExternalID = "externalId"
	LinkUserName   = "userName"
)
