package config

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret holds a value that must not be shown. Whatever prints, formats,
// marshals or logs it gets "[redacted]"; only [Secret.Reveal] gives the value.
// The zero Secret holds the empty value.
type Secret struct {
	// A pointer, because fmt cannot call our methods on an unexported field of
	// somebody's struct: it prints an address then, not the value.
	value *string
}

// NewSecret keeps value.
func NewSecret(value string) Secret { return Secret{value: &value} }

// Reveal gives the value, for handing it to whom it is meant for.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether the value is empty.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Equal reports whether both hold the same value, in constant time for values
// of one length.
func (s Secret) Equal(o Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(o.Reveal())) == 1
}

// String hides the value.
func (Secret) String() string { return redacted }

// GoString hides the value from %#v.
func (Secret) GoString() string { return redacted }

// Format hides the value whatever the verb and its flags: without it, %x and
// %d would print what the struct holds.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText hides the value from encoders of text and XML.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON hides the value.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalYAML hides the value.
func (Secret) MarshalYAML() (any, error) { return redacted, nil }

// LogValue hides the value from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
