package admin

import (
	"context"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/scim"
	"portcullis/trace"
)

// Order is what a list of people is sorted by.
type Order string

// The orders. Those who are alike are in the order of creation.
const (
	ByName    Order = "name"
	ByEmail   Order = "email"
	ByActive  Order = "active"
	ByCreated Order = "created"
)

// Place is behind which row a page of people begins: the row's value of the
// order, in the store's words, and its number.
type Place struct {
	Value string
	Seq   int64
}

// PeopleQuery asks for a page of people.
type PeopleQuery struct {
	Text         string          // words of their name, address or userName, all of them; any case
	State        directory.State // directory.Active: and in nothing that is frozen
	NeverIn      bool            // only who never signed in
	Frozen       bool            // only whose organization or sub-organization is frozen, whatever their own state
	Organization string          // empty: all of them; likewise below
	Units        []string        // ids of sub-organizations, the empty one for who is in none; nil: all
	Connection   string
	Source       string // "scim": pushed; "sso": known from a sign-in alone
	Order        Order  // required
	Descending   bool
	After        *Place
	Limit        int // required
}

// PeopleCounts is for the first page.
type PeopleCounts struct {
	All, Locked, Deactivated int
}

// Membership is a pushed group of somebody, and since when they are in it.
type Membership struct {
	Group string
	Name  string
	Since time.Time // zero: from the beginning
}

// Event is an event of the trail with its link of the chain; Position is 0
// while it has none.
type Event struct {
	audit.Event
	audit.Seal
}

// EventQuery asks for events, the newest first.
type EventQuery struct {
	Person      string
	Action      string
	Connections []string // nil: all, and what belongs to none
	Units       []string // only about people who are in these sub-organizations; nil: all
	From, To    time.Time
	Before      int64 // only those with a lower Seq; 0: all
	Limit       int   // required
}

// SignInQuery asks for attempts to sign in, the newest first.
type SignInQuery struct {
	Person      string
	Connections []string // nil: all
	Units       []string // only of people who are in these sub-organizations; nil: all
	Failed      bool
	Tester      string // only dry runs that this one asked for, by their id in the audit trail; empty: all
	Reference   string // only that one; empty: all
	Before      int64  // only those with a lower number; 0: all
	Limit       int    // required
}

// SignIn is one attempt, and its number.
type SignIn struct {
	Number int64
	trace.Record
}

// Link opens the console once.
type Link struct {
	ID      string
	Hash    []byte // SHA-256 of what stands in the link
	Issuer  string // who asked for it
	Created time.Time
	Expires time.Time

	Connection string // the one that it is for; empty for the whole console
}

// Visit is what a [Link] opened.
type Visit struct {
	ID      string
	Hash    []byte // SHA-256 of what the browser holds
	Issuer  string // of the link
	Address string
	Created time.Time
	Expires time.Time

	Connection string // of the link
}

// Store answers the console's questions, and keeps its links and visits. What
// people are and may do is changed by the directory alone.
type Store interface {
	// List brings the indexes of the list of people up to date with at most so
	// many changes; more says that others wait.
	List(ctx context.Context, limit int) (more bool, err error)
	People(ctx context.Context, q PeopleQuery) (people []directory.Person, next *Place, err error)
	PeopleCounts(ctx context.Context, organization string, units []string) (PeopleCounts, error)
	// PeopleIn gives the ids of everybody in an organization, or in some units of
	// it, in any order.
	PeopleIn(ctx context.Context, organization string, units []string) ([]string, error)
	Memberships(ctx context.Context, person string) ([]Membership, error)
	Events(ctx context.Context, q EventQuery) ([]Event, error)
	SignIns(ctx context.Context, q SignInQuery) ([]SignIn, error)
	RequestsAbout(ctx context.Context, person directory.Person, limit int) ([]scim.Entry, error)
	RequestsIn(ctx context.Context, units []string, q scim.JournalQuery) ([]scim.Entry, error)

	// InsertLink keeps a link. One for a connection is in the place of those
	// before, and of what they opened.
	InsertLink(ctx context.Context, l Link, e audit.Event) error
	// OpenVisit uses a link up and begins a visit, whose Issuer and Connection
	// it fills in; setup says that the link is to be for one connection. It
	// fails with fault.NotFound for a link that is unknown, used, over, or of
	// the other kind.
	OpenVisit(ctx context.Context, link []byte, setup bool, v Visit, e func(Visit) audit.Event) (Visit, error)
	FindVisit(ctx context.Context, hash []byte, now time.Time) (Visit, error) // fault.NotFound when it is over
	EndVisit(ctx context.Context, id string, at time.Time, e audit.Event) error

	ConnectionStore
	SettingStore
}
