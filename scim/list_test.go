package scim_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/directory"
)

func TestFilters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	boss := r.create("boss@example.com")
	ada := r.create("ada@example.com", map[string]any{
		"displayName": `O'Br"ien \ über`, "title": "T",
		enterpriseURN: map[string]any{"manager": map[string]any{"value": boss}, "department": "Sales"},
		"emails": []any{
			map[string]any{"value": "home@example.com", "type": "home"}, map[string]any{"value": "Ada@Work.example", "type": "work", "primary": true},
		},
	})
	unnamed := r.create("unnamed@example.com", map[string]any{"displayName": nil, "emails": []any{map[string]any{"value": "other@example.com", "type": "other"}}})
	group := r.group("Traders", ada)
	r.group("Others")
	if err := r.db.Directory().Update(t.Context(), func(tx directory.Tx) error { // somebody who only ever signed in
		return tx.InsertPerson(directory.Person{ID: "jit", Connection: "acme", Organization: "Acme", UserName: "jit@example.com", IDPActive: true, Version: 1}, "")
	}); err != nil {
		t.Fatal(err)
	}
	r.want(r.send("GET", "/Users/jit", nil), 404)
	for _, tc := range []struct {
		path, filter string
		want         []string
	}{
		{"/Users", `userName eq "ada@example.com"`, []string{ada}},
		{"/Users", `USERNAME EQ "ADA@example.com"`, []string{ada}},
		{"/Users", `urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada@example.com"`, []string{ada}},
		{"/Users", `userName eq "nobody@example.com"`, nil},
		{"/Users", `userName eq "jit@example.com"`, nil},
		{"/Users", `externalId eq "x-ada@example.com"`, []string{ada}},
		{"/Users", `externalId eq "X-ada@example.com"`, nil},
		{"/Users", `id eq "` + ada + `"`, []string{ada}},
		{"/Users", `displayName eq "O'Br\"ien \\ \u00fcber"`, []string{ada}},
		{"/Users", `displayName eq "o'br\"ien \\ ÜBER"`, []string{ada}},
		{"/Users", `displayName eq "Ada Example"`, []string{boss}}, // not whose name was made up of parts
		{"/Users", `emails[type eq "work"].value eq "ada@work.example"`, []string{ada}},
		{"/Users", `emails[type eq "home"].value eq "ada@work.example"`, nil},
		{"/Users", `emails[type eq "work" and value eq "ada@work.example"]`, []string{ada}},
		{"/Users", `emails eq "ada@work.example"`, []string{ada}},
		{"/Users", `emails.value eq "ada@work.example"`, []string{ada}},
		{"/Users", `emails.value eq "other@example.com"`, []string{unnamed}},
		{"/Users", `id eq "` + ada + `" and manager eq "` + boss + `"`, []string{ada}},
		{"/Users", `id eq "` + ada + `" and manager eq "x"`, nil},
		{"/Users", `id eq "` + ada + `" and ` + enterpriseURN + `:manager.value eq "` + boss + `"`, []string{ada}},
		{"/Users", `userName eq "ada@example.com" and not (active eq false)`, []string{ada}},
		{"/Users", `userName eq "ada@example.com" and active eq "False"`, nil},
		{"/Users", `userName eq "ada@example.com" and (title sw "x" or title co "t" and emails.type ne "other")`, []string{ada}},
		{"/Users", `userName eq "ada@example.com" and meta.lastModified gt "2011-05-13T04:42:34Z" and meta.created le "2026-03-01T09:00:00.000Z"`, []string{ada}},
		{"/Users", `userName eq "ada@example.com" and nickName pr`, nil},
		{"/Users", `userName eq "ada@example.com" and nickName eq null`, []string{ada}},
		{"/Users", `userName eq "ada@example.com" and userName eq "boss@example.com"`, nil},
		{"/Users", `emails.value eq "HOME@example.com"`, []string{ada}},
		{"/Users", `emails co "WORK.ex"`, []string{ada}},
		{"/Users", `userName sw "A"`, []string{ada}},
		{"/Users", `title pr`, []string{ada}},
		{"/Users", `active eq true and not (userName sw "ada") and not (userName sw "boss")`, []string{unnamed}},
		{"/Users", `userName eq "ada@example.com" or userName eq "boss@example.com"`, []string{boss, ada}},
		{"/Users", `groups eq "` + group + `"`, []string{ada}},
		{"/Users", `groups.display eq "TRADERS"`, []string{ada}},
		{"/Users", `groups[display sw "trad" and type eq "direct"]`, []string{ada}},
		{"/Users", `groups.$ref ew "/Groups/` + group + `"`, []string{ada}},
		{"/Users", `schemas eq "` + enterpriseURN + `"`, []string{ada}},
		{"/Users", `not (schemas co ":enterprise:")`, []string{boss, unnamed}},
		{"/Users", `meta.resourceType eq "user" and meta.location ew "/Users/` + ada + `"`, []string{ada}},
		{"/Users", `meta.version eq "W/\"1\"" and title pr`, []string{ada}},
		{"/Users", enterpriseURN + `:department EQ "sales"`, []string{ada}},
		{"/Users", `department sw "SA" and manager pr`, []string{ada}},
		{"/Users", `meta.created gt "2026-03-01T09:00:00.000Z"`, nil},
		{"/Groups", `members.$ref ew "/Users/` + ada + `"`, []string{group}},
		{"/Groups", `members pr`, []string{group}},
		{"/Groups", `members[display sw "o'br"]`, []string{group}},
		{"/Groups", `displayName eq "TRADERS"`, []string{group}},
		{"/Groups", `id eq "` + group + `" and members eq "` + ada + `"`, []string{group}},
		{"/Groups", `id eq "` + group + `" and members eq "` + boss + `"`, nil},
		{"/Groups", `members.value eq "` + ada + `"`, []string{group}},
		{"/Groups", `members[value eq "` + ada + `"]`, []string{group}},
	} {
		t.Run(tc.filter, func(t *testing.T) {
			r := r.in(t)
			a := r.want(r.send("GET", tc.path+find(tc.filter), nil), 200)
			var got []string
			for _, res := range a.list("Resources") {
				id, _ := res["id"].(string)
				got = append(got, id)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
			if _, ok := a.doc["Resources"].([]any); !ok || a.at("totalResults") != float64(len(tc.want)) {
				t.Errorf("answer = %s, want a list and totalResults %d", a.raw, len(tc.want))
			}
		})
	}
}

func TestUnsupportedFilterIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create("ada@example.com")
	for _, filter := range []string{
		`nosuch eq "x"`, `nosuch[type eq "x"]`, `userName eq "a" and nosuch eq "x"`, `userName`, `userName eq`, `userName eq a`, `userName xx "a"`,
		`userName eq "a" and active gt true`, `userName eq "a" and name eq "x"`, `userName eq "a" and meta.created gt "yesterday"`,
		`userName eq "a" and password eq "x"`, `password pr`, `userName eq "a" and urn:x:y:2.0:User:z pr`,
		`userName eq "a`, `userName eq "a\"`, `userName eq "\x"`, `userName eq "\u0000"`, "userName eq \"a\x00\"", `userName eq "a")`, `(userName eq "a"`,
		`emails[type eq "work"].value`, `emails[type eq "work"].value eq`, `emails[type eq "work"].nosuch eq "x"`, `emails.nosuch eq "x"`,
		`userName.x eq "a"`, "userName eq \"\xff\"", `userName eq 5`,
	} {
		if a := r.send("GET", "/Users"+find(filter), nil); a.status != 400 || a.text("scimType") != "invalidFilter" {
			t.Errorf("filter %q answers %d %s, want 400 invalidFilter", filter, a.status, a.raw)
		}
	}
	for _, filter := range []string{`userName pr`, `members.nosuch pr`, `members[display gt 5]`, `emails[value eq "x"]`} {
		if a := r.send("GET", "/Groups"+find(filter), nil); a.status != 400 || a.text("scimType") != "invalidFilter" {
			t.Errorf("filter %q answers %d %s, want 400 invalidFilter", filter, a.status, a.raw)
		}
	}
	// What would be dropped on the way to the filter would answer with everybody.
	r.want(r.send("GET", `/Users?filter=userName%20eq%20"a;b"`, nil), 400)
	r.want(r.send("GET", `/Users?filter=id%20eq%20"a"&filter=id%20eq%20"b"`, nil), 400)
	r.want(r.send("GET", `/Users?filter=%zz`, nil), 400)
}

