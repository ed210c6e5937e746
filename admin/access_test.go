package admin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/web"
)

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
		if lines := strings.Split(strings.TrimSpace(csv.text), "\r\n"); csv.StatusCode != http.StatusOK || len(lines) != 2 || !strings.Contains(lines[1], carol.id) ||
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
