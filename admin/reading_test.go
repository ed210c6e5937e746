package admin_test

import (
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

// made lets a connection of a world be one of the console's.
func (w *world) made(id string) {
	w.t.Helper()
	i := slices.IndexFunc(w.ways.list, func(c admin.Connection) bool { return c.ID == id })
	w.ways.list[i].Made = true
	w.ways.draft[id] = admin.Draft{ID: id, Organization: w.ways.list[i].Organization, Protocol: admin.OverOIDC, SCIM: true}
}

// The form and the API say the same, and a script that does not know of what is
// read takes none of it away.
func TestWhatIsReadOfPeopleIsSet(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.made("acme")
	s := w.signIn("staff", "ada", mapping.GateConnectionsEdit, mapping.GateMappingPropose)
	want := admin.Draft{
		ID: "acme", Organization: "Acme", Protocol: admin.OverOIDC, SCIM: true, Link: "badge", Version: 1,
		Addresses: []string{"192.0.2.0/24", "2001:db8::1"},
		Reading: admin.Reading{
			Names:     map[string][]string{"groups": {"memberOf", "groups"}, "email": {"mail"}},
			UnitClaim: "division", UnitAttribute: "department", Attributes: []string{"badge=string", "level=integer"}, GuardPercent: "5", GuardPeople: "3",
		},
	}
	res := s.form("/connections/acme/settings", "version", "0", "organization", "Acme", "protocol", "oidc", "scim", "yes")
	if res.StatusCode != http.StatusBadRequest {
		t.Fatalf("version 0: %d", res.StatusCode)
	}
	got := s.call(http.MethodPut, "/connections/acme/settings", `{"organization":"Acme","protocol":"oidc","scim":true,"link":"badge","addresses":["192.0.2.0/24","2001:db8::1"],
		"groupsFrom":["memberOf","groups"],"emailFrom":"mail","unitClaim":"division","unitAttribute":"department","scimAttributes":["badge=string","level=integer"],
		"guardPercent":5,"guardPeople":3}`, nil)
	if diff := cmp.Diff(want, w.ways.draft["acme"]); got != http.StatusOK || diff != "" {
		t.Errorf("by the API: %d (-want +got):\n%s", got, diff)
	}
	page := s.page("/connections/acme/settings").text
	for _, field := range []string{
		`value="192.0.2.0/24, 2001:db8::1"`, `name="groupsFrom" value="memberOf, groups"`, `value="division"`, `value="department"`, "badge=string\nlevel=integer",
		`name="guardPercent" value="5"`, `<option selected>badge</option>`, "You come from 192.0.2.1.",
	} {
		if !strings.Contains(page, field) {
			t.Errorf("the form lacks %s", field)
		}
	}
	res = s.form("/connections/acme/settings", "version", "1", "organization", "Acme", "protocol", "oidc", "scim", "yes", "link", "badge",
		"addresses", " 192.0.2.0/24\n2001:db8::1 ", "groupsFrom", "memberOf, groups", "rolesFrom", "", "emailFrom", "mail", "unitClaim", "division", "unitAttribute", "department",
		"scimAttributes", "badge: string\r\n\r\nlevel = integer", "guardPercent", "5", "guardPeople", "3")
	want.Version = 2
	if diff := cmp.Diff(want, w.ways.draft["acme"]); res.StatusCode != http.StatusSeeOther || diff != "" {
		t.Errorf("by the form: %d (-want +got):\n%s", res.StatusCode, diff)
	}
	want.Version = 3
	s.call(http.MethodPut, "/connections/acme/settings", `{"organization":"Acme","protocol":"oidc","scim":true,"link":"badge"}`, nil)
	if diff := cmp.Diff(want, w.ways.draft["acme"]); diff != "" {
		t.Errorf("a script that does not name them changed them (-want +got):\n%s", diff)
	}
	s.call(http.MethodPut, "/connections/acme/settings", `{"organization":"Acme","protocol":"oidc","scim":true,"link":"badge","addresses":[],"emailFrom":[],"unitClaim":""}`, nil)
	if d := w.ways.draft["acme"]; d.Addresses != nil || d.Reading.Names["email"] != nil || d.Reading.UnitClaim != "" || d.Reading.UnitAttribute != "department" {
		t.Errorf("taken away: %+v", d)
	}
	for path, body := range map[string]string{"/own-connections/acme/provider": `{"addresses":["0.0.0.0/1"]}`, "/connections/acme/provider": `{"unitClaim":"x"}`} {
		if got := w.signIn("acme", "manager", "Admins").call(http.MethodPut, path, body, nil); got == http.StatusOK {
			t.Errorf("%s takes %s", path, body)
		}
	}
}

// Which part people are in decides who manages them. It is changed by whoever
// changes ceilings, and by nobody alone where those take two.
func TestWhoManagesWhomIsChangedLikeACeiling(t *testing.T) {
	for name, approval := range map[string]revision.Approval{"one is enough": {}, "it takes two": {Privileged: true}} {
		t.Run(name, func(t *testing.T) {
			w := newManagedWorld(t, storetest.SQLite(t), rules(), approval)
			w.made("acme")
			ada := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
			both := w.signIn("staff", "both", mapping.GateConnectionsEdit, mapping.GateMappingPropose)
			want := http.StatusOK
			if approval.Privileged {
				want = http.StatusForbidden
			}
			for _, body := range []string{`"unitClaim":"division"`, `"unitAttribute":"division"`} {
				for _, call := range [][3]string{
					{http.MethodPut, "/connections/acme/settings", `{"organization":"Acme","scim":true,` + body + `}`},
					{http.MethodPost, "/connections", `{"id":"more","organization":"Acme","scim":true,` + body + `}`},
				} {
					for who, want := range map[*somebody]int{ada: http.StatusForbidden, both: want, w.open(): http.StatusOK} {
						w.made("acme") // as it was
						if got := who.call(call[0], call[1], call[2], nil); got != want {
							t.Errorf("%s %s: %d, want %d (ada: %t, both: %t)", call[1], body, got, want, who == ada, who == both)
						}
					}
				}
			}
			d := w.ways.draft["acme"]
			d.Reading.UnitClaim = "division"
			w.ways.draft["acme"] = d
			if got := ada.call(http.MethodPut, "/connections/acme/settings", `{"organization":"Acme","scim":true,"unitClaim":"division","addresses":["192.0.2.0/24"]}`, nil); got != http.StatusOK {
				t.Errorf("something else of it: %d, want 200", got)
			}
			if page := ada.page("/connections/acme/settings").text; strings.Contains(page, `name="unitClaim"`) || !strings.Contains(page, "is not changed here") {
				t.Error("the form offers it to somebody who may not")
			}
		})
	}
}

// Whoever would keep themselves out is told before, and may mean it.
func TestNobodyLocksThemselvesOutByMistake(t *testing.T) {
	w := newManagedWorld(t, storetest.SQLite(t), rules(), revision.Approval{})
	w.made("staff")
	w.made("acme")
	root := w.signIn("staff", "root", tasks()...)
	put := func(who *somebody, id, more string) int {
		return who.call(http.MethodPut, "/connections/"+id+"/settings", `{"organization":"`+strings.ToUpper(id[:1])+id[1:]+`","scim":true,"addresses":["198.51.100.0/24"]`+more+`}`, nil)
	}
	if got := put(root, "acme", ""); got != http.StatusOK { // a request comes from 192.0.2.1
		t.Errorf("another connection than one's own: %d, want 200", got)
	}
	if got := put(root, "staff", ""); got != http.StatusBadRequest || w.ways.draft["staff"].Addresses != nil {
		t.Errorf("one's own, by a script: %d, want 400", got)
	}
	res := root.form("/connections/staff/settings", "version", "0", "organization", "Staff", "addresses", "198.51.100.0/24")
	if res.StatusCode == http.StatusSeeOther {
		t.Errorf("one's own, by the form: %d", res.StatusCode)
	}
	d := w.ways.draft["staff"]
	d.Version = 1
	w.ways.draft["staff"] = d
	res = root.form("/connections/staff/settings", "version", "1", "organization", "Staff", "scim", "yes", "addresses", "198.51.100.0/24")
	if !strings.Contains(res.text, "you would keep yourself out") || !strings.Contains(res.text, `name="keptOut"`) || w.ways.draft["staff"].Addresses != nil {
		t.Errorf("one's own, by the form: %d %s", res.StatusCode, res.text)
	}
	if got := root.call(http.MethodPut, "/connections/staff/settings", `{"organization":"Staff","scim":true,"addresses":["192.0.2.0/24"]}`, nil); got != http.StatusOK {
		t.Errorf("with one's own network: %d, want 200", got)
	}
	if got := put(root, "staff", `,"keptOut":true`); got != http.StatusOK {
		t.Errorf("who means it: %d, want 200", got)
	}
}
