package scim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestJournal(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		t.Helper()
		db := open()
		r := newRigOn(t, db, func(c *scim.Config) { c.Journal = db.Journal() })
		endpoint := r.handler.(*scim.Endpoint)
		id := r.create("ada", map[string]any{"password": "correct horse", "title": "Countess"})
		r.want(r.patch("/Users/"+id, `[{"op":"replace","path":"emails[value eq \"secret@x.example\"].value","value":"other@x.example"},{"op":"replace","path":"password","value":"correct horse"}]`), 200, 400)
		group := r.group("Desk", id)
		r.want(r.patch("/Groups/"+group, `[{"op":"remove","path":"members","value":[{"value":"`+id+`"}]}]`), 204)
		r.want(r.send("POST", "/Users", user("ada")), 409)
		r.want(r.send("GET", "/Users"+find(`userName eq "ada"`), nil), 200)
		for range 5 { // strangers do not fill the log
			r.want(r.sendTo("acme", "pcs_wrong", "GET", "/Users", nil), 401)
		}
		r.want(r.sendTo("nobody", r.secret, "GET", "/Users", nil), 401)
		if err := endpoint.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		entries, err := db.Journal().Journal(t.Context(), scim.JournalQuery{Connections: []string{"acme"}, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, e := range entries {
			all.WriteString(e.Path + e.Body + e.Cause + "\n")
		}
		for _, secret := range []string{"correct horse", "Countess", "secret@x.example", "other@x.example", "Example"} {
			if strings.Contains(all.String(), secret) {
				t.Errorf("the log holds %q:\n%s", secret, all.String())
			}
		}
		if len(entries) != 7 {
			t.Fatalf("%d entries, want 7:\n%s", len(entries), all.String())
		}
		refused, list, conflict, first := entries[0], entries[1], entries[2], entries[6]
		if refused.Status != 401 || refused.Token != "" || refused.Cause == "" {
			t.Errorf("entry of a stranger = %+v", refused)
		}
		if list.Method != http.MethodGet || !strings.HasPrefix(list.Path, "/Users?filter=userName") || list.Status != 200 || list.Cause != "" || list.Body != "" {
			t.Errorf("entry of a list = %+v", list)
		}
		if conflict.Status != 409 || conflict.Cause != "userName is taken" {
			t.Errorf("entry of a conflict = %+v", conflict)
		}
		if first.Status != 201 || first.Token == "" || !first.At.Equal(r.clock.Now()) || !strings.Contains(first.Body, `"userName":"ada"`) || !strings.Contains(first.Body, `"password":"[redacted]"`) {
			t.Errorf("entry of a create = %+v", first)
		}
		if !strings.Contains(entries[3].Body, id) {
			t.Errorf("entry of a membership = %s, want the member", entries[3].Body)
		}
		some, err := db.Journal().Journal(t.Context(), scim.JournalQuery{Refused: true, Before: conflict.Seq + 1, Limit: 1})
		if err != nil || len(some) != 1 || some[0].Seq != conflict.Seq {
			t.Errorf("refused ones before = %+v, %v, want the conflict", some, err)
		}
		if err := db.Journal().DeleteJournal(t.Context(), r.clock.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if entries, _ := db.Journal().Journal(t.Context(), scim.JournalQuery{Limit: 100}); len(entries) != 0 {
			t.Errorf("%d entries after they were deleted, want none", len(entries))
		}
	})
}
