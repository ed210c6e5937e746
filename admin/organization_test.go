package admin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/mapping"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/web"
)

// A whole client is frozen by whoever may lock everybody, and by nobody of it.
func TestAnOrganizationIsFrozenFromOutsideOfIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		ben := w.signIn("acme", "ben")
		manager := w.signIn("acme", "manager", "Admins")
		staff := w.signIn("staff", "ada", mapping.GateUsersLock, mapping.GateUsersView)
		link := w.open()
		for _, tc := range []struct {
			name   string
			who    *somebody
			path   string
			body   string
			status int
			text   string
		}{
			{"a manager of it", manager, "/organizations/freeze", `{"organization": "Acme", "reason": "x"}`, 403, "own organization"},
			{"a manager of another", manager, "/organizations/unfreeze", `{"organization": "Beta"}`, 403, "own organization"},
			{"one's own", staff, "/organizations/freeze", `{"organization": "Staff", "reason": "x"}`, 409, "your own organization"},
			{"no reason", staff, "/organizations/freeze", `{"organization": "Acme"}`, 400, "reason is wanted"},
			{"no organization", staff, "/organizations/freeze", `{"reason": "x"}`, 400, "want the name"},
			{"nobody's", staff, "/organizations/freeze", `{"organization": "Gamma", "reason": "x"}`, 404, "Gamma"},
			{"another member", staff, "/organizations/freeze", `{"name": "Acme", "reason": "x"}`, 400, "name"},
			{"staff", staff, "/organizations/freeze", `{"organization": "Acme", "reason": "a breach"}`, 200, `"sessionsEnded":2`},
			{"again", staff, "/organizations/freeze", `{"organization": "Acme", "reason": "a breach"}`, 200, `"sessionsEnded":0`},
		} {
			res := tc.who.send(http.MethodPost, "/.portcullis/api/v1"+tc.path, nil, strings.NewReader(tc.body))
			if res.StatusCode != tc.status || !strings.Contains(res.text, tc.text) {
				t.Errorf("%s: %d %s, want %d with %q", tc.name, res.StatusCode, res.text, tc.status, tc.text)
			}
		}
		contains(t, "the organizations", staff.page("/organizations"), "▲ frozen", "Name of ada: a breach", "/organizations/unfreeze?organization=Acme", "/organizations/freeze?organization=Beta")
		if status := ben.call(http.MethodGet, "/me", "", nil); status != http.StatusUnauthorized {
			t.Errorf("somebody of a frozen client: status = %d, want 401", status)
		}
		var v struct {
			Organizations []struct {
				Name, By, Reason, Since string
				Frozen                  bool
			}
		}
		if staff.call(http.MethodGet, "/organizations", "", &v); len(v.Organizations) != 3 || !v.Organizations[0].Frozen ||
			v.Organizations[0].Reason != "a breach" || v.Organizations[0].By != "Name of ada" || v.Organizations[0].Since == "" {
			t.Errorf("organizations = %+v, want Acme frozen, and by whom", v)
		}
		if status := link.call(http.MethodPost, "/organizations/unfreeze", `{"organization": "Acme"}`, nil); status != http.StatusOK {
			t.Errorf("unfreeze: status = %d", status)
		}
		w.signIn("acme", "ben")
	})
}

// Whoever holds a setup link says who a client's people are: when it is frozen,
// what was opened by one ends, and so does every one that waits. Its
// administrators can make another, to set right what was wrong.
func TestAFreezeEndsSetupLinks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		w.signIn("acme", "ben")
		staff := w.signIn("staff", "ada", mapping.GateUsersLock, mapping.GateConnectionsEdit)
		theirs := w.setup(staff, "acme")
		var waiting struct{ Link string }
		staff.call(http.MethodPost, "/connections/beta/setup-link", "", &waiting)
		u, err := url.Parse(waiting.Link)
		if err != nil {
			t.Fatal(err)
		}
		freeze := func(organization string) {
			t.Helper()
			if got := staff.call(http.MethodPost, "/organizations/freeze", `{"organization": "`+organization+`", "reason": "a breach"}`, nil); got != http.StatusOK {
				t.Fatalf("freezing %s: %d", organization, got)
			}
		}
		freeze("Beta")
		if got := w.nobody().post(u.Path, "link", u.Query().Get("link")).StatusCode; got != http.StatusForbidden {
			t.Errorf("a link from before the freeze: %d, want 403", got)
		}
		if got := theirs.page("/setup/acme/setup").StatusCode; got != http.StatusOK {
			t.Errorf("another client's: %d, want 200", got)
		}
		freeze("Acme")
		if got := theirs.page("/setup/acme/setup").StatusCode; got != http.StatusUnauthorized {
			t.Errorf("what was opened before the freeze: %d, want 401", got)
		}
		if got := w.setup(staff, "acme").page("/setup/acme/setup").StatusCode; got != http.StatusOK {
			t.Errorf("one that was made since: %d, want 200", got)
		}
	})
}

