package mapping

import (
	"fmt"
	"slices"
	"strings"

	"portcullis/count"
)

const (
	maxChanges = 1_000 // people whom a Difference names
	manyPeople = 20    // more than one in as many touched is worth a flag: 5 %
)

// Difference says whose access another policy changes, and how.
type Difference struct {
	People     int // who were looked at
	Touched    int // whose access changes at all
	Gain       int // who gain a role, a task, a permission group or a sign-in
	Lose       int // who lose one
	Admitted   int // who can sign in and could not
	Refused    int // who can no longer sign in
	Data       int // to whom other rows are visible, or may be
	Privileged int // who gain a privileged role
	Everything int // who gain unrestricted data
	Roles      []Shift
	Groups     []Shift // permission groups
	Caps       []CapUse
	Changes    []Change // the first of those who are touched
	More       int      // touched people who are not in Changes
}

// Shift counts people by a role or a permission group.
type Shift struct {
	Name        string
	Before, Now int
	Gain, Lose  int
}

// Change is what changes for one person.
type Change struct {
	Person       string // as the caller calls them
	Connection   string
	Admitted     bool
	Refused      bool
	Reason       string // why they are refused
	RolesGained  []string
	RolesLost    []string
	TasksGained  []string
	TasksLost    []string
	GroupsGained []string // permission groups
	GroupsLost   []string
	Data         bool // other rows are visible, or may be
	Privileged   bool // gains a privileged role
	Everything   bool // gains unrestricted data
}

// Flag is what somebody should see before they approve a change.
type Flag string

// The flags of a Difference.
const (
	FlagPrivileged Flag = "privileged"   // somebody gains a privileged role
	FlagEverything Flag = "unrestricted" // somebody gains unrestricted data
	FlagManyPeople Flag = "people>5%"    // more than 5 % of people are touched
	FlagCap        Flag = "cap"          // more people than may hold a role
)

// Flags lists what is remarkable about the change.
func (d *Difference) Flags() []Flag {
	var flags []Flag
	if d.Privileged > 0 {
		flags = append(flags, FlagPrivileged)
	}
	if d.Everything > 0 {
		flags = append(flags, FlagEverything)
	}
	if d.Touched*manyPeople > d.People {
		flags = append(flags, FlagManyPeople)
	}
	if slices.ContainsFunc(d.Caps, CapUse.Exceeded) {
		flags = append(flags, FlagCap)
	}
	return flags
}

// String is the counts, one line each, with the roles below.
func (d *Difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "touched: %d of %s: %d gain, %d lose, %d can sign in now, %d can no longer sign in, %d see other data\n",
		d.Touched, count.People(d.People), d.Gain, d.Lose, d.Admitted, d.Refused, d.Data)
	for _, f := range d.Flags() {
		fmt.Fprintf(&b, "flag: %s\n", f)
	}
	for _, part := range []struct {
		what   string
		shifts []Shift
	}{{"role", d.Roles}, {"permission group", d.Groups}} {
		for _, s := range part.shifts {
			if s.Gain+s.Lose > 0 {
				fmt.Fprintf(&b, "%s %s: %d -> %s (%d gain, %d lose)\n", part.what, s.Name, s.Before, count.People(s.Now), s.Gain, s.Lose)
			}
		}
	}
	return b.String()
}
