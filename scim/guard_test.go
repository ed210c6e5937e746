package scim_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
)

func (r *rig) guard() *scim.Guard {
	return scim.NewGuard(scim.GuardConfig{Losses: r.directory, Now: r.clock.Now, Log: slog.New(slog.NewTextHandler(r.log, nil))})
}

// values are the value of each element of a list, in order.
func values(list any) (out []string) {
	elements, _ := list.([]any)
	for _, e := range elements {
		m, _ := e.(map[string]any)
		out = append(out, fmt.Sprint(m["value"]))
	}
	slices.Sort(out)
	return out
}

// changes are the mass losses so far, the oldest first.
func (r *rig) changes() []directory.MassLoss {
	r.t.Helper()
	page, err := r.directory.MassLosses(context.Background(), directory.MassLossQuery{Limit: 100})
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Reverse(page.Items)
	return page.Items
}

// Every way in which SCIM takes something away is counted, is in force at
// once whatever the guard does, and comes back.
func TestEveryWayOfTakingAwayIsGuarded(t *testing.T) {
	const n = 12
	remove := func(ids []string) string {
		values := make([]string, len(ids))
		for i, id := range ids {
			values[i] = `{"value":"` + id + `"}`
		}
		return strings.Join(values, ",")
	}
	for name, lose := range map[string]func(r *rig, group string, ids []string){
		"PATCH active": func(r *rig, _ string, ids []string) {
			for _, id := range ids {
				r.want(r.patch("/Users/"+id, `[{"op":"Replace","path":"active","value":"False"}]`), 200)
			}
		},
		"PUT active": func(r *rig, _ string, ids []string) {
			for i, id := range ids {
				r.want(r.send("PUT", "/Users/"+id, user(fmt.Sprintf("u%d@example.com", i), map[string]any{"active": false})), 200)
			}
		},
		"DELETE": func(r *rig, _ string, ids []string) {
			for _, id := range ids {
				r.want(r.send("DELETE", "/Users/"+id, nil), 204)
				r.want(r.send("GET", "/Users/"+id, nil), 404)
			}
		},
		"Bulk DELETE": func(r *rig, _ string, ids []string) {
			var ops []any
			for _, id := range ids {
				ops = append(ops, map[string]any{"method": "DELETE", "path": "/Users/" + id})
			}
			r.want(r.send("POST", "/Bulk", map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:BulkRequest"}, "Operations": ops}), 200)
		},
		"PATCH members": func(r *rig, group string, ids []string) {
			r.want(r.patch("/Groups/"+group, `[{"op":"remove","path":"members","value":[`+remove(ids)+`]}]`), 204)
		},
		"PATCH one by one": func(r *rig, group string, ids []string) {
			for _, id := range ids {
				r.want(r.patch("/Groups/"+group, `[{"op":"remove","path":"members[value eq \"`+id+`\"]"}]`), 204)
			}
		},
		"PATCH all members": func(r *rig, group string, _ []string) {
			r.want(r.patch("/Groups/"+group, `[{"op":"remove","path":"members"}]`), 204)
		},
		"PUT members": func(r *rig, group string, _ []string) {
			r.want(r.send("PUT", "/Groups/"+group, map[string]any{"schemas": []string{groupURN}, "displayName": "traders", "members": []any{}}), 200)
		},
		"DELETE group": func(r *rig, group string, _ []string) {
			r.want(r.send("DELETE", "/Groups/"+group, nil), 204)
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, open func() *store.DB) {
				r := newRigOn(t, open())
				g := r.guard()
				ids := make([]string, n)
				for i := range ids {
					ids[i] = r.create(fmt.Sprintf("u%d@example.com", i))
				}
				group := r.group("traders", ids...)
				seen := func() map[string][]string { // whoever is back comes last in a list, so the order is no matter
					out := make(map[string][]string)
					for _, u := range r.send("GET", "/Users", nil).list("Resources") {
						key := fmt.Sprint(u["userName"], u["active"], u["id"], u["emails"])
						out[key] = values(u["groups"])
					}
					for _, g := range r.send("GET", "/Groups", nil).list("Resources") {
						out[fmt.Sprint(g["displayName"], g["id"])] = values(g["members"])
					}
					return out
				}
				before := seen()
				lose(r, group, ids)
				if reflect.DeepEqual(seen(), before) {
					t.Fatal("nothing is lost")
				}
				if err := g.Look(t.Context()); err != nil {
					t.Fatal(err)
				}
				changes := r.changes()
				if len(changes) != 1 || g.Open()["acme"] != 1 || !strings.Contains(r.log.String(), "many lost their access at once") {
					t.Fatalf("%d changes, %v open, want 1 and an alert: %s", len(changes), g.Open(), r.log)
				}
				if _, err := r.directory.UndoMassLoss(t.Context(), audit.Gate(), changes[0].ID, nil); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(before, seen()); diff != "" {
					t.Errorf("after the undo (-before +after):\n%s", diff)
				}
				r.clock.turn(time.Minute)
				if err := g.Look(t.Context()); err != nil {
					t.Fatal(err)
				}
				if len(g.Open()) != 0 {
					t.Errorf("open = %v after the undo", g.Open())
				}
			})
		})
	}
}

