package admin_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
	"portcullis/store/storetest"
)

// told is what somebody is told of people when they ask about a mapping.
type told struct {
	People, Touched, Gain, Lose, More int
	Bound                             bool `json:"ofThoseYouMaySee"`
	Changes                           []struct{ ID, Name string }
}

// A rule about one person is a question about them. Whoever sees people around
// them alone is told of those, whatever they ask, and by whatever way.
func TestADraftTellsOfNobodyWhomItsAuthorMayNotSee(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		none := 0.0
		w := newManagedWorld(t, open(), rules(), revision.Approval{PeopleOver: &none})
		w.ledger.Reach = func(context.Context, *mapping.Policy, *mapping.Policy) (*revision.Counts, error) {
			return &revision.Counts{People: 7, Changed: 2, Gained: 1, Lost: 1}, nil
		}
		w.mount(revision.NewLedger(w.ledger))
		w.signIn("acme", "ben", "Admins")
		tasks := []string{mapping.GateMappingPropose, mapping.GateMappingView}
		ada := w.signIn("staff", "ada", append(tasks, mapping.GateUsersView)...)
		cleo := w.signIn("staff", "cleo", "Secret")
		narrow := w.signIn("staff", "narrow", append(tasks, "Admins")...)
		part, err := w.dir.AddUnit(t.Context(), root, "Staff", "", "Desk")
		if err != nil {
			t.Fatal(err)
		}
		bound := w.place(w.signIn("staff", "bound", append(tasks, "Admins")...), part.ID)
		blind := w.signIn("staff", "blind", tasks...)
		less, _ := bound.program(root, tasks...) // without the right to see people
		stands := w.place(w.signIn("staff", "stands", tasks...), part.ID)

		text := ada.inForce() + "  - {id: spy, match: {connection: staff, groups: [{name: Secret}]}, grant: {roles: [helper]}}\n" +
			"  - {id: other, match: {connection: acme, groups: [{name: Admins}]}, deny: {roles: [client-admin]}}\n"
		check := func(s *somebody) (v struct {
			Effect told
			Needs  []string `json:"needsApproval"`
		},
		) {
			t.Helper()
			if got := s.call(http.MethodPost, "/mapping/check", inquiry(t, map[string]any{"text": text, "names": true}), &v); got != 200 {
				t.Fatalf("check = %d", got)
			}
			return v
		}
		compare := func(s *somebody) told {
			t.Helper()
			var v struct{ Difference told }
			s.call(http.MethodPost, "/mapping/compare", inquiry(t, map[string]any{"new": []any{map[string]any{"name": "mapping.yaml", "text": text}}}), &v)
			return v.Difference
		}
		for name, tc := range map[string]struct {
			who                         *somebody
			people, touched, gain, lose int
			bound                       bool
			named                       int
		}{
			"who sees everybody":                    {ada, 7, 2, 1, 1, false, 2},
			"who sees nobody":                       {blind, 7, 2, 1, 1, false, 0},
			"who sees their organization":           {narrow, 6, 1, 1, 0, true, 1},
			"who sees a part of it":                 {bound, 2, 0, 0, 0, true, 0},
			"a token of theirs that sees nobody":    {less, 2, 0, 0, 0, true, 0},
			"who sees nobody, and stands in a part": {stands, 2, 0, 0, 0, true, 0},
		} {
			v := check(tc.who)
			for what, got := range map[string]told{"check": v.Effect, "compare": compare(tc.who)} {
				if got.People != tc.people || got.Touched != tc.touched || got.Gain != tc.gain || got.Lose != tc.lose || got.Bound != tc.bound || len(got.Changes) != tc.named || got.More != tc.touched-tc.named {
					t.Errorf("%s: %s = %+v, want %+v", name, what, got, tc)
				}
			}
			if numbers := strings.Contains(strings.Join(v.Needs, " "), "2 of 7 people"); numbers == tc.bound {
				t.Errorf("%s: needs %q", name, v.Needs)
			}
		}
		if got := check(narrow).Effect.Changes; len(got) != 1 || got[0].ID != cleo.id {
			t.Errorf("who sees their organization is told of %+v, want cleo", got)
		}
		contains(t, "the page", bound.form("/mapping/edit", "file", "mapping.yaml", "text", text, "do", "check"), "of those you may see", "Nobody of 2 people gets anything else")
		if page := ada.form("/mapping/edit", "file", "mapping.yaml", "text", text, "do", "check").text; strings.Contains(page, "of those you may see") {
			t.Error("whoever sees everybody is told that they do not")
		}
		var covered struct {
			Coverage struct {
				People int
				Unhit  []struct{ Name string }
			}
		}
		body := inquiry(t, map[string]any{"texts": []any{map[string]any{"name": "mapping.yaml", "text": text}}})
		if bound.call(http.MethodPost, "/mapping/coverage", body, &covered); covered.Coverage.People != 2 || len(covered.Coverage.Unhit) == 0 {
			t.Errorf("coverage = %+v, want that of 2 people", covered)
		}
		unhit := func(name string) (yes bool) {
			for _, p := range covered.Coverage.Unhit {
				yes = yes || p.Name == name
			}
			return yes
		}
		if !unhit("spy") || !unhit("other") {
			t.Errorf("coverage tells that a rule matches somebody else: %+v", covered)
		}
		tellsNobodyElse(t, bound, ada)
		proposed(t, bound, ada, text)
		auditor := w.place(w.signIn("staff", "auditor", append(tasks, "Admins", mapping.GateAuditView)...), part.ID)
		var held struct {
			People []struct{ Person struct{ UserName string } }
		}
		if auditor.call(http.MethodPost, "/access?role=helper", body, &held); len(held.People) != 0 {
			t.Errorf("whoever reads everybody's log is told by a mapping that they send of %+v", held.People)
		}
	})
}

