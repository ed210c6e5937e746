package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"portcullis/admin"
	"portcullis/mapping"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestOnesOwnAccount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		one, two, three, other := w.signIn("acme", "ben"), w.signIn("acme", "ben"), w.signIn("acme", "ben"), w.signIn("acme", "carla")
		var account struct {
			Name     string
			Sessions []struct {
				ID  string
				Own bool
			}
		}
		one.call(http.MethodGet, "/account", "", &account)
		if account.Name != "Name of ben" || len(account.Sessions) != 3 {
			t.Fatalf("account = %+v", account)
		}
		page := one.page("/account").text
		if !strings.Contains(page, "Where you are signed in") || strings.Contains(page, `href="/.portcullis/admin/people"`) || strings.Contains(page, `href="/.portcullis/admin/"`) {
			t.Errorf("page = %s", page)
		}
		if got := other.call(http.MethodDelete, "/account/sessions/"+account.Sessions[0].ID, "", nil); got != http.StatusNotFound {
			t.Errorf("somebody else's session: %d, want 404", got)
		}
		if res := one.form("/account/sessions/end"); res.Header.Get("Location") != "/.portcullis/admin/account?done=own-sessions&ended=2" {
			t.Errorf("Location = %s", res.Header.Get("Location"))
		}
		for s, want := range map[*somebody]bool{one: true, two: false, three: false, other: true} {
			if _, err := w.sessions.Verify(t.Context(), s.cookies[0].Value); (err == nil) != want {
				t.Errorf("alive: %v, want %v", err == nil, want)
			}
		}
		if e := w.events(admin.EventQuery{Action: "session.ended", Limit: 1})[0]; e.Actor.ID != one.id || e.Person != one.id {
			t.Errorf("event = %+v", e)
		}
	})
}

func TestTimesAndNumbersAsSomebodyReadsThem(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s, other := w.signIn("staff", "ada", mapping.GateUsersView), w.signIn("staff", "bob", mapping.GateUsersView)
	if got := s.call(http.MethodPut, "/account/preferences", `{"zone":"Europe/Berlin","dates":"dmy","numbers":"dot"}`, nil); got != 200 {
		t.Fatalf("saving: %d", got)
	}
	for reader, want := range map[*somebody]string{s: "01.03.2026 13:00<", other: "2026-03-01 12:00 UTC<"} {
		if page := reader.page("/people").text; !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	for _, body := range []string{`{"zone":"../../etc/passwd"}`, `{"zone":"Local"}`, `{"dates":"x"}`, `{"numbers":"x"}`} {
		if got := s.call(http.MethodPut, "/account/preferences", body, nil); got != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", body, got)
		}
	}
	if page := s.page("/people").text; !strings.Contains(page, `<li><a href="/.portcullis/admin/people">People</a></li>`) {
		t.Error("whoever may see people does not find them in their account menu")
	}
}

func TestWhatAnOrganizationIsCalled(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		s := w.signIn("staff", "ada", mapping.GateUsersView, mapping.GateConnectionsEdit)
		if res := s.form("/settings", "organization", "Mandant", "organizations", "Mandanten"); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("saving: %d %s", res.StatusCode, res.text)
		}
		for _, path := range []string{"/people", "/people/" + s.id, "/new-connection", "/account"} {
			if page := s.page(path).text; !strings.Contains(page, "Mandant") || strings.Contains(page, ">Organization<") {
				t.Errorf("%s does not say Mandant:\n%s", path, page)
			}
		}
		var got struct {
			Settings []struct{ Name, Value, Author string }
			Facts    []struct{ Key, Value string } `json:"configuration"`
		}
		s.call(http.MethodGet, "/settings", "", &got)
		if got.Settings[0].Value != "Mandant" || got.Settings[0].Author != "Name of ada" || len(got.Facts) != 1 {
			t.Errorf("settings = %+v", got)
		}
		if e := w.events(admin.EventQuery{Action: "settings.changed", Limit: 1}); len(e) != 1 || e[0].Detail["organization"] != "Mandant" {
			t.Errorf("events = %+v", e)
		}
		s.call(http.MethodPut, "/settings", `{"organization":""}`, nil)
		if page := s.page("/people").text; !strings.Contains(page, ">Organization<") {
			t.Error("an empty name is not the usual one")
		}
		if got := s.call(http.MethodPut, "/settings", `{"organization":"`+strings.Repeat("x", 41)+`"}`, nil); got != http.StatusBadRequest {
			t.Errorf("a long name: %d, want 400", got)
		}
		for _, text := range hostile {
			if len(text) > 40 || strings.ContainsAny(text, "\r\n\u202e") {
				continue
			}
			s.form("/settings", "organization", text)
			if found := foreign(s.page("/people").text); found != nil {
				t.Errorf("the page holds %q", found)
			}
		}
	})
}
