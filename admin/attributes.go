package admin

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"

	"portcullis/mapping"
)

// attributeJSON is an attribute of the Attribute Master.
type attributeJSON struct {
	Name    string   `json:"name"`
	Pattern string   `json:"pattern,omitempty"`
	Missing string   `json:"onMissing"` // any or none: what a group that does not mention it shows
	Values  []string `json:"values"`    // that permission groups name
	Groups  []string `json:"permissionGroups"`
}

// groupOfRows is a permission group.
type groupOfRows struct {
	Name         string      `json:"name"`
	Connection   string      `json:"connection,omitempty"` // of whose fragment it is
	File         string      `json:"file"`
	Line         int         `json:"line"`
	Unrestricted bool        `json:"unrestricted"`
	Params       []string    `json:"params"`
	Where        []string    `json:"where"` // in words, all of them together
	People       int         `json:"people"`
	Rules        []grantJSON `json:"rules"`
	Shows        string      `json:"shows,omitempty"` // the row that is asked for: yes, no, only if …, depends
}

type attributesView struct {
	Attributes []attributeJSON `json:"attributes"`
	Groups     []groupOfRows   `json:"permissionGroups"`
	Row        string          `json:"row,omitempty"`
	Bound      bool            `json:"ofThoseYouMaySee,omitempty"` // numbers of people are of no others

	People bool `json:"-"`
	Access bool `json:"-"`
}

// attributes shows the permission groups and the Attribute Master; with a row,
// which of the groups show it.
func (c *Console) attributes(r *request) (any, error) {
	v := &attributesView{
		Attributes: []attributeJSON{}, Groups: []groupOfRows{}, Row: r.query("row"), People: r.may(mapping.GateUsersView), Access: r.may(mapping.GateAuditView),
	}
	p := c.keeper.Policy()
	if p == nil {
		return v, nil
	}
	row, err := readRow(v.Row)
	if err != nil {
		return nil, err
	}
	if err := (&Wanted{Row: row}).Known(p); err != nil {
		return nil, err
	}
	n, err := c.census(r, p)
	if err != nil {
		return nil, err
	}
	v.Bound = n.bound
	grants, groups := p.Grants(), p.Groups()
	missing := make(map[string]bool)
	for _, a := range p.Attributes() {
		w := attributeJSON{a.Name, a.Pattern, "any", []string{}, []string{}}
		if a.MissingNone {
			w.Missing, missing[a.Name] = "none", true
		}
		for i := range groups {
			if limit, ok := groups[i].Where[a.Name]; ok {
				w.Groups = append(w.Groups, groups[i].Name)
				w.Values = append(w.Values, valuesOf(limit)...)
			}
		}
		slices.Sort(w.Values)
		w.Values = slices.Compact(w.Values)
		v.Attributes = append(v.Attributes, w)
	}
	for i := range groups {
		g := &groups[i]
		w := groupOfRows{
			g.Name, g.Connection, filepath.Base(g.File), g.Line, g.Unrestricted, list(g.Params), whereInWords(g.Where), n.groups[g.Name],
			[]grantJSON{},
			"",
		}
		for j := range grants {
			if slices.Contains(grants[j].Groups, g.Name) && (g.Connection == "" || g.Connection == grants[j].Connection) {
				w.Rules = append(w.Rules, grantWire(&grants[j], n))
			}
		}
		if len(row) > 0 {
			w.Shows = shows(g, missing, row)
		}
		v.Groups = append(v.Groups, w)
	}
	return v, nil
}

func valuesOf(c mapping.Constraint) []string {
	out := slices.Concat(c.In, c.Not)
	if c.Prefix != "" {
		out = append(out, c.Prefix+"…")
	}
	return out
}

func whereInWords(w mapping.Where) []string {
	out := []string{}
	for _, name := range sortedKeys(w) {
		out = append(out, name+": "+w[name].String())
	}
	return out
}

// shows says whether a group shows rows that have some values.
func shows(g *mapping.PermissionGroup, none map[string]bool, row map[string]string) string {
	if g.Unrestricted {
		return "yes"
	}
	where := maps.Clone(g.Where)
	for name := range none {
		if _, ok := where[name]; !ok {
			where[name] = mapping.Constraint{}
		}
	}
	if len(g.Params) > 0 {
		return "depends on its " + strconv.Itoa(len(g.Params)) + " parameters"
	}
	switch rest, ok := mapping.Within([]mapping.Where{where}, row); {
	case !ok:
		return "no"
	case rest != "":
		return "only if " + rest
	default:
		return "yes"
	}
}
