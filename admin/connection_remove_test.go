package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"portcullis/admin"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store/storetest"
)

// What the configuration shadows can be removed, by the address that both have.
func TestWhatIsShadowedIsRemovedAlone(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
	for _, id := range []string{"acme", "staff"} { // of the staff, too: nobody came in by what is not in force
		shadow := admin.Connection{ID: id, Organization: "Before", Made: true, Shadowed: true}
		w.ways.list = append(w.ways.list, shadow)
		if page := s.page("/connections").text; !strings.Contains(page, `/connections/`+id+`/remove"`) {
			t.Errorf("%s: the list does not lead to its removal: %s", id, page)
		}
		if page := s.page("/connections/" + id + "/remove").text; !strings.Contains(page, "stays as it is, with its people") || !strings.Contains(page, `name="shadowed" value="yes"`) || strings.Contains(page, "Every session") {
			t.Errorf("%s: the page says what does not happen: %s", id, page)
		}
		res := s.form("/connections/"+id+"/remove", "reason", "twice")
		if got := res.Header.Get("Location"); !strings.Contains(got, "done=shadow-removed") {
			t.Errorf("%s: %d, Location = %s", id, res.StatusCode, got)
		}
		if got := s.call(http.MethodGet, "/connections/"+id, "", nil); got != http.StatusOK {
			t.Errorf("%s of the configuration: %d, want 200", id, got)
		}
		if got := s.call(http.MethodDelete, "/connections/"+id, `{"reason":"x"}`, nil); got != http.StatusConflict {
			t.Errorf("removing %s of the configuration: %d, want 409", id, got)
		}
	}
	// The question was answered by a gate that has another one in its
	// configuration, and the order came to one that has not: nothing ends.
	w.ways.list = append(w.ways.list, admin.Connection{ID: "omega", Organization: "Omega", Made: true})
	if got := s.call(http.MethodDelete, "/connections/omega", `{"reason":"x","shadowed":true}`, nil); got != http.StatusConflict {
		t.Errorf("removing what is in force as if it were not: %d, want 409", got)
	}
	if res := s.form("/connections/omega/remove", "reason", "x", "shadowed", "yes"); res.StatusCode != http.StatusConflict {
		t.Errorf("the same in a browser: %d, want 409", res.StatusCode)
	}
	if page := s.page("/connections?done=shadow-removed").text; !strings.Contains(page, "stays as it was") {
		t.Error("the page does not say what stays")
	}
}

// A next key of ours that the provider is not given keeps everybody out when it
// begins to sign: who may not take away the staff's way in does not do so by it.
func TestTheNextKeyIsMadeByWhoCouldRemoveTheConnection(t *testing.T) {
	for name, approval := range map[string]revision.Approval{"one is enough": {}, "it takes two": {Privileged: true}} {
		t.Run(name, func(t *testing.T) {
			w := newManagedWorld(t, storetest.SQLite(t), rules(), approval)
			for i := range w.ways.list {
				w.ways.list[i].Protocol = admin.OverSAML
			}
			want := http.StatusOK
			if approval.Privileged {
				want = http.StatusForbidden
			}
			for _, tc := range []struct {
				who  *somebody
				path string
				want int
			}{
				{w.signIn("staff", "manager", "Admins"), "/own-connections/staff", http.StatusForbidden},
				{w.signIn("staff", "ada", mapping.GateConnectionsEdit), "/connections/staff", http.StatusForbidden},
				{w.signIn("staff", "root", tasks()...), "/connections/staff", want},
				{w.open(), "/connections/staff", http.StatusOK},
				{w.signIn("acme", "manager", "Admins"), "/own-connections/acme", http.StatusOK},
				{w.signIn("staff", "ann", mapping.GateConnectionsEdit), "/connections/acme", http.StatusOK},
			} {
				page := tc.who.page(tc.path).text
				if offered := strings.Contains(page, tc.path+"/rollover"); offered != (tc.want == http.StatusOK) {
					t.Errorf("%s: the page offers it: %t", tc.path, offered)
				}
				if got := tc.who.call(http.MethodPost, tc.path+"/rollover", "", nil); got != tc.want {
					t.Errorf("%s: %d, want %d", tc.path, got, tc.want)
				}
			}
			if res := w.setup(w.signIn("staff", "ann", mapping.GateConnectionsEdit), "acme").form("/setup/acme/rollover"); res.StatusCode != http.StatusSeeOther {
				t.Errorf("by a setup link of a client: %d, want 303", res.StatusCode)
			}
		})
	}
}
