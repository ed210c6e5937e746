// Package fault says what kind of thing went wrong, and what of it may be
// shown to whom.
//
// An error is made once, where its meaning is known, wrapped with %w on the
// way up, and translated once per edge: RFC 9457 problem JSON or a page for
// browsers (package web), RFC 7644 errors for SCIM (package scim), an exit
// code for the command line (cmd/portcullis). An error without a kind is an
// internal error: its text goes to the log and never to a person.
//
// The package is not for control flow inside one package, and carries no HTTP.
package fault

import (
	"errors"
	"fmt"
)

// Kind is what a program may decide on.
type Kind int

// The kinds. The zero Kind is Internal, so that whatever nobody classified is
// shown to nobody.
const (
	Internal        Kind = iota // a bug or a broken machine; the text is for the log alone
	NotFound                    // it is not there, or the caller may not know that it is
	Conflict                    // it clashes with what is there already
	Invalid                     // the input is wrong; the message says how
	Unauthenticated             // nobody is signed in, or the credential is not good
	Forbidden                   // who it is is known, and they may not
	Unavailable                 // a thing we depend on is away; trying again may help
	TooLarge                    // the input is over a limit that the message names
	Precondition                // the caller's version is not the current one (RFC 9110, section 13.1)
)

// String names the kind as it stands in logs.
func (k Kind) String() string {
	switch k {
	case NotFound:
		return "not found"
	case Conflict:
		return "conflict"
	case Invalid:
		return "invalid"
	case Unauthenticated:
		return "unauthenticated"
	case Forbidden:
		return "forbidden"
	case Unavailable:
		return "unavailable"
	case TooLarge:
		return "too large"
	case Precondition:
		return "precondition failed"
	default:
		return "internal error"
	}
}

// Error is a fault: a kind for the program, a message for the person, and a
// cause for the log.
type Error struct {
	Kind    Kind
	Message string // safe to show to whoever caused it
	Others  string // the same for anybody else; empty where Message speaks to nobody
	Cause   error  // never shown; may be nil
}

// New makes a fault whose message is safe to show.
func New(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Personal makes a fault that speaks to the person whom it is about, and says
// the same to anybody else who reads of it: an administrator, the audit trail.
// Both formats take the same values.
func Personal(kind Kind, own, others string, values ...any) error {
	return &Error{Kind: kind, Message: fmt.Sprintf(own, values...), Others: fmt.Sprintf(others, values...)}
}

// Wrap makes a fault out of cause. It returns nil for a nil cause, so that
// it can end a function.
func Wrap(kind Kind, cause error, format string, args ...any) error {
	if cause == nil {
		return nil
	}
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// Error gives the message and the cause: the text of the log.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.Cause.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// KindOf is the kind of the outermost fault in err's chain, Internal for an
// error that holds none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is a fault of that kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Message is what may be shown for err: the outermost fault's message, and
// "internal error" for anything else.
func Message(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != Internal {
		return e.Message
	}
	return Internal.String()
}

// ToOthers is [Message] for whoever it is not about.
func ToOthers(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != Internal && e.Others != "" {
		return e.Others
	}
	return Message(err)
}
