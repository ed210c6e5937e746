package saml

import (
	"crypto/x509"
	"encoding/base64"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"

	"portcullis/fault"
)

const (
	maxMetadata   = 1 << 20 // bytes; a federation publishes many providers in one document
	maxEntityID   = 1024    // SAML metadata, section 2.2.1
	maxLocation   = 2048
	maxEndpoints  = 20 // of one kind, of one provider
	maxNamed      = 5  // providers that a refusal names
	maxCertBase64 = 64 << 10
)

// MetadataOptions says how to read an identity provider's metadata. The zero
// value takes an unsigned document that describes one provider.
type MetadataOptions struct {
	EntityID string // which provider to take; needed where the document has several

	// Signers are the keys of whom may vouch for the document. When there are
	// any, its root must be signed with one of them, by SHA-256 or better.
	Signers []*x509.Certificate

	// Now refuses what is no longer valid then. The zero value accepts it: a
	// file that an administrator put there may be old.
	Now time.Time
}

// Metadata is what an identity provider says about itself.
type Metadata struct {
	IDP IdentityProvider // AllowSHA1 is the connection's to say, and false here

	ValidUntil    time.Time     // the zero time where nobody said
	CacheDuration time.Duration // when to ask again, a second to a year; 0 where nobody said
}

// ReadMetadata reads what an identity provider says about itself: an
// EntityDescriptor, or an EntitiesDescriptor in which one is meant (SAML
// metadata, section 2.3).
//
// Certificates count by their key. One that has expired is taken: many
// providers never renew what they signed themselves. [CertificateStates] tells.
//
// It fails with [fault.TooLarge] over 1 MB, with [fault.Unauthenticated] when
// the signature that is wanted is missing or not good, and with
// [fault.Invalid], saying what is wrong, for anything else.
func ReadMetadata(data []byte, o MetadataOptions) (*Metadata, error) {
	if len(data) > maxMetadata {
		return nil, fault.New(fault.TooLarge, "the metadata is larger than %d bytes", maxMetadata)
	}
	root, err := metadataRoot(data, o.Signers)
	if err != nil {
		return nil, err
	}
	entity, err := pickEntity(root, o.EntityID)
	if err != nil {
		return nil, err
	}
	m, err := readEntity(entity)
	if err != nil {
		return nil, err
	}
	if !o.Now.IsZero() && !m.ValidUntil.IsZero() && !o.Now.Before(m.ValidUntil) {
		return nil, fault.New(fault.Invalid, "the metadata was valid until %s", formatTime(m.ValidUntil))
	}
	return m, nil
}

// pickEntity finds the provider that is meant. Two that could be meant are
// refused, for the order of a document is nothing to decide on.
func pickEntity(root *etree.Element, want string) (*etree.Element, error) {
	var found []*etree.Element
	var collect func(*etree.Element)
	collect = func(el *etree.Element) {
		switch {
		case isTag(el, nsMetadata, "EntitiesDescriptor"):
			for _, child := range el.ChildElements() {
				collect(child)
			}
		case isTag(el, nsMetadata, "EntityDescriptor"):
			id := attribute(el, "entityID")
			if len(idpRoles(el)) > 0 && (want == "" || id == want) {
				found = append(found, el)
			}
		}
	}
	collect(root)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && want != "":
		return nil, fault.New(fault.Invalid, "the metadata has no SAML 2.0 identity provider %q", clean(want))
	case len(found) == 0:
		return nil, fault.New(fault.Invalid, "the metadata has no SAML 2.0 identity provider (an EntityDescriptor with an IDPSSODescriptor)")
	case want != "":
		return nil, fault.New(fault.Invalid, "the metadata has the identity provider %q more than once", clean(want))
	}
	var names []string
	for _, el := range found[:min(len(found), maxNamed)] {
		names = append(names, clean(attribute(el, "entityID")))
	}
	return nil, fault.New(fault.Invalid, "the metadata has %d identity providers; say which is meant, for example %s", len(found), strings.Join(names, ", "))
}

// idpRoles gives the roles of an entity that speak SAML 2.0 as an identity
// provider.
func idpRoles(entity *etree.Element) []*etree.Element {
	return slices.DeleteFunc(children(entity, nsMetadata, "IDPSSODescriptor"), func(role *etree.Element) bool {
		return !slices.Contains(strings.Fields(attribute(role, "protocolSupportEnumeration")), nsProtocol)
	})
}

