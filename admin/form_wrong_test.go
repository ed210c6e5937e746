package admin_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/revision"
	"portcullis/store/storetest"
)

const forForms = `version: 1
vars: {region: {prod: EU, uat: US}}
connections: {staff: {ceiling: unrestricted}, acme: {ceiling: {roles: [viewer], where: {country: [US]}}}}
roles:
  viewer: {tasks: [account.view]}
  author: {tasks: [account.edit], inherits: [viewer]}
  mapper: {tasks: [gate.mapping.view, gate.mapping.propose]}
attributes: {account: {pattern: "^[A-Z]{3}$"}, country: {pattern: "^[A-Z]{2}$", onMissing: any}}
permissionGroups:
  us: {where: {account: "*", country: [US]}} # the States
  own: {params: [acct], where: {account: ["${acct}"]}}
rules:
  - {id: staff, match: {connection: staff}, grant: {roles: [mapper]}}
  - id: managers
    match:
      groups: [{name: Managers}, {regex: "^D-.*$"}]
      connection: acme
    grant: {roles: [viewer], permissionGroups: [us]}
constraints:
  - {id: apart, exclusive: [viewer, mapper]}
tests:
  - {name: one, given: {connection: staff}, expect: {login: allow}}
`

// element is what of a page has an id, with its text.
func element(t *testing.T, page, id string) (attributes map[string]string, text string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if !slices.Contains(n.Attr, html.Attribute{Key: "id", Val: id}) {
			continue
		}
		if attributes != nil {
			t.Errorf("two elements have the id %s", id)
		}
		attributes = make(map[string]string)
		for _, a := range n.Attr {
			attributes[a.Key] = a.Val
		}
		var inside strings.Builder
		for inner := range n.Descendants() {
			if inner.Type == html.TextNode {
				inside.WriteString(inner.Data)
			}
		}
		text = inside.String()
	}
	return attributes, text
}

// typed are the fields that somebody sends, as they are compared.
func typed(fields url.Values) map[string][]string {
	out := make(map[string][]string)
	for name, values := range fields {
		if name == "do" {
			continue
		}
		for _, v := range values {
			out[name] = append(out[name], strings.TrimSpace(strings.ReplaceAll(v, "\r\n", "\n")))
		}
	}
	return out
}

// pairsOf are fields with a value each, as they are sent.
func pairsOf(fields url.Values) (out []string) {
	for name, values := range fields {
		for _, v := range values {
			out = append(out, name, v)
		}
	}
	return out
}

