package admin_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/login"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/trace"
)

// connectionList is what the API says of connections.
type connectionList struct {
	Connections []struct {
		ID    string
		Risks []struct {
			Weight int
			Text   string
		}
	}
}

func (l connectionList) texts(id string) string {
	var out []string
	for _, c := range l.Connections {
		for _, r := range c.Risks {
			if c.ID == id {
				out = append(out, r.Text)
			}
		}
	}
	return strings.Join(out, "\n")
}

// What ends comes to the top as it comes nearer, and what no longer works is
// above it.
func TestConnectionsAreInTheOrderOfTheirRisks(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
	const day = 24 * time.Hour
	last := 0
	for _, tc := range []struct {
		left time.Duration
		want string
	}{
		{61 * day, ""},
		{60 * day, "in 60 days"},
		{30 * day, "in 30 days"},
		{14 * day, "in 14 days"},
		{7 * day, "in 7 days"},
		{day, "in 1 day."},
		{-time.Hour, "ended on 2026-03-01"},
	} {
		for i := range w.ways.list {
			w.ways.list[i].SCIM, w.ways.list[i].SecretExpires = false, time.Time{}
		}
		w.ways.list[2].SecretExpires = w.now.Add(tc.left)
		var list connectionList
		s.call(http.MethodGet, "/connections", "", &list)
		got := list.texts("beta")
		if !strings.Contains(got, tc.want) || tc.want == "" && strings.Contains(got, "secret") {
			t.Errorf("with %s left: %q, want %q", tc.left, got, tc.want)
		}
		if tc.want == "" {
			continue
		}
		if list.Connections[0].ID != "beta" {
			t.Errorf("with %s left %s is first", tc.left, list.Connections[0].ID)
		}
		for _, r := range list.Connections[0].Risks {
			if strings.Contains(r.Text, "secret") {
				if r.Weight <= last {
					t.Errorf("with %s left the weight is %d, want more than %d", tc.left, r.Weight, last)
				}
				last = r.Weight
			}
		}
	}
}

func TestWhatAConnectionLacksIsSaid(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		s := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
		says := func(id, want string) {
			t.Helper()
			var list connectionList
			s.call(http.MethodGet, "/connections", "", &list)
			if got := list.texts(id); !strings.Contains(got, want) {
				t.Errorf("of %s is said %q, want %q", id, got, want)
			}
		}
		says("acme", "there is no token yet")
		says("beta", "The mapping names 1 group that nobody has: name \"Admins\"")
		tokens := scim.NewTokens(scim.TokensConfig{Store: w.db.Tokens(), Now: func() time.Time { return w.now }})
		_, token, err := tokens.Create(t.Context(), audit.Gate(), "acme", "", 10*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		says("acme", "Nothing came over SCIM yet.")
		says("acme", "The SCIM token ends on 2026-03-11, in 10 days.")
		entry := scim.Entry{At: w.now, Connection: "acme", Token: token.ID, Method: "POST", Path: "/Users", Status: 400, Cause: "x"}
		if err := w.db.Journal().AppendJournal(t.Context(), []scim.Entry{entry}); err != nil {
			t.Fatal(err)
		}
		says("acme", "1 request over SCIM was refused during the last day.")
		for _, reference := range []string{"A", "B", "C"} {
			r := trace.Begin(trace.Record{Reference: reference, Connection: "acme"}).End(w.now, trace.Refused, "no", "")
			if err := w.db.Traces().InsertTraces(t.Context(), []trace.Record{r}, nil, trace.Caps{r.Class(): 9}); err != nil {
				t.Fatal(err)
			}
		}
		dry := trace.Begin(trace.Record{Reference: "D", Connection: "acme"})
		dry.Person("somebody")
		r := dry.End(w.now, trace.Tested, "", "")
		if err := w.db.Traces().InsertTraces(t.Context(), []trace.Record{r}, nil, trace.Caps{r.Class(): 9}); err != nil {
			t.Fatal(err)
		}
		says("acme", "Nobody came in during the last day, and 3 attempts failed.") // by a dry run, nobody does
		var week struct {
			Week []struct{ SignedIn, Failed int }
		}
		w.signIn("staff", "aud", mapping.GateAuditView).call(http.MethodGet, "/sign-ins?connection=acme", "", &week)
		if n := len(week.Week); n != 28 || week.Week[27].Failed != 3 || week.Week[26].Failed != 0 {
			t.Errorf("week = %+v", week)
		}
		w.ways.trust = admin.Trust{Waiting: w.now, Changes: []string{"new certificate"}, Certificates: []admin.Certificate{
			{Name: "old", Ends: w.now.Add(24 * time.Hour)}, {Name: "new", Ends: w.now.Add(900 * 24 * time.Hour)}, {Ours: true, Name: "ours", Ends: w.now.Add(time.Hour)},
		}}
		w.ways.list[1].Protocol = admin.OverSAML
		says("acme", "Other metadata waits for approval since 2026-03-01: new certificate")
		says("acme", "The certificate of ours ends on 2026-03-01, in 1 day.")
		var list connectionList
		s.call(http.MethodGet, "/connections", "", &list)
		if strings.Contains(list.texts("acme"), "signing certificate") {
			t.Error("one of two certificates that ends is said to be a risk")
		}
		if err := tokens.Revoke(t.Context(), audit.Gate(), token.ID); err != nil {
			t.Fatal(err)
		}
		says("acme", "No SCIM token is good any more")
		w.ways.list[1].Problem = "oidc.issuer: want another"
		says("acme", "Not in force: oidc.issuer: want another")
	})
}

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
				if got := ada.call(call[0], strings.Replace(call[1], "staff", "acme", 1), call[2], nil); got != http.StatusOK {
					t.Errorf("%s of a client: %d, want 200", call[1], got)
				}
			}
		})
	}
}

