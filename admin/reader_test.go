package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/web"
)

// readers counts how often a page asks who reads it, which looks every cookie up.
type readers struct{ asked int }

func (r *readers) Language() string { r.asked++; return "" }

// A page that says that somebody is not signed in costs the store no more than
// finding that out did.
func TestCookiesOfNobodyAreLookedUpOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		ben := w.signIn("staff", "ben")
		asked := new(readers)
		w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			v := new(web.Visit)
			v.ReadBy(asked)
			v.Begin(r, nil)
			w.bare.ServeHTTP(rw, r.WithContext(v)) //nolint:contextcheck // the visit is r's context, and more
		})
		junk := w.nobody()
		for range 7 {
			junk.cookies = append(junk.cookies, &http.Cookie{Name: ben.cookies[0].Name, Value: strings.Repeat("x", 26)})
		}
		for _, tc := range []struct {
			name   string
			who    *somebody
			method string
			status int
			asks   int
		}{
			{"nobody's cookies", junk, http.MethodPost, http.StatusUnauthorized, 0},
			{"somebody's, where they have no right", ben, http.MethodGet, http.StatusNotFound, 1},
		} {
			asked.asked = 0
			res := tc.who.send(tc.method, web.ConsolePrefix+"/people/x/lock", navigates, nil)
			if res.StatusCode != tc.status || asked.asked != tc.asks {
				t.Errorf("%s: status %d, the reader is asked for %d times, want %d and %d\n%s", tc.name, res.StatusCode, asked.asked, tc.status, tc.asks, res.text)
			}
		}
	})
}
