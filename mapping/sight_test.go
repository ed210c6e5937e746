package mapping_test

import (
	"testing"

	"pgregory.net/rapid"

	"portcullis/mapping"
)

// TestSightIsThatSomeRowOfTheKindIsVisible holds the answer for a row that is
// known in part against every row that it may be.
func TestSightIsThatSomeRowOfTheKindIsVisible(t *testing.T) {
	values := []string{"A", "AB", "ABC", "B", "BA", "other"}
	attributes := []string{"account", "country"}
	value := rapid.SampledFrom(values[:5]) // "other" stands for what no file names
	some := rapid.SliceOfN(value, 1, 2)
	constraint := rapid.Custom(func(t *rapid.T) mapping.Constraint {
		switch rapid.IntRange(0, 4).Draw(t, "form") {
		case 0:
			return mapping.Constraint{Any: true}
		case 1:
			return mapping.Constraint{Prefix: value.Draw(t, "prefix")}
		case 2:
			return mapping.Constraint{Not: some.Draw(t, "not")}
		case 3:
			return mapping.Constraint{}
		default:
			return mapping.Constraint{In: some.Draw(t, "in")}
		}
	})
	where := rapid.Custom(func(t *rapid.T) mapping.Where {
		return rapid.MapOfN(rapid.SampledFrom(attributes), constraint, 0, 2).Draw(t, "where")
	})
	rapid.Check(t, func(t *rapid.T) {
		p := mapping.Permissions{
			Unrestricted: rapid.IntRange(0, 3).Draw(t, "unrestricted") == 0,
			AnyOf:        rapid.SliceOfN(where, 0, 2).Draw(t, "any"),
			AllOf:        rapid.SliceOfN(where, 0, 2).Draw(t, "all"),
		}
		row := map[string]string{"account": value.Draw(t, "account")}
		// What begins with a prefix and is not named stands for all of its kind.
		candidates := append([]string{}, values...)
		for _, v := range values {
			candidates = append(candidates, v+"~")
		}
		want, all := false, true
		for _, country := range candidates {
			visible := p.Allows(map[string]string{"account": row["account"], "country": country})
			want, all = want || visible, all && visible
		}
		narrower, sees := p.Sees(row)
		if sees != want {
			t.Fatalf("sight = %v, want %v", sees, want)
		}
		if sees && narrower == nil && !all {
			t.Fatal("sight says nothing else is asked of a row, but something is")
		}
	})
}
