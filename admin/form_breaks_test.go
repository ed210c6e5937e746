package admin_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/revision"
	"portcullis/store/storetest"
)

// openedOver opens an entry of a text in its form, some of it filled in
// otherwise.
func (s *somebody) openedOver(t *testing.T, text, open string, sent url.Values) url.Values {
	t.Helper()
	return fieldsWith(t, s.sends(t, url.Values{"file": {"mapping.yaml"}, "text": {text}}, "open", open).text, sent)
}

// What a form would break elsewhere stands at the form with what opens it, and
// nothing is in the text until somebody says so who was shown just that.
func TestAFormThatBreaksOtherEntriesSaysSoFirst(t *testing.T) {
	ada := newManagedWorld(t, storetest.SQLite(t), forForms, revision.Approval{}).signIn("staff", "ada")
	for _, tc := range []struct {
		name, open, do string
		sent           url.Values
		says, opens    []string
		after          string
	}{
		{
			"a role that is in use", "role:viewer", "remove", nil,
			[]string{`Unknown role "viewer"`, "the connection acme", "the rule managers", "the constraint apart", "the role author"},
			[]string{"connection:acme", "role:author", "rule:managers", "constraint:apart"},
			"roles:\n  author:",
		},
		{"a permission group that is in use", "group:us", "remove", nil, []string{`Unknown permission group "us"`}, []string{"rule:managers"}, "permissionGroups:\n  own:"},
		{"an attribute", "attribute:account", "remove", nil, []string{`Unknown attribute "account"`}, []string{"group:us", "group:own"}, "attributes: {country:"},
		{"a pattern", "attribute:country", "take", url.Values{"pattern": {"^[a-z]{2}$"}}, []string{`"US" is no value`}, []string{"connection:acme", "group:us"}, "^[a-z]{2}$"},
		{"a parameter more", "group:us", "take", url.Values{"params": {"c"}, "attribute": {"country"}, "form": {"in"}, "values": {"${c}"}}, []string{`needs parameter "c"`}, []string{"rule:managers"}, "params: [c]"},
		{"a connection", "connection:acme", "remove", nil, []string{`Unknown connection "acme"`}, []string{"rule:managers"}, "connections: {staff: {ceiling: unrestricted}}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fields := ada.openedOver(t, forForms, tc.open, tc.sent)
			res := ada.sends(t, fields, "do", tc.do)
			contains(t, "what breaks", res, append(tc.says, "Nothing is changed in the text yet", "This breaks:")...)
			if draftIn(t, res.text) != forForms {
				t.Errorf("it is in the text already:\n%s", draftIn(t, res.text))
			}
			again := admin.FieldsOf(t, res.text)
			if diff := cmp.Diff(typed(fields), typed(again)); diff != "" {
				t.Errorf("the form (-sent +shown):\n%s", diff)
			}
			if diff := cmp.Diff(tc.opens, opensIn(t, res.text)); diff != "" {
				t.Errorf("what opens (-want +got):\n%s", diff)
			}
			if got := ada.sends(t, fields, "do", tc.do); !isAsked(t, got.text) {
				t.Error("the same button again puts it in")
			}
			res = ada.sends(t, again, "do", sureIn(t, res.text))
			if got := draftIn(t, res.text); !strings.Contains(got, tc.after) || isAsked(t, res.text) {
				t.Errorf("all the same: %s", got)
			}
		})
	}
}

// opensIn are the entries that are said to break, by what opens them.
func opensIn(t *testing.T, page string) (out []string) {
	t.Helper()
	_, rest, _ := strings.Cut(page, `id="asked"`)
	asked, _, _ := strings.Cut(rest, "</div>")
	for _, part := range strings.Split(asked, `name="open" value="`)[1:] {
		open, _, _ := strings.Cut(part, `"`)
		out = append(out, open)
	}
	return out
}

// sureIn is the button that puts a form in all the same.
func sureIn(t *testing.T, page string) string {
	t.Helper()
	for _, part := range strings.Split(page, `name="do" value="`)[1:] {
		if do, _, _ := strings.Cut(part, `"`); strings.Contains(do, " ") {
			return do
		}
	}
	t.Fatalf("nothing does it all the same: %s", alerts(page))
	return ""
}