func TestPaging(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 7 {
		r.create(fmt.Sprintf("u%d@example.com", i))
	}
	for _, tc := range []struct {
		query           string
		start, n, total int
	}{
		{"", 1, 7, 7},
		{"?startIndex=1&count=2", 1, 2, 7},
		{"?startIndex=6&count=100", 6, 2, 7},
		{"?startIndex=100&count=100", 100, 0, 7},
		{"?count=0", 1, 0, 7},
		{"?count=-3&startIndex=-3", 1, 0, 7},
		{"?count=1000000", 1, 7, 7},
		{find(`displayName eq "Ada Example"`) + "&startIndex=3&count=2", 3, 2, 7},
		{"?aadOptscim062020&count=1", 1, 1, 7},
	} {
		a := r.want(r.send("GET", "/Users"+tc.query, nil), 200)
		got := []any{a.at("startIndex"), a.at("itemsPerPage"), a.at("totalResults"), float64(len(a.list("Resources")))}
		want := []any{float64(tc.start), float64(tc.n), float64(tc.total), float64(tc.n)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("GET /Users%s: start, page, total, resources (-want +got):\n%s", tc.query, diff)
		}
	}
	first := r.send("GET", "/Users?startIndex=1&count=3", nil)
	if again := r.send("GET", "/Users?startIndex=1&count=3", nil); first.raw != again.raw {
		t.Error("the order of a list changed by itself")
	}
	r.want(r.send("GET", "/Users?count=many", nil), 400)
	r.want(r.send("GET", "/Users?startIndex=99999999999", nil), 400)
}

func TestSearchByPost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create("ada@example.com")
	r.create("bob@example.com")
	group := r.group("traders", id)
	search := func(path string, more map[string]any) answer {
		t.Helper()
		return r.send("POST", path+"/.search?filter=nonsense", more)
	}
	a := r.want(search("/Users", map[string]any{
		"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:SearchRequest"},
		"filter":  `userName eq "ada@example.com"`, "attributes": []string{"userName"}, "startIndex": 1, "count": 10,
	}), 200)
	if got := a.list("Resources"); len(got) != 1 || got[0]["id"] != id || got[0]["emails"] != nil {
		t.Errorf("answer = %s, want ada without emails", a.raw)
	}
	if a := r.want(search("/Users", map[string]any{"count": 1, "startIndex": 2}), 200); a.at("totalResults") != 2.0 || a.at("startIndex") != 2.0 || len(a.list("Resources")) != 1 {
		t.Errorf("answer = %s, want the second of two", a.raw)
	}
	if a := r.want(search("/Groups", map[string]any{"filter": `displayName eq "traders"`, "excludedAttributes": []string{"members"}}), 200); len(a.list("Resources")) != 1 || a.list("Resources")[0]["id"] != group || a.list("Resources")[0]["members"] != nil {
		t.Errorf("answer = %s, want the group without members", a.raw)
	}
	if a := r.want(search("/Users", map[string]any{"filter": `nosuch pr`}), 400); a.text("scimType") != "invalidFilter" {
		t.Errorf("scimType = %q, want invalidFilter", a.text("scimType"))
	}
	r.want(search("/Users", map[string]any{"filter": []any{`id eq "a"`, `id eq "b"`}}), 400)
	r.want(search("/Users", map[string]any{"filter": map[string]any{}}), 400)
	r.want(search("/Users", map[string]any{"count": 1.5}), 400)
	r.want(r.send("GET", "/Users/.search", nil), 405)
}

