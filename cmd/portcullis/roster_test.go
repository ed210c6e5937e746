package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/demo"
	"portcullis/internal/freeport"
)

// rosterMapping is for the connection of the configuration; omegaMapping names
// one that the console makes, too.
const rosterMapping = `version: 1
connections:
  alpha: {ceiling: unrestricted}
roles:
  viewer: {tasks: [account.view]}
attributes:
  account: {type: string, pattern: "^[A-Z]{3}[0-9]{4}$", onMissing: none}
permissionGroups:
  all: {where: {account: "*"}}
rules:
  - {id: everybody, match: {connection: "*"}, grant: {roles: [viewer], permissionGroups: [all]}}
`

var omegaMapping = strings.Replace(rosterMapping, "  alpha: {ceiling: unrestricted}\n", "  alpha: {ceiling: unrestricted}\n  omega: {ceiling: {roles: [viewer]}}\n", 1)

// administrator opens the console by a one-time link.
func (w *world) administrator(t *testing.T) *browser {
	t.Helper()
	link, err := url.Parse(strings.TrimSpace(w.cli(t, exitFine, "admin", "bootstrap")))
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser(t)
	if s := b.press(t, b.open(t, link.RequestURI()), nil); s.status != http.StatusOK {
		t.Fatalf("opening the console: %d\n%s", s.status, s.body)
	}
	return b
}

// call calls the console's API.
func (b *browser) call(t *testing.T, method, path, body string, want int, into any) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.public+"/.portcullis/api/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	s := b.do(t, req)
	if s.status != want {
		t.Fatalf("%s %s = %d, want %d\n%s", method, path, s.status, want, s.body)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(s.body), into); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, s.body)
		}
	}
	return s.body
}

// another is an identity provider beside that of the configuration.
func (w *world) another(t *testing.T, id string) (issuer string) {
	t.Helper()
	company := demo.Companies()[0]
	people := slices.Clone(company.People)
	for i := range people {
		people[i].Email = people[i].ID + "@omega.example"
	}
	l, err := net.Listen("tcp", freeport.Address(t))
	if err != nil {
		t.Fatal(err)
	}
	issuer = "http://" + l.Addr().String()
	s := httptest.NewUnstartedServer(demo.NewIDP(demo.IDPConfig{
		Issuer: issuer, Company: "Omega", Domain: "omega.example", ClientID: "gate", ClientSecret: "right-secret",
		RedirectURIs: []string{w.public + "/.portcullis/oidc/" + id + "/callback"}, People: people, Groups: company.Groups,
	}))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return issuer
}

