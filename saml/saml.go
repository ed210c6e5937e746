// Package saml is the protocol of a SAML 2.0 service provider: what it says
// of itself, what it asks, and above all what it believes of an answer.
//
// The package is pure. It opens no connection and no file and writes no row:
// bytes, the clock and entropy come in, and a [Statement] or a fault goes out.
// Whether a request is still open, whether an assertion was seen before and
// whose browser brought it are questions for the caller, which finds what it
// needs for them in [Statement]: InResponseTo, ID and Expires.
//
// # What is believed
//
// An answer goes through these steps in order, and each is a [Check] of the
// login trace:
//
//  1. The guard (guard.go) reads the XML once, with limits, in the small part
//     of the language that SAML needs: no DTD, no entities of its own, no
//     processing instructions, no comment next to text.
//  2. The policy (policy.go) holds the tree against the one shape that we
//     accept. Whatever has no place in it is refused and not skipped, so
//     that nothing is left to wrap a signature in.
//  3. Each signature is verified (verify.go) against the certificates that
//     we trust, whatever its KeyInfo says.
//  4. An encrypted assertion is decrypted (decrypt.go), with one error for
//     every way in which that can fail.
//  5. The meaning (meaning.go) is read from a second reading of the very
//     octets whose digest was signed. The tree that the sender wrote is not
//     looked at again, so it does not matter what else it says.
//
// # Why not the library's ParseResponse
//
// The libraries make what is sent: metadata, requests, their signatures. The
// answer is read here, for two reasons. Where one reader's tree is verified
// and another's is read, the two have to be shown to agree, token by token,
// on every sign-in: a third of what a sign-in costs. And a promise about
// what was signed is easier to keep where there is one reader, one canonical
// form and one second reading than across four packages. The tests hold this
// canonical form against the library's.
package saml

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io"
	"net/url"
	"slices"
	"time"

	"portcullis/fault"
)

// Bounds of what is configured: they bound what one answer can cost.
const (
	maxCertificates = 16
	maxDecryption   = 4
	minRSA          = 2048
	maxRSA          = 8192
	minEC           = 256
)

// Namespaces of the documents that the package reads and writes.
const (
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsDSig      = "http://www.w3.org/2000/09/xmldsig#"
	nsXEnc      = "http://www.w3.org/2001/04/xmlenc#"
	nsXEnc11    = "http://www.w3.org/2009/xmlenc11#"
	nsXSI       = "http://www.w3.org/2001/XMLSchema-instance"
	nsWSSE      = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	nsXML       = "http://www.w3.org/XML/1998/namespace"
)

// The two bindings that the gate speaks (SAML 2.0 bindings, sections 3.4 and
// 3.5). Artifact and SOAP are not among them.
const (
	BindingRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	BindingPOST     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
)

// Endpoint is where one binding of a service is spoken.
type Endpoint struct {
	Binding          string // [BindingRedirect] or [BindingPOST]
	Location         string // an absolute URL
	ResponseLocation string // where answers go; empty means Location
}

// IdentityProvider is what we know of the other side, from its metadata or
// by hand.
type IdentityProvider struct {
	EntityID string // compared with every Issuer, octet by octet

	// Certificates are the ones trusted for signatures, several during a
	// rollover. One that is outside its validity is not used, nor an RSA key
	// below 2048 bits, nor an elliptic one below 256.
	Certificates []*x509.Certificate

	// AllowSHA1 is the explicit exception for providers that cannot sign
	// otherwise. It is shown in the trace of every sign-in that needs it.
	AllowSHA1 bool

	SSO []Endpoint // where requests go
	SLO []Endpoint // where logout messages go; empty when it offers none

	WantRequestsSigned bool     // its metadata asks for signed requests
	NameIDFormats      []string // the formats that its metadata offers
}

// KeyPair is a key of ours and the certificate that our metadata shows for it.
type KeyPair struct {
	Private     *rsa.PrivateKey
	Certificate *x509.Certificate
}

// Config is one service provider: the gate as one connection's identity
// provider sees it. A connection that allows sign-ins started at the provider
// says so per answer, in [Expect].
type Config struct {
	EntityID string // required: our name, and the audience of every assertion
	ACS      string // required: the absolute URL that answers are posted to
	SLO      string // the absolute URL of our single logout; empty offers none

	IDP IdentityProvider // required: EntityID and at least one certificate

	// Signing signs requests and logout messages with its first pair; the
	// others are only shown in the metadata, for a rollover. Empty signs none.
	Signing []KeyPair

	// Decryption are tried in order; several during a rollover, at most four.
	Decryption []KeyPair

	Skew        time.Duration // how far clocks may differ, at most 5m; defaults to 90s
	MaxAge      time.Duration // how old an answer may be when it arrives; defaults to 2m
	MaxLifetime time.Duration // how long an assertion may be good for; defaults to 24h

	Now     func() time.Time // defaults to time.Now
	Entropy io.Reader        // of message IDs; defaults to crypto/rand, and is used concurrently
}

