package admin_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/admin"
	"portcullis/revision"
	"portcullis/store/storetest"
)

// pressed sends what is filled in on a page, with the button that is pressed.
func (s *somebody) pressed(t *testing.T, page string, button, value string) answer {
	t.Helper()
	if !strings.Contains(page, `name="`+button+`" value="`+value+`"`) {
		t.Fatalf("the page has no button %s=%s: %s", button, value, alerts(page))
	}
	return s.sends(t, admin.FieldsOf(t, page), button, value)
}

// sends sends fields with the button that is pressed.
func (s *somebody) sends(t *testing.T, fields url.Values, button, value string) answer {
	t.Helper()
	fields = maps.Clone(fields)
	fields.Set(button, value)
	res := s.form("/mapping/edit", pairsOf(fields)...)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s=%s: status = %d: %s", button, value, res.StatusCode, res.text)
	}
	return res
}

// fieldsWith are the fields of a page, some filled in otherwise.
func fieldsWith(t *testing.T, page string, sent url.Values) url.Values {
	t.Helper()
	fields := admin.FieldsOf(t, page)
	maps.Copy(fields, sent)
	return fields
}

// formOn says which form is on a page: kind:name.
func formOn(t *testing.T, page string) string {
	t.Helper()
	fields := admin.FieldsOf(t, page)
	return fields.Get("kind") + ":" + fields.Get("old")
}

// isAsked reports whether a page asks what is to become of a form.
func isAsked(t *testing.T, page string) bool {
	t.Helper()
	asked, _ := element(t, page, "asked")
	return asked != nil
}

// Whoever opens another form over one that they filled in is asked first, loses
// nothing, and goes on as they say.
func TestOpeningAnotherFormAsksAboutTheOneThatIsFilledIn(t *testing.T) {
	ada := newManagedWorld(t, storetest.SQLite(t), forForms, revision.Approval{}).signIn("staff", "ada")
	opened := ada.page("/mapping/edit?open=role:viewer").text
	fields := fieldsWith(t, opened, url.Values{"tasks": {"account.view\r\naccount.list"}, "reason": {"why"}})
	asked := ada.sends(t, fields, "open", "rule:managers")
	if got := formOn(t, asked.text); got != "role:viewer" || !isAsked(t, asked.text) {
		t.Fatalf("the form is %s, and it asks: %v", got, isAsked(t, asked.text))
	}
	contains(t, "the question", asked, "This form is not in the text yet", "the rule managers")
	again := admin.FieldsOf(t, asked.text)
	if got := again.Get("next"); got != "rule:managers" {
		t.Errorf("next = %q", got)
	}
	again.Del("next")
	fields.Del("reason") // there is nothing to propose
	if diff := cmp.Diff(typed(fields), typed(again)); diff != "" {
		t.Errorf("the form that asks (-sent +shown):\n%s", diff)
	}

	put := strings.Replace(forForms, "viewer: {tasks: [account.view]}", "viewer: {tasks: [account.view, account.list]}", 1)
	for _, tc := range []struct{ press, form, text string }{
		{"on", "rule:managers", put},
		{"drop", "rule:managers", forForms},
		{"stay", "role:viewer", forForms},
	} {
		res := ada.pressed(t, asked.text, "do", tc.press)
		if got := formOn(t, res.text); got != tc.form || isAsked(t, res.text) || draftIn(t, res.text) != tc.text {
			t.Errorf("%s: the form is %s, it asks: %v, the text is\n%s", tc.press, got, isAsked(t, res.text), draftIn(t, res.text))
		}
		if tc.press != "stay" {
			continue
		}
		if got := admin.FieldsOf(t, res.text).Get("tasks"); got != "account.view\r\naccount.list" {
			t.Errorf("whoever stays has %q", got)
		}
		if !isAsked(t, ada.pressed(t, res.text, "open", "rule:staff").text) {
			t.Error("whoever stays, and opens another, is not asked again")
		}
	}
}

// What cannot be put in is not left either, and a form that got another name is
// found under that.
func TestGoingOnPutsTheFormInFirst(t *testing.T) {
	ada := newManagedWorld(t, storetest.SQLite(t), forForms, revision.Approval{}).signIn("staff", "ada")
	ask := func(open string, sent url.Values, next string) string {
		t.Helper()
		res := ada.sends(t, fieldsWith(t, ada.page("/mapping/edit?open="+url.QueryEscape(open)).text, sent), "open", next)
		if !isAsked(t, res.text) {
			t.Fatalf("opening %s over %s asks nothing", next, open)
		}
		return res.text
	}
	res := ada.pressed(t, ask("rule:managers", url.Values{"when": {"claims.x =="}}, "role:viewer"), "do", "on")
	if field, _ := element(t, res.text, "f-when"); formOn(t, res.text) != "rule:managers" || field["aria-invalid"] != "true" || draftIn(t, res.text) != forForms {
		t.Errorf("a mistake: the form is %s, the text is\n%s", formOn(t, res.text), draftIn(t, res.text))
	}
	res = ada.pressed(t, ask("role:author", url.Values{"id": {"writer"}}, "role:author"), "do", "on")
	if got := formOn(t, res.text); got != "role:writer" || !strings.Contains(draftIn(t, res.text), "writer: {tasks") {
		t.Errorf("itself, under a new name: the form is %s", got)
	}
	res = ada.pressed(t, ask("role:", url.Values{"id": {"new"}, "tasks": {"a.b"}}, "role:"), "do", "on")
	if got := formOn(t, res.text); got != "role:" || !strings.Contains(draftIn(t, res.text), "new: {tasks: [a.b]}") {
		t.Errorf("one new one after another: the form is %s", got)
	}
	// What is gone from the text meanwhile does not take the text along.
	text := strings.Replace(forForms, "  author: {tasks: [account.edit], inherits: [viewer]}\n", "", 1)
	res = ada.sends(t, url.Values{"file": {"mapping.yaml"}, "text": {text}}, "open", "role:author")
	if contains(t, "a role that is gone", res, "the file has no role author"); draftIn(t, res.text) != text {
		t.Errorf("the text is\n%s", draftIn(t, res.text))
	}
}

// A form in which nothing was filled in asks nothing, also when the text, or
// what can be ticked, is another by now.
func TestAFormAsItWasOpenedAsksNothing(t *testing.T) {
	ada := newManagedWorld(t, storetest.SQLite(t), forForms, revision.Approval{}).signIn("staff", "ada")
	for _, open := range []string{"role:viewer", "role:", "rule:", "group:us", "connection:acme", "constraint:apart", "variable:region", "test:one", "test:", "defaults:"} {
		fields := fieldsWith(t, ada.page("/mapping/edit?open="+url.QueryEscape(open)).text, nil)
		fields.Set("text", strings.NewReplacer("[account.view]", "[account.look]", "  author:", "  another: {tasks: [a.b]}\n  author:").Replace(forForms))
		res := ada.sends(t, fields, "open", "rule:managers")
		if got := formOn(t, res.text); got != "rule:managers" || isAsked(t, res.text) {
			t.Errorf("%s: the form is then %s, and it asks: %v", open, got, isAsked(t, res.text))
		}
	}
	// Nor does a form that was left, or a page without one.
	fields := fieldsWith(t, ada.page("/mapping/edit?open=role:viewer").text, url.Values{"tasks": {"mine"}})
	left := ada.sends(t, fields, "do", "leave")
	if res := ada.pressed(t, left.text, "open", "role:author"); isAsked(t, res.text) || slices.Contains(admin.FieldsOf(t, res.text)["tasks"], "mine") {
		t.Error("a form that was left is asked about")
	}
}
