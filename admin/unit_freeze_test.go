package admin_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"portcullis/admin"
	"portcullis/mapping"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/web"
)

// Who manages the whole freezes and unfreezes a part, with what is below it;
// who manages a part does not, and a client takes back nothing that the gate
// decided.
func TestWhoFreezesAPart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		europe := w.unit("", "Europe")
		nordics := w.unit(europe, "Nordics")
		whole, staff := w.signIn("acme", "whole", "Admins"), w.signIn("staff", "root", mapping.GateUsersLock)
		order := func(who string, s *somebody, unit, verb, body string, want int) {
			t.Helper()
			if got := s.send(http.MethodPost, admin.APIPrefix+"/sub-organizations/"+unit+"/"+verb, nil, strings.NewReader(body)); got.StatusCode != want {
				t.Errorf("%s: %s: status = %d, want %d: %s", who, verb, got.StatusCode, want, got.text)
			}
		}
		boss := w.place(w.signIn("acme", "boss", "Admins"), europe)
		for _, unit := range []string{europe, nordics} {
			order("the manager of the part", boss, unit, "freeze", `{"reason":"x"}`, 403)
			order("the manager of the part", boss, unit, "unfreeze", `{}`, 403)
			order("a manager of another client", w.signIn("beta", "theirs", "Admins"), unit, "freeze", `{"reason":"x"}`, 404)
			order("somebody without the right", w.signIn("staff", "viewer", mapping.GateUsersView), unit, "freeze", `{"reason":"x"}`, 403)
		}
		order("without a reason", whole, europe, "freeze", `{}`, 400)
		ben := w.place(w.signIn("acme", "ben", "Admins"), nordics)
		var effect struct{ People, Sessions int }
		if whole.call(http.MethodGet, "/sub-organizations/"+europe+"/freeze", "", &effect); effect.People != 2 || effect.Sessions != 2 {
			t.Errorf("effect = %+v, want 2 people and 2 sessions", effect)
		}
		var done struct{ SessionsEnded int }
		if whole.call(http.MethodPost, "/sub-organizations/"+europe+"/freeze", `{"reason":"broken into"}`, &done); done.SessionsEnded != 2 {
			t.Errorf("%d sessions ended, want 2", done.SessionsEnded)
		}
		w.follow()
		for who, s := range map[string]*somebody{"boss": boss, "ben": ben} {
			if got := s.call(http.MethodGet, "/me", "", nil); got != http.StatusUnauthorized {
				t.Errorf("%s: status = %d, want 401", who, got)
			}
		}
		var trees struct {
			SubOrganizations []struct {
				Suspended bool
				Frozen    *struct{ By, Reason string }
			}
		}
		whole.call(http.MethodGet, "/organizations", "", &trees)
		if u := trees.SubOrganizations; len(u) != 2 || !u[0].Suspended || !u[1].Suspended || u[0].Frozen == nil || u[0].Frozen.Reason != "broken into" || u[1].Frozen != nil {
			t.Errorf("tree = %+v", u)
		}
		contains(t, "the person", whole.page("/people/"+ben.id), "Their sub-organization is frozen", "access for your part of Acme is frozen")
		order("who froze it", whole, europe, "unfreeze", `{}`, 200)
		if got := w.events(admin.EventQuery{Action: "unit.unfrozen", Limit: 5}); len(got) != 1 || got[0].Actor.ID != whole.id {
			t.Errorf("events = %+v", got)
		}
		// What staff decided is theirs to take back.
		order("staff", staff, nordics, "freeze", `{"reason":"x"}`, 200)
		order("a client's manager", whole, nordics, "unfreeze", `{}`, 403)
		if _, err := w.dir.FreezeUnit(t.Context(), root, "Acme", europe, "x"); err != nil {
			t.Fatal(err)
		}
		order("a client's manager, after an operator", whole, europe, "unfreeze", `{}`, 403)
		order("staff", staff, europe, "unfreeze", `{}`, 200)
		order("staff", staff, nordics, "unfreeze", `{}`, 200)
	})
}

