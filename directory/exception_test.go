package directory_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
)

const assignableRules = `
version: 1
connections:
  alpha: {ceiling: {roles: [viewer, clerk, cashier]}}
  strict: {ceiling: unrestricted}
  beta: {ceiling: unrestricted}
roles:
  viewer: {tasks: [view]}
  clerk: {tasks: [pay], assignableBy: [viewer]}
  cashier: {tasks: [cash], assignableBy: [viewer]}
  auditor: {tasks: [audit], assignableBy: [viewer]}
  plain: {tasks: [view]}
constraints:
  - {id: apart, exclusive: [clerk, cashier]}
rules:
  - {id: staff, match: {connection: alpha, groups: [{id: staff}]}, grant: {roles: [viewer]}}
`

// rolesOf are the roles that somebody has by their standing at a time.
func (r *rig) rolesOf(id string, at time.Time) []string {
	r.t.Helper()
	s, err := r.LookAt(r.t.Context(), id, at)
	r.must(err)
	if at.IsZero() {
		at = r.now
	}
	facts := s.Facts()
	return r.policy.Evaluate(&facts, at).Roles
}

func TestAnExceptionBeginsEndsAndIsKept(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		var err error
		r.policy, err = mapping.Load("m.yaml", []byte(assignableRules), mapping.Options{})
		r.must(err)
		in := r.enter(says("ada"))
		id, began := in.Person.ID, r.now
		r.now = r.now.Add(time.Minute)
		given := r.now
		var x directory.Exception
		r.wants(r.during(map[string]string{id: "ada"}, func() {
			x, err = r.Except(t.Context(), operator, id, "clerk", given.Add(24*time.Hour), "holiday cover")
			r.must(err)
		}), wrote{[]audit.Action{audit.ExceptionGranted}, []string{"ada"}})
		for who, roles := range map[string][]string{
			"by standing": r.rolesOf(id, time.Time{}), "at a sign-in": r.enter(says("ada")).Access.Roles,
		} {
			if !slices.Equal(roles, []string{"clerk", "viewer"}) {
				t.Errorf("roles %s = %v", who, roles)
			}
		}
		look, err := r.Look(t.Context(), id)
		r.must(err)
		if len(look.Exceptions) != 1 || look.Exceptions[0] != x.Exception {
			t.Errorf("Look's exceptions = %+v, want %+v", look.Exceptions, x.Exception)
		}
		_, st, err := r.db.Sessions().FindSession(t.Context(), r.session(r.enter(says("ada"))))
		r.must(err)
		if len(st.Exceptions) != 1 {
			t.Errorf("a session's exceptions = %+v", st.Exceptions)
		}

		// A push that meets the sign-in brings the exception along.
		p := r.push(record("ada"))
		if p.ID != id {
			id = p.ID
		}
		r.now = r.now.Add(time.Hour)
		revoked := r.now
		r.must(r.Unexcept(t.Context(), operator, id, x.ID, "back early"))
		if err := r.Unexcept(t.Context(), operator, id, x.ID, ""); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second time: %v", err)
		}
		r.now = r.now.Add(time.Hour)
		_, err = r.Except(t.Context(), operator, id, "clerk", r.now.Add(time.Hour), "again")
		r.must(err)
		again := r.now
		r.now = r.now.Add(3 * time.Hour)
		for _, tc := range []struct {
			at   time.Time
			want bool
		}{
			{began, false},
			{given, true},
			{revoked.Add(-time.Microsecond), true},
			{revoked, false},
			{again, true},
			{again.Add(time.Hour - time.Microsecond), true},
			{again.Add(time.Hour), false},
			{time.Time{}, false},
		} {
			if got := slices.Contains(r.rolesOf(id, tc.at), "clerk"); got != tc.want {
				t.Errorf("clerk at %v: %v, want %v", tc.at, got, tc.want)
			}
		}
		last, err := r.Exceptions(t.Context(), id)
		r.must(err)
		if err := r.Unexcept(t.Context(), operator, id, last[len(last)-1].ID, ""); !fault.Is(err, fault.Conflict) {
			t.Errorf("taking back what is over: %v", err)
		}
	})
}

func TestAnExceptionThatWouldNotDoIsRefused(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		var err error
		r.policy, err = mapping.Load("m.yaml", []byte(assignableRules), mapping.Options{})
		r.must(err)
		id := r.enter(says("ada")).Person.ID
		_, err = r.Except(t.Context(), operator, id, "clerk", r.now.Add(time.Hour), "cover")
		r.must(err)
		out := says("eve")
		out.Groups = nil
		_, _ = r.signIn(out)
		for name, tc := range map[string]struct {
			id, role, reason string
			until            time.Duration
			kind             fault.Kind
			words            string
		}{
			"nobody":              {"gone", "clerk", "x", time.Hour, fault.NotFound, ""},
			"no reason":           {id, "cashier", "", time.Hour, fault.Invalid, "reason"},
			"already over":        {id, "cashier", "x", 0, fault.Invalid, "not after now"},
			"for ever":            {id, "cashier", "x", 367 * 24 * time.Hour, fault.Invalid, "366 days"},
			"has it":              {id, "clerk", "x", time.Hour, fault.Conflict, "already"},
			"clash":               {id, "cashier", "x", time.Hour, fault.Conflict, "nobody may hold both"},
			"above the ceiling":   {id, "auditor", "x", time.Hour, fault.Conflict, `ceiling of connection "alpha" does not list it`},
			"not assignable":      {id, "plain", "x", time.Hour, fault.Conflict, "not assignable"},
			"no role":             {id, "king", "x", time.Hour, fault.Conflict, "there is no role"},
			"whom nothing admits": {r.found("eve").ID, "clerk", "x", time.Hour, fault.Conflict, "lets nobody in"},
		} {
			_, err := r.Except(t.Context(), operator, tc.id, tc.role, r.now.Add(tc.until), tc.reason)
			if !fault.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.words) {
				t.Errorf("%s: %v, want %v with %q", name, err, tc.kind, tc.words)
			}
		}
		if err := r.Unexcept(t.Context(), operator, r.found("eve").ID, "x", ""); !fault.Is(err, fault.NotFound) {
			t.Errorf("an exception of nobody's: %v", err)
		}
	})
}
