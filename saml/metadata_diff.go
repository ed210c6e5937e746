package saml

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Change is one difference between what an identity provider said before and
// what it says now.
type Change struct {
	What          string // such as "entity id", "sso redirect", "certificate"
	Old, New      string // certificates by fingerprint; empty where there is none
	NeedsApproval bool
}

// DiffMetadata says how a provider's metadata changed, and which changes an
// administrator has to approve: a new name, a new address, or keys of which
// none was trusted before. A key that joins or leaves while another stays is a
// rollover and needs nobody. A certificate that is made anew for the same key
// is no new key.
//
// One change that needs approval holds back all of them: half of a document is
// not what the provider said.
func DiffMetadata(old, now *IdentityProvider) []Change {
	var changes []Change
	if old.EntityID != now.EntityID {
		changes = append(changes, Change{"entity id", old.EntityID, now.EntityID, true})
	}
	changes = append(changes, diffEndpoints("sso", old.SSO, now.SSO)...)
	changes = append(changes, diffEndpoints("slo", old.SLO, now.SLO)...)
	changes = append(changes, diffCertificates(old.Certificates, now.Certificates)...)
	if old.WantRequestsSigned != now.WantRequestsSigned {
		changes = append(changes, Change{"signed requests wanted", strconv.FormatBool(old.WantRequestsSigned), strconv.FormatBool(now.WantRequestsSigned), false})
	}
	if before, after := sortedJoin(old.NameIDFormats), sortedJoin(now.NameIDFormats); before != after {
		changes = append(changes, Change{"name id formats", before, after, false})
	}
	return changes
}

// diffEndpoints compares the addresses of each binding. One that only goes
// away needs no approval: nobody is sent anywhere new.
func diffEndpoints(kind string, old, now []Endpoint) []Change {
	var changes []Change
	for _, b := range []struct{ name, binding string }{{"redirect", BindingRedirect}, {"post", BindingPOST}} {
		before, after := addresses(old, b.binding), addresses(now, b.binding)
		if slices.Equal(before, after) {
			continue
		}
		added := slices.ContainsFunc(after, func(a string) bool { return !slices.Contains(before, a) })
		changes = append(changes, Change{kind + " " + b.name, strings.Join(before, " "), strings.Join(after, " "), added})
	}
	return changes
}

// addresses keeps the order: the first endpoint of a binding is the one in use.
func addresses(endpoints []Endpoint, binding string) []string {
	var all []string
	for _, e := range endpoints {
		if e.Binding != binding {
			continue
		}
		address := e.Location
		if e.ResponseLocation != "" {
			address += " answers " + e.ResponseLocation
		}
		all = append(all, address)
	}
	return all
}

func diffCertificates(old, now []*x509.Certificate) []Change {
	kept := slices.ContainsFunc(now, func(c *x509.Certificate) bool { return hasKey(old, c) })
	var changes []Change
	for _, c := range now {
		if !slices.ContainsFunc(old, c.Equal) {
			changes = append(changes, Change{"certificate", "", Fingerprint(c), !kept})
		}
	}
	for _, c := range old {
		if !slices.ContainsFunc(now, c.Equal) {
			changes = append(changes, Change{"certificate", Fingerprint(c), "", !kept})
		}
	}
	return changes
}

func hasKey(certificates []*x509.Certificate, c *x509.Certificate) bool {
	return slices.ContainsFunc(certificates, func(o *x509.Certificate) bool {
		return bytes.Equal(o.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo)
	})
}

func sortedJoin(values []string) string {
	return strings.Join(slices.Sorted(slices.Values(values)), " ")
}

// CertificateState is what doctor says of a certificate.
type CertificateState struct {
	Fingerprint string
	NotAfter    time.Time
	Expired     bool // or not valid yet
	Weak        bool // an RSA key below 2048 bits, an elliptic one below 256, or another: it verifies nothing
}

// CertificateStates looks at each certificate of a provider at a time.
func CertificateStates(certificates []*x509.Certificate, now time.Time) []CertificateState {
	states := make([]CertificateState, 0, len(certificates))
	for _, c := range certificates {
		states = append(states, CertificateState{
			Fingerprint: Fingerprint(c),
			NotAfter:    c.NotAfter,
			Expired:     now.Before(c.NotBefore) || now.After(c.NotAfter),
			Weak:        !strongKey(c),
		})
	}
	return states
}