// tellsNobodyElse looks at what is in force.
func tellsNobodyElse(t *testing.T, bound, all *somebody) {
	t.Helper()
	count := func(s *somebody) (n int, more bool) {
		var v struct {
			Roles []struct {
				Name   string
				People int
				Rules  []struct{ People int }
			}
			Bound bool `json:"ofThoseYouMaySee"`
		}
		s.call(http.MethodGet, "/roles", "", &v)
		for _, r := range v.Roles {
			if r.Name == "viewer" {
				n = r.People
				if len(r.Rules) != 1 || r.Rules[0].People != n {
					t.Errorf("rules of viewer = %+v", r.Rules)
				}
			}
		}
		return n, v.Bound
	}
	if n, told := count(all); n != 7 || told {
		t.Errorf("viewers for whoever sees everybody = %d, %v", n, told)
	}
	if n, told := count(bound); n != 2 || !told {
		t.Errorf("viewers for whoever sees two people = %d, %v", n, told)
	}
	var pair struct{ PeopleA, PeopleBoth int }
	if bound.call(http.MethodGet, "/roles/compare?a=viewer&b=helper", "", &pair); pair.PeopleA != 2 {
		t.Errorf("compared = %+v, want 2 people", pair)
	}
	for _, page := range []string{"/roles", "/permission-groups", "/roles/compare?a=viewer&b=helper", "/mapping/coverage"} {
		contains(t, page, bound.page(page), "of those you may see")
	}
}

// proposed looks at what a proposal, and what came of it, says to whom.
func proposed(t *testing.T, bound, all *somebody, text string) {
	t.Helper()
	var done struct{ ID string }
	if got := bound.call(http.MethodPost, "/mapping/propose", inquiry(t, map[string]any{"text": text, "reason": "why"}), &done); got != 200 {
		t.Fatalf("propose = %d", got)
	}
	hash := ""
	for _, e := range bound.w.events(admin.EventQuery{Action: string(audit.MappingProposed), Limit: 1}) {
		hash = e.Detail["revision"]
	}
	look := func(at string) {
		t.Helper()
		for who, s := range map[string]*somebody{"all": all, "bound": bound} {
			res := s.send(http.MethodGet, admin.APIPrefix+at, nil, nil)
			if told := strings.Contains(res.text, "f 7 people") || strings.Contains(res.text, `"people":7`); res.StatusCode != http.StatusOK || told != (who == "all") {
				t.Errorf("%s for %s: status = %d, tells the numbers: %v\n%s", at, who, res.StatusCode, told, res.text)
			}
			if who == "bound" && strings.HasPrefix(at, "/approvals") && !strings.Contains(res.text, "more than 0 % of the people") {
				t.Errorf("%s: %s, want why it needs an approval", at, res.text)
			}
		}
	}
	for _, at := range []string{"/approvals", "/mapping", "/mapping/" + hash, "/approvals.csv"} {
		look(at)
	}
	// A refusal gives the reason, and is no way around that.
	for who, s := range map[string]*somebody{"all": all, "bound": bound} {
		for _, refused := range []answer{
			s.send(http.MethodPost, admin.APIPrefix+"/mapping/"+hash+"/apply", nil, strings.NewReader(`{}`)), s.form("/mapping/" + hash + "/apply"),
		} {
			if told := strings.Contains(refused.text, "2 of 7 people"); refused.StatusCode != http.StatusForbidden || told != (who == "all") || !strings.Contains(refused.text, "more than 0 %") {
				t.Errorf("apply by %s: status = %d, tells the numbers: %v\n%s", who, refused.StatusCode, told, refused.text)
			}
		}
	}
	second := revision.Signer{Actor: audit.Actor{Kind: "operator", ID: "2", Name: "second"}}
	if _, err := bound.w.mounted.Approve(t.Context(), second, hash); err != nil {
		t.Fatal(err)
	}
	if _, _, err := bound.w.mounted.ApplyKnown(t.Context(), second, hash, ""); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"/approvals", "/mapping", "/mapping/" + hash, "/approvals.csv", "/mapping/history", "/mapping/history.csv"} {
		look(at)
	}
}
