package admin_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/trace"
	"portcullis/web"
)

// sheetAt reads an export.
func (s *somebody) sheetAt(path string) [][]string {
	s.w.t.Helper()
	res := s.page(path)
	rows, err := csv.NewReader(strings.NewReader(res.text)).ReadAll()
	if res.StatusCode != http.StatusOK || err != nil || len(rows) == 0 || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment") {
		s.w.t.Fatalf("%s: status = %d, %v: %s", path, res.StatusCode, err, res.text)
	}
	for _, row := range rows {
		if len(row) != len(rows[0]) {
			s.w.t.Errorf("%s: %d cells in a row of %d", path, len(row), len(rows[0]))
		}
	}
	return rows[1:]
}

// The whole history can be read, page by page and as a table.
func TestTheHistoryGoesBackToTheBeginning(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newManagedWorld(t, open(), withData, revision.Approval{})
		l := revision.NewLedger(w.ledger)
		root := revision.Signer{Actor: audit.Actor{Kind: "operator", ID: "1", Name: "=root"}}
		const more = 119
		for i := range more {
			texts := []revision.Text{{Name: "mapping.yaml", Body: fmt.Appendf([]byte(withData), "# %d\n", i)}}
			if _, _, err := l.Apply(t.Context(), root, texts, fmt.Sprintf("change %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		w.follow()
		s := w.signIn("staff", "ada")
		type page struct {
			History []struct {
				Reason  string
				InForce bool
			}
			Next int64
		}
		var seen []string
		var v page
		s.call(http.MethodGet, "/mapping", "", &v)
		for first := true; ; first = false {
			for i, x := range v.History {
				seen = append(seen, x.Reason)
				if x.InForce != (first && i == 0) {
					t.Errorf("%s: in force = %v", x.Reason, x.InForce)
				}
			}
			if v.Next == 0 {
				break
			}
			next := v.Next
			v = page{}
			if got := s.call(http.MethodGet, fmt.Sprintf("/mapping/history?before=%d", next), "", &v); got != http.StatusOK {
				t.Fatalf("status = %d", got)
			}
		}
		if len(seen) != more+1 || seen[0] != "change 118" || seen[more] != "the beginning" {
			t.Errorf("history = %v", seen)
		}
		if rows := s.sheetAt("/mapping/history.csv"); len(rows) != more+1 || rows[0][7] != "change 118" || rows[0][5] != "'=root" {
			t.Errorf("csv has %d rows, the first is %v", len(rows), rows[0])
		}
		contains(t, "the mapping", s.page("/mapping"), "/mapping/history?before=", "Older", "change 118")
		contains(t, "older ones", s.page("/mapping/history?before=20"), "change 17")
		if got := s.call(http.MethodGet, "/mapping/history?before=x", "", nil); got != http.StatusBadRequest {
			t.Errorf("a wrong number: status = %d", got)
		}
	})
}

// Every table can be taken along.
func TestTablesAreExported(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w, ada, ben := desk(t, open())
		res := ada.form("/mapping/edit", "file", "mapping.yaml", "text", ada.inForce()+"# x\n", "do", "propose", "reason", "=x")
		to, _, _ := strings.Cut(strings.TrimPrefix(res.Header.Get("Location"), web.ConsolePrefix), "?")
		if rows := ben.sheetAt("/approvals.csv"); len(rows) != 2 || rows[0][1] != "waiting" || rows[0][6] != "'=x" {
			t.Errorf("waiting = %v", rows)
		}
		if got := ben.call(http.MethodPost, to+"/decline", `{"reason":"no"}`, nil); got != http.StatusOK {
			t.Fatalf("status = %d", got)
		}
		w.now = w.now.AddDate(0, 3, 0)
		ben = w.signIn("staff", "ben", mapping.GateMappingView)
		if rows := ben.sheetAt("/approvals.csv"); len(rows) != 2 || rows[0][1] != string(audit.MappingDeclined) || rows[0][6] != "no" {
			t.Errorf("decided = %v", rows)
		}
		roles := ben.sheetAt("/roles.csv")
		if len(roles) != len(w.keeper.Policy().Roles()) || !strings.Contains(fmt.Sprint(roles), "everybody (mapping.yaml:") {
			t.Errorf("roles = %v", roles)
		}
		var attempts []trace.Record
		var entries []scim.Entry
		for i := range 1050 { // more than an export reads at once
			conn := []string{"acme", "beta"}[i%2]
			b := trace.Begin(trace.Record{Reference: fmt.Sprintf("R%d", i), Connection: conn, Protocol: "oidc"})
			attempts = append(attempts, b.End(w.now.Add(time.Duration(i)*time.Second), trace.Refused, "x", ""))
			entries = append(entries, scim.Entry{At: w.now, Connection: conn, Method: "GET", Path: "/Users", Status: 200 + i%3*100})
		}
		if err := w.db.Traces().InsertTraces(t.Context(), attempts, nil, trace.Caps{attempts[0].Class(): 9999}); err != nil {
			t.Fatal(err)
		}
		if err := w.db.Journal().AppendJournal(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
		auditor := w.signIn("staff", "eve", mapping.GateAuditView)
		for path, want := range map[string]int{
			"/sign-ins.csv": 1050, "/sign-ins.csv?connection=acme": 525, "/provisioning.csv": 1050, "/provisioning.csv?connection=beta": 525,
			"/provisioning.csv?failed=yes": 350,
		} {
			if got := len(auditor.sheetAt(path)); got != want {
				t.Errorf("%s has %d rows, want %d", path, got, want)
			}
		}
		manager := w.signIn("acme", "manager", "Admins")
		for _, path := range []string{"/sign-ins.csv", "/provisioning.csv", "/provisioning.csv?connection=beta", "/sign-ins.csv?connection=beta"} {
			rows := manager.sheetAt(path)
			if strings.Contains(fmt.Sprint(rows), "beta") || strings.Contains(path, "beta") != (len(rows) == 0) {
				t.Errorf("%s shows another organization: %d rows", path, len(rows))
			}
		}
		all := w.signIn("staff", "all", tasks()...)
		sheets := 0
		for _, route := range w.console.Routes() {
			if !strings.HasSuffix(route.Page, ".csv") {
				continue
			}
			sheets++
			page, api := all.page(route.Page+"?role=viewer"), all.send(http.MethodGet, admin.APIPrefix+route.Page+"?role=viewer", nil, nil)
			if api.StatusCode != page.StatusCode || api.text != page.text || api.Header.Get("Content-Type") != page.Header.Get("Content-Type") {
				t.Errorf("%s for a script: %d %s, want as for a browser: %d", route.Page, api.StatusCode, api.Header.Get("Content-Type"), page.StatusCode)
			}
		}
		if sheets < 11 {
			t.Errorf("%d sheets", sheets)
		}
		for _, path := range []string{"/roles.csv", "/approvals.csv", "/permission-groups.csv", "/mapping/history.csv"} {
			if res := manager.page(path); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s for a client's manager: status = %d, want 403", path, res.StatusCode)
			}
		}
	})
}

// A permission group stands in its table as on its page.
func TestPermissionGroupsAreExported(t *testing.T) {
	w := newManagedWorld(t, storetest.SQLite(t), withData, revision.Approval{})
	rows := w.signIn("staff", "ada").sheetAt("/permission-groups.csv?row=country%3DUS")
	if len(rows) == 0 || !strings.Contains(fmt.Sprint(rows), "states (mapping.yaml:") || rows[0][9] == "" {
		t.Errorf("rows = %v", rows)
	}
}