func readEntity(entity *etree.Element) (*Metadata, error) {
	roles := idpRoles(entity)
	if len(roles) != 1 {
		return nil, fault.New(fault.Invalid, "the metadata describes the identity provider %d times in one EntityDescriptor", len(roles))
	}
	role := roles[0]
	m := &Metadata{IDP: IdentityProvider{EntityID: attribute(entity, "entityID")}}
	idp := &m.IDP
	if idp.EntityID == "" || len(idp.EntityID) > maxEntityID {
		return nil, fault.New(fault.Invalid, "entityID: want 1 to %d bytes, got %d", maxEntityID, len(idp.EntityID))
	}
	var err error
	if idp.WantRequestsSigned, err = readBool(role, "WantAuthnRequestsSigned"); err != nil {
		return nil, err
	}
	if m.ValidUntil, m.CacheDuration, err = readValidity(role); err != nil {
		return nil, err
	}
	if idp.Certificates, err = readCertificates(role); err != nil {
		return nil, err
	}
	if idp.SSO, err = readEndpoints(role, "SingleSignOnService"); err != nil {
		return nil, err
	}
	if len(idp.SSO) == 0 {
		return nil, fault.New(fault.Invalid, "the identity provider has no SingleSignOnService with the redirect or POST binding")
	}
	if idp.SLO, err = readEndpoints(role, "SingleLogoutService"); err != nil {
		return nil, err
	}
	for _, el := range children(role, nsMetadata, "NameIDFormat") {
		format, err := text(el)
		if err != nil {
			return nil, err
		}
		idp.NameIDFormats = append(idp.NameIDFormats, format)
	}
	return m, nil
}

// readCertificates reads the keys that may sign. A KeyDescriptor without a use
// serves every use (SAML metadata, section 2.4.1.1).
func readCertificates(role *etree.Element) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	for _, descriptor := range children(role, nsMetadata, "KeyDescriptor") {
		if use := attribute(descriptor, "use"); use != "" && use != "signing" {
			continue
		}
		for _, info := range children(descriptor, nsDSig, "KeyInfo") {
			for _, data := range children(info, nsDSig, "X509Data") {
				chain, err := readX509Data(data)
				if err != nil {
					return nil, err
				}
				for _, c := range chain {
					if !slices.ContainsFunc(found, c.Equal) {
						found = append(found, c)
					}
				}
			}
		}
	}
	if len(found) > maxCertificates {
		return nil, fault.New(fault.Invalid, "the identity provider has %d signing certificates; at most %d are read", len(found), maxCertificates)
	}
	if !slices.ContainsFunc(found, strongKey) {
		return nil, fault.New(fault.Invalid, "the identity provider has no signing certificate with an RSA key of at least %d bits, or an elliptic one of %d", minRSA, minEC)
	}
	return found, nil
}

// readX509Data reads one bag of certificates and leaves out those that issued
// another in it: an authority's key signs certificates, not messages.
func readX509Data(data *etree.Element) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, el := range children(data, nsDSig, "X509Certificate") {
		value, err := text(el)
		if err != nil {
			return nil, err
		}
		if len(value) > maxCertBase64 {
			return nil, fault.New(fault.Invalid, "a signing certificate is larger than %d bytes", maxCertBase64)
		}
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value), ""))
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "a signing certificate is not base64")
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "a signing certificate cannot be read")
		}
		all = append(all, c)
	}
	return slices.DeleteFunc(slices.Clone(all), func(authority *x509.Certificate) bool {
		return slices.ContainsFunc(all, func(c *x509.Certificate) bool {
			return !c.Equal(authority) && string(c.RawIssuer) == string(authority.RawSubject) && string(c.RawSubject) != string(c.RawIssuer)
		})
	}), nil
}

// readEndpoints reads the endpoints of one kind that a browser can be sent to.
// Other bindings are left out: the gate does not speak them.
func readEndpoints(role *etree.Element, name string) ([]Endpoint, error) {
	var found []Endpoint
	for _, el := range children(role, nsMetadata, name) {
		e := Endpoint{
			Binding:          attribute(el, "Binding"),
			Location:         attribute(el, "Location"),
			ResponseLocation: attribute(el, "ResponseLocation"),
		}
		if e.Binding != BindingRedirect && e.Binding != BindingPOST {
			continue
		}
		if err := checkLocation(e.Location); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "%s: Location %q: %s", name, clean(e.Location), fault.Message(err))
		}
		if e.ResponseLocation != "" {
			if err := checkLocation(e.ResponseLocation); err != nil {
				return nil, fault.Wrap(fault.Invalid, err, "%s: ResponseLocation %q: %s", name, clean(e.ResponseLocation), fault.Message(err))
			}
		}
		if found = append(found, e); len(found) > maxEndpoints {
			return nil, fault.New(fault.Invalid, "%s stands there more than %d times", name, maxEndpoints)
		}
	}
	return found, nil
}

// checkLocation accepts an https URL, and an http one on this machine.
func checkLocation(location string) error {
	if len(location) > maxLocation {
		return fault.New(fault.Invalid, "it is longer than %d bytes", maxLocation)
	}
	u, err := url.Parse(location)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "it is not a URL")
	}
	switch {
	case u.Host == "" || u.Hostname() == "":
		return fault.New(fault.Invalid, "it has no host")
	case u.User != nil:
		return fault.New(fault.Invalid, "it holds a user name")
	case strings.Contains(location, "#"):
		return fault.New(fault.Invalid, "it has a fragment")
	case strings.ContainsFunc(location, func(r rune) bool { return r <= ' ' || r == '\\' || r >= 0x7f }):
		return fault.New(fault.Invalid, "it has characters that a URL cannot have")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fault.New(fault.Invalid, "want https (http only on loopback)")
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
