package admin_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/mapping"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/trace"
)

// setup makes a setup link for a connection and opens it, as the client's own
// administrator does.
func (w *world) setup(by *somebody, connection string) *somebody {
	w.t.Helper()
	var made struct{ Link string }
	if got := by.call(http.MethodPost, "/connections/"+connection+"/setup-link", "", &made); got != http.StatusOK {
		w.t.Fatalf("making a setup link: %d", got)
	}
	u, err := url.Parse(made.Link)
	if err != nil {
		w.t.Fatal(err)
	}
	in := w.nobody().post(u.Path, "link", u.Query().Get("link"))
	if in.StatusCode != http.StatusSeeOther {
		w.t.Fatalf("opening it: %d %s", in.StatusCode, in.text)
	}
	return &somebody{w: w, cookies: in.Cookies()}
}

// recorded keeps the trace of an attempt of somebody.
func (w *world) recorded(reference, connection, who string, outcome trace.Outcome) trace.Record {
	w.t.Helper()
	b := trace.Begin(trace.Record{Reference: reference, Connection: connection, Facts: []trace.Field{{Name: "userName", Values: []string{who}}}})
	r := b.End(w.now, outcome, "", "")
	if err := w.db.Traces().InsertTraces(w.t.Context(), []trace.Record{r}, nil, trace.Caps{r.Class(): 9}); err != nil {
		w.t.Fatal(err)
	}
	return r
}

// Nobody knows who holds a setup link: of a connection that has people it shows
// nobody, but whoever went through the test sign-ins that were begun by it.
func TestASetupLinkShowsNobody(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		ada := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
		w.recorded("IN-BEFORE", "acme", "victim-one", trace.SignedIn)
		before := scim.Entry{At: w.now, Connection: "acme", Method: "GET", Path: `/Users?filter=userName eq "victim-two"`, Status: 404, Cause: "no user victim-two"}
		w.now = w.now.Add(time.Second)
		it := w.setup(ada, "acme")
		w.recorded("IN-AFTER", "acme", "victim-three", trace.SignedIn)
		w.recorded("REFUSED", "acme", "victim-four", trace.Refused)
		foreign := ada.opened("/connections/acme") // the gate's administrators test, too
		if err := finish(t.Context(), w.db.Login(), foreign, w.recorded("TESTED-BY-ADA", "acme", "victim-five", trace.Tested)); err != nil {
			t.Fatal(err)
		}
		after := scim.Entry{At: w.now, Connection: "acme", Method: "GET", Path: `/Users?filter=userName eq "victim-six"`, Status: 200, Body: `{"userName":"victim-six"}`}
		if err := w.db.Journal().AppendJournal(t.Context(), []scim.Entry{before, after}); err != nil {
			t.Fatal(err)
		}
		mine := it.opened("/setup/acme")
		if err := finish(t.Context(), w.db.Login(), mine, w.recorded("TESTED-BY-IT", "acme", "their-tester", trace.Tested)); err != nil {
			t.Fatal(err)
		}
		w.ways.list[1].Author, w.ways.list[1].Made = "victim-seven", true
		w.ways.draft["acme"] = admin.Draft{ID: "acme", Protocol: admin.OverOIDC, SCIM: true}
		for path, want := range map[string]int{
			"": 200, "/setup": 200, "/scim": 200, "/sign-ins": 200, "/sign-ins?failed=yes": 200, "/sign-ins?before=99": 200, "/sign-ins/TESTED-BY-IT": 200,
			"/tests/" + mine: 200, "/tests/" + foreign: 404, "/sign-ins/IN-BEFORE": 404, "/sign-ins/IN-AFTER": 404, "/sign-ins/REFUSED": 404, "/sign-ins/TESTED-BY-ADA": 404,
		} {
			res := it.page("/setup/acme" + path)
			if res.StatusCode != want || strings.Contains(res.text, "victim") {
				t.Errorf("%s: %d, want %d, and no victim in %s", path, res.StatusCode, want, res.text)
			}
		}
		if page := it.page("/setup/acme/sign-ins").text; !strings.Contains(page, "their-tester") || strings.Count(page, "<tr>") != 2 {
			t.Errorf("the link's own test is not alone in the list: %s", page)
		}
		if page := it.page("/setup/acme/scim").text; !strings.Contains(page, "GET <bdi>/Users</bdi>") {
			t.Errorf("what is pushed meanwhile does not show: %s", page)
		}
		next := w.setup(ada, "acme")
		for _, path := range []string{"/sign-ins", "/sign-ins/TESTED-BY-IT", "/tests/" + mine} {
			if res := next.page("/setup/acme" + path); strings.Contains(res.text, "their-tester") {
				t.Errorf("%s: another link shows what was tested by the one before: %s", path, res.text)
			}
		}
		if res := w.signIn("acme", "manager", "Admins").page("/own-connections/acme/sign-ins"); !strings.Contains(res.text, "victim-one") || !strings.Contains(res.text, "their-tester") {
			t.Errorf("whose connection it is sees less: %s", res.text)
		}
	})
}

// Whoever is signed in keeps the console in a browser in which they opened a
// setup link: it counts at its own pages, and nowhere else.
func TestASetupLinkHidesNoConsole(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	ada := w.signIn("staff", "ada", mapping.GateConnectionsEdit, mapping.GateUsersView)
	it := w.setup(ada, "acme")
	both := &somebody{w: w, id: ada.id, cookies: append(slices.Clone(it.cookies), ada.cookies...)}
	for path, want := range map[string]int{"/": 200, "/people": 200, "/connections": 200, "/connections/beta": 200, "/setup/acme": 200, "/setup/acme/setup": 200, "/setup/beta": 404} {
		res := both.page(path)
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
		if visit := strings.HasPrefix(path, "/setup/"); want == 200 && strings.Contains(res.text, "Setting up this connection") != visit {
			t.Errorf("%s: looks as by the link: %t, want %t", path, !visit, visit)
		}
	}
	var me struct{ Kind, Name string }
	if both.call(http.MethodGet, "/me", "", &me); me.Kind != "person" || me.Name != "Name of ada" {
		t.Errorf("me = %+v", me)
	}
	if res := ada.page("/setup/acme"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the link's pages for whoever has every right, and no link: %d, want 401", res.StatusCode)
	}
	// What a link opened counts under the other link's name neither there nor here.
	renamed := &somebody{w: w}
	for _, c := range it.cookies {
		renamed.cookies = append(renamed.cookies, &http.Cookie{Name: "__Host-portcullis-console", Value: c.Value})
	}
	for _, c := range w.open().cookies {
		renamed.cookies = append(renamed.cookies, &http.Cookie{Name: "__Host-portcullis-setup", Value: c.Value})
	}
	if got := renamed.call(http.MethodGet, "/people", "", nil); got != http.StatusUnauthorized {
		t.Errorf("a setup link's cookie as a link's to the console: %d, want 401", got)
	}
	if res := renamed.page("/setup/acme"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a cookie of the whole console as a setup link's: %d, want 401", res.StatusCode)
	}
}
