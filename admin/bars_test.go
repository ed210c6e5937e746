package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"portcullis/admin"
	"portcullis/mapping"
	"portcullis/store"
	"portcullis/store/storetest"
)

// A client's own manager barred somebody first: once the gate's administrators
// do, too, that is what stands, and nothing of the client's takes it back.
func TestTheGateTakesABarOver(t *testing.T) {
	for _, tc := range []struct{ bar, lift, state, offer string }{
		{"lock", "unlock", "locked", "Lock as the gate …"},
		{"deactivate", "reactivate", "deactivated", "Deactivate as the gate …"},
	} {
		t.Run(tc.bar, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, open func() *store.DB) {
				w := newWorld(t, open())
				whole, second, ben := w.signIn("acme", "whole", "Admins"), w.signIn("acme", "second", "Admins"), w.signIn("acme", "ben")
				staff := w.signIn("staff", "root", mapping.GateUsersLock, mapping.GateUsersEdit, mapping.GateUsersView)
				order := func(who string, s *somebody, verb, why string, want int) {
					t.Helper()
					if got := s.call(http.MethodPost, "/people/"+ben.id+"/"+verb, `{"reason":"`+why+`"}`, nil); got != want {
						t.Errorf("%s: %s: status = %d, want %d", who, verb, got, want)
					}
				}
				several := func(who string, s *somebody, verb string, done, left int) {
					t.Helper()
					var got struct{ Count, Left int }
					s.call(http.MethodPost, "/people/all/"+verb, `{"reason":"all","ids":["`+ben.id+`"]}`, &got)
					if got.Count != done || got.Left != left {
						t.Errorf("%s: %s: %+v, want %d done, %d left", who, verb, got, done, left)
					}
				}
				trail := func(n int) []admin.Event {
					t.Helper()
					events := w.events(admin.EventQuery{Action: "person." + tc.state, Limit: 9})
					if len(events) != n {
						t.Fatalf("%d events, want %d: %+v", len(events), n, events)
					}
					return events
				}
				order("the client", whole, tc.bar, "their reason", 200)
				order("a colleague", second, tc.bar, "another", 200)
				trail(1)
				if text := whole.page("/people/" + ben.id).text; strings.Contains(text, "as the gate") || strings.Contains(text, "as well") {
					t.Error("a client is offered what is the gate's")
				}
				contains(t, "the person", staff.page("/people/"+ben.id), "their reason", tc.offer)
				question := "is " + tc.state + " already, by"
				contains(t, "the question", staff.page("/people/"+ben.id+"/"+tc.bar), question, "no longer theirs to take back")
				contains(t, "the question for several", staff.form("/people/all/"+tc.bar, "id", ben.id), question)
				if strings.Contains(second.page("/people/"+ben.id+"/"+tc.bar).text, question) {
					t.Error("a colleague is told that theirs would stand")
				}
				if res := staff.form("/people/"+ben.id+"/"+tc.bar, "reason", "ours"); res.StatusCode != http.StatusSeeOther {
					t.Errorf("staff, by the form: status = %d", res.StatusCode)
				}
				both := trail(2)
				if both[0].Actor.ID != staff.id || both[0].Reason != "ours" || both[0].Detail[tc.state+"_before_by"] != both[1].Actor.Name || both[1].Actor.ID != whole.id {
					t.Errorf("trail = %+v, want both", both)
				}
				page := staff.page("/people/" + ben.id)
				contains(t, "the person", page, "ours")
				if strings.Contains(page.text, ben.id+"/"+tc.bar+`"`) {
					t.Error("the gate is offered what it has")
				}
				order("who did it first", whole, tc.bar, "mine", 200) // nothing happens
				order("staff", staff, tc.bar, "again", 200)
				trail(2)
				order("who did it first", whole, tc.lift, "", 403)
				several("who did it first", whole, tc.lift, 0, 1)
				for _, res := range []answer{
					whole.form("/people/" + ben.id + "/" + tc.lift), second.page("/people/" + ben.id + "/" + tc.lift),
				} {
					if res.StatusCode != http.StatusForbidden {
						t.Errorf("a client, in a browser: status = %d, want 403", res.StatusCode)
					}
				}
				if res := whole.form("/people/all/"+tc.lift, "id", ben.id, "confirmed", "yes"); !strings.Contains(res.Header.Get("Location"), "left=1") {
					t.Errorf("a client, several in a browser: %q", res.Header.Get("Location"))
				}
				order("staff", staff, tc.lift, "", 200)

				// At once, for several.
				several("the client", whole, tc.bar, 1, 0)
				several("staff", staff, tc.bar, 1, 0)
				trail(4)
				several("a colleague", second, tc.lift, 0, 1)
				several("staff", staff, tc.lift, 1, 0)
				order("the client", whole, tc.bar, "x", 200)
				several("a colleague", second, tc.lift, 1, 0)
			})
		})
	}
}

// Who manages the whole client takes the lock of a part's manager over.
func TestTheWholeTakesALockOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		europe := w.unit("", "Europe")
		whole, boss := w.signIn("acme", "whole", "Admins"), w.place(w.signIn("acme", "boss", "Admins"), europe)
		ben := w.place(w.signIn("acme", "ben"), europe)
		order := func(who string, s *somebody, verb string, want int) {
			t.Helper()
			if got := s.send(http.MethodPost, admin.APIPrefix+"/people/"+ben.id+"/"+verb, nil, strings.NewReader(`{"reason":"x"}`)); got.StatusCode != want {
				t.Errorf("%s: %s: status = %d, want %d: %s", who, verb, got.StatusCode, want, got.text)
			}
		}
		order("the part", boss, "lock", 200)
		contains(t, "the person", whole.page("/people/"+ben.id), "Lock as well …")
		order("the whole", whole, "lock", 200)
		order("the part", boss, "unlock", 403)
		order("the whole", whole, "unlock", 200)
	})
}
