package saml_test

import (
	"crypto/x509"
	"encoding/base64"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/fault"
	"portcullis/saml"
)

func TestStatementSaysWhatWasSigned(t *testing.T) {
	o := legit().set("SessionNotOnOrAfter", at(8*time.Hour)).set("Data.NotOnOrAfter", at(3*time.Minute))
	o.wrong = func(s string) string {
		return change(s, "<saml:NameID ", `<saml:NameID NameQualifier="n" SPNameQualifier="q" `)
	}
	got, _, err := provider(t, nil).Response(o.form(), expected)
	if err != nil {
		t.Fatal(err)
	}
	want := &saml.Statement{
		ID: "_a1", Issuer: theirEntity, InResponseTo: requestID,
		NameID: subject, NameIDFormat: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", NameQualifier: "n", SPNameQualifier: "q",
		SessionIndex: "_s1", AuthnContext: "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
		AuthnInstant: noon.Add(-2 * time.Second), SessionNotOnOrAfter: noon.Add(8 * time.Hour),
		Expires:    noon.Add(3*time.Minute + 90*time.Second), // the earlier end, and the skew
		Attributes: map[string][]string{"groups": {"g1", "g2"}}, Certificate: saml.Fingerprint(theirs().cert), Skew: -time.Second,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statement (-want +got):\n%s", diff)
	}
}

// TestExpiresIsTheLastMoment holds what the replay table is told against what
// is accepted.
func TestExpiresIsTheLastMoment(t *testing.T) {
	o := legit().set("NotOnOrAfter", at(time.Minute)).set("Data.NotOnOrAfter", at(2*time.Minute))
	form := o.form()
	at := noon
	sp := provider(t, func(c *saml.Config) { c.Now = func() time.Time { return at } })
	st, _, err := sp.Response(form, expected)
	if err != nil {
		t.Fatal(err)
	}
	at = st.Expires.Add(-time.Nanosecond)
	if _, _, err := sp.Response(form, expected); err != nil {
		t.Errorf("just before Expires: %v", err)
	}
	at = st.Expires
	if _, _, err := sp.Response(form, expected); err == nil {
		t.Error("accepted at Expires")
	}
}

func TestSHA1IsShown(t *testing.T) {
	for _, m := range [][2]string{{rsaSHA1, sha1URI}, {rsaSHA1, sha256URI}, {rsaSHA256, sha1URI}} {
		o := legit()
		o.s.method, o.s.digest = m[0], m[1]
		st, checks, err := provider(t, func(c *saml.Config) { c.IDP.AllowSHA1 = true }).Response(o.form(), expected)
		if err != nil || !st.SHA1 {
			t.Fatalf("%v: error %v, want a statement that names SHA-1", m, err)
		}
		if !slices.ContainsFunc(checks, func(c saml.Check) bool { return strings.Contains(c.Got, "with SHA-1") }) {
			t.Errorf("%v: no check shows SHA-1", m)
		}
	}
}

// TestTraceIsInOrder reads as the login trace will.
func TestTraceIsInOrder(t *testing.T) {
	o := legit()
	o.signResponse, o.encrypt = true, encrypted()
	expect := saml.Expect{RequestID: requestID, ForceAuthn: true, RequestedAt: noon.Add(-time.Minute), AuthnContexts: []string{"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"}}
	_, checks, err := provider(t, nil).Response(o.form(), expect)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range checks {
		names = append(names, c.Name)
	}
	want := []string{
		"envelope", "shape", "status", "response signature", "decryption", "assertion signature", "second reading",
		"response version", "destination", "response in response to", "response issuer", "response issued", "assertion version", "assertion issued", "issuer",
		"subject", "confirmation", "conditions", "audience", "audience restrictions", "authentication", "authenticated", "fresh authentication", "session index",
		"authentication context", "attributes",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
}

func TestConfigIsCheckedWhole(t *testing.T) {
	for name, change := range map[string]func(*saml.Config){
		"entity id":                         func(c *saml.Config) { c.EntityID = "" },
		"acs":                               func(c *saml.Config) { c.ACS = "/acs" },
		"slo":                               func(c *saml.Config) { c.SLO = "javascript:x" },
		"identity provider's entity id":     func(c *saml.Config) { c.IDP.EntityID = "" },
		"certificates: want 1 to 16, got 0": func(c *saml.Config) { c.IDP.Certificates = nil },
		"certificates: want 1 to 16, got 17": func(c *saml.Config) {
			c.IDP.Certificates = slices.Repeat([]*x509.Certificate{theirs().cert}, 17)
		},
		"decryption keys": func(c *saml.Config) { c.Decryption = slices.Repeat(c.Decryption, 5) },
		"skew":            func(c *saml.Config) { c.Skew = 6 * time.Minute },
		"max age":         func(c *saml.Config) { c.MaxAge = -1 },
		"max lifetime":    func(c *saml.Config) { c.MaxLifetime = -1 },
		"got one alone":   func(c *saml.Config) { c.Signing = []saml.KeyPair{{Certificate: ours().cert}} },
		"want an rsa key": func(c *saml.Config) { c.Decryption = []saml.KeyPair{keyPair(small())} },
	} {
		c := config()
		change(&c)
		if _, err := saml.New(c); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("New = %v, want it to name %s", err, name)
		}
	}
	_, err := saml.New(saml.Config{Skew: -1})
	if n := strings.Count(err.Error(), "\n") + 1; n != 5 {
		t.Errorf("New of nothing names %d mistakes, want 5: %v", n, err)
	}
}