// A client's own manager froze a part first: once the gate's administrators
// freeze it, too, that is what stands, and nothing of the client's takes it back.
func TestTheGateTakesAFreezeOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		europe := w.unit("", "Europe")
		whole, second, staff := w.signIn("acme", "whole", "Admins"), w.signIn("acme", "second", "Admins"), w.signIn("staff", "root", mapping.GateUsersLock, mapping.GateUsersView)
		order := func(who string, s *somebody, verb, why string, want int) {
			t.Helper()
			if got := s.call(http.MethodPost, "/sub-organizations/"+europe+"/"+verb, `{"reason":"`+why+`"}`, nil); got != want {
				t.Errorf("%s: %s: status = %d, want %d", who, verb, got, want)
			}
		}
		froze := func() []admin.Event { t.Helper(); return w.events(admin.EventQuery{Action: "unit.frozen", Limit: 9}) }
		order("the client", whole, "freeze", "their reason", 200)
		order("a colleague", second, "freeze", "another", 200)
		if got := froze(); len(got) != 1 {
			t.Errorf("frozen %d times, want once", len(got))
		}
		const offer = "Freeze as the gate …"
		if strings.Contains(whole.page("/organizations").text, offer) {
			t.Error("a client is offered what is the gate's")
		}
		contains(t, "the list", staff.page("/organizations?organization=Acme"), "their reason", offer)
		contains(t, "the question", staff.page("/sub-organizations/"+europe+"/freeze"), "has frozen it already, for the client")
		order("staff", staff, "freeze", "ours", 200)
		if got := froze(); len(got) != 2 || got[0].Actor.ID != staff.id || got[0].Reason != "ours" || got[0].Detail["frozen_before_by"] != got[1].Actor.Name || got[1].Actor.ID != whole.id {
			t.Errorf("trail = %+v, want both", got)
		}
		order("who froze it first", whole, "freeze", "mine", 200) // nothing happens
		order("who froze it first", whole, "unfreeze", "", 403)
		order("a colleague", second, "unfreeze", "", 403)
		list := staff.page("/organizations?organization=Acme")
		contains(t, "the list", list, "ours")
		if strings.Contains(list.text, offer) {
			t.Error("the gate is offered what it has")
		}
		order("staff", staff, "freeze", "again", 200)
		if got := froze(); len(got) != 2 {
			t.Errorf("frozen %d times, want twice", len(got))
		}
		order("staff", staff, "unfreeze", "", 200)
		order("the client", whole, "freeze", "x", 200)
		order("a colleague", second, "unfreeze", "", 200)
	})
}

// In a browser the effect stands before the question.
func TestFreezingAPartOnPages(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	europe := w.unit("", "Europe")
	w.unit(europe, "Nordics")
	ben := w.place(w.signIn("acme", "ben"), europe)
	staff := w.signIn("staff", "ada", tasks()...)
	contains(t, "the list", staff.page("/organizations?organization=Acme"), "● open", "/sub-organizations/"+europe+"/freeze\"")
	contains(t, "the question", staff.page("/sub-organizations/"+europe+"/freeze"), "Freeze: <bdi>Europe</bdi>?", "1 person, with those", "Ends 1 session.", "required")
	res := staff.form("/sub-organizations/"+europe+"/freeze", "reason", "broken <into>")
	contains(t, "where that leads", staff.page(strings.TrimPrefix(res.Header.Get("Location"), web.ConsolePrefix)),
		"Frozen, with everybody below it.", "▲ frozen", "broken &lt;into&gt;", "with what is above it", "/unfreeze\"")
	if state := ben.page("/account").StatusCode; !slices.Contains([]int{http.StatusUnauthorized, http.StatusSeeOther, http.StatusFound}, state) {
		t.Errorf("who is in it: status = %d", state)
	}
	contains(t, "the other question", staff.page("/sub-organizations/"+europe+"/unfreeze"), "Unfreeze: <bdi>Europe</bdi>?", "(optional)")
	res = staff.form("/sub-organizations/" + europe + "/unfreeze")
	contains(t, "where that leads", staff.page(strings.TrimPrefix(res.Header.Get("Location"), web.ConsolePrefix)), "can sign in again", "● open")
	boss := w.place(w.signIn("acme", "boss", "Admins"), europe)
	if page := boss.page("/organizations").text; strings.Contains(page, "/freeze\"") || strings.Contains(page, "<th>Access</th>") {
		t.Error("the manager of a part is offered it")
	}
}

