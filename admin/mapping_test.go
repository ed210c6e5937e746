package admin_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/web"
)

var everyChange = revision.Approval{Always: true}

// desk is a managed world with somebody who proposes and somebody who
// approves.
func desk(t *testing.T, db *store.DB) (w *world, ada, ben *somebody) {
	t.Helper()
	w = newManagedWorld(t, db, rules(), everyChange)
	ada = w.signIn("staff", "ada", mapping.GateMappingView, mapping.GateMappingPropose, mapping.GateUsersView)
	ben = w.signIn("staff", "ben", mapping.GateMappingView, mapping.GateMappingApprove, mapping.GateMappingPropose)
	return w, ada, ben
}

// author gives people of beta who are in Authors a further task.
const author = "  - {id: authors, match: {connection: acme, groups: [{name: Authors}]}, grant: {roles: [has-gate.users.view]}}\n"

func (s *somebody) inForce() (text string) {
	s.w.t.Helper()
	var v struct{ Files []struct{ Text string } }
	if got := s.call(http.MethodGet, "/mapping", "", &v); got != 200 || len(v.Files) != 1 {
		s.w.t.Fatalf("status = %d, files = %v", got, v.Files)
	}
	return v.Files[0].Text
}

func contains(t *testing.T, what string, res answer, texts ...string) {
	t.Helper()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: status = %d: %s", what, res.StatusCode, res.text)
	}
	for _, text := range texts {
		if !strings.Contains(res.text, text) && !strings.Contains(html.UnescapeString(res.text), text) {
			t.Errorf("%s: the page lacks %q", what, text)
		}
	}
}

// The mapping is edited, looked at, proposed, approved by somebody else, and
// in force.
func TestTheMappingIsChangedByTwoPeople(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w, ada, ben := desk(t, open())
		carol := w.signIn("acme", "carol", "Authors")
		contains(t, "the editor", ada.page("/mapping/edit"), "<textarea", "version: 1", "Nothing is changed yet", "Add a rule")
		old := ada.inForce()

		broken := strings.Replace(old+author, "has-gate.users.view]}}\n", "veiwer]}}\n", 1)
		contains(t, "a mistake", ada.form("/mapping/edit", "file", "mapping.yaml", "text", broken, "do", "check"), "1 mistake to mend", "mapping.yaml:", "veiwer", "^")

		text := strings.ReplaceAll(old, "{roles: [viewer, client-admin, helper]}}", "{roles: [viewer, client-admin, helper, has-gate.users.view]}}") + author
		contains(t, "the check", ada.form("/mapping/edit", "file", "mapping.yaml", "text", strings.ReplaceAll(text, "\n", "\r\n"), "do", "check"),
			"No mistakes", "<b>1</b> gain", "<b>0</b> lose", "1 of 3 people gets something else", "Show who", "every change needs an approval", `value="propose"`)
		contains(t, "the names", ada.form("/mapping/edit", "file", "mapping.yaml", "text", text, "do", "names"),
			"Name of carol", "+ role has-gate.users.view")
		contains(t, "without a reason", ada.form("/mapping/edit", "file", "mapping.yaml", "text", text, "do", "propose"), "a reason is wanted", "authors")

		res := ada.form("/mapping/edit", "file", "mapping.yaml", "text", text, "do", "propose", "reason", "authors see people")
		to, _, _ := strings.Cut(strings.TrimPrefix(res.Header.Get("Location"), web.ConsolePrefix), "?")
		if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/mapping/") {
			t.Fatalf("proposing: status = %d, to %q: %s", res.StatusCode, to, res.text)
		}
		contains(t, "one's own proposal", ada.page(to), "Waiting for a second person", "authors see people", "<b>1</b> gain", "Withdraw it", "+   - {id: authors")
		contains(t, "approvals", ben.page("/approvals"), "authors see people", "Waiting for a second person", "Look at it and decide")
		if got := ada.call(http.MethodPost, to+"/approve", "", nil); got != http.StatusForbidden {
			t.Errorf("without the right: status = %d, want 403", got)
		}
		if res := ada.form(to + "/apply"); res.StatusCode != http.StatusForbidden {
			t.Errorf("applying what nobody approved: status = %d, want 403", res.StatusCode)
		}
		contains(t, "to be decided", ben.page(to), "Approve and put in force", "Decline it")
		if strings.Contains(ben.page(to+"?names=yes").text, "Name of carol") {
			t.Error("whoever may not see people sees who it is")
		}
		if res := ben.form(to+"/approve", "apply", "yes"); res.StatusCode != http.StatusSeeOther || !strings.Contains(res.Header.Get("Location"), "done=apply") {
			t.Fatalf("approving: status = %d: %s", res.StatusCode, res.text)
		}
		w.follow()
		if !strings.Contains(ada.inForce(), "id: authors") {
			t.Fatal("what was approved is not in force")
		}
		var why struct {
			Explanation struct{ Roles []struct{ Name string } }
		}
		ada.call(http.MethodGet, "/people/"+carol.id+"/why", "", &why)
		if n := len(why.Explanation.Roles); n != 2 {
			t.Errorf("carol has %d roles, want 2", n)
		}

		// Back again: that needs two people, too.
		first := ada.call(http.MethodPost, "/mapping/1/rollback", `{"reason":"too much"}`, nil)
		if first != http.StatusForbidden {
			t.Errorf("going back alone: status = %d, want 403", first)
		}
		contains(t, "an old revision", ada.page("/mapping/1?effect=yes"), "Go back to this revision", "<b>1</b> lose")
		if got := ada.call(http.MethodPost, "/mapping/1/propose", `{"reason":"too much"}`, nil); got != 200 {
			t.Errorf("proposing to go back: status = %d", got)
		}
		var list struct{ Waiting []struct{ Hash string } }
		ben.call(http.MethodGet, "/approvals", "", &list)
		if len(list.Waiting) != 1 {
			t.Fatalf("waiting = %v", list.Waiting)
		}
		back := "/mapping/" + list.Waiting[0].Hash
		if got := ben.call(http.MethodPost, back+"/approve", "", nil); got != 200 {
			t.Errorf("approving: status = %d", got)
		}
		if got := ada.call(http.MethodPost, "/mapping/1/rollback", `{"reason":"too much"}`, nil); got != 200 {
			t.Errorf("going back: status = %d", got)
		}
		w.follow()
		if ada.inForce() != old {
			t.Error("the old mapping is not in force")
		}
	})
}

