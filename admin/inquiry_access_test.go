package admin_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/trace"
)

// Who has something by a mapping that is not in force is told of those whom the
// asker may see, and of the environment that they ask for.
func TestWhoHasSomethingByAMappingThatIsSent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		text := strings.Replace(rules(), "connection: acme, groups: [{name: Admins}]", "connection: acme, groups: [{name: '${team}'}]", 1) +
			"vars: {team: {prod: Admins, uat: Others}}\n"
		w := newManagedWorld(t, open(), text, revision.Approval{})
		sent := func(name string) []any {
			return []any{map[string]any{"name": "m.yaml", "text": strings.Replace(rules(), "connection: acme, groups: [{name: Admins}]", "connection: acme, groups: [{name: "+name+"}]", 1)}}
		}
		w.signIn("acme", "ben", "Admins")
		w.signIn("acme", "cleo", "Others")
		then := w.now
		w.now = w.now.Add(time.Hour)
		ada := w.signIn("staff", "ada", mapping.GateMappingPropose, mapping.GateAuditView)
		// They may read the log of their own people alone.
		narrow := w.signIn("staff", "narrow", mapping.GateMappingPropose, "Admins")
		type answer struct {
			Faults  []struct{ Message string }
			Mapping *struct{ Hash string }
			Count   int
			Next    int64
			People  []struct {
				Person struct{ UserName string }
				Rules  []string
			}
		}
		ask := func(s *somebody, query string, body map[string]any) (names []string, status int, a answer) {
			t.Helper()
			for after := int64(0); ; after = a.Next {
				a = answer{}
				status = s.call(http.MethodPost, "/access?"+query+"&limit=1&after="+strconv.FormatInt(after, 10), inquiry(t, body), &a)
				for _, h := range a.People {
					names = append(names, h.Person.UserName)
				}
				if a.Next == 0 {
					return names, status, a
				}
			}
		}
		past := "&at=" + then.Add(time.Minute).Format(time.RFC3339)
		for _, tc := range []struct {
			name, query string
			s           *somebody
			body        map[string]any
			want        string
		}{
			{"by a file", "role=client-admin", ada, map[string]any{"texts": sent("Others")}, "cleo narrow"},
			{"by another", "role=client-admin", ada, map[string]any{"texts": sent("Admins")}, "ben narrow"},
			{"by a file, then", "role=client-admin" + past, ada, map[string]any{"texts": sent("Others")}, "cleo"},
			{"by what is in force", "role=client-admin", ada, map[string]any{}, "ben narrow"},
			{"by what is in force, elsewhere", "role=client-admin", ada, map[string]any{"environment": "uat"}, "cleo narrow"},
			{"by what is in force, here", "role=client-admin", ada, map[string]any{"environment": "prod"}, "ben narrow"},
			{"by what was in force, elsewhere", "role=client-admin" + past, ada, map[string]any{"environment": "uat"}, "cleo"},
			{"of one's own people", "role=viewer", narrow, map[string]any{"texts": sent("Others")}, "ada narrow"},
		} {
			names, status, _ := ask(tc.s, tc.query, tc.body)
			if slices.Sort(names); status != http.StatusOK || strings.Join(names, " ") != tc.want {
				t.Errorf("%s: %d %v, want %s", tc.name, status, names, tc.want)
			}
		}
		for _, body := range []map[string]any{{"texts": []any{map[string]any{"name": "m.yaml", "text": "rules: {"}}}, {"environment": "nowhere"}} {
			if _, status, a := ask(ada, "role=viewer", body); status != http.StatusOK || len(a.Faults) == 0 || a.Mapping != nil || a.People != nil {
				t.Errorf("%v: %d %+v, want its mistakes alone", body, status, a)
			}
		}
		for _, tc := range []struct {
			name, query string
			s           *somebody
			body        map[string]any
			want        int
		}{
			{"nothing", "role=", ada, map[string]any{"texts": sent("x")}, 400},
			{"a role that the file does not have", "role=nowhere", ada, map[string]any{"texts": sent("x")}, 400},
			{"a row that is none", "row=x", ada, map[string]any{"texts": sent("x")}, 400},
			{"a member that is not there", "role=viewer", ada, map[string]any{"role": "viewer"}, 400},
			{"a page that is none", "role=viewer&after=x", ada, map[string]any{}, 400},
			{"without the log", "role=viewer", w.signIn("staff", "p", mapping.GateMappingPropose), map[string]any{}, 403},
			{"without proposing", "role=viewer", w.signIn("staff", "a", mapping.GateAuditView), map[string]any{}, 403},
			{"a client's auditor", "role=viewer", w.signIn("acme", "manager", "Admins"), map[string]any{}, 403},
		} {
			if status := tc.s.call(http.MethodPost, "/access?"+tc.query, inquiry(t, tc.body), nil); status != tc.want {
				t.Errorf("%s: %d, want %d", tc.name, status, tc.want)
			}
		}
	})
}

