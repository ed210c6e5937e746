package mapping

import (
	"fmt"
	"time"
)

// Exception is a role that somebody granted to one person for a time, beside
// what the rules grant. It adds to a sign-in that a rule allows and never
// allows one; what denies, what keeps apart and the ceiling hold for it as for
// a rule; and it gives nothing once no role may hand its role out any more
// (assignableBy).
type Exception struct {
	ID     string
	Role   string
	By     string // who granted it, in words
	Reason string
	From   time.Time
	Until  time.Time // no more at this moment
}

// ExceptionTrace says what becomes of an exception.
type ExceptionTrace struct {
	Exception

	Holds bool   // whether it is valid, and its role is left at the end
	Why   string // in words
}

// except notes the roles of the exceptions that are valid, and when time will
// change that.
func (p *Policy) except(s *scratch, f *Facts, at time.Time) {
	for i := range f.Exceptions {
		e := &f.Exceptions[i]
		n, ok := p.assignable(e.Role)
		if !ok || e.Until.IsZero() {
			continue
		}
		w := window{from: e.From, until: e.Until}
		if next := w.next(at); !next.IsZero() && (s.until.IsZero() || next.Before(s.until)) {
			s.until = next
		}
		if w.holds(at) {
			s.excepted.set(n)
		}
	}
}

// assignable finds a role that some role may hand out.
func (p *Policy) assignable(name string) (n int, ok bool) {
	n, ok = p.roleNumber[name]
	return n, ok && len(p.roles[n].decl.AssignableBy) > 0
}

// exceptions says of each exception what becomes of it, and gives by the roles
// that they name the ids of those that are valid.
func (p *Policy) exceptions(s *scratch, f *Facts, at time.Time) (out []ExceptionTrace, by map[int][]string) {
	by = make(map[int][]string)
	for _, e := range f.Exceptions {
		t := ExceptionTrace{Exception: e}
		n, ok := p.assignable(e.Role)
		_, known := p.roleNumber[e.Role]
		w := window{from: e.From, until: e.Until}
		switch {
		case !known:
			t.Why = fmt.Sprintf("there is no role %q any more", e.Role)
		case !ok:
			t.Why = fmt.Sprintf("role %q is not assignable any more", e.Role)
		case e.Until.IsZero():
			t.Why = "it has no end"
		case at.Before(e.From):
			t.Why = "begins at " + e.From.Format(time.RFC3339)
		case !w.holds(at):
			t.Why = "ended at " + e.Until.Format(time.RFC3339)
		case s.verdict != allowed:
			t.Why = "an exception lets nobody in"
		case !s.roles.has(n):
			t.Why = "its role is taken away again"
		default:
			t.Holds, t.Why = true, "valid until "+e.Until.Format(time.RFC3339)
		}
		if ok && !e.Until.IsZero() && w.holds(at) && !p.roles[n].closure.meets(s.denied) && !p.roles[n].closure.meets(s.apart) {
			by[n] = append(by[n], e.ID) // of what it inherits, the ceiling may have left something
		}
		out = append(out, t)
	}
	return out, by
}
