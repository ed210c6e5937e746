package admin

import (
	"net/url"
	"slices"
	"strings"
)

// sent puts into a form what somebody typed, as they typed it: a form that is
// shown again loses nothing, and least of all what cannot stand in a file.
func (f *formView) sent(form url.Values) {
	f.ID = form.Get("id")
	switch f.Kind {
	case formRule:
		f.sentRule(form)
	case formRole:
		f.Tasks, f.Inherits, f.Assignable = area(form, "tasks"), tick(f.Inherits, form["inherits"]), tick(f.Assignable, form["assignable"])
		f.Privileged, f.Organization = isOn(form, "privileged"), isOn(form, "organization")
	case formGroup:
		f.Params, f.Unrestricted, f.Limits = area(form, "params"), isOn(form, "unrestricted"), limitsSent(form)
	case formAttribute:
		f.Attribute.Pattern, f.Attribute.Source, f.Attribute.Missing.At = form.Get("pattern"), form.Get("source"), form.Get("onMissing")
	case formConnection:
		c := f.Ceiling
		c.Unrestricted, c.Roles, c.Limits = isOn(form, "unrestricted"), tick(c.Roles, form["roles"]), limitsSent(form)
	case formConstraint:
		c := f.Constraint
		c.Cap, c.Note, c.Exclusive = form.Get("sort") == "cap", area(form, "note"), tick(c.Exclusive, form["exclusive"])
		c.Role, c.MaxUsers, c.Violation.At = form.Get("role"), form.Get("maxUsers"), form.Get("onViolation")
		c.Roles = withOne(c.Roles, c.Role)
	case formVariable:
		f.Variable = nil
		for row := range rowsSent(form, "environment", "stands") {
			f.Variable = append(f.Variable, spread{row[0], row[1]})
		}
	case formTest:
		f.Test.sent(form)
	default:
		for i := range f.Defaults {
			f.Defaults[i].At = form.Get(f.Defaults[i].Name)
		}
	}
}

func (f *formView) sentRule(form url.Values) {
	f.Note, f.Connection = area(form, "note"), form.Get("connection")
	f.Connections = withOne(f.Connections, f.Connection)
	f.Selectors = nil
	for row := range rowsSent(form, "selector", "value", "label") {
		f.Selectors = append(f.Selectors, selector{row[0], row[1], row[2]})
	}
	f.AppRoles, f.Domains, f.UserType, f.Claims = area(form, "appRoles"), area(form, "domains"), area(form, "userType"), area(form, "claims")
	f.When, f.From, f.Until, f.Effect = area(form, "when"), form.Get("from"), form.Get("until"), form.Get("effect")
	f.Roles, f.Groups, f.Calls = tick(f.Roles, form["roles"]), tick(f.Groups, form["groups"]), area(form, "calls")
	f.DenyLogin, f.DenyReason = isOn(form, "denyLogin"), form.Get("denyReason")
}

func (t *testForm) sent(form url.Values) {
	t.At, t.Env, t.Connection = form.Get("at"), form.Get("env"), form.Get("connection")
	t.Connections = withOne(t.Connections, t.Connection)
	t.Groups, t.AppRoles, t.Claims, t.Attributes = area(form, "asserted"), area(form, "appRoles"), area(form, "claims"), area(form, "attributes")
	for i := range t.Texts {
		t.Texts[i].Value = form.Get("given-" + t.Texts[i].Name)
	}
	t.Unverified, t.Incomplete = isOn(form, "unverified"), isOn(form, "incomplete")
	t.KnowsLast, t.Last, t.Pushes, t.Pushed = isOn(form, "knowsLast"), area(form, "last"), isOn(form, "pushes"), nil
	for row := range rowsSent(form, "pushed", "pushedID") {
		t.Pushed = append(t.Pushed, pushed{row[0], row[1]})
	}
	t.Login.At = form.Get("login")
	for i := range t.Lists {
		t.Lists[i].On, t.Lists[i].Values = isOn(form, "expects-"+t.Lists[i].Name), area(form, "expected-"+t.Lists[i].Name)
	}
	t.Can, t.Cannot = area(form, "can"), area(form, "cannot")
}

func isOn(form url.Values, name string) bool { return form.Get(name) == "yes" }

// area is a field of several lines.
func area(form url.Values, name string) string {
	return strings.ReplaceAll(form.Get(name), "\r\n", "\n")
}

// tick gives names to tick with those on that were.
func tick(all []choice, on []string) []choice {
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.Name
	}
	return choose(names, on)
}

// rowsSent goes through fields that stand beside each other, row by row.
func rowsSent(form url.Values, fields ...string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for i := range form[fields[0]] {
			row := make([]string, len(fields))
			for j, name := range fields {
				if i < len(form[name]) {
					row[j] = form[name][i]
				}
			}
			if !yield(row) {
				return
			}
		}
	}
}

func limitsSent(form url.Values) (out []limit) {
	for row := range rowsSent(form, "attribute", "form", "values") {
		out = append(out, limit{row[0], row[1], strings.ReplaceAll(row[2], "\r\n", "\n")})
	}
	return out
}

// blank reports whether a row of fields says nothing.
func blank(row ...string) bool {
	return !slices.ContainsFunc(row, func(s string) bool { return strings.TrimSpace(s) != "" })
}