// A connection that is made in the console works at once, at every gate within
// a second, and everything of it ends when it is removed.
func TestAConnectionIsMadeInTheConsole(t *testing.T) {
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database, mapping: rosterMapping})
			w.start(t)
			issuer := w.another(t, "omega")
			ada := w.administrator(t)
			ada.call(t, http.MethodPost, "/connections", `{"id":"omega","organization":"Omega","domains":["omega.example"],"protocol":"oidc","scim":true}`, 200, nil)
			provider := func(secret string) string {
				return `{"issuer":"` + issuer + `","clientId":"gate","clientSecret":"` + secret + `","secretExpires":"2031-01-31"}`
			}

			// The mapping may name it from now on, and says what its people may do.
			w.write(t, "mapping.yaml", omegaMapping)
			eventually(t, "the mapping names it", patience, func() bool { return strings.Count(w.log.String(), "mapping in force") == 2 })

			if out := w.cli(t, exitFine, "check"); strings.Contains(out, "omega") {
				t.Errorf("check says %s", out)
			}

			// Not filled in: nobody signs in, and SCIM works.
			if s := w.browser(t).open(t, "/.portcullis/sign-in/omega"); s.status != http.StatusNotFound {
				t.Errorf("before the provider is known: %d, want 404", s.status)
			}
			var made struct{ Secret, URL string }
			ada.call(t, http.MethodPost, "/connections/omega/tokens", `{"note":"first","days":30}`, 200, &made)
			p := &pusher{made.URL, made.Secret, quick}
			p.must(t, http.StatusCreated, http.MethodPost, "/Users", userJSONOf("x", "x@omega.example"))

			if _, metrics := fetch(w.ops + "/metrics"); !strings.Contains(metrics, `portcullis_scim_requests_total{code="201",connection="omega"} 1`) {
				t.Error("the push is not counted for the connection")
			}

			// Mistakes are refused, in the words of the configuration.
			for body, want := range map[string]string{
				`{"issuer":"nonsense","clientId":"gate","clientSecret":"x"}`:              "idc.issuer",
				`{"issuer":"` + issuer + `","clientId":"gate","authentication":"secret"}`: "he client secret is missing",
			} {
				if got := ada.call(t, http.MethodPut, "/connections/omega/provider", body, 400, nil); !strings.Contains(got, want) {
					t.Errorf("%s: %s, want %s", body, got, want)
				}
			}
			ada.call(t, http.MethodPost, "/connections", `{"id":"other","organization":"Other","domains":["omega.example"],"scim":true}`, 400, nil)
			ada.call(t, http.MethodPost, "/connections", `{"id":"alpha","organization":"Other","scim":true}`, 409, nil)

			// A wrong secret shows in the test sign-in, the right one in a new state.
			ada.call(t, http.MethodPut, "/connections/omega/provider", provider("wrong"), 200, nil)
			ben := w.browser(t)
			if s := ben.press(t, ben.open(t, "/.portcullis/sign-in/omega"), url.Values{"person": {"ben"}}); s.status == http.StatusOK {
				t.Errorf("with the wrong secret: %d at %s", s.status, s.url)
			}
			ada.call(t, http.MethodPut, "/connections/omega/provider", provider("right-secret"), 200, nil)
			var test struct{ Test, URL string }
			ada.call(t, http.MethodPost, "/connections/omega/tests", "", 200, &test)
			s := ben.press(t, ben.open(t, test.URL), url.Values{"person": {"ben"}})
			var result struct {
				Done   bool
				SignIn struct{ Reason string }
			}
			ada.call(t, http.MethodGet, "/connections/omega/tests/"+test.Test, "", 200, &result)
			if !result.Done || result.SignIn.Reason != "" {
				t.Errorf("test = %+v\n%s", result, s.body)
			}
			if status, _ := ben.whoami(t); status != http.StatusUnauthorized {
				t.Errorf("after a dry run whoami answers %d, want 401", status)
			}
			if s := ben.press(t, ben.open(t, "/.portcullis/sign-in/omega"), url.Values{"person": {"ben"}}); s.status != http.StatusOK {
				t.Fatalf("signing in: %d at %s\n%s", s.status, s.url, s.body)
			}
			_, who := ben.whoami(t)
			if who.Connection != "omega" || who.Organization != "Omega" {
				t.Errorf("whoami = %+v", who)
			}
			// The one of the configuration still works, and is read-only.
			ann := w.browser(t)
			ann.press(t, ann.open(t, "/.portcullis/sign-in/alpha"), url.Values{"person": {"ada"}})
			if status, _ := ann.whoami(t); status != http.StatusOK {
				t.Errorf("at the connection of the configuration: %d", status)
			}
			ada.call(t, http.MethodPut, "/connections/alpha/provider", provider("x"), 409, nil)

			var settings struct{ Connections []struct{ ID, Source string } }
			ada.call(t, http.MethodGet, "/connections", "", 200, &settings)
			if len(settings.Connections) != 2 {
				t.Errorf("connections = %+v", settings)
			}

			// Another provider is other people: those of the old one are out.
			var changed struct{ SessionsEnded int }
			ada.call(t, http.MethodPut, "/connections/omega/provider", provider("right-secret"), 200, &changed)
			if status, _ := ben.whoami(t); status != http.StatusOK || changed.SessionsEnded != 0 {
				t.Errorf("after the same issuer once more: %d, %d sessions ended", status, changed.SessionsEnded)
			}
			_, secret := w.apiToken(t, "--user", "ben@omega.example", "--scope", "*")
			if status, _, _ := w.program(t, secret, "/"); status != http.StatusOK {
				t.Errorf("with an API token of before: %d", status)
			}
			issuer = w.another(t, "omega")
			ada.call(t, http.MethodPut, "/connections/omega/provider", provider("right-secret"), 200, &changed)
			if changed.SessionsEnded != 1 {
				t.Errorf("after another issuer %d sessions ended, want 1", changed.SessionsEnded)
			}
			eventually(t, "those of the old issuer are out", patience, func() bool { status, _ := ben.whoami(t); return status == http.StatusUnauthorized })
			eventually(t, "their API tokens are void", patience, func() bool { status, _, _ := w.program(t, secret, "/"); return status == http.StatusUnauthorized })
			if s := ben.press(t, ben.open(t, "/.portcullis/sign-in/omega"), url.Values{"person": {"ben"}}); s.status != http.StatusOK {
				t.Fatalf("signing in at another issuer: %d at %s\n%s", s.status, s.url, s.body)
			}

			stream := ben.events(t)
			began := time.Now()
			ada.call(t, http.MethodDelete, "/connections/omega", `{"reason":"moved away"}`, 200, nil)
			if took := endWithin(t, began, 30*time.Second, stream); took > time.Second {
				t.Errorf("a stream lived for %s, want a second at most", took)
			}
			eventually(t, "those of the connection are out", patience, func() bool { status, _ := ben.whoami(t); return status == http.StatusUnauthorized })
			if status, _, _ := p.try(http.MethodGet, "/Users", ""); status != http.StatusUnauthorized {
				t.Errorf("after the removal SCIM answers %d, want 401", status)
			}
			if s := w.browser(t).open(t, "/.portcullis/sign-in/omega"); s.status != http.StatusNotFound {
				t.Errorf("after the removal the sign-in answers %d, want 404", s.status)
			}
			ada.call(t, http.MethodPost, "/connections", `{"id":"omega","organization":"Omega","scim":true}`, 409, nil)
			if status, _ := ann.whoami(t); status != http.StatusOK {
				t.Errorf("at the connection of the configuration: %d", status)
			}
		})
	}
}

