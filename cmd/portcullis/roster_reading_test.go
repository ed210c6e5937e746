package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What the console says of how people are read holds at every gate within a
// second, in the words and by the checks of the configuration.
func TestHowPeopleAreReadIsSaidInTheConsole(t *testing.T) {
	w := newWorld(t, terrain{database: "postgres", mapping: rosterMapping})
	w.start(t)
	other := w.replicate(t)
	other.write(t, "mapping.yaml", omegaMapping)
	ada := w.administrator(t)
	issuer := w.another(t, "omega")
	ada.call(t, http.MethodPost, "/connections", `{"id":"omega","organization":"Omega","protocol":"oidc","scim":true}`, 200, nil)
	w.write(t, "mapping.yaml", omegaMapping)
	other.start(t)
	settings := func(want int, more string) string {
		return ada.call(t, http.MethodPut, "/connections/omega/settings", `{"organization":"Omega","protocol":"oidc","scim":true`+more+`}`, want, nil)
	}

	// The checks are those of the configuration, before the provider is known, too.
	for more, want := range map[string]string{
		`,"addresses":["10.0.0.1/8"]`:                "ddresses[0]",
		`,"addresses":["0.0.0.0/0"]`:                 "ddresses[0]",
		`,"unitAttribute":"no such name!"`:           "ub_organization.attribute",
		`,"scim":false,"unitAttribute":"division"`:   "scim: {enabled: true}",
		`,"scimAttributes":["cost=money"]`:           "cim.attributes.cost",
		`,"scimAttributes":["a=string","a=integer"]`: "again",
		`,"scimAttributes":["a=string","A=integer"]`: "again",
		`,"scimAttributes":["userName=string"]`:      "one of SCIM's",
		`,"guardPercent":101`:                        "cim.guard.percent",
		`,"guardPeople":"many"`:                      "cim.guard.people",
		`,"subjectFrom":"oid"`:                       "claims.subject",
		`,"groupsFrom":["a","b"]`:                    "claims.groups",
		`,"link":"badge"`:                            "ink: want",
	} {
		if got := settings(400, more); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %q", more, got, want)
		}
	}

	ada.call(t, http.MethodPut, "/connections/omega/provider", `{"issuer":"`+issuer+`","clientId":"gate","clientSecret":"right-secret"}`, 200, nil)
	settings(200, `,"nameFrom":"preferred_username","unitClaim":"name","scimAttributes":["costCenter=string"],"link":"costCenter","guardPercent":7`)
	// What is answered is what is taken: sent back it changes nothing but the version.
	answered := func() (members map[string]any) {
		ada.call(t, http.MethodGet, "/connections/omega/settings", "", 200, &members)
		return members
	}
	before := answered()
	sent, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	ada.call(t, http.MethodPut, "/connections/omega/settings", string(sent), 200, nil)
	after := answered()
	if before["unitClaim"] != "name" || after["version"] == before["version"] || strings.Contains(string(sent), "right-secret") {
		t.Errorf("settings = %s", sent)
	}
	delete(before, "version")
	delete(after, "version")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("settings, sent back (-before +after):\n%s", diff)
	}
	var ben *browser
	eventually(t, "the mapping names it", patience, func() bool {
		ben = w.browser(t)
		return ben.press(t, ben.open(t, "/.portcullis/sign-in/omega"), url.Values{"person": {"ben"}}).status == http.StatusOK
	})
	var people struct {
		People []struct{ ID, Name, SubOrganization string }
	}
	ada.call(t, http.MethodGet, "/people?organization=Omega", "", 200, &people)
	if len(people.People) != 1 || !strings.Contains(people.People[0].Name, "@") && strings.Contains(people.People[0].Name, " ") || people.People[0].SubOrganization == "" {
		t.Errorf("people = %+v, want a name of preferred_username, and a part of the organization", people)
	}
	var token struct{ Secret, URL string }
	ada.call(t, http.MethodPost, "/connections/omega/tokens", `{"note":"first","days":30}`, 200, &token)
	p := &pusher{strings.Replace(token.URL, w.public, other.public, 1), token.Secret, quick}
	eventually(t, "the other gate knows the attribute", patience, func() bool {
		_, schemas, err := p.try(http.MethodGet, "/Schemas", "")
		return err == nil && strings.Contains(string(schemas), `"costCenter"`)
	})

	// Who comes from elsewhere is out at once here, and within a second there.
	_, secret := w.apiToken(t, "--user", "ben@omega.example", "--scope", "*")
	eventually(t, "the other gate lets it in", patience, func() bool { status, _, _ := other.program(t, secret, "/"); return status == http.StatusOK })
	events, socket := ben.stream(t)
	here, there := w.programStream(t, secret), other.programStream(t, secret)
	staff := w.browser(t)
	staff.press(t, staff.open(t, "/.portcullis/sign-in/alpha"), url.Values{"person": {"ada"}})
	goesOn := staff.events(t)
	settings(200, `,"link":"costCenter","addresses":["192.0.2.0/24"]`)
	changed := time.Now()
	for _, program := range []chan struct{}{here, there} {
		select {
		case <-program:
		case <-time.After(patience):
			t.Fatal("a program's stream from elsewhere goes on")
		}
	}
	if took := endWithin(t, changed, patience, events, socket); took > time.Second || time.Since(changed) > 5*time.Second {
		t.Errorf("streams from elsewhere ended after %s, want a second", took)
	}
	select {
	case <-goesOn:
		t.Error("a stream of another client's ended")
	default:
	}
	if status, _, _ := w.program(t, secret, "/"); status != http.StatusForbidden {
		t.Errorf("a program from elsewhere, at once: %d, want 403", status)
	}
	if status, _ := ben.whoami(t); status != http.StatusForbidden {
		t.Errorf("a session from elsewhere: %d, want 403", status)
	}
	took := eventually(t, "the other gate keeps it out", 10*time.Second, func() bool {
		status, _, _ := other.program(t, secret, "/")
		return status == http.StatusForbidden
	})
	if took > time.Second {
		t.Errorf("the other gate kept it out after %s, want a second", took)
	}
	late := w.browser(t)
	if s := late.press(t, late.open(t, "/.portcullis/sign-in/omega"), url.Values{"person": {"ben"}}); s.status == http.StatusOK {
		t.Errorf("signing in from elsewhere: %d", s.status)
	}
	settings(200, `,"link":"costCenter","addresses":[]`)
	if status, _ := ben.whoami(t); status != http.StatusOK {
		t.Errorf("without networks again: %d, want 200", status)
	}

	// What it was and what it is stand in the trail.
	var trail struct {
		Events []struct{ Detail map[string]string }
	}
	ada.call(t, http.MethodGet, "/audit?action=connection.updated&connection=omega", "", 200, &trail)
	var told []string
	for _, e := range trail.Events {
		told = append(told, e.Detail["addresses"])
	}
	if got := strings.Join(told, "|"); !strings.HasPrefix(got, `["192.0.2.0/24"] to nothing|nothing to ["192.0.2.0/24"]|`) {
		t.Errorf("the trail says of the addresses: %s", got)
	}
}

