// Package admin is the console of administrators, and its JSON API: they see,
// understand and change who may come in and do what.
//
// Every page is a URL, rendered here and readable without a script. A page and
// its counterpart in the API are one line of one table ([Console.Routes]):
// what it answers is computed once, and shown as HTML or as JSON. The same
// line names the right that it takes.
//
// Rights are the gate's own tasks ([mapping.GateTasks]), which the mapping
// grants like any others. Until it grants them to somebody, and when nobody can
// sign in, a one-time link from the command line opens the console instead
// ([Links]); that stands in the audit trail.
//
// A program comes to the API, and to nothing else, with an API token: it has
// those of its owner's rights that the token's scopes name.
//
// Invariants:
//   - What somebody has no right to is not there on the server either, for
//     pages and the API alike.
//   - Whoever has a right for their own organization alone sees and changes
//     nobody of another one, and finds no trace of them.
//   - The console changes people through directory verbs alone, each with its
//     audit event.
//   - Nothing that a foreign hand wrote is anything but text, on any page and
//     in any export.
package admin

import (
	"context"
	"log/slog"
	"net/url"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/scim"
	"portcullis/session"
	"portcullis/trace"
)

// Sessions says who is there, and ends what they have. [session.Manager] is one.
type Sessions interface {
	Verify(ctx context.Context, token string) (*session.Principal, error)
	VerifyToken(ctx context.Context, secret string) (*session.Principal, error)
	Watch(ctx context.Context, p *session.Principal, from string) (context.Context, context.CancelFunc)
	Of(ctx context.Context, person string) ([]session.Row, error)
	EndOf(ctx context.Context, person, id string, by audit.Actor, reason string) error
	Streams(person string) int

	Tokens(ctx context.Context, q session.TokenQuery) ([]session.APIToken, error)
	RevokeToken(ctx context.Context, by audit.Actor, id, reason string) error
}

// Directory knows people. [directory.Directory] is one.
type Directory interface {
	Look(ctx context.Context, id string) (directory.Standing, error)
	Find(ctx context.Context, connection, word string) ([]directory.Person, error)
	StandingsAfter(ctx context.Context, at time.Time, after int64, limit int) ([]directory.Standing, int64, error)
	LookAt(ctx context.Context, id string, at time.Time) (directory.Standing, error)
	Standings(ctx context.Context, at time.Time, f func(directory.Standing) error) error
	StandingsOf(ctx context.Context, ids []string) ([]directory.Standing, error)
	Everybody(ctx context.Context, about int) ([]directory.Known, *directory.Mark, error)
	MovedSince(ctx context.Context, m directory.Mark) (directory.Moved, error)

	BarWithin(ctx context.Context, by audit.Actor, in *directory.Bounds, what directory.State, id, reason string) (ended int, err error)
	LiftWithin(ctx context.Context, by audit.Actor, in *directory.Bounds, what directory.State, id, reason string) error
	HoldOn(ctx context.Context, in *directory.Bounds, p directory.Person, what directory.State) (directory.Hold, error)
	SignOut(ctx context.Context, by audit.Actor, id, reason string) (ended int, err error)
	Remove(ctx context.Context, by audit.Actor, id, reason string) error
	Removable(p directory.Person) error

	Reach(ctx context.Context, person string) (organization string, units []string, err error)
	Units(ctx context.Context, organization string) (directory.Tree, error)
	TreeOf(ctx context.Context, unit string) (directory.Unit, directory.Tree, error)
	Frozen(ctx context.Context, spots ...directory.Spot) (map[directory.Spot]string, error)
	UnitNames(ctx context.Context, ids []string) (map[string]string, error)
	UnitCounts(ctx context.Context, organization string) (map[string]int, error)
	AddUnit(ctx context.Context, by audit.Actor, organization, parent, name string) (directory.Unit, error)
	RenameUnit(ctx context.Context, by audit.Actor, organization, id, name string) error
	MoveUnit(ctx context.Context, by audit.Actor, organization, id, parent string) error
	RemoveUnit(ctx context.Context, by audit.Actor, organization, id string) error
	FreezeUnit(ctx context.Context, by audit.Actor, organization, id, reason string) (ended int, err error)
	FreezeOwnUnit(ctx context.Context, by audit.Actor, organization, id, reason string) (ended int, err error)
	UnfreezeUnit(ctx context.Context, by audit.Actor, organization, id, reason string) error
	UnfreezeOwnUnit(ctx context.Context, by audit.Actor, organization, id, reason string) error
	UnitEffect(ctx context.Context, organization, id string) (directory.FreezeEffect, error)
	NamesUnits(organization string) string
	Organizations(ctx context.Context) ([]directory.Client, error)
	Freeze(ctx context.Context, by audit.Actor, organization, reason string) (ended int, err error)
	FreezeEffect(ctx context.Context, organization string) (directory.FreezeEffect, error)
	Unfreeze(ctx context.Context, by audit.Actor, organization, reason string) error
	Place(ctx context.Context, by audit.Actor, id, unit, reason string) error
	Placeable(p directory.Person) error

	Exceptions(ctx context.Context, id string) ([]directory.Exception, error)
	Except(ctx context.Context, by audit.Actor, id, role string, until time.Time, reason string) (directory.Exception, error)
	Unexcept(ctx context.Context, by audit.Actor, id, exception, reason string) error

	LatestMassLosses(ctx context.Context, connections []string, undoable bool, limit int) ([]directory.MassLoss, error)
	MassLoss(ctx context.Context, id int64) (directory.MassLoss, error)
	Losses(ctx context.Context, id int64, after *directory.Cursor, limit int) (directory.Page[directory.Loss], error)
	UndoMassLoss(ctx context.Context, by audit.Actor, id int64, progress func(done, total int)) (directory.MassLoss, error)
}