func TestProjection(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create("ada@example.com", map[string]any{enterpriseURN: map[string]any{"department": "Sales", "costCenter": "C"}})
	group := r.group("traders", id)
	for _, tc := range []struct {
		query string
		want  map[string]any
	}{
		{"attributes=id", map[string]any{"schemas": []any{userURN}, "id": id}},
		{"attributes=USERNAME,name.familyName", map[string]any{"schemas": []any{userURN}, "id": id, "userName": "ada@example.com", "name": map[string]any{"familyName": "Example"}}},
		{"attributes=emails.value,emails.type", map[string]any{"schemas": []any{userURN}, "id": id, "emails": []any{map[string]any{"value": "ada@example.com", "type": "work"}}}},
		{"attributes=" + enterpriseURN + ":department", map[string]any{"schemas": []any{userURN, enterpriseURN}, "id": id, enterpriseURN: map[string]any{"department": "Sales"}}},
		{"attributes=" + enterpriseURN, map[string]any{"schemas": []any{userURN, enterpriseURN}, "id": id, enterpriseURN: map[string]any{"department": "Sales", "costCenter": "C"}}},
		{"attributes=nosuch,password", map[string]any{"schemas": []any{userURN}, "id": id}},
		{"attributes=groups.value", map[string]any{"schemas": []any{userURN}, "id": id, "groups": []any{map[string]any{"value": group}}}},
		{"excludedAttributes=id,schemas,meta,groups,name,emails.type,emails.primary,displayName,externalId,active," + enterpriseURN, map[string]any{
			"schemas": []any{userURN}, "id": id, "userName": "ada@example.com", "emails": []any{map[string]any{"value": "ada@example.com"}},
		}},
	} {
		a := r.want(r.send("GET", "/Users/"+id+"?"+tc.query, nil), 200)
		if diff := cmp.Diff(tc.want, a.doc); diff != "" {
			t.Errorf("GET ?%s (-want +got):\n%s", tc.query, diff)
		}
	}
	if a := r.want(r.send("GET", "/Groups/"+group+"?excludedAttributes=members", nil), 200); a.at("members") != nil || a.text("displayName") != "traders" {
		t.Errorf("group = %s, want no members", a.raw)
	}
	a := r.want(r.send("GET", "/Groups"+find(`displayName eq "traders"`)+"&excludedAttributes=members", nil), 200)
	if got := a.list("Resources"); len(got) != 1 || got[0]["members"] != nil {
		t.Errorf("groups = %s, want one without members", a.raw)
	}
	if a := r.want(r.send("PATCH", "/Groups/"+group+"?attributes=members", `{"Operations":[{"op":"add","path":"members","value":[]}]}`), 200); len(a.list("members")) != 1 {
		t.Errorf("PATCH ?attributes=members answers %s, want the member", a.raw)
	}
	if a := r.want(r.send("POST", "/Users?attributes=userName", user("bob@example.com")), 201); a.at("emails") != nil {
		t.Errorf("POST ?attributes=userName answers %s, want no emails", a.raw)
	}
}

