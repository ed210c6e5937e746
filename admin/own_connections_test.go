package admin_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
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

// Whoever may see to their own connection sees to no other one.
func TestOnesOwnConnectionAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		manager := w.signIn("acme", "manager", "Admins")
		var list connectionList
		manager.call(http.MethodGet, "/own-connections", "", &list)
		if len(list.Connections) != 1 || list.Connections[0].ID != "acme" {
			t.Fatalf("own connections = %+v", list)
		}
		if got := manager.call(http.MethodGet, "/connections", "", nil); got != http.StatusForbidden {
			t.Errorf("all connections: %d, want 403", got)
		}
		r := trace.Begin(trace.Record{Reference: "OF-BETA", Connection: "beta"}).End(w.now, trace.Refused, "no", "")
		mine := trace.Begin(trace.Record{Reference: "OF-ACME", Connection: "acme"}).End(w.now, trace.Refused, "no", "")
		if err := w.db.Traces().InsertTraces(t.Context(), []trace.Record{r, mine}, nil, trace.Caps{r.Class(): 9, mine.Class(): 9}); err != nil {
			t.Fatal(err)
		}
		tokens := scim.NewTokens(scim.TokensConfig{Store: w.db.Tokens(), Now: func() time.Time { return w.now }})
		_, theirs, err := tokens.Create(t.Context(), audit.Gate(), "beta", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, route := range w.console.Routes() {
			if !strings.HasPrefix(route.API, "/own-connections/") {
				continue
			}
			path := strings.NewReplacer(":connection", "beta", ":token", theirs.ID, ":reference", "OF-BETA", ":test", "x").Replace(route.API)
			if got := manager.call(route.Verb, path, "", nil); got != http.StatusNotFound {
				t.Errorf("%s %s: %d, want 404", route.Verb, path, got)
			}
		}
		for path, want := range map[string]int{
			"/own-connections/acme": 200, "/own-connections/acme/scim": 200, "/own-connections/acme/setup": 200, "/own-connections/acme/sign-ins": 200,
			"/own-connections/acme/sign-ins/OF-ACME": 200, "/own-connections/acme/sign-ins/OF-BETA": 404,
		} {
			if got := manager.call(http.MethodGet, path, "", nil); got != want {
				t.Errorf("%s: %d, want %d", path, got, want)
			}
		}
		if got := manager.call(http.MethodDelete, "/own-connections/acme/tokens/"+theirs.ID, "", nil); got != http.StatusNotFound {
			t.Errorf("revoking a token of another: %d, want 404", got)
		}
		var made struct {
			Secret string
			Token  struct{ ID string }
		}
		if got := manager.call(http.MethodPost, "/own-connections/acme/tokens", `{"note":"ours","days":7}`, &made); got != 200 || !strings.HasPrefix(made.Secret, "pcs_") {
			t.Fatalf("making a token: %d %+v", got, made)
		}
		if _, err := tokens.Verify(t.Context(), "acme", made.Secret); err != nil {
			t.Errorf("the token: %v", err)
		}
		if got := manager.call(http.MethodDelete, "/own-connections/acme/tokens/"+made.Token.ID, "", nil); got != 200 {
			t.Errorf("revoking it: %d", got)
		}
		if _, err := tokens.Verify(t.Context(), "acme", made.Secret); err == nil {
			t.Error("a revoked token is good")
		}
		if e := w.events(admin.EventQuery{Action: "token.revoked", Limit: 1})[0]; e.Actor.ID != manager.id || e.Connection != "acme" {
			t.Errorf("event = %+v", e)
		}
	})
}

