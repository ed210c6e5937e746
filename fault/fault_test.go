package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"portcullis/fault"
)

func TestOnlyTheMessageOfAFaultIsShown(t *testing.T) {
	cause := errors.New("dial tcp 127.0.0.1:5432: refused")
	for _, tc := range []struct {
		name    string
		err     error
		kind    fault.Kind
		message string
	}{
		{"new", fault.New(fault.NotFound, "no user %q", "u1"), fault.NotFound, `no user "u1"`},
		{"cause hidden", fault.Wrap(fault.Unavailable, cause, "database is away"), fault.Unavailable, "database is away"},
		{"wrapped on the way up", fmt.Errorf("sign in: %w", fault.New(fault.Forbidden, "locked")), fault.Forbidden, "locked"},
		{"outermost wins", fault.Wrap(fault.Invalid, fault.New(fault.NotFound, "inner"), "outer"), fault.Invalid, "outer"},
		{"plain error", cause, fault.Internal, "internal error"},
		{"internal fault", fault.New(fault.Internal, "secret detail"), fault.Internal, "internal error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := fault.KindOf(tc.err); got != tc.kind {
				t.Errorf("KindOf = %v, want %v", got, tc.kind)
			}
			if got := fault.Message(tc.err); got != tc.message {
				t.Errorf("Message = %q, want %q", got, tc.message)
			}
		})
	}
}

// What is said to the person is turned for whoever else reads of it.
func TestOthersAreToldInTheThirdPerson(t *testing.T) {
	locked := fault.Personal(fault.Forbidden, "your account at %s is locked", "this account at %s is locked", "Alpha")
	for _, tc := range []struct {
		name        string
		err         error
		own, others string
	}{
		{"personal", locked, "your account at Alpha is locked", "this account at Alpha is locked"},
		{"wrapped on the way up", fmt.Errorf("sign in: %w", locked), "your account at Alpha is locked", "this account at Alpha is locked"},
		{"outermost wins", fault.Wrap(fault.Unauthenticated, locked, "signed out"), "signed out", "signed out"},
		{"to nobody in particular", fault.New(fault.Conflict, "it is there"), "it is there", "it is there"},
		{"internal fault", fault.Personal(fault.Internal, "a", "b"), "internal error", "internal error"},
		{"plain error", errors.New("dial tcp"), "internal error", "internal error"},
	} {
		if own, others := fault.Message(tc.err), fault.ToOthers(tc.err); own != tc.own || others != tc.others {
			t.Errorf("%s: Message = %q, ToOthers = %q, want %q and %q", tc.name, own, others, tc.own, tc.others)
		}
	}
}

func TestWrapKeepsNilAndCause(t *testing.T) {
	if err := fault.Wrap(fault.Invalid, nil, "x"); err != nil {
		t.Errorf("Wrap(nil) = %v, want nil", err)
	}
	cause := errors.New("boom")
	if err := fault.Wrap(fault.Invalid, cause, "x"); !errors.Is(err, cause) {
		t.Errorf("errors.Is(%v, cause) = false, want true", err)
	}
	if fault.Is(nil, fault.Internal) {
		t.Error("Is(nil, Internal) = true, want false")
	}
}
