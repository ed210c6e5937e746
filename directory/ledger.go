package directory

import (
	"time"
)

// The ledger holds what identity providers took away, one row for each
// statement, written in the transaction of the loss itself. Nothing is counted
// there: a loss waits for nobody. [Directory.ExamineLosses] counts afterwards.

// Guard says how much of a connection's people, or of a group's members, is
// lost at once: more than People of them, and more than Percent of a hundred,
// within an hour. It holds up no loss; it only makes one that can be undone.
type Guard struct {
	Percent int // 1 to 100; defaults to 20
	People  int // 1 or more; defaults to 10
}

// The hour that the guard counts in; how long a mass loss can be undone, which
// is how long what it erased is kept; and how long an ordinary loss is kept
// beyond the hour, for what commits late.
const (
	LossWindow = time.Hour
	UndoLife   = 7 * 24 * time.Hour
	lossGrace  = 5 * time.Minute
)

// LossKind is what an identity provider did.
type LossKind string

// The kinds of losses. The last two take nothing away: the identity provider
// repeats that somebody is not active or not a member, or names the members of
// a group anew. They count for nothing, but whoever is undone later than that
// does not come back.
const (
	Deactivation  LossKind = "deactivated"
	Deletion      LossKind = "deleted"
	Removal       LossKind = "removed"       // of a member from a group
	GroupDeletion LossKind = "group deleted" // its members are removals
	Restatement   LossKind = "restated"
	Replacement   LossKind = "replaced"
)

// Loss is one row of the ledger.
type Loss struct {
	Seq        int64
	At         time.Time
	Connection string
	Group      string // id; empty: of the connection's people
	Kind       LossKind
	Member     string // id of the person, or of the group in the group
	Subject    string // userName, or the group's name; empty if it is not known any more
	Weight     int    // people behind a group that was a member; 1 otherwise
	Mass       int64  // the mass loss that it is part of; 0: none
	Outcome    string // of an undo: Restored, or why not; empty: none yet
	Burial     string // of a deletion: its tombstones
	Kept       bool   // of a deletion: what it erased is still there
}

// Restored is the outcome of a loss that was undone.
const Restored = "restored"

// MassLoss is many losses that are one change: of a connection's people, or of
// one group's members.
type MassLoss struct {
	ID          int64
	Connection  string
	Group       string // id; empty: the connection's people
	GroupName   string
	Began       time.Time // the first loss
	Last        time.Time // the last one so far
	Population  int       // how many there were when it was noticed, those who are lost counted in
	Deactivated int
	Deleted     int
	Removed     int
	Closed      bool      // nothing more joins it
	UndoBegan   time.Time // zero: nobody has asked
	Undone      time.Time // zero: not, or not to the end
	UndoneBy    string
	Restored    int
	Skipped     int
}

// Undoable reports whether it can still be undone, or be undone to the end.
func (m *MassLoss) Undoable(now time.Time) bool {
	return m.Undone.IsZero() && now.Sub(m.Last) < UndoLife
}

// MassLossQuery asks for mass losses, the newest first.
type MassLossQuery struct {
	Connection string  // empty: of all connections
	Undoable   bool    // only those that can still be undone
	After      *Cursor // older than that one
	Limit      int     // required
}

// LossSlice is what a pass found new of one kind of people within a minute.
type LossSlice struct {
	Connection, Group string
	From, To          time.Time // both of a loss
}

// KeptPerson is what a deletion erased, as far as it is decided upon.
type KeptPerson struct {
	Person     Person
	Link       string
	Identities []Identity
	Groups     []string // whose member they were
}

// KeptGroup is what the deletion of a group erased beside its members.
type KeptGroup struct {
	Group  Group
	Within []string // groups that it was in
	Parked []string
}

// filled gives the guard with the defaults.
func (g Guard) filled() Guard {
	if g.Percent <= 0 {
		g.Percent = 20
	}
	if g.People <= 0 {
		g.People = 10
	}
	return g
}

// trips reports whether the loss of so many, of so many who were there, is a
// mass loss.
func (g Guard) trips(lost, of int) bool { return lost > g.People && lost*100 > g.Percent*of }

// noteDeactivation writes that the identity provider turned somebody off.
func noteDeactivation(tx Tx, p Person, now time.Time) error {
	return tx.InsertLoss(Loss{At: now, Connection: p.Connection, Kind: Deactivation, Member: p.ID, Subject: p.UserName, Weight: 1})
}

