package directory

import (
	"strconv"

	"portcullis/audit"
	"portcullis/fault"
)

// remake brings back a group that was deleted, without its members: they are
// losses of their own.
func (u *undo) remake(l Loss) (string, error) {
	kept, err := u.tx.KeptGroup(l.Seq)
	if fault.Is(err, fault.NotFound) {
		return erased, nil
	}
	if err != nil {
		return "", err
	}
	taken, err := u.tx.GroupNamed(l.Connection, kept.Group.Name)
	if err != nil {
		return "", err
	}
	if taken {
		return groupTaken, nil
	}
	g := kept.Group
	g.Version++
	g.Modified = u.now
	if err := u.tx.InsertGroup(g); err != nil {
		return "", err
	}
	outer, err := u.tx.KnownGroups(g.Connection, kept.Within)
	if err != nil {
		return "", err
	}
	for _, id := range outer {
		again, err := u.tx.Overruled(l, id, g.ID)
		if err != nil {
			return "", err
		}
		if !again {
			if _, err := u.tx.Nest(id, []string{g.ID}, u.now); err != nil {
				return "", err
			}
		}
	}
	for _, id := range without(kept.Within, outer) {
		if _, err := u.tx.KeepRemoval(id, g.ID); err != nil {
			return "", err
		}
	}
	m := moves{at: u.now}
	if err := m.join(u.tx, g, kept.Parked); err != nil {
		return "", err
	}
	event := groupEvent(u.now, audit.GroupRestored, u.by, g)
	event.Detail["change"] = strconv.FormatInt(u.m.ID, 10)
	if err := u.tx.Audit(event); err != nil {
		return "", err
	}
	return Restored, changed(u.tx, u.now, m.people)
}

// members puts members back into the group, people and groups.
func (u *undo) members(losses []Loss) error {
	g, err := u.tx.Group(u.m.Connection, u.m.Group)
	if fault.Is(err, fault.NotFound) {
		return u.withoutGroup(losses)
	}
	if err != nil {
		return err
	}
	ids := make([]string, 0, len(losses))
	byID := make(map[string][]Loss, len(losses))
	for _, l := range losses {
		if byID[l.Member] == nil {
			ids = append(ids, l.Member)
		}
		byID[l.Member] = append(byID[l.Member], l)
	}
	people, groups, err := u.present(ids, byID)
	if err != nil {
		return err
	}
	joined, err := u.tx.AddMembers(g.ID, people, u.now)
	if err != nil {
		return err
	}
	nested, err := u.tx.Nest(g.ID, groups, u.now)
	if err != nil {
		return err
	}
	m := moves{at: u.now}
	if err := m.came(u.tx, joined, nested); err != nil {
		return err
	}
	for _, id := range append(joined, nested...) {
		u.done(Restored, byID[id]...)
		delete(byID, id)
	}
	for _, rest := range byID { // present, and not added
		u.done(memberYet, rest...)
	}
	if !m.any {
		return nil
	}
	g.Version++
	g.Modified = u.now
	if err := u.tx.UpdateGroup(g); err != nil {
		return err
	}
	event := groupEvent(u.now, audit.GroupUpdated, u.by, g)
	event.Reason = "a mass loss was undone"
	event.Detail["change"] = strconv.FormatInt(u.m.ID, 10)
	if err := u.tx.Audit(event); err != nil {
		return err
	}
	return changed(u.tx, u.now, m.people)
}

// present picks those who can be members again and takes the others out of
// byID, with what keeps them away.
func (u *undo) present(ids []string, byID map[string][]Loss) (people, groups []string, err error) {
	away := func(id, outcome string) {
		u.done(outcome, byID[id]...)
		delete(byID, id)
	}
	if people, err = u.tx.KnownPeople(u.m.Connection, ids); err != nil {
		return nil, nil, err
	}
	if groups, err = u.tx.KnownGroups(u.m.Connection, without(ids, people)); err != nil {
		return nil, nil, err
	}
	for _, id := range without(without(ids, people), groups) {
		kept, err := u.tx.KeepMembership(id, u.m.Group)
		if err != nil {
			return nil, nil, err
		}
		if kept {
			away(id, Restored)
		} else {
			away(id, gone)
		}
	}
	for _, list := range []*[]string{&people, &groups} {
		var stay []string
		for _, id := range *list {
			again, err := u.tx.Overruled(byID[id][0], u.m.Group, id) // the newest
			if err != nil {
				return nil, nil, err
			}
			if again {
				away(id, overruled)
			} else {
				stay = append(stay, id)
			}
		}
		*list = stay
	}
	return people, groups, nil
}

// withoutGroup lets the members of a group that was deleted since come back
// with it, if it can come back.
func (u *undo) withoutGroup(losses []Loss) error {
	for _, l := range losses {
		kept, err := u.tx.KeepRemoval(u.m.Group, l.Member)
		if err != nil {
			return err
		}
		if kept {
			u.done(Restored, l)
		} else {
			u.done(gone, l)
		}
	}
	return nil
}
