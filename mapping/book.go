package mapping

import "slices"

// Grant is a rule that gives something, as a catalogue lists it.
type Grant struct {
	Place

	Roles  []string // that it grants, with what they inherit
	Groups []string // permission groups
}

// Grants lists the rules that grant something, in the order of their ids;
// those of fragments behind.
func (p *Policy) Grants() []Grant {
	var out []Grant
	for _, part := range p.parts() {
		for i := range part.rules {
			r := &part.rules[i]
			if r.effect != effectGrant {
				continue
			}
			g := Grant{Place: placeNamed(r.id, part.connection), Groups: r.groupNames()}
			for _, n := range r.grants {
				for i := range p.roles[n].closure.all() {
					g.Roles = append(g.Roles, p.roles[i].decl.Name)
				}
			}
			g.Roles = sortedSet(g.Roles)
			out = append(out, g)
		}
	}
	return out
}

// PermissionGroup is a named set of rows.
type PermissionGroup struct {
	Place

	Unrestricted bool
	Params       []string
	Where        Where // with ${…} where a parameter stands
}

// Groups lists the permission groups, those of fragments behind.
func (p *Policy) Groups() []PermissionGroup {
	var out []PermissionGroup
	for _, part := range p.parts() {
		for i := range part.groups {
			g := &part.groups[i]
			x := PermissionGroup{
				Place: placeNamed(name{text: g.name, at: g.at}, part.connection), Unrestricted: g.unrestricted, Params: slices.Clone(g.params),
			}
			if !g.unrestricted {
				x.Where = make(Where, len(g.limits))
				for _, l := range g.limits {
					x.Where[l.attribute.text] = l.constraint
				}
			}
			out = append(out, x)
		}
	}
	return out
}
