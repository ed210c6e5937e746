package admin_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"portcullis/revision"
	"portcullis/store/storetest"
)

// What is done about the mapping is answered as it is described.
func TestAnswersAboutTheMappingAreAsDescribed(t *testing.T) {
	w, ada, ben := desk(t, storetest.SQLite(t))
	d := openAPI(t)
	text := ada.inForce()
	called := make(map[string]bool)
	say := func(s *somebody, method, path, address string, body map[string]any, status int) (hash string) {
		t.Helper()
		sent, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		op := d.Paths[path][method]
		for _, wrong := range d.against(op.Request.Content["application/json"].Schema, anyOf(t, sent), "request") {
			if body != nil {
				t.Errorf("%s %s: %s", method, path, wrong)
			}
		}
		var got any
		if n := s.call(strings.ToUpper(method), address, string(sent), &got); n != status {
			t.Fatalf("%s %s: status = %d, want %d: %v", method, address, n, status, got)
		}
		if status != http.StatusOK {
			return ""
		}
		called[method+" "+path] = true
		for _, wrong := range d.against(op.Responses["200"].Content["application/json"].Schema, got, "answer") {
			t.Errorf("%s %s: %s", method, path, wrong)
		}
		if m, ok := got.(map[string]any); ok {
			hash, _ = m["hash"].(string)
		}
		return hash
	}
	carol := w.signIn("acme", "carol", "Admins")
	say(ada, "post", "/mapping/check", "/mapping/check", map[string]any{"text": text + author, "names": true}, 200)
	say(ada, "post", "/mapping/check", "/mapping/check", map[string]any{"text": text + "tests: [{name: x, given: {connection: acme}, expect: {roles: []}}]\n", "file": "mapping.yaml"}, 200)
	say(ada, "post", "/mapping/check", "/mapping/check", map[string]any{"text": "rules: {"}, 200)
	say(ada, "post", "/mapping/amend", "/mapping/amend", map[string]any{"edits": []any{map[string]any{"set": "rules[id=everybody].note", "value": "x"}}}, 200)
	sent := []any{map[string]any{"name": "a.yaml", "text": text}}
	other := []any{map[string]any{"name": "a.yaml", "text": strings.Replace(text, "roles: [viewer]", "roles: [viewer, helper]", 1)}}
	broken := []any{map[string]any{"name": "a.yaml", "text": "rules: {"}}
	say(ada, "post", "/mapping/compare", "/mapping/compare", map[string]any{"old": sent, "new": other, "environment": "prod"}, 200)
	say(ada, "post", "/mapping/compare", "/mapping/compare", map[string]any{"new": other}, 200)
	say(ada, "post", "/mapping/compare", "/mapping/compare", map[string]any{"new": broken}, 200)
	say(ada, "post", "/mapping/coverage", "/mapping/coverage", map[string]any{"texts": sent}, 200)
	say(ada, "post", "/mapping/coverage", "/mapping/coverage", map[string]any{"texts": broken}, 200)
	say(ada, "post", "/mapping/explain", "/mapping/explain", map[string]any{"facts": map[string]any{"connection": "acme"}}, 200)
	say(ada, "post", "/mapping/explain", "/mapping/explain", map[string]any{"person": carol.id, "texts": sent}, 200)
	say(ada, "post", "/mapping/explain", "/mapping/explain", map[string]any{"person": carol.id, "texts": broken}, 200)
	all := w.signIn("staff", "all", tasks()...)
	say(all, "post", "/access", "/access?role=viewer", map[string]any{"texts": sent, "environment": "uat"}, 200)
	say(all, "post", "/access", "/access?role=viewer&limit=1", map[string]any{"environment": "uat"}, 200)
	say(all, "post", "/access", "/access?role=viewer&at=2026-02-01T00:00:00Z", map[string]any{"environment": "uat"}, 200)
	say(all, "post", "/access", "/access?role=viewer", map[string]any{"texts": broken}, 200)
	say(ada, "post", "/mapping/amend", "/mapping/amend", map[string]any{"record": carol.id}, 200)
	say(ada, "post", "/mapping/amend", "/mapping/amend", map[string]any{"record": carol.id, "text": text}, 400)
	say(ada, "post", "/mapping/amend", "/mapping/amend", map[string]any{"record": "nobody"}, 404)
	propose := func(more string) string {
		t.Helper()
		return say(ada, "post", "/mapping/propose", "/mapping/propose", map[string]any{"text": text + more, "reason": "x"}, 200)
	}
	reason := map[string]any{"reason": "x"}
	one := "/mapping/{revision}/"
	first := propose("# withdrawn\n")
	say(ada, "post", one+"withdraw", "/mapping/"+first+"/withdraw", reason, 200)
	say(ben, "post", one+"decline", "/mapping/"+propose("# declined\n")+"/decline", reason, 200)
	good := propose(author)
	say(ada, "get", "/mapping/{revision}", "/mapping/"+good+"?names=yes", nil, 200)
	say(ada, "get", "/approvals", "/approvals", nil, 200)
	say(ben, "post", one+"approve", "/mapping/"+good+"/approve", map[string]any{"apply": false}, 200)
	say(ada, "post", one+"apply", "/mapping/"+good+"/apply", reason, 200)
	w.follow()
	ada, ben = w.signIn("staff", "ada", tasks()...), w.signIn("staff", "ben", tasks()...)
	say(ada, "post", one+"propose", "/mapping/1/propose", reason, 200)
	say(ada, "get", "/mapping", "/mapping", nil, 200)
	var old struct{ Hash string }
	ada.call(http.MethodGet, "/mapping/1", "", &old)
	say(ben, "post", one+"approve", "/mapping/"+old.Hash+"/approve", map[string]any{}, 200)
	say(ada, "post", one+"rollback", "/mapping/1/rollback", reason, 200)
	w.follow()
	say(ada, "get", "/mapping/history", "/mapping/history", nil, 200)
	if err := w.db.Revisions().PutReplica(t.Context(), revision.Replica{ID: "gate-1", Hash: good, Since: w.now, Seen: w.now}); err != nil {
		t.Fatal(err)
	}
	say(ada, "get", "/mapping/replicas", "/mapping/replicas", nil, 200)
	say(ada, "get", "/mapping/{revision}", "/mapping/"+good+"?effect=yes", nil, 200)
	say(ada, "get", "/mapping/{revision}", "/mapping/"+good+"?against=1", nil, 200)
	var against struct {
		Compared []struct {
			Name  string
			Lines []struct{ Sign, Text string }
		}
	}
	if ada.call(http.MethodGet, "/mapping/"+good+"?against=1", "", &against); len(against.Compared) != 1 || against.Compared[0].Name != "mapping.yaml" ||
		!slices.ContainsFunc(against.Compared[0].Lines, func(l struct{ Sign, Text string }) bool { return l.Sign == "+" && strings.Contains(author, l.Text) }) {
		t.Errorf("compared with revision 1: %+v, want the lines that were added", against)
	}
	say(w.signIn("staff", "ada", tasks()...), "get", "/people/{id}/why", "/people/"+carol.id+"/why", nil, 200)
	for path, methods := range d.Paths {
		for method := range methods {
			if strings.HasPrefix(path, "/mapping") && path != "/mapping/coverage" && !strings.HasSuffix(path, ".csv") && !called[method+" "+path] {
				t.Errorf("%s %s is not held against the document", method, path)
			}
		}
	}
}

// anyOf reads JSON as whatever it is.
func anyOf(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
