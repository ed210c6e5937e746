package scim_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portcullis/directory"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestConcurrentPatchesLoseNoMember(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.DB) { concurrentPatches(newRigOn(t, open())) })
}

func concurrentPatches(r *rig) {
	t := r.t
	t.Helper()
	const n = 24
	ids := make([]string, n)
	for i := range ids {
		ids[i] = r.create(fmt.Sprintf("u%d@example.com", i))
	}
	group := r.group("traders", ids[0])
	var wg sync.WaitGroup
	answers := make([]answer, n)
	for i := 1; i < n; i++ {
		wg.Go(func() {
			op := `[{"op":"Add","path":"members","value":[{"value":"` + ids[i] + `"}]}]`
			if i == n-1 {
				op = `[{"op":"remove","path":"members[value eq \"` + ids[0] + `\"]"}]`
			}
			answers[i] = r.patch("/Groups/"+group, op)
		})
	}
	wg.Wait()
	want := map[string]bool{}
	for i := 1; i < n; i++ {
		r.want(answers[i], 204)
		if i < n-1 {
			want[ids[i]] = true
		}
	}
	if diff := cmp.Diff(want, r.members(group)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

// TestPatchOfMembersIsTheSetOperation compares any sequence of operations in
// any shape with the same on a set.
func TestPatchOfMembersIsTheSetOperation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const n = 5
	ids := make([]string, n)
	for i := range ids {
		ids[i] = r.create(fmt.Sprintf("u%d@example.com", i))
	}
	group := r.group("traders")
	set := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		ops := []any{}
		for range rapid.IntRange(1, 4).Draw(t, "operations") {
			some := rapid.SliceOfN(rapid.SampledFrom(ids), 1, n).Draw(t, "members")
			list := []any{}
			for _, id := range some {
				list = append(list, map[string]any{"value": id})
			}
			switch rapid.SampledFrom([]string{"add", "remove", "filter", "replace", "clear"}).Draw(t, "operation") {
			case "add":
				ops = append(ops, map[string]any{"op": "Add", "path": "members", "value": list})
				for _, id := range some {
					set[id] = true
				}
			case "remove":
				ops = append(ops, map[string]any{"op": "Remove", "path": "members", "value": list})
				for _, id := range some {
					delete(set, id)
				}
			case "filter":
				ops = append(ops, map[string]any{"op": "remove", "path": `members[value eq "` + some[0] + `"]`})
				delete(set, some[0])
			case "replace":
				ops = append(ops, map[string]any{"op": "replace", "value": map[string]any{"members": list}})
				clear(set)
				for _, id := range some {
					set[id] = true
				}
			case "clear":
				ops = append(ops, map[string]any{"op": "remove", "path": "members"})
				clear(set)
			}
		}
		if a := r.send("PATCH", "/Groups/"+group, map[string]any{"Operations": ops}); a.status != 204 {
			t.Fatalf("PATCH %v answers %d %s", ops, a.status, a.raw)
		}
		if diff := cmp.Diff(set, r.members(group)); diff != "" {
			t.Fatalf("members after %v (-want +got):\n%s", ops, diff)
		}
	})
}

func TestUnknownMemberIsParked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ada := r.create("ada@example.com")
	group := r.group("traders", ada, "bob@example.com")
	if diff := cmp.Diff(map[string]bool{ada: true}, r.members(group)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	r.want(r.patch("/Groups/"+group, `[{"op":"add","path":"members","value":[{"value":"nobody"},{"value":"carol@example.com"}]}]`), 204)
	bob, carol := r.create("bob@example.com"), r.create("carol@example.com")
	if diff := cmp.Diff(map[string]bool{ada: true, bob: true, carol: true}, r.members(group)); diff != "" {
		t.Errorf("members after they came (-want +got):\n%s", diff)
	}
	// A group is not emptied by a mistaken id.
	for _, a := range []answer{
		r.patch("/Groups/"+group, `[{"op":"Replace","path":"members","value":[{"value":"nobody"}]}]`),
		r.send("PUT", "/Groups/"+group, map[string]any{"displayName": "traders", "members": []any{map[string]any{"value": "nobody"}}}),
	} {
		r.want(a, 400)
	}
	if got := r.members(group); len(got) != 3 {
		t.Errorf("members = %v, want three", got)
	}
	r.want(r.send("DELETE", "/Users/"+ada, nil), 204)
	if got := r.members(group); len(got) != 2 || got[ada] {
		t.Errorf("members = %v after one was deleted, want two", got)
	}
}

func TestGroupNameIsTakenOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	group, other := r.group("Traders"), r.group("Others")
	if a := r.want(r.send("POST", "/Groups", map[string]any{"displayName": "TRADERS"}), 409); a.text("scimType") != "uniqueness" {
		t.Errorf("scimType = %q, want uniqueness", a.text("scimType"))
	}
	r.want(r.patch("/Groups/"+other, `[{"op":"replace","path":"displayName","value":"traders"}]`), 409)
	r.want(r.patch("/Groups/"+group, `[{"op":"replace","value":{"id":"`+group+`","displayName":"traders","externalId":"e"}}]`), 204)
	a := r.want(r.send("PUT", "/Groups/"+group, map[string]any{
		"schemas":     []string{groupURN, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"},
		"displayName": "Renamed", "meta": map[string]any{"resourceType": "Group"},
	}), 200)
	if a.text("displayName") != "Renamed" || a.text("externalId") != "e" || a.text("id") != group {
		t.Errorf("group = %s, want it renamed and its externalId kept", a.raw)
	}
	r.want(r.patch("/Groups/"+group, `[{"op":"remove","path":"externalId"}]`), 204)
	if a := r.send("GET", "/Groups/"+group, nil); a.at("externalId") != nil {
		t.Errorf("externalId = %v, want none", a.at("externalId"))
	}
	for _, name := range []any{"", " ", nil, 5} {
		r.want(r.send("POST", "/Groups", map[string]any{"displayName": name}), 400)
	}
}

// frugal is a directory that refuses to read members.
type frugal struct {
	scim.Directory

	t testing.TB
}

func (f frugal) Members(context.Context, ...string) (map[string][]directory.Member, error) {
	f.t.Error("members were read")
	return nil, nil
}

func TestMembersAreReadOnlyWhereTheyAreShown(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *scim.Config) { c.Directory = frugal{Directory: c.Directory, t: t} })
	id := r.create("ada@example.com")
	group := r.want(r.send("POST", "/Groups?excludedAttributes=members", map[string]any{"displayName": "g"}), 201).text("id")
	r.want(r.patch("/Groups/"+group, `[{"op":"add","path":"members","value":[{"value":"`+id+`"}]}]`), 204)
	r.want(r.patch("/Groups/"+group, `[{"op":"remove","path":"members[value eq \"`+id+`\"]"}]`), 204)
	r.want(r.send("GET", "/Groups/"+group+"?excludedAttributes=members", nil), 200)
	r.want(r.send("GET", "/Groups?attributes=displayName", nil), 200)
	r.want(r.send("GET", "/Groups"+find(`id eq "`+group+`" and members eq "`+id+`"`)+"&attributes=id", nil), 200)
}

func TestTimesAreAnsweredAsTheyAreStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.clock.turn(1234567 * time.Nanosecond)
	for path, doc := range map[string]map[string]any{"/Users": user("ada@example.com"), "/Groups": {"displayName": "traders"}} {
		made := r.want(r.send("POST", path, doc), 201)
		read := r.want(r.send("GET", path+"/"+made.text("id"), nil), 200)
		if diff := cmp.Diff(made.at("meta"), read.at("meta")); diff != "" {
			t.Errorf("%s: meta of POST and of GET differ (-POST +GET):\n%s", path, diff)
		}
	}
}