// Of two connections with one id the configuration's counts; when the other is
// removed, nothing of the one that counts ends.
func TestWhatTheConfigurationShadowsIsRemovedAlone(t *testing.T) {
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database, mapping: rosterMapping})
			run := w.start(t)
			ada := w.administrator(t)
			ada.call(t, http.MethodPost, "/connections", `{"id":"omega","organization":"Omega","scim":true}`, 200, nil)
			var token struct{ Secret, URL string }
			ada.call(t, http.MethodPost, "/connections/omega/tokens", `{"note":"first","days":30}`, 200, &token)
			p := &pusher{token.URL, token.Secret, quick}
			p.must(t, http.StatusCreated, http.MethodPost, "/Users", userJSONOf("x", "x@omega.example"))
			run.stop(t)
			w.configure(t, "connections:\n", "connections:\n  - id: omega\n    organization: Omega\n    scim: {enabled: true}\n")
			w.start(t)
			ada = w.administrator(t)
			var list struct {
				Connections []struct {
					ID, Source string
					Shadowed   bool
				}
			}
			shadowed := func() (n int) {
				list.Connections = nil
				ada.call(t, http.MethodGet, "/connections", "", 200, &list)
				for _, c := range list.Connections {
					if c.ID == "omega" && c.Shadowed {
						n++
					}
				}
				return n
			}
			if n := shadowed(); n != 1 {
				t.Fatalf("connections = %+v, want one that is shadowed", list)
			}
			ada.call(t, http.MethodDelete, "/connections/omega", `{"reason":"it stands in the configuration"}`, 200, nil)
			if n := shadowed(); n != 0 || len(list.Connections) != 2 {
				t.Errorf("connections = %+v, want those of the configuration", list)
			}
			p.must(t, http.StatusOK, http.MethodGet, "/Users", "")
			ada.call(t, http.MethodDelete, "/connections/omega", `{"reason":"once more"}`, 409, nil)
		})
	}
}

// Where people may come from holds at every start, from the first request on, and
// also where the connection itself cannot be in force any more.
func TestNetworksHoldWhereTheConnectionIsNotInForce(t *testing.T) {
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database, mapping: rosterMapping})
			run := w.start(t)
			ada := w.administrator(t)
			issuer := w.another(t, "omega")
			ada.call(t, http.MethodPost, "/connections", `{"id":"omega","organization":"Omega","domains":["omega.example","omega-too.example"],"protocol":"oidc"}`, 200, nil)
			w.write(t, "mapping.yaml", omegaMapping)
			ada.call(t, http.MethodPut, "/connections/omega/provider", `{"issuer":"`+issuer+`","clientId":"gate","clientSecret":"right-secret"}`, 200, nil)
			var ben *browser
			eventually(t, "the mapping names it", patience, func() bool {
				ben = w.browser(t)
				return ben.press(t, ben.open(t, "/.portcullis/sign-in/omega"), url.Values{"person": {"ben"}}).status == http.StatusOK
			})
			ada.call(t, http.MethodPut, "/connections/omega/settings",
				`{"organization":"Omega","domains":["omega.example","omega-too.example"],"protocol":"oidc","addresses":["192.0.2.0/24"]}`, 200, nil)
			account := func(when string) {
				t.Helper()
				if status, _ := ben.whoami(t); status != http.StatusForbidden {
					t.Errorf("%s: %d, want 403", when, status)
				}
				if s := ben.open(t, "/.portcullis/admin/account"); s.status != http.StatusForbidden {
					t.Errorf("%s, at the console: %d, want 403", when, s.status)
				}
			}
			account("at once")
			run.stop(t)
			run = w.start(t)
			account("after a start")
			run.stop(t)
			w.configure(t, "connections:\n", "connections:\n  - id: rival\n    organization: Rival\n    domains: [omega-too.example]\n    scim: {enabled: true}\n")
			w.start(t)
			var list struct {
				Connections []struct {
					ID      string
					InForce bool
				}
			}
			w.administrator(t).call(t, http.MethodGet, "/connections", "", 200, &list)
			for _, c := range list.Connections {
				if c.ID == "omega" && c.InForce {
					t.Fatalf("connections = %+v, want one that is not in force", list)
				}
			}
			account("where it is not in force")
		})
	}
}
