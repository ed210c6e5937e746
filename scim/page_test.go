package scim_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/store"
	"portcullis/store/storetest"
)

// names walks a list by cursor and gives the userNames, in order. between, if
// not nil, runs between two pages.
func (r *rig) walk(query string, count int, between func(page int)) (names []string) {
	r.t.Helper()
	cursor := ""
	for page := 0; ; page++ {
		a := r.want(r.send("GET", fmt.Sprintf("/Users?cursor=%s&count=%d%s", url.QueryEscape(cursor), count, query), nil), 200)
		if a.at("startIndex") != nil {
			r.t.Errorf("a page by cursor has a startIndex: %s", a.raw)
		}
		for _, doc := range a.list("Resources") {
			name, _ := doc["userName"].(string)
			names = append(names, name)
		}
		cursor = a.text("nextCursor")
		if cursor == "" {
			return names
		}
		if between != nil {
			between(page)
		}
	}
}

// RFC 7644, section 3.4.2.3.
func TestSort(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		t.Helper()
		r := newRigOn(t, open())
		emails := func(values ...string) []any {
			var out []any
			for i, v := range values {
				out = append(out, map[string]any{"value": v, "primary": i == 1})
			}
			return out
		}
		for name, more := range map[string]map[string]any{
			"b": {"displayName": "Zoe", "title": "x", "emails": emails("z@x.example", "a@x.example"), portalURN: map[string]any{"rank": 10, "vip": true}},
			"A": {"displayName": "adam", "emails": emails("b@x.example"), portalURN: map[string]any{"rank": 9, "vip": false}},
			"c": {"displayName": "Ärger", "title": "W", "emails": nil, portalURN: map[string]any{"rank": -1}},
			"d": {"displayName": "bo", "title": "y", "emails": emails("c@x.example")},
		} {
			r.create(name, more)
		}
		for _, tc := range []struct{ query, want string }{
			{"&sortBy=userName", "A b c d"},
			{"&sortBy=userName&sortOrder=descending", "d c b A"},
			{"&sortBy=DISPLAYNAME&sortOrder=ascending", "A d b c"},
			{"&sortBy=title", "c b d A"},
			{"&sortBy=title&sortOrder=Descending", "A d b c"},
			{"&sortBy=emails", "b A d c"},
			{"&sortBy=emails.value&sortOrder=descending", "c d A b"},
			{"&sortBy=" + portalURN + ":rank", "c A b d"},
			{"&sortBy=" + portalURN + ":rank&sortOrder=descending", "d b A c"},
			{"&sortBy=name.familyName&sortOrder=ascending&filter=" + url.QueryEscape(`userName eq "b"`), "b"},
		} {
			a := r.want(r.send("GET", "/Users?count=10"+tc.query, nil), 200)
			var got []string
			for _, doc := range a.list("Resources") {
				got = append(got, doc["userName"].(string))
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("%s gives %v, want %s", tc.query, got, tc.want)
			}
			for _, count := range []int{1, 2, 3} {
				if walked := r.walk(tc.query, count, nil); !slices.Equal(walked, got) {
					t.Errorf("%s by cursor, %d a page, gives %v, want %v", tc.query, count, walked, got)
				}
			}
		}
		for _, bad := range []string{"sortBy=nosuch", "sortBy=groups", "sortBy=name", "sortBy=password", "sortBy=userName&sortOrder=sideways", "sortBy=a&sortBy=b"} {
			r.want(r.send("GET", "/Users?"+bad, nil), 400)
		}
		r.want(r.send("GET", "/Groups?sortBy=members", nil), 400)
	})
}

// RFC 9865, section 2.
func TestCursor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 5 {
		r.create(fmt.Sprintf("u%d", i))
	}
	first := r.want(r.send("GET", "/Users?cursor&count=2", nil), 200)
	cursor := first.text("nextCursor")
	if first.at("totalResults") != 5.0 || first.at("itemsPerPage") != 2.0 || cursor == "" {
		t.Errorf("first page = %s, want 2 of 5 and a cursor", first.raw)
	}
	second := r.want(r.send("POST", "/Users/.search", map[string]any{"cursor": cursor, "count": 3}), 200)
	if second.at("totalResults") != 5.0 || len(second.list("Resources")) != 3 || second.at("nextCursor") != nil {
		t.Errorf("last page = %s, want 3 of 5 and no cursor", second.raw)
	}
	if a := r.want(r.send("GET", "/Users", nil), 200); a.at("nextCursor") != nil || a.at("startIndex") != 1.0 {
		t.Errorf("a page by index = %s, want no cursor", a.raw)
	}
	for _, tc := range []struct{ path, scimType string }{
		{"/Users?cursor=nonsense", "invalidCursor"},
		{"/Users?cursor=" + strings.Repeat("a", 70_000), "invalidCursor"},
		{"/Users?cursor=" + cursor + "&filter=" + url.QueryEscape("title pr"), "invalidCursor"},
		{"/Users?cursor=" + cursor + "&sortBy=title", "invalidCursor"},
		{"/Groups?cursor=" + cursor, "invalidCursor"},
		{"/Users?cursor&count=0", "invalidCount"},
		{"/Users?cursor&startIndex=2", "invalidValue"},
	} {
		if a := r.want(r.send("GET", tc.path, nil), 400); a.text("scimType") != tc.scimType {
			t.Errorf("%.80s answers %s, want %s", tc.path, a.text("scimType"), tc.scimType)
		}
	}
	if a := r.sendTo("beta", r.other, "GET", "/Users?cursor="+cursor, nil); a.text("scimType") != "invalidCursor" {
		t.Errorf("a cursor of another connection answers %d %s, want invalidCursor", a.status, a.raw)
	}
}

