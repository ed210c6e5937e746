package scim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/scim"
)

func TestBombs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create("ada@example.com")
	deep := func(n int) string { return strings.Repeat("(", n) + `userName eq "a"` + strings.Repeat(")", n) }
	for _, tc := range []struct {
		name, filter string
		status       int
	}{
		{"100,000 parentheses", deep(100_000), 400},
		{"33 parentheses", deep(33), 400},
		{"32 parentheses", deep(32), 200},
		{"brackets", "emails" + strings.Repeat("[", 40) + strings.Repeat("]", 40), 400},
		{"not of not", strings.Repeat("not (", 40) + `userName eq "a"` + strings.Repeat(")", 40), 400},
		{"long", `userName eq "` + strings.Repeat("a", 4096) + `"`, 400},
		{"many conditions", strings.TrimSuffix(strings.Repeat(`userName eq "a" and `, 200), " and "), 200},
		{"parentheses in a string", `userName eq "` + strings.Repeat("(", 1000) + `"`, 200},
	} {
		t.Run("filter "+tc.name, func(t *testing.T) {
			r := r.in(t)
			a := r.want(r.send("GET", "/Users"+find(tc.filter), nil), tc.status)
			if tc.status == 400 && a.text("scimType") != "invalidFilter" {
				t.Errorf("scimType = %q, want invalidFilter", a.text("scimType"))
			}
		})
	}
	path := func(p string) string {
		raw, err := json.Marshal([]any{map[string]any{"op": "replace", "path": p, "value": "x"}})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for _, p := range []string{
		"emails[" + strings.Repeat("(", 100_000) + `type eq "work"` + strings.Repeat(")", 100_000) + "].value",
		strings.Repeat("a.", 4000), strings.Repeat("[", 100_000), "emails[" + strings.Repeat(`type eq "a" and `, 500) + `type eq "a"].value`,
	} {
		if a := r.want(r.patch("/Users/"+id, path(p)), 400); a.text("scimType") != "invalidPath" {
			t.Errorf("scimType = %q, want invalidPath", a.text("scimType"))
		}
	}
	for _, tc := range []struct {
		name, body string
		status     int
	}{
		{"deep list", `{"userName":"x","a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, 201},
		{"deeper list", `{"userName":"y","a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, 400},
		{"very deep list", strings.Repeat("[", 500_000), 400},
		{"very deep object", strings.Repeat(`{"a":`, 100_000), 400},
		{"large", `{"userName":"z","title":"` + strings.Repeat("x", 1<<20) + `"}`, 413},
		{"trailing garbage", `{"userName":"t"} x`, 400},
		{"second document", `{"userName":"t"}{}`, 400},
		{"cut off", `{"schemas":[`, 400},
		{"empty", ``, 400},
		{"not an object", `[]`, 400},
		{"null", `null`, 400},
		{"member twice", `{"userName":"t","userName":"u"}`, 400},
		{"member twice in another case", `{"userName":"t","USERNAME":"u"}`, 400},
		{"sub-attribute twice", `{"userName":"t","name":{"givenName":"a","GIVENNAME":"b"}}`, 400},
		{"attribute twice by its URN", `{"userName":"t","title":"a","` + userURN + `:title":"b"}`, 400},
		{"not UTF-8", "{\"userName\":\"\xff\"}", 400},
		{"half of a surrogate pair", `{"userName":"a\ud800"}`, 400},
		{"two halves that are no pair", `{"userName":"a\udc00\ud800"}`, 400},
		{"half of a surrogate pair as a name", `{"userName":"n","\ud800":1}`, 400},
		{"a surrogate pair", `{"userName":"a\ud83d\ude00"}`, 201},
		{"NUL", `{"userName":"a\u0000b"}`, 400},
		{"NUL in a name", `{"userName":"a","b\u0000":1}`, 400},
		{"long userName", `{"userName":"` + strings.Repeat("x", 1025) + `"}`, 400},
		{"too many values", `{"userName":"t","emails":[` + strings.TrimSuffix(strings.Repeat(`{"value":"x"},`, 1001), ",") + `]}`, 400},
		{"number out of range", `{"userName":"t","` + portalURN + `":{"rank":1e999}}`, 400},
		{"no userName", `{"schemas":["` + userURN + `"],"displayName":"x"}`, 400},
		{"empty userName", `{"userName":" "}`, 400},
		{"list for userName", `{"userName":["x"]}`, 400},
		{"number for userName", `{"userName":5}`, 400},
		{"text for emails", `{"userName":"t","emails":"x@y"}`, 400},
		{"text for name", `{"userName":"t","name":"x"}`, 400},
		{"text for an extension", `{"userName":"t","` + enterpriseURN + `":"x"}`, 400},
		{"other schema", `{"schemas":["urn:x:y"],"userName":"t"}`, 400},
		{"text for schemas", `{"schemas":"` + userURN + `","userName":"t"}`, 400},
	} {
		t.Run("body "+tc.name, func(t *testing.T) {
			r := r.in(t)
			a := r.want(r.send("POST", "/Users", tc.body), tc.status)
			if tc.status == 400 && a.text("scimType") != "invalidSyntax" && a.text("scimType") != "invalidValue" {
				t.Errorf("scimType = %q", a.text("scimType"))
			}
		})
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", ";", "application/scim+json2"} {
		r.want(r.send("POST", "/Users", user("t"), "Content-Type", kind), 415)
	}
	r.want(r.send("POST", "/Users", user("json"), "Content-Type", "application/json"), 201)
	many := `[` + strings.TrimSuffix(strings.Repeat(`{"op":"add","path":"title","value":"x"},`, 5001), ",") + `]`
	r.want(r.patch("/Users/"+id, many), 400)
}

func TestEveryErrorIsASCIMError(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create("ada@example.com")
	for _, tc := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/Nope", 404, ""},
		{"GET", "", 404, ""},
		{"GET", "/Users/" + id + "/x", 404, ""},
		{"GET", "/Users//x", 404, ""},
		{"GET", "/users", 404, ""},
		{"GET", "/Users/nobody", 404, ""},
		{"GET", "/Users/\x00", 404, ""},
		{"GET", "/Users/" + strings.Repeat("x", 300), 404, ""},
		{"DELETE", "/Groups/nobody", 404, ""},
		{"DELETE", "/Users", 405, "GET, POST"},
		{"PATCH", "/Groups", 405, "GET, POST"},
		{"POST", "/Users/" + id, 405, "DELETE, GET, PATCH, PUT"},
		{"GET", "/Me", 501, ""},
		{"POST", "/Me", 501, ""},
	} {
		a := r.want(r.send(tc.method, tc.path, nil), tc.status)
		if got := a.header.Get("Content-Type"); got != "application/scim+json" {
			t.Errorf("%s %s: Content-Type = %q", tc.method, tc.path, got)
		}
		if a.text("status") != strconv.Itoa(tc.status) || a.text("detail") == "" || fmt.Sprint(a.at("schemas")) != "[urn:ietf:params:scim:api:messages:2.0:Error]" {
			t.Errorf("%s %s answers %s", tc.method, tc.path, a.raw)
		}
		if got := a.header.Get("Allow"); got != tc.allow {
			t.Errorf("%s %s: Allow = %q, want %q", tc.method, tc.path, got, tc.allow)
		}
	}
	r.want(r.send("GET", "/Users/", nil), 200) // one slash at the end is forgiven
}

// failing is a directory of which one verb fails.
type failing struct {
	scim.Directory

	err error
}

func (f failing) Person(context.Context, string, string) (directory.Shown, error) {
	return directory.Shown{}, f.err
}

func TestFaultsBecomeStatuses(t *testing.T) {
	t.Parallel()
	f := &failing{}
	r := newRig(t, func(c *scim.Config) { f.Directory = c.Directory; c.Directory = f })
	inner := errors.New("dial tcp 10.0.0.1: refused")
	for _, tc := range []struct {
		kind     fault.Kind
		status   int
		scimType string
	}{
		{fault.NotFound, 404, ""},
		{fault.Conflict, 409, "uniqueness"},
		{fault.Invalid, 400, "invalidValue"},
		{fault.Precondition, 412, ""},
		{fault.TooLarge, 413, ""},
		{fault.Unavailable, 503, ""},
		{fault.Forbidden, 403, ""},
		{fault.Unauthenticated, 401, ""},
		{fault.Internal, 500, ""},
	} {
		f.err = fmt.Errorf("on the way up: %w", fault.Wrap(tc.kind, inner, "words for the client"))
		a := r.want(r.send("GET", "/Users/x", nil), tc.status)
		words := "words for the client"
		if tc.kind == fault.Internal {
			words = "internal error"
		}
		if a.text("scimType") != tc.scimType || a.text("detail") != words || strings.Contains(a.raw, "dial tcp") {
			t.Errorf("%v answers %s", tc.kind, a.raw)
		}
		if got := a.header.Get("Retry-After") != ""; got != (tc.status == 503) {
			t.Errorf("%v: Retry-After = %q", tc.kind, a.header.Get("Retry-After"))
		}
	}
	f.err = inner
	if a := r.want(r.send("GET", "/Users/x", nil), 500); strings.Contains(a.raw, "dial") {
		t.Errorf("a plain error answers %s", a.raw)
	}
	if !strings.Contains(r.log.String(), "dial tcp") {
		t.Error("the log does not have the cause")
	}
}

func TestStoreAwayIs503AndNotAHint(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.db.Close(); err != nil {
		t.Fatal(err)
	}
	if a := r.send("GET", "/Users", nil); a.status != 500 && a.status != 503 {
		t.Errorf("status = %d, want 500 or 503: an outage is not a wrong token", a.status)
	}
}

func TestPasswordsAndBodiesAreNotKept(t *testing.T) {
	t.Parallel()
	const secret, private = "hunter2-secret", "private-title"
	r := newRig(t)
	id := r.create("ada@example.com", map[string]any{"password": secret, "title": private})
	answers := []answer{
		r.send("GET", "/Users/"+id+"?attributes=password", nil),
		r.patch("/Users/"+id, `[{"op":"replace","value":{"password":"`+secret+`"}},{"op":"replace","path":"password","value":"`+secret+`"},{"op":"replace","path":"nosuch","value":"`+secret+`"}]`),
		r.send("PUT", "/Users/"+id, user("ada@example.com", map[string]any{"password": secret, "title": private})),
		r.send("GET", "/Users", nil),
		r.patch("/Users/"+id, `[{"op":"replace","path":"displayName","value":["`+secret+`"]}]`),
	}
	for _, a := range answers {
		if strings.Contains(a.raw, secret) {
			t.Errorf("answer = %s: it echoes the password", a.raw)
		}
	}
	p, err := r.directory.Person(t.Context(), "acme", id)
	if err != nil || strings.Contains(string(p.Attributes), "assword") {
		t.Errorf("Attributes = %s, %v: they keep a password", p.Attributes, err)
	}
	if log := r.log.String(); strings.Contains(log, secret) || strings.Contains(log, private) || strings.Contains(log, r.secret) {
		t.Errorf("log = %s: it holds what it must not", log)
	}
}

func TestConditionalRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, path := range []string{"/Users/" + r.create("ada@example.com"), "/Groups/" + r.group("traders")} {
		v := r.want(r.send("GET", path, nil), 200).text("meta", "version")
		rename := `{"Operations":[{"op":"replace","path":"displayName","value":"` + strings.TrimPrefix(path, "/") + `"}]}`
		if a := r.want(r.send("GET", path, nil, "If-None-Match", `W/"77", `+v), 304); a.raw != "" || a.header.Get("ETag") != v {
			t.Errorf("304 = %q, ETag %q, want nothing and %q", a.raw, a.header.Get("ETag"), v)
		}
		r.want(r.send("GET", path, nil, "If-None-Match", `W/"77"`), 200)
		r.want(r.send("PATCH", path, rename, "If-Match", v), 200, 204)
		for _, method := range []string{"PATCH", "PUT", "DELETE"} {
			r.want(r.send(method, path, strings.Replace(rename, `{"Op`, `{"userName":"x","displayName":"x","Op`, 1), "If-Match", v), 412)
		}
		next := r.want(r.send("GET", path, nil), 200).text("meta", "version")
		if next == v {
			t.Errorf("version = %s after a change", next)
		}
		r.want(r.send("PATCH", path, rename, "If-Match", "*"), 200, 204)
		r.want(r.send("DELETE", path, nil, "If-Match", strings.TrimPrefix(next, "W/")), 204)
	}
}

