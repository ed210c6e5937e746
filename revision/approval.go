package revision

import (
	"context"
	"fmt"
	"strconv"

	"portcullis/mapping"
)

// Approval says which revisions need a second person. The zero value asks for
// none.
type Approval struct {
	Always     bool
	Privileged bool     // those of [mapping.PrivilegedChanges]
	PeopleOver *float64 // those that change the access of more than this many percent of the people; nil: not asked
}

// Reach counts what a revision changes for people; before is nil when nothing
// was in force. A nil Reach means that it cannot be told.
type Reach func(ctx context.Context, before, after *mapping.Policy) (*Counts, error)

// needs says in words why after needs an approval over before, which may be
// nil. What cannot be told counts as needing one.
func (a Approval) needs(before, after *mapping.Policy, counts *Counts) (out []string) {
	if a.Always {
		out = append(out, "every change needs an approval")
	}
	if a.Privileged {
		out = append(out, mapping.PrivilegedChanges(before, after)...)
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
