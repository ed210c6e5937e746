package admin_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

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
	switch route.Right {
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

// family is Acme with a few people, of whom some manage, and Beta.
type family struct {
	*world
	people   map[string]*somebody // by userName
	managers []string
	where    map[string]string // userName → unit
	parent   map[string]string // unit → unit
}

func newFamily(t *testing.T, db *store.DB) *family {
	t.Helper()
	f := &family{world: newWorld(t, db), people: map[string]*somebody{}, where: map[string]string{}, parent: map[string]string{}}
	for i := range 9 {
		name, groups := fmt.Sprint("p", i), []string(nil)
		if i%3 == 0 {
			f.managers, groups = append(f.managers, name), []string{"Admins"}
		}
		f.people[name] = f.signIn("acme", name, groups...)
		f.traced(f.people[name], "acme")
	}
	other := f.signIn("beta", "other")
	f.traced(other, "beta")
	f.people["other"] = other
	return f
}

// sees is the law: whom a manager sees.
func (f *family) sees(manager, person string) bool {
	if person == "other" {
		return false
	}
	top := f.where[manager]
	if top == "" {
		return true
	}
	return f.within(f.where[person], top)
}

func (f *family) within(unit, top string) bool {
	for ; unit != ""; unit = f.parent[unit] {
		if unit == top {
			return true
		}
	}
	return false
}

// shuffle changes who is where.
func (f *family) shuffle(t *rapid.T) {
	units := []string{""}
	for len(f.parent) > 0 { // from the leaves up
		for id := range f.parent {
			if slices.Contains(mapValues(f.parent), id) {
				continue
			}
			for name, at := range f.where {
				if at == id {
					f.place(f.people[name], "")
					f.where[name] = ""
				}
			}
			if err := f.dir.RemoveUnit(f.t.Context(), root, "Acme", id); err != nil {
				t.Fatal(err)
			}
			delete(f.parent, id)
		}
	}
	for i := range rapid.IntRange(1, 6).Draw(t, "units") {
		parent := rapid.SampledFrom(units).Draw(t, "parent")
		u, err := f.dir.AddUnit(f.t.Context(), root, "Acme", parent, fmt.Sprint("unit ", i))
		if err == nil {
			units, f.parent[u.ID] = append(units, u.ID), parent
		}
	}
	for i := range 9 {
		name, at := fmt.Sprint("p", i), rapid.SampledFrom(units).Draw(t, "place")
		f.place(f.people[name], at)
		f.where[name] = at
	}
	for range rapid.IntRange(0, 2).Draw(t, "moves") {
		a, b := rapid.SampledFrom(units).Draw(t, "moved"), rapid.SampledFrom(units).Draw(t, "below")
		if a != "" && f.dir.MoveUnit(f.t.Context(), root, "Acme", a, b) == nil {
			f.parent[a] = b
		}
	}
}

func mapValues(m map[string]string) (out []string) {
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// lists are the ways to a list of people, each of which gives their ids.
func (f *family) lists(s *somebody) map[string][]string {
	out := map[string][]string{}
	for _, path := range []string{"/people", "/people?role=viewer", "/people?sort=active&order=desc", "/people?q=name", "/people?organization=Beta"} {
		var v struct{ People []struct{ ID string } }
		s.call(http.MethodGet, path, "", &v)
		for _, p := range v.People {
			out[path] = append(out[path], p.ID)
		}
	}
	for _, path := range []string{"/access?role=viewer", "/access?role=viewer&at=2026-03-01T12:00:00Z"} {
		var v struct {
			People []struct{ Person struct{ ID string } }
		}
		s.call(http.MethodGet, path, "", &v)
		for _, p := range v.People {
			out[path] = append(out[path], p.Person.ID)
		}
	}
	for _, p := range f.people {
		var v struct{ People []struct{ ID string } }
		s.call(http.MethodGet, "/people?is="+p.id, "", &v)
		for _, found := range v.People {
			out["/people?is="] = append(out["/people?is="], found.ID)
		}
	}
	for path, column := range map[string]string{
		"/people.csv": "id", "/access.csv?role=viewer": "id", "/audit.csv": "person", "/sign-ins.csv": "person", "/provisioning.csv": "path",
	} {
		rows, err := csv.NewReader(strings.NewReader(s.page(path).text)).ReadAll()
		if err != nil {
			f.t.Fatal(err)
		}
		i := slices.Index(rows[0], column)
		for _, row := range rows[1:] {
			if id := strings.TrimPrefix(row[i], "/Users/"); !strings.Contains(id, "/") {
				out[path] = append(out[path], id)
			}
		}
	}
	var logs struct {
		SignIns  []struct{ Person string }
		Events   []struct{ Person string }
		Requests []struct{ Path string }
	}
	s.call(http.MethodGet, "/sign-ins", "", &logs)
	s.call(http.MethodGet, "/audit?action=person.created", "", &logs)
	s.call(http.MethodGet, "/provisioning", "", &logs)
	for _, v := range logs.SignIns {
		out["/sign-ins"] = append(out["/sign-ins"], v.Person)
	}
	for _, v := range logs.Events {
		out["/audit"] = append(out["/audit"], v.Person)
	}
	for _, v := range logs.Requests {
		if id, ok := strings.CutPrefix(v.Path, "/Users/"); ok {
			out["/provisioning"] = append(out["/provisioning"], id)
		}
	}
	return out
}

// What a manager sees, over every list and by every address, is who is in
// their part of the organization; whatever the tree is and whoever was moved.
func TestAManagerSeesTheirPartAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		f := newFamily(t, open())
		rounds := 0
		rapid.Check(t, func(t *rapid.T) {
			if rounds++; rounds > 12 { // each takes a few hundred requests
				return
			}
			f.shuffle(t)
			manager := rapid.SampledFrom(f.managers).Draw(t, "manager")
			s, want := f.people[manager], []string{}
			for name, p := range f.people {
				status := s.call(http.MethodGet, "/people/"+p.id, "", nil)
				traced := s.call(http.MethodGet, "/sign-ins/R-"+p.id, "", nil)
				if f.sees(manager, name) {
					want = append(want, p.id)
				}
				for what, got := range map[string]int{"page": status, "sign-in": traced} {
					if seen := got == http.StatusOK; seen != f.sees(manager, name) || !seen && got != http.StatusNotFound {
						t.Errorf("%s and the %s of %s: status = %d, seen: %v", manager, what, name, got, f.sees(manager, name))
					}
				}
			}
			slices.Sort(want)
			lists := f.lists(s)
			if lists["/people?organization=Beta"] == nil { // the filter cannot reach out
				lists["/people?organization=Beta"] = want
			}
			for path, got := range lists {
				slices.Sort(got)
				if got = slices.DeleteFunc(slices.Compact(got), func(id string) bool { return id == "" }); !slices.Equal(got, want) {
					t.Errorf("%s sees %d people over %s, want %d", manager, len(got), path, len(want))
				}
			}
			if len(lists) != 16 {
				t.Errorf("%d lists showed anybody, want 16", len(lists))
			}
			f.counts(t, s, manager, want)
		})
	})
}