// actors is a directory that remembers who pushed.
type actors struct {
	scim.Directory

	by audit.Actor
}

func (a *actors) DeleteIf(ctx context.Context, by audit.Actor, connection, id string, check func(directory.Person) error) error {
	a.by = by
	return a.Directory.DeleteIf(ctx, by, connection, id, check)
}

func TestRequestsActAsTheirToken(t *testing.T) {
	t.Parallel()
	a := &actors{}
	r := newRig(t, func(c *scim.Config) {
		a.Directory = c.Directory
		c.Directory = a
		c.Address = func(*http.Request) string { return "192.0.2.7" }
	})
	r.want(r.send("DELETE", "/Users/"+r.create("ada@example.com"), nil), 204)
	list, err := r.tokens.List(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if want := (audit.Actor{Kind: "scim", ID: list[0].ID, Name: "acme", Address: "192.0.2.7"}); a.by != want {
		t.Errorf("actor = %+v, want %+v", a.by, want)
	}
}

func TestPortalAttributeOfABadNameIsLeftOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *scim.Config) {
		c.Connections[1].Attributes = map[string]string{"1st": "string", "a b": "string", "ok": "string", "OK": "string"}
	})
	a := r.want(r.sendTo("beta", r.other, "GET", "/Schemas/"+portalURN, nil), 200)
	if got := len(a.list("attributes")); got != 1 {
		t.Errorf("%d attributes, want one", got)
	}
	if log := r.log.String(); strings.Count(log, "portal attribute left out") != 3 {
		t.Errorf("log = %s, want three attributes left out", log)
	}
}