// Whoever decides who the people of a connection are can be any of them. Where
// those may have rights over the gate, seeing to one's own is not enough.
func TestOnesOwnConnectionIsNoWayToTheGatesRights(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	ada := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
	for id, want := range map[string]int{"staff": http.StatusConflict, "acme": http.StatusOK} {
		if got := ada.call(http.MethodPost, "/connections/"+id+"/setup-link", "", nil); got != want {
			t.Errorf("a setup link of %s: %d, want %d", id, got, want)
		}
	}
	for id, want := range map[string]int{"staff": http.StatusForbidden, "acme": http.StatusOK} {
		manager := w.signIn(id, "manager-"+id, "Admins")
		i := slices.IndexFunc(w.ways.list, func(c admin.Connection) bool { return c.ID == id })
		w.ways.list[i].Made = true
		w.ways.draft[id] = admin.Draft{ID: id, Organization: w.ways.list[i].Organization, Protocol: admin.OverOIDC, SCIM: true}
		at := "/own-connections/" + id
		if got := manager.call(http.MethodGet, at, "", nil); got != http.StatusOK {
			t.Errorf("looking at %s: %d, want 200", id, got)
		}
		for _, page := range []string{"/setup", "/scim"} {
			if shut := strings.Contains(manager.page(at+page).text, "its administrators alone change it"); shut != (want == http.StatusForbidden) {
				t.Errorf("%s of %s says that it is closed: %t", page, id, shut)
			}
		}
		for _, call := range [][3]string{
			{http.MethodPost, at + "/tokens", `{"note":"mine"}`},
			{http.MethodPost, at + "/metadata/approve", ""},
			{http.MethodPut, at + "/provider", `{"issuer":"https://evil.example","clientId":"x"}`},
		} {
			if got := manager.call(call[0], call[1], call[2], nil); got != want {
				t.Errorf("%s %s: %d, want %d", call[0], call[1], got, want)
			}
		}
	}
}

// Nor is it enough to see to everybody's: whoever decides who the staff are
// needs each right that the staff can be given. Where rights are changed by two,
// it takes a link that somebody made at the machine.
func TestWhoSaysWhoTheStaffAreHasEveryRightOfTheirs(t *testing.T) {
	var all []string
	for _, task := range mapping.GateTasks() {
		all = append(all, task.Name)
	}
	calls := [][3]string{
		{http.MethodPut, "/connections/staff/provider", `{"issuer":"https://other.example","clientId":"x"}`},
		{http.MethodPut, "/connections/staff/settings", `{"organization":"Staff","link":"userName","scim":true}`},
		{http.MethodPost, "/connections/staff/metadata/approve", ""},
		{http.MethodPost, "/connections/staff/tokens", `{"note":"mine"}`},
		{http.MethodPost, "/connections", `{"id":"more","organization":"Staff","scim":true}`},
	}
	for name, approval := range map[string]revision.Approval{"one is enough": {}, "it takes two": {Privileged: true}} {
		t.Run(name, func(t *testing.T) {
			w := newManagedWorld(t, storetest.SQLite(t), rules(), approval)
			for _, id := range []string{"staff", "acme"} {
				i := slices.IndexFunc(w.ways.list, func(c admin.Connection) bool { return c.ID == id })
				w.ways.list[i].Made = true
				w.ways.draft[id] = admin.Draft{ID: id, Organization: w.ways.list[i].Organization, Protocol: admin.OverOIDC, SCIM: true}
			}
			ada, root := w.signIn("staff", "ada", mapping.GateConnectionsEdit, mapping.GateTokensEdit), w.signIn("staff", "root", all...)
			for _, call := range calls {
				want := http.StatusOK
				if approval.Privileged {
					want = http.StatusForbidden
				}
				for who, c := range map[*somebody]int{ada: http.StatusForbidden, root: want, w.open(): http.StatusOK} {
					if got := who.call(call[0], call[1], call[2], nil); got != c {
						t.Errorf("%s %s = %d, want %d (is ada: %t, is root: %t)", call[0], call[1], got, c, who == ada, who == root)
					}
				}
				if got := ada.call(call[0], strings.Replace(call[1], "staff", "acme", 1), strings.Replace(call[2], "Staff", "Acme", 1), nil); got != http.StatusOK {
					t.Errorf("%s of a client: %d, want 200", call[1], got)
				}
			}
			if got := ada.call(http.MethodDelete, "/connections/staff", `{"reason":"x"}`, nil); got != http.StatusForbidden {
				t.Errorf("removing the staff's connection: %d, want 403", got)
			}
		})
	}
}

func TestASetupLinkOpensOneConnectionOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		s := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
		s.call(http.MethodPost, "/connections", `{"id":"omega","organization":"Omega","protocol":"oidc","scim":true}`, nil)
		var link struct{ Link string }
		if got := s.call(http.MethodPost, "/connections/omega/setup-link", "", &link); got != 200 {
			t.Fatalf("making it: %d", got)
		}
		u, err := url.Parse(link.Link)
		if err != nil {
			t.Fatal(err)
		}
		token := u.Query().Get("link")
		for range 2 { // looking does not use it up
			if res := w.nobody().send(http.MethodGet, u.RequestURI(), navigates, nil); res.StatusCode != http.StatusOK || !strings.Contains(res.text, token) {
				t.Fatalf("status = %d, page = %s", res.StatusCode, res.text)
			}
		}
		if res := w.nobody().form("/break-glass", "link", token); res.StatusCode != http.StatusForbidden {
			t.Errorf("as a link to the whole console: %d, want 403", res.StatusCode)
		}
		in := w.nobody().post(u.Path, "link", token)
		if in.StatusCode != http.StatusSeeOther || in.Header.Get("Location") != "/.portcullis/admin/setup/omega/setup" {
			t.Fatalf("status = %d, Location = %s", in.StatusCode, in.Header.Get("Location"))
		}
		if res := w.nobody().post(u.Path, "link", token); res.StatusCode != http.StatusForbidden {
			t.Errorf("a second time: %d, want 403", res.StatusCode)
		}
		it := &somebody{w: w, cookies: in.Cookies()}
		page := it.page("/setup/omega/setup")
		for _, want := range []string{"https://gate.example/.portcullis/oidc/omega/callback", "Setting up this connection", `name="clientSecret"`} {
			if !strings.Contains(page.text, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		for _, route := range w.console.Routes() { // and nothing else is there
			for _, way := range ways(route, s.id) {
				want := http.StatusUnauthorized
				switch {
				case strings.HasSuffix(route.Page, "/close"):
					continue
				case route.Right == admin.Setup:
					want = http.StatusNotFound // it is of another connection
				case way[0] == http.MethodGet && strings.HasPrefix(way[1], web.ConsolePrefix):
					want = http.StatusFound // to the sign-in
				}
				if res := it.send(way[0], way[1], navigates, strings.NewReader("")); res.StatusCode != want {
					t.Errorf("%s %s: %d, want %d", way[0], way[1], res.StatusCode, want)
				}
			}
		}
		if res := it.form("/setup/omega/provider", "version", "1", "issuer", "https://wrong.example", "clientSecret", "s3cret"); res.StatusCode != http.StatusOK ||
			!strings.Contains(res.text, "Not saved.") || !strings.Contains(res.text, "wrong.example") || strings.Contains(res.text, "s3cret") {
			t.Errorf("a wrong provider in a browser: %d %s", res.StatusCode, res.text)
		}
		if res := it.form("/setup/omega/provider", "version", "1", "issuer", "https://idp.example", "clientId", "x", "clientSecret", "y"); res.StatusCode != http.StatusSeeOther {
			t.Errorf("the provider: %d", res.StatusCode)
		}
		if d := w.ways.draft["omega"]; d.Issuer != "https://idp.example" || d.Organization != "Omega" || d.ClientSecret != "y" {
			t.Errorf("draft = %+v", d)
		}
		if res := it.form("/setup/close"); res.StatusCode != http.StatusOK {
			t.Errorf("closing: %d", res.StatusCode)
		}
		if res := it.page("/setup/omega"); res.StatusCode != http.StatusUnauthorized || !strings.Contains(res.text, "Ask whoever gave you the link") {
			t.Errorf("afterwards: %d, want 401", res.StatusCode)
		}
		for action, actor := range map[string]string{"connection.setup-link": "Name of ada", "connection.setup-opened": "setup link of Name of ada", "connection.setup-closed": "setup link of Name of ada"} {
			if e := w.events(admin.EventQuery{Action: action, Limit: 1}); len(e) != 1 || e[0].Actor.Name != actor || e[0].Connection != "omega" {
				t.Errorf("%s: %+v", action, e)
			}
		}
		s.call(http.MethodPost, "/connections/omega/setup-link", "", &link)
		w.now = w.now.Add(admin.SetupLinkLife)
		u, _ = url.Parse(link.Link)
		if res := w.nobody().post(u.Path, "link", u.Query().Get("link")); res.StatusCode != http.StatusForbidden {
			t.Errorf("after 72 hours: %d, want 403", res.StatusCode)
		}
	})
}

