package admin_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"portcullis/store"
	"portcullis/store/storetest"
)

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
	for _, path := range []string{
		"/access?role=viewer", "/access?role=viewer&at=2026-03-01T12:00:00Z", "/access?role=viewer&limit=2&after=0",
		"/access?role=viewer&at=2026-03-01T12:00:00Z&limit=4&after=0",
	} {
		for next := int64(0); ; {
			var v struct {
				People []struct{ Person struct{ ID string } }
				Next   int64
			}
			s.call(http.MethodGet, strings.Replace(path, "after=0", fmt.Sprint("after=", next), 1), "", &v)
			for _, p := range v.People {
				out[path] = append(out[path], p.Person.ID)
			}
			if next = v.Next; next == 0 {
				break
			}
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
			if len(lists) != 18 {
				t.Errorf("%d lists showed anybody, want 18", len(lists))
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
