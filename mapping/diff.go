package mapping

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxChanges = 1_000 // people whom a Difference names
	manyPeople = 20    // more than one in as many touched is worth a flag: 5 %
)

// Difference says whose access another policy changes, and how.
type Difference struct {
	People     int // who were looked at
	Touched    int // whose access changes at all
	Gain       int // who gain a role, a task, a permission group or a sign-in
	Lose       int // who lose one
	Admitted   int // who can sign in and could not
	Refused    int // who can no longer sign in
	Data       int // to whom other rows are visible, or may be
	Privileged int // who gain a privileged role
	Everything int // who gain unrestricted data
	Roles      []Shift
	Groups     []Shift // permission groups
	Caps       []CapUse
	Changes    []Change // the first of those who are touched
	More       int      // touched people who are not in Changes
}

// Shift counts people by a role or a permission group.
type Shift struct {
	Name        string
	Before, Now int
	Gain, Lose  int
}

// Change is what changes for one person.
type Change struct {
	Person       string // as the caller calls them
	Connection   string
	Admitted     bool
	Refused      bool
	Reason       string // why they are refused
	RolesGained  []string
	RolesLost    []string
	TasksGained  []string
	TasksLost    []string
	GroupsGained []string // permission groups
	GroupsLost   []string
	Data         bool // other rows are visible, or may be
	Privileged   bool // gains a privileged role
	Everything   bool // gains unrestricted data
}

// Flag is what somebody should see before they approve a change.
type Flag string

// The flags of a Difference.
const (
	FlagPrivileged Flag = "privileged"   // somebody gains a privileged role
	FlagEverything Flag = "unrestricted" // somebody gains unrestricted data
	FlagManyPeople Flag = "people>5%"    // more than 5 % of people are touched
	FlagCap        Flag = "cap"          // more people than may hold a role
)

// Flags lists what is remarkable about the change.
func (d *Difference) Flags() []Flag {
	var flags []Flag
	if d.Privileged > 0 {
		flags = append(flags, FlagPrivileged)
	}
	if d.Everything > 0 {
		flags = append(flags, FlagEverything)
	}
	if d.Touched*manyPeople > d.People {
		flags = append(flags, FlagManyPeople)
	}
	if slices.ContainsFunc(d.Caps, CapUse.Exceeded) {
		flags = append(flags, FlagCap)
	}
	return flags
}

// String is the counts, one line each, with the roles below.
func (d *Difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d people are touched: %d gain, %d lose, %d can sign in now, %d can no longer sign in, %d see other data\n",
		d.Touched, d.People, d.Gain, d.Lose, d.Admitted, d.Refused, d.Data)
	for _, f := range d.Flags() {
		fmt.Fprintf(&b, "flag: %s\n", f)
	}
	for _, part := range []struct {
		what   string
		shifts []Shift
	}{{"role", d.Roles}, {"permission group", d.Groups}} {
		for _, s := range part.shifts {
			if s.Gain+s.Lose > 0 {
				fmt.Fprintf(&b, "%s %s: %d -> %d people (%d gain, %d lose)\n", part.what, s.Name, s.Before, s.Now, s.Gain, s.Lose)
			}
		}
	}
	return b.String()
}

