package admin_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"portcullis/mapping"
	"portcullis/store"
	"portcullis/store/storetest"
)

// inquiry is what a script asks of files that it sends.
func inquiry(t *testing.T, members map[string]any) string {
	t.Helper()
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Mappings that are sent are held against everybody, and nobody is named to whom
// not everybody is shown.
func TestWhoeverAsksOfAMappingLearnsOfThoseThatTheyMaySee(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		ben := w.signIn("acme", "ben", "Admins")
		other := []any{map[string]any{"name": "m.yaml", "text": strings.Replace(rules(), "name: Admins", "name: Others", 1)}}
		ada := w.signIn("staff", "ada", mapping.GateMappingPropose, mapping.GateMappingView, mapping.GateUsersView)
		blind := w.signIn("staff", "blind", mapping.GateMappingPropose, mapping.GateMappingView)
		// They may see their own people alone, and the whole mapping.
		narrow := w.signIn("staff", "narrow", mapping.GateMappingPropose, mapping.GateMappingView, "Admins")

		type answer struct {
			Faults     []struct{ File, Message string }
			Difference *struct {
				People, Touched, Lose, More int
				Changes                     []struct {
					ID, Person string
					RolesLost  []string
				}
			}
			Explanation *struct{ Verdict string }
			Text, Bar   string
			Mapping     struct{ Hash string }
		}
		ask := func(s *somebody, path string, members map[string]any) (a answer, status int) {
			t.Helper()
			status = s.call(http.MethodPost, "/mapping/"+path, inquiry(t, members), &a)
			return a, status
		}
		if a, _ := ask(ada, "compare", map[string]any{"new": other}); a.Difference == nil || a.Difference.Touched != 1 || a.Difference.Lose != 1 || a.Difference.More != 0 ||
			len(a.Difference.Changes) != 1 || a.Difference.Changes[0].Person != "ben" || a.Difference.Changes[0].ID != ben.id || a.Difference.Changes[0].RolesLost[0] != "client-admin" {
			t.Errorf("compared with what is in force: %+v, want that ben loses", a)
		}
		if a, _ := ask(blind, "compare", map[string]any{"new": other}); a.Difference == nil || a.Difference.Touched != 1 || len(a.Difference.Changes) != 0 || a.Difference.More != 1 {
			t.Errorf("for whoever may see nobody: %+v, want numbers alone", a)
		}
		if a, _ := ask(narrow, "compare", map[string]any{"new": other}); a.Difference == nil || a.Difference.People != 3 || a.Difference.Touched != 0 {
			t.Errorf("for whoever may see their own organization: %+v, want nothing of another", a)
		}
		broken := []any{map[string]any{"name": "m.yaml", "text": "version: 1\ninclude: [x.yaml]\n"}, map[string]any{"name": "x.yaml", "text": "{"}}
		if a, _ := ask(ada, "compare", map[string]any{"old": broken, "new": other}); len(a.Faults) == 0 || a.Difference != nil {
			t.Errorf("compared with something broken: %+v, want its mistakes", a)
		}
		unknown := []any{map[string]any{"name": "m.yaml", "text": strings.Replace(rules(), "connections:\n", "connections:\n  nowhere: {ceiling: unrestricted}\n", 1)}}
		if a, _ := ask(ada, "compare", map[string]any{"new": unknown}); len(a.Faults) == 0 {
			t.Errorf("a connection that is not there: %+v, want a mistake", a)
		}
		if a, _ := ask(ada, "compare", map[string]any{"old": unknown, "new": other}); len(a.Faults) != 0 {
			t.Errorf("a connection that is not there any more: %+v", a)
		}

		if a, status := ask(ada, "explain", map[string]any{"person": ben.id, "texts": other}); status != 200 || strings.Contains(a.Text, "yes acme-admins") || a.Mapping.Hash == "" {
			t.Errorf("ben by another mapping: %d %+v", status, a)
		}
		if a, status := ask(ada, "explain", map[string]any{"person": ben.id}); status != 200 || !strings.Contains(a.Text, "yes acme-admins") || a.Bar != "" {
			t.Errorf("ben by what is in force: %d %+v", status, a)
		}
		for _, tc := range []struct {
			name    string
			s       *somebody
			members map[string]any
			status  int
		}{
			{"somebody, without the task", blind, map[string]any{"person": ben.id}, 403},
			{"somebody of another organization", narrow, map[string]any{"person": ben.id}, 404},
			{"somebody of one's own", narrow, map[string]any{"person": ada.id}, 200},
			{"facts", blind, map[string]any{"facts": map[string]any{"connection": "acme", "groups": []string{"Admins"}}}, 200},
			{"nothing", ada, map[string]any{}, 400},
			{"both", ada, map[string]any{"person": ben.id, "facts": map[string]any{"connection": "acme"}}, 400},
			{"facts that are none", ada, map[string]any{"facts": map[string]any{"groups": 1}}, 400},
			{"an environment of what is in force", ada, map[string]any{"person": ben.id, "environment": "uat"}, 200},
			{"a time to come", ada, map[string]any{"person": ben.id, "at": "2027-01-01"}, 400},
			{"before they were there", ada, map[string]any{"person": ben.id, "at": "2020-01-01"}, 404},
			{"a member that is not there", ada, map[string]any{"who": ben.id}, 400},
		} {
			if _, status := ask(tc.s, "explain", tc.members); status != tc.status {
				t.Errorf("explain %s: status = %d, want %d", tc.name, status, tc.status)
			}
		}
		// Of where the gate's files are, nobody need know.
		near := ada.send(http.MethodPost, "/.portcullis/api/v1/mapping/explain", nil,
			strings.NewReader(inquiry(t, map[string]any{"facts": map[string]any{"connection": "beta", "groups": []string{"admins"}}})))
		if !strings.Contains(near.text, `"nearMisses":[{`) || strings.Contains(near.text, "/mapping.yaml") {
			t.Errorf("what came close: %s, want it with the bare names of files", near.text)
		}
		if _, status := ask(ada, "compare", map[string]any{}); status != http.StatusBadRequest {
			t.Errorf("compare nothing: status = %d, want 400", status)
		}
	})
}
