package admin_test

import (
	"encoding/base64"
	"encoding/csv"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/mapping"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/web"
)

type accessJSON struct {
	Roles []string `json:"roles"`
	Tasks []string `json:"tasks"`
}

func (w *world) access(s *somebody, id string) (a accessJSON) {
	w.t.Helper()
	s.call(http.MethodGet, "/people/"+id, "", &a)
	return a
}

func TestARoleForATime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		s, ben := w.signIn("staff", "ada", mapping.GateUsersView, mapping.GateRolesAssign, mapping.GateAuditView), w.signIn("acme", "ben")
		page := s.page("/people/" + ben.id + "/exceptions").text
		for _, want := range []string{"<option>helper</option>", "<option>boss</option>", `min="2026-03-01"`, "no role beside"} {
			if !strings.Contains(page, want) {
				t.Errorf("the form does not hold %s", want)
			}
		}
		res := s.form("/people/"+ben.id+"/exceptions", "role", "helper", "until", "2026-03-04", "reason", "covers for <b>Cy</b>")
		if got, want := res.Header.Get("Location"), web.ConsolePrefix+"/people/"+ben.id+"/exceptions?count=1&done=except"; got != want {
			t.Fatalf("Location = %q, want %q: %s", got, want, res.text)
		}
		if got := w.access(s, ben.id); !slices.Equal(got.Roles, []string{"helper", "viewer"}) || !slices.Contains(got.Tasks, "account.help") {
			t.Errorf("access = %+v", got)
		}
		if p, err := w.sessions.Verify(t.Context(), ben.cookies[0].Value); err != nil || !slices.Contains(p.Access.Roles, "helper") {
			t.Errorf("in the session: %+v, %v", p, err)
		}
		why := s.page("/people/" + ben.id + "/why").text
		if !strings.Contains(why, "exception until") || !strings.Contains(why, "covers for &lt;b&gt;Cy&lt;/b&gt;") || strings.Contains(why, "<b>Cy") {
			t.Errorf("why = %s", why)
		}
		e := w.events(admin.EventQuery{Action: "exception.granted", Limit: 1})[0]
		if e.Actor.ID != s.id || e.Person != ben.id || e.Detail["role"] != "helper" || e.Detail["until"] != "2026-03-05T00:00:00Z" {
			t.Errorf("event = %+v", e)
		}
		var list struct{ Exceptions []struct{ ID, State string } }
		s.call(http.MethodGet, "/people/"+ben.id+"/exceptions", "", &list)
		if len(list.Exceptions) != 1 || list.Exceptions[0].State != "running" {
			t.Fatalf("exceptions = %+v", list)
		}
		w.now = w.now.Add(4 * 24 * time.Hour)
		s, ben = w.signIn("staff", "ada", mapping.GateUsersView, mapping.GateRolesAssign), w.signIn("acme", "ben")
		if got := w.access(s, ben.id); slices.Contains(got.Roles, "helper") {
			t.Errorf("after the end: %+v", got)
		}
		if s.call(http.MethodGet, "/people/"+ben.id+"/exceptions", "", &list); list.Exceptions[0].State != "ended" {
			t.Errorf("exceptions = %+v", list)
		}
		for body, want := range map[string]int{
			`{"role":"helper","until":"2026-03-04","reason":"x"}`:           http.StatusBadRequest, // past
			`{"role":"helper","until":"tomorrow","reason":"x"}`:             http.StatusBadRequest,
			`{"role":"helper","until":"2026-03-09"}`:                        http.StatusBadRequest,
			`{"role":"boss","until":"2026-03-09","reason":"x"}`:             http.StatusConflict, // above the ceiling
			`{"role":"viewer","until":"2026-03-09","reason":"x"}`:           http.StatusForbidden,
			`{"role":"nothing","until":"2026-03-09","reason":"x"}`:          http.StatusForbidden,
			`{"role":"helper","until":"2026-03-09T10:00:00Z","reason":"x"}`: http.StatusOK,
		} {
			if got := s.call(http.MethodPost, "/people/"+ben.id+"/exceptions", body, nil); got != want {
				t.Errorf("%s: status = %d, want %d", body, got, want)
			}
		}
		if got := s.call(http.MethodPost, "/people/"+s.id+"/exceptions", `{"role":"helper","until":"2026-03-09","reason":"x"}`, nil); got != http.StatusForbidden {
			t.Errorf("to oneself: status = %d, want 403", got)
		}
		s.call(http.MethodGet, "/people/"+ben.id+"/exceptions", "", &list)
		if res := s.form("/people/" + ben.id + "/exceptions/" + list.Exceptions[0].ID + "/revoke"); res.StatusCode != http.StatusSeeOther {
			t.Errorf("taking back: status = %d: %s", res.StatusCode, res.text)
		}
		if got := w.access(s, ben.id); slices.Contains(got.Roles, "helper") {
			t.Errorf("after taking back: %+v", got)
		}
	})
}

