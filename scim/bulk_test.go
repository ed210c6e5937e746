package scim_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/store"
	"portcullis/store/storetest"
)

func (r *rig) bulk(more string, ops ...string) answer {
	r.t.Helper()
	return r.send("POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]`+more+`,"Operations":[`+strings.Join(ops, ",")+`]}`)
}

// statuses are those of the operations of an answer.
func (a answer) statuses() (out []string) {
	for _, o := range a.list("Operations") {
		s, _ := o["status"].(string)
		out = append(out, s)
	}
	return out
}

// RFC 7644, section 3.7.2: references may point forward, and into paths.
func TestBulkResolvesReferences(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.want(r.bulk("",
		`{"method":"POST","path":"/Groups","bulkId":"g","data":{"displayName":"Desk","members":[{"value":"bulkId:u"},{"value":"bulkId:v"}]}}`,
		`{"method":"post","path":"/Users","bulkId":"u","data":{"userName":"u","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:v"}}}}`,
		`{"method":"POST","path":"/Users","bulkId":"v","data":{"userName":"v"}}`,
		`{"method":"PATCH","path":"/Users/bulkId:v","data":{"Operations":[{"op":"replace","path":"title","value":"Chief"}]}}`,
		`{"method":"PATCH","path":"/Groups/bulkId:g","data":{"Operations":[{"op":"remove","path":"members[value eq \"bulkId:v\"]"}]}}`,
	), 200)
	if diff := cmp.Diff([]string{"201", "201", "201", "200", "204"}, a.statuses()); diff != "" {
		t.Fatalf("statuses (-want +got):\n%s\n%s", diff, a.raw)
	}
	ops := a.list("Operations")
	location, _ := ops[1]["location"].(string)
	u := location[strings.LastIndex(location, "/")+1:]
	if ops[1]["bulkId"] != "u" || ops[1]["version"] == nil || !strings.HasPrefix(location, "https://gate.example/base/scim/v2/acme/Users/") {
		t.Errorf("operation = %v, want its bulkId, version and location", ops[1])
	}
	group := r.send("GET", "/Groups"+find(`displayName eq "desk"`), nil).list("Resources")[0]["id"].(string)
	if got := r.members(group); len(got) != 1 || !got[u] {
		t.Errorf("members = %v, want u alone", got)
	}
	if got := r.send("GET", "/Users"+find(`manager pr and title eq null`), nil); got.at("totalResults") != 1.0 {
		t.Errorf("answer = %s, want u with a manager", got.raw)
	}
}

func TestBulkRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create("ada")
	version := r.send("GET", "/Users/"+id, nil).text("meta", "version")
	circle := `{"method":"POST","path":"/Groups","bulkId":"%s","data":{"displayName":"%s","members":[{"value":"bulkId:%s"}]}}`
	a := r.want(r.bulk("",
		fmt.Sprintf(circle, "a", "A", "b"), fmt.Sprintf(circle, "b", "B", "a"),
		`{"method":"POST","path":"/Users","bulkId":"x","data":{"userName":"ada"}}`,
		`{"method":"PATCH","path":"/Users/bulkId:x","data":{"Operations":[{"op":"replace","path":"title","value":"t"}]}}`,
		`{"method":"DELETE","path":"/Users/bulkId:nosuch"}`,
		`{"method":"GET","path":"/Users"}`, `{"method":"POST","path":"/Bulk","data":{}}`, `{"method":"POST","path":"/Users/.search","data":{}}`,
		`{"method":"POST","path":"/Users"}`, `{"method":"DELETE","path":"/Users"}`, `{"method":"DELETE","path":"Users/x"}`,
		`{"method":"DELETE","path":"/Users/`+id+`","version":"W/\"99\""}`,
	), 200)
	want := []string{"409", "409", "409", "409", "400", "400", "400", "400", "400", "405", "400", "412"}
	if diff := cmp.Diff(want, a.statuses()); diff != "" {
		t.Errorf("statuses (-want +got):\n%s\n%s", diff, a.raw)
	}
	for _, o := range a.list("Operations") {
		if response, _ := o["response"].(map[string]any); response == nil || response["detail"] == "" || response["status"] != o["status"] {
			t.Errorf("operation = %v, want a response with the reason", o)
		}
	}
	a = r.want(r.bulk(`,"failOnErrors":2`,
		`{"method":"DELETE","path":"/Users/x"}`, `{"method":"PATCH","path":"/Users/`+id+`","data":{"Operations":[{"op":"replace","path":"title","value":"t"}]}}`,
		`{"method":"DELETE","path":"/Users/y"}`, `{"method":"DELETE","path":"/Users/`+id+`"}`), 200)
	if diff := cmp.Diff([]string{"404", "200", "404"}, a.statuses()); diff != "" {
		t.Errorf("statuses with failOnErrors (-want +got):\n%s", diff)
	}
	if got := r.want(r.send("GET", "/Users/"+id, nil), 200); got.text("meta", "version") == version || got.text("title") != "t" {
		t.Errorf("user = %s, want it changed and there", got.raw)
	}
	twice := `{"method":"POST","path":"/Users","bulkId":"x","data":{"userName":"x"}}`
	r.want(r.bulk("", twice, twice), 400)
	r.want(r.bulk(`,"failOnErrors":-1`, twice), 400)
	r.want(r.bulk(""), 400)
	r.want(r.bulk("", `5`), 400)
	r.want(r.bulk("", `{"method":5}`), 400)
	many := strings.TrimSuffix(strings.Repeat(`{"method":"DELETE","path":"/Users/x"},`, 1001), ",")
	r.want(r.bulk("", many), 413)
	r.want(r.send("GET", "/Bulk", nil), 405)
	r.want(r.send("POST", "/Bulk/x", "{}"), 404)
	r.want(r.bulk(`,"x":"`+strings.Repeat("a", 1<<20)+`"`, twice), 413)
}

