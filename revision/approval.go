package revision

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"portcullis/mapping"
)

// Approval says which revisions need a second person. The zero value asks for
// none.
type Approval struct {
	Always     bool
	Privileged bool     // those that reach for privileged roles or change a ceiling
	PeopleOver *float64 // those that change the access of more than this many percent of the people; nil: not asked
}

// Power is one thing in a mapping that decides who holds privileged roles or
// how far a connection reaches.
type Power struct {
	// ID tells it from the others of the mapping, in words: "rule desk grants
	// privileged role admin".
	ID string

	// Content is everything that decides its effect: of a rule its conditions
	// as well, of a role its tasks and what it inherits.
	Content string

	// Grants marks what only ever gives: that it disappears needs nobody's
	// approval. A ceiling, a denial and a role's mark are not of that kind.
	Grants bool
}

// Powers lists the powers of a mapping. A nil Powers means that they cannot be
// told; whatever changes then counts as privileged.
type Powers func(*mapping.Policy) []Power

// Reach counts what a revision changes for people; before is nil when nothing
// was in force. A nil Reach means that it cannot be told.
type Reach func(ctx context.Context, before, after *mapping.Policy) (*Counts, error)

// needs says in words why after needs an approval over before, which may be
// nil. What cannot be told counts as needing one.
func (a Approval) needs(before, after *mapping.Policy, powers Powers, counts *Counts) (out []string) {
	if a.Always {
		out = append(out, "every change needs an approval")
	}
	if a.Privileged {
		out = append(out, privileged(before, after, powers)...)
	}
	if a.PeopleOver != nil {
		limit := strconv.FormatFloat(*a.PeopleOver, 'f', -1, 64)
		switch {
		case counts == nil:
			out = append(out, "how many people it touches is not known")
		case float64(counts.Changed)*100 > *a.PeopleOver*float64(counts.People):
			out = append(out, fmt.Sprintf("it changes the access of %d of %d people, more than %s %%", counts.Changed, counts.People, limit))
		}
	}
	return out
}

// privileged compares the powers of two mappings.
func privileged(before, after *mapping.Policy, powers Powers) (out []string) {
	if powers == nil {
		return []string{"whether it grants a privileged role or changes a ceiling cannot be ruled out"}
	}
	old := make(map[string]Power)
	if before != nil {
		for _, p := range powers(before) {
			old[p.ID] = p
		}
	}
	for _, p := range powers(after) {
		was, known := old[p.ID]
		delete(old, p.ID)
		switch {
		case !known:
			out = append(out, "new: "+p.ID)
		case was.Content != p.Content:
			out = append(out, "changed: "+p.ID)
		}
	}
	for id, p := range old {
		if !p.Grants {
			out = append(out, "gone: "+id)
		}
	}
	slices.Sort(out)
	return out
}
