package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

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
		contains(t, "a mistake", ada.form("/mapping/edit", "file", "mapping.yaml", "text", broken, "do", "check"), "1 to mend", "mapping.yaml:", "veiwer", "^")

		text := strings.ReplaceAll(old, "{roles: [viewer, client-admin]}}", "{roles: [viewer, client-admin, has-gate.users.view]}}") + author
		contains(t, "the check", ada.form("/mapping/edit", "file", "mapping.yaml", "text", strings.ReplaceAll(text, "\n", "\r\n"), "do", "check"),
			"No mistakes", "<b>1</b> gain", "<b>0</b> lose", "1 of 3 people get something else", "Show who", "every change needs an approval", `value="propose"`)
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
		var why struct{ Explanation struct{ Roles []struct{ Name string } } }
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

// A form changes the line that it is about, and no other.
func TestAFormKeepsEverythingElse(t *testing.T) {
	const text = `version: 1
connections: {staff: {ceiling: unrestricted}, acme: {ceiling: unrestricted}, beta: {ceiling: unrestricted}}
roles: # ours
  viewer: {tasks: [account.view]} # everybody
  author: {tasks: [account.edit]}
attributes: {account: {onMissing: none}, country: {onMissing: any}}
permissionGroups:
  us: {where: {account: "*", country: [US]}} # the States
  own: {params: [acct], where: {account: ["${acct}"]}}
defaults: {noMatch: deny-login}
rules:
  # all of staff
  - {id: staff, match: {connection: staff}, grant: {roles: [viewer]}} # for now
  - id: managers
    match: {connection: acme, groups: [{regex: "^M-(?P<a>.*)$", label: Managers}, {regex: "^D-(?P<a>.*)$"}]}
    grant: {roles: [viewer], permissionGroups: [us, {own: {acct: "${a}"}}]}
  - {id: proposers, match: {connection: staff, groups: [{name: P}]}, grant: {roles: [mapper]}}
tests: []
`
	full := strings.Replace(text, "  author:", "  mapper: {tasks: [gate.mapping.view, gate.mapping.propose]}\n  author:", 1)
	w := newManagedWorld(t, storetest.SQLite(t), full, revision.Approval{})
	ada := w.signIn("staff", "ada", "P")
	take := func(fields ...string) string {
		t.Helper()
		res := ada.form("/mapping/edit", append([]string{"file", "mapping.yaml", "text", full, "do", "take"}, fields...)...)
		if res.StatusCode != 200 || strings.Contains(res.text, `role="alert"`) {
			t.Fatalf("status = %d: %s", res.StatusCode, res.text)
		}
		return draftIn(t, res.text)
	}
	contains(t, "the form", ada.page("/mapping/edit?open=rule:managers"), "^D-(?P<a>.*)$", `value="Managers"`, "own acct=${a}", "Put it into the text")
	for name, tc := range map[string]struct {
		fields        []string
		before, after string
	}{
		"a rule": {
			[]string{"kind", "rule", "old", "staff", "id", "staff", "connection", "staff", "effect", "grant", "roles", "viewer", "roles", "author", "selector", "name", "value", ""},
			"grant: {roles: [viewer]}} # for now", "grant: {roles: [viewer, author]}} # for now",
		},
		"nothing": {
			[]string{"kind", "rule", "old", "managers", "id", "managers", "connection", "acme", "effect", "grant", "roles", "viewer", "groups", "us", "calls", "own acct=${a}",
				"selector", "regex", "value", "^M-(?P<a>.*)$", "label", "Managers", "selector", "regex", "value", "^D-(?P<a>.*)$", "label", ""},
			"", "",
		},
		"a role": {
			[]string{"kind", "role", "old", "viewer", "id", "viewer", "tasks", "account.view\r\naccount.list"},
			"viewer: {tasks: [account.view]} # everybody", "viewer: {tasks: [account.view, account.list]} # everybody",
		},
		"a permission group": {
			[]string{"kind", "group", "old", "us", "id", "us", "attribute", "account", "form", "any", "values", "", "attribute", "country", "form", "in", "values", "US\r\nCA"},
			"country: [US]}} # the States", "country: [US, CA]}} # the States",
		},
		"a new name": {
			[]string{"kind", "role", "old", "author", "id", "writer", "tasks", "account.edit"},
			"author: {tasks: [account.edit]}", "writer: {tasks: [account.edit]}",
		},
		"a new rule": {
			[]string{"kind", "rule", "old", "", "id", "beta", "connection", "beta", "effect", "deny", "denyLogin", "yes", "denyReason", "closed"},
			"tests: []", "  - {id: beta, match: {connection: beta}, deny: {login: true, reason: closed}}\ntests: []",
		},
	} {
		want := full
		if tc.before != "" {
			if strings.Count(full, tc.before) != 1 {
				t.Fatalf("%s: %q is not once in the text", name, tc.before)
			}
			want = strings.Replace(full, tc.before, tc.after, 1)
		}
		if got := take(tc.fields...); got != want {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	res := ada.form("/mapping/edit", "file", "mapping.yaml", "text", full, "do", "remove", "kind", "rule", "old", "staff")
	if got := draftIn(t, res.text); strings.Contains(got, "id: staff") || strings.Contains(got, "all of staff") || !strings.Contains(got, "id: managers") {
		t.Errorf("removing: %s", got)
	}
	res = ada.form("/mapping/edit", "file", "mapping.yaml", "text", full, "do", "take", "kind", "role", "old", "author", "id", "viewer")
	contains(t, "a name that is taken", res, "there is a role viewer already", "Put it into the text")
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
	contains(t, "the editor", res, "A test was added for Name of carol", "recorded on 2026-03-01: Name of carol", "1 tests pass")
	text := draftIn(t, res.text)
	if strings.Contains(text, "carol@acme") {
		t.Error("the test holds an address that makes no difference")
	}
	without := strings.Replace(text, "id: acme-admins, match: {connection: acme, groups: [{name: Admins}]}", "id: acme-admins, match: {connection: acme, groups: [{name: Nobody}]}", 1)
	contains(t, "another change", ada.form("/mapping/edit", "file", "mapping.yaml", "text", without, "do", "check"),
		"0 of 1 tests pass", "recorded on 2026-03-01: Name of carol", "<b>1</b> lose")
	ben := w.signIn("staff", "dan", mapping.GateMappingPropose)
	if res := ben.page("/mapping/edit?person=" + carol.id); res.StatusCode != http.StatusForbidden {
		t.Errorf("without the right to see people: status = %d, want 403", res.StatusCode)
	}
}

func TestRolesSayWhoHasThemAndWhy(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("staff", "ada", mapping.GateMappingView, mapping.GateUsersView)
	w.signIn("acme", "manager", "Admins")
	w.signIn("beta", "plain")
	var v struct {
		Roles []struct {
			Name   string
			People int
			Rules  []struct {
				Name   string
				Line   int
				People int
			}
		}
	}
	s.call(http.MethodGet, "/roles", "", &v)
	found := make(map[string]string)
	for _, r := range v.Roles {
		found[r.Name] = fmt.Sprint(r.People)
		for _, rule := range r.Rules {
			found[r.Name] += fmt.Sprintf(" %s:%d", rule.Name, rule.People)
			if rule.Line == 0 {
				t.Errorf("rule %s has no line", rule.Name)
			}
		}
	}
	if found["viewer"] != "3 everybody:3" || found["client-admin"] != "1 acme-admins:1 beta-admins:0 client-admins-of-staff:0" {
		t.Errorf("roles = %v", found)
	}
	contains(t, "the page", s.page("/roles"), "acme-admins", "3 people", "Compare")
	var two struct {
		OnlyA, Both, OnlyB  []string
		PeopleA, PeopleB    int
		PeopleBoth          int
		Differences         []string
	}
	s.call(http.MethodGet, "/roles/compare?a=viewer&b=client-admin", "", &two)
	if strings.Join(two.OnlyA, " ") != "account.view" || len(two.OnlyB) != len(mapping.GateTasks()) || two.PeopleA != 2 || two.PeopleBoth != 1 || two.PeopleB != 0 ||
		len(two.Differences) != 1 {
		t.Errorf("compared = %+v", two)
	}
	if got := s.call(http.MethodGet, "/roles/compare?a=viewer&b=nothing", "", nil); got != http.StatusBadRequest {
		t.Errorf("an unknown role: status = %d, want 400", got)
	}
}

const withData = `version: 1
connections: {staff: {ceiling: unrestricted}, acme: {ceiling: unrestricted}, beta: {ceiling: unrestricted}}
roles: {viewer: {tasks: [account.view]}, console: {tasks: [gate.users.view, gate.audit.view, gate.mapping.view]}}
attributes: {account: {onMissing: none, pattern: "[A-Z]{3}"}, country: {onMissing: any}}
permissionGroups:
  us: {where: {account: "*", country: [US]}}
  one: {where: {account: [ABC]}}
  own: {params: [acct], where: {account: ["${acct}"]}}
  all: {unrestricted: true}
rules:
  - {id: console, match: {connection: staff}, grant: {roles: [console]}}
  - {id: states, match: {connection: acme, groups: [{name: States}]}, grant: {roles: [viewer], permissionGroups: [us]}}
  - {id: managers, match: {connection: acme, groups: [{regex: "M-(?P<a>.*)"}]}, grant: {roles: [viewer], permissionGroups: [{own: {acct: "${a}"}}]}}
  - {id: beta, match: {connection: beta}, grant: {roles: [viewer]}}
tests: []
`

func TestPermissionGroupsSayWhatTheyShow(t *testing.T) {
	w := newManagedWorld(t, storetest.SQLite(t), withData, revision.Approval{})
	s := w.signIn("staff", "ada")
	w.signIn("acme", "carol", "States")
	var v struct {
		Attributes []struct {
			Name, OnMissing          string
			Values, PermissionGroups []string
		}
		PermissionGroups []struct {
			Name, Shows string
			People      int
			Rules       []struct{ Name string }
		}
	}
	if got := s.call(http.MethodGet, "/permission-groups?row=account=ABC", "", &v); got != 200 {
		t.Fatalf("status = %d", got)
	}
	found := ""
	for _, g := range v.PermissionGroups {
		found += fmt.Sprintf("%s:%d:%d:%s; ", g.Name, g.People, len(g.Rules), g.Shows)
	}
	if want := "all:0:0:yes; one:0:0:yes; own:0:1:depends on its 1 parameters; us:1:1:only if country: [US]; "; found != want {
		t.Errorf("groups = %s, want %s", found, want)
	}
	if a := v.Attributes; len(a) != 2 || a[0].OnMissing != "none" || strings.Join(a[0].Values, " ") != "${acct} * ABC" && strings.Join(a[0].Values, " ") != "${acct} ABC" {
		t.Errorf("attributes = %+v", a)
	}
	if got := s.call(http.MethodGet, "/permission-groups?row=acount=ABC", "", nil); got != http.StatusBadRequest {
		t.Errorf("an unknown attribute: status = %d, want 400", got)
	}
}

// The access history is by the people and the mapping of then, and says who
// made it so.
func TestWhoHadAccessThen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newManagedWorld(t, open(), withData, revision.Approval{})
		s := w.signIn("staff", "ada")
		carol, _ := w.signIn("acme", "carol", "States", "M-ABC"), w.signIn("beta", "bo")
		then := w.now.Add(time.Hour)
		w.now = w.now.Add(2 * time.Hour)
		l := revision.NewLedger(w.ledger)
		after := strings.Replace(withData, "{name: States}", "{name: Nobody}", 1)
		_, _, err := l.Apply(t.Context(), revision.Signer{Actor: audit.Actor{Kind: "operator", ID: "7", Name: "olga"}},
			[]revision.Text{{Name: "mapping.yaml", Body: []byte(after)}}, "fewer")
		if err != nil {
			t.Fatal(err)
		}
		w.follow()
		w.now = w.now.Add(time.Hour)
		s = w.signIn("staff", "ada")
		type who struct {
			Count   int
			Mapping struct {
				Revision       int
				By, ApprovedBy string
			}
			People []struct {
				Person struct{ ID string }
				Rules  []string
				OnlyIf []string
			}
		}
		ask := func(query string) (v who) {
			t.Helper()
			if got := s.call(http.MethodGet, "/access?"+query, "", &v); got != 200 {
				t.Fatalf("%s: status = %d", query, got)
			}
			return v
		}
		past := "&at=" + then.Format(time.RFC3339)
		if v := ask("group=us" + past); v.Count != 1 || v.People[0].Person.ID != carol.id || strings.Join(v.People[0].Rules, " ") != "states" ||
			v.Mapping.Revision != 1 || v.Mapping.By != "root" {
			t.Errorf("then = %+v", v)
		}
		if v := ask("group=us"); v.Count != 0 || v.Mapping.Revision != 2 || v.Mapping.By != "olga" {
			t.Errorf("now = %+v", v)
		}
		if v := ask("row=account%3DABC" + past); v.Count != 1 || strings.Join(v.People[0].Rules, " ") != "managers states" || len(v.People[0].OnlyIf) != 0 {
			t.Errorf("a row then = %+v", v)
		}
		if v := ask("row=account%3DXYZ,country%3DGB" + past); v.Count != 0 {
			t.Errorf("another row = %+v", v)
		}
		if v := ask("task=account.view"); v.Count != 2 {
			t.Errorf("a task = %+v", v)
		}
		for _, wrong := range []string{"role=veiwer", "row=x", "row=account%3Da,account%3Db", "role=viewer&at=yesterday", "role=viewer&at=2090-01-01", ""} {
			if got := s.call(http.MethodGet, "/access?"+wrong, "", nil); got != http.StatusBadRequest {
				t.Errorf("%s: status = %d, want 400", wrong, got)
			}
		}
		if got := s.call(http.MethodGet, "/access?role=viewer&at=2025-01-01", "", nil); got != http.StatusNotFound {
			t.Errorf("before the beginning: status = %d, want 404", got)
		}
		contains(t, "the page", s.page("/access?row=account%3DABC"+past), "1 person at", "put in force by <bdi>root</bdi>", "All of them as CSV", "why?at=", "managers")
		csv := s.page("/access.csv?row=account%3DABC" + past)
		if lines := strings.Split(strings.TrimSpace(csv.text), "\r\n"); csv.StatusCode != 200 || len(lines) != 2 || !strings.Contains(lines[1], carol.id) ||
			!strings.Contains(lines[1], "own {acct: ABC} ← managers") || !strings.Contains(lines[1], ",root,") {
			t.Errorf("csv = %d %s", csv.StatusCode, csv.text)
		}
		contains(t, "why then", s.page("/people/"+carol.id+"/why?at="+then.Format("2006-01-02T15:04")), "As of", "states", "put in force by <bdi>root</bdi>")
	})
}