// TestSkewIsBounded shows both ends of what differing clocks may do.
func TestSkewIsBounded(t *testing.T) {
	for _, tc := range []struct {
		clock time.Duration // ours, against theirs
		ok    bool
	}{{-92 * time.Second, false}, {-91 * time.Second, true}, {0, true}, {2*time.Minute + 89*time.Second, true}, {2*time.Minute + 90*time.Second, false}} {
		sp := provider(t, func(c *saml.Config) { c.Now = func() time.Time { return noon.Add(tc.clock) } })
		st, _, err := sp.Response(legit().form(), expected)
		if (err == nil) != tc.ok {
			t.Errorf("our clock at %v: error %v, want ok %v", tc.clock, err, tc.ok)
		}
		if err == nil && st.Skew != -time.Second-tc.clock {
			t.Errorf("our clock at %v: skew %v", tc.clock, st.Skew)
		}
	}
}

// TestLibrariesAreNewEnough holds the versions whose advisories are closed,
// as direct requirements.
func TestLibrariesAreNewEnough(t *testing.T) {
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for module, least := range map[string][3]int{
		"github.com/russellhaering/goxmldsig": {1, 6, 1}, "github.com/beevik/etree": {1, 8, 1}, "github.com/crewjam/saml": {0, 5, 1},
	} {
		m := regexp.MustCompile(regexp.QuoteMeta(module) + ` v(\d+)\.(\d+)\.(\d+)\n`).FindStringSubmatch(string(text))
		if m == nil {
			t.Errorf("%s is no direct requirement", module)
			continue
		}
		var got [3]int
		for i := range got {
			for _, c := range m[i+1] {
				got[i] = got[i]*10 + int(c-'0')
			}
		}
		if slices.Compare(got[:], least[:]) < 0 {
			t.Errorf("%s is at %v, want %v or later", module, got, least)
		}
	}
}

// FuzzResponse: whatever comes in, what is accepted says what the generator
// signed, and nothing panics.
func FuzzResponse(f *testing.F) {
	signed := map[string][]map[string][]string{"admin@example.com.evil.example": {{"groups": {"g1", "g2"}}}}
	for _, tc := range goodCases() {
		if tc.config != nil {
			continue
		}
		want := tc.want
		if want == nil {
			want = map[string][]string{"groups": {"g1", "g2"}}
		}
		signed[subject] = append(signed[subject], want)
		f.Add([]byte(tc.o.xml()))
	}
	for i, tc := range slices.Concat(wrapping(), exclusion(), tampering(), grammar()) {
		if i%17 == 0 {
			f.Add([]byte(decoded(tc.form)))
		}
	}
	sp := provider(f, nil)
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, expect := range []saml.Expect{expected, {IDPInitiated: true}} {
			st, checks, err := sp.Response(base64.StdEncoding.EncodeToString(doc), expect)
			if err != nil {
				refused(t, "fuzz", st, checks, err)
				continue
			}
			same := func(want map[string][]string) bool {
				return maps.EqualFunc(want, st.Attributes, func(a, b []string) bool { return slices.Equal(a, b) })
			}
			if !slices.ContainsFunc(signed[st.NameID], same) {
				t.Errorf("accepted %q with %v, which nobody signed", st.NameID, st.Attributes)
			}
		}
	})
}

// TestPanicIsARefusal stands for the mistakes that we do not know of: a page
// of the 4xx kind all the same, and a line in the trace.
func TestPanicIsARefusal(t *testing.T) {
	sp := provider(t, func(c *saml.Config) { c.Now = func() time.Time { panic("no clock") } })
	st, checks, err := sp.Response(legit().form(), expected)
	if st != nil || !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "no clock") || strings.Contains(fault.Message(err), "clock") {
		t.Errorf("Response = %v, %v, want a refusal that hides its cause", st, err)
	}
	if len(checks) == 0 || checks[len(checks)-1].OK {
		t.Errorf("checks = %+v, want the last one to fail", checks)
	}
}