// insistOnInactive writes that the identity provider says again that somebody
// is not active. What is undone later than that leaves them alone.
func insistOnInactive(tx Tx, p Person, now time.Time) error {
	return tx.InsertRestatement(Loss{At: now, Connection: p.Connection, Kind: Restatement}, []string{p.ID})
}

// insistOnMembers writes that the identity provider names the members of a
// group anew: whoever was lost before that and is not named stays out.
func insistOnMembers(tx Tx, g Group, now time.Time) error {
	return tx.InsertRestatement(Loss{At: now, Connection: g.Connection, Group: g.ID, Kind: Replacement}, nil)
}

// noteRemovals writes who of the named was removed from a group, people and
// groups, and who was said again not to be in it.
func noteRemovals(tx Tx, g Group, named, people, groups []string, now time.Time) error {
	if len(people) > 0 {
		if err := tx.InsertRemovals(g, people, now); err != nil {
			return err
		}
	}
	for _, id := range groups {
		within, err := tx.PeopleIn([]string{id})
		if err != nil {
			return err
		}
		err = tx.InsertLoss(Loss{At: now, Connection: g.Connection, Group: g.ID, Kind: Removal, Member: id, Weight: max(1, len(within))})
		if err != nil {
			return err
		}
	}
	again := without(without(named, people), groups)
	if len(again) == 0 {
		return nil
	}
	return tx.InsertRestatement(Loss{At: now, Connection: g.Connection, Group: g.ID, Kind: Restatement}, again)
}

// LedgerTx is the part of a [Tx] that the guard and an undo need.
type LedgerTx interface {
	InsertLoss(Loss) error
	InsertDeletion(person, burial string, at time.Time) error               // before DeletePerson
	InsertGroupDeletion(group string, people int, at time.Time) error       // before DeleteGroup; people: who were in it, through others too
	InsertRemovals(g Group, people []string, at time.Time) error            // of members
	InsertRestatement(r Loss, members []string) error                       // of those whose loss the ledger knows
	LossesPending() (bool, error)                                           // cheap: asked every second
	LockLedger() error                                                      // for passes, and for the begin of an undo, to come one after the other
	TakePending() ([]LossSlice, error)                                      // by time
	CountLosses(connection, group string, after, to time.Time) (int, error) // each member once; without what is undone
	Remaining(connection, group string, limit int) (int, error)             // active pushed people, or members; at most limit
	AttachLosses(mass int64, s LossSlice) ([]Loss, error)                   // those that are part of nothing yet
	EraseLosses(ordinary, mass time.Time) error                             // older than that

	OpenMassLoss(connection, group string) (MassLoss, error)
	MassLoss(id int64) (MassLoss, error)
	MassLosses(q MassLossQuery, now time.Time) ([]MassLoss, error)
	LatestMassLosses(connections []string, undoable bool, limit int, now time.Time) ([]MassLoss, error) // up to limit of each, the newest first
	InsertMassLoss(MassLoss) (id int64, err error)
	UpdateMassLoss(MassLoss) error
	Losses(mass, after int64, limit int) ([]Loss, error) // in order, without restatements

	LossesToUndo(mass, before int64, groups bool, limit int) ([]Loss, error) // the newest first: of groups that were deleted, or the rest
	SetOutcome(seqs []int64, outcome string) error                           // and forgets what was kept
	SettleRestatements(mass int64) error                                     // they hold nobody back any more
	Overruled(l Loss, group, member string) (bool, error)                    // by a later statement that is not of the same mass loss
	KeptPerson(seq int64) (KeptPerson, error)                                // fault.NotFound if nothing is kept
	KeptGroup(seq int64) (KeptGroup, error)                                  // as KeptPerson
	ReviveHistory(seq int64, at time.Time) error                             // sign-ins and past of a person who is back since at
	KeepMembership(member, group string) (kept bool, err error)              // of a person or group who is deleted and may come back
	KeepRemoval(group, member string) (kept bool, err error)                 // from a group that is deleted and may come back
	Taken(KeptPerson) (bool, error)                                          // does somebody of today have a name of theirs
	GroupNamed(connection, name string) (bool, error)
	Exhume(burial string) (was bool, err error)
}