// counts holds what is counted, and the tree itself, against the law.
func (f *family) counts(t *rapid.T, s *somebody, manager string, want []string) {
	var sum struct {
		People  struct{ All int }
		SignIns struct{ In int }
	}
	s.call(http.MethodGet, "/summary", "", &sum)
	if sum.People.All != len(want) || sum.SignIns.In != len(want) {
		t.Errorf("%s counts %+v, want %d", manager, sum, len(want))
	}
	var log struct{ Week []struct{ SignedIn int } }
	s.call(http.MethodGet, "/sign-ins", "", &log)
	week := 0
	for _, span := range log.Week {
		week += span.SignedIn
	}
	if week != len(want) {
		t.Errorf("%s counts %d sign-ins of the week, want %d", manager, week, len(want))
	}
	var trees struct {
		Organizations    []struct{ Name string }
		Itself           int
		SubOrganizations []struct {
			ID     string
			People int
		}
	}
	s.call(http.MethodGet, "/organizations", "", &trees)
	top, people, units := f.where[manager], trees.Itself, 0
	for id := range f.parent {
		if top == "" || f.within(id, top) {
			units++
		}
	}
	for _, u := range trees.SubOrganizations {
		people += u.People
		var v struct{ People []struct{ ID string } }
		s.call(http.MethodGet, "/people?subOrganization="+u.ID, "", &v)
		n := 0
		for name := range f.where {
			if f.within(f.where[name], u.ID) {
				n++
			}
		}
		if len(v.People) != n {
			t.Errorf("%s finds %d people in a sub-organization, want %d", manager, len(v.People), n)
		}
	}
	if len(trees.SubOrganizations) != units || people != len(want) || (len(trees.Organizations) == 1) != (top == "") {
		t.Errorf("%s sees %d units with %d people and %d organizations, want %d and %d", manager, len(trees.SubOrganizations), people, len(trees.Organizations), units, len(want))
	}
	for id := range f.parent {
		inside := top == "" || f.within(id, top)
		if got := s.call(http.MethodPost, "/sub-organizations/"+id+"/rename", `{"name":""}`, nil); (got == http.StatusNotFound) == inside {
			t.Errorf("%s renames a unit, inside: %v: status = %d", manager, inside, got)
		}
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
