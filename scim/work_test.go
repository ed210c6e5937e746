package scim_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/directory"
)

// ops joins operations into the list of a PATCH.
func ops(n int, one func(i int) string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = one(i)
	}
	return "[" + strings.Join(list, ",") + "]"
}

// TestAPatchHasABoundOnWork: a PATCH is applied while everybody else waits to
// write, so one client must not make it last.
func TestAPatchHasABoundOnWork(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	emails := make([]any, 1000)
	for i := range emails {
		emails[i] = map[string]any{"value": fmt.Sprintf("ada%d@example.com", i), "type": "work"}
	}
	id := r.create("ada", map[string]any{"emails": emails})
	members := map[string]any{"emails": []any{}}
	for i := range 1001 {
		members["name."+cased("familyName", i)] = "x"
	}
	keys, err := json.Marshal([]any{map[string]any{"op": "add", "value": members}})
	if err != nil {
		t.Fatal(err)
	}
	condition := `emails[value co \"zzzz\" or value co \"yyyy\" or value co \"xxxx\" or type co \"b\"]`
	for _, tc := range []struct{ name, path, ops string }{
		{"conditions", "/Users/", ops(1000, func(int) string { return `{"op":"remove","path":"` + condition + `"}` })},
		{"operations", "/Users/", ops(1001, func(int) string { return `{"op":"add","path":"emails.display","value":"x"}` })},
		{"keys of a value", "/Users/", string(keys)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := r.in(t)
			began := time.Now()
			r.want(r.patch(tc.path+id, tc.ops), 400)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("refused after %s", took)
			}
		})
	}
	// What clients do send is far below.
	r.want(r.patch("/Users/"+r.create("ben"), ops(100, func(i int) string {
		return fmt.Sprintf(`{"op":"replace","path":"emails[type eq \"work%d\"].value","value":"x@example.com"}`, i)
	})), 200)
	group := r.group("many", id)
	r.want(r.patch("/Groups/"+group, ops(5000, func(i int) string {
		return fmt.Sprintf(`{"op":"remove","path":"members[value eq \"%036d\"]"}`, i)
	})), 204)
	r.want(r.patch("/Groups/"+group, ops(2, func(int) string { return `{"op":"Remove","path":"members[ VALUE  Eq  \"` + id + `\" ]"}` })), 204)
	if left := r.members(group); len(left) != 0 {
		t.Errorf("members = %v, want none", left)
	}
}

// cased spells a word in a case of its own for each number.
func cased(word string, n int) string {
	b := []byte(word)
	for i := range b {
		if n>>i&1 == 1 {
			b[i] ^= 0x20
		}
	}
	return string(b)
}

// TestAListOfGroupsIsBoundedByItsMembers: a thousand large groups on one page
// would take the memory of the gate. What has no room comes with the next page.
func TestAListOfGroupsIsBoundedByItsMembers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const people, groups = 600, 100
	ids := make([]string, people)
	for i := range ids {
		p, err := r.directory.Provision(t.Context(), audit.Actor{Kind: "scim"}, "acme", directory.Record{UserName: fmt.Sprintf("u%d", i), Active: true})
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = p.ID
	}
	for i := range groups {
		if _, err := r.directory.ProvisionGroup(t.Context(), audit.Actor{Kind: "scim"}, "acme", fmt.Sprintf("g%d", i), "", ids); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(map[string]int)
	for pages, start := 0, 1; start <= groups; pages++ {
		a := r.want(r.send("GET", fmt.Sprintf("/Groups?count=1000&startIndex=%d", start), nil), 200)
		list := a.list("Resources")
		if total := a.at("totalResults"); total != float64(groups) || len(list) == 0 || len(list) > 90 || pages > 2 {
			t.Fatalf("page %d from %d has %d groups of %v in all", pages, start, len(list), total)
		}
		for _, g := range list {
			members, _ := g["members"].([]any)
			seen[fmt.Sprint(g["displayName"])] += len(members)
		}
		start += len(list)
	}
	for name, n := range seen {
		if n != people {
			t.Errorf("%s has %d members, want %d", name, n, people)
		}
	}
	if len(seen) != groups {
		t.Errorf("%d groups, want %d", len(seen), groups)
	}
	if all := r.want(r.send("GET", "/Groups?count=1000&excludedAttributes=members", nil), 200).list("Resources"); len(all) != groups {
		t.Errorf("%d groups without their members, want %d", len(all), groups)
	}
}
