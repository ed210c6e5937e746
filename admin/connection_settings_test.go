package admin_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/admin"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store/storetest"
)

// moves are the ways in which somebody can move the people of a connection; they
// give the status.
func moves(w *world, who *somebody) map[string]func(id, organization string) int {
	return map[string]func(id, organization string) int{
		"by the API": func(id, organization string) int {
			return who.call(http.MethodPut, "/connections/"+id+"/settings", `{"organization":"`+organization+`","scim":true}`, nil)
		},
		"by the form": func(id, organization string) int {
			d := w.ways.draft[id]
			d.Version = 1
			w.ways.draft[id] = d
			if got := who.form("/connections/"+id+"/settings", "version", "1", "organization", organization, "scim", "yes").StatusCode; got != http.StatusSeeOther {
				return got
			}
			return http.StatusOK
		},
	}
}

// Who comes into an organization has their rights around its people, and who
// leaves it is out of its managers' reach: that is changed like a ceiling, and
// where one of the two organizations has those who can have rights over the gate,
// by whoever has every one of those.
func TestAConnectionIsMovedByWhoeverHasTheRightOverBothOrganizations(t *testing.T) {
	for name, approval := range map[string]revision.Approval{"one is enough": {}, "it takes two": {Privileged: true}} {
		t.Run(name, func(t *testing.T) {
			w := newManagedWorld(t, storetest.SQLite(t), rules(), approval)
			ada, root := w.signIn("staff", "ada", mapping.GateConnectionsEdit), w.signIn("staff", "root", tasks()...)
			both := w.signIn("staff", "both", mapping.GateConnectionsEdit, mapping.GateMappingPropose)
			token, _ := root.program(maker, mapping.GateConnectionsEdit) // of somebody with every right
			const yes, no = http.StatusOK, http.StatusForbidden
			alone := yes
			if approval.Privileged {
				alone = no
			}
			for _, tc := range []struct {
				who      string
				s        *somebody
				from, to string
				want     int
			}{
				{"whoever sees to connections alone", ada, "Acme", "Beta", no},
				{"whoever sees to connections alone", ada, "Acme", "Omega", no},
				{"whoever sees to connections alone", ada, "Acme", "Staff", no},
				{"whoever changes ceilings, too", both, "Acme", "Beta", alone},
				{"whoever changes ceilings, too", both, "Acme", "Staff", no},
				{"whoever changes ceilings, too", both, "Staff", "Acme", no},
				{"whoever has all rights", root, "Acme", "Beta", alone},
				{"whoever has all rights", root, "Acme", "Staff", alone},
				{"whoever has all rights", root, "Staff", "Acme", alone},
				{"a one-time link", w.open(), "Acme", "Beta", yes},
				{"a one-time link", w.open(), "Acme", "Staff", yes},
				{"a one-time link", w.open(), "Staff", "Acme", yes},
				{"whoever sees to connections alone, where it is", ada, "Acme", "Acme", yes},
			} {
				for way, move := range moves(w, tc.s) {
					w.made("acme")
					w.into("acme", tc.from)
					if got := move("acme", tc.to); got != tc.want || (w.ways.draft["acme"].Organization == tc.to) != (got == yes) && tc.from != tc.to {
						t.Errorf("%s to %s %s by %s: %d and in %q, want %d", tc.from, tc.to, way, tc.who, got, w.ways.draft["acme"].Organization, tc.want)
					}
				}
			}
			w.made("acme")
			w.into("acme", "Acme")
			if got := moves(w, token)["by the API"]("acme", "Beta"); got != no {
				t.Errorf("a token that does not name the task: %d, want 403", got)
			}
			d := w.ways.draft["acme"]
			d.Version = 1
			w.ways.draft["acme"] = d
			page := ada.page("/connections/acme/settings").text
			if strings.Contains(page, `name="organization"`) || !strings.Contains(page, "It is not changed here") || !strings.Contains(page, "as a ceiling does") {
				t.Errorf("the form offers it to somebody who may not: %s", page)
			}
			if got := ada.form("/connections/acme/settings", "version", "1", "scim", "yes", "link", "userName").StatusCode; got != http.StatusSeeOther || w.ways.draft["acme"].Organization != "Acme" {
				t.Errorf("what that form sends: %d and in %q", got, w.ways.draft["acme"].Organization)
			}
		})
	}
}

// into puts a connection of a world into an organization.
func (w *world) into(id, organization string) {
	i := slices.IndexFunc(w.ways.list, func(c admin.Connection) bool { return c.ID == id })
	d := w.ways.draft[id]
	w.ways.list[i].Organization, d.Organization = organization, organization
	w.ways.draft[id] = d
}