// Whatever is wrong with what somebody fills in stands at the field that is
// meant, which is looked at first; nothing that they typed is lost, and the
// text is as it was.
func TestAMistakeStandsAtItsField(t *testing.T) {
	ada := newManagedWorld(t, storetest.SQLite(t), forForms, revision.Approval{}).signIn("staff", "ada")
	for _, tc := range []struct {
		name, open string
		sent       url.Values
		at, says   string
	}{
		{"an expression", "rule:managers", url.Values{"when": {"claims.x =="}}, "f-when", "not CEL"},
		{"a time", "rule:managers", url.Values{"from": {"soon"}}, "f-from", `This is "soon"; want a time`},
		{"a group", "rule:managers", url.Values{"selector": {"name", "name", "regex", "name"}, "value": {"Managers", "", "(", ""}, "label": {"", "", "x", ""}}, "f-value-2", "no regular expression"},
		{"a domain", "rule:managers", url.Values{"domains": {"a.example\r\nb@b.example"}}, "f-dom", "want a domain like"},
		{"an effect without anything", "rule:managers", url.Values{"roles": nil, "groups": nil}, "f-effect", "grants nothing"},
		{"a restrict without anything", "rule:managers", url.Values{"effect": {"restrict"}, "groups": nil}, "f-effect", "permissionGroups is missing"},
		{"a deny without anything", "rule:managers", url.Values{"effect": {"deny"}, "roles": nil}, "f-effect", "want either"},
		{"a call", "rule:managers", url.Values{"calls": {"own acct=${b}"}}, "f-calls", `captures "b"`},
		{"a call of nothing", "rule:managers", url.Values{"calls": {"onw acct=X"}}, "f-calls", `did you mean "own"`},
		{"a group that needs a parameter", "rule:managers", url.Values{"groups": {"own"}}, "f-groups-0", `needs parameter "acct"`},
		{"a new rule", "rule:", url.Values{"id": {"new"}, "connection": {"acme"}, "groups": {"us"}, "until": {"x"}}, "f-until", "want a time"},
		{"a name that is none", "rule:managers", url.Values{"id": {"a,b"}}, "f-id", "a name with a comma"},
		{"a name that is taken", "rule:managers", url.Values{"id": {"staff"}, "note": {"mine"}}, "f-id", "There is a rule staff already"},
		{"no name", "rule:", url.Values{"note": {"mine"}}, "f-id", "It has no name"},
		{"tasks", "role:viewer", url.Values{"tasks": {"account.view\r\na,b"}}, "f-tasks", "with a comma"},
		{"a role that is gone", "role:viewer", url.Values{"inherits": {"author", "gone"}}, "f-inherits-2", `unknown role "gone"`},
		{"a limit", "group:us", url.Values{"attribute": {"account", "country"}, "form": {"any", "in"}, "values": {"", "US\r\nuk"}}, "f-values-1", `"uk" is no value`},
		{"a limit of nothing", "group:us", url.Values{"attribute": {"account", "country"}, "form": {"prefix", "in"}, "values": {"", "US"}}, "f-values-0", "empty"},
		{"no limit", "group:us", url.Values{"form": {"", ""}}, "f-unrestricted", "This has neither"},
		{"a parameter", "group:own", url.Values{"params": {"acct\r\nmore"}}, "f-params", "Nothing in where uses"},
		{"a new group's name", "group:", url.Values{"id": {"a,b"}, "unrestricted": {"yes"}}, "f-id", "with a comma"},
		{"a pattern", "attribute:country", url.Values{"pattern": {"["}, "source": {"the atlas"}}, "f-pattern", "no regular expression"},
		{"a ceiling", "connection:acme", url.Values{"attribute": {"account", "country"}, "form": {"", "in"}, "values": {"", "us"}}, "f-values-1", `"us" is no value`},
		{"one role apart", "constraint:apart", url.Values{"exclusive": {"author"}}, "f-exclusive-0", "names one role"},
		{"a cap that is no number", "constraint:apart", url.Values{"sort": {"cap"}, "role": {"author"}, "maxUsers": {"many"}}, "f-max", "want a whole number"},
		{"a cap of no role", "constraint:apart", url.Values{"sort": {"cap"}, "role": {""}, "maxUsers": {"5"}}, "f-sort", "want either exclusive"},
		{"an environment too few", "variable:", url.Values{"id": {"more"}, "environment": {"prod", ""}, "stands": {"x", "y"}}, "f-stands-0", `no value for environment "uat"`},
		{"a value that is a variable", "variable:region", url.Values{"environment": {"prod", "", "uat"}, "stands": {"EU", "", "${x}"}}, "f-stands-2", "cannot hold ${…}"},
		{"a variable's name", "variable:", url.Values{"id": {"a-b"}, "environment": {"prod", "uat"}, "stands": {"x", "y"}}, "f-id", "letters, digits and _"},
		{"another name for a variable", "variable:region", url.Values{"id": {"other"}}, "f-id", "A variable keeps its name"},
		{"the time of a test", "test:one", url.Values{"at": {"noon"}}, "f-at", "want a time"},
		{"a fact", "test:one", url.Values{"given-received": {"noon"}}, "f-given-received", "want a time"},
		{"an unknown role", "test:one", url.Values{"expects-roles": {"yes"}, "expected-roles": {"mapper\r\nmaper"}}, "f-expected-roles", `did you mean "mapper"`},
		{"a row", "test:one", url.Values{"can": {"contry=US"}}, "f-can", `did you mean "country"`},
		{"a test of nothing", "test:one", url.Values{"login": {""}}, "f-login", "checks nothing"},
		{"an environment", "test:one", url.Values{"env": {"test"}}, "f-env", "unknown environment"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fields := admin.FieldsOf(t, ada.page("/mapping/edit?open="+url.QueryEscape(tc.open)).text)
			maps.Copy(fields, tc.sent)
			maps.DeleteFunc(fields, func(_ string, values []string) bool { return len(values) == 0 })
			fields.Set("do", "take")
			res := ada.form("/mapping/edit", pairsOf(fields)...)
			if res.StatusCode != http.StatusOK {
				t.Fatalf("status = %d: %s", res.StatusCode, res.text)
			}
			if diff := cmp.Diff(typed(fields), typed(admin.FieldsOf(t, res.text))); diff != "" {
				t.Errorf("the form that is shown again (-sent +shown):\n%s", diff)
			}
			field, _ := element(t, res.text, tc.at)
			_, focused := field["autofocus"]
			if field["aria-invalid"] != "true" || !focused || strings.Count(res.text, " autofocus") != 1 {
				t.Errorf("%s = %v, want it alone invalid and looked at first; the page says %s", tc.at, field, alerts(res.text))
			}
			_, said := element(t, res.text, strings.Fields(field["aria-describedby"] + " -")[0])
			if !strings.Contains(strings.ToLower(said), strings.ToLower(tc.says)) {
				t.Errorf("at %s stands %q, want %q", tc.at, said, tc.says)
			}
			if !strings.Contains(res.text, `<a href="#`+tc.at+`">`) {
				t.Errorf("above, nothing leads to %s: %s", tc.at, alerts(res.text))
			}
		})
	}
}

