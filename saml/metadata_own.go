package saml

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"strconv"
	"time"

	"github.com/beevik/etree"

	"portcullis/fault"
)

// OwnMetadata is what our metadata says besides the connection.
type OwnMetadata struct {
	Valid        time.Duration // validUntil, from now; 0 says none
	Cache        time.Duration // cacheDuration, in whole seconds; 0 says none
	NameIDFormat string        // the format that we ask for; empty says none
	Unsigned     bool          // requests are not signed
}

// Metadata writes what an identity provider has to know of us, in the order of
// the schema (SAML metadata, section 2.4.4). It shows every key of the
// connection, so that the next one is known before it is used. It offers POST
// for answers, redirect and POST for logout, and no artifact binding.
func (sp *ServiceProvider) Metadata(o OwnMetadata) ([]byte, error) { return sp.c.metadata(o) }

// OwnMetadataOf is [ServiceProvider.Metadata] while nothing is known of the
// identity provider yet: its administrator needs ours to make theirs. Of c it
// reads who we are, our keys and the clock.
func OwnMetadataOf(c Config, o OwnMetadata) ([]byte, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	return c.metadata(o)
}

func (c *Config) metadata(o OwnMetadata) ([]byte, error) {
	entity := etree.NewElement("md:EntityDescriptor")
	entity.CreateAttr("xmlns:md", nsMetadata)
	entity.CreateAttr("xmlns:ds", nsDSig)
	entity.CreateAttr("entityID", c.EntityID)
	if o.Valid > 0 {
		entity.CreateAttr("validUntil", formatTime(c.Now().Add(o.Valid)))
	}
	if o.Cache > 0 {
		entity.CreateAttr("cacheDuration", formatDuration(o.Cache))
	}
	role := entity.CreateElement("md:SPSSODescriptor")
	role.CreateAttr("AuthnRequestsSigned", strconv.FormatBool(len(c.Signing) > 0 && !o.Unsigned))
	role.CreateAttr("WantAssertionsSigned", strconv.FormatBool(true))
	role.CreateAttr("protocolSupportEnumeration", nsProtocol)
	for _, pair := range c.Signing {
		addKeyDescriptor(role, "signing", pair.Certificate)
	}
	for _, pair := range c.Decryption {
		descriptor := addKeyDescriptor(role, "encryption", pair.Certificate)
		for _, name := range encryptionMethods() {
			descriptor.CreateElement("md:EncryptionMethod").CreateAttr("Algorithm", name)
		}
	}
	if c.SLO != "" && len(c.Signing) > 0 { // logout messages have to be signed
		for _, binding := range []string{BindingRedirect, BindingPOST} {
			service := role.CreateElement("md:SingleLogoutService")
			service.CreateAttr("Binding", binding)
			service.CreateAttr("Location", c.SLO)
		}
	}
	if o.NameIDFormat != "" {
		role.CreateElement("md:NameIDFormat").SetText(o.NameIDFormat)
	}
	service := role.CreateElement("md:AssertionConsumerService")
	service.CreateAttr("Binding", BindingPOST)
	service.CreateAttr("Location", c.ACS)
	service.CreateAttr("index", "0")
	service.CreateAttr("isDefault", strconv.FormatBool(true))

	doc := etree.NewDocument()
	doc.CreateProcInst("xml", `version="1.0" encoding="UTF-8"`)
	doc.AddChild(entity)
	doc.Indent(2)
	data, err := doc.WriteToBytes()
	return data, fault.Wrap(fault.Internal, err, "write metadata")
}

func addKeyDescriptor(role *etree.Element, use string, c *x509.Certificate) *etree.Element {
	descriptor := role.CreateElement("md:KeyDescriptor")
	descriptor.CreateAttr("use", use)
	data := descriptor.CreateElement("ds:KeyInfo").CreateElement("ds:X509Data")
	data.CreateElement("ds:X509Certificate").SetText(base64.StdEncoding.EncodeToString(c.Raw))
	return descriptor
}

// encryptionMethods are what an identity provider may encrypt with, the best
// first (XML encryption, sections 5.2 and 5.5). Some take the first that they know.
func encryptionMethods() []string {
	return []string{
		nsXEnc11 + "aes256-gcm",
		nsXEnc11 + "aes128-gcm",
		nsXEnc + "aes256-cbc",
		nsXEnc + "aes128-cbc",
		nsXEnc + "rsa-oaep-mgf1p",
	}
}

// keyBits is the size of a key of ours. NIST SP 800-57 wants 3072 bits for what
// is used after 2030, and these live for years.
const keyBits = 3072

// NewKeyPair makes an RSA key of 3072 bits and a certificate for it, which the
// key signs itself: identity providers compare it and trust nobody for it. The
// certificate is good from an hour before now, for clocks that lag. The key and
// the serial number come from the system's entropy: crypto/rsa takes no other.
func NewKeyPair(name string, now time.Time, life time.Duration) (*KeyPair, error) {
	if name == "" || len(name) > 64 { // X.520: ub-common-name
		return nil, fault.New(fault.Invalid, "the name of a certificate: want 1 to 64 bytes, got %d", len(name))
	}
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "make a key")
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-time.Hour).UTC(),
		NotAfter:              now.Add(life).UTC(),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "make a certificate")
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "read a certificate")
	}
	return &KeyPair{Private: key, Certificate: certificate}, nil
}
