package directory

import (
	"context"
	"runtime"
	"sync"
	"time"

	"portcullis/mapping"
)

// Known is what the mapping sees of somebody: their [Standing.Facts].
type Known struct {
	ID    string
	Facts mapping.Facts
}

// Saying is what facts are made of in the newest [Assertion] of somebody.
type Saying struct {
	Person           string // id
	Subject          string
	Groups           []string
	GroupsIncomplete bool
	LastComplete     []string // the groups of the newest assertion that held all of them, where this does not
	AppRoles         []string
	UserType         string
	Claims           mapping.Unread // nil: there are none
	Received         time.Time
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

	// Enrolled calls f with everybody in the order in which they were made. Of a
	// person there is what facts are made of, and Attributes only where they may
	// hold [PortalURN].
	Enrolled(f func(*Person)) error
	// Enrolments reads who is in which pushed group. What it gives is told the
	// place of each person, counted from 0, and gives what finds the groups of
	// whoever is at one, through other groups too. Those who are in the same ones
	// share the list. It needs the transaction no more.
	Enrolments() (func(places map[string]int) func(place int) []Group, error)
	// Newest gives the places of the newest assertion of everybody who has one,
	// which rise.
	Newest() (places []int64, err error)
	// Said calls f with the assertions at such places, in any order, without
	// those that are not there any more. What f is given is its own.
	Said(places []int64, f func(*Saying)) error
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
// It reads everything at once, parts at the same time and each in a
// transaction of its own, and holds all of it in memory: 100,000 people take
// about half a second of two processors, and 90 MB. Of what changes meanwhile it may give either
// state, and MovedSince gives the later one. Claims are [mapping.Facts.Unread].
// There is room made for about so many people.
func (d *Directory) Everybody(ctx context.Context, about int) ([]Known, *Mark, error) {
	mark, err := d.settledMark(ctx)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var reading sync.WaitGroup
	read := func(f func() error) {
		reading.Go(func() {
			if err := f(); err != nil {
				cancel(err) // the first is why the others end
			}
		})
	}
	var people []Known
	var provisioned []bool
	place := make(map[string]int, about)
	var groups func(map[string]int) func(int) []Group
	grouped := make(chan struct{})
	var sayings [][]Saying
	read(func() (err error) {
		defer close(grouped)
		groups, err = d.enrolments(ctx)
		return err
	})
	read(func() (err error) {
		people, provisioned, err = d.enrolled(ctx, about)
		for i := range people {
			place[people[i].ID] = i
		}
		if <-grouped; err == nil && groups != nil {
			enrol(people, provisioned, groups(place))
		}
		return err
	})
	read(func() error {
		places, err := d.newest(ctx)
		if err != nil || len(places) == 0 {
			return err
		}
		part := 1 + (len(places)-1)/min(runtime.GOMAXPROCS(0), maxParts)
		sayings = make([][]Saying, 1+(len(places)-1)/part)
		for i := range sayings {
			read(func() (err error) {
				sayings[i], err = d.said(ctx, places[i*part:min((i+1)*part, len(places))])
				return err
			})
		}
		return nil
	})
	reading.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	for _, part := range sayings {
		reading.Go(func() {
			for i := range part {
				if p, ok := place[part[i].Person]; ok {
					part[i].tell(&people[p].Facts)
				}
			}
		})
	}
	reading.Wait()
	return people, mark, nil
}

// maxParts bounds how many read assertions at the same time: connections to the
// database are for others, too.
const maxParts = 4

// enrolled gives everybody, of their facts what is neither asserted nor a
// group, and whom of them an identity provider pushed.
func (d *Directory) enrolled(ctx context.Context, about int) (out []Known, provisioned []bool, err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		out, provisioned = make([]Known, 0, about), make([]bool, 0, about)
		excepted, err := tx.Excepted()
		if err != nil {
			return err
		}
		return tx.Enrolled(func(p *Person) {
			s := Standing{Person: *p, Exceptions: InForce(excepted[p.ID])}
			out, provisioned = append(out, Known{p.ID, s.Facts()}), append(provisioned, p.Provisioned)
		})
	})
	return out, provisioned, err
}

func (d *Directory) enrolments(ctx context.Context) (groups func(map[string]int) func(int) []Group, err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		groups, err = tx.Enrolments()
		return err
	})
	return groups, err
}

// enrol completes the facts of those who were pushed.
func enrol(people []Known, provisioned []bool, groups func(place int) []Group) {
	alike := make(map[*Group][]mapping.Group) // of lists that the store gives to many
	for i := range people {
		if !provisioned[i] {
			continue
		}
		in := groups(i)
		if len(in) == 0 {
			continue
		}
		same, known := alike[&in[0]]
		if !known {
			same = pushed(in)
			alike[&in[0]] = same
		}
		people[i].Facts.Pushed = same
	}
}

func (d *Directory) newest(ctx context.Context) (places []int64, err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		places, err = tx.Newest()
		return err
	})
	return places, err
}

func (d *Directory) said(ctx context.Context, places []int64) (out []Saying, err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		out = make([]Saying, 0, len(places))
		return tx.Said(places, func(s *Saying) { out = append(out, *s) })
	})
	return out, err
}

// tell completes the facts of somebody, as [Standing.Facts] does.
func (s *Saying) tell(f *mapping.Facts) {
	f.Subject, f.Groups, f.GroupsIncomplete, f.LastKnownGroups = s.Subject, s.Groups, s.GroupsIncomplete, s.LastComplete
	f.AppRoles, f.UserType, f.Unread, f.Received = s.AppRoles, s.UserType, s.Claims, s.Received
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
	for i := range out {
		d.hold(&out[i])
	}
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
