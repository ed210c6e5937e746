package scim

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"portcullis/fault"
)

// refused fails the test unless err is a 400 of that scimType.
func refused(t *testing.T, err error, scimType string) {
	t.Helper()
	status, _ := statusOf(fault.KindOf(err))
	r, ok := errors.AsType[*refusal](err)
	if !ok || status != http.StatusBadRequest || r.scimType != scimType {
		t.Errorf("error = %v, want a 400 %s", err, scimType)
	}
}

// FuzzFilter: a filter becomes one of the directory's or is refused as
// invalidFilter, and parentheses around it change nothing.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		`userName eq "a"`, `USERNAME EQ "a\u00fc\"\\"`, `emails[type eq "work"].value eq "x"`, `id eq "a" and manager eq "b"`,
		`displayName eq "x" and not (active eq false) and meta.created gt "2011-05-13T04:42:34Z"`, `members[value eq "x"]`,
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "x" and id eq "y"`, `emails.value eq 5`, `(((`, `]."`,
		`userName eq "a" and (title sw "x" or rank ge 3.5e2)`, `emails[type eq "work"].value pr`, `schemas co "enterprise"`, `members.$ref ew "x"`,
	} {
		f.Add(seed)
	}
	s := &site{base: "https://gate.example", user: userType(map[string]string{"tag": "string", "vip": "boolean", "rank": "integer"}), group: groupType()}
	f.Fuzz(func(t *testing.T, text string) {
		for _, tr := range []translator{{site: s, t: s.user}, {site: s, t: s.group}, {site: s, t: s.user, other: s.group}} {
			found, err := tr.search(text)
			if err != nil {
				refused(t, err, typeFilter)
				continue
			}
			around, err := tr.search("(" + text + ")")
			if err != nil {
				if len(text) > maxFilter-2 || strings.Count(text, "(") >= maxDepth || strings.Count(text, "[") >= maxDepth {
					continue
				}
				t.Fatalf("search((%s)) = %v, though it is accepted without the parentheses", text, err)
			}
			if !reflect.DeepEqual(found, around) {
				t.Errorf("search((%s)) = %+v, want %+v", text, around, found)
			}
		}
	})
}

// FuzzPatchPath: a path names an attribute that a schema has, nothing, or is
// refused as invalidPath; and the case of its letters does not matter.
func FuzzPatchPath(f *testing.F) {
	for _, seed := range []string{
		"active", "name.familyName", `emails[type eq "work"].value`, "members", `members[value eq "x" or value eq "y"]`, enterpriseURN, enterpriseURN + ":manager.$ref",
		portalURN + ".tag", userURN + ":userName", "nosuch", "urn:x:y:z", "emails[", "emails[]", `roles[primary eq "True"].value`, "a-b", "", ".",
	} {
		f.Add(seed)
	}
	types := []*resourceType{userType(map[string]string{"tag": "string", "vip": "boolean"}), groupType()}
	f.Fuzz(func(t *testing.T, path string) {
		for _, rt := range types {
			to, known, err := rt.parsePath(path)
			if err != nil {
				refused(t, err, typePath)
				continue
			}
			if !known {
				continue
			}
			if to.extension == "" {
				if _, ok := rt.field(to.field.urn, to.field.attr.Name()); !ok {
					t.Errorf("parsePath(%q) = %q, which no schema has", path, to.field.attr.Name())
				}
			}
			if strings.Contains(path, "[") {
				continue
			}
			upper := strings.Map(func(r rune) rune {
				if 'a' <= r && r <= 'z' {
					return r - 'a' + 'A'
				}
				return r
			}, path)
			again, known, err := rt.parsePath(upper)
			if err != nil || !known || again.extension != to.extension || again.field.attr.Name() != to.field.attr.Name() || again.field.urn != to.field.urn {
				t.Errorf("parsePath(%q) = %+v, %v, %v, want what %q gives", upper, again, known, err, path)
			}
		}
	})
}
