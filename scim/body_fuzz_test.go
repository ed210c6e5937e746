package scim_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzBody: no body is answered with a 5xx, and a PATCH of one operation that
// was accepted changes nothing when it is pushed again.
func FuzzBody(f *testing.F) {
	for _, seed := range []struct {
		way  byte
		body string
	}{
		{0, `{"userName":"x","emails":[{"value":"a","primary":true}],"active":"False"}`},
		{0, `{"schemas":["` + userURN + `"],"userName":"y","` + enterpriseURN + `":{"manager":"m"},"` + portalURN + `:tag":"t"}`},
		{1, `{"userName":"ada@example.com","name":{"givenName":"A"},"externalId":null}`},
		{2, `{"Operations":[{"op":"Replace","path":"active","value":"False"}]}`},
		{2, `{"Operations":[{"op":"add","path":"emails","value":[{"value":"b","type":"home","primary":true}]}]}`},
		{2, `{"Operations":[{"op":"Add","value":{"name.givenName":"B","` + enterpriseURN + `":{"department":"D"}}}]}`},
		{2, `{"Operations":[{"op":"remove","path":"emails","value":[{"value":"ada@example.com"}]}]}`},
		{2, `{"Operations":[{"op":"replace","path":"emails.type","value":"home"}]}`},
		{2, `{"Operations":[{"op":"add","path":"` + portalURN + `:rank","value":1e2}]}`},
		{3, `{"Operations":[{"op":"add","path":"members","value":[{"value":"x"}]}]}`},
		{3, `{"Operations":[{"op":"replace","value":{"id":"g","displayName":"n","members":[]}}]}`},
		{4, `{"displayName":"g2","members":[{"value":"x","type":"User"}]}`},
		{5, `{"displayName":"g","externalId":"e"}`},
		{2, `[[[[`},
		{0, "\x00"},
		{0, `{"a":{"a":{"a":1}}}`},
	} {
		f.Add(seed.way, seed.body)
	}
	r := newRig(f)
	id, group := r.create("ada@example.com"), r.group("traders")
	ways := []struct{ method, path string }{
		{"POST", "/Users"},
		{"PUT", "/Users/" + id},
		{"PATCH", "/Users/" + id},
		{"PATCH", "/Groups/" + group},
		{"POST", "/Groups"},
		{"PUT", "/Groups/" + group},
	}
	f.Fuzz(func(t *testing.T, way byte, body string) {
		r := r.in(t)
		w := ways[int(way)%len(ways)]
		a := r.send(w.method, w.path, body)
		if a.status >= 500 {
			t.Fatalf("%s %s %q answers %d %s", w.method, w.path, body, a.status, a.raw)
		}
		if w.method != "PATCH" || a.status >= 300 || !single(body) {
			return
		}
		first := r.send("GET", w.path, nil)
		if again := r.send(w.method, w.path, body); again.status != a.status {
			t.Fatalf("%s %q answers %d and then %d %s", w.path, body, a.status, again.status, again.raw)
		}
		if second := r.send("GET", w.path, nil); second.raw != first.raw {
			t.Fatalf("%s %q again changes\n%s\nto\n%s", w.path, body, first.raw, second.raw)
		}
	})
}

// single reports whether the body is one operation on one plain path: such a
// one says how things are to be, and not what is to be done to what is there.
func single(body string) bool {
	var p struct {
		Operations []struct{ Path string }
	}
	return json.Unmarshal([]byte(body), &p) == nil && len(p.Operations) == 1 &&
		p.Operations[0].Path != "" && !strings.Contains(p.Operations[0].Path, "[")
}