func TestNobodyApprovesTheirOwn(t *testing.T) {
	w, _, ben := desk(t, storetest.SQLite(t))
	var rev struct{ Hash string }
	body := func(text string) string {
		out, err := json.Marshal(map[string]any{"text": text, "reason": "x"})
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if got := ben.call(http.MethodPost, "/mapping/propose", body(ben.inForce()+author), &rev); got != 200 {
		t.Fatalf("status = %d", got)
	}
	if got := ben.call(http.MethodPost, "/mapping/"+rev.Hash+"/approve", "", nil); got != http.StatusForbidden {
		t.Errorf("status = %d, want 403", got)
	}
	if res := ben.page("/mapping/" + rev.Hash); !strings.Contains(res.text, "somebody else has to approve it") || strings.Contains(res.text, "Approve and put") {
		t.Errorf("page = %s", res.text)
	}
	dora := w.signIn("staff", "dora", mapping.GateMappingView, mapping.GateMappingApprove)
	if got := dora.call(http.MethodPost, "/mapping/"+rev.Hash+"/withdraw", `{"reason":"x"}`, nil); got != http.StatusForbidden {
		t.Errorf("withdrawing another's: status = %d, want 403", got)
	}
	if got := dora.call(http.MethodPost, "/mapping/"+rev.Hash+"/decline", `{"reason":""}`, nil); got != http.StatusBadRequest {
		t.Errorf("declining without a reason: status = %d, want 400", got)
	}
	if res := dora.form("/mapping/"+rev.Hash+"/decline", "reason", "not <b>now</b>"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("declining: status = %d", res.StatusCode)
	}
	contains(t, "declined", ben.page("/mapping/"+rev.Hash), "Declined by", "not &lt;b&gt;now")
	contains(t, "nothing waits", ben.page("/approvals"), "Nothing waits", "mapping.declined")
	if e := w.events(admin.EventQuery{Action: string(audit.MappingDeclined), Limit: 1}); len(e) != 1 || e[0].Actor.ID != dora.id {
		t.Errorf("trail = %v", e)
	}
	glass := w.open()
	if got := glass.call(http.MethodPost, "/mapping/propose", body(ben.inForce()+author+"# again\n"), &rev); got != 200 {
		t.Fatalf("by a link: status = %d", got)
	}
	if got := glass.call(http.MethodPost, "/mapping/"+rev.Hash+"/approve", "", nil); got != http.StatusForbidden {
		t.Errorf("approving by a link: status = %d, want 403", got)
	}
	if got := glass.call(http.MethodPost, "/mapping/"+rev.Hash+"/withdraw", `{"reason":"x"}`, nil); got != 200 {
		t.Errorf("withdrawing: status = %d", got)
	}
}

// Whoever began to write before something else came into force is told so,
// and their text is kept.
func TestADraftThatWasOvertakenIsNotProposedUnseen(t *testing.T) {
	w, ada, ben := desk(t, storetest.SQLite(t))
	old, _, err := revision.NewLedger(w.ledger).InForce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := ada.inForce() + "# another\n"
	p, err := revision.NewLedger(w.ledger).Propose(t.Context(), revision.Signer{Actor: audit.Actor{Kind: "person", ID: "x", Name: "x"}},
		[]revision.Text{{Name: "mapping.yaml", Body: []byte(other)}}, "x")
	if err != nil {
		t.Fatal(err)
	}
	if got := ben.call(http.MethodPost, "/mapping/"+p.Hash+"/approve", `{"apply":true}`, nil); got != 200 {
		t.Fatalf("status = %d", got)
	}
	w.follow()
	mine := string(old.Texts[0].Body) + author
	res := ada.form("/mapping/edit", "file", "mapping.yaml", "base", old.Hash, "text", mine, "do", "propose", "reason", "x")
	contains(t, "overtaken", res, "Something else came into force", "id: authors", "- # another")
	body, err := json.Marshal(map[string]any{"text": mine, "reason": "x", "base": old.Hash})
	if err != nil {
		t.Fatal(err)
	}
	if got := ada.call(http.MethodPost, "/mapping/propose", string(body), nil); got != http.StatusConflict {
		t.Errorf("by a script: status = %d, want 409", got)
	}
}

// draftIn is the text of a page's editor, as a browser would have it.
func draftIn(t *testing.T, page string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, `<textarea id="text"`)
	_, rest, ok2 := strings.Cut(rest, ">\n")
	text, _, ok3 := strings.Cut(rest, "</textarea>")
	if !ok || !ok2 || !ok3 {
		t.Fatalf("no editor in %s", page)
	}
	return html.UnescapeString(text)
}

