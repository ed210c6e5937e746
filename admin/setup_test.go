package admin_test

import (
	"net/http"
	"net/url"
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
		mine := it.opened("/own-connections/acme")
		if err := finish(t.Context(), w.db.Login(), mine, w.recorded("TESTED-BY-IT", "acme", "their-tester", trace.Tested)); err != nil {
			t.Fatal(err)
		}
		w.ways.list[1].Author, w.ways.list[1].Made = "victim-seven", true
		w.ways.draft["acme"] = admin.Draft{ID: "acme", Protocol: admin.OverOIDC, SCIM: true}
		for path, want := range map[string]int{
			"": 200, "/setup": 200, "/scim": 200, "/sign-ins": 200, "/sign-ins?failed=yes": 200, "/sign-ins?before=99": 200, "/sign-ins/TESTED-BY-IT": 200,
			"/tests/" + mine: 200, "/tests/" + foreign: 404, "/sign-ins/IN-BEFORE": 404, "/sign-ins/IN-AFTER": 404, "/sign-ins/REFUSED": 404, "/sign-ins/TESTED-BY-ADA": 404,
		} {
			res := it.page("/own-connections/acme" + path)
			if res.StatusCode != want || strings.Contains(res.text, "victim") {
				t.Errorf("%s: %d, want %d, and no victim in %s", path, res.StatusCode, want, res.text)
			}
		}
		if page := it.page("/own-connections/acme/sign-ins").text; !strings.Contains(page, "their-tester") || strings.Count(page, "<tr>") != 2 {
			t.Errorf("the link's own test is not alone in the list: %s", page)
		}
		if page := it.page("/own-connections/acme/scim").text; !strings.Contains(page, "GET <bdi>/Users</bdi>") {
			t.Errorf("what is pushed meanwhile does not show: %s", page)
		}
		next := w.setup(ada, "acme")
		for _, path := range []string{"/sign-ins", "/sign-ins/TESTED-BY-IT", "/tests/" + mine} {
			if res := next.page("/own-connections/acme" + path); strings.Contains(res.text, "their-tester") {
				t.Errorf("%s: another link shows what was tested by the one before: %s", path, res.text)
			}
		}
		if res := w.signIn("acme", "manager", "Admins").page("/own-connections/acme/sign-ins"); !strings.Contains(res.text, "victim-one") || !strings.Contains(res.text, "their-tester") {
			t.Errorf("whose connection it is sees less: %s", res.text)
		}
	})
}
