package directory_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

func (r *rig) group(name string, members ...string) directory.Group {
	r.t.Helper()
	g, err := r.ProvisionGroup(r.t.Context(), scimActor, "alpha", name, "", members)
	r.must(err)
	return g
}

func (r *rig) regroup(id string, e directory.GroupEdit) (directory.Group, error) {
	return r.ReviseGroup(r.t.Context(), scimActor, "alpha", id, func(directory.Group) (directory.GroupEdit, error) { return e, nil })
}

// members checks who is in a group, whatever the order.
func (r *rig) members(group string, want ...string) {
	r.t.Helper()
	got, err := r.Members(r.t.Context(), group)
	r.must(err)
	var ids []string
	for _, m := range got[group] {
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	want = slices.Sorted(slices.Values(want))
	if diff := cmp.Diff(want, ids); diff != "" {
		r.t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestGroupEditsWriteWhatTheyChange(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ada, ben := r.push(record("ada")).ID, r.push(record("ben")).ID
		who := map[string]string{ada: "ada", ben: "ben"}
		var g directory.Group
		r.wants(r.during(who, func() { g = r.group("Desk", ada) }), wrote{Actions: []audit.Action{audit.GroupCreated}, Changes: []string{"ada"}})
		updated := []audit.Action{audit.GroupUpdated}
		name, same, none := "Desk 2", "Desk", []string{}
		for _, tc := range []struct {
			what    string
			edit    directory.GroupEdit
			want    wrote
			version int64
			members []string
		}{
			{"nothing", directory.GroupEdit{}, wrote{}, 1, []string{ada}},
			{"same name", directory.GroupEdit{Name: &same}, wrote{}, 1, []string{ada}},
			{"add who is in", directory.GroupEdit{Add: []string{ada}}, wrote{}, 1, []string{ada}},
			{"add", directory.GroupEdit{Add: []string{ben, ben}}, wrote{updated, []string{"ben"}}, 2, []string{ada, ben}},
			{"rename touches everybody", directory.GroupEdit{Name: &name}, wrote{updated, []string{"ada", "ben"}}, 3, []string{ada, ben}},
			{"remove who is not in", directory.GroupEdit{Remove: []string{"zoe"}}, wrote{}, 3, []string{ada, ben}},
			{"remove", directory.GroupEdit{Remove: []string{ada}}, wrote{updated, []string{"ada"}}, 4, []string{ben}},
			{"replace", directory.GroupEdit{Replace: &[]string{ada}}, wrote{updated, []string{"ada", "ben"}}, 5, []string{ada}},
			{"replace by the same", directory.GroupEdit{Replace: &[]string{ada}}, wrote{}, 5, []string{ada}},
			{"replace by known and unknown", directory.GroupEdit{Replace: &[]string{"later", ben}}, wrote{updated, []string{"ada", "ben"}}, 6, []string{ben}},
			{"replace by nobody", directory.GroupEdit{Replace: &none}, wrote{updated, []string{"ben"}}, 7, nil},
		} {
			got := r.during(who, func() {
				g, err := r.regroup(g.ID, tc.edit)
				if err != nil || g.Version != tc.version {
					t.Errorf("%s: version %d, %v, want %d", tc.what, g.Version, err, tc.version)
				}
			})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.what, diff)
			}
			r.members(g.ID, tc.members...)
		}
		_, err := r.regroup(g.ID, directory.GroupEdit{Add: []string{ada}})
		r.must(err)
		r.wants(r.during(who, func() { r.must(r.DeleteGroup(t.Context(), scimActor, "alpha", g.ID)) }),
			wrote{Actions: []audit.Action{audit.GroupDeleted}, Changes: []string{"ada"}})
	})
}

func TestAGroupIsNotEmptiedByMistake(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ada := r.push(record("ada")).ID
		g := r.group("Desk", ada)
		if _, err := r.regroup(g.ID, directory.GroupEdit{Replace: &[]string{"no", "body"}}); !fault.Is(err, fault.Invalid) {
			t.Errorf("replace by unknown people only = %v, want invalid", err)
		}
		r.members(g.ID, ada)
		empty := " "
		if _, err := r.regroup(g.ID, directory.GroupEdit{Name: &empty}); !fault.Is(err, fault.Invalid) {
			t.Errorf("no name = %v, want invalid", err)
		}
		if _, err := r.ProvisionGroup(t.Context(), scimActor, "alpha", "", "", nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("no name = %v, want invalid", err)
		}
		if _, err := r.ProvisionGroup(t.Context(), scimActor, "alpha", "DESK", "", nil); !fault.Is(err, fault.Conflict) {
			t.Errorf("name in other case = %v, want conflict", err)
		}
		if _, err := r.ReviseGroup(t.Context(), scimActor, "beta", g.ID, nil); !fault.Is(err, fault.NotFound) {
			t.Errorf("through another connection = %v, want not found", err)
		}
		if err := r.DeleteGroup(t.Context(), scimActor, "beta", g.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("delete through another connection = %v, want not found", err)
		}
	})
}

func TestUnknownMembersJoinWhenTheyArrive(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		signedIn := r.enter(says("zoe")).Person.ID // not pushed: not a member
		g := r.group("Desk", "x-ada", "ben@alpha.example", signedIn)
		other := r.group("Other", "x-ada", "x-cy")
		if _, err := r.regroup(other.ID, directory.GroupEdit{Remove: []string{"x-cy"}}); err != nil {
			t.Fatal(err)
		}
		r.members(g.ID)
		ada, ben, cy := r.push(record("ada")).ID, r.push(record("ben")).ID, r.push(record("cy")).ID
		r.members(g.ID, ada, ben)
		r.members(other.ID, ada)
		if in := r.enter(says("ada")); !slices.Contains(in.Access.Roles, "editor") {
			t.Errorf("roles = %v, want what the group gives", in.Access.Roles)
		}
		groups, err := r.GroupsOf(t.Context(), ada, cy)
		r.must(err)
		if len(groups[ada]) != 2 || len(groups[cy]) != 0 {
			t.Errorf("groups = %v, want two for the first and none for the last", groups)
		}
		r.must(r.Delete(t.Context(), scimActor, "alpha", ada))
		r.members(g.ID, ben)
	})
}

func TestConcurrentGroupEditsLoseNobody(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		replicas := []*rig{newRig(t, open()), newRig(t, open())}
		const many = 24
		var ids []string
		for i := range many {
			ids = append(ids, replicas[0].push(record(fmt.Sprintf("s%d", i))).ID)
		}
		g := replicas[0].group("Desk", ids[:many/2]...)
		var wg sync.WaitGroup
		for i, id := range ids {
			wg.Go(func() {
				e := directory.GroupEdit{Remove: []string{id}}
				if i >= many/2 {
					e = directory.GroupEdit{Add: []string{id}}
				}
				if _, err := replicas[i%2].regroup(g.ID, e); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		replicas[0].members(g.ID, ids[many/2:]...)
		if last, err := replicas[0].Group(t.Context(), "alpha", g.ID); err != nil || last.Version != 1+many {
			t.Errorf("version = %d, %v, want %d: an edit was lost", last.Version, err, 1+many)
		}
	})
}

func TestManyMembersAreOneRecordForEverybody(t *testing.T) {
	r := newRig(t, storetest.SQLite(t))
	var ids []string
	for i := range 1001 {
		ids = append(ids, r.push(record(fmt.Sprintf("s%d", i))).ID)
	}
	r.wants(r.during(nil, func() { r.group("Desk", ids...) }), wrote{Actions: []audit.Action{audit.GroupCreated}, Changes: []string{""}})
}