// A rule that almost matched names the client that it is for: another one is
// not told.
func TestWhatAlmostMatchedIsForTheGatesOwn(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	r := trace.Begin(trace.Record{Reference: "CLOSE", Connection: "acme"}).End(w.now, trace.Refused, "no", "")
	r.Decision = &trace.Decision{NearMisses: []string{`rule beta-admins: but on connection "beta"`}}
	if err := w.db.Traces().InsertTraces(t.Context(), []trace.Record{r}, nil, trace.Caps{r.Class(): 9}); err != nil {
		t.Fatal(err)
	}
	ada, manager := w.signIn("staff", "ada", mapping.GateConnectionsEdit), w.signIn("acme", "manager", "Admins")
	auditor := w.signIn("staff", "ann", mapping.GateAuditView)
	for path, told := range map[string]bool{"/connections/acme": true, "/own-connections/acme": false} {
		who, begins, reads := manager, manager, manager
		if told {
			who, begins, reads = auditor, ada, ada
		}
		if page := who.page(path + "/sign-ins/CLOSE"); page.StatusCode != http.StatusOK || strings.Contains(page.text, "beta-admins") != told {
			t.Errorf("%s: %d, want it told: %t\n%s", path, page.StatusCode, told, page.text)
		}
		var test struct{ Test string }
		begins.call(http.MethodPost, path+"/tests", "", &test)
		if err := finish(t.Context(), w.db.Login(), test.Test, r); err != nil {
			t.Fatal(err)
		}
		if page := reads.page(path + "/tests/" + test.Test); page.StatusCode != http.StatusOK || strings.Contains(page.text, "beta-admins") != told {
			t.Errorf("%s, dry run: %d, want it told: %t", path, page.StatusCode, told)
		}
	}
}

// A link that went to the wrong person is taken back by making another.
func TestASetupLinkEndsThoseBefore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		s := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
		link := func(connection string) string {
			var made struct{ Link string }
			if got := s.call(http.MethodPost, "/connections/"+connection+"/setup-link", "", &made); got != http.StatusOK {
				t.Fatalf("making a link: %d", got)
			}
			u, err := url.Parse(made.Link)
			if err != nil {
				t.Fatal(err)
			}
			return u.Query().Get("link")
		}
		enter := func(token string) answer { return w.nobody().post("/.portcullis/admin/setup", "link", token) }
		other := &somebody{w: w, cookies: enter(link("beta")).Cookies()}
		wrong := &somebody{w: w, cookies: enter(link("acme")).Cookies()}
		unopened := link("acme")
		if got := wrong.page("/setup/acme").StatusCode; got != http.StatusUnauthorized {
			t.Errorf("what an earlier link opened: %d, want 401", got)
		}
		newest := link("acme")
		if res := enter(unopened); res.StatusCode != http.StatusForbidden {
			t.Errorf("an earlier link: %d, want 403", res.StatusCode)
		}
		it := &somebody{w: w, cookies: enter(newest).Cookies()}
		if got := it.page("/setup/acme").StatusCode; got != http.StatusOK {
			t.Errorf("the newest: %d, want 200", got)
		}
		if err := w.db.Made().Empty(t.Context(), "acme", w.now); err != nil {
			t.Fatal(err)
		}
		if got := it.page("/setup/acme").StatusCode; got != http.StatusUnauthorized {
			t.Errorf("after the removal: %d, want 401", got)
		}
		if got := other.page("/setup/beta").StatusCode; got != http.StatusOK {
			t.Errorf("at another connection: %d, want 200", got)
		}
	})
}

// Where people of a connection may come from holds for the console, too, by a
// cookie and by a token.
func TestTheConsoleIsForWhereAConnectionLetsPeopleInFrom(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("acme", "manager", "Admins")
	i := slices.IndexFunc(w.ways.list, func(c admin.Connection) bool { return c.ID == "acme" })
	for network, want := range map[string]int{"192.0.2.0/24": http.StatusOK, "198.51.100.0/24": http.StatusForbidden} { // a request comes from 192.0.2.1
		w.ways.list[i].Addresses = []netip.Prefix{netip.MustParsePrefix(network)}
		if got := s.call(http.MethodGet, "/people", "", nil); got != want {
			t.Errorf("from outside of %s: %d, want %d", network, got, want)
		}
		if got := s.page("/people").StatusCode; got != want {
			t.Errorf("the page, from outside of %s: %d, want %d", network, got, want)
		}
	}
}
