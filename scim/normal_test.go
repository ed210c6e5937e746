package scim

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/elimity-com/scim/schema"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// validated is what the library makes of a whole resource by itself.
func (t *resourceType) validated(doc map[string]any) (map[string]any, error) {
	out, e := t.judged.Validate(doc)
	if e != nil {
		return nil, libraryError(e)
	}
	for _, x := range t.extensions {
		part, ok := doc[x.ID]
		if !ok {
			continue
		}
		valid, e := x.Validate(part)
		if e != nil {
			return nil, libraryError(e)
		}
		if len(valid) > 0 {
			out[x.ID] = valid
		}
	}
	return out, nil
}

// drawResource draws what a client might push: attributes of every type, most
// of them as they have to be.
func drawResource(t *rapid.T, of *resourceType) map[string]any {
	doc := map[string]any{"userName": "ada", "displayName": "Ada"}
	for range rapid.IntRange(0, 6).Draw(t, "attributes") {
		s := rapid.SampledFrom(of.all).Draw(t, "schema")
		a := rapid.SampledFrom(s.Attributes).Draw(t, "attribute")
		v := drawValue(t, a)
		if a.MultiValued() {
			v = []any{v, drawValue(t, a)}
		}
		if s.ID == of.core.ID {
			doc[a.Name()] = v
		} else {
			doc[s.ID+":"+a.Name()] = v
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "nameless") == 0 {
		delete(doc, rapid.SampledFrom([]string{"userName", "displayName"}).Draw(t, "name"))
	}
	return doc
}

func drawValue(t *rapid.T, a schema.CoreAttribute) any {
	pool := []any{"text", "", "no base64"}
	switch a.AttributeType() {
	case "complex":
		one := make(map[string]any)
		for range rapid.IntRange(0, 3).Draw(t, "parts") {
			sub := rapid.SampledFrom(a.SubAttributes()).Draw(t, "part")
			one[sub.Name()] = drawValue(t, sub)
		}
		return one
	case "boolean":
		pool = []any{true, false, "True"}
	case "integer", "decimal":
		pool = []any{json.Number("7"), json.Number("-1"), "12", 2.5}
	case "dateTime":
		pool = []any{"2026-03-01T09:00:00Z", "2026-03-01T09:00:00.25+02:00", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"}
	case "binary":
		pool = append(pool, "TWFu", "TQ==")
	}
	if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
		pool = []any{nil, []any{}, map[string]any{"value": "x"}, "x", true, json.Number("1e3")}
	}
	return rapid.SampledFrom(pool).Draw(t, "value")
}

// TestTheLibraryJudgesResources: what it says of each attribute that is there
// is what it says of the whole resource.
func TestTheLibraryJudgesResources(t *testing.T) {
	t.Parallel()
	types := []*resourceType{userType(map[string]string{"tag": "string", "vip": "boolean", "rank": "integer", "weight": "decimal", "since": "dateTime"}), groupType()}
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.SampledFrom(types).Draw(t, "type")
		doc := rapid.Custom(func(t *rapid.T) map[string]any {
			doc, err := of.normalise(drawResource(t, of))
			if err != nil {
				return nil // there is nothing to judge
			}
			return doc
		}).Filter(func(doc map[string]any) bool { return doc != nil }).Draw(t, "resource")
		want, wantErr := of.validated(maps.Clone(doc))
		gotErr := of.validate(doc)
		switch {
		case (wantErr == nil) != (gotErr == nil), wantErr != nil && wantErr.Error() != gotErr.Error():
			t.Fatalf("validate(%v) = %v, want %v", doc, gotErr, wantErr)
		case wantErr == nil:
			if diff := cmp.Diff(want, doc); diff != "" {
				t.Fatalf("validate makes another resource (-want +got):\n%s", diff)
			}
		}
	})
}