// Whole traces are given of those whom the asker may see, with what was not kept.
func TestWholeTracesAreOfThoseWhomTheAskerMaySee(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		auditor, manager := w.signIn("staff", "auditor", mapping.GateAuditView), w.signIn("acme", "manager", "Admins")
		var records []trace.Record
		for _, r := range []trace.Record{
			{Reference: "A1", Connection: "acme", Person: manager.id}, {Reference: "A2", Connection: "acme"}, {Reference: "B1", Connection: "beta"}, {Reference: "N1"},
		} {
			outcome := trace.Refused
			if r.Person != "" {
				outcome = trace.SignedIn
			}
			r.Decision = &trace.Decision{Verdict: "no", NearMisses: []string{"rule beta-admins"}}
			records = append(records, trace.Begin(r).End(w.now, outcome, "no", ""))
		}
		lost := []trace.Loss{{Hour: w.now.Truncate(time.Hour), Connection: "acme", Count: 3}, {Hour: w.now.Truncate(time.Hour), Connection: "beta", Count: 4}}
		if err := w.db.Traces().InsertTraces(t.Context(), records, lost, trace.Caps{trace.Stranger: 9, trace.Inside: 9}); err != nil {
			t.Fatal(err)
		}
		for _, tc := range []struct {
			name, query, want, lost string
			s                       *somebody
			near                    bool
		}{
			{"everything", "limit=1", "B1 A2 A1 N1", "acme 3 beta 4", auditor, true},
			{"of a connection", "connection=acme&limit=9", "A2 A1", "acme 3", auditor, true},
			{"what failed of it", "connection=acme&failed=yes", "A2", "acme 3", auditor, true},
			{"of one's own", "limit=2", "A2 A1", "acme 3", manager, false},
			{"of another's", "connection=beta", "", "", manager, false},
		} {
			var got, missing []string
			for next := int64(0); ; {
				var v struct {
					Traces []trace.Record
					Next   int64
					Lost   []struct {
						Connection string
						Count      int
					}
				}
				query := tc.query
				if next > 0 {
					query += "&before=" + strconv.FormatInt(next, 10)
				}
				if status := tc.s.call(http.MethodGet, "/traces?"+query, "", &v); status != http.StatusOK {
					t.Fatalf("%s: %d", tc.name, status)
				}
				missing = nil
				for _, l := range v.Lost {
					missing = append(missing, l.Connection, strconv.Itoa(l.Count))
				}
				for _, r := range v.Traces {
					if got = append(got, r.Reference); (len(r.Decision.NearMisses) > 0) != tc.near {
						t.Errorf("%s: what came close: %v", tc.name, r.Decision.NearMisses)
					}
				}
				if next = v.Next; next == 0 {
					break
				}
			}
			if strings.Join(got, " ") != tc.want || strings.Join(missing, " ") != tc.lost {
				t.Errorf("%s: %v, lost %v; want %s, lost %s", tc.name, got, missing, tc.want, tc.lost)
			}
		}
		if status := auditor.call(http.MethodGet, "/traces?limit=0", "", nil); status != http.StatusBadRequest {
			t.Errorf("none: %d, want 400", status)
		}
	})
}

// The history of a fragment is its own, however it came.
func TestTheHistoryOfOneFragment(t *testing.T) {
	w := newManagedWorld(t, storetest.SQLite(t), rules(), revision.Approval{})
	root := revision.Signer{Actor: audit.Actor{Kind: "operator", ID: "1", Name: "root"}}
	whole := []revision.Text{
		{Name: "mapping.yaml", Body: []byte("include: [clients/*.yaml]\n" + rules())},
		{Name: "clients/acme.yaml", Body: []byte("connection: acme\nrules: [{id: more, match: {groups: [{name: More}]}, grant: {roles: [viewer]}}]\n")},
	}
	if _, _, err := w.mounted.Apply(t.Context(), root, whole, "a file of its own"); err != nil {
		t.Fatal(err)
	}
	w.follow()
	s := w.signIn("staff", "ada", mapping.GateMappingView)
	d := openAPI(t)
	var history struct {
		History []struct {
			Reason  string
			InForce bool
		}
	}
	const path = "/mapping/history?fragment=acme&limit=5"
	var got any
	if status := s.call(http.MethodGet, path, "", &got); status != http.StatusOK {
		t.Fatalf("%s: %d", path, status)
	}
	for _, wrong := range d.against(d.Paths["/mapping/history"]["get"].Responses["200"].Content["application/json"].Schema, got, "answer") {
		t.Errorf("%s: %s", path, wrong)
	}
	s.call(http.MethodGet, path, "", &history)
	if len(history.History) != 1 || history.History[0].Reason != "a file of its own" || !history.History[0].InForce {
		t.Errorf("history = %+v, want the fragment's own", history)
	}
	for query, want := range map[string]int{"fragment=beta": 404, "fragment=acme&limit=0": 400} {
		if status := s.call(http.MethodGet, "/mapping/history?"+query, "", nil); status != want {
			t.Errorf("%s: %d, want %d", query, status, want)
		}
	}
}