// Keeper says which mapping is in force here. [revision.Keeper] is one.
type Keeper interface {
	Policy() *mapping.Policy
	Status() revision.Status
}

// Ledger knows the revisions of the mapping. [revision.Ledger] is one.
type Ledger interface {
	History(ctx context.Context, n int) (revision.History, error)
	Past(ctx context.Context, seq int64, n int) ([]revision.Application, error)
	FragmentHistory(ctx context.Context, connection string, n int) (revision.History, error)
	Replicas(ctx context.Context) ([]revision.Replica, error)
	Waiting(ctx context.Context, seq int64, n int) (revision.History, error)
	ProposalOf(ctx context.Context, number int64) (revision.History, error)
	Show(ctx context.Context, ref string) (revision.Revision, []revision.Application, error)
	InForce(ctx context.Context) (revision.Revision, revision.Application, error)
	At(ctx context.Context, at time.Time) (revision.Revision, revision.Application, error)
	Examine(texts []revision.Text) (*mapping.Policy, mapping.Report, error)
	Needs(before, after *mapping.Policy, counts *revision.Counts) []string
	NeedsTwo() bool

	Propose(ctx context.Context, by revision.Signer, texts []revision.Text, reason string) (revision.Proposal, error)
	ProposeAgain(ctx context.Context, by revision.Signer, ref, reason string) (revision.Proposal, error)
	Approve(ctx context.Context, by revision.Signer, ref string) (revision.Proposal, error)
	Decline(ctx context.Context, by revision.Signer, ref, reason string) (revision.Proposal, error)
	ApplyKnown(ctx context.Context, by revision.Signer, ref, reason string) (a revision.Application, fresh bool, err error)
	Rollback(ctx context.Context, by revision.Signer, ref, reason string) (revision.Application, error)
}

// Journal is the provisioning log.
type Journal interface {
	Journal(ctx context.Context, q scim.JournalQuery) ([]scim.Entry, error)
}

// Traces finds what happened at an attempt to sign in, and knows how many were
// not kept.
type Traces interface {
	FindTrace(ctx context.Context, reference string) (trace.Record, error)
	LostTraces(ctx context.Context, since time.Time) ([]trace.Loss, error)
}

// Trail is the audit trail as a chain.
type Trail interface {
	audit.Chain

	LastSeal(ctx context.Context) (audit.Seal, error)
}

// Throttle keeps addresses from trying out links.
type Throttle interface {
	Debt(address string) error // of one that failed too often lately
	Failed(address string)
}

// Config is what a Console needs.
type Config struct {
	PublicURL   *url.URL  // required
	Store       Store     // required
	Sessions    Sessions  // required
	Directory   Directory // required
	Keeper      Keeper    // required
	Ledger      Ledger    // required
	Journal     Journal   // required
	Traces      Traces    // required
	Trail       Trail     // required
	Ways        Ways      // required
	Tokens      Tokens    // required
	Throttle    Throttle  // required
	Facts       []Fact    // of the configuration, to be shown; may be empty
	Environment string    // what ${…} of the mapping stands for; empty: the default one
	Now         func() time.Time
	Log         *slog.Logger // defaults to discarding
}

// Console is safe for concurrent use.
type Console struct {
	public      *url.URL
	store       Store
	sessions    Sessions
	directory   Directory
	keeper      Keeper
	ledger      Ledger
	journal     Journal
	traces      Traces
	trail       Trail
	ways        Ways
	tokens      Tokens
	throttle    Throttle
	facts       []Fact
	environment string
	crowds      *crowds
	looks       looks
	drifts      drifts
	verifying   chan struct{} // holds one while the trail is verified
	now         func() time.Time
	log         *slog.Logger
}

// New makes a Console. Now defaults to time.Now.
func New(c Config) *Console {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	now := func() time.Time { return c.Now().UTC() }
	return &Console{
		environment: c.Environment, crowds: newCrowds(c.Directory, c.Store, now),
		public: c.PublicURL, store: c.Store, sessions: c.Sessions, directory: c.Directory, keeper: c.Keeper, ledger: c.Ledger,
		journal: c.Journal, traces: c.Traces, trail: c.Trail, ways: c.Ways, tokens: c.Tokens, throttle: c.Throttle, facts: c.Facts,
		verifying: make(chan struct{}, 1), now: now, log: c.Log,
	}
}
