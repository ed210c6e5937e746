package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/scim"
	"portcullis/store/storetest"
	"portcullis/trace"
)

// document is the OpenAPI document as far as tests look at it.
type document struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		Right      string `json:"x-right"`
		Parameters []struct{ Name, In string }
		Request    struct {
			Content map[string]struct{ Schema schema }
		} `json:"requestBody"`
		Responses map[string]struct {
			Content map[string]struct{ Schema schema }
		}
	}
	Components struct{ Schemas map[string]schema }
}

// schema is what of JSON Schema the document uses.
type schema struct {
	Ref        string `json:"$ref"`
	Type       any
	Properties map[string]schema
	Required   []string
	Items      *schema
	OneOf      []schema
	Enum       []string
	Additional json.RawMessage `json:"additionalProperties"`
}

func openAPI(t *testing.T) *document {
	t.Helper()
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

// against says where a value is not what a schema says.
func (d *document) against(s schema, v any, at string) (wrong []string) {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		return d.against(d.Components.Schemas[name], v, at)
	}
	if len(s.OneOf) > 0 {
		for _, one := range s.OneOf {
			if d.against(one, v, at) == nil {
				return nil
			}
		}
		return []string{at + " is none of what it can be"}
	}
	kinds := strings.Fields(strings.Trim(fmt.Sprint(s.Type), "[]"))
	kind := ""
	switch v := v.(type) {
	case nil:
		kind = "null"
	case string:
		kind = "string"
		if s.Enum != nil && !slices.Contains(s.Enum, v) {
			wrong = append(wrong, at+" is "+v)
		}
	case float64:
		kind = "integer"
	case bool:
		kind = "boolean"
	case []any:
		kind = "array"
		for i, item := range v {
			wrong = append(wrong, d.against(*s.Items, item, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case map[string]any:
		kind = "object"
		for name, value := range v {
			if p, ok := s.Properties[name]; ok {
				wrong = append(wrong, d.against(p, value, at+"."+name)...)
			} else if string(s.Additional) == "false" {
				wrong = append(wrong, at+"."+name+" is not described")
			}
		}
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				wrong = append(wrong, at+"."+name+" is missing")
			}
		}
	}
	if s.Type != nil && !slices.Contains(kinds, kind) {
		wrong = append(wrong, fmt.Sprintf("%s is %s, want %v", at, kind, kinds))
	}
	return wrong
}

var parameter = regexp.MustCompile(`:(\w+)`)

// Every call is described, with its right, and everything described is there.
func TestTheDocumentDescribesEveryCallAndNoOther(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	d := openAPI(t)
	if d.OpenAPI != "3.1.0" {
		t.Errorf("openapi = %s", d.OpenAPI)
	}
	routes := make(map[string]string)
	for _, r := range w.console.Routes() {
		if r.API != "" {
			routes[strings.ToLower(r.Verb)+" "+parameter.ReplaceAllString(r.API, "{$1}")] = r.Right
		}
	}
	for path, methods := range d.Paths {
		for method, op := range methods {
			right, ok := routes[method+" "+path]
			if !ok {
				t.Errorf("%s %s is described and not there", method, path)
			}
			if op.Right != right {
				t.Errorf("%s %s: right = %q, want %q", method, path, op.Right, right)
			}
			for _, name := range parameter.FindAllString(strings.ReplaceAll(path, "{", ":"), -1) {
				if !slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool { return ":"+p.Name == name && p.In == "path" }) {
					t.Errorf("%s %s: parameter %s is not described", method, path, name)
				}
			}
			delete(routes, method+" "+path)
		}
	}
	for route := range routes {
		t.Errorf("%s is not described", route)
	}
}

