package admin_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/mapping"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/web"
)

// filled makes an address of a route's pattern.
func filled(pattern, person string) string {
	return strings.NewReplacer(
		":id", person, ":session", "s", ":exception", "x", ":reference", "R", ":number", "999", ":revision", "1", ":connection", "acme",
		":token", "t", ":test", "t", ":unit", "u",
	).Replace(pattern)
}

// ways are the ways to a route: its page and its call.
func ways(r admin.Route, person string) (out [][2]string) {
	if r.Page != "" {
		out = append(out, [2]string{r.Method, web.ConsolePrefix + filled(r.Page, person)})
	}
	if r.API != "" {
		out = append(out, [2]string{r.Verb, admin.APIPrefix + filled(r.API, person)})
	}
	return out
}

// Every route × every right × nobody: what one has no right to is not there.
func TestARouteIsThereForItsRightAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		victim := w.signIn("beta", "victim")
		holders := map[string]*somebody{"nobody": w.nobody(), "none": w.signIn("acme", "plain"), "glass": w.open()}
		for _, task := range mapping.GateTasks() {
			holders[task.Name] = w.signIn("staff", "holder of "+task.Name, task.Name)
		}
		routes := w.console.Routes()
		if len(routes) < 30 {
			t.Fatalf("%d routes", len(routes))
		}
		for _, route := range routes {
			for _, way := range ways(route, victim.id) {
				for who, s := range holders {
					if who == "glass" && strings.Contains(way[1], "/close") {
						continue
					}
					res := s.send(way[0], way[1], nil, strings.NewReader(""))
					want := "in"
					switch {
					case who == "nobody", route.Right == admin.Setup: // that is for nobody who has rights
						want = "401"
					case who == "none":
						want = "404"
						if route.Right == admin.Self {
							want = "in"
						}
					case route.Right == admin.Self:
						want = "in"
						if who == "glass" {
							want = "404" // nobody is known there, who would have an account
						}
					case who == "glass" && route.Right == mapping.GateMappingApprove:
						want = "403"
					case who != "glass" && route.Right != admin.Any && route.Right != who:
						want = "403"
					}
					got := "in"
					switch {
					case res.StatusCode == http.StatusUnauthorized:
						got = "401"
					case res.StatusCode == http.StatusForbidden && strings.Contains(res.text, "you lack") || strings.Contains(res.text, "You lack") || strings.Contains(res.text, "may not do this"):
						got = "403"
					case res.StatusCode == http.StatusNotFound && strings.Contains(strings.ToLower(res.text), "there is no such page"):
						got = "404"
					case res.StatusCode >= 500:
						got = res.Status + res.text
					}
					if got != want {
						t.Errorf("%s %s for %s: %s (%d %s), want %s", way[0], way[1], who, got, res.StatusCode, res.text[:min(len(res.text), 200)], want)
					}
				}
			}
		}
	})
}

// A navigation of somebody who is not signed in leads through the sign-in.
func TestWhoeverIsNotSignedInIsSentThere(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	res := w.nobody().page("/people?q=a")
	if got, want := res.Header.Get("Location"), "/.portcullis/sign-in?return_to=%2F.portcullis%2Fadmin%2Fpeople%3Fq%3Da"; res.StatusCode != http.StatusFound || got != want {
		t.Errorf("status = %d, Location = %q, want %q", res.StatusCode, got, want)
	}
}

func TestALinkOpensTheConsoleOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		link, err := w.links.Make(t.Context(), audit.Actor{Kind: "operator", ID: "1", Name: "root"})
		if err != nil {
			t.Fatal(err)
		}
		path, token, _ := strings.Cut(strings.TrimPrefix(link, "https://gate.example"), "?link=")
		if len(token) < 52 {
			t.Fatalf("link = %s, want 256 random bits", link)
		}
		for range 2 { // looking does not use it up
			if res := w.nobody().send(http.MethodGet, path+"?link="+token, navigates, nil); res.StatusCode != http.StatusOK || !strings.Contains(res.text, token) {
				t.Fatalf("status = %d, page = %s", res.StatusCode, res.text)
			}
		}
		if res := w.nobody().post(path, "link", token+"x"); res.StatusCode != http.StatusForbidden {
			t.Errorf("another link: status = %d, want 403", res.StatusCode)
		}
		in := w.nobody().post(path, "link", token)
		if in.StatusCode != http.StatusSeeOther || len(in.Cookies()) != 1 {
			t.Fatalf("status = %d, cookies = %v", in.StatusCode, in.Cookies())
		}
		cookie := in.Cookies()[0]
		if cookie.Name != "__Host-portcullis-console" || !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.MaxAge != 3600 {
			t.Errorf("cookie = %v", cookie)
		}
		if res := w.nobody().post(path, "link", token); res.StatusCode != http.StatusForbidden {
			t.Errorf("a second time: status = %d, want 403", res.StatusCode)
		}
		s := &somebody{w: w, cookies: in.Cookies()}
		if res := s.page("/"); res.StatusCode != http.StatusOK || !strings.Contains(res.text, "Opened by a one-time link") || !strings.Contains(res.text, "Close it now") {
			t.Errorf("status = %d, page = %s", res.StatusCode, res.text)
		}
		var me struct {
			Kind   string
			Rights []struct {
				Task            string
				OwnOrganization bool `json:"ownOrganizationOnly"`
			}
		}
		s.call(http.MethodGet, "/me", "", &me)
		if me.Kind != "break-glass" || len(me.Rights) != len(mapping.GateTasks())-1 {
			t.Errorf("me = %+v, want every right but the second person's", me)
		}
		if res := s.form("/break-glass/close"); res.StatusCode != http.StatusSeeOther {
			t.Errorf("closing: status = %d", res.StatusCode)
		}
		if got := s.call(http.MethodGet, "/me", "", nil); got != http.StatusUnauthorized {
			t.Errorf("after closing: status = %d, want 401", got)
		}
		var told []string
		for _, e := range w.events(admin.EventQuery{Limit: 10}) {
			if strings.HasPrefix(string(e.Action), "console.") {
				told = append(told, string(e.Action)+" by "+e.Actor.Kind+" "+e.Actor.Name)
			}
		}
		want := []string{
			"console.closed by break-glass one-time link of root", "console.opened by break-glass one-time link of root", "console.link by operator root",
		}
		if !slices.Equal(told, want) {
			t.Errorf("trail = %q, want %q", told, want)
		}
	})
}

func TestALinkAndWhatItOpensEnd(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	link, err := w.links.Make(t.Context(), audit.Gate())
	if err != nil {
		t.Fatal(err)
	}
	s := w.open()
	w.now = w.now.Add(15 * time.Minute)
	path, token, _ := strings.Cut(strings.TrimPrefix(link, "https://gate.example"), "?link=")
	if res := w.nobody().post(path, "link", token); res.StatusCode != http.StatusForbidden {
		t.Errorf("a link after 15 minutes: status = %d, want 403", res.StatusCode)
	}
	w.now = w.now.Add(44 * time.Minute)
	if got := s.call(http.MethodGet, "/me", "", nil); got != 200 {
		t.Errorf("after 59 minutes: status = %d, want 200", got)
	}
	w.now = w.now.Add(time.Minute)
	if got := s.call(http.MethodGet, "/me", "", nil); got != http.StatusUnauthorized {
		t.Errorf("after an hour: status = %d, want 401", got)
	}
}

