package scim_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestActiveInEveryDialect holds each client's way to deactivate and to
// reactivate somebody.
func TestActiveInEveryDialect(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i, tc := range []struct{ name, off, on string }{
		{"Entra ID", `[{"op":"Replace","path":"active","value":"False"}]`, `[{"op":"Replace","path":"active","value":"True"}]`},
		{"Entra ID, boolean", `[{"op":"Replace","path":"active","value":false}]`, `[{"op":"Replace","path":"active","value":true}]`},
		{"Entra ID, aadOptscim062020", `[{"op":"replace","path":"active","value":false}]`, `[{"op":"replace","path":"active","value":true}]`},
		{"Entra ID, array", `[{"op":"Replace","path":"active","value":[{"$ref":null,"value":"False"}]}]`, `[{"op":"Add","path":"active","value":[{"value":"True"}]}]`},
		{"Entra ID, no path", `[{"op":"Replace","value":{"active":"False","displayName":"Gone"}}]`, `[{"op":"Replace","value":{"active":"True"}}]`},
		{"Okta", `[{"op":"replace","value":{"active":false}}]`, `[{"op":"replace","value":{"active":true}}]`},
		{"OneLogin", `[{"op":"replace","path":"active","value":false}]`, `[{"op":"add","path":"active","value":true}]`},
		{"JumpCloud", `[{"op":"replace","path":"active","value":{"value":false}}]`, `[{"op":"replace","value":{"Active":true}}]`},
		{"Google", `[{"op":"REPLACE","path":"ACTIVE","value":false}]`, `[{"OP":"replace","Path":"active","Value":true}]`},
		{"Ping", `[{"op":"add","value":{"active":false}}]`, `[{"op":"add","value":{"active":true}}]`},
		{"core URN", `[{"op":"replace","path":"` + userURN + `:active","value":false}]`, `[{"op":"replace","value":{"` + userURN + `:active":true}}]`},
		{"unknown attributes beside it", `[{"op":"add","path":"companyName","value":"X"},{"op":"replace","path":"active","value":false}]`, `[{"op":"replace","value":{"active":true,"companyName":"Y"}}]`},
		{"schemas beside it", `[{"op":"add","path":"schemas","value":["` + portalURN + `"]},{"op":"replace","path":"active","value":false}]`, `[{"op":"replace","value":{"active":true,"schemas":["x"]}}]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := r.in(t)
			id := r.create("active-" + string(rune('a'+i)) + "@example.com")
			for _, step := range []struct {
				ops  string
				want bool
			}{{tc.off, false}, {tc.off, false}, {tc.on, true}} {
				if a := r.want(r.patch("/Users/"+id, step.ops), 200); a.at("active") != step.want {
					t.Errorf("PATCH %s answers active = %v, want %v", step.ops, a.at("active"), step.want)
				}
				if a := r.send("GET", "/Users/"+id, nil); a.at("active") != step.want {
					t.Errorf("after PATCH %s, active = %v, want %v", step.ops, a.at("active"), step.want)
				}
			}
		})
	}
}

func TestActiveIsNeverTakenAwayOrGuessed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create("ada@example.com")
	r.want(r.patch("/Users/"+id, `[{"op":"replace","path":"active","value":false}]`), 200)
	for _, ops := range []string{
		`[{"op":"remove","path":"active"}]`, `[{"op":"replace","path":"active","value":null}]`,
		`[{"op":"replace","path":"active","value":"yes"}]`, `[{"op":"replace","path":"active","value":1}]`,
		`[{"op":"replace","path":"active"}]`, `[{"op":"replace","path":"active","value":[true,false]}]`,
	} {
		r.want(r.patch("/Users/"+id, ops), 400)
	}
	put := user("ada@example.com")
	for _, without := range []func(){func() { delete(put, "active") }, func() { put["active"] = nil }} {
		without()
		if a := r.want(r.send("PUT", "/Users/"+id, put), 200); a.at("active") != false {
			t.Errorf("PUT without active answers %v, want false: nobody is let in by leaving it out", a.at("active"))
		}
	}
	put["active"] = "True"
	r.want(r.send("PUT", "/Users/"+id, put), 200)
	delete(put, "active")
	if a := r.want(r.send("PUT", "/Users/"+id, put), 200); a.at("active") != true {
		t.Errorf("PUT without active answers %v, want true", a.at("active"))
	}
	fresh := user("new@example.com")
	delete(fresh, "active")
	if a := r.want(r.send("POST", "/Users", fresh), 201); a.at("active") != true {
		t.Errorf("POST without active answers %v, want true", a.at("active"))
	}
}

// TestMembersInEveryDialect starts each time from a group of {0, 1} out of four
// people.
func TestMembersInEveryDialect(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ids := []string{r.create("a@example.com"), r.create("b@example.com"), r.create("c@example.com"), r.create("d@example.com")}
	fill := strings.NewReplacer("$0", ids[0], "$1", ids[1], "$2", ids[2], "$3", ids[3])
	for _, tc := range []struct {
		name, ops string
		want      []int
	}{
		{"Entra ID adds", `[{"op":"Add","path":"members","value":[{"$ref":null,"value":"$2"}]}]`, []int{0, 1, 2}},
		{"Entra ID removes a list", `[{"op":"Remove","path":"members","value":[{"$ref":null,"value":"$0"}]}]`, []int{1}},
		{"Entra ID, aadOptscim062020", `[{"op":"remove","path":"members[value eq \"$1\"]"}]`, []int{0}},
		{"Entra ID, many", `[{"op":"remove","path":"members[value eq \"$1\"]"},{"op":"remove","path":"members[value eq \"$0\"]"}]`, nil},
		{"Okta adds", `[{"op":"add","path":"members","value":[{"value":"$2","display":"c@example.com"}]}]`, []int{0, 1, 2}},
		{"Okta adds without a path", `[{"op":"add","value":{"members":[{"value":"$3"}]}}]`, []int{0, 1, 3}},
		{"Okta replaces", `[{"op":"replace","path":"members","value":[{"value":"$2"},{"value":"$3"}]}]`, []int{2, 3}},
		{"Okta renames with the id", `[{"op":"replace","value":{"id":"whatever","displayName":"renamed"}}]`, []int{0, 1}},
		{"OneLogin adds", `[{"op":"add","path":"members","value":[{"display":"c","$ref":"https://x.example/v2/Users/$2","value":"$2"}]}]`, []int{0, 1, 2}},
		{"OneLogin removes", `[{"op":"remove","path":"members[value eq \"$0\"]"}]`, []int{1}},
		{"JumpCloud removes a list", `[{"op":"remove","path":"members","value":[{"value":"$0"}]}]`, []int{1}},
		{"JumpCloud removes an object", `[{"op":"remove","path":"members","value":{"value":"$0"}}]`, []int{1}},
		{"Google", `[{"op":"add","path":"members","value":{"value":"$2","type":"User"}}]`, []int{0, 1, 2}},
		{"Ping", `[{"op":"ADD","path":"Members","Value":[{"Value":"$2"},{"VALUE":"$0"}]}]`, []int{0, 1, 2}},
		{"ids as they are", `[{"op":"add","path":"members","value":["$2","$3"]}]`, []int{0, 1, 2, 3}},
		{"core URN", `[{"op":"add","path":"` + groupURN + `:members","value":[{"value":"$2"}]}]`, []int{0, 1, 2}},
		{"either of two", `[{"op":"remove","path":"members[value eq \"$0\" or value eq \"$1\"]"}]`, nil},
		{"in order", `[{"op":"add","path":"members","value":[{"value":"$2"}]},{"op":"remove","path":"members[value eq \"$2\"]"}]`, []int{0, 1}},
		{"in order, replaced first", `[{"op":"replace","path":"members","value":[{"value":"$2"}]},{"op":"add","path":"members","value":[{"value":"$3"}]},{"op":"remove","path":"members[value eq \"$2\"]"}]`, []int{3}},
		{"emptied and filled", `[{"op":"remove","path":"members"},{"op":"add","path":"members","value":[{"value":"$3"}]}]`, []int{3}},
		{"emptied by name", `[{"op":"remove","path":"members"}]`, nil},
		{"emptied by an empty list", `[{"op":"replace","path":"members","value":[]}]`, nil},
		{"replace that does not name members", `[{"op":"replace","value":{"externalId":"e-1"}}]`, []int{0, 1}},
		{"removal of nobody", `[{"op":"remove","path":"members","value":[]}]`, []int{0, 1}},
		{"there already, and not there", `[{"op":"add","path":"members","value":[{"value":"$0"}]},{"op":"remove","path":"members[value eq \"$3\"]"}]`, []int{0, 1}},
		{"twice in one list", `[{"op":"add","path":"members","value":[{"value":"$2"},{"value":"$2"}]}]`, []int{0, 1, 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := r.in(t)
			group := r.group("g "+tc.name, ids[0], ids[1])
			for range 2 { // a repeated push changes nothing
				r.want(r.patch("/Groups/"+group, fill.Replace(tc.ops)), 204)
				want := map[string]bool{}
				for _, i := range tc.want {
					want[ids[i]] = true
				}
				if diff := cmp.Diff(want, r.members(group)); diff != "" {
					t.Errorf("members after %s (-want +got):\n%s", tc.ops, diff)
				}
			}
			r.want(r.send("DELETE", "/Groups/"+group, nil), 204)
		})
	}
}

func TestMembershipIsNotChangedByHalves(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.create("a@example.com"), r.create("b@example.com")
	group := r.group("g", a)
	for _, tc := range []struct{ name, ops, kind string }{
		{"filter of another attribute", `[{"op":"remove","path":"members[display eq \"x\"]"}]`, "invalidPath"},
		{"not", `[{"op":"remove","path":"members[not (value eq \"x\")]"}]`, "invalidPath"},
		{"replace without a value", `[{"op":"replace","path":"members"}]`, "invalidValue"},
		{"replace by null", `[{"op":"replace","path":"members","value":null}]`, "invalidValue"},
		{"member without an id", `[{"op":"add","path":"members","value":[{"display":"x"}]}]`, "invalidValue"},
		{"group inside of itself", `[{"op":"add","path":"members","value":[{"value":"` + group + `","type":"Group"}]}]`, "invalidValue"},
		{"no name", `[{"op":"replace","path":"displayName","value":" "}]`, "invalidValue"},
		{"name taken away", `[{"op":"remove","path":"displayName"}]`, "mutability"},
		{"id", `[{"op":"replace","path":"id","value":"x"}]`, "mutability"},
		{"later operation fails", `[{"op":"add","path":"members","value":[{"value":"` + b + `"}]},{"op":"jump","path":"members"}]`, "invalidSyntax"},
		{"long id", `[{"op":"add","path":"members","value":[{"value":"` + strings.Repeat("x", 300) + `"}]}]`, "invalidValue"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := r.in(t)
			if got := r.want(r.patch("/Groups/"+group, tc.ops), 400); got.text("scimType") != tc.kind {
				t.Errorf("scimType = %q, want %q", got.text("scimType"), tc.kind)
			}
			if diff := cmp.Diff(map[string]bool{a: true}, r.members(group)); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
		})
	}
	r.want(r.send("PUT", "/Groups/"+group, map[string]any{"displayName": "still g"}), 200)
	r.want(r.send("PUT", "/Groups/"+group, map[string]any{"displayName": "still g", "members": nil}), 200)
	if diff := cmp.Diff(map[string]bool{a: true}, r.members(group)); diff != "" {
		t.Errorf("members after a PUT that does not name them (-want +got):\n%s", diff)
	}
	r.want(r.send("PUT", "/Groups/"+group, map[string]any{"displayName": "still g", "members": []any{}}), 200)
	if got := r.members(group); len(got) != 0 {
		t.Errorf("members = %v after a PUT of none, want none", got)
	}
}
