package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"portcullis/admin"
	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/trace"
)

// Why somebody has what they have is for their own manager to see, and what the
// mapping asks of other clients is not.
func TestAManagerIsToldOfNoOtherClientsRules(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	manager, reader := w.signIn("acme", "manager", "Admins"), w.signIn("staff", "reader", mapping.GateUsersView, mapping.GateAuditView)
	r := trace.Begin(trace.Record{Reference: "REFUSED", Connection: "acme", Protocol: "oidc", Person: manager.id}).End(w.now, trace.Refused, "no", "")
	r.Decision = &trace.Decision{Verdict: "no", NearMisses: []string{`rule beta-admins: on connection "beta"`}}
	if err := w.db.Traces().InsertTraces(t.Context(), []trace.Record{r}, nil, trace.Caps{r.Class(): 9}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/people/" + manager.id + "/why", "/sign-ins/REFUSED", "/connections/acme/sign-ins/REFUSED", "/own-connections/acme/sign-ins/REFUSED"} {
		for _, res := range []answer{manager.page(path), manager.send(http.MethodGet, admin.APIPrefix+path, nil, nil)} {
			if res.StatusCode != http.StatusOK || strings.Contains(res.text, "beta") {
				t.Errorf("%s: %d, and beta is named in %s", path, res.StatusCode, res.text)
			}
		}
		if res := reader.send(http.MethodGet, admin.APIPrefix+path, nil, nil); !strings.HasPrefix(path, "/own") && !strings.Contains(res.text, "beta-admins") {
			t.Errorf("%s for everybody's administrator: %d, want all of it", path, res.StatusCode)
		}
	}
}

// Where an identity provider says by name where people are, a manager of a part
// does not give the name that brings them to theirs.
func TestAPartTakesNoNameThatAnIdentityProviderGives(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	europe := w.unit("", "Europe")
	desk := w.unit(europe, "Desk")
	part, whole := w.place(w.signIn("acme", "part", "Admins"), europe), w.signIn("acme", "whole", "Admins")
	if got := part.call(http.MethodPost, "/sub-organizations", `{"below":"`+europe+`","name":"By hand"}`, nil); got != http.StatusOK {
		t.Errorf("where nobody else names them: %d, want 200", got)
	}
	err := w.dir.SetConnections(t.Context(), []directory.Connection{
		{ID: "staff", Organization: "Staff"}, {ID: "acme", Organization: "Acme", Units: directory.UnitSource{Claim: "division"}}, {ID: "beta", Organization: "Beta"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string]string{
		"/sub-organizations": `{"below":"` + europe + `","name":"Finance"}`, "/sub-organizations/" + desk + "/rename": `{"name":"Finance"}`,
	} {
		if got := part.call(http.MethodPost, path, body, nil); got != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", path, got)
		}
	}
	cfo := w.enter(directory.Assertion{Connection: "acme", Issuer: "https://idp.example", Subject: "cfo", UserName: "cfo", Claims: map[string]any{"division": "Finance"}})
	for who, want := range map[*somebody]int{part: http.StatusNotFound, whole: http.StatusOK} {
		if got := who.call(http.MethodGet, "/people/"+cfo.id, "", nil); got != want {
			t.Errorf("whom the provider put into Finance: %d, want %d", got, want)
		}
	}
	if got := whole.call(http.MethodPost, "/sub-organizations", `{"name":"Legal"}`, nil); got != http.StatusOK {
		t.Errorf("by whoever manages the whole: %d, want 200", got)
	}
}

// Who is deleted and signs in again is in the part that they were in: two
// managers of a part do not get each other out of it, whatever they do to the
// tree meanwhile.
func TestAManagerOfAPartDeletesNobodyOutOfIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		europe := w.unit("", "Europe")
		desk := w.unit(europe, "Desk")
		one, two := w.place(w.signIn("acme", "one", "Admins"), europe), w.place(w.signIn("acme", "two", "Admins"), desk)
		outside := w.signIn("acme", "outside")
		if page := one.page("/people/" + two.id).text; !strings.Contains(page, "/delete\"") {
			t.Error("the page does not offer it")
		}
		for _, by := range []*somebody{one, w.signIn("acme", "whole", "Admins")} {
			if got := by.call(http.MethodPost, "/people/"+two.id+"/delete", `{"reason":"x"}`, nil); got != http.StatusOK {
				t.Fatalf("deleting somebody: %d, want 200", got)
			}
			one.call(http.MethodDelete, "/sub-organizations/"+desk, "", nil)
			two = w.signIn("acme", "two", "Admins")
			if got := two.call(http.MethodGet, "/people/"+outside.id, "", nil); got != http.StatusNotFound {
				t.Errorf("whoever was deleted and came back sees the whole organization: %d, want 404", got)
			}
			if got := one.call(http.MethodGet, "/people/"+two.id, "", nil); got != http.StatusOK {
				t.Errorf("their manager sees them no more: %d, want 200", got)
			}
		}
	})
}
