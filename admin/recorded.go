package admin

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"portcullis/fault"
	"portcullis/mapping"
)

// record adds somebody, as they are now, to the tests of a draft: whoever
// changes what they get is told so.
func (c *Console) record(r *request, d *draft, id string) (note string, err error) {
	narrow, ok := r.within(mapping.GateUsersView)
	if !ok {
		return "", fault.New(fault.Forbidden, "you may not do this: you lack the task %q", mapping.GateUsersView)
	}
	s, err := c.find(narrow, id)
	if err != nil {
		return "", err
	}
	policy := c.keeper.Policy()
	if policy == nil {
		return "", fault.New(fault.Unavailable, "no mapping is in force")
	}
	for i := range d.base.Texts { // the tests of a client stand in its fragment
		if t := d.base.Texts[i]; t.Connection == s.Person.Connection && t.Connection != "" {
			d.file, d.text = t, string(t.Body)
		}
	}
	w := personWire(&s.Person)
	facts := s.Facts()
	test := testOf(policy, &facts, w.Label(), c.now(), d.file.Connection != "")
	text, err := mapping.Edit(d.file.Name, []byte(d.text), mapping.Add(mapping.Path("tests"), test))
	if err != nil {
		return "", said(err)
	}
	d.text = string(text)
	return "A test was added for " + clip(w.Label()) + ": as long as it stands in the file, nobody can change what they get without changing it.", nil
}

// testOf writes somebody's facts and what they give as a test. Of what is
// personal only what makes a difference goes into the file.
func testOf(p *mapping.Policy, f *mapping.Facts, label string, at time.Time, fragment bool) map[string]any {
	at = at.Truncate(time.Second)
	access := p.Evaluate(f, at)
	given := make(map[string]any)
	if !fragment {
		given["connection"] = f.Connection
	}
	texts := func(key string, list []string) {
		if len(list) > 0 {
			given[key] = slices.Clone(list)
		}
	}
	texts("groups", writable(f.Groups))
	texts("appRoles", writable(f.AppRoles))
	if len(f.Groups) > 0 || len(f.Pushed) > 0 {
		pushed := []any{}
		for _, g := range f.Pushed {
			group := map[string]any{}
			if g.Name != "" && plain(g.Name) {
				group["name"] = g.Name
			}
			if g.ExternalID != "" && plain(g.ExternalID) {
				group["externalId"] = g.ExternalID
			}
			if len(group) > 0 {
				pushed = append(pushed, group)
			}
		}
		given["pushed"] = pushed
	}
	if f.GroupsIncomplete {
		given["groupsIncomplete"] = true
		given["lastKnownGroups"] = writable(f.LastKnownGroups)
	}
	for _, personal := range []struct {
		key     string
		value   any
		without func(*mapping.Facts)
	}{
		{"email", f.Email, func(f *mapping.Facts) { f.Email, f.EmailVerified = "", false }},
		{"userName", f.UserName, func(f *mapping.Facts) { f.UserName = "" }},
		{"subject", f.Subject, func(f *mapping.Facts) { f.Subject = "" }},
		{"name", f.Name, func(f *mapping.Facts) { f.Name = "" }},
		{"userType", f.UserType, func(f *mapping.Facts) { f.UserType = "" }},
		{"claims", f.Claims, func(f *mapping.Facts) { f.Claims = nil }},
		{"attributes", f.Attributes, func(f *mapping.Facts) { f.Attributes = nil }},
	} {
		less := *f
		personal.without(&less)
		if alike(p.Evaluate(&less, at), access) {
			continue
		}
		given[personal.key] = personal.value
		if personal.key == "email" && !f.EmailVerified {
			given["emailVerified"] = false
		}
	}
	expect := map[string]any{"login": map[bool]string{true: "allow", false: "deny"}[access.Login]}
	if access.Login {
		expect["roles"], expect["permissionGroups"] = list(access.Roles), list(access.PermissionGroups)
	}
	return map[string]any{
		"name": "recorded on " + at.Format(time.DateOnly) + ": " + clip(strings.Map(onlyPlain, label)), "at": at.Format(time.RFC3339), "given": given, "expect": expect,
	}
}

// plain reports whether a text can stand on a line of a file as people read
// it: without control characters, and without marks that turn it around.
func plain(text string) bool { return strings.Map(onlyPlain, text) == text }

func onlyPlain(r rune) rune {
	if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
		return -1
	}
	return r
}

// writable leaves out what is not plain: such a group can only be tested by
// whoever writes the test by hand.
func writable(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !plain(n) })
}

// alike reports whether two people get the same.
func alike(a, b mapping.Access) bool {
	left, err1 := a.Permissions.MarshalJSON()
	right, err2 := b.Permissions.MarshalJSON()
	return a.Login == b.Login && slices.Equal(a.Rules, b.Rules) && slices.Equal(a.Roles, b.Roles) && err1 == nil && err2 == nil &&
		string(left) == string(right)
}
