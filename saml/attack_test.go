package saml_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"portcullis/fault"
	"portcullis/internal/cpu"
	"portcullis/saml"
)

func badCases() []bad {
	return slices.Concat(wrapping(), nesting(), exclusion(), algorithmic(), values(), references(), transforms(), certificates(),
		tampering(), grammar(), floods(), meanings(), encryptionAttacks())
}

func TestAttacksAreRefused(t *testing.T) {
	counts, slowest, slow := make(map[string]int), time.Duration(0), ""
	oracles := make(map[string]string)
	for _, tc := range badCases() {
		expect := expected
		if tc.expect != nil {
			expect = *tc.expect
		}
		sp := provider(t, tc.config)
		var st *saml.Statement
		var checks []saml.Check
		var err error
		answer := func() { st, checks, err = sp.Response(tc.form, expect) }
		took := cpu.Least(1, answer)
		if took > 5*time.Millisecond { // a collection of garbage may have fallen into it
			took = min(took, cpu.Least(5, answer))
		}
		name := tc.class + ": " + tc.name
		if took > slowest {
			slowest, slow = took, name
		}
		if took > cpu.Budget {
			t.Errorf("%s cost %v of CPU, want at most %v", name, took, cpu.Budget)
		}
		counts[tc.class]++
		switch {
		case err != nil:
			refused(t, name, st, checks, err)
			if tc.class == oracle {
				oracles[fmt.Sprint(err, checks[len(checks)-1])] = tc.name
			}
		case !tc.harmless:
			t.Errorf("%s: accepted as %q", name, st.NameID)
		case st.NameID == victim:
			t.Errorf("%s: signed in the victim", name)
		}
	}
	if len(oracles) != 1 { // what an attacker does to a ciphertext must all look alike
		for e, name := range oracles {
			t.Errorf("%s gives %s", name, e)
		}
	}
	total := 0
	for _, class := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%5d %s", counts[class], class)
		total += counts[class]
	}
	t.Logf("%5d in all; most expensive %v of CPU: %s", total, slowest.Round(10*time.Microsecond), slow)
	if total < 1000 {
		t.Errorf("%d cases, want more than 1,000", total)
	}
}

// refused holds a refusal against its promise: one public sentence, and a
// trace that is bounded, printable and shows no name.
func refused(t *testing.T, name string, st *saml.Statement, checks []saml.Check, err error) {
	t.Helper()
	if st != nil {
		t.Errorf("%s: a statement came with the error", name)
	}
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("%s: kind = %v, want invalid", name, fault.KindOf(err))
	}
	if _, ok := errors.AsType[*saml.StatusError](err); !ok && fault.Message(err) != "the identity provider's answer was not accepted" {
		t.Errorf("%s: message = %q", name, fault.Message(err))
	}
	for i, c := range checks {
		if c.OK == (i == len(checks)-1) && (i < len(checks)-1 || !expectations(err)) {
			t.Errorf("%s: check %d of %d is %v: %+v", name, i+1, len(checks), c.OK, c)
		}
		for _, s := range []string{c.Name, c.Want, c.Got} {
			if len(s) > 300 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%s: check shows %q", name, s)
			}
			if strings.Contains(s, subject) || strings.Contains(s, victim) {
				t.Errorf("%s: check shows the subject: %q", name, s)
			}
		}
	}
	if strings.Contains(err.Error(), "panic") {
		t.Errorf("%s: %v", name, err)
	}
}

// expectations is whether err is about what the caller expects, which is no
// check of an answer.
func expectations(err error) bool {
	return strings.Contains(err.Error(), "no request is open") || strings.Contains(err.Error(), "unasked") || strings.Contains(err.Error(), "forced authentication needs")
}

// TestEveryOctetCounts flips octets of a good answer one by one: what is
// still accepted says exactly what was signed.
func TestEveryOctetCounts(t *testing.T) {
	for _, mode := range []string{"assertion", "response", "both", "encrypted"} {
		o := legit()
		o.signAssertion, o.signResponse = mode != "response", mode == "response" || mode == "both"
		if mode == "encrypted" {
			o.encrypt = encrypted()
		}
		sp := provider(t, nil)
		doc := o.xml()
		want, _, err := sp.Response(encode(doc), expected)
		if err != nil {
			t.Fatal(err)
		}
		accepted := 0
		for i := range len(doc) {
			if i%3 != 0 || mode != "assertion" && i%29 != 0 {
				continue
			}
			b := []byte(doc)
			b[i] ^= byte(1 << (i % 6))
			got, _, err := sp.Response(encode(string(b)), expected)
			if err != nil {
				continue
			}
			accepted++
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, octet %d: %q for %q gives\n%s", mode, i, b[max(0, i-20):min(len(b), i+20)], doc[max(0, i-20):min(len(doc), i+20)], diff)
			}
		}
		t.Logf("%s: %d changes of %d octets make no difference", mode, accepted, len(doc))
	}
}

func TestStatusIsNamed(t *testing.T) {
	const prefix = "urn:oasis:names:tc:SAML:2.0:status:"
	for _, tc := range []struct{ code, sub, message, want string }{
		{prefix + "Responder", prefix + "AuthnFailed", "no such\x7F person", "AuthnFailed"},
		{prefix + "Responder", prefix + "NoPassive", "-", "NoPassive"},
		{prefix + "Requester", prefix + "RequestDenied", "-", "RequestDenied"},
		{prefix + "Requester", "-", strings.Repeat("é", 500), "Requester"},
		{prefix + "Responder", "http://evil.example/?click-here", "-", "other"},
		{"urn:x", "-", "-", "other"},
	} {
		o := legit().set("Status", tc.code).set("Status.Sub", tc.sub).set("Status.Message", tc.message)
		o.signAssertion = false
		doc := o.xml()
		doc = strings.Replace(doc, between(doc, "<saml:Assertion", "</saml:Assertion>"), "", 1) // as providers do
		_, checks, err := provider(t, nil).Response(encode(doc), expected)
		status, ok := errors.AsType[*saml.StatusError](err)
		if !ok {
			t.Fatalf("%s: error = %v, want a status", tc.want, err)
		}
		if want := "the identity provider did not sign you in (" + tc.want + ")"; fault.Message(err) != want || !fault.Is(err, fault.Invalid) {
			t.Errorf("message = %q, want %q", fault.Message(err), want)
		}
		if len(status.Message) > 300 || strings.ContainsFunc(status.Message, unicode.IsControl) {
			t.Errorf("status message %q is not bounded or not printable", status.Message)
		}
		if last := checks[len(checks)-1]; last.Name != "status" || last.OK {
			t.Errorf("last check = %+v, want a failed status", last)
		}
	}
}

// TestALateCertificateIsNamed: the administrator of a provider that goes on
// signing with an expired key has to learn which one that is.
func TestALateCertificateIsNamed(t *testing.T) {
	late := makePair(theirs().key, noon.AddDate(-2, 0, 0), noon.Add(-time.Hour))
	sp := provider(t, func(c *saml.Config) { c.IDP.Certificates = append(c.IDP.Certificates[1:], stranger().cert, late.cert) })
	_, checks, err := sp.Response(legit().form(), expected)
	if err == nil {
		t.Fatal("the signature of an expired certificate was taken")
	}
	got := checks[len(checks)-1].Got
	for _, want := range []string{saml.Fingerprint(late.cert)[:12], "to 2026-03-01T11:00:00.000Z"} {
		if !strings.Contains(got, want) {
			t.Errorf("the check says %q, want %q in it", got, want)
		}
	}
}