// alerts is what a page says above.
func alerts(page string) string {
	_, rest, _ := strings.Cut(page, `role="alert"`)
	text, _, _ := strings.Cut(rest, "</div>")
	return text
}

// What is wrong elsewhere in the text hinders no form. It stands beside the
// text with what opens it, and that form then says it at its field.
func TestAMistakeElsewhereHindersNoForm(t *testing.T) {
	ada := newManagedWorld(t, storetest.SQLite(t), forForms, revision.Approval{}).signIn("staff", "ada")
	wrong := strings.Replace(forForms, "^D-", "^(D-", 1)
	take := func(text string, fields ...string) answer {
		t.Helper()
		return ada.form("/mapping/edit", append([]string{"file", "mapping.yaml", "text", text, "do", "take", "kind", "role"}, fields...)...)
	}
	res := take(wrong, "old", "viewer", "id", "viewer", "tasks", "account.look")
	contains(t, "another entry", res, "1 mistake to mend", `value="rule:managers">Open it in its form`)
	if text := draftIn(t, res.text); !strings.Contains(text, "tasks: [account.look]") || strings.Contains(res.text, `id="form"`) {
		t.Errorf("it was not taken: %s", text)
	}
	res = ada.form("/mapping/edit", "file", "mapping.yaml", "text", wrong, "open", "rule:managers")
	if field, _ := element(t, res.text, "f-value-1"); field["aria-invalid"] != "true" || strings.Contains(res.text, "Not saved") {
		t.Errorf("opened: %v", field)
	}
	// Part of it may be mended while another part is still wrong.
	fields := admin.FieldsOf(t, res.text)
	fields.Set("note", "to be mended")
	fields.Set("do", "take")
	res = ada.form("/mapping/edit", pairsOf(fields)...)
	if text := draftIn(t, res.text); !strings.Contains(text, "note: to be mended") {
		t.Errorf("it was not taken: %s", alerts(res.text))
	}
	// A text that cannot be read takes no form, and keeps what was typed.
	res = take(forForms+"tests: [\n", "old", "viewer", "id", "viewer", "tasks", "account.look")
	contains(t, "no YAML", res, "Not saved", "mapping.yaml:", "account.look</textarea>")
	// Nor does an entry that is gone, or a look at the check, lose anything.
	res = take(strings.Replace(forForms, "author:", "writer:", 1), "old", "author", "id", "author", "tasks", "account.look")
	contains(t, "gone", res, "Not saved", "The file has no role author", "account.look</textarea>")
	res = ada.form("/mapping/edit", "file", "mapping.yaml", "text", forForms, "do", "check", "kind", "role", "old", "viewer", "id", "viewer", "tasks", "account.look")
	contains(t, "a check", res, "account.look</textarea>")
	res = ada.form("/mapping/edit", "file", "mapping.yaml", "text", forForms, "do", "leave", "kind", "role", "old", "viewer", "id", "viewer", "tasks", "account.look")
	if strings.Contains(res.text, `id="form"`) {
		t.Error("a form that was left is still there")
	}
}