// Nobody shows as active who may not come in for what is frozen; the list says
// which part that is, and is filtered by it.
func TestWhoIsFrozenShowsInLists(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		europe := w.unit("", "Europe")
		nordics := w.unit(europe, "Nordics")
		staff := w.signIn("staff", "root", tasks()...)
		w.place(w.signIn("acme", "inside", "Admins"), nordics)
		w.place(w.signIn("acme", "locked", "Admins"), nordics)
		w.signIn("acme", "outside", "Admins")
		w.signIn("beta", "theirs", "Admins")
		if _, err := w.dir.FreezeUnit(t.Context(), root, "Acme", europe, "broken into"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.dir.Freeze(t.Context(), root, "Beta", "a breach"); err != nil {
			t.Fatal(err)
		}
		type shown struct{ ID, UserName, State, Frozen string }
		list := func(query string) ([]shown, string) {
			var v struct{ People []shown }
			staff.call(http.MethodGet, "/people?sort=name&"+query, "", &v)
			names := make([]string, len(v.People))
			for i, p := range v.People {
				names[i] = p.UserName
			}
			return v.People, strings.Join(names, " ")
		}
		all, _ := list("")
		id := make(map[string]string)
		for _, p := range all {
			id[p.UserName] = p.ID
			if want := map[string]string{"inside": "Acme / Europe", "locked": "Acme / Europe", "theirs": "Beta"}[p.UserName]; p.Frozen != want || p.State != "active" {
				t.Errorf("%s: %s, frozen with %q; want active, and frozen with %q", p.UserName, p.State, p.Frozen, want)
			}
		}
		staff.call(http.MethodPost, "/people/"+id["locked"]+"/lock", `{"reason":"x"}`, nil)
		for query, want := range map[string]string{
			"state=frozen": "inside locked theirs", "state=active": "outside root", "state=locked": "locked",
			"state=frozen&organization=Acme": "inside locked", "state=frozen&role=client-admin": "inside locked theirs", "state=active&role=client-admin": "outside",
		} {
			if _, got := list(query); got != want {
				t.Errorf("people of %s: %q, want %q", query, got, want)
			}
		}
		contains(t, "the list", staff.page("/people?state=frozen"), `<option selected>frozen</option>`,
			`<span class="state frozen" title="Acme / Europe">▲ frozen`, `<span class="state frozen" title="Beta">▲ frozen`, "■ locked")
		if page := staff.page("/people?state=frozen").text; strings.Contains(page, "● active") {
			t.Error("who is frozen shows as active")
		}
		contains(t, "the file", staff.page("/people.csv?state=frozen"), "Acme / Europe", "lastActive,frozen")
		contains(t, "the person", staff.page("/people/"+id["inside"]), "Their sub-organization is frozen: <bdi>Acme / Europe</bdi>")
		contains(t, "somebody of a frozen client", staff.page("/people/"+id["theirs"]), "Their organization is frozen: <bdi>Beta</bdi>")
		for _, tab := range []string{"", "/why", "/exceptions", "/sessions", "/sign-ins", "/scim", "/audit"} {
			page := staff.page("/people/" + id["inside"] + tab)
			contains(t, tab, page, `title="Acme / Europe">▲ frozen`)
			if strings.Contains(page.text, "● active") {
				t.Errorf("%s: who is frozen shows as active", tab)
			}
		}
		var one struct{ Person shown }
		if staff.call(http.MethodGet, "/people/"+id["inside"], "", &one); one.Person.Frozen != "Acme / Europe" {
			t.Errorf("person = %+v, want frozen with Acme / Europe", one.Person)
		}
	})
}