// Whoever is sure is sure of what they were shown: with another form, another
// text or another button it is asked again.
func TestBeingSureHoldsForWhatWasShown(t *testing.T) {
	ada := newManagedWorld(t, storetest.SQLite(t), forForms, revision.Approval{}).signIn("staff", "ada")
	pattern := url.Values{"pattern": {"^[a-z]{2}$"}}
	page := ada.sends(t, ada.openedOver(t, forForms, "attribute:country", pattern), "do", "take").text
	sure := sureIn(t, page)
	for name, sent := range map[string]url.Values{
		"another form": {"source": {"the atlas"}},
		"another text": {"text": {strings.Replace(forForms, "# the States", "# ours", 1)}},
		"another name": {"id": {"land"}},
	} {
		if res := ada.sends(t, fieldsWith(t, page, sent), "do", sure); !isAsked(t, res.text) || strings.Contains(draftIn(t, res.text), "a-z") {
			t.Errorf("%s: it is put in", name)
		}
	}
	_, digest, _ := strings.Cut(sure, " ")
	if res := ada.sends(t, admin.FieldsOf(t, page), "do", "remove "+digest); !isAsked(t, res.text) {
		t.Error("whoever is sure to put it in removes it")
	}
	if res := ada.sends(t, admin.FieldsOf(t, page), "do", sure); isAsked(t, res.text) || !strings.Contains(draftIn(t, res.text), "a-z") {
		t.Error("what was shown is not put in")
	}
}

// What was wrong before, what is not wrong, and what a form mends breaks
// nothing.
func TestWhatWasWrongBeforeBreaksNothing(t *testing.T) {
	ada := newManagedWorld(t, storetest.SQLite(t), forForms, revision.Approval{}).signIn("staff", "ada")
	wrong := strings.NewReplacer("roles: [viewer], permissionGroups", "roles: [viewr], permissionGroups", "exclusive: [viewer, mapper]", "exclusive: [gone, mapper]",
		"  - id: managers", "  - {match: {connection: nowhere}, deny: {login: true}}\n  - id: managers").Replace(forForms)
	variable := strings.Replace(wrong, "{prod: EU, uat: US}", `{prod: EU, uat: "${x}"}`, 1)
	for _, tc := range []struct {
		name, text, open, do string
		sent                 url.Values
		opens                []string
	}{
		{"nothing is in use", forForms, "group:own", "remove", nil, nil},
		{"a new name goes along", forForms, "role:viewer", "take", url.Values{"id": {"reader"}}, nil},
		{"its own, under a new name", strings.Replace(forForms, "inherits: [viewer]", "inherits: [gone]", 1), "role:author", "take", url.Values{"id": {"writer"}, "inherits": {"gone"}}, nil},
		{"two of a name", strings.Replace(forForms, "  - id: managers", "  - {id: staff, match: {connection: acme}, deny: {login: true}}\n  - id: managers", 1), "role:", "take", url.Values{"id": {"new"}, "tasks": {"a.b"}}, nil},
		{"lines move", wrong, "role:author", "take", url.Values{"id": {"writer"}, "tasks": {"a.b"}}, nil},
		{"entries move", wrong, "rule:staff", "remove", nil, nil},
		{"a name of what breaks", forForms, "role:viewer", "remove", url.Values{"id": {"author"}}, []string{"connection:acme", "role:author", "rule:managers", "constraint:apart"}},
		{"a suggestion goes", wrong, "role:viewer", "remove", nil, []string{"connection:acme", "role:author"}},
		{"a test that fails", forForms, "rule:staff", "remove", nil, nil},
		{"a variable is mended", variable, "variable:region", "take", url.Values{"environment": {"prod", "uat"}, "stands": {"EU", "US"}}, nil},
	} {
		res := ada.sends(t, ada.openedOver(t, tc.text, tc.open, tc.sent), "do", tc.do)
		if got := opensIn(t, res.text); !slices.Equal(got, tc.opens) || isAsked(t, res.text) != (tc.opens != nil) || (tc.opens == nil) == (draftIn(t, res.text) == tc.text) {
			t.Errorf("%s: it asks %v about %v, want %v: %s", tc.name, isAsked(t, res.text), got, tc.opens, alerts(res.text))
		}
	}
}

