package mapping_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/mapping"
)

const book = `version: 1
connections: [alpha]
roles: {viewer: {tasks: [view]}, author: {inherits: [viewer], tasks: [edit]}}
attributes: {account: {onMissing: none}}
permissionGroups:
  own: {params: [acct], where: {account: ["${acct}"]}}
  all: {unrestricted: true}
rules:
  - {id: b, match: {connection: alpha, groups: [{regex: "M-(?P<a>.*)"}]}, grant: {roles: [author], permissionGroups: [{own: {acct: "${a}"}}]}}
  - {id: a, match: {connection: alpha}, grant: {roles: [viewer]}}
  - {id: c, match: {connection: alpha}, deny: {roles: [author]}}
`

// A catalogue says of each rule what it grants, with what roles inherit, and
// of each permission group what it shows.
func TestACatalogueSaysWhatIsGivenAndShown(t *testing.T) {
	p, err := mapping.Load("m.yaml", []byte(book), mapping.Options{})
	if err != nil {
		t.Fatal(err)
	}
	grants := make(map[string][]string)
	for _, g := range p.Grants() {
		grants[g.Name] = append(g.Roles, g.Groups...)
	}
	if diff := cmp.Diff(map[string][]string{"a": {"viewer"}, "b": {"author", "viewer", "own"}}, grants); diff != "" {
		t.Errorf("grants (-want +got):\n%s", diff)
	}
	groups := p.Groups()
	if len(groups) != 2 || groups[0].Name != "all" || !groups[0].Unrestricted || groups[1].Where["account"].String() != "[${acct}]" || groups[1].Line != 6 {
		t.Errorf("groups = %+v", groups)
	}
}

func TestReadGivesWhatIsWritten(t *testing.T) {
	m, err := mapping.Read("m.yaml", []byte(book))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"inherits": []any{"viewer"}, "tasks": []any{"edit"}}
	if diff := cmp.Diff(want, m["roles"].(map[string]any)["author"]); diff != "" { //nolint:forcetypeassert // it is a mapping
		t.Errorf("author (-want +got):\n%s", diff)
	}
	if _, err := mapping.Read("m.yaml", []byte("a: [\n")); err == nil {
		t.Error("what is no YAML was read")
	}
}

// A text with a colon before a bracket might be taken for a key.
func TestATextWithAColonCanBeAddedToAList(t *testing.T) {
	for _, text := range []string{"urn:example:x", "javascript:alert(1)", "a:"} {
		out, err := mapping.Edit("m.yaml", []byte(book), mapping.Add("tests", map[string]any{"given": map[string]any{"groups": []string{text}}}))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		m, err := mapping.Read("m.yaml", out)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]any{map[string]any{"given": map[string]any{"groups": []any{text}}}}, m["tests"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}
