package admin_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/login"
	"portcullis/mapping"
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

// However many people are kept in memory, a group that one of them has is had.
func TestGroupsThatNobodyHasAreKnownAmongManyPeople(t *testing.T) {
	t.Parallel()
	databaseURL := "sqlite:" + t.TempDir() + "/p.db"
	db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := newWorld(t, db)
	storetest.Seed(t, databaseURL, "acme", "Acme", 60_000)
	s := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
	const nobodyHas = "The mapping names 1 group that nobody has: name \"Admins\""
	var list connectionList
	s.call(http.MethodGet, "/connections", "", &list)
	if got := list.texts("beta"); !strings.Contains(got, nobodyHas) {
		t.Errorf("of beta is said %q, want %q", got, nobodyHas)
	}
	w.signIn("beta", "bob", "Admins") // the last of all
	w.now = w.now.Add(5 * time.Minute)
	s.call(http.MethodGet, "/connections", "", &list)
	if got := list.texts("beta"); strings.Contains(got, nobodyHas) {
		t.Errorf("of beta is said %q, and bob has it", got)
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

func TestAConnectionIsMadeChangedAndRemoved(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("staff", "ada", mapping.GateConnectionsEdit, mapping.GateMappingPropose)
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
	if page := s.page(path).text; !strings.Contains(page, "Nobody has opened it yet") || !strings.Contains(page, `data-poll="2"`) {
		t.Errorf("page = %s", page)
	}
	r := trace.Begin(trace.Record{Reference: "T", Connection: "acme"}).End(w.now, trace.Tested, "you may not", "")
	if err := finish(t.Context(), w.db.Login(), test.Test, r); err != nil {
		t.Fatal(err)
	}
	if s.call(http.MethodGet, path, "", &test); !test.Done || test.SignIn.Reason != "you may not" {
		t.Errorf("result = %+v", test)
	}
	if page := s.page(path).text; !strings.Contains(page, "would be refused, and they would be told: <bdi>you may not</bdi>") || strings.Contains(page, "data-poll") {
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
		reading := admin.Reading{
			Names: map[string][]string{"groups": {text}, "subject": {text}}, UnitAttribute: text, UnitClaim: text, Attributes: []string{text + "=" + text},
			GuardPercent: text, GuardPeople: text,
		}
		w.ways.list[1] = admin.Connection{
			ID: "acme", Organization: text, Domains: []string{text}, Preset: text, Protocol: admin.OverSAML, SCIM: true, Provisioning: text, Link: text,
			MetadataURL: text, EntityID: text, Made: true, Author: text, Changed: w.now, Reading: reading,
		}
		w.ways.draft["acme"] = admin.Draft{ID: "acme", Organization: text, Issuer: text, ClientID: text, MetadataURL: text, Link: text, Domains: []string{text}, Addresses: []string{text}, Reading: reading}
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