// Where a file owns the mapping nothing is proposed here: the change is there
// to be copied.
func TestAChangeOfAFileIsAPatch(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	ada := w.signIn("staff", "ada", mapping.GateMappingView, mapping.GateMappingPropose, mapping.GateUsersView)
	text := ada.inForce() + author
	res := ada.form("/mapping/edit", "file", "mapping.yaml", "text", text, "do", "check")
	contains(t, "the patch", res, "kept elsewhere", "--- a/mapping.yaml", "+++ b/mapping.yaml", "+  - {id: authors")
	if strings.Contains(res.text, `value="propose"`) {
		t.Error("the page offers to propose it")
	}
	body, err := json.Marshal(map[string]any{"text": text, "reason": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if got := ada.call(http.MethodPost, "/mapping/propose", string(body), nil); got != http.StatusForbidden {
		t.Errorf("proposing: status = %d, want 403", got)
	}
	var out struct{ Text, Patch string }
	edits := `{"edits":[{"set":"rules[id=everybody].note","value":"all of them"}]}`
	if got := ada.call(http.MethodPost, "/mapping/amend", edits, &out); got != 200 || !strings.Contains(out.Patch, "+  - {id: everybody, note: all of them,") {
		t.Errorf("amending: status = %d, %+v", got, out)
	}
}

// Somebody's access can be recorded as a test, which then guards it.
func TestSomebodyBecomesATest(t *testing.T) {
	w, ada, _ := desk(t, storetest.SQLite(t))
	carol := w.signIn("acme", "carol", "Admins", "Other: things")
	res := ada.page("/mapping/edit?person=" + carol.id)
	contains(t, "the editor", res, "A test was added for Name of carol", "recorded on 2026-03-01: Name of carol", "1 test passes")
	text := draftIn(t, res.text)
	if strings.Contains(text, "carol@acme") {
		t.Error("the test holds an address that makes no difference")
	}
	without := strings.Replace(text, "id: acme-admins, match: {connection: acme, groups: [{name: Admins}]}", "id: acme-admins, match: {connection: acme, groups: [{name: Nobody}]}", 1)
	contains(t, "another change", ada.form("/mapping/edit", "file", "mapping.yaml", "text", without, "do", "check"),
		"0 of 1 test passes", "recorded on 2026-03-01: Name of carol", "<b>1</b> lose")
	ben := w.signIn("staff", "dan", mapping.GateMappingPropose)
	var amended struct{ File, Text, Patch string }
	body := `{"record": "` + carol.id + `", "edits": [{"set": "rules[id=everybody].note", "value": "seen"}]}`
	if status := ada.call(http.MethodPost, "/mapping/amend", body, &amended); status != http.StatusOK ||
		!strings.Contains(amended.Text, "recorded on 2026-03-01: Name of carol") || !strings.Contains(amended.Text, "note: seen") || amended.Patch == "" {
		t.Errorf("recorded by a script: status = %d, %+v", status, amended)
	}
	if status := ben.call(http.MethodPost, "/mapping/amend", body, nil); status != http.StatusForbidden {
		t.Errorf("recorded by a script without the task: status = %d, want 403", status)
	}
	if res := ben.page("/mapping/edit?person=" + carol.id); res.StatusCode != http.StatusForbidden {
		t.Errorf("without the right to see people: status = %d, want 403", res.StatusCode)
	}
}

// Whoever may see their own organization's people alone is told of those, and
// not even how many others gain and lose.
func TestAPreviewNamesNobodyOfAnotherOrganization(t *testing.T) {
	const text = `version: 1
connections: {staff: {ceiling: unrestricted}, acme: {ceiling: unrestricted}, beta: {ceiling: unrestricted}}
roles:
  viewer: {tasks: [account.view]}
  mapper: {tasks: [gate.mapping.view, gate.mapping.propose]}
  local: {scope: organization, tasks: [gate.users.view]}
rules:
  - {id: staff, match: {connection: staff}, grant: {roles: [mapper, local]}}
  - {id: acme, match: {connection: acme}, grant: {roles: [viewer]}}
tests: []
`
	w := newManagedWorld(t, storetest.SQLite(t), text, everyChange)
	ada, carol := w.signIn("staff", "ada"), w.signIn("acme", "carol")
	changed := strings.Replace(text, "grant: {roles: [viewer]}", "grant: {roles: [viewer, mapper]}", 1)
	res := ada.form("/mapping/edit", "file", "mapping.yaml", "text", changed, "do", "names")
	contains(t, "the preview", res, "<b>0</b> gain", "Nobody of 1 person gets anything else")
	if strings.Contains(res.text, carol.id) || strings.Contains(res.text, "carol") || strings.Contains(res.text, "Show who") {
		t.Errorf("it names somebody of another organization: %s", res.text)
	}
	if res := ada.page("/mapping/edit?person=" + carol.id); res.StatusCode != http.StatusNotFound {
		t.Errorf("recording them: status = %d, want 404", res.StatusCode)
	}
}

// An ordinary page is small.
func TestPagesAreSmall(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("staff", "ada", tasks()...)
	for _, path := range []string{"/mapping", "/mapping/edit", "/mapping/edit?open=rule:everybody", "/mapping/1?names=yes", "/approvals", "/roles", "/permission-groups", "/access?role=viewer"} {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(s.page(path).text)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if b.Len() > 40<<10 { // beside style and script, less than 50 KB in all
			t.Errorf("%s has %d bytes, compressed", path, b.Len())
		}
	}
}