// A form about a state that is gone is refused, and does not bring the rest of
// that state back.
func TestAFormNamesTheStateThatItChanges(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
	s.call(http.MethodPost, "/connections", `{"id":"omega","organization":"Omega","protocol":"oidc","scim":true}`, nil)
	for _, try := range []struct{ version, want int }{{2, http.StatusConflict}, {1, http.StatusOK}} { // nobody was shown a second one yet
		body := fmt.Sprintf(`{"issuer":"https://idp.example","clientId":"x","version":%d}`, try.version)
		if got := s.call(http.MethodPut, "/connections/omega/provider", body, nil); got != try.want {
			t.Errorf("version %d: %d, want %d", try.version, got, try.want)
		}
	}
}

func TestATokenIsShownOnce(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("staff", "ada", mapping.GateTokensEdit)
	res := s.form("/connections/acme/tokens", "note", "=first", "days", "30")
	secret := regexp.MustCompile(`pcs_[a-z2-7]{52}`).FindString(res.text)
	if res.StatusCode != http.StatusOK || secret == "" || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("status = %d, %v, page = %s", res.StatusCode, res.Header, res.text)
	}
	for _, path := range []string{"/tokens", "/tokens.csv"} {
		page := s.page(path).text
		if strings.Contains(page, secret) || !strings.Contains(page, "first") {
			t.Errorf("%s = %s", path, page)
		}
	}
	if rows, err := csv.NewReader(strings.NewReader(s.page("/tokens.csv").text)).ReadAll(); err != nil || len(rows) != 2 || rows[1][4] != "'=first" {
		t.Errorf("rows = %v, %v", rows, err)
	}
	s.form("/connections/acme/tokens", "days", "30")
	if got := s.call(http.MethodPost, "/connections/acme/tokens", "", nil); got != http.StatusConflict {
		t.Errorf("a third one: %d, want 409", got)
	}
	for _, body := range []string{`{"days":0}`, `{"days":99999}`, `{"days":"x"}`, `{"note":"` + strings.Repeat("x", 201) + `"}`, `{"other":1}`, `[]`} {
		if got := s.call(http.MethodPost, "/connections/beta/tokens", body, nil); got != http.StatusBadRequest {
			t.Errorf("%.30s: %d, want 400", body, got)
		}
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
		if in.StatusCode != http.StatusSeeOther || in.Header.Get("Location") != "/.portcullis/admin/own-connections/omega/setup" {
			t.Fatalf("status = %d, Location = %s", in.StatusCode, in.Header.Get("Location"))
		}
		if res := w.nobody().post(u.Path, "link", token); res.StatusCode != http.StatusForbidden {
			t.Errorf("a second time: %d, want 403", res.StatusCode)
		}
		it := &somebody{w: w, cookies: in.Cookies()}
		page := it.page("/own-connections/omega/setup")
		for _, want := range []string{"https://gate.example/.portcullis/oidc/omega/callback", "Setting up this connection", `name="clientSecret"`} {
			if !strings.Contains(page.text, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		for _, route := range w.console.Routes() { // and nothing else is there
			for _, way := range ways(route, s.id) {
				if strings.Contains(way[1], "/setup/close") || strings.Contains(way[1], "/own-connections") && !strings.Contains(way[1], "/acme") {
					continue
				}
				if res := it.send(way[0], way[1], nil, strings.NewReader("")); res.StatusCode != http.StatusNotFound {
					t.Errorf("%s %s: %d, want 404", way[0], way[1], res.StatusCode)
				}
			}
		}
		if got := it.call(http.MethodPut, "/own-connections/omega/provider", `{"issuer":"https://wrong.example","clientId":"x"}`, nil); got != http.StatusBadRequest {
			t.Errorf("a wrong provider: %d, want 400", got)
		}
		if res := it.form("/own-connections/omega/provider", "version", "1", "issuer", "https://wrong.example", "clientSecret", "s3cret"); res.StatusCode != http.StatusOK ||
			!strings.Contains(res.text, "Not saved.") || !strings.Contains(res.text, "wrong.example") || strings.Contains(res.text, "s3cret") {
			t.Errorf("a wrong provider in a browser: %d %s", res.StatusCode, res.text)
		}
		if got := it.call(http.MethodPut, "/own-connections/omega/provider", `{"issuer":"https://idp.example","clientId":"x","clientSecret":"y"}`, nil); got != 200 {
			t.Errorf("the provider: %d", got)
		}
		if d := w.ways.draft["omega"]; d.Issuer != "https://idp.example" || d.Organization != "Omega" || d.ClientSecret != "y" {
			t.Errorf("draft = %+v", d)
		}
		if res := it.form("/setup/close"); res.StatusCode != http.StatusOK {
			t.Errorf("closing: %d", res.StatusCode)
		}
		if got := it.call(http.MethodGet, "/own-connections", "", nil); got != http.StatusUnauthorized {
			t.Errorf("afterwards: %d, want 401", got)
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

// Whoever approves metadata approves what they looked at, and not what the
// provider came up with meanwhile.
func TestMetadataIsApprovedAsItWasLookedAt(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	i := slices.IndexFunc(w.ways.list, func(c admin.Connection) bool { return c.ID == "acme" })
	w.ways.list[i].Protocol, w.ways.list[i].MetadataURL = admin.OverSAML, "https://idp.example/m"
	w.ways.trust = admin.Trust{Waiting: w.now, Changes: []string{"other keys"}}
	manager := w.signIn("acme", "manager", "Admins")
	looked := w.now.Format(time.RFC3339Nano)
	if page := manager.page("/own-connections/acme").text; !strings.Contains(page, `name="waiting" value="`+looked+`"`) {
		t.Errorf("the form does not name what waits: %s", page)
	}
	w.ways.trust.Waiting = w.now.Add(time.Microsecond)
	at := "/own-connections/acme/metadata/approve"
	for _, since := range []string{looked, "", "now"} {
		if res := manager.form(at, "waiting", since); res.StatusCode != http.StatusConflict {
			t.Errorf("waiting since %q: %d, want 409", since, res.StatusCode)
		}
	}
	if got := manager.call(http.MethodPost, at, `{"waiting":"`+looked+`"}`, nil); got != http.StatusConflict {
		t.Errorf("by a script: %d, want 409", got)
	}
	if len(w.ways.done) != 0 {
		t.Fatalf("done = %v", w.ways.done)
	}
	if res := manager.form(at, "waiting", w.ways.trust.Waiting.Format(time.RFC3339Nano)); res.StatusCode != http.StatusSeeOther || len(w.ways.done) != 1 {
		t.Errorf("what waits now: %d, done = %v", res.StatusCode, w.ways.done)
	}
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
		if got := wrong.call(http.MethodGet, "/own-connections/acme", "", nil); got != http.StatusUnauthorized {
			t.Errorf("what an earlier link opened: %d, want 401", got)
		}
		newest := link("acme")
		if res := enter(unopened); res.StatusCode != http.StatusForbidden {
			t.Errorf("an earlier link: %d, want 403", res.StatusCode)
		}
		it := &somebody{w: w, cookies: enter(newest).Cookies()}
		if got := it.call(http.MethodGet, "/own-connections/acme", "", nil); got != http.StatusOK {
			t.Errorf("the newest: %d, want 200", got)
		}
		if err := w.db.Made().Empty(t.Context(), "acme", w.now); err != nil {
			t.Fatal(err)
		}
		if got := it.call(http.MethodGet, "/own-connections/acme", "", nil); got != http.StatusUnauthorized {
			t.Errorf("after the removal: %d, want 401", got)
		}
		if got := other.call(http.MethodGet, "/own-connections/beta", "", nil); got != http.StatusOK {
			t.Errorf("at another connection: %d, want 200", got)
		}
	})
}

func TestAConnectionIsMadeChangedAndRemoved(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
	res := s.form("/connections", "id", "omega", "organization", "Omega", "domains", "A.example, b.example", "preset", "okta", "protocol", "oidc", "scim", "yes")
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/.portcullis/admin/connections/omega/setup?count=1&done=connection-made" {
		t.Fatalf("status = %d, Location = %s", res.StatusCode, res.Header.Get("Location"))
	}
	if d := w.ways.draft["omega"]; strings.Join(d.Domains, " ") != "a.example b.example" || d.Preset != "okta" || !d.SCIM {
		t.Errorf("draft = %+v", d)
	}
	for _, path := range []string{"/connections/omega", "/connections/omega/setup", "/connections/omega/settings", "/connections/omega/scim", "/connections/omega/remove"} {
		if res := s.page(path); res.StatusCode != http.StatusOK || !strings.Contains(res.text, "mega") {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	if got := s.call(http.MethodPut, "/connections/omega/settings", `{"organization":"Ω","protocol":"saml"}`, nil); got != 200 || w.ways.draft["omega"].Organization != "Ω" {
		t.Errorf("changing it: %d %+v", got, w.ways.draft["omega"])
	}
	if got := s.call(http.MethodPut, "/connections/omega/settings", `{"id":"other"}`, nil); got != http.StatusBadRequest {
		t.Errorf("another id: %d, want 400", got)
	}
	for _, call := range [][2]string{{http.MethodPut, "/connections/acme/settings"}, {http.MethodPut, "/connections/acme/provider"}, {http.MethodDelete, "/connections/acme"}} {
		if got := s.call(call[0], call[1], `{"reason":"x"}`, nil); got == http.StatusOK {
			t.Errorf("%s %s: a connection of the configuration was changed", call[0], call[1])
		}
	}
	if got := s.call(http.MethodDelete, "/connections/omega", "", nil); got != http.StatusBadRequest {
		t.Errorf("removing without a reason: %d, want 400", got)
	}
	res = s.form("/connections/omega/remove", "reason", "gone")
	if got, want := res.Header.Get("Location"), "/.portcullis/admin/connections?count=1&done=connection-removed&ended=2"; got != want {
		t.Errorf("Location = %q, want %q", got, want)
	}
	if page := s.page("/connections?done=connection-removed&ended=2").text; !strings.Contains(page, "The connection is removed. 2 sessions ended.") {
		t.Errorf("page = %s", page)
	}
}

// A dry run is begun by whoever sees to a connection, and shown to them.
func TestADryRunFromTheConsole(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("acme", "manager", "Admins")
	var test struct {
		Test, URL string
		Done      bool
		SignIn    struct{ Reason string }
	}
	if got := s.call(http.MethodPost, "/own-connections/acme/tests", "", &test); got != 200 || !strings.HasPrefix(test.URL, "https://gate.example/.portcullis/test-sign-in/") {
		t.Fatalf("begin = %d %+v", got, test)
	}
	path := "/own-connections/acme/tests/" + test.Test
	if page := s.page(path).text; !strings.Contains(page, "Nobody has gone through it yet") || !strings.Contains(page, `data-poll="2"`) {
		t.Errorf("page = %s", page)
	}
	r := trace.Begin(trace.Record{Reference: "T", Connection: "acme"}).End(w.now, trace.Tested, "you may not", "")
	if err := finish(t.Context(), w.db.Login(), test.Test, r); err != nil {
		t.Fatal(err)
	}
	if s.call(http.MethodGet, path, "", &test); !test.Done || test.SignIn.Reason != "you may not" {
		t.Errorf("result = %+v", test)
	}
	if page := s.page(path).text; !strings.Contains(page, "would be refused: <bdi>you may not</bdi>") || strings.Contains(page, "data-poll") {
		t.Errorf("page = %s", page)
	}
	other := w.signIn("beta", "manager", "Admins")
	if got := other.call(http.MethodGet, "/own-connections/beta/tests/"+test.Test, "", nil); got != http.StatusNotFound {
		t.Errorf("a test of another connection: %d, want 404", got)
	}
}

func finish(ctx context.Context, s login.Store, test string, r trace.Record) error {
	return s.FinishTest(ctx, test, r, audit.Event{At: r.Finished, Action: audit.SignInTested, Actor: audit.Gate()})
}

// Whatever a foreign hand wrote about a connection is text on every screen, and no page is heavy.
func TestHostileConnectionsAreText(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.open()
	tokens := scim.NewTokens(scim.TokensConfig{Store: w.db.Tokens(), Now: func() time.Time { return w.now }})
	if _, _, err := tokens.Create(t.Context(), audit.Gate(), "acme", hostile["script"], 0); err != nil {
		t.Fatal(err)
	}
	for name, text := range hostile {
		w.ways.list[1] = admin.Connection{
			ID: "acme", Organization: text, Domains: []string{text}, Preset: text, Protocol: admin.OverSAML, SCIM: true, Provisioning: text, Link: text,
			MetadataURL: text, EntityID: text, Made: true, Author: text, Changed: w.now,
		}
		w.ways.draft["acme"] = admin.Draft{ID: "acme", Organization: text, Issuer: text, ClientID: text, MetadataURL: text, Link: text, Domains: []string{text}}
		w.ways.trust = admin.Trust{EntityID: text, Waiting: w.now, Changes: []string{text}, Certificates: []admin.Certificate{{Name: text, Note: text, Ends: w.now}}}
		b := trace.Begin(trace.Record{Reference: "HOSTILE", Connection: "acme", Address: text})
		b.Check(text, false, text, text)
		r := b.End(w.now, trace.Refused, text, text)
		if err := w.db.Traces().InsertTraces(t.Context(), []trace.Record{r}, nil, trace.Caps{r.Class(): 100}); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{
			"/connections", "/connections/acme", "/connections/acme/setup", "/connections/acme/scim", "/connections/acme/settings", "/connections/acme/remove",
			"/connections/acme/sign-ins", "/connections/acme/sign-ins/HOSTILE", "/tokens", "/settings",
		} {
			res := s.page(path)
			if res.StatusCode != http.StatusOK {
				t.Fatalf("%s, %s: status = %d: %s", name, path, res.StatusCode, res.text)
			}
			if found := foreign(res.text); found != nil {
				t.Errorf("%s, %s: the page holds %q", name, path, found)
			}
			if n := weight(t, s, res); n > 50<<10 {
				t.Errorf("%s: %d bytes, want 50 KB", path, n)
			}
		}
		rows, err := csv.NewReader(strings.NewReader(s.page("/connections.csv").text)).ReadAll()
		if err != nil || len(rows) != 4 {
			t.Fatalf("%s: %v, %v", name, rows, err)
		}
		for _, row := range rows[1:] {
			if cell := row[1]; strings.ContainsAny(strings.TrimSpace(cell)[:1], "=+-@|%") {
				t.Errorf("%s: the cell %.20q is a formula", name, cell)
			}
		}
	}
}

// weight is what a page and all that it loads cost on the wire.
func weight(t *testing.T, s *somebody, page answer) int {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, page.text)
	for _, m := range regexp.MustCompile(`(?:href|src)="(/\.portcullis/admin/assets/[^"]+)"`).FindAllStringSubmatch(page.text, -1) {
		_, _ = io.WriteString(z, s.send(http.MethodGet, m[1], nil, nil).text)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Len()
}
