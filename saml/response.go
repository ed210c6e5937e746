package saml

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"portcullis/fault"
)

// refusal is what a person is told. It is the same for every reason, so that
// it helps nobody to find out how an answer was judged.
const refusal = "the identity provider's answer was not accepted"

const statusPrefix = "urn:oasis:names:tc:SAML:2.0:status:"

// StatusError is the cause of the fault for an answer that says of itself
// that the sign-in failed. Both codes are short names of SAML core, section
// 3.2.2.2, or "other".
type StatusError struct {
	Code    string // Requester, Responder or VersionMismatch
	Sub     string // such as AuthnFailed, NoPassive or RequestDenied; may be empty
	Message string // what the provider wrote, bounded and printable; nobody vouches for it
}

// Error gives all that the provider said, for the trace.
func (e *StatusError) Error() string {
	return fmt.Sprintf("status %s/%s, message %q", e.Code, e.Sub, e.Message)
}

// Response judges an answer as it came in the form field SAMLResponse. The
// checks are the login trace: all that were made, of which at most the last
// one failed, whether or not there is an error.
//
// Every error is a [fault.Invalid] with one public sentence; its cause names
// the reason, and is a [*StatusError] when the provider itself says no. The
// caller must still make sure that the request was open and this browser's, and that the
// assertion is new.
func (sp *ServiceProvider) Response(form string, expect Expect) (st *Statement, checks []Check, err error) {
	t := &trace{}
	defer func() { // nothing here should panic, but an answer must not become a 500
		if r := recover(); r != nil {
			st, checks = nil, append(t.checks, Check{Name: "judge", Want: "a judgement", Got: "an answer that cannot be judged"})
			err = fault.Wrap(fault.Invalid, fmt.Errorf("panic: %v", r), refusal)
		}
	}()
	st, err = sp.judge(t, form, expect)
	if status, ok := errors.AsType[*StatusError](err); ok {
		return nil, t.checks, fault.Wrap(fault.Invalid, err, "the identity provider did not sign you in (%s)", status.name())
	}
	if err != nil {
		return nil, t.checks, fault.Wrap(fault.Invalid, err, refusal)
	}
	return st, t.checks, nil
}

func (e *StatusError) name() string {
	if e.Sub != "" {
		return e.Sub
	}
	return e.Code
}

// judge is the order of the steps.
func (sp *ServiceProvider) judge(t *trace, form string, expect Expect) (*Statement, error) {
	if err := expectable(expect); err != nil {
		return nil, err
	}
	now := sp.c.Now()
	ids := make(map[string]struct{})
	root, err := envelope(form, ids)
	if err := t.step("envelope", "a well-formed response within the limits", err); err != nil {
		return nil, err
	}
	if err := t.step("shape", "one assertion in its place, and nothing without one", fits(root)); err != nil {
		return nil, err
	}
	if err := t.status(root); err != nil {
		return nil, err
	}
	whole, err := sp.whole(t, root, now)
	if err != nil {
		return nil, err
	}
	assertion, verdict, err := sp.assertion(t, root, whole, now, ids)
	if err != nil {
		return nil, err
	}
	if whole != nil {
		root = whole.signed
	}
	m := meaning{sp: sp, t: t, expect: expect, now: now, response: root, assertion: assertion, signed: whole != nil}
	st, err := m.statement()
	if err != nil {
		return nil, err
	}
	st.Certificate = verdict.certificate
	st.SHA1 = verdict.sha1 || whole != nil && whole.sha1
	return st, nil
}

func expectable(expect Expect) error {
	switch {
	case expect.IDPInitiated && expect.RequestID != "":
		return errors.New("an answer cannot be both expected and unasked for")
	case !expect.IDPInitiated && expect.RequestID == "":
		return errors.New("no request is open")
	case expect.ForceAuthn && expect.RequestedAt.IsZero():
		return errors.New("a forced authentication needs the time of its request")
	}
	return nil
}

// envelope decodes and reads the form field.
func envelope(form string, ids map[string]struct{}) (*node, error) {
	if len(form) > maxDecoded/3*4+maxDecoded/24 { // with a line end every 64 characters
		return nil, fmt.Errorf("more than %d octets", maxDecoded)
	}
	octets, err := base64.StdEncoding.Strict().DecodeString(form)
	if err != nil {
		return nil, errors.New("not base64")
	}
	if len(octets) > maxDecoded {
		return nil, fmt.Errorf("more than %d octets", maxDecoded)
	}
	root, err := read(string(octets), ids)
	if err != nil {
		return nil, err
	}
	if root.name != (name{nsProtocol, "Response"}) {
		return nil, errors.New("the root element is no Response of SAML 2.0")
	}
	return root, nil
}

// whole verifies the signature of the response, and gives nil if it has none.
func (sp *ServiceProvider) whole(t *trace, root *node, now time.Time) (*verdict, error) {
	if root.child(name{nsDSig, "Signature"}) == nil {
		return nil, nil //nolint:nilnil // no signature is no fault yet: the assertion may have one
	}
	v, err := sp.verify(root, now)
	return v, t.signature("response signature", v, err)
}

