package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/store"
	"portcullis/store/storetest"
)

// lose has SCIM delete more people of Acme than is ordinary, all of them of a
// part, and gives the number of the mass loss.
func (w *world) lose(unit string) int64 {
	w.t.Helper()
	pushes := audit.Actor{Kind: "scim", ID: "t", Name: "token t"}
	var ids []string
	for i := range 12 {
		name := fmt.Sprint("lost ", i)
		p, err := w.dir.Provision(w.t.Context(), pushes, "acme", directory.Record{UserName: name, ExternalID: name, Name: name, Active: true})
		if err == nil {
			err = w.dir.Place(w.t.Context(), root, p.ID, unit, "")
		}
		if err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, p.ID)
	}
	for _, id := range ids {
		if err := w.dir.Delete(w.t.Context(), pushes, "acme", id); err != nil {
			w.t.Fatal(err)
		}
	}
	if _, err := w.dir.ExamineLosses(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	found, err := w.dir.MassLosses(w.t.Context(), directory.MassLossQuery{Limit: 9})
	if err != nil || len(found.Items) != 1 {
		w.t.Fatalf("%d mass losses, want 1 (%v)", len(found.Items), err)
	}
	return found.Items[0].ID
}

// A mass loss is of a connection, and so of the whole organization: who manages
// a part sees none of it on any page, nor undoes it; not even one that took
// people of that part alone, nor from a part above.
func TestAManagerOfAPartSeesNoMassLoss(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		europe := w.unit("", "Europe")
		nordics := w.unit(europe, "Nordics")
		number := w.lose(nordics)
		lost := w.signIn("acme", "unplaced", "Admins")
		w.strand(lost)
		parts := map[string]*somebody{
			"of the part": w.place(w.signIn("acme", "nordic", "Admins"), nordics), "of one above": w.place(w.signIn("acme", "european", "Admins"), europe),
			"of another one": w.place(w.signIn("acme", "asian", "Admins"), w.unit("", "Asia")), "who is not placed": lost,
			"of another client": w.signIn("beta", "theirs", "Admins"),
		}
		one := fmt.Sprint("/mass-losses/", number)
		sees := func(s *somebody) (losses int, status int) {
			for _, path := range []string{"/summary", "/provisioning", "/provisioning?undoable=yes", "/provisioning?connection=acme"} {
				var v struct{ MassLosses []any }
				if got := s.call(http.MethodGet, path, "", &v); got != http.StatusOK {
					t.Errorf("%s: status = %d", path, got)
				}
				losses += len(v.MassLosses)
			}
			for _, path := range []string{"/", "/provisioning"} {
				losses += strings.Count(s.page(path).text, one+`"`)
			}
			return losses, s.call(http.MethodGet, one, "", nil)
		}
		for who, s := range parts {
			if losses, status := sees(s); losses != 0 || status != http.StatusNotFound {
				t.Errorf("the manager %s sees %d losses, and of one the status %d", who, losses, status)
			}
			if got := s.page(one).StatusCode; got != http.StatusNotFound {
				t.Errorf("the manager %s: page = %d, want 404", who, got)
			}
			for what, got := range map[string]int{
				"API": s.call(http.MethodPost, one+"/undo", "{}", nil), "form": s.form(one + "/undo").StatusCode,
			} {
				if got != http.StatusForbidden && got != http.StatusNotFound {
					t.Errorf("the manager %s undoes it (%s): status = %d", who, what, got)
				}
			}
		}
		if losses, status := sees(w.signIn("acme", "whole", "Admins")); losses != 6 || status != http.StatusOK {
			t.Errorf("the manager of the whole sees %d losses, and of one the status %d; want 6 and 200", losses, status)
		}
		m, err := w.dir.MassLoss(t.Context(), number)
		if err != nil || !m.UndoBegan.IsZero() {
			t.Errorf("mass loss = %+v, %v; want it as it was", m, err)
		}
	})
}
