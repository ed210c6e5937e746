package main

import (
	"net/http"
	"strings"
	"testing"
)

// A person opens a page on a second host of the portal, signs in at the first,
// and is inside at both with one session; what ends it ends it at both.
func TestOneSignInServesEveryHost(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, terrain{database: database})
			there := strings.Replace(w.public, "127.0.0.1", "localhost", 1)
			w.configure(t, "routes: [", "routes: [{path: /, hosts: [\""+strings.TrimPrefix(there, "http://")+"\"]}, ")
			w.start(t)
			b := w.browser(t)
			s := b.signIn(t, "ada", there+"/quarter?card=1")
			if s.url.String() != there+"/quarter?card=1" || s.status != http.StatusOK {
				t.Fatalf("it ended at %s with %d", s.url, s.status)
			}
			_, header := told(t, s)
			verified(t, w, header.Get("X-Portcullis-Assertion"))
			if status, who := b.whoami(t); status != http.StatusOK || who.Email != "ada@alpha.example" {
				t.Errorf("at the public host: %d, %+v", status, who)
			}
			away := *b
			world := *w
			world.public, away.world = there, &world
			if status, who := away.whoami(t); status != http.StatusOK || who.Email != "ada@alpha.example" {
				t.Errorf("at the other host: %d, %+v", status, who)
			}
			if list := w.cli(t, exitFine, "user", "sessions", "ada@alpha.example"); strings.Count(list, "127.0.0.1") != 1 {
				t.Errorf("there is more than one session:\n%s", list)
			}
			events := away.events(t)
			w.cli(t, exitFine, "user", "lock", "ada@alpha.example", "--reason", "on the run")
			<-events
			for _, at := range []*browser{b, &away} {
				if status, _ := at.whoami(t); status != http.StatusUnauthorized {
					t.Errorf("%s after the lock = %d", at.public, status)
				}
			}

			// A code counts once, wherever it is brought.
			other := w.browser(t)
			other.mustSignIn(t, "ben")
			other.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
				if r.URL.Query().Has("code") && r.URL.Path == "/.portcullis/hand-over" {
					return http.ErrUseLastResponse
				}
				return nil
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, there+"/.portcullis/sign-in", nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := other.http.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			code, at := res.Header.Get("Location"), mustURL(t, there)
			secrets := other.http.Jar.Cookies(at)
			other.http.CheckRedirect = nil
			if s := other.open(t, code); s.status != http.StatusOK {
				t.Errorf("a code = %d\n%s", s.status, s.body)
			}
			other.http.Jar.SetCookies(at, secrets)
			if s := other.open(t, code); s.status != http.StatusBadRequest {
				t.Errorf("a code again = %d", s.status)
			}
		})
	}
}
