package admin_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"portcullis/revision"
	"portcullis/store/storetest"
	"portcullis/web"
)

// A connection gets its first file in the console: first the mapping includes
// such files, then the file is proposed and put in force like any other.
func TestAConnectionGetsItsFirstFile(t *testing.T) {
	const text = `version: 1
connections: {staff: {ceiling: unrestricted}, acme: {ceiling: {roles: [viewer]}}}
roles: {viewer: {tasks: [account.view]}, mapper: {tasks: [gate.mapping.view, gate.mapping.propose, gate.mapping.approve]}}
rules:
  - {id: staff, match: {connection: staff}, grant: {roles: [mapper]}}
tests: []
`
	w := newManagedWorld(t, storetest.SQLite(t), text, revision.Approval{Always: true})
	ada, ben := w.signIn("staff", "ada"), w.signIn("staff", "ben")
	contains(t, "the mapping", ada.page("/mapping"), "Begin its first file", "<option>acme</option>")
	decide := func(text string, fields ...string) {
		t.Helper()
		res := ada.form("/mapping/edit", append([]string{"text", text, "do", "propose", "reason", "x"}, fields...)...)
		to, _, _ := strings.Cut(strings.TrimPrefix(res.Header.Get("Location"), web.ConsolePrefix), "?")
		if res.StatusCode != http.StatusSeeOther {
			t.Fatalf("proposing: status = %d: %s", res.StatusCode, res.text)
		}
		if got := ben.call(http.MethodPost, to+"/approve", `{"apply":true}`, nil); got != http.StatusOK {
			t.Fatalf("approving: status = %d", got)
		}
		w.follow()
	}
	page := ada.page("/mapping/edit?connection=acme")
	contains(t, "the place", page, "The mapping includes no files of connections yet", "connections/*.yaml")
	if strings.Contains(page.text, "firstOf") {
		t.Error("the change of the mapping is taken for the file")
	}
	decide(draftIn(t, page.text), "file", "mapping.yaml")
	page = ada.page("/mapping/edit?connection=acme")
	contains(t, "the file", page, "connections/acme.yaml", "This is the first file of acme alone", `name="firstOf" value="acme"`)
	rule := "\nrules:\n  - {id: mine, match: {groups: [{name: X}]}, grant: {roles: [viewer]}}"
	mine := strings.Replace(draftIn(t, page.text), "\nrules: []", rule, 1)
	contains(t, "its check", ada.form("/mapping/edit", "firstOf", "acme", "text", mine, "do", "check"), "No mistakes", "Propose it")
	contains(t, "its form", ada.form("/mapping/edit", "firstOf", "acme", "text", mine, "open", "rule:mine"), "Change rule", `name="firstOf"`)
	if strings.Contains(ada.form("/mapping/edit", "firstOf", "acme", "text", mine, "open", "rule:mine").text, "Roles</h3>") {
		t.Error("the file of a connection offers roles of its own")
	}
	body, err := json.Marshal(map[string]string{"connection": "acme", "text": mine})
	if err != nil {
		t.Fatal(err)
	}
	var check struct{ Good bool }
	if got := ada.call(http.MethodPost, "/mapping/check", string(body), &check); got != http.StatusOK || !check.Good {
		t.Errorf("by a script: status = %d, good = %v", got, check.Good)
	}
	decide(mine, "firstOf", "acme")
	if carol := w.signIn("acme", "carol", "X"); carol.id == "" || strings.Contains(ada.page("/mapping").text, "<option>acme</option>") {
		t.Error("the file is not in force")
	}
	for query, want := range map[string]int{"acme": http.StatusConflict, "nobody": http.StatusNotFound} {
		if res := ada.page("/mapping/edit?connection=" + query); res.StatusCode != want {
			t.Errorf("%s: status = %d, want %d", query, res.StatusCode, want)
		}
	}
	other := newWorld(t, storetest.SQLite(t))
	if res := other.signIn("staff", "ada", tasks()...).page("/mapping/edit?connection=acme"); res.StatusCode != http.StatusForbidden {
		t.Errorf("where a file owns the mapping: status = %d, want 403", res.StatusCode)
	}
}
