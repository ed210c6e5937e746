package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
)

// Wanted is what somebody is to have; all that is named.
type Wanted struct {
	Task, Role string
	Group      string            // permission group
	Row        map[string]string // every row with these values
}

// Empty reports whether nothing is asked for.
func (w *Wanted) Empty() bool {
	return w.Task == "" && w.Role == "" && w.Group == "" && len(w.Row) == 0
}

// Known refuses names that the mapping does not have: a slip of the pen would
// be answered with nobody. The fault is Invalid.
func (w *Wanted) Known(p *mapping.Policy) error {
	roles, attributes := make([]string, 0), make([]string, 0)
	for _, r := range p.Roles() {
		roles = append(roles, r.Name)
	}
	for _, a := range p.Attributes() {
		attributes = append(attributes, a.Name)
	}
	check := func(kind, name string, names []string) error {
		if name == "" || slices.Contains(names, name) {
			return nil
		}
		return fault.New(fault.Invalid, "the mapping has no %s %q; want one of %v", kind, name, names)
	}
	if err := check("role", w.Role, roles); err != nil {
		return err
	}
	if err := check("task", w.Task, p.Tasks()); err != nil {
		return err
	}
	if err := check("permission group", w.Group, p.PermissionGroups()); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(w.Row)) {
		if err := check("attribute", name, attributes); err != nil {
			return err
		}
	}
	return nil
}

// Holder is somebody who has what was asked for.
type Holder struct {
	Standing directory.Standing
	Access   mapping.Access
	Rules    []string // that gave it
	Only     []string // of a row: what else it must meet, one alternative each; nil for nothing else
	Data     []Shown  // of a row: each permission group that shows it
}

// Shown is one way in which somebody may see a row.
type Shown struct {
	PermissionGroup string
	Parameters      string
	Rules           []string
	Only            string // what else the row must meet
}

// Walk goes through everybody as they were at a time, as
// [directory.Directory.Standings] does.
type Walk func(ctx context.Context, at time.Time, f func(directory.Standing) error) error

// Who calls f with everybody who has what is wanted, in the order in which
// their records were made. facts is the time of the facts, zero for now; at is
// the time of the evaluation. Whoever is locked, deactivated or of a frozen
// organization has nothing. An error of f ends it and is returned as it is.
func Who(ctx context.Context, walk Walk, p *mapping.Policy, w Wanted, facts, at time.Time, f func(Holder) error) error {
	why := make(map[string][]string)
	return walk(ctx, facts, func(s directory.Standing) error {
		access, err := s.Admit(p, at)
		if fault.Is(err, fault.Forbidden) {
			return nil
		}
		if err != nil {
			return err
		}
		narrower, has := w.met(&access)
		if !has {
			return nil
		}
		h := Holder{Standing: s, Access: access}
		if len(w.Row) > 0 {
			h.Only = narrower
		}
		h.Rules, h.Data = w.reasons(why, p, &s, &access, at)
		return f(h)
	})
}

// met reports whether somebody with an access has what is wanted; of a row,
// what else it must meet.
func (w *Wanted) met(a *mapping.Access) (narrower []string, has bool) {
	narrower, sees := a.Permissions.Sees(w.Row)
	return narrower, (w.Role == "" || slices.Contains(a.Roles, w.Role)) && (w.Task == "" || slices.Contains(a.Tasks, w.Task)) &&
		(w.Group == "" || slices.Contains(a.PermissionGroups, w.Group)) && (len(w.Row) == 0 || sees)
}

// walk goes through everybody of the crowd who may have what is wanted now: the
// rest of what is known of them is read of those alone.
func (c *crowd) walk(d Directory, p *mapping.Policy, w Wanted) Walk {
	return func(ctx context.Context, _ time.Time, f func(directory.Standing) error) error {
		var failed error
		var access mapping.Access
		var some []string
		look := func() error {
			standings, err := d.StandingsOf(ctx, some)
			for i := 0; i < len(standings) && err == nil; i++ {
				err = f(standings[i])
			}
			some = some[:0]
			return err
		}
		for id, facts := range c.people(ctx, &failed) {
			p.EvaluateInto(&access, facts, c.at)
			if _, has := w.met(&access); !has || !access.Login {
				continue
			}
			if some = append(some, id); len(some) < lookBatch {
				continue
			}
			if err := look(); err != nil {
				return err
			}
		}
		if failed != nil || len(some) == 0 {
			return failed
		}
		return look()
	}
}

// reasons says why somebody has what is wanted. Roles, tasks and groups are
// explained once for all who meet the same rules; data is not, since a rule
// may give each of them other accounts.
func (w *Wanted) reasons(known map[string][]string, p *mapping.Policy, s *directory.Standing, a *mapping.Access, at time.Time) (rules []string, data []Shown) {
	f := s.Facts()
	if w.Role != "" || w.Task != "" || w.Group != "" {
		key := fmt.Sprintf("%q %q %q", s.Person.Connection, a.Rules, a.Roles)
		found, ok := known[key]
		if !ok {
			if len(known) == maxReasons {
				clear(known)
			}
			found = w.rules(p.Explain(&f, at))
			known[key] = found
		}
		rules = list(found)
	}
	if len(w.Row) > 0 {
		data = w.data(p.Sights(&f, at), a.Permissions.AllOf)
	}
	for _, d := range data {
		rules = append(rules, d.Rules...)
	}
	slices.Sort(rules)
	return list(slices.Compact(rules)), data
}

// data lists what shows the row.
func (w *Wanted) data(sights []mapping.Sight, narrower []mapping.Where) (out []Shown) {
	for _, d := range sights {
		if rest, ok := mapping.Within(append([]mapping.Where{d.Where}, narrower...), w.Row); ok {
			out = append(out, Shown{d.PermissionGroup, d.Parameters, d.Rules, rest})
		}
	}
	return out
}

// maxReasons bounds the explanations that are kept for the next person.
const maxReasons = 1000

// rules are those that gave the role, the task or the permission group.
func (w *Wanted) rules(e mapping.Explanation) []string {
	var out []string
	take := func(origins []mapping.Origin, name string) {
		for _, o := range origins {
			if name != "" && o.Name == name {
				out = append(out, o.Rules...)
			}
		}
	}
	take(e.Roles, w.Role)
	take(e.Tasks, w.Task)
	take(e.PermissionGroups, w.Group)
	return out
}