// Deletes while a client pages take nobody else out of the list and show
// nobody twice.
func TestCursorUnderDeletes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		t.Helper()
		r := newRigOn(t, open())
		ids := map[string]string{}
		var stay, all []string
		for i := range 60 {
			name := fmt.Sprintf("u%02d", i)
			ids[name] = r.create(name, map[string]any{"title": fmt.Sprintf("t%d", i%7)})
			if all = append(all, name); i%3 != 0 {
				stay = append(stay, name)
			}
		}
		for _, query := range []string{"", "&sortBy=title", "&sortBy=title&sortOrder=descending"} {
			var wg sync.WaitGroup
			step, done := make(chan struct{}), make(chan struct{})
			if query == "&sortBy=title&sortOrder=descending" { // the last: others delete meanwhile
				wg.Go(func() {
					defer close(done)
					for i := 0; i < 60; i += 3 {
						<-step
						r.want(r.send("DELETE", "/Users/"+ids[fmt.Sprintf("u%02d", i)], nil), 204)
					}
				})
			}
			got := r.walk(query, 4, func(int) {
				if query == "&sortBy=title&sortOrder=descending" {
					for range 2 {
						select {
						case step <- struct{}{}:
						case <-done:
						}
					}
				}
			})
			sorted := slices.Sorted(slices.Values(got))
			if len(slices.Compact(slices.Clone(sorted))) != len(got) {
				t.Errorf("%q: somebody was shown twice: %v", query, sorted)
			}
			for _, name := range stay {
				if !slices.Contains(got, name) {
					t.Errorf("%q: %s was lost", query, name)
				}
			}
			if query == "" {
				if diff := cmp.Diff(all, got); diff != "" {
					t.Errorf("order of creation (-want +got):\n%s", diff)
				}
			}
			close(step)
			wg.Wait()
		}
	})
}

// RFC 7644, section 3.4.3: a search at the root finds resources of all types.
func TestSearchAtTheRoot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ada := r.create("ada", map[string]any{"displayName": "Same"})
	r.create("ben", map[string]any{"displayName": "Other"})
	group := r.group("same", ada)
	find := func(body map[string]any) (ids []string) {
		t.Helper()
		a := r.want(r.send("POST", "/.search", body), 200)
		for _, doc := range a.list("Resources") {
			ids = append(ids, doc["id"].(string))
		}
		if a.at("totalResults").(float64) < float64(len(ids)) {
			t.Errorf("answer = %s, want a total", a.raw)
		}
		return ids
	}
	for _, tc := range []struct {
		filter string
		want   []string
	}{
		{`displayName eq "same"`, []string{ada, group}},
		{`userName eq "ada"`, []string{ada}},
		{`members eq "` + ada + `"`, []string{group}},
		{`meta.resourceType eq "Group"`, []string{group}},
		{`not (userName pr)`, []string{group}},
		{`userName ne "ben" and displayName pr`, []string{ada, group}},
		{`emails[value pr] or members[value eq "x"]`, []string{ada, r.want(r.send("GET", "/Users"+"?startIndex=2", nil), 200).list("Resources")[0]["id"].(string)}},
	} {
		if diff := cmp.Diff(tc.want, find(map[string]any{"filter": tc.filter})); diff != "" {
			t.Errorf("%s finds (-want +got):\n%s", tc.filter, diff)
		}
	}
	if got := find(map[string]any{"startIndex": 2, "count": 2}); len(got) != 2 || got[1] != group {
		t.Errorf("second and third = %v, want ben and the group", got)
	}
	for _, body := range []map[string]any{{"filter": `nosuch eq "x"`}, {"cursor": "x"}, {"sortBy": "members"}, {"filter": `userName eq "x" and nosuch pr`}} {
		r.want(r.send("POST", "/.search", body), 400)
	}
	r.want(r.send("GET", "/.search", nil), 405)
}