// Whoever is in a group that is in a group is in both, and nowhere twice
// (RFC 7643, section 4.2).
func TestGroupsInsideOfGroups(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		t.Helper()
		r := newRigOn(t, open())
		ada, ben := r.create("ada"), r.create("ben")
		inner := r.group("inner", ada)
		outer := r.group("outer", inner, ben)
		a := r.want(r.send("GET", "/Groups/"+outer+"?attributes=members.value,members.display,members.$ref,members.type", nil), 200)
		if got := r.members(outer); len(got) != 2 || !got[inner] || !got[ben] {
			t.Errorf("members = %s, want the inner group and ben", a.raw)
		}
		for _, m := range a.list("members") {
			ref, _ := m["$ref"].(string)
			if m["value"] == inner && (m["type"] != "Group" || !strings.HasSuffix(ref, "/Groups/"+inner) || m["display"] != "inner") {
				t.Errorf("member = %v, want a group", m)
			}
		}
		groups := func(person string) string {
			t.Helper()
			var out []string
			for _, g := range r.want(r.send("GET", "/Users/"+person, nil), 200).list("groups") {
				out = append(out, g["display"].(string)+"="+g["type"].(string))
			}
			pushed, err := r.directory.GroupsOf(t.Context(), person)
			if err != nil || len(pushed[person]) != len(out) {
				t.Errorf("GroupsOf = %v, %v, want what is shown: %v", pushed, err, out)
			}
			return strings.Join(out, " ")
		}
		if got := groups(ada); got != "inner=direct outer=indirect" {
			t.Errorf("groups of ada = %q", got)
		}
		r.want(r.patch("/Groups/"+inner, `[{"op":"add","path":"members","value":[{"value":"`+outer+`","type":"Group"}]}]`), 204) // a circle
		if got := groups(ben); got != "inner=indirect outer=direct" {
			t.Errorf("groups of ben in a circle = %q", got)
		}
		if a := r.want(r.send("GET", "/Users"+find(`groups eq "`+outer+`"`), nil), 200); a.at("totalResults") != 2.0 {
			t.Errorf("people of outer = %s, want both", a.raw)
		}
		if a := r.want(r.send("GET", "/Groups"+find(`members[type eq "group"]`), nil), 200); a.at("totalResults") != 2.0 {
			t.Errorf("groups with groups = %s, want both", a.raw)
		}
		r.want(r.patch("/Groups/"+outer, `[{"op":"remove","path":"members[value eq \"`+inner+`\"]"}]`), 204)
		if got := groups(ada); got != "inner=direct" {
			t.Errorf("groups of ada after the group went = %q", got)
		}
		r.want(r.send("PUT", "/Groups/"+inner, map[string]any{"displayName": "inner", "members": []any{map[string]any{"value": outer}}}), 200)
		if got := groups(ada); got != "" {
			t.Errorf("groups of ada after a PUT without her = %q", got)
		}
		r.want(r.send("DELETE", "/Groups/"+inner, nil), 204)
		if got := groups(ben); got != "outer=direct" {
			t.Errorf("groups of ben after the inner group was deleted = %q", got)
		}
		r.want(r.patch("/Groups/"+outer, `[{"op":"add","path":"members","value":[{"value":"`+outer+`"}]}]`), 400)
	})
}