// The second person's name stands in the access history.
func TestTheAccessHistoryNamesTheApprover(t *testing.T) {
	w, ada, ben := desk(t, storetest.SQLite(t))
	res := ada.form("/mapping/edit", "file", "mapping.yaml", "text", ada.inForce()+"# x\n", "do", "propose", "reason", "x")
	to, _, _ := strings.Cut(strings.TrimPrefix(res.Header.Get("Location"), web.ConsolePrefix), "?")
	w.now = w.now.Add(time.Minute)
	if got := ben.call(http.MethodPost, to+"/approve", `{"apply":true}`, nil); got != 200 {
		t.Fatalf("status = %d", got)
	}
	w.follow()
	auditor := w.signIn("staff", "eve", mapping.GateAuditView)
	contains(t, "the history", auditor.page("/access?role=viewer"), "approved by <bdi>Name of ben</bdi>", "put in force by <bdi>Name of ben</bdi>", "3 people at")
}

// A client's auditor sees their own organization alone.
func TestTheAccessHistoryStaysAtHome(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	manager := w.signIn("acme", "manager", "Admins")
	w.signIn("beta", "other")
	var v struct {
		Count  int
		People []struct{ Person struct{ Organization string } }
	}
	manager.call(http.MethodGet, "/access?role=viewer", "", &v)
	if v.Count != 1 || v.People[0].Person.Organization != "Acme" {
		t.Errorf("who = %+v", v)
	}
	if csv := manager.page("/access.csv?role=viewer"); strings.Contains(csv.text, "beta") {
		t.Errorf("csv = %s", csv.text)
	}
}

func TestWhatIfChangesNothing(t *testing.T) {
	w := newManagedWorld(t, storetest.SQLite(t), withData, revision.Approval{})
	s, carol := w.signIn("staff", "ada"), w.signIn("acme", "carol", "States")
	var v struct {
		WhatIf *struct {
			MayComeIn    bool
			Gains, Loses []string
		}
		Explanation struct{ PermissionGroups []any }
	}
	s.call(http.MethodGet, "/people/"+carol.id+"/why?with=M-XYZ&without=States", "", &v)
	if v.WhatIf == nil || !v.WhatIf.MayComeIn || !strings.Contains(strings.Join(v.WhatIf.Gains, " "), "permission group own") ||
		!strings.Contains(strings.Join(v.WhatIf.Loses, " "), "permission group us") {
		t.Errorf("what if = %+v", v.WhatIf)
	}
	contains(t, "out of everything", s.page("/people/"+carol.id+"/why?without=States"), "they may not come in", "− <bdi>may come in</bdi>")
	v.WhatIf = nil
	if s.call(http.MethodGet, "/people/"+carol.id+"/why", "", &v); v.WhatIf != nil {
		t.Error("an answer to no question")
	}
}