// What one gate is told about a connection holds at another within a second, and
// after a restart; a connection of the configuration of the same id counts before it.
func TestEveryGateHasWhatTheConsoleMade(t *testing.T) {
	w := newWorld(t, terrain{database: "postgres", mapping: rosterMapping})
	w.start(t)
	other := w.replicate(t)
	other.configure(t, "", "")
	other.write(t, "mapping.yaml", rosterMapping)
	run := other.start(t)
	ada := w.administrator(t)
	knows := func(want int) time.Duration {
		return eventually(t, "the other gate knows", 10*time.Second, func() bool {
			status, _ := fetch(other.public + "/.portcullis/sign-in/omega")
			return status == want
		})
	}
	ada.call(t, http.MethodPost, "/connections",
		`{"id":"omega","organization":"Omega","protocol":"oidc","clientId":"gate","authentication":"public","issuer":"`+w.another(t, "omega")+`"}`, 200, nil)
	if took := knows(http.StatusOK); took > time.Second {
		t.Errorf("the other gate knew after %s, want a second", took)
	}
	run.stop(t)
	other.start(t)
	knows(http.StatusOK)
	ada.call(t, http.MethodDelete, "/connections/omega", `{"reason":"x"}`, 200, nil)
	if took := knows(http.StatusNotFound); took > time.Second {
		t.Errorf("the other gate forgot after %s, want a second", took)
	}
}

// Whoever tries links out is kept waiting.
func TestLinksAreNotTriedOut(t *testing.T) {
	for _, path := range []string{"/.portcullis/admin/setup", "/.portcullis/admin/break-glass"} {
		t.Run(path, func(t *testing.T) {
			w := newWorld(t, terrain{database: "sqlite", mapping: rosterMapping})
			text, err := os.ReadFile(filepath.Join(w.dir, "portcullis.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			w.write(t, "portcullis.yaml", strings.Replace(string(text), "sign_in: 100000/s", "sign_in: 10/s", 1))
			w.start(t)
			w.administrator(t)
			for status, tries := 0, 0; status != http.StatusTooManyRequests; tries++ {
				res, err := quick.PostForm(w.public+path, url.Values{"link": {"nonsense"}})
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if status = res.StatusCode; status != http.StatusForbidden && status != http.StatusTooManyRequests || tries > 200 {
					t.Fatalf("after %d links that are none: %d", tries, status)
				}
			}
		})
	}
}