// assertion gives the second reading of the assertion and the verdict that
// it rests on: its own signature where it has one, or else the response's.
func (sp *ServiceProvider) assertion(t *trace, root *node, whole *verdict, now time.Time, ids map[string]struct{}) (*node, *verdict, error) {
	holder := root
	if whole != nil {
		holder = whole.signed
	}
	if sealed := holder.child(name{nsAssertion, "EncryptedAssertion"}); sealed != nil {
		a, err := sp.decrypt(sealed, ids)
		if err := t.step("decryption", "an assertion encrypted for us", err); err != nil {
			return nil, nil, err
		}
		return sp.covered(t, a, a, whole, now)
	}
	// A signature within is verified where it was made. Its ancestors'
	// namespaces may count, and the outer canonical form lacks the unused ones.
	within := name{nsAssertion, "Assertion"}
	if root.child(within) == nil {
		return nil, nil, t.step("assertion", "one assertion", errors.New("none"))
	}
	return sp.covered(t, root.child(within), holder.child(within), whole, now)
}

// covered demands a signature over the assertion. sent is the assertion as
// it came, read is the second reading if the response was signed.
func (sp *ServiceProvider) covered(t *trace, sent, read *node, whole *verdict, now time.Time) (*node, *verdict, error) {
	if sent.child(name{nsDSig, "Signature"}) != nil {
		v, err := sp.verify(sent, now)
		if err := t.signature("assertion signature", v, err); err != nil {
			return nil, nil, err
		}
		return v.signed, v, nil
	}
	if whole == nil {
		return nil, nil, t.step("signature", "a signature over the assertion or the response", errors.New("neither is signed"))
	}
	return read, whole, nil
}

// trace collects the checks in the order in which they are made.
type trace struct{ checks []Check }

// step notes that something went well, or why not.
func (t *trace) step(check, want string, err error) error {
	got := "so it is"
	if err != nil {
		got = clean(err.Error())
	}
	t.checks = append(t.checks, Check{Name: check, Want: want, Got: got, OK: err == nil})
	if err != nil {
		return fmt.Errorf("%s: %w", check, err)
	}
	return nil
}

// want notes a value, and fails unless ok.
func (t *trace) want(check, want, got string, ok bool) error {
	want, got = clean(want), clean(got)
	t.checks = append(t.checks, Check{Name: check, Want: want, Got: got, OK: ok})
	if !ok {
		return fmt.Errorf("%s: want %s, got %s", check, want, got)
	}
	return nil
}

func (t *trace) signature(check string, v *verdict, err error) error {
	const want = "made by a trusted certificate over all of it"
	if err != nil {
		return t.step(check, want, err)
	}
	got := "certificate " + v.certificate
	if v.sha1 {
		got += ", with SHA-1"
	}
	return t.want(check, want, got, true)
}

// status reads what the response says of itself. It is asked before any
// signature: providers often do not sign a refusal, and a forged one lets
// nobody in.
func (t *trace) status(root *node) error {
	status := root.child(name{nsProtocol, "Status"})
	code := status.els[0]
	err := &StatusError{Code: statusName(code.value("Value"))}
	if len(code.els) > 0 {
		err.Sub = statusName(code.els[0].value("Value"))
	}
	if message := status.child(name{nsProtocol, "StatusMessage"}); message != nil {
		err.Message = clean(message.text())
	}
	if err.Code != "Success" {
		_ = t.want("status", "Success", err.Error(), false)
		return err
	}
	return t.want("status", "Success", err.Code, true)
}

// statusName shortens the codes of SAML core, section 3.2.2.2, and gives
// nothing else away that a stranger may have written.
func statusName(uri string) string {
	short, ok := strings.CutPrefix(uri, statusPrefix)
	if !ok {
		return "other"
	}
	switch short {
	case "Success", "Requester", "Responder", "VersionMismatch", "AuthnFailed", "InvalidAttrNameOrValue", "InvalidNameIDPolicy",
		"NoAuthnContext", "NoAvailableIDP", "NoPassive", "NoSupportedIDP", "PartialLogout", "ProxyCountExceeded", "RequestDenied",
		"RequestUnsupported", "RequestVersionDeprecated", "RequestVersionTooHigh", "RequestVersionTooLow", "ResourceNotRecognized",
		"TooManyResponses", "UnknownAttrProfile", "UnknownPrincipal", "UnsupportedBinding":
		return short
	}
	return "other"
}

// clean makes foreign text fit for a trace: bounded, printable, in one line.
func clean(s string) string {
	const most = 200
	var b strings.Builder
	for i, c := range s {
		if i >= most {
			b.WriteString("…")
			break
		}
		if c < ' ' || c == 0x7F || c > '~' && !printable(c) {
			c = '?'
		}
		b.WriteRune(c)
	}
	return b.String()
}
