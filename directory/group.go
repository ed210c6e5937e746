package directory

import (
	"context"
	"slices"
	"strings"
	"time"

	"portcullis/audit"
	"portcullis/fault"
)

// GroupEdit is a change of a group. Nil and empty mean: leave it alone.
// Members are named by the id of a person or of another group; whoever is not
// known yet is parked and joins on arrival.
type GroupEdit struct {
	Name       *string
	ExternalID *string
	Add        []string
	Remove     []string
	Replace    *[]string // the whole set of members

	// LossesOnly takes members away and does nothing else. If more was asked
	// for, the losses count, and the edit fails with fault.Forbidden all the
	// same: whoever pushes it will push it again.
	LossesOnly bool
}

// ProvisionGroup stores a group that an identity provider pushes. It fails
// with fault.Conflict if a group of that name (case does not matter) is there.
func (d *Directory) ProvisionGroup(ctx context.Context, by audit.Actor, connection, name, externalID string, members []string) (Group, error) {
	if _, ok := d.known()[connection]; !ok {
		return Group{}, fault.New(fault.NotFound, "no connection %q", connection)
	}
	if strings.TrimSpace(name) == "" {
		return Group{}, fault.New(fault.Invalid, "displayName is required")
	}
	now := d.now()
	g := Group{ID: newID(), Connection: connection, Name: name, ExternalID: externalID, Version: 1, Created: now, Modified: now}
	err := d.store.Update(ctx, func(tx Tx) error {
		if err := tx.InsertGroup(g); err != nil {
			return err
		}
		m := moves{at: now}
		if err := m.join(tx, g, members); err != nil {
			return err
		}
		if err := tx.Audit(groupEvent(now, audit.GroupCreated, by, g)); err != nil {
			return err
		}
		return changed(tx, now, m.people)
	})
	if err != nil {
		return Group{}, err
	}
	return g, nil
}

// ReviseGroup changes a group. edit only computes and may be called again;
// its faults are returned as they are. An edit that changes nothing writes
// nothing. To replace known members by unknown ones only is fault.Invalid: it
// would empty the group by mistake.
func (d *Directory) ReviseGroup(ctx context.Context, by audit.Actor, connection, id string, edit func(Group) (GroupEdit, error)) (Group, error) {
	now := d.now()
	var g Group
	more := false
	err := d.store.Update(ctx, func(tx Tx) error {
		var err error
		if g, err = tx.Group(connection, id); err != nil {
			return err
		}
		e, err := edit(g)
		if err != nil {
			return err
		}
		if e.LossesOnly {
			if e, more, err = lossesOf(tx, g, e); err != nil {
				return err
			}
		}
		renamed, err := rename(&g, e)
		if err != nil {
			return err
		}
		m := moves{at: now}
		if err := m.regroup(tx, g, e); err != nil {
			return err
		}
		if !renamed && !m.any {
			return nil
		}
		g.Version++
		g.Modified = now
		if err := tx.UpdateGroup(g); err != nil {
			return err
		}
		if err := tx.Audit(groupEvent(now, audit.GroupUpdated, by, g)); err != nil {
			return err
		}
		if renamed { // the mapping knows groups by name: it touches every member
			members, err := tx.PeopleIn([]string{id})
			if err != nil {
				return err
			}
			m.people = append(m.people, members...)
		}
		return changed(tx, now, m.people)
	})
	if err != nil {
		return Group{}, err
	}
	if more {
		return Group{}, ErrFrozen
	}
	return g, nil
}

// rename takes over the names and reports whether one changed.
func rename(g *Group, e GroupEdit) (bool, error) {
	before := *g
	if e.Name != nil {
		if strings.TrimSpace(*e.Name) == "" {
			return false, fault.New(fault.Invalid, "displayName is required")
		}
		g.Name = *e.Name
	}
	if e.ExternalID != nil {
		g.ExternalID = *e.ExternalID
	}
	return *g != before, nil
}

// moves are people who come to be in a group, or no longer are.
type moves struct {
	at     time.Time
	any    bool     // a member came or went, be it a group with nobody in it
	people []string // to whom that makes a difference
	left   []string // members themselves, people alone
}

// came and went note who did, people and groups.
func (m *moves) came(tx Tx, people, groups []string) error {
	return m.note(tx, people, groups)
}

func (m *moves) went(tx Tx, people, groups []string) error {
	m.left = append(m.left, people...)
	return m.note(tx, people, groups)
}

func (m *moves) note(tx Tx, people, groups []string) error {
	m.any = m.any || len(people)+len(groups) > 0
	m.people = append(m.people, people...)
	within, err := tx.PeopleIn(groups)
	m.people = append(m.people, within...)
	return err
}

// regroup changes the membership.
func (m *moves) regroup(tx Tx, g Group, e GroupEdit) error {
	if e.Replace != nil {
		if err := insistOnMembers(tx, g, m.at); err != nil {
			return err
		}
		if err := m.clear(tx, g, *e.Replace); err != nil {
			return err
		}
		if err := m.join(tx, g, *e.Replace); err != nil {
			return err
		}
	}
	if len(e.Remove) > 0 {
		if err := m.leave(tx, g, e.Remove); err != nil {
			return err
		}
		if err := tx.Unpark(g.ID, e.Remove); err != nil {
			return err
		}
	}
	return m.join(tx, g, e.Add)
}

// leave removes members, whichever of people and groups they are.
func (m *moves) leave(tx Tx, g Group, ids []string) error {
	people, err := tx.RemoveMembers(g.ID, ids, m.at)
	if err != nil {
		return err
	}
	var groups []string
	if len(people) < len(ids) {
		if groups, err = tx.Unnest(g.ID, ids, m.at); err != nil {
			return err
		}
	}
	if err := noteRemovals(tx, g, ids, people, groups, m.at); err != nil {
		return err
	}
	return m.went(tx, people, groups)
}