// Nobody lets the people of a frozen client in again by putting their connection
// into another organization.
func TestNobodyLeavesAFrozenOrganization(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.signIn("acme", "ben")
	staff := w.signIn("staff", "ada", mapping.GateUsersLock, mapping.GateConnectionsEdit, mapping.GateMappingPropose)
	w.ways.list[1].Made, w.ways.draft["acme"] = true, admin.Draft{ID: "acme", Organization: "Acme", Version: 1}
	change := func(organization string) int {
		return staff.call(http.MethodPut, "/connections/acme/settings", `{"organization":"`+organization+`","scim":true}`, nil)
	}
	staff.call(http.MethodPost, "/organizations/freeze", `{"organization": "Acme", "reason": "a breach"}`, nil)
	for _, to := range []string{"Elsewhere", "Beta", "acme"} {
		if got := change(to); got != http.StatusConflict {
			t.Errorf("to %q: %d, want 409", to, got)
		}
	}
	if got := change("Acme"); got != http.StatusOK {
		t.Errorf("what else there is of it: %d, want 200", got)
	}
	staff.call(http.MethodPost, "/organizations/unfreeze", `{"organization": "Acme"}`, nil)
	root := audit.Actor{Kind: "operator", ID: "1", Name: "root"}
	part, err := w.dir.AddUnit(t.Context(), root, "Acme", "", "North")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.dir.FreezeUnit(t.Context(), root, "Acme", part.ID, "a breach"); err != nil {
		t.Fatal(err)
	}
	if got := change("Elsewhere"); got != http.StatusConflict {
		t.Errorf("while a part is frozen: %d, want 409", got)
	}
	if err := w.dir.UnfreezeUnit(t.Context(), root, "Acme", part.ID, ""); err != nil {
		t.Fatal(err)
	}
	if got := change("Elsewhere"); got != http.StatusOK {
		t.Errorf("once it is unfrozen: %d, want 200", got)
	}
}

// Before a client is frozen on the page stands whom it puts out, and it is
// offered to nobody who may not.
func TestFreezingAnOrganizationOnThePage(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.signIn("acme", "ben")
	manager := w.signIn("acme", "manager", "Admins")
	staff := w.signIn("staff", "ada", mapping.GateUsersLock, mapping.GateUsersView)
	var effect struct{ People, Sessions int }
	if staff.call(http.MethodGet, "/organizations/freeze?organization=Acme", "", &effect); effect.People != 2 || effect.Sessions != 2 {
		t.Errorf("effect = %+v, want 2 people and 2 sessions", effect)
	}
	page := staff.page("/organizations/freeze?organization=Acme")
	contains(t, "the question", page, "Freeze: <bdi>Acme</bdi>?", "Ends 2 sessions.", `action="/.portcullis/admin/organizations/freeze"`, `name="organization" value="Acme"`)
	for path, want := range map[string]int{
		"/organizations/freeze?organization=Staff": 409, "/organizations/freeze": 400, "/organizations/unfreeze?organization=Gamma": 404,
	} {
		if got := staff.send(http.MethodGet, web.ConsolePrefix+path, nil, nil).StatusCode; got != want {
			t.Errorf("%s: status = %d, want %d", path, got, want)
		}
	}
	if got := manager.send(http.MethodGet, web.ConsolePrefix+"/organizations/freeze?organization=Acme", nil, nil).StatusCode; got != http.StatusForbidden {
		t.Errorf("a client's manager: status = %d, want 403", got)
	}
	if page := manager.page("/organizations"); strings.Contains(page.text, "organizations/freeze") {
		t.Error("a client's manager is offered to freeze")
	}
	if page := w.signIn("staff", "eve", mapping.GateUsersView).page("/organizations"); strings.Contains(page.text, "organizations/freeze") {
		t.Error("it is offered to somebody without the right")
	}
	res := staff.form("/organizations/freeze", "organization", "Acme", "reason", "a breach")
	contains(t, "where that leads", staff.page(strings.TrimPrefix(res.Header.Get("Location"), web.ConsolePrefix)),
		"Frozen: nobody of it comes in. 2 sessions ended.")
	contains(t, "the question", staff.page("/organizations/unfreeze?organization=Acme"), "Unfreeze: <bdi>Acme</bdi>?")
	res = staff.form("/organizations/unfreeze", "organization", "Acme")
	contains(t, "where that leads", staff.page(strings.TrimPrefix(res.Header.Get("Location"), web.ConsolePrefix)),
		"Unfrozen: its people can sign in again.")
}