// What a client says again in passing is no word about active, and what it
// says outright is.
func TestOnlyWhatIsSaidOverrulesAnUndo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ids := make([]string, 12)
	for i := range ids {
		ids[i] = r.create(fmt.Sprintf("u%d@example.com", i))
		r.want(r.patch("/Users/"+ids[i], `[{"op":"replace","path":"active","value":false}]`), 200)
	}
	if err := r.guard().Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.clock.turn(2 * time.Hour)
	r.want(r.patch("/Users/"+ids[0], `[{"op":"replace","path":"title","value":"T"}]`), 200)
	silent := user("u1@example.com")
	delete(silent, "active")
	r.want(r.send("PUT", "/Users/"+ids[1], silent), 200)
	r.want(r.patch("/Users/"+ids[2], `[{"op":"replace","value":{"active":"False"}}]`), 200)
	r.want(r.send("PUT", "/Users/"+ids[3], user("u3@example.com", map[string]any{"active": false})), 200)
	if _, err := r.directory.UndoMassLoss(t.Context(), audit.Gate(), r.changes()[0].ID, nil); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, false, false, true} {
		if got := r.send("GET", "/Users/"+ids[i], nil).at("active"); got != want {
			t.Errorf("u%d: active = %v, want %v", i, got, want)
		}
	}
}

// The endpoint asks the directory for nothing that undoes.
func TestNoRequestReachesTheUndo(t *testing.T) {
	t.Parallel()
	for verb := range reflect.TypeFor[scim.Directory]().Methods() {
		if name := verb.Name; strings.Contains(name, "Undo") || strings.Contains(name, "Mass") {
			t.Errorf("the endpoint can reach %s", name)
		}
	}
}

// absent is a directory that is away for a while.
type absent struct {
	looked chan struct{}
	err    error
}

func (f *absent) ExamineLosses(context.Context) ([]directory.MassLoss, error) {
	f.looked <- struct{}{}
	return nil, f.err
}
func (*absent) EraseLosses(context.Context) error { return nil }

func (*absent) MassLosses(context.Context, directory.MassLossQuery) (directory.Page[directory.MassLoss], error) {
	return directory.Page[directory.MassLoss]{}, nil
}

func TestTheGuardGoesOnWhenTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &logs{}
		f := &absent{looked: make(chan struct{}), err: errors.New("away")}
		g := scim.NewGuard(scim.GuardConfig{Losses: f, Log: slog.New(slog.NewTextHandler(log, nil))})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		for range 3 {
			<-f.looked
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "not looked for"); n != 1 {
			t.Errorf("%d warnings of one outage:\n%s", n, log)
		}
	})
}

// BenchmarkGuard measures what the ledger adds to a deactivation.
func BenchmarkDeactivationAndBack(b *testing.B) {
	r := newRig(b)
	id := r.create("u@example.com")
	for i := 0; b.Loop(); i++ {
		r.want(r.patch("/Users/"+id, fmt.Sprintf(`[{"op":"replace","path":"active","value":%v}]`, i%2 == 1)), 200)
	}
}
