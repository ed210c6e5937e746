package admin

import (
	"slices"
	"strings"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
)

// whatIf is what somebody would get if some facts of theirs were others.
type whatIf struct {
	With     []string `json:"with"`     // groups that they would have
	Without  []string `json:"without"`  // groups that they would not have
	AppRoles []string `json:"appRoles"` // application roles that they would have
	Login    bool     `json:"mayComeIn"`
	Verdict  string   `json:"verdict"`
	Gains    []string `json:"gains"`
	Loses    []string `json:"loses"`
	Data     []string `json:"data"` // in words, all that they would see
}

// maxWhatIf bounds how many groups are tried at once.
const maxWhatIf = 50

// tryFacts evaluates somebody with other facts, as the visitor's address asks;
// nil if it asks for none. Nothing is changed.
func tryFacts(r *request, p *mapping.Policy, f mapping.Facts, c *Console) (*whatIf, error) {
	q := r.gin.Request.URL.Query()
	names := func(key string) []string {
		out := []string{}
		for _, v := range q[key] {
			for line := range strings.Lines(v) {
				if line = strings.TrimSpace(line); line != "" {
					out = append(out, line)
				}
			}
		}
		return out
	}
	w := &whatIf{With: names("with"), Without: names("without"), AppRoles: names("appRole"), Gains: []string{}, Loses: []string{}}
	if len(w.With)+len(w.Without)+len(w.AppRoles) == 0 {
		return nil, nil //nolint:nilnil // nothing is asked
	}
	if len(w.With)+len(w.Without)+len(w.AppRoles) > maxWhatIf {
		return nil, fault.New(fault.TooLarge, "want at most %d groups at once", maxWhatIf)
	}
	before, now := p.Explain(&f, c.now()), f
	now.Groups = slices.DeleteFunc(slices.Clone(f.Groups), func(g string) bool { return slices.Contains(w.Without, g) })
	now.Pushed = slices.DeleteFunc(slices.Clone(f.Pushed), func(g mapping.Group) bool {
		return slices.Contains(w.Without, g.Name) || slices.Contains(w.Without, g.ExternalID)
	})
	// As in a test, a group counts as asserted and as pushed.
	for _, g := range w.With {
		now.Groups = append(now.Groups, g)
		now.Pushed = append(now.Pushed, mapping.Group{Name: g})
	}
	now.AppRoles = append(slices.Clone(f.AppRoles), w.AppRoles...)
	after := p.Explain(&now, c.now())
	w.Login, w.Verdict, w.Data = after.Access.Login, after.Verdict, list(after.Permissions)
	for _, x := range []struct {
		kind     string
		old, now []string
	}{
		{"role", before.Access.Roles, after.Access.Roles},
		{"task", before.Access.Tasks, after.Access.Tasks},
		{"permission group", before.Access.PermissionGroups, after.Access.PermissionGroups},
		{"data:", before.Permissions, after.Permissions},
	} {
		for _, n := range x.now {
			if !slices.Contains(x.old, n) {
				w.Gains = append(w.Gains, x.kind+" "+n)
			}
		}
		for _, n := range x.old {
			if !slices.Contains(x.now, n) {
				w.Loses = append(w.Loses, x.kind+" "+n)
			}
		}
	}
	switch {
	case after.Access.Login && !before.Access.Login:
		w.Gains = slices.Insert(w.Gains, 0, "may come in")
	case before.Access.Login && !after.Access.Login:
		w.Loses = slices.Insert(w.Loses, 0, "may come in")
	}
	return w, nil
}

// standingAt is [Console.standing] for a time; the organization that counts is
// that of today.
func (c *Console) standingAt(r *request, v *whyView) (directory.Standing, error) {
	s, err := c.standing(r)
	if err != nil {
		return s, err
	}
	if v.At, err = readMoment(r.query("at")); err != nil || v.At.IsZero() {
		return s, err
	}
	past, err := c.directory.LookAt(r.ctx, s.Person.ID, v.At)
	if fault.Is(err, fault.NotFound) {
		return s, fault.New(fault.NotFound, "they were not known yet then")
	}
	return past, err
}
