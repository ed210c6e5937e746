package admin

import (
	"context"
	"errors"
	"slices"
	"strings"

	"portcullis/mapping"
	"portcullis/revision"
)

// counted is whose people what is said about a mapping is of: those whom the
// visitor may see. Otherwise a draft of a rule about somebody would tell what
// they have, to whoever writes it. Whoever has no right to see people at all,
// and is bound to none either, is told numbers of everybody, and no names.
func (c *Console) counted(r *request) scope {
	if narrow, ok := r.within(mapping.GateUsersView); ok {
		return narrow.scope
	}
	if r.home.units != nil || c.scopedDown(r.visitor) {
		return r.home
	}
	return scope{}
}

// scopedDown reports whether a visitor is bound to people around them and comes
// with an API token whose scopes leave that right out: less of a right shows
// no more.
func (c *Console) scopedDown(v *visitor) bool {
	p := c.keeper.Policy()
	if p == nil || v.who == nil || !v.who.Token || slices.Contains(p.Wide(v.who.Connection, v.who.Held), mapping.GateUsersView) {
		return false
	}
	roles := make(map[string]mapping.Role)
	for _, role := range p.Roles() {
		roles[role.Name] = role
	}
	return slices.ContainsFunc(v.who.Held, func(name string) bool { return tasksOf(roles, name)[mapping.GateUsersView] })
}

// crowd gives everybody of whom a visitor is told numbers; bound says that it
// is not everybody.
func (c *Console) crowd(r *request) (all *crowd, bound bool, err error) {
	if all, err = c.crowds.get(r.ctx); err != nil {
		return nil, false, err
	}
	of := c.counted(r)
	if of.organization == "" {
		return all, false, nil
	}
	all, err = all.only(r.ctx, c.store, of)
	return all, true, err
}

// only is the crowd without those who are outside of a scope just now.
func (c *crowd) only(ctx context.Context, s Store, of scope) (*crowd, error) {
	ids, err := s.PeopleIn(ctx, of.organization, of.units)
	if err != nil {
		return nil, err
	}
	out := *c
	out.of = make(map[string]bool, len(ids))
	for _, id := range ids {
		out.of[id] = true
	}
	return &out, nil
}

// unsaidOf is what was decided about a mapping, likewise. Whoever sees the events
// of an organization sees those of its fragments, whatever they may see of people.
func (c *Console) unsaidOf(r *request, events []eventJSON) {
	if r.organization == "" && c.counted(r).organization == "" {
		return
	}
	for _, e := range events {
		if needs, ok := e.Detail["needs_approval"]; ok {
			e.Detail["needs_approval"] = strings.Join(revision.Countless(strings.Split(needs, "; ")), "; ")
		}
	}
}

// unsaid is a change without what it says of people whom the visitor may not
// see: how many it touched when it was made.
func (c *Console) unsaid(r *request, changes ...*changeJSON) {
	if c.counted(r).organization == "" {
		return
	}
	for _, w := range changes {
		w.Effect, w.Counts, w.Needs = "", nil, revision.Countless(w.Needs)
	}
}

// unsaidIn is why a mapping is refused, likewise.
func (c *Console) unsaidIn(r *request, err error) error {
	if u, ok := errors.AsType[*revision.Unapproved](err); ok && c.counted(r).organization != "" {
		return (&revision.Unapproved{Needs: revision.Countless(u.Needs), Lacks: u.Lacks}).Fault()
	}
	return said(err)
}