// What is answered is what is described.
func TestAnswersAreAsDescribed(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	d := openAPI(t)
	s := w.signIn("staff", "ada", tasks()...)
	conn := directory.Assertion{Connection: "acme", Issuer: "i", Subject: "ben", UserName: "ben", Name: "Ben", Email: "ben@acme.example", Groups: []string{"Admins", "X"}}
	ben := w.enter(conn)
	b := trace.Begin(trace.Record{Reference: "R", Connection: "acme", Protocol: "oidc", Person: ben.id})
	b.Check("x", true, "a", "b")
	record := b.End(w.now, trace.SignedIn, "", "")
	if err := w.db.Traces().InsertTraces(t.Context(), []trace.Record{record}, nil, trace.Caps{record.Class(): 9}); err != nil {
		t.Fatal(err)
	}
	if err := w.db.Journal().AppendJournal(t.Context(), []scim.Entry{{At: w.now, Connection: "acme", Method: "PUT", Path: "/Users/" + ben.id, Status: 400, Cause: "x", Body: "{}"}}); err != nil {
		t.Fatal(err)
	}
	token, _ := w.tokenOf(s.id, "staff", "Staff", "viewer")
	// In this order, so that each has something to do.
	for _, call := range [][2]string{
		{"post", "/people/{id}/lock"},
		{"get", "/people/{id}"},
		{"post", "/people/{id}/unlock"},
		{"post", "/people/{id}/deactivate"},
		{"get", "/people/{id}"},
		{"post", "/people/{id}/reactivate"},
		{"post", "/people/{id}/sign-out"},
		{"post", "/people/{id}/exceptions"},
		{"get", "/people/{id}/exceptions"},
		{"get", "/people/{id}/why"},
		{"delete", "/people/{id}/exceptions/{exception}"},
		{"get", "/people/{id}/exceptions"},
		{"post", "/people/all/lock"},
		{"post", "/people/all/unlock"},
		{"post", "/people/all/deactivate"},
		{"post", "/people/all/reactivate"},
		{"post", "/sub-organizations"},
		{"post", "/people/{id}/place"},
		{"post", "/people/all/place"},
		{"get", "/people/{id}"},
		{"get", "/organizations?organization=Acme"},
		{"get", "/organizations/freeze?organization=Beta"},
		{"post", "/organizations/freeze"},
		{"get", "/organizations"},
		{"post", "/organizations/unfreeze"},
		{"post", "/sub-organizations/{unit}/rename"},
		{"post", "/sub-organizations/{unit}/move"},
		{"get", "/sub-organizations/{unit}/freeze"},
		{"post", "/sub-organizations/{unit}/freeze"},
		{"get", "/organizations?organization=Acme"},
		{"post", "/sub-organizations/{unit}/unfreeze"},
		{"get", "/people?organization=Acme&subOrganization=none"},
		{"get", "/summary"},
		{"get", "/me"},
		{"get", "/openapi.json"},
		{"get", "/api-tokens"},
		{"delete", "/api-tokens/{token}"},
		{"get", "/people"},
		{"get", "/people?role=viewer"},
		{"get", "/people/{id}/why"},
		{"get", "/people/{id}/sessions"},
		{"get", "/people/{id}/sign-ins"},
		{"get", "/people/{id}/scim"},
		{"get", "/people/{id}/audit"},
		{"get", "/sign-ins"},
		{"get", "/sign-ins/{reference}"},
		{"get", "/traces"},
		{"get", "/traces?connection=acme&failed=yes&limit=1"},
		{"get", "/provisioning"},
		{"get", "/audit"},
		{"get", "/audit/chain"},
		{"get", "/audit/chain?after=event:0"},
		{"get", "/audit/{number}"},
		{"get", "/roles"},
		{"get", "/mapping"},
		{"get", "/mapping/replicas"},
		{"get", "/mapping/{revision}"},
		{"get", "/mapping/coverage"},
		{"get", "/approvals"},
		{"get", "/roles/compare?a=viewer&b=client-admin"},
		{"get", "/permission-groups"},
		{"get", "/access?role=viewer"},
		{"get", "/access?role=viewer&after=0&limit=1"},
		{"get", "/access?task=account.view&at=2026-03-01T12:00:00Z"},
		{"get", "/people/{id}/why?with=Admins"},
		{"post", "/people/{id}/delete"},
	} {
		method, path := call[0], call[1]
		address := strings.NewReplacer("{id}", ben.id, "{reference}", "R", "{number}", "1", "{revision}", "1", "{exception}", exceptionOf(t, w, ben.id), "{unit}", unitOf(t, w), "{token}", token).Replace(path)
		var got any
		if status := s.call(strings.ToUpper(method), address, orderOf(path, method, ben.id, unitOf(t, w)), &got); status != http.StatusOK {
			t.Errorf("%s %s: status = %d: %v", method, path, status, got)
			continue
		}
		pattern, _, _ := strings.Cut(path, "?")
		for _, wrong := range d.against(d.Paths[pattern][method].Responses["200"].Content["application/json"].Schema, got, "answer") {
			t.Errorf("%s %s: %s", method, path, wrong)
		}
	}
}

func orderOf(path, method, id, unit string) string {
	switch {
	case method == "get":
		return ""
	case path == "/api-tokens/{token}":
		return `{"reason": "x"}`
	case strings.HasPrefix(path, "/organizations/"):
		return `{"organization": "Beta", "reason": "x"}`
	case path == "/sub-organizations":
		return `{"organization": "Acme", "name": "Europe"}`
	case strings.HasSuffix(path, "freeze"):
		return `{"reason": "x"}`
	case strings.HasPrefix(path, "/sub-organizations/"):
		return `{"name": "Asia"}`
	}
	return `{"reason": "x", "ids": ["` + id + `"], "role": "helper", "until": "2026-03-02", "subOrganization": "` + unit + `"}`
}

// unitOf is the id of the last sub-organization of Acme.
func unitOf(t *testing.T, w *world) string {
	t.Helper()
	tree, err := w.dir.Units(t.Context(), "Acme")
	if err != nil || len(tree) == 0 {
		return ""
	}
	return tree[len(tree)-1].ID
}

// exceptionOf is the id of somebody's last exception.
func exceptionOf(t *testing.T, w *world, id string) string {
	t.Helper()
	all, err := w.dir.Exceptions(t.Context(), id)
	if err != nil || len(all) == 0 {
		return ""
	}
	return all[len(all)-1].ID
}

func tasks() (names []string) {
	for _, t := range mapping.GateTasks() {
		names = append(names, t.Name)
	}
	return names
}