func (w *world) events(q admin.EventQuery) []admin.Event {
	w.t.Helper()
	events, err := w.db.Admin().Events(w.t.Context(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}

func TestLockingEndsWhatSomebodyHas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		s, ben := w.signIn("staff", "ada", mapping.GateUsersView, mapping.GateUsersLock), w.signIn("acme", "ben")
		w.signIn("acme", "ben")
		if res := s.page("/people/" + ben.id + "/lock"); res.StatusCode != http.StatusOK || !strings.Contains(res.text, "Ends 2 sessions") {
			t.Errorf("asking: status = %d, page = %s", res.StatusCode, res.text)
		}
		if res := s.form("/people/"+ben.id+"/lock", "reason", ""); res.StatusCode != http.StatusBadRequest {
			t.Errorf("without a reason: status = %d, want 400", res.StatusCode)
		}
		res := s.form("/people/"+ben.id+"/lock", "reason", "because")
		if got, want := res.Header.Get("Location"), web.ConsolePrefix+"/people/"+ben.id+"?count=1&done=lock&ended=2"; got != want {
			t.Errorf("Location = %q, want %q", got, want)
		}
		if _, err := w.sessions.Verify(t.Context(), ben.cookies[0].Value); err == nil {
			t.Error("the session goes on")
		}
		page := s.page(strings.TrimPrefix(res.Header.Get("Location"), web.ConsolePrefix)).text
		for _, want := range []string{"1 person locked. 2 sessions ended.", "May not come in", "they are told “your account is locked”", "Locked by", "because", "Unlock"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page does not hold %q:\n%s", want, page)
			}
		}
		if page := s.page("/people/" + ben.id + "/why").text; !strings.Contains(page, "this account is locked, whatever") || strings.Contains(page, "your account") {
			t.Errorf("Why speaks to the administrator of their own account:\n%s", page)
		}
		e := w.events(admin.EventQuery{Action: "person.locked", Limit: 1})[0]
		if e.Actor.Kind != "person" || e.Actor.ID != s.id || e.Person != ben.id || e.Reason != "because" {
			t.Errorf("event = %+v", e)
		}
		if got := s.call(http.MethodPost, "/people/"+ben.id+"/unlock", "{}", nil); got != 200 {
			t.Errorf("unlock: status = %d", got)
		}
		if got := s.call(http.MethodPost, "/people/"+s.id+"/lock", `{"reason":"x"}`, nil); got != http.StatusConflict {
			t.Errorf("locking oneself: status = %d, want 409", got)
		}
		if got := s.call(http.MethodPost, "/people/"+ben.id+"/lock", `{"reason":"x","other":1}`, nil); got != http.StatusBadRequest {
			t.Errorf("an unknown member: status = %d, want 400", got)
		}
	})
}

func TestSeveralPeopleAtOnce(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("staff", "ada", mapping.GateUsersView, mapping.GateUsersLock)
	a, b := w.signIn("acme", "a"), w.signIn("beta", "b")
	fields := []string{"id", a.id, "id", b.id, "id", s.id}
	res := s.form("/people/all/lock", fields...)
	if res.StatusCode != http.StatusOK || !strings.Contains(res.text, "Lock: 3 people?") || !strings.Contains(res.text, "Ends 3 sessions") {
		t.Errorf("asking: status = %d, page = %s", res.StatusCode, res.text)
	}
	res = s.form("/people/all/lock", append(fields, "confirmed", "yes", "reason", "drill")...)
	if got, want := res.Header.Get("Location"), web.ConsolePrefix+"/people?count=2&done=lock&ended=2&left=1"; got != want {
		t.Errorf("Location = %q, want %q: one does not lock oneself", got, want)
	}
	var list struct{ People []struct{ ID string } }
	s.call(http.MethodGet, "/people?state=locked", "", &list)
	if len(list.People) != 2 {
		t.Errorf("locked = %v, want two", list.People)
	}
}

func TestDeleting(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("staff", "ada", mapping.GateUsersView, mapping.GateUsersDelete, mapping.GateUsersLock)
	a := w.signIn("acme", "a")
	s.call(http.MethodPost, "/people/"+a.id+"/lock", `{"reason":"x"}`, nil)
	if got := s.call(http.MethodPost, "/people/"+a.id+"/delete", `{"reason":"asked for"}`, nil); got != 200 {
		t.Errorf("status = %d", got)
	}
	if got := s.call(http.MethodGet, "/people/"+a.id, "", nil); got != http.StatusNotFound {
		t.Errorf("afterwards: status = %d, want 404", got)
	}
	if e := w.events(admin.EventQuery{Action: "person.deleted", Limit: 1})[0]; e.Reason != "asked for" || e.Actor.ID != s.id {
		t.Errorf("event = %+v", e)
	}
}

func TestEndingOneSession(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("staff", "ada", mapping.GateUsersView, mapping.GateUsersLock)
	one, two := w.signIn("acme", "a"), w.signIn("acme", "a")
	var list struct{ Sessions []struct{ ID string } }
	s.call(http.MethodGet, "/people/"+one.id+"/sessions", "", &list)
	if len(list.Sessions) != 2 {
		t.Fatalf("sessions = %v", list)
	}
	if got := s.call(http.MethodDelete, "/people/"+s.id+"/sessions/"+list.Sessions[0].ID, "", nil); got != http.StatusNotFound {
		t.Errorf("a session of somebody else: status = %d, want 404", got)
	}
	if got := s.call(http.MethodDelete, "/people/"+one.id+"/sessions/"+list.Sessions[0].ID, "", nil); got != 200 {
		t.Errorf("status = %d", got)
	}
	living := 0
	for _, x := range []*somebody{one, two} {
		if _, err := w.sessions.Verify(t.Context(), x.cookies[0].Value); err == nil {
			living++
		}
	}
	if living != 1 {
		t.Errorf("%d sessions live, want 1", living)
	}
	if res := s.page("/people/" + one.id + "/sessions"); !strings.Contains(res.text, "Firefox on Linux") || !strings.Contains(res.text, "192.0.2.7") {
		t.Errorf("page = %s", res.text)
	}
}

