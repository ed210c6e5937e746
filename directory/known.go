package directory

import (
	"context"
	"errors"
	"sync"
	"time"

	"portcullis/mapping"
)

// Known is what the mapping sees of somebody: their [Standing.Facts].
type Known struct {
	ID    string
	Facts mapping.Facts
}

// Mark is a moment in what becomes of people, for [Directory.MovedSince].
// What is in it is the store's.
type Mark struct {
	Changes    int64 // where the change records go on
	People     int64 // the last who was made
	Assertions int64 // the last sign-in
	Running    int64 // the oldest transaction that ran
	Begun      int64 // the one that was to begin next
}

// Settled reports whether all that ran at a mark was over at a later one: then
// nothing from before the mark comes to light after the later one.
func (m Mark) Settled(later Mark) bool { return later.Running >= m.Begun }

// Moved is what became of people since a mark.
type Moved struct {
	People []Known  // who are new or changed, or may be, in the order in which they were made
	Gone   []string // ids
	Many   bool     // too much happened to name them: everybody is to be read again
	Mark   Mark     // of this answer
}

// KnownTx is what of [Tx] serves those who keep everybody's facts in memory.
type KnownTx interface {
	Mark() (Mark, error)
	// MovedSince gives the ids of people whom something happened to since a
	// mark, some perhaps for nothing; many instead if they are more than limit.
	MovedSince(m Mark, limit int) (people []string, many bool, err error)
	// StandingsOf gives the standings of now of some people, in the order in
	// which they were made, without those who are not there.
	StandingsOf(people []string) ([]Standing, error)

	// Enrolled calls f with everybody in the order in which they were made, and with
	// the pushed groups that they are in. Of a person there is what facts are
	// made of, and Attributes only where they may hold [PortalURN].
	Enrolled(f func(Person, []Group)) error
	// Asserted calls f with the newest assertion of everybody who has one, and
	// the newest that held all groups, nil if there is none.
	Asserted(f func(person string, newest Assertion, complete *Assertion)) error
	// Excepted gives the exceptions that nobody has taken back, by person, the
	// oldest first.
	Excepted() (map[string][]Exception, error)
}

// How often it is looked whether the transactions of a mark are over, and how
// many times: who imports people may take a minute, and is not waited for.
const (
	settleEvery = 2 * time.Millisecond
	settleTries = 50
)

// Everybody gives the facts of everybody now, in the order in which their
// records were made, and the mark from which [Directory.MovedSince] goes on.
// The mark is nil while a transaction runs on that does not end soon: then
// somebody may come to light whom no later answer would name.
//
// It reads everything at once, the halves at the same time and each in a
// transaction of its own, and holds all of it in memory: 100,000 people take
// about a second and 100 MB. Of what changes meanwhile it may give either
// state, and MovedSince gives the later one.
func (d *Directory) Everybody(ctx context.Context) ([]Known, *Mark, error) {
	mark, err := d.settledMark(ctx)
	if err != nil {
		return nil, nil, err
	}
	type said struct {
		newest   Assertion
		complete *Assertion
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sayings := make(map[string]*said)
	var other error
	var reading sync.WaitGroup
	reading.Go(func() {
		other = d.store.View(ctx, func(tx Tx) error {
			clear(sayings)
			return tx.Asserted(func(person string, newest Assertion, complete *Assertion) { sayings[person] = &said{newest, complete} })
		})
		if other != nil {
			cancel()
		}
	})
	var people []Standing
	err = d.store.View(ctx, func(tx Tx) error {
		people = people[:0]
		excepted, err := tx.Excepted()
		if err != nil {
			return err
		}
		return tx.Enrolled(func(p Person, groups []Group) {
			people = append(people, Standing{Person: p, Pushed: groups, Exceptions: InForce(excepted[p.ID])})
		})
	})
	if err != nil {
		cancel()
	}
	reading.Wait()
	if other != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = other
	}
	if err != nil {
		return nil, nil, err
	}
	out := make([]Known, len(people))
	alike := make(map[*Group][]mapping.Group) // of lists that the store gives to many
	for i := range people {
		s := &people[i]
		if a := sayings[s.Person.ID]; a != nil {
			s.Assertion, s.LastComplete = a.newest, a.complete
		}
		groups := s.Pushed
		s.Pushed = nil
		out[i] = Known{s.Person.ID, s.Facts()}
		if len(groups) == 0 {
			continue
		}
		same, known := alike[&groups[0]]
		if !known {
			same = pushed(groups)
			alike[&groups[0]] = same
		}
		out[i].Facts.Pushed = same
	}
	return out, mark, nil
}

// settledMark gives a mark that nothing from before it comes to light after.
func (d *Directory) settledMark(ctx context.Context) (*Mark, error) {
	first, err := d.mark(ctx)
	if err != nil {
		return nil, err
	}
	for later, tries := first, 0; ; tries++ {
		if first.Settled(later) {
			return &first, nil
		}
		if tries == settleTries {
			return nil, nil
		}
		wait := time.NewTimer(settleEvery)
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil, ctx.Err()
		case <-wait.C:
		}
		if later, err = d.mark(ctx); err != nil {
			return nil, err
		}
	}
}

func (d *Directory) mark(ctx context.Context) (m Mark, err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		m, err = tx.Mark()
		return err
	})
	return m, err
}

// StandingsOf gives the standings of now of some people, in the order in which
// their records were made, without those who are not there.
func (d *Directory) StandingsOf(ctx context.Context, ids []string) (out []Standing, err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		out, err = tx.StandingsOf(ids)
		return err
	})
	return out, err
}

// maxMoved is how many people MovedSince reads one by one: many more take as
// long as everybody.
const maxMoved = 2000

// MovedSince gives what became of people since a mark: applied to what
// [Directory.Everybody] gave, and to what this gave since, it is what Everybody
// would give now. The next call begins at a mark that is settled, see
// [Mark.Settled]; some people then come again.
func (d *Directory) MovedSince(ctx context.Context, m Mark) (Moved, error) {
	var out Moved
	err := d.store.View(ctx, func(tx Tx) (err error) {
		out = Moved{}
		if out.Mark, err = tx.Mark(); err != nil {
			return err
		}
		var ids []string
		if ids, out.Many, err = tx.MovedSince(m, maxMoved); err != nil || out.Many || len(ids) == 0 {
			return err
		}
		there, err := tx.StandingsOf(ids)
		if err != nil {
			return err
		}
		found := make(map[string]bool, len(there))
		for i := range there {
			found[there[i].Person.ID] = true
			out.People = append(out.People, Known{there[i].Person.ID, there[i].Facts()})
		}
		for _, id := range ids {
			if !found[id] {
				out.Gone = append(out.Gone, id)
			}
		}
		return nil
	})
	return out, err
}
