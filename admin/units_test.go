package admin_test

import (
	"cmp"
	"net/http"
	"strings"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/trace"
	"portcullis/web"
)

var root = audit.Actor{Kind: "operator", ID: "1", Name: "root"}

// unit makes a sub-organization of Acme.
func (w *world) unit(parent, name string) string {
	w.t.Helper()
	u, err := w.dir.AddUnit(w.t.Context(), root, "Acme", parent, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return u.ID
}

func (w *world) place(s *somebody, unit string) *somebody {
	w.t.Helper()
	if err := w.dir.Place(w.t.Context(), root, s.id, unit, ""); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// traced leaves a sign-in and a request of SCIM that are about somebody, with
// the reference of the first.
func (w *world) traced(s *somebody, connection string) string {
	w.t.Helper()
	b := trace.Begin(trace.Record{Reference: strings.ToUpper("R-" + s.id), Connection: connection, Protocol: "oidc", Person: s.id})
	r := b.End(w.now, trace.SignedIn, "", "")
	if err := w.db.Traces().InsertTraces(w.t.Context(), []trace.Record{r}, nil, trace.Caps{r.Class(): 1000}); err != nil {
		w.t.Fatal(err)
	}
	err := w.db.Journal().AppendJournal(w.t.Context(), []scim.Entry{
		{At: w.now, Connection: connection, Method: "PUT", Path: "/Users/" + s.id, Status: 200},
		{At: w.now, Connection: connection, Method: "PATCH", Path: "/Groups/" + s.id, Status: 200},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r.Reference
}

// wanted is what a manager in Acme is answered: everything that is about
// people of the whole gate is refused, and in a sub-organization the
// connections, too.
func wanted(route admin.Route, inUnit bool) string {
	switch cmp.Or(route.Page, route.API) {
	case "/organizations/freeze", "/organizations/unfreeze", "/audit/chain":
		return "403"
	}
	switch route.Right {
	case admin.Setup:
		return "401 Unauthorized" // it is for nobody who is signed in
	case mapping.GateMappingView, mapping.GateMappingPropose, mapping.GateMappingApprove, mapping.GateConnectionsEdit, mapping.GateTokensEdit:
		return "403"
	case mapping.GateConnectionsOwn:
		if inUnit {
			return "403"
		}
	}
	return "in"
}

// Every route for a client's manager, and for one of a part of a client.
func TestARouteIsThereForAManager(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	victim := w.signIn("beta", "victim")
	managers := map[string]*somebody{
		"of Acme": w.signIn("acme", "whole", "Admins"), "of Europe": w.place(w.signIn("acme", "part", "Admins"), w.unit("", "Europe")),
		"not placed": w.place(w.signIn("acme", "lost", "Admins"), ""),
	}
	w.strand(managers["not placed"])
	for _, route := range w.console.Routes() {
		for _, way := range ways(route, victim.id) {
			for who, s := range managers {
				res := s.send(way[0], way[1], nil, strings.NewReader(""))
				got := "in"
				switch {
				case res.StatusCode == http.StatusForbidden && (strings.Contains(res.text, "may not do this") || strings.Contains(res.text, "you lack")):
					got = "403"
				case res.StatusCode == http.StatusUnauthorized, res.StatusCode >= 500, strings.Contains(strings.ToLower(res.text), "there is no such page"):
					got = res.Status
				}
				if want := wanted(route, who != "of Acme"); got != want {
					t.Errorf("%s %s for the manager %s: %s, want %s: %s", way[0], way[1], who, got, want, res.text[:min(len(res.text), 200)])
				}
				if strings.Contains(route.Page+route.API, ":id") && res.StatusCode < 400 {
					t.Errorf("%s %s for the manager %s: status = %d for somebody of another client", way[0], way[1], who, res.StatusCode)
				}
				if strings.Contains(res.text, "victim") {
					t.Errorf("%s %s for the manager %s names somebody of another client", way[0], way[1], who)
				}
			}
		}
	}
}

// strand leaves somebody of whom nobody can say where they are.
func (w *world) strand(s *somebody) {
	w.t.Helper()
	err := w.db.Directory().Update(w.t.Context(), func(tx directory.Tx) error {
		p, err := tx.Person(s.id)
		if err != nil {
			return err
		}
		p.Unit = directory.Unplaced
		p.Version++
		return tx.UpdatePerson(p, "")
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// A move counts at once, for whoever is moved and for who manages them.
func TestAMoveCountsAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		europe := w.unit("", "Europe")
		nordics, asia := w.unit(europe, "Nordics"), w.unit("", "Asia")
		whole, boss := w.signIn("acme", "whole", "Admins"), w.place(w.signIn("acme", "boss", "Admins"), europe)
		ada, ben := w.place(w.signIn("acme", "ada"), nordics), w.place(w.signIn("acme", "ben"), asia)
		see := func(who string, s, whom *somebody, want int) {
			t.Helper()
			if got := s.call(http.MethodGet, "/people/"+whom.id, "", nil); got != want {
				t.Errorf("%s: status = %d, want %d", who, got, want)
			}
		}
		order := func(s *somebody, path, body string, want int) {
			t.Helper()
			if got := s.send(http.MethodPost, admin.APIPrefix+path, nil, strings.NewReader(body)); got.StatusCode != want {
				t.Errorf("%s %s: status = %d, want %d: %s", path, body, got.StatusCode, want, got.text)
			}
		}
		to := func(unit string) string { return `{"subOrganization":"` + unit + `","reason":"x"}` }
		see("boss", boss, ada, 200)
		see("boss, of Asia", boss, ben, 404)
		order(boss, "/people/"+ada.id+"/place", to(asia), 404)     // out of their reach
		order(boss, "/people/"+ada.id+"/place", to(""), 404)       // likewise
		order(boss, "/people/"+ben.id+"/place", to(nordics), 404)  // they do not even see him
		order(boss, "/people/"+boss.id+"/place", to(nordics), 409) // themselves
		order(boss, "/people/"+ada.id+"/place", to(europe), 200)
		order(whole, "/people/"+ada.id+"/place", to(asia), 200)
		see("boss, after she left", boss, ada, 404)
		order(whole, "/people/all/place", `{"subOrganization":"`+nordics+`","ids":["`+ada.id+`","`+ben.id+`"]}`, 200)
		see("boss, after both came", boss, ben, 200)
		order(whole, "/people/"+boss.id+"/place", to(asia), 200)
		see("boss, moved away", boss, ada, 404)
		order(boss, "/people/"+ada.id+"/lock", `{"reason":"x"}`, 404)
		order(whole, "/sub-organizations/"+nordics+"/move", `{"below":"`+asia+`"}`, 200)
		see("boss, after the part came", boss, ada, 200)
		// Whoever stands higher decided it.
		order(whole, "/people/"+ada.id+"/lock", `{"reason":"x"}`, 200)
		order(boss, "/people/"+ada.id+"/unlock", `{}`, 403)
		order(whole, "/people/"+ada.id+"/unlock", `{}`, 200)
		order(boss, "/people/"+ada.id+"/lock", `{"reason":"x"}`, 200)
		order(boss, "/people/"+ada.id+"/unlock", `{}`, 200)
		// The tree, within their reach.
		order(boss, "/sub-organizations", `{"name":"New","below":"`+asia+`"}`, 200)
		order(boss, "/sub-organizations", `{"name":"Newer"}`, 404)
		order(boss, "/sub-organizations", `{"name":"Newer","organization":"Beta","below":""}`, 404)
		order(boss, "/sub-organizations", `{"name":"Newer","below":"`+europe+`"}`, 404)
		order(boss, "/sub-organizations/"+nordics+"/rename", `{"name":"North"}`, 200)
		order(boss, "/sub-organizations/"+nordics+"/move", `{"below":""}`, 404)
		order(boss, "/sub-organizations/"+asia+"/rename", `{"name":"Mine"}`, 403)
		order(boss, "/sub-organizations/"+europe+"/rename", `{"name":"Mine"}`, 404)
		if got := boss.call(http.MethodDelete, "/sub-organizations/"+nordics, "", nil); got != http.StatusConflict {
			t.Errorf("removing what people are in: status = %d, want 409", got)
		}
		order(w.signIn("beta", "theirs", "Admins"), "/sub-organizations/"+nordics+"/rename", `{"name":"x"}`, 404)
		order(w.signIn("staff", "viewer", mapping.GateUsersView), "/sub-organizations/"+nordics+"/rename", `{"name":"x"}`, 403)
		// Roles are handed out within reach alone.
		var x struct{ Assignable []string }
		if whole.call(http.MethodGet, "/people/"+ada.id+"/exceptions", "", &x); len(x.Assignable) != 1 {
			t.Errorf("assignable = %v", x.Assignable)
		}
	})
}

// In a browser: made, filled, filtered by, called as the settings say.
func TestSubOrganizationsOnPages(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	staff := w.signIn("staff", "ada", tasks()...)
	ben, cleo := w.signIn("acme", "ben"), w.signIn("beta", "cleo")
	if got := staff.call(http.MethodPut, "/settings", `{"suborganization":"Desk","suborganizations":"Desks","organizations":"Clients"}`, nil); got != 200 {
		t.Fatalf("settings: status = %d", got)
	}
	w.now = w.now.Add(time.Minute)
	contains(t, "the list", staff.page("/organizations"), "Clients</h1>", "Acme", "Beta", `aria-current="page">Clients</a>`)
	res := staff.form("/sub-organizations", "organization", "Acme", "name", "Nordics & <b>", "below", "")
	contains(t, "where that leads", staff.page(strings.TrimPrefix(res.Header.Get("Location"), web.ConsolePrefix)), "Added.", "Nordics &amp; &lt;b&gt;", "<h2>Desks</h2>")
	var trees struct{ SubOrganizations []struct{ ID string } }
	staff.call(http.MethodGet, "/organizations?organization=Acme", "", &trees)
	id := trees.SubOrganizations[0].ID
	contains(t, "the question", staff.form("/people/all/place", "id", ben.id), "Move 1 person?", "Desk</label>", "Nordics &amp;")
	if res := staff.form("/people/all/place", "id", ben.id, "id", cleo.id); res.StatusCode != http.StatusBadRequest {
		t.Errorf("people of two clients: status = %d, want 400", res.StatusCode)
	}
	contains(t, "one", staff.page("/people/"+ben.id+"/place"), `action="/.portcullis/admin/people/`+ben.id+`/place"`)
	res = staff.form("/people/"+ben.id+"/place", "subOrganization", id, "reason", "new job")
	contains(t, "the person", staff.page(strings.TrimPrefix(res.Header.Get("Location"), web.ConsolePrefix)), "1 person moved.", "<dt>Desk</dt><dd><bdi>Nordics &amp;", "Move …")
	contains(t, "the filter", staff.page("/people?organization=Acme&subOrganization="+id), "Name of ben", "<th>Desk</th>", "Every desk")
	if page := staff.page("/people?organization=Acme&subOrganization=none").text; strings.Contains(page, "Name of ben") {
		t.Error("who is in one is among those who are in none")
	}
	if res := staff.page("/organizations?organization=Nobody"); res.StatusCode != http.StatusNotFound {
		t.Errorf("status = %d, want 404", res.StatusCode)
	}
	manager := w.place(w.signIn("acme", "manager", "Admins"), id)
	page := manager.page("/organizations").text
	if strings.Contains(page, "in no desk") || !strings.Contains(page, "yours") || strings.Contains(page, "Beta") {
		t.Errorf("what a manager sees: %s", page)
	}
	if page := manager.page("/").text; strings.Contains(page, "My connections") {
		t.Error("the manager of a part is led to the connections of the whole")
	}
}
