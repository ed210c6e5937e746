package mapping

import (
	"cmp"
	"iter"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"
)

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
	old, now   *side
	alike      map[string]bool // connections whose ceilings and permission groups mean the same in both
	counts     Difference
	gain, lose tally
	privileged map[string]bool
	changes    []numbered
}

// tally counts people by role and by permission group.
type tally struct{ roles, groups map[string]int }

func newTally() tally { return tally{make(map[string]int), make(map[string]int)} }

// side is one of the two policies, with what it gives a person.
type side struct {
	policy *Policy // nil if there was none
	at     time.Time
	access Access
	plain  bool  // their data is that of permission groups of the base without parameters, and of the ceiling
	roles  []int // people by number
	groups []int // of the base
	others map[string]int
}

func newSide(p *Policy, at time.Time) *side {
	s := &side{policy: p, at: at, others: make(map[string]int)}
	if p != nil {
		s.roles, s.groups = make([]int, len(p.roles)), make([]int, len(p.groups))
	}
	return s
}

func (x *side) evaluate(f *Facts) {
	p := x.policy
	if p == nil {
		return
	}
	s := p.borrow()
	p.run(s, f, x.at)
	p.access(s, &x.access)
	x.plain = len(s.instances) == 0 && len(s.narrows) == 0 && s.narrow.empty()
	if s.verdict == allowed {
		for i := range s.roles.all() {
			x.roles[i]++
		}
		for i := range s.groups.all() {
			if i < len(x.groups) {
				x.groups[i]++
				continue
			}
			x.plain = false
			x.others[p.group(s.connection, i).name]++
		}
	}
	p.giveBack(s)
}

// tally adds up the counts under their names.
func (x *side) tally(to tally) {
	maps.Copy(to.groups, x.others)
	for i, n := range x.roles {
		to.roles[x.policy.roles[i].decl.Name] += n
	}
	for i, n := range x.groups {
		to.groups[x.policy.groups[i].name] += n
	}
}

type numbered struct {
	number int
	Change
}

func newDiffer(old, updated *Policy, at time.Time) *differ {
	d := &differ{
		old: newSide(old, at), now: newSide(updated, at), alike: make(map[string]bool),
		gain: newTally(), lose: newTally(), privileged: make(map[string]bool),
	}
	for i := range updated.roles {
		if updated.reach.has(i) || updated.local.has(i) {
			d.privileged[updated.roles[i].decl.Name] = true
		}
	}
	if old == nil || !sameGroups(old, updated) {
		return d
	}
	for id, c := range updated.connections {
		if o := old.connections[id]; o != nil && slices.EqualFunc(o.allOf, c.allOf, sameWhere) {
			d.alike[id] = true
		}
	}
	return d
}

// sameGroups reports whether every permission group that both bases have
// means the same.
func sameGroups(old, updated *Policy) bool {
	for i := range updated.groups {
		g := &updated.groups[i]
		n, both := old.groupNumber[g.name]
		if !both || len(g.params) > 0 {
			continue
		}
		if o := &old.groups[n]; o.unrestricted != g.unrestricted || len(o.params) > 0 || !sameWhere(o.where, g.where) {
			return false
		}
	}
	return true
}

func (d *differ) person(s candidate) {
	d.counts.People++
	d.old.evaluate(s.facts)
	d.now.evaluate(s.facts)
	before, after := &d.old.access, &d.now.access
	lists := before.Login == after.Login && slices.Equal(before.Roles, after.Roles) &&
		slices.Equal(before.Tasks, after.Tasks) && slices.Equal(before.PermissionGroups, after.PermissionGroups)
	if lists && d.old.plain && d.now.plain && d.alike[s.facts.Connection] {
		return
	}
	data := !samePermissions(&before.Permissions, &after.Permissions)
	if lists && !data {
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
	for _, add := range []struct {
		to    map[string]int
		names []string
	}{{d.gain.roles, c.RolesGained}, {d.lose.roles, c.RolesLost}, {d.gain.groups, c.GroupsGained}, {d.lose.groups, c.GroupsLost}} {
		for _, name := range add.names {
			add.to[name]++
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
		Admitted: d.now.access.Login && !d.old.access.Login, Refused: d.old.access.Login && !d.now.access.Login,
		Everything: d.now.access.Permissions.Unrestricted && !d.old.access.Permissions.Unrestricted,
	}
	if c.Refused {
		c.Reason = d.now.access.Reason
	}
	c.RolesGained, c.RolesLost = apart(d.old.access.Roles, d.now.access.Roles)
	c.TasksGained, c.TasksLost = apart(d.old.access.Tasks, d.now.access.Tasks)
	c.GroupsGained, c.GroupsLost = apart(d.old.access.PermissionGroups, d.now.access.PermissionGroups)
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

func sameWhere(a, b Where) bool {
	return maps.EqualFunc(a, b, func(a, b Constraint) bool {
		return a.Any == b.Any && a.Prefix == b.Prefix && slices.Equal(a.In, b.In) && slices.Equal(a.Not, b.Not)
	})
}

func samePermissions(a, b *Permissions) bool {
	return a.Unrestricted == b.Unrestricted && slices.EqualFunc(a.AnyOf, b.AnyOf, sameWhere) && slices.EqualFunc(a.AllOf, b.AllOf, sameWhere)
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
	for _, pair := range [...][2]map[string]int{
		{d.gain.roles, o.gain.roles},
		{d.gain.groups, o.gain.groups},
		{d.lose.roles, o.lose.roles},
		{d.lose.groups, o.lose.groups},
		{d.old.others, o.old.others},
		{d.now.others, o.now.others},
	} {
		for name, n := range pair[1] {
			pair[0][name] += n
		}
	}
	for _, pair := range [...][2][]int{{d.old.roles, o.old.roles}, {d.old.groups, o.old.groups}, {d.now.roles, o.now.roles}, {d.now.groups, o.now.groups}} {
		for i, n := range pair[1] {
			pair[0][i] += n
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
	before, now := newTally(), newTally()
	d.old.tally(before)
	d.now.tally(now)
	out.Roles = shifts(before.roles, now.roles, d.gain.roles, d.lose.roles)
	out.Groups = shifts(before.groups, now.groups, d.gain.groups, d.lose.groups)
	for _, limit := range d.now.policy.caps {
		out.Caps = append(out.Caps, CapUse{Cap: limit, People: now.roles[limit.Role]})
	}
	return &out
}

// shifts puts counts together by name, and leaves out what nobody has.
func shifts(before, now, gain, lose map[string]int) []Shift {
	names := make(map[string]bool, len(now))
	for _, m := range []map[string]int{before, now} {
		for name, n := range m {
			if n > 0 {
				names[name] = true
			}
		}
	}
	out := make([]Shift, 0, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		out = append(out, Shift{Name: name, Before: before[name], Now: now[name], Gain: gain[name], Lose: lose[name]})
	}
	return out
}