// Diff evaluates people under two policies at a time. old may be nil: then
// nobody could sign in before. The string that comes with each person is what
// a Change calls them. It uses all processors and keeps counts and the first
// thousand changes, so that memory does not grow with the people; Facts are
// read until Diff returns or the next thousands of people have come, so each
// person needs their own.
func Diff(old, updated *Policy, at time.Time, people iter.Seq2[string, *Facts]) *Difference {
	work := make(chan []candidate, 2)
	workers := make([]*differ, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i := range workers {
		w := newDiffer(old, updated, at)
		workers[i] = w
		wg.Go(func() {
			for batch := range work {
				for _, s := range batch {
					w.person(s)
				}
			}
		})
	}
	deal(work, people)
	wg.Wait()
	total := workers[0]
	for _, w := range workers[1:] {
		total.merge(w)
	}
	return total.result()
}

// deal hands people out in batches, and always ends the work.
func deal(work chan<- []candidate, people iter.Seq2[string, *Facts]) {
	defer close(work)
	const size = 256
	batch := make([]candidate, 0, size)
	number := 0
	for id, f := range people {
		batch = append(batch, candidate{number, id, f})
		if number++; len(batch) == size {
			work <- batch
			batch = make([]candidate, 0, size)
		}
	}
	work <- batch
}

// candidate is a person with their place among all.
type candidate struct {
	number int
	id     string
	facts  *Facts
}

// differ holds people against both policies; each worker has its own.
type differ struct {
	old, updated  *Policy
	at            time.Time
	before, after Access
	counts        Difference
	roles, groups map[string]*Shift
	privileged    map[string]bool
	changes       []numbered
}

type numbered struct {
	number int
	Change
}

func newDiffer(old, updated *Policy, at time.Time) *differ {
	d := &differ{old: old, updated: updated, at: at, roles: make(map[string]*Shift), groups: make(map[string]*Shift), privileged: make(map[string]bool)}
	for i := range updated.roles {
		if updated.reach.has(i) || updated.local.has(i) {
			d.privileged[updated.roles[i].decl.Name] = true
		}
	}
	return d
}

func (d *differ) person(s candidate) {
	d.counts.People++
	if d.old != nil {
		d.old.EvaluateInto(&d.before, s.facts, d.at)
	}
	d.updated.EvaluateInto(&d.after, s.facts, d.at)
	count(d.roles, d.before.Roles, d.after.Roles)
	count(d.groups, d.before.PermissionGroups, d.after.PermissionGroups)
	data := !samePermissions(&d.before.Permissions, &d.after.Permissions)
	if !data && d.before.Login == d.after.Login && slices.Equal(d.before.Roles, d.after.Roles) &&
		slices.Equal(d.before.Tasks, d.after.Tasks) && slices.Equal(d.before.PermissionGroups, d.after.PermissionGroups) {
		return
	}
	c := d.change(s, data)
	n := &d.counts
	n.Touched++
	for _, add := range []struct {
		to   *int
		when bool
	}{
		{&n.Gain, c.Admitted || len(c.RolesGained)+len(c.TasksGained)+len(c.GroupsGained) > 0},
		{&n.Lose, c.Refused || len(c.RolesLost)+len(c.TasksLost)+len(c.GroupsLost) > 0},
		{&n.Admitted, c.Admitted},
		{&n.Refused, c.Refused},
		{&n.Data, c.Data},
		{&n.Privileged, c.Privileged},
		{&n.Everything, c.Everything},
	} {
		if add.when {
			*add.to++
		}
	}
	// Batches come in rising order, so the first are the first.
	if len(d.changes) < maxChanges {
		d.changes = append(d.changes, numbered{s.number, c})
	}
}

func (d *differ) change(s candidate, data bool) Change {
	c := Change{
		Person: s.id, Connection: s.facts.Connection, Data: data,
		Admitted: d.after.Login && !d.before.Login, Refused: d.before.Login && !d.after.Login,
		Everything: d.after.Permissions.Unrestricted && !d.before.Permissions.Unrestricted,
	}
	if c.Refused {
		c.Reason = d.after.Reason
	}
	c.RolesGained, c.RolesLost = apart(d.before.Roles, d.after.Roles)
	c.TasksGained, c.TasksLost = apart(d.before.Tasks, d.after.Tasks)
	c.GroupsGained, c.GroupsLost = apart(d.before.PermissionGroups, d.after.PermissionGroups)
	c.Privileged = slices.ContainsFunc(c.RolesGained, func(r string) bool { return d.privileged[r] })
	return c
}

// walk goes through two sorted lists at once.
func walk(before, after []string, f func(name string, was, is bool)) {
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(after) == 0 || len(before) > 0 && before[0] < after[0]:
			f(before[0], true, false)
			before = before[1:]
		case len(before) == 0 || after[0] < before[0]:
			f(after[0], false, true)
			after = after[1:]
		default:
			f(after[0], true, true)
			before, after = before[1:], after[1:]
		}
	}
}

// apart gives what is in one of two sorted lists alone.
func apart(before, after []string) (gained, lost []string) {
	walk(before, after, func(name string, was, is bool) {
		switch {
		case !was:
			gained = append(gained, name)
		case !is:
			lost = append(lost, name)
		}
	})
	return gained, lost
}

func count(shifts map[string]*Shift, before, after []string) {
	walk(before, after, func(name string, was, is bool) {
		s := shifts[name]
		if s == nil {
			s = &Shift{Name: name}
			shifts[name] = s
		}
		if was {
			s.Before++
		}
		if is {
			s.Now++
		}
		switch {
		case !was:
			s.Gain++
		case !is:
			s.Lose++
		}
	})
}

func samePermissions(a, b *Permissions) bool {
	same := func(a, b Where) bool {
		return maps.EqualFunc(a, b, func(a, b Constraint) bool {
			return a.Any == b.Any && a.Prefix == b.Prefix && slices.Equal(a.In, b.In) && slices.Equal(a.Not, b.Not)
		})
	}
	return a.Unrestricted == b.Unrestricted && slices.EqualFunc(a.AnyOf, b.AnyOf, same) && slices.EqualFunc(a.AllOf, b.AllOf, same)
}

func (d *differ) merge(o *differ) {
	a, b := &d.counts, &o.counts
	a.People += b.People
	a.Touched += b.Touched
	a.Gain += b.Gain
	a.Lose += b.Lose
	a.Admitted += b.Admitted
	a.Refused += b.Refused
	a.Data += b.Data
	a.Privileged += b.Privileged
	a.Everything += b.Everything
	d.changes = append(d.changes, o.changes...)
	for _, pair := range [2][2]map[string]*Shift{{d.roles, o.roles}, {d.groups, o.groups}} {
		for name, s := range pair[1] {
			t := pair[0][name]
			if t == nil {
				pair[0][name] = s
				continue
			}
			t.Before += s.Before
			t.Now += s.Now
			t.Gain += s.Gain
			t.Lose += s.Lose
		}
	}
}

func (d *differ) result() *Difference {
	slices.SortFunc(d.changes, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	out := d.counts
	for _, c := range d.changes[:min(len(d.changes), maxChanges)] {
		out.Changes = append(out.Changes, c.Change)
	}
	out.More = out.Touched - len(out.Changes)
	sorted := func(shifts map[string]*Shift) []Shift {
		var list []Shift
		for _, name := range slices.Sorted(maps.Keys(shifts)) {
			list = append(list, *shifts[name])
		}
		return list
	}
	out.Roles, out.Groups = sorted(d.roles), sorted(d.groups)
	for _, limit := range d.updated.caps {
		use := CapUse{Cap: limit}
		if s := d.roles[limit.Role]; s != nil {
			use.People = s.Now
		}
		out.Caps = append(out.Caps, use)
	}
	return &out
}