// A client's manager sees and changes their own organization alone, whichever
// connection grants it and whatever else gives the same task.
func TestAClientsManagerStaysAtHome(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		manager, other, mate := w.signIn("acme", "manager", "Admins"), w.signIn("beta", "other"), w.signIn("acme", "mate")
		staff := w.signIn("staff", "ada", mapping.GateUsersLock, mapping.GateUsersView)
		var list struct {
			People []struct{ Organization string }
		}
		for _, query := range []string{"", "?organization=Beta", "?connection=beta", "?role=viewer", "?q=o"} {
			manager.call(http.MethodGet, "/people"+query, "", &list)
			for _, p := range list.People {
				if p.Organization != "Acme" {
					t.Errorf("/people%s shows somebody of %s", query, p.Organization)
				}
			}
		}
		var events struct{ Events []struct{ Connection string } }
		manager.call(http.MethodGet, "/audit", "", &events)
		for _, e := range events.Events {
			if e.Connection != "acme" {
				t.Errorf("/audit shows an event of %q", e.Connection)
			}
		}
		for _, e := range w.events(admin.EventQuery{Limit: 100}) {
			want := http.StatusNotFound
			if e.Connection == "acme" {
				want = http.StatusOK
			}
			if got := manager.call(http.MethodGet, "/audit/"+itoa(e.Seq), "", nil); got != want {
				t.Errorf("event of %q: status = %d, want %d", e.Connection, got, want)
			}
		}
		for _, route := range w.console.Routes() {
			if !strings.Contains(route.Page+route.API, ":id") {
				continue
			}
			for _, way := range ways(route, other.id) {
				if res := manager.send(way[0], way[1], nil, strings.NewReader(`{"reason":"x"}`)); res.StatusCode != http.StatusNotFound {
					t.Errorf("%s %s: status = %d, want 404: %s", way[0], way[1], res.StatusCode, res.text)
				}
			}
		}
		for _, path := range []string{"/mapping", "/roles"} {
			if got := manager.call(http.MethodGet, path, "", nil); got != http.StatusForbidden {
				t.Errorf("%s: status = %d, want 403: it is about every client", path, got)
			}
		}
		if got := manager.call(http.MethodPost, "/people/all/lock", `{"reason":"x","ids":["`+mate.id+`","`+other.id+`"]}`, nil); got != http.StatusNotFound {
			t.Errorf("several, one of them elsewhere: status = %d, want 404", got)
		}
		if got := manager.call(http.MethodPost, "/people/"+mate.id+"/lock", `{"reason":"x"}`, nil); got != 200 {
			t.Errorf("their own: status = %d", got)
		}
		if got := manager.call(http.MethodPost, "/people/"+mate.id+"/unlock", "", nil); got != 200 {
			t.Errorf("taking back their own lock: status = %d", got)
		}
		staff.call(http.MethodPost, "/people/"+mate.id+"/lock", `{"reason":"x"}`, nil)
		if got := manager.call(http.MethodPost, "/people/"+mate.id+"/unlock", "", nil); got != http.StatusForbidden {
			t.Errorf("taking back what the gate's administrators decided: status = %d, want 403", got)
		}
		// A role of that scope is narrow where there is no ceiling, too.
		local := w.signIn("staff", "local", "Admins")
		if got := local.call(http.MethodGet, "/people/"+other.id, "", nil); got != http.StatusNotFound {
			t.Errorf("a local role of staff: status = %d, want 404", got)
		}
	})
}

func TestTheNavigationLeadsToWhatIsThere(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	manager := w.signIn("acme", "manager", "Admins")
	page := manager.page("/").text
	for path, want := range map[string]bool{"/people": true, "/audit": true, "/mapping": false, "/roles": false} {
		if got := strings.Contains(page, `href="`+web.ConsolePrefix+path+`"`); got != want {
			t.Errorf("navigation has %s: %v, want %v", path, got, want)
		}
	}
}
