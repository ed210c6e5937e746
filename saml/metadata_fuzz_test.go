package saml_test

import (
	"crypto/x509"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/fault"
	"portcullis/saml"
)

// Whatever is accepted names a provider, has keys, and sends people to https
// addresses only (or to this machine).
func FuzzReadMetadata(f *testing.F) {
	addSplices(f)
	good := strings.ReplaceAll(federation("", idpMetadata()), theirSLO, "http://127.0.0.1/slo")
	for _, at := range []string{"https://", "http://", "Binding", "use=", "entityID"} {
		f.Add(uint(strings.Index(good, at)), uint(len(at)), "x")
	}
	f.Fuzz(func(t *testing.T, at, cut uint, text string) {
		data := []byte(splice(good, at, cut, text))
		m, err := saml.ReadMetadata(data, saml.MetadataOptions{})
		if err != nil {
			if fault.KindOf(err) == fault.Internal {
				t.Errorf("an internal error: %v", err)
			}
			return
		}
		if m.IDP.EntityID == "" || len(m.IDP.Certificates) == 0 || len(m.IDP.SSO) == 0 {
			t.Errorf("accepted without a name, a key or an endpoint: %+v", m)
		}
		for _, e := range append(m.IDP.SSO, m.IDP.SLO...) {
			for _, location := range []string{e.Location, e.ResponseLocation} {
				u, err := url.Parse(location)
				if err != nil || location != "" && u.Scheme != "https" && (u.Scheme != "http" || !strings.Contains("127.0.0.1 localhost ::1", u.Hostname()) && !strings.HasPrefix(u.Hostname(), "127.")) {
					t.Errorf("accepted the address %q", location)
				}
			}
		}
		again, err := saml.ReadMetadata(data, saml.MetadataOptions{EntityID: m.IDP.EntityID})
		if err != nil || len(saml.DiffMetadata(&m.IDP, &again.IDP)) > 0 {
			t.Errorf("read again by its name it is %+v, %v", again, err)
		}
	})
}

// Whatever is accepted as signed is what the pinned key signed.
func FuzzSignedMetadata(f *testing.F) {
	addSplices(f)
	pinned := saml.MetadataOptions{EntityID: theirEntity, Signers: []*x509.Certificate{strangeKey().Certificate}}
	good := signXML(f, federation(` ID="_f1"`, idpMetadata()), strangeKey(), rsaSHA256)
	f.Fuzz(func(t *testing.T, at, cut uint, text string) {
		got, err := saml.ReadMetadata([]byte(splice(good, at, cut, text)), pinned)
		if err != nil {
			return
		}
		if diff := cmp.Diff(wantMetadata(), got, sameMetadata()); diff != "" {
			t.Errorf("accepted what was not signed (-want +got)\n%s", diff)
		}
	})
}