// ServiceProvider speaks for the gate to one identity provider. It is made
// by [New], holds no state and may be used concurrently.
type ServiceProvider struct {
	c Config
}

// New checks c whole and reports every mistake, each as a [fault.Invalid].
func New(c Config) (*ServiceProvider, error) {
	if c.Skew == 0 {
		c.Skew = 90 * time.Second
	}
	if c.MaxAge == 0 {
		c.MaxAge = 2 * time.Minute
	}
	if c.MaxLifetime == 0 {
		c.MaxLifetime = 24 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Entropy == nil {
		c.Entropy = rand.Reader
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	return &ServiceProvider{c: c}, nil
}

func (c *Config) validate() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fault.New(fault.Invalid, format, args...))
		}
	}
	wrong(c.EntityID == "", "entity id: want our name, got nothing")
	wrong(!absolute(c.ACS), "acs: want an absolute http or https url, got %q", c.ACS)
	wrong(c.SLO != "" && !absolute(c.SLO), "slo: want an absolute http or https url, got %q", c.SLO)
	wrong(c.IDP.EntityID == "", "identity provider's entity id: want its name, got nothing")
	wrong(len(c.IDP.Certificates) == 0 || len(c.IDP.Certificates) > maxCertificates,
		"identity provider's certificates: want 1 to %d, got %d", maxCertificates, len(c.IDP.Certificates))
	wrong(len(c.Decryption) > maxDecryption, "decryption keys: want at most %d, got %d", maxDecryption, len(c.Decryption))
	wrong(c.Skew < 0 || c.Skew > 5*time.Minute, "skew: want 0s to 5m, got %v", c.Skew)
	wrong(c.MaxAge < 0, "max age: want a positive duration, got %v", c.MaxAge)
	wrong(c.MaxLifetime < 0, "max lifetime: want a positive duration, got %v", c.MaxLifetime)
	for _, pair := range slices.Concat(c.Signing, c.Decryption) {
		wrong(pair.Private == nil || pair.Certificate == nil, "key pair: want a key and its certificate, got one alone")
		if pair.Private != nil {
			wrong(pair.Private.N.BitLen() < minRSA || pair.Private.N.BitLen() > maxRSA,
				"key pair: want an rsa key of %d to %d bits, got %d", minRSA, maxRSA, pair.Private.N.BitLen())
		}
	}
	return errors.Join(errs...)
}

func absolute(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// Check is one line of the login trace: what was looked at, what was wanted
// and what was found. Want and Got are bounded, printable and hold no secret.
type Check struct {
	Name string
	Want string
	Got  string
	OK   bool
}

// Expect is what the caller knows of the sign-in that an answer should end.
type Expect struct {
	// RequestID is the ID of our request. An answer must name it, unless
	// IDPInitiated is set, and then must name none.
	RequestID    string
	IDPInitiated bool

	// RequestedAt is when the request was made; required with ForceAuthn,
	// which demands that the person was authenticated after it.
	RequestedAt time.Time
	ForceAuthn  bool

	// AuthnContexts are the classes that are good enough, all of them: a
	// minimum is a list of what reaches it, since SAML gives them no order of
	// their own. Empty means any.
	AuthnContexts []string
}

// Statement is what an identity provider said, after everything was checked.
type Statement struct {
	ID           string // of the assertion, unique at its issuer: the key of the replay table
	Issuer       string
	InResponseTo string // the request that it answers; empty when there was none

	NameID          string
	NameIDFormat    string
	NameQualifier   string
	SPNameQualifier string

	SessionIndex        string // for single logout; may be empty
	AuthnContext        string // the class, or empty
	AuthnInstant        time.Time
	SessionNotOnOrAfter time.Time // the zero time when the provider sets no end

	// Expires is when the last moment has passed at which we would accept this
	// assertion, skew included: how long its ID must be remembered.
	Expires time.Time

	// Attributes are the values by Name, exactly as written; FriendlyName is
	// looked at by nobody.
	Attributes map[string][]string

	Certificate string        // SHA-256 of the certificate that matched, in hex
	SHA1        bool          // a signature or digest used SHA-1
	Skew        time.Duration // IssueInstant less our clock: positive when theirs is ahead
}