func TestResourceIsDressedForTheWire(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.want(r.send("POST", "/Users", user("ada@example.com", map[string]any{
		"id": "mine", "meta": map[string]any{"created": "2001-01-01T00:00:00Z"}, "groups": []any{map[string]any{"value": "zz"}},
		"addresses": nil, "roles": []any{}, portalURN: map[string]any{"tag": "t", "vip": "True", "nosuch": 1},
	})), 201)
	id := a.text("id")
	location := "https://gate.example/base/scim/v2/acme/Users/" + id
	if id == "mine" || a.text("meta", "location") != location || a.header.Get("Location") != location {
		t.Errorf("id = %q, location = %q and %q, want %q", id, a.text("meta", "location"), a.header.Get("Location"), location)
	}
	if got := a.header.Get("Content-Type"); got != "application/scim+json" {
		t.Errorf("Content-Type = %q", got)
	}
	if v := a.text("meta", "version"); v == "" || v != a.header.Get("ETag") || v[:3] != `W/"` {
		t.Errorf("version = %q, ETag = %q", v, a.header.Get("ETag"))
	}
	delete(a.doc, "meta")
	want := map[string]any{
		"schemas": []any{userURN, portalURN}, "id": id, "externalId": "x-ada@example.com", "userName": "ada@example.com", "active": true,
		"displayName": "Ada Example", "name": map[string]any{"givenName": "Ada", "familyName": "Example"},
		"emails":  []any{map[string]any{"value": "ada@example.com", "type": "work", "primary": true}},
		portalURN: map[string]any{"tag": "t", "vip": true},
	}
	if diff := cmp.Diff(want, a.doc); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	group := r.group("traders", id)
	u := r.want(r.send("GET", "/Users/"+id, nil), 200)
	wantGroups := []any{map[string]any{"value": group, "$ref": "https://gate.example/base/scim/v2/acme/Groups/" + group, "display": "traders", "type": "direct"}}
	if diff := cmp.Diff(wantGroups, u.at("groups")); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	g := r.want(r.send("GET", "/Groups/"+group, nil), 200)
	wantMembers := []any{map[string]any{"value": id, "$ref": location, "type": "User"}}
	if diff := cmp.Diff(wantMembers, g.at("members")); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestNameAndEmailOfAPerson(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	mail := func(value, kind string, primary bool) map[string]any {
		return map[string]any{"value": value, "type": kind, "primary": primary}
	}
	for i, tc := range []struct {
		doc         map[string]any
		name, email string
	}{
		{map[string]any{"displayName": "D", "emails": []any{mail("h", "home", false), mail("w", "work", false), mail("p", "other", true)}}, "D", "p"},
		{map[string]any{"displayName": nil, "name": map[string]any{"formatted": "F", "givenName": "G"}, "emails": []any{mail("h", "home", false), mail("w", "WORK", false)}}, "F", "w"},
		{map[string]any{"displayName": "", "name": map[string]any{"familyName": "L", "givenName": "G"}, "emails": []any{mail("h", "home", false), mail("o", "other", false)}}, "G L", "h"},
		{map[string]any{"displayName": nil, "name": nil, "emails": nil}, "u3", ""},
	} {
		id := r.create(fmt.Sprintf("u%d", i), tc.doc)
		s, err := r.directory.Look(t.Context(), id)
		p := s.Person
		if err != nil || p.Name != tc.name || p.Email != tc.email {
			t.Errorf("Person = %q <%s>, %v, want %q <%s>", p.Name, p.Email, err, tc.name, tc.email)
		}
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	config := r.want(r.send("GET", "/ServiceProviderConfig", nil), 200)
	for feature, want := range map[string]bool{"patch": true, "filter": true, "etag": true, "bulk": true, "sort": true, "changePassword": false} {
		if got := config.at(feature, "supported"); got != want {
			t.Errorf("%s.supported = %v, want %v", feature, got, want)
		}
	}
	ids := func(a answer) (out []any) {
		for _, res := range a.list("Resources") {
			out = append(out, res["id"])
		}
		return out
	}
	schemas := r.want(r.send("GET", "/Schemas", nil), 200)
	if diff := cmp.Diff([]any{userURN, groupURN, enterpriseURN, portalURN}, ids(schemas)); diff != "" {
		t.Errorf("Schemas (-want +got):\n%s", diff)
	}
	beta := r.want(r.sendTo("beta", r.other, "GET", "/Schemas", nil), 200)
	if diff := cmp.Diff([]any{userURN, groupURN, enterpriseURN}, ids(beta)); diff != "" {
		t.Errorf("Schemas of beta (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"User", "Group"}, ids(r.want(r.send("GET", "/ResourceTypes", nil), 200))); diff != "" {
		t.Errorf("ResourceTypes (-want +got):\n%s", diff)
	}
	for _, res := range append(schemas.list("Resources"), r.send("GET", "/ResourceTypes", nil).list("Resources")...) {
		meta, _ := res["meta"].(map[string]any)
		location, _ := meta["location"].(string)
		at, err := url.Parse(location)
		if err != nil || !at.IsAbs() {
			t.Fatalf("location = %q, want an absolute URL", location)
		}
		one := r.want(r.send("GET", at.Path[len("/base/scim/v2/acme"):], nil), 200)
		if diff := cmp.Diff(res, one.doc); diff != "" {
			t.Errorf("%s differs from the list (-list +single):\n%s", location, diff)
		}
	}
	for _, path := range []string{"/Schemas", "/ResourceTypes", "/ServiceProviderConfig"} {
		r.want(r.send("GET", path+"?filter=x", nil), 403)
		if a := r.want(r.send("POST", path, user("x")), 405); a.header.Get("Allow") != "GET" {
			t.Errorf("Allow = %q, want GET", a.header.Get("Allow"))
		}
	}
	r.want(r.send("GET", "/Schemas/urn:x:y", nil), 404)
	r.want(r.send("GET", "/ResourceTypes/Device", nil), 404)
	r.want(r.send("GET", "/ServiceProviderConfig/x", nil), 404)
}
