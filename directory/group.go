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
// Members are named by person id; whoever is not known yet is parked and
// joins on arrival.
type GroupEdit struct {
	Name       *string
	ExternalID *string
	Add        []string
	Remove     []string
	Replace    *[]string // the whole set of members
}

// ProvisionGroup stores a group that an identity provider pushes. It fails
// with fault.Conflict if a group of that name (case does not matter) is there.
func (d *Directory) ProvisionGroup(ctx context.Context, by audit.Actor, connection, name, externalID string, members []string) (Group, error) {
	if _, ok := d.connections[connection]; !ok {
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
		joined, err := d.join(tx, g, members)
		if err != nil {
			return err
		}
		if err := tx.Audit(groupEvent(now, audit.GroupCreated, by, g)); err != nil {
			return err
		}
		return changed(tx, now, joined)
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
	err := d.store.Update(ctx, func(tx Tx) error {
		var err error
		if g, err = tx.Group(connection, id); err != nil {
			return err
		}
		e, err := edit(g)
		if err != nil {
			return err
		}
		renamed, err := rename(&g, e)
		if err != nil {
			return err
		}
		joined, left, err := d.regroup(tx, g, e)
		if err != nil {
			return err
		}
		if !renamed && len(joined) == 0 && len(left) == 0 {
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
			members, err := tx.Members(id)
			if err != nil {
				return err
			}
			for _, m := range members {
				left = append(left, m.ID)
			}
		}
		return changed(tx, now, append(left, joined...))
	})
	if err != nil {
		return Group{}, err
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

// regroup changes the membership and says who joined and who left.
func (d *Directory) regroup(tx Tx, g Group, e GroupEdit) (joined, left []string, err error) {
	if e.Replace != nil {
		if left, err = d.clear(tx, g, *e.Replace); err != nil {
			return nil, nil, err
		}
		if joined, err = d.join(tx, g, *e.Replace); err != nil {
			return nil, nil, err
		}
	}
	if len(e.Remove) > 0 {
		gone, err := tx.RemoveMembers(g.ID, e.Remove)
		if err != nil {
			return nil, nil, err
		}
		left = append(left, gone...)
		if err := tx.Unpark(g.ID, e.Remove); err != nil {
			return nil, nil, err
		}
	}
	more, err := d.join(tx, g, e.Add)
	return append(joined, more...), left, err
}

// clear removes the members who are not among keep.
func (d *Directory) clear(tx Tx, g Group, keep []string) (left []string, err error) {
	members, err := tx.Members(g.ID)
	if err != nil {
		return nil, err
	}
	known, err := tx.KnownPeople(g.Connection, keep)
	if err != nil {
		return nil, err
	}
	if len(keep) > 0 && len(known) == 0 && len(members) > 0 {
		return nil, fault.New(fault.Invalid, "none of the members exists; the group was left as it was")
	}
	stays := make(map[string]bool, len(known))
	for _, id := range known {
		stays[id] = true
	}
	var gone []string
	for _, m := range members {
		if !stays[m.ID] {
			gone = append(gone, m.ID)
		}
	}
	if err := tx.Unpark(g.ID, nil); err != nil {
		return nil, err
	}
	return tx.RemoveMembers(g.ID, gone)
}

// join adds the people who are known and parks the others.
func (d *Directory) join(tx Tx, g Group, ids []string) (joined []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	known, err := tx.KnownPeople(g.Connection, ids)
	if err != nil {
		return nil, err
	}
	here := make(map[string]bool, len(known))
	for _, id := range known {
		here[id] = true
	}
	unknown := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return here[id] })
	if len(unknown) > 0 {
		if err := tx.Park(g.ID, unknown); err != nil {
			return nil, err
		}
	}
	return tx.AddMembers(g.ID, known)
}

// DeleteGroup removes a group; its members lose what it gave at once. It
// fails with fault.NotFound.
func (d *Directory) DeleteGroup(ctx context.Context, by audit.Actor, connection, id string) error {
	now := d.now()
	return d.store.Update(ctx, func(tx Tx) error {
		g, err := tx.Group(connection, id)
		if err != nil {
			return err
		}
		members, err := tx.Members(id)
		if err != nil {
			return err
		}
		if err := tx.DeleteGroup(id); err != nil {
			return err
		}
		if err := tx.Audit(groupEvent(now, audit.GroupDeleted, by, g)); err != nil {
			return err
		}
		ids := make([]string, len(members))
		for i, m := range members {
			ids[i] = m.ID
		}
		return changed(tx, now, ids)
	})
}

// Group gives one group of a connection. It fails with fault.NotFound.
func (d *Directory) Group(ctx context.Context, connection, id string) (g Group, err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		g, err = tx.Group(connection, id)
		return err
	})
	return g, err
}

// Groups gives a page of groups.
func (d *Directory) Groups(ctx context.Context, q Query) (page Page[Group], err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		page, err = tx.Groups(q)
		return err
	})
	return page, err
}

// GroupsOf gives the pushed groups of some people, by person id.
func (d *Directory) GroupsOf(ctx context.Context, people ...string) (map[string][]Group, error) {
	out := make(map[string][]Group, len(people))
	err := d.store.View(ctx, func(tx Tx) error {
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
	err = d.store.View(ctx, func(tx Tx) error {
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
