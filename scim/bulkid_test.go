package scim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// refersTo is an operation that holds so many references in two ways, and as
// many plain texts.
func refersTo(n int) (*bulkOp, map[string]*bulkOp) {
	var list []any
	makers := make(map[string]*bulkOp)
	for i := range n {
		name := fmt.Sprintf("%040d", i)
		makers[name] = &bulkOp{id: "id-" + name}
		list = append(list, bulkRef+name, `members[value eq "`+bulkRef+name+`"]`, "a plain text")
	}
	o := &bulkOp{path: "/Groups/x", data: map[string]any{"x": list}}
	o.needs = neededBy(o.path, o.data)
	return o, makers
}

// TestReferencesCostAsMuchAsTheirText: twice as many of them, in twice as much
// text, are twice the work. A Bulk request of 1 MB may have a thousand, and a
// hundred thousand texts.
func TestReferencesCostAsMuchAsTheirText(t *testing.T) {
	work := func(n int) float64 {
		return testing.AllocsPerRun(3, func() {
			o, makers := refersTo(n)
			if err := o.resolve(makers); err != nil {
				t.Fatal(err)
			}
		})
	}
	if one, two := work(200), work(400); two > 3*one {
		t.Errorf("200 references take %.0f allocations, 400 take %.0f: want about twice as many", one, two)
	}
}

// TestAReferenceIsNeededOnce: however often it stands in an operation.
func TestAReferenceIsNeededOnce(t *testing.T) {
	t.Parallel()
	texts := []any{}
	for range 10_000 {
		texts = append(texts, "bulkId:b", `members[value eq "bulkId:a" or value eq "bulkId:c"]`, "bulkIdle", "a bulkId:d b")
	}
	o := map[string]any{"method": "PATCH", "path": "/Groups/bulkId:a", "data": map[string]any{
		"x": texts, "bulkId:e": []any{map[string]any{"value": "bulkId:"}},
	}}
	ops, err := bulkOps(map[string]any{"Operations": []any{o}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"", "a", "b", "c"}, ops[0].needs); diff != "" {
		t.Errorf("needs (-want +got):\n%s", diff)
	}
}

// TestReferencesAreReplacedAndNothingElse: a text is a list of pieces, of which
// the references become identifiers; one that stands in an identifier is none.
func TestReferencesAreReplacedAndNothingElse(t *testing.T) {
	t.Parallel()
	makers := map[string]*bulkOp{
		"a": {id: "1"}, "ab": {id: `"bulkId:a"`}, "b c": {id: "3"}, "Ä": {id: "bulkId:ab"},
	}
	names := []string{"a", "ab", "b c", "Ä"}
	rapid.Check(t, func(t *rapid.T) {
		var before, after strings.Builder
		for range rapid.IntRange(0, 6).Draw(t, "pieces") {
			if rapid.Bool().Draw(t, "reference") {
				name := rapid.SampledFrom(names).Draw(t, "name")
				before.WriteString(` eq "bulkId:` + name + `"`)
				after.WriteString(` eq "` + makers[name].id + `"`)
			} else {
				text := rapid.SampledFrom([]string{"x", " ", "members[value", "bulkId", "bulkid:a", `""`, "/bulkId:a", " bulkId:a "}).Draw(t, "text")
				before.WriteString(" " + text)
				after.WriteString(" " + text)
			}
		}
		whole := rapid.SampledFrom(names).Draw(t, "whole")
		o := &bulkOp{path: "/Groups/bulkId:" + whole, data: map[string]any{
			"text": before.String(), "list": []any{"bulkId:" + whole, map[string]any{"value": before.String()}, true},
		}}
		o.needs = neededBy(o.path, o.data)
		if err := o.resolve(makers); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"text": after.String(), "list": []any{makers[whole].id, map[string]any{"value": after.String()}, true},
		}
		if diff := cmp.Diff(want, o.data); diff != "" {
			t.Errorf("%q (-want +got):\n%s", before.String(), diff)
		}
		if want := "/Groups/" + makers[whole].id; o.path != want {
			t.Errorf("path = %q, want %q", o.path, want)
		}
	})
}

// TestThePlanTakesTheFirstThatWaitsForNone: that is the order, whatever refers
// to what, and each operation comes once.
func TestThePlanTakesTheFirstThatWaitsForNone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "operations")
		ops, makers := make([]*bulkOp, n), make(map[string]*bulkOp)
		for i := range ops {
			ops[i] = &bulkOp{bulkID: strconv.Itoa(i)}
			makers[ops[i].bulkID] = ops[i]
			needs := rapid.SliceOfN(rapid.IntRange(0, n), 0, 4).Draw(t, "needs") // n is nobody's
			for _, need := range needs {
				ops[i].needs = append(ops[i].needs, strconv.Itoa(need))
			}
			slices.Sort(ops[i].needs)
			ops[i].needs = slices.Compact(ops[i].needs)
		}
		done := make(map[string]bool)
		waits := func(o *bulkOp) bool {
			return slices.ContainsFunc(o.needs, func(ref string) bool { return makers[ref] != nil && !done[ref] })
		}
		p := newPlan(ops, makers)
		for range ops {
			left := slices.DeleteFunc(slices.Clone(ops), func(o *bulkOp) bool { return done[o.bulkID] })
			want, circle := left[0], true
			if i := slices.IndexFunc(left, func(o *bulkOp) bool { return !waits(o) }); i >= 0 {
				want, circle = left[i], false
			}
			got, err := p.next()
			if got != want || (err != nil) != circle {
				t.Fatalf("next = %+v, %v, want %+v, circle %t", got, err, want, circle)
			}
			done[got.bulkID] = true
		}
		if o, err := p.next(); o != nil || err != nil {
			t.Errorf("next = %+v, %v after all were done", o, err)
		}
	})
}