// clear removes the members who are not among keep.
func (m *moves) clear(tx Tx, g Group, keep []string) error {
	members, err := tx.Members(g.ID)
	if err != nil {
		return err
	}
	known, err := tx.KnownPeople(g.Connection, keep)
	if err != nil {
		return err
	}
	if len(known) < len(keep) {
		groups, err := tx.KnownGroups(g.Connection, keep)
		if err != nil {
			return err
		}
		known = append(known, groups...)
	}
	if len(keep) > 0 && len(known) == 0 && len(members) > 0 {
		return fault.New(fault.Invalid, "none of the members exists; the group was left as it was")
	}
	stays := make(map[string]bool, len(known))
	for _, id := range known {
		stays[id] = true
	}
	var gone []string
	for _, member := range members {
		if !stays[member.ID] {
			gone = append(gone, member.ID)
		}
	}
	if err := tx.Unpark(g.ID, nil); err != nil {
		return err
	}
	return m.leave(tx, g, gone)
}

// join adds the people and groups that are known and parks the others.
func (m *moves) join(tx Tx, g Group, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	if slices.Contains(ids, g.ID) {
		return fault.New(fault.Invalid, "a group cannot be a member of itself")
	}
	known, err := tx.KnownPeople(g.Connection, ids)
	if err != nil {
		return err
	}
	unknown := without(ids, known)
	groups, err := tx.KnownGroups(g.Connection, unknown)
	if err != nil {
		return err
	}
	if unknown = without(unknown, groups); len(unknown) > 0 {
		arrived, err := tx.Park(g.ID, unknown)
		if err != nil {
			return err
		}
		known = append(known, arrived...)
	}
	if known, err = tx.AddMembers(g.ID, known, m.at); err != nil {
		return err
	}
	if groups, err = tx.Nest(g.ID, groups, m.at); err != nil {
		return err
	}
	return m.came(tx, known, groups)
}

// without are the ids that are not among those.
func without(ids, those []string) []string {
	if len(those) == 0 {
		return ids
	}
	drop := make(map[string]bool, len(those))
	for _, id := range those {
		drop[id] = true
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return drop[id] })
}

// DeleteGroup removes a group; its members lose what it gave at once. It fails
// with fault.NotFound.
func (d *Directory) DeleteGroup(ctx context.Context, by audit.Actor, connection, id string) error {
	return d.DeleteGroupIf(ctx, by, connection, id, func(Group) error { return nil })
}

// DeleteGroupIf is DeleteGroup, unless check refuses the group as it is.
func (d *Directory) DeleteGroupIf(ctx context.Context, by audit.Actor, connection, id string, check func(Group) error) error {
	now := d.now()
	return d.store.Update(ctx, func(tx Tx) error {
		g, err := tx.Group(connection, id)
		if err != nil {
			return err
		}
		if err := check(g); err != nil {
			return err
		}
		people, err := tx.PeopleIn([]string{id})
		if err != nil {
			return err
		}
		if err := tx.InsertGroupDeletion(id, len(people), now); err != nil {
			return err
		}
		if err := tx.DeleteGroup(id, now); err != nil {
			return err
		}
		if err := tx.Audit(groupEvent(now, audit.GroupDeleted, by, g)); err != nil {
			return err
		}
		return changed(tx, now, people)
	})
}

// Group gives one group of a connection. It fails with fault.NotFound.
func (d *Directory) Group(ctx context.Context, connection, id string) (g Group, err error) {
	err = d.store.Glance(ctx, func(tx Tx) error {
		g, err = tx.Group(connection, id)
		return err
	})
	return g, err
}

// Groups gives a page of groups.
func (d *Directory) Groups(ctx context.Context, q Query) (page Page[Group], err error) {
	err = d.store.Glance(ctx, func(tx Tx) error {
		page, err = tx.Groups(q)
		return err
	})
	return page, err
}

// GroupsOf gives the pushed groups of some people, by person id.
func (d *Directory) GroupsOf(ctx context.Context, people ...string) (map[string][]Group, error) {
	out := make(map[string][]Group, len(people))
	err := d.store.Glance(ctx, func(tx Tx) error {
		for _, id := range people {
			groups, err := tx.GroupsOf(id)
			if err != nil {
				return err
			}
			out[id] = groups
		}
		return nil
	})
	return out, err
}

// Members gives everybody in some groups, by group id, in the order of
// joining.
func (d *Directory) Members(ctx context.Context, groups ...string) (members map[string][]Member, err error) {
	err = d.store.Glance(ctx, func(tx Tx) error {
		members, err = tx.MembersOf(groups)
		return err
	})
	return members, err
}

// manyPeople is from where on one change record for everybody costs less
// than one for each.
const manyPeople = 1000

// changed writes a change record for each of the people, once, or one for
// everybody if they are many.
func changed(tx Tx, now time.Time, people []string) error {
	slices.Sort(people)
	people = slices.Compact(people)
	if len(people) > manyPeople {
		return tx.Change(Change{At: now})
	}
	for _, id := range people {
		if err := tx.Change(Change{At: now, Person: id}); err != nil {
			return err
		}
	}
	return nil
}

func groupEvent(now time.Time, action audit.Action, by audit.Actor, g Group) audit.Event {
	return audit.Event{At: now, Action: action, Actor: by, Subject: g.Name, Connection: g.Connection, Detail: map[string]string{"group": g.ID}}
}