// A call that does not name the organization moves nobody, and neither does one
// that names none.
func TestAConnectionStaysInItsOrganization(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	ada := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
	for _, body := range []string{`{"scim":true}`, `{"scim":true,"organization":""}`, `{"scim":true,"organization":" "}`, `{"scim":true,"organization":null}`, `{"scim":true,"organization":"Acme"}`} {
		w.made("acme")
		if got := ada.call(http.MethodPut, "/connections/acme/settings", body, nil); got != http.StatusOK || w.ways.draft["acme"].Organization != "Acme" {
			t.Errorf("%s: %d and in %q, want Acme", body, got, w.ways.draft["acme"].Organization)
		}
	}
	// One without a name of its own is in that of its id, and named so or not it stays as it is.
	w.made("beta")
	for _, body := range []string{`{"scim":true}`, `{"scim":true,"organization":"beta"}`} {
		w.into("beta", "")
		if got := ada.call(http.MethodPut, "/connections/beta/settings", body, nil); got != http.StatusOK || w.ways.draft["beta"].Organization != "" {
			t.Errorf("%s: %d and in %q, want that of its id", body, got, w.ways.draft["beta"].Organization)
		}
	}
	// A new one whose id is the name of an organization comes into that.
	w.into("staff", "crew")
	if got := ada.call(http.MethodPost, "/connections", `{"id":"crew","scim":true}`, nil); got != http.StatusForbidden {
		t.Errorf("a new one among the gate's administrators, by its id: %d, want 403", got)
	}
}

// What the settings are is answered as the call takes it that changes them, and
// sent back changes nothing.
func TestSettingsAreAnsweredAsTheyAreTaken(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	d := openAPI(t)
	ada := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
	for name, draft := range map[string]admin.Draft{
		"everything": {
			Organization: "Acme", Domains: []string{"acme.example", "acme.test"}, Preset: "okta", Protocol: admin.OverSAML, Provisioning: "scim",
			Link: "badge", SCIM: true, Addresses: []string{"192.0.2.0/24", "2001:db8::1"}, Version: 7,
			Reading: admin.Reading{
				Names: map[string][]string{
					"groups": {"memberOf", "groups"}, "roles": {"r"}, "user_name": {"u"}, "email": {"mail"}, "name": {"cn"}, "subject": {"uid"},
				},
				UnitClaim: "division", UnitAttribute: "department", Attributes: []string{"badge=string", "level=integer"}, GuardPercent: "5", GuardPeople: "3",
			},
		},
		"hardly anything": {Version: 1},
		"its provider": {
			Organization: "Acme", Protocol: admin.OverOIDC, Provisioning: "jit", Issuer: "https://idp.example", ClientID: "x", Authentication: admin.BySecret,
			ClientSecret: "a-secret", NextSecret: "b-secret", SecretExpires: "2027-01-01", Metadata: "<x/>", Version: 3,
		},
	} {
		w.made("acme")
		draft.ID = "acme"
		w.ways.draft["acme"] = draft
		w.into("acme", draft.Organization)
		var got map[string]any
		if status := ada.call(http.MethodGet, "/connections/acme/settings", "", &got); status != http.StatusOK {
			t.Fatalf("%s: %d %v", name, status, got)
		}
		for _, wrong := range d.against(d.Components.Schemas["ConnectionSettings"], any(got), "answer") {
			t.Errorf("%s: %s", name, wrong)
		}
		for member := range d.Components.Schemas["ConnectionSettings"].Properties {
			if _, ok := got[member]; !ok && name == "everything" && member != "keptOut" {
				t.Errorf("%s is taken and not answered", member)
			}
		}
		body, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), "secret") {
			t.Errorf("%s: %s holds a secret", name, body)
		}
		var done struct{ Detail string }
		if status := ada.call(http.MethodPut, "/connections/acme/settings", string(body), &done); status != http.StatusOK {
			t.Fatalf("%s, sent back: %d %s", name, status, done.Detail)
		}
		draft.Version++ // of the state
		if diff := cmp.Diff(draft, w.ways.draft["acme"]); diff != "" {
			t.Errorf("%s, sent back (-was +is):\n%s", name, diff)
		}
		// Whoever read an older state is told.
		if status := ada.call(http.MethodPut, "/connections/acme/settings", string(body), nil); status != http.StatusConflict {
			t.Errorf("%s, sent back again: %d, want 409", name, status)
		}
	}
	for path, want := range map[string]int{"/connections/beta/settings": http.StatusConflict, "/connections/nowhere/settings": http.StatusNotFound} {
		if status := ada.call(http.MethodGet, path, "", nil); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}
