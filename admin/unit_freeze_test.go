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
		contains(t, "the person", whole.page("/people/"+ben.id), "Their sub-organization is suspended", "access for your part of Acme is suspended")
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
		"Frozen, with everybody below it.", "▲ suspended", "broken &lt;into&gt;", "with what is above it", "/unfreeze\"")
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