// So it is in the file of one connection, whose failing tests are no mistakes.
func TestAMistakeStandsAtItsFieldInAFragment(t *testing.T) {
	const name, fragment = "clients/acme.yaml", `connection: acme
rules:
  - {id: more, match: {groups: [{name: More}]}, grant: {roles: [viewer]}}
tests:
  - {name: two, given: {groups: [More]}, expect: {login: allow}}
`
	w := newManagedWorld(t, storetest.SQLite(t), forForms, revision.Approval{})
	texts := []revision.Text{{Name: "mapping.yaml", Body: []byte("include: [clients/*.yaml]\n" + forForms)}, {Name: name, Body: []byte(fragment)}}
	if _, _, err := w.mounted.Apply(t.Context(), revision.Signer{Actor: audit.Actor{Kind: "operator", ID: "1", Name: "root"}}, texts, "a file of its own"); err != nil {
		t.Fatal(err)
	}
	w.follow()
	ada := w.signIn("staff", "ada")
	res := ada.form("/mapping/edit", "file", name, "text", fragment, "do", "take", "kind", "rule", "old", "more", "id", "more", "selector", "regex", "value", "(", "effect", "grant", "roles", "viewer")
	if field, _ := element(t, res.text, "f-value-0"); field["aria-invalid"] != "true" || draftIn(t, res.text) != fragment {
		t.Errorf("f-value-0 = %v; the page says %s", field, alerts(res.text))
	}
	res = ada.form("/mapping/edit", "file", name, "text", fragment, "do", "take", "kind", "test", "old", "two", "id", "two", "asserted", "Less", "login", "allow")
	if !strings.Contains(draftIn(t, res.text), "groups: [Less]") {
		t.Errorf("a test that fails was not taken: %s", alerts(res.text))
	}
}

// A connection in the short form is opened by its mistake like any other.
func TestAMistakeInTheShortFormOpensItsForm(t *testing.T) {
	ada := newManagedWorld(t, storetest.SQLite(t), forForms, revision.Approval{}).signIn("staff", "ada")
	short := strings.Replace(forForms, "connections: {staff: {ceiling: unrestricted}, acme: {ceiling: {roles: [viewer], where: {country: [US]}}}}", "connections: [staff, acme] # both", 1)
	res := ada.form("/mapping/edit", "file", "mapping.yaml", "text", short, "do", "check")
	contains(t, "the mistake", res, "1 mistake to mend", `value="connection:acme">Open it in its form`)
	res = ada.pressed(t, res.text, "open", "connection:acme")
	if field, _ := element(t, res.text, "f-id"); field["aria-invalid"] != "true" || field["value"] != "acme" {
		t.Errorf("f-id = %v", field)
	}
	fields := admin.FieldsOf(t, res.text)
	fields.Del("unrestricted")
	res = ada.sends(t, fields, "do", "take")
	const want = "connections: {staff: {ceiling: unrestricted}, acme: {ceiling: {roles: []}}} # both"
	if got := draftIn(t, res.text); !strings.Contains(got, want) || strings.Contains(res.text, "to mend") {
		t.Errorf("with a ceiling: %s", got)
	}
}