// A client's manager hands out what was made assignable, at home alone.
func TestAClientsManagerGrantsAtHomeAlone(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	manager, mate, other, staff := w.signIn("acme", "manager", "Admins"), w.signIn("acme", "mate"), w.signIn("beta", "other"), w.signIn("staff", "cy")
	order := func(role string) string { return `{"role":"` + role + `","until":"2026-03-04","reason":"x"}` }
	for _, tc := range []struct {
		who  *somebody
		role string
		want int
	}{
		{mate, "helper", 200},
		{mate, "boss", 403},
		{mate, "client-admin", 403},
		{mate, "has-gate.users.view", 403},
		{other, "helper", 404},
		{staff, "helper", 404},
		{manager, "helper", 403},
	} {
		if got := manager.call(http.MethodPost, "/people/"+tc.who.id+"/exceptions", order(tc.role), nil); got != tc.want {
			t.Errorf("%s to %s: status = %d, want %d", tc.role, tc.who.id, got, tc.want)
		}
	}
	// A role for one's own organization hands out there alone, whatever else
	// gives the right.
	both := w.signIn("staff", "both", "Admins", mapping.GateRolesAssign)
	if got := both.call(http.MethodPost, "/people/"+other.id+"/exceptions", order("boss"), nil); got == 200 {
		t.Error("a role that the ceiling does not list was granted")
	}
	glass := w.open()
	if got := glass.call(http.MethodPost, "/people/"+other.id+"/exceptions", order("helper"), nil); got != 200 {
		t.Errorf("by the link: status = %d", got)
	}
	if got := manager.call(http.MethodDelete, "/people/"+other.id+"/exceptions/"+exceptionOf(t, w, other.id), "", nil); got != 404 {
		t.Errorf("taking back at another's: status = %d, want 404", got)
	}
	if got := manager.call(http.MethodDelete, "/people/"+mate.id+"/exceptions/"+exceptionOf(t, w, other.id), "", nil); got != 404 {
		t.Errorf("another's exception under the name of one's own: status = %d, want 404", got)
	}
}

// Whatever a client's manager asks, nobody of another client is in the
// answer, nor how many they are.
func TestNoQuestionLeadsToAnotherClient(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		manager := w.signIn("acme", "manager", "Admins")
		for _, name := range []string{"anna", "mona", "zoe"} {
			w.signIn("acme", name)
			for _, of := range []string{"beta", "staff"} {
				w.signIn(of, name+"-secret")
			}
		}
		place := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
		questions := []string{""}
		for _, sort := range []string{"name", "email", "active", "created"} {
			for _, order := range []string{"", "desc"} {
				for _, after := range []string{"", place("0 "), place("1 name of anna-secret"), place("9 name of mona-secret"), place("99999 ~"), place("-1 0")} {
					questions = append(questions, "?sort="+sort+"&order="+order+"&after="+after)
				}
			}
		}
		for _, q := range []string{
			"q=secret", "q=beta.example", "q=name+of", "organization=Beta", "organization=Staff", "connection=beta", "connection=staff", "state=never",
			"role=viewer", "role=viewer&q=secret", "role=viewer&organization=Beta", "role=viewer&after=" + place("1 1"), "role=has-gate.users.view", "source=sso", "q=%25", "q=_", "q=%27%20OR%201=1--",
		} {
			questions = append(questions, "?"+q)
		}
		for _, q := range questions {
			for _, path := range []string{"/people", "/people.csv"} {
				res := manager.page(path + q)
				if res.StatusCode != http.StatusOK && (res.StatusCode != http.StatusBadRequest || !strings.Contains(q, "after")) {
					t.Errorf("%s%s: status = %d", path, q, res.StatusCode)
				}
				text := strings.ReplaceAll(res.text, `value="secret"`, "")
				text = strings.NewReplacer("q=secret", "", "q=beta.example", "").Replace(text)
				if strings.Contains(text, "-secret") || strings.Contains(text, "@beta.example") || strings.Contains(text, "Staff</bdi>") {
					t.Errorf("%s%s leads to another client: %s", path, q, res.text)
				}
			}
			var list struct {
				People   []struct{ Organization string }
				Examined int
			}
			if manager.call(http.MethodGet, "/people"+q, "", &list); list.Examined > 4 {
				t.Errorf("%s tells that there are %d people", q, list.Examined)
			}
			for _, p := range list.People {
				if p.Organization != "Acme" {
					t.Errorf("%s: %+v", q, p)
				}
			}
		}
		var home struct {
			People struct{ All, Locked, Deactivated int }
		}
		if manager.call(http.MethodGet, "/summary", "", &home); home.People.All != 4 {
			t.Errorf("people = %+v, want the four of Acme", home.People)
		}
		rows, err := csv.NewReader(strings.NewReader(manager.page("/people.csv").text)).ReadAll()
		if err != nil || len(rows) != 5 {
			t.Errorf("export = %v, %v", rows, err)
		}
		if text := manager.page("/audit.csv").text; strings.Contains(text, "beta") || strings.Contains(text, "secret") {
			t.Errorf("audit export = %s", text)
		}
	})
}
