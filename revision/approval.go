package revision

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"portcullis/count"
	"portcullis/fault"
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

// moreThan stands between the numbers and the limit that they are held against.
const moreThan = ", more than "

// Countless gives why a revision needs an approval without how many people it
// touches, for whoever may not see all of them.
func Countless(needs []string) []string {
	out := slices.Clone(needs)
	for i, text := range out {
		if _, limit, ok := strings.Cut(text, moreThan); ok && strings.HasPrefix(text, "it changes the access of ") {
			out[i] = "it changes the access of more than " + limit + " of the people"
		}
	}
	return out
}

// Unapproved refuses what needs the approval of a second person, and has none.
type Unapproved struct {
	Needs []string // why it needs one, in words
	Lacks string   // what is missing, in words
}

func unapproved(needs []string, lacks string) error {
	return (&Unapproved{Needs: needs, Lacks: lacks}).Fault()
}

// Error says what it is, and leaves the words to [Unapproved.Fault].
func (*Unapproved) Error() string { return "not approved" }

// Fault is the refusal in words: fault.Forbidden.
func (u *Unapproved) Fault() error {
	return fault.Wrap(fault.Forbidden, u, "it needs the approval of a second person (%s): %s", strings.Join(u.Needs, "; "), u.Lacks)
}

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
			out = append(out, fmt.Sprintf("it changes the access of %d of %s%s%s %%", counts.Changed, count.People(counts.People), moreThan, limit))
		}
	}
	return out
}
