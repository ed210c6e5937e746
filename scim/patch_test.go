package scim_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPatchOfAttributes starts from one person each time and compares what is
// left of them.
func TestPatchOfAttributes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	manager := r.create("boss@example.com")
	start := map[string]any{
		"title": "T",
		"phoneNumbers": []any{
			map[string]any{"type": "mobile", "value": "1"}, map[string]any{"type": "work", "value": "2"},
		},
		enterpriseURN: map[string]any{"department": "Sales", "manager": map[string]any{"value": manager, "$ref": "https://x.example/" + manager}},
	}
	for i, tc := range []struct{ name, ops, want string }{
		{"manager as a string", `[{"op":"Add","path":"` + enterpriseURN + `:manager","value":"m2"}]`, `{"` + enterpriseURN + `":{"department":"Sales","manager":{"value":"m2"}}}`},
		{"manager as an object", `[{"op":"Add","path":"` + enterpriseURN + `:manager","value":{"value":"m2"}}]`, `{"` + enterpriseURN + `":{"department":"Sales","manager":{"value":"m2"}}}`},
		{"manager as an array, without the URN", `[{"op":"Add","path":"manager","value":[{"$ref":"https://x.example/m2","value":"m2"}]}]`, `{"` + enterpriseURN + `":{"department":"Sales","manager":{"value":"m2","$ref":"https://x.example/m2"}}}`},
		{"manager.value", `[{"op":"Replace","path":"` + enterpriseURN + `:manager.value","value":"m2"},{"op":"Remove","path":"` + enterpriseURN + `:manager.$ref"}]`, `{"` + enterpriseURN + `":{"department":"Sales","manager":{"value":"m2"}}}`},
		{"manager gone", `[{"op":"Remove","path":"` + enterpriseURN + `:manager"}]`, `{"` + enterpriseURN + `":{"department":"Sales"}}`},
		{"manager emptied", `[{"op":"replace","path":"` + enterpriseURN + `:manager","value":""}]`, `{"` + enterpriseURN + `":{"department":"Sales"}}`},
		{"extension gone", `[{"op":"remove","path":"` + enterpriseURN + `"}]`, `{"` + enterpriseURN + `":null}`},
		{"extension by null", `[{"op":"replace","value":{"` + enterpriseURN + `":null}}]`, `{"` + enterpriseURN + `":null}`},
		{"last of an extension gone", `[{"op":"remove","path":"` + enterpriseURN + `:manager"},{"op":"remove","path":"` + enterpriseURN + `:department"}]`, `{"` + enterpriseURN + `":null}`},
		{"extension as path", `[{"op":"replace","path":"` + enterpriseURN + `","value":{"Department":"Ops"}},{"op":"remove","path":"manager"}]`, `{"` + enterpriseURN + `":{"department":"Ops"}}`},
		{"extension as key", `[{"op":"Add","value":{"` + enterpriseURN + `":{"department":"Ops","manager":"m2"}}},{"op":"remove","path":"manager"}]`, `{"` + enterpriseURN + `":{"department":"Ops"}}`},
		{"URN in the key, in capitals", `[{"op":"Add","value":{"URN:ietf:params:scim:schemas:extension:ENTERPRISE:2.0:User:department":"Ops"}},{"op":"remove","path":"manager"}]`, `{"` + enterpriseURN + `":{"department":"Ops"}}`},
		{"own extension", `[{"op":"Add","path":"` + portalURN + `:tag","value":"701984"},{"op":"Add","value":{"` + portalURN + `:vip":"True","` + portalURN + `":{"rank":"7"}}}]`, `{"` + portalURN + `":{"tag":"701984","vip":true,"rank":7}}`},
		{"dotted key", `[{"op":"replace","value":{"name.familyName":"Changed","emails[type eq \"work\"].value":"new@example.com"}}]`, `{"name":{"givenName":"Ada","familyName":"Changed"},"emails":[{"value":"new@example.com","type":"work","primary":true}]}`},
		{"sub-attribute", `[{"op":"Replace","path":"name.familyName","value":"Changed"}]`, `{"name":{"givenName":"Ada","familyName":"Changed"}}`},
		{"complex attribute, in part", `[{"op":"Replace","path":"name","value":{"familyName":"Changed"}}]`, `{"name":{"givenName":"Ada","familyName":"Changed"}}`},
		{"single value as array", `[{"op":"Add","path":"nickName","value":[{"$ref":null,"value":"Babs"}]}]`, `{"nickName":"Babs"}`},
		{"null takes away", `[{"op":"replace","path":"title","value":null}]`, `{"title":null}`},
		{"null in a path-less one", `[{"op":"replace","value":{"title":null,"nickName":"N"}}]`, `{"title":null,"nickName":"N"}`},
		{"remove with a value", `[{"op":"Remove","path":"title","value":"T"}]`, `{"title":null}`},
		{"remove of what is not there", `[{"op":"Remove","path":"nickName"},{"op":"remove","path":"` + portalURN + `:tag"}]`, `{"nickName":null}`},
		{"filtered remove", `[{"op":"Remove","path":"phoneNumbers[type eq \"mobile\"]"}]`, `{"phoneNumbers":[{"type":"work","value":"2"}]}`},
		{"remove by list", `[{"op":"Remove","path":"phoneNumbers","value":[{"value":"1"}]}]`, `{"phoneNumbers":[{"type":"work","value":"2"}]}`},
		{"filtered remove of two conditions", `[{"op":"remove","path":"phoneNumbers[type eq \"work\" and value eq \"2\"]"}]`, `{"phoneNumbers":[{"type":"mobile","value":"1"}]}`},
		{"filtered remove of three", `[{"op":"remove","path":"phoneNumbers[type eq \"work\" and value eq \"2\" and not (display pr)]"}]`, `{"phoneNumbers":[{"type":"mobile","value":"1"}]}`},
		{"filtered remove of none", `[{"op":"remove","path":"phoneNumbers[type eq \"fax\"]"}]`, `{"phoneNumbers":[{"type":"mobile","value":"1"},{"type":"work","value":"2"}]}`},
		{"filtered remove of a part", `[{"op":"remove","path":"phoneNumbers[type eq \"work\"].type"}]`, `{"phoneNumbers":[{"type":"mobile","value":"1"},{"value":"2"}]}`},
		{"remove of all", `[{"op":"remove","path":"phoneNumbers"}]`, `{"phoneNumbers":null}`},
		{"value made by its filter", `[{"op":"Replace","path":"phoneNumbers[type eq \"fax\"].value","value":"3"}]`, `{"phoneNumbers":[{"type":"mobile","value":"1"},{"type":"work","value":"2"},{"type":"fax","value":"3"}]}`},
		{"value made by a string for a boolean", `[{"op":"Add","path":"roles[primary eq \"True\"].value","value":"Viewer"}]`, `{"roles":[{"primary":true,"value":"Viewer"}]}`},
		{"new primary demotes the old", `[{"op":"add","path":"emails","value":[{"type":"home","value":"h@example.com","primary":true}]}]`, `{"emails":[{"value":"ADA","type":"work","primary":false},{"type":"home","value":"h@example.com","primary":true}]}`},
		{"value that is there already", `[{"op":"add","path":"phoneNumbers","value":[{"type":"work","value":"2","display":"d"}]}]`, `{"phoneNumbers":[{"type":"mobile","value":"1"},{"type":"work","value":"2","display":"d"}]}`},
		{"roles as strings", `[{"op":"add","path":"roles","value":["a","b"]}]`, `{"roles":[{"value":"a"},{"value":"b"}]}`},
		{"password is passed over", `[{"op":"replace","path":"password","value":"hunter2"},{"op":"replace","value":{"password":"hunter2","title":"U"}}]`, `{"password":null,"title":"U"}`},
		{"unknown attributes are passed over", `[{"op":"Add","path":"companyName","value":"X"},{"op":"Add","path":"urn:x:y:2.0:User:z","value":"X"},{"op":"add","value":{"http://x.example/y":1,"title":"U"}}]`, `{"title":"U"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := r.in(t)
			name := "u" + string(rune('A'+i/26)) + string(rune('a'+i%26)) + "@example.com"
			id := r.create(name, start)
			var want map[string]any
			if err := json.Unmarshal([]byte(tc.want), &want); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				a := r.want(r.patch("/Users/"+id, tc.ops), 200)
				for k, v := range want {
					got := a.doc[k]
					if list, ok := got.([]any); ok && k == "emails" {
						if m, ok := list[0].(map[string]any); ok && m["value"] == name {
							m["value"] = "ADA"
						}
					}
					if diff := cmp.Diff(v, got); diff != "" {
						t.Errorf("%s (-want +got):\n%s", k, diff)
					}
				}
			}
		})
	}
}

func TestPatchIsAppliedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create("ada@example.com")
	before := r.send("GET", "/Users/"+id, nil)
	const first = `{"op":"replace","path":"displayName","value":"MUST NOT STICK"},`
	for _, tc := range []struct{ name, op, kind string }{
		{"unknown attribute with a filter", `{"op":"replace","path":"nosuch[type eq \"x\"].y","value":"z"}`, "invalidPath"},
		{"broken path", `{"op":"replace","path":"emails[type eq","value":"x"}`, "invalidPath"},
		{"unknown sub-attribute", `{"op":"replace","path":"name.nosuch","value":"x"}`, "invalidPath"},
		{"filter of a single value", `{"op":"replace","path":"name[givenName eq \"x\"]","value":{"familyName":"x"}}`, "invalidPath"},
		{"empty filter", `{"op":"replace","path":"emails[]","value":{"value":"x"}}`, "invalidPath"},
		{"path is not a string", `{"op":"replace","path":5,"value":"x"}`, "invalidPath"},
		{"resource as path", `{"op":"replace","path":"` + userURN + `","value":{}}`, "invalidPath"},
		{"id", `{"op":"replace","path":"id","value":"x"}`, "mutability"},
		{"meta", `{"op":"replace","path":"meta.created","value":"2001-01-01T00:00:00Z"}`, "mutability"},
		{"groups", `{"op":"add","path":"groups","value":[{"value":"x"}]}`, "mutability"},
		{"groups without a path", `{"op":"add","value":{"groups":[{"value":"x"}]}}`, "mutability"},
		{"read-only sub-attribute", `{"op":"add","path":"` + enterpriseURN + `:manager.displayName","value":"x"}`, "mutability"},
		{"userName gone", `{"op":"remove","path":"userName"}`, "mutability"},
		{"userName null", `{"op":"replace","path":"userName","value":null}`, "mutability"},
		{"userName empty", `{"op":"replace","path":"userName","value":" "}`, "invalidValue"},
		{"remove without a path", `{"op":"remove"}`, "noTarget"},
		{"no match and nothing to make of it", `{"op":"replace","path":"emails[value co \"zz\"].type","value":"home"}`, "noTarget"},
		{"wrong type", `{"op":"replace","path":"displayName","value":{"a":1}}`, "invalidValue"},
		{"wrong type of a list", `{"op":"replace","path":"emails","value":"x"}`, "invalidValue"},
		{"two primaries", `{"op":"replace","path":"emails","value":[{"value":"a","primary":true},{"value":"b","primary":true}]}`, "invalidValue"},
		{"no value", `{"op":"add","path":"title"}`, "invalidValue"},
		{"unknown op", `{"op":"move","path":"title","value":"x"}`, "invalidSyntax"},
		{"not an operation", `"add"`, "invalidSyntax"},
		{"path-less scalar", `{"op":"add","value":"x"}`, "invalidValue"},
		{"date that is none", `{"op":"add","path":"` + portalURN + `:rank","value":"high"}`, "invalidValue"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := r.in(t)
			a := r.patch("/Users/"+id, "["+first+tc.op+"]")
			if r.want(a, 400).text("scimType") != tc.kind {
				t.Errorf("scimType = %q, want %q (%s)", a.text("scimType"), tc.kind, a.raw)
			}
			if diff := cmp.Diff(before.raw, r.send("GET", "/Users/"+id, nil).raw); diff != "" {
				t.Errorf("the user changed (-before +after):\n%s", diff)
			}
		})
	}
	r.want(r.patch("/Users/"+id, `[]`), 400)
	r.want(r.send("PATCH", "/Users/"+id, `{}`), 400)
	r.want(r.send("PATCH", "/Users/"+id, `{"Operations":{}}`), 400)
}

func TestPatchThatChangesNothingLeavesTheVersion(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create("ada@example.com", map[string]any{portalURN: map[string]any{"rank": 7}})
	before := r.send("GET", "/Users/"+id, nil)
	a := r.want(r.patch("/Users/"+id, `[{"op":"replace","path":"displayName","value":"Ada Example"},{"op":"add","path":"`+portalURN+`:rank","value":"7"}]`), 200)
	if diff := cmp.Diff(before.raw, a.raw); diff != "" {
		t.Errorf("answer (-before +after):\n%s", diff)
	}
	if r.want(r.patch("/Users/"+id, `[{"op":"replace","path":"displayName","value":"Changed"}]`), 200).text("meta", "version") == before.text("meta", "version") {
		t.Error("version is the same after a change")
	}
}

func TestPutReplacesAndKeepsTheTie(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create("ada@example.com", map[string]any{"title": "T", enterpriseURN: map[string]any{"department": "Sales"}})
	a := r.want(r.send("PUT", "/Users/"+id, map[string]any{
		"schemas": []string{userURN}, "id": "other", "USERNAME": "ada@example.com", "groups": []any{}, "password": "hunter2",
		"meta": map[string]any{"resourceType": "User"}, "nickName": "N",
	}), 200)
	want := map[string]any{
		"schemas": []any{userURN}, "id": id, "userName": "ada@example.com", "externalId": "x-ada@example.com", "nickName": "N", "active": true,
	}
	delete(a.doc, "meta")
	if diff := cmp.Diff(want, a.doc); diff != "" {
		t.Errorf("user after PUT (-want +got):\n%s", diff)
	}
	if a := r.want(r.send("PUT", "/Users/"+id, map[string]any{"userName": "ada@example.com", "externalId": nil}), 200); a.at("externalId") != nil {
		t.Errorf("externalId = %v after it was taken away, want none", a.at("externalId"))
	}
	r.want(r.send("PUT", "/Users/nobody", user("x@example.com")), 404)
	r.create("bob@example.com")
	if a := r.want(r.send("PUT", "/Users/"+id, map[string]any{"userName": "BOB@example.com"}), 409); a.text("scimType") != "uniqueness" {
		t.Errorf("scimType = %q, want uniqueness", a.text("scimType"))
	}
}

func TestDeletedNameCanBeUsedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create("ada@example.com")
	if a := r.want(r.send("POST", "/Users", user("Ada@Example.com")), 409); a.text("scimType") != "uniqueness" || a.text("status") != "409" {
		t.Errorf("answer = %s, want uniqueness", a.raw)
	}
	r.want(r.send("DELETE", "/Users/"+id, nil), 204)
	for _, method := range []string{"GET", "DELETE"} {
		r.want(r.send(method, "/Users/"+id, nil), 404)
	}
	r.want(r.patch("/Users/"+id, `[{"op":"replace","path":"active","value":true}]`), 404)
	if again := r.create("ada@example.com"); again == id {
		t.Errorf("id = %s again, want a new one", id)
	}
}
