package admin

import (
	"path/filepath"
	"slices"

	"portcullis/fault"
	"portcullis/mapping"
)

// roleJSON is a role of the catalogue.
type roleJSON struct {
	Name         string      `json:"name"`
	Tasks        []string    `json:"tasks"`
	Inherits     []string    `json:"inherits"`
	Privileged   bool        `json:"privileged"`
	Organization bool        `json:"ownOrganizationOnly"`
	AssignableBy []string    `json:"assignableBy"`
	People       int         `json:"people"` // who have it
	Rules        []grantJSON `json:"rules"`  // that give it, itself or what inherits it
}

// grantJSON is a rule that gives something.
type grantJSON struct {
	placeJSON

	Connection string `json:"connection,omitempty"` // of whose fragment it is
	People     int    `json:"people"`               // whom it matches
}

type rolesView struct {
	Roles  []roleJSON         `json:"roles"`
	Gate   []mapping.GateTask `json:"-"`
	Bound  bool               `json:"ofThoseYouMaySee,omitempty"` // numbers of people are of no others
	People bool               `json:"-"`                          // whether the visitor may see who has them
}

func list(names []string) []string { return append([]string{}, names...) }

// census counts everybody by what the mapping in force gives them.
type census struct {
	roles, groups, rules map[string]int

	bound bool // of those whom the visitor may see alone
}

// census counts those of whom the visitor is told numbers.
func (c *Console) census(r *request, p *mapping.Policy) (*census, error) {
	all, bound, err := c.crowd(r)
	if err != nil {
		return nil, err
	}
	n := &census{make(map[string]int), make(map[string]int), make(map[string]int), bound}
	var access mapping.Access
	now := c.now()
	for _, facts := range all.people(r.ctx, &err) {
		p.EvaluateInto(&access, facts, now)
		for _, name := range access.Rules {
			n.rules[name]++
		}
		if !access.Login {
			continue
		}
		for _, name := range access.Roles {
			n.roles[name]++
		}
		for _, name := range access.PermissionGroups {
			n.groups[name]++
		}
	}
	return n, err
}

func grantWire(g *mapping.Grant, n *census) grantJSON {
	return grantJSON{placeJSON{g.Name, filepath.Base(g.File), g.Line}, g.Connection, n.rules[g.Name]}
}

func (c *Console) roles(r *request) (any, error) {
	v := &rolesView{Roles: []roleJSON{}, Gate: mapping.GateTasks(), People: r.may(mapping.GateUsersView)}
	p := c.keeper.Policy()
	if p == nil {
		return v, nil
	}
	n, err := c.census(r, p)
	if err != nil {
		return nil, err
	}
	v.Bound = n.bound
	grants := p.Grants()
	for _, role := range p.Roles() {
		w := roleJSON{
			role.Name, list(role.Tasks), list(role.Inherits), role.Privileged, role.Organization, list(role.AssignableBy), n.roles[role.Name],
			[]grantJSON{},
		}
		for i := range grants {
			if slices.Contains(grants[i].Roles, role.Name) {
				w.Rules = append(w.Rules, grantWire(&grants[i], n))
			}
		}
		v.Roles = append(v.Roles, w)
	}
	return v, nil
}

// comparedView is two roles side by side.
type comparedView struct {
	A       string   `json:"a"`
	B       string   `json:"b"`
	OnlyA   []string `json:"onlyA"` // tasks, with what they inherit
	Both    []string `json:"both"`
	OnlyB   []string `json:"onlyB"`
	PeopleA int      `json:"peopleA"` // who have A and not B
	PeopleB int      `json:"peopleB"`
	People  int      `json:"peopleBoth"`
	Marks   []string `json:"differences"` // beside the tasks

	Bound bool     `json:"ofThoseYouMaySee,omitempty"` // numbers of people are of no others
	Roles []string `json:"-"`
}

// compareRoles says what one role may do that another may not, and who has
// which.
func (c *Console) compareRoles(r *request) (any, error) {
	p := c.keeper.Policy()
	if p == nil {
		return nil, fault.New(fault.Unavailable, "no mapping is in force")
	}
	v := &comparedView{A: r.query("a"), B: r.query("b"), OnlyA: []string{}, Both: []string{}, OnlyB: []string{}, Marks: []string{}}
	roles := make(map[string]mapping.Role)
	for _, role := range p.Roles() {
		roles[role.Name] = role
		v.Roles = append(v.Roles, role.Name)
	}
	if v.A == "" && v.B == "" && !r.inAPI {
		return v, nil
	}
	for _, name := range []string{v.A, v.B} {
		if _, ok := roles[name]; !ok {
			return nil, fault.New(fault.Invalid, "the mapping has no role %q", clip(name))
		}
	}
	a, b := tasksOf(roles, v.A), tasksOf(roles, v.B)
	for _, t := range p.Tasks() {
		switch {
		case a[t] && b[t]:
			v.Both = append(v.Both, t)
		case a[t]:
			v.OnlyA = append(v.OnlyA, t)
		case b[t]:
			v.OnlyB = append(v.OnlyB, t)
		}
	}
	v.Marks = marks(roles[v.A], roles[v.B])
	all, bound, err := c.crowd(r)
	if err != nil {
		return nil, err
	}
	v.Bound = bound
	var access mapping.Access
	now := c.now()
	for _, facts := range all.people(r.ctx, &err) {
		if p.EvaluateInto(&access, facts, now); !access.Login {
			continue
		}
		switch has, other := slices.Contains(access.Roles, v.A), slices.Contains(access.Roles, v.B); {
		case has && other:
			v.People++
		case has:
			v.PeopleA++
		case other:
			v.PeopleB++
		}
	}
	return v, err
}

// tasksOf are the tasks of a role with those that it inherits.
func tasksOf(roles map[string]mapping.Role, name string) map[string]bool {
	tasks, seen := make(map[string]bool), make(map[string]bool)
	var walk func(string)
	walk = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, t := range roles[name].Tasks {
			tasks[t] = true
		}
		for _, other := range roles[name].Inherits {
			walk(other)
		}
	}
	walk(name)
	return tasks
}

// marks says in words in what else two roles differ.
func marks(a, b mapping.Role) []string {
	out := []string{}
	one := func(x mapping.Role, what string) string { return x.Name + " " + what + ", the other not" }
	for _, m := range []struct {
		a, b bool
		what string
	}{
		{a.Privileged, b.Privileged, "is privileged"},
		{a.Organization, b.Organization, "is for the holder’s own organization alone"},
		{len(a.AssignableBy) > 0, len(b.AssignableBy) > 0, "can be handed out by people"},
		{slices.Contains(a.Inherits, b.Name), false, "inherits " + b.Name},
		{false, slices.Contains(b.Inherits, a.Name), "inherits " + a.Name},
	} {
		switch {
		case m.a && !m.b:
			out = append(out, one(a, m.what))
		case m.b && !m.a:
			out = append(out, one(b, m.what))
		}
	}
	return out
}