// Going on asks the same, and goes on once somebody is sure; what breaks opens
// with the question what becomes of the form.
func TestGoingOnSaysWhatBreaks(t *testing.T) {
	ada := newManagedWorld(t, storetest.SQLite(t), forForms, revision.Approval{}).signIn("staff", "ada")
	fields := ada.openedOver(t, forForms, "attribute:country", url.Values{"pattern": {"^[a-z]{2}$"}})
	res := ada.pressed(t, ada.sends(t, fields, "open", "rule:staff").text, "do", "on")
	contains(t, "going on", res, "This breaks:", "Put it in all the same and go on")
	open := ada.pressed(t, res.text, "open", "group:us")
	contains(t, "opening what breaks", open, "What becomes of what you filled in", "the permission group us")
	res = ada.sends(t, admin.FieldsOf(t, res.text), "do", sureIn(t, res.text))
	if got := formOn(t, res.text); got != "rule:staff" || !strings.Contains(draftIn(t, res.text), "a-z") {
		t.Errorf("the form is %s, the text is\n%s", got, draftIn(t, res.text))
	}
	// A form that only asked to remove its entry is as it was opened.
	res = ada.sends(t, ada.openedOver(t, forForms, "group:us", nil), "do", "remove")
	if res = ada.pressed(t, res.text, "open", "rule:managers"); formOn(t, res.text) != "rule:managers" || isAsked(t, res.text) {
		t.Errorf("the form is %s", formOn(t, res.text))
	}
}

// The file of one connection is looked at, too, and named by its place.
func TestAFormThatBreaksTheFileOfAConnectionSaysSo(t *testing.T) {
	const name, fragment = "clients/acme.yaml", `connection: acme
rules:
  - {id: more, match: {groups: [{name: More}]}, grant: {roles: [author]}}
tests:
  - {name: two, given: {groups: [More]}, expect: {roles: [author, viewer]}}
`
	base := "include: [clients/*.yaml]\n" + strings.Replace(forForms, "{roles: [viewer], where", "{roles: [viewer, author], where", 1)
	w := newManagedWorld(t, storetest.SQLite(t), forForms, revision.Approval{})
	texts := []revision.Text{{Name: "mapping.yaml", Body: []byte(base)}, {Name: name, Body: []byte(fragment)}}
	if _, _, err := w.mounted.Apply(t.Context(), revision.Signer{Actor: audit.Actor{Kind: "operator", ID: "1", Name: "root"}}, texts, "a file of its own"); err != nil {
		t.Fatal(err)
	}
	w.follow()
	ada := w.signIn("staff", "ada")
	for _, tc := range []struct {
		text, open string
		opens      []string
		says       string
	}{
		{base, "role:author", []string{"connection:acme"}, ""}, // which hides the rest until it is mended
		{strings.Replace(base, "[viewer, author]", "[viewer]", 1), "role:author", nil, `acme.yaml:3:65: unknown role "author"`},
	} {
		res := ada.sends(t, ada.openedOver(t, tc.text, tc.open, nil), "do", "remove")
		if got := opensIn(t, res.text); !isAsked(t, res.text) || !slices.Equal(got, tc.opens) {
			t.Errorf("it asks about %v, want %v: %s", got, tc.opens, alerts(res.text))
		}
		contains(t, "what breaks", res, tc.says)
	}
	res := ada.sends(t, ada.openedOver(t, base, "role:author", url.Values{"id": {"writer"}}), "do", "take")
	contains(t, "a new name", res, `acme.yaml:3:65: unknown role "author"`, "what has no form in this file")
	// What is wrong there already is not the form's doing, and a test that fails
	// is nothing that breaks.
	gone := strings.Replace(base, "  author: {tasks: [account.edit], inherits: [viewer]}\n", "", 1)
	res = ada.sends(t, ada.openedOver(t, gone, "connection:acme", url.Values{"roles": {"viewer"}}), "do", "take")
	if isAsked(t, res.text) || !strings.Contains(draftIn(t, res.text), "{roles: [viewer], where") {
		t.Errorf("mending what hid it: %s", alerts(res.text))
	}
	opened := ada.page("/mapping/edit?file=" + name + "&open=rule:more").text
	if res := ada.sends(t, admin.FieldsOf(t, opened), "do", "remove"); isAsked(t, res.text) || strings.Contains(draftIn(t, res.text), "more") {
		t.Errorf("a test that fails: %s", alerts(res.text))
	}
}
