package scim_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
)

// While an organization is frozen, its identity provider takes rights away and
// does nothing else.
func TestAFrozenOrganizationLosesAndGainsNothing(t *testing.T) {
	r := newRig(t)
	ada, ben, cleo := r.create("ada@acme.example"), r.create("ben@acme.example"), r.create("cleo@acme.example")
	desk, rest := r.group("Desk", ada, ben), r.group("Rest", cleo)
	if _, err := r.directory.Freeze(t.Context(), audit.Gate(), "Acme", ""); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, a answer) {
		t.Helper()
		if a.status != 403 || !strings.Contains(a.text("detail"), "frozen") {
			t.Errorf("%s = %d %s, want 403 that says why", what, a.status, a.raw)
		}
	}
	refused("POST of a user", r.send("POST", "/Users", user("dan@acme.example")))
	refused("POST of a group", r.send("POST", "/Groups", map[string]any{"schemas": []string{groupURN}, "displayName": "New"}))
	refused("PUT of somebody active", r.send("PUT", "/Users/"+ada, user("ada@acme.example", map[string]any{"title": "Boss"})))
	refused("PATCH of somebody active", r.patch("/Users/"+ada, `[{"op":"replace","path":"title","value":"Boss"}]`))
	refused("a new member", r.patch("/Groups/"+desk, `[{"op":"add","path":"members","value":[{"value":"`+cleo+`"}]}]`))
	refused("a new name", r.patch("/Groups/"+desk, `[{"op":"replace","path":"displayName","value":"Admins"}]`))
	refused("a new member who is nobody yet", r.patch("/Groups/"+desk, `[{"op":"add","path":"members","value":[{"value":"x-dan@acme.example"}]}]`))
	bulk := r.send("POST", "/Bulk", map[string]any{
		"schemas":    []string{"urn:ietf:params:scim:api:messages:2.0:BulkRequest"},
		"Operations": []any{map[string]any{"method": "POST", "path": "/Users", "bulkId": "b", "data": user("eve@acme.example")}},
	})
	if ops := bulk.list("Operations"); len(ops) != 1 || ops[0]["status"] != "403" {
		t.Errorf("POST within Bulk = %s, want 403", bulk.raw)
	}

	r.want(r.send("GET", "/Users/"+ada, nil), 200) // clients look before they take away
	r.want(r.patch("/Users/"+ben, `[{"op":"replace","path":"active","value":false}]`), 200)
	refused("PATCH that brings somebody back", r.patch("/Users/"+ben, `[{"op":"replace","path":"active","value":true}]`))
	// Of a change that does both, the loss counts, and the client comes again.
	refused("one out and one in", r.patch("/Groups/"+desk,
		`[{"op":"remove","path":"members[value eq \"`+ben+`\"]"},{"op":"add","path":"members","value":[{"value":"`+cleo+`"}]}]`))
	if diff := cmp.Diff(map[string]bool{ada: true}, r.members(desk)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	refused("PUT with one out and one in", r.send("PUT", "/Groups/"+desk, map[string]any{
		"schemas": []string{groupURN}, "displayName": "Desk", "members": []any{map[string]any{"value": cleo}},
	}))
	if diff := cmp.Diff(map[string]bool{}, r.members(desk)); diff != "" {
		t.Errorf("members after PUT (-want +got):\n%s", diff)
	}
	r.want(r.send("PUT", "/Groups/"+rest, map[string]any{"schemas": []string{groupURN}, "displayName": "Rest", "members": []any{}}), 200)
	r.want(r.send("DELETE", "/Groups/"+rest, nil), 204)
	r.want(r.send("DELETE", "/Users/"+cleo, nil), 204)
	r.want(r.sendTo("beta", r.other, "POST", "/Users", user("fay@beta.example")), 201)

	if err := r.directory.Unfreeze(t.Context(), audit.Gate(), "Acme", ""); err != nil {
		t.Fatal(err)
	}
	r.create("dan@acme.example")
	r.want(r.patch("/Users/"+ben, `[{"op":"replace","path":"active","value":true}]`), 200)
}
