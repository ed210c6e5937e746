package saml

import (
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"portcullis/fault"
)

// idBytes is the entropy of a message's ID: 160 bits, where SAML core,
// section 1.3.4 asks for 128 at least.
const idBytes = 20

// AuthnRequest is what a sign-in asks of the identity provider. The zero value
// asks for nothing special.
type AuthnRequest struct {
	ForceAuthn bool // the person must prove themselves anew
	IsPassive  bool // the provider must not show anything

	// Contexts are the authentication context classes of which the answer must
	// have one, and Comparison how: exact (the default), minimum, maximum or
	// better (SAML core, section 3.3.2.2.1).
	Contexts   []string
	Comparison string

	NameIDFormat string // of the NameIDPolicy; empty asks for none
	RelayState   string // opaque, at most 80 bytes; comes back with the answer
	Binding      string // [BindingRedirect] or [BindingPOST]; empty takes what the provider has

	// Unsigned leaves the signature out, unless the provider's metadata wants it.
	Unsigned bool
}

// Field is one hidden field of a form.
type Field struct{ Name, Value string }

// Outgoing is one message on its way to the identity provider, in the hands of
// the browser. With Fields, URL is the action of a form that posts them; a page
// under a strict content security policy submits it with a script of its own
// origin or a button, and allows the action's origin in form-action. Without
// Fields, URL is the target of a redirect.
type Outgoing struct {
	ID     string // of the message; an answer refers to it
	URL    string
	Fields []Field
}

// MakeAuthnRequest makes the message that starts a sign-in. It is signed when
// the connection has a signing key, see [AuthnRequest].Unsigned.
//
// It fails with [fault.Invalid] when the request asks for what SAML has not,
// when the identity provider has no endpoint for the binding, or wants signed
// requests and there is no key.
func (sp *ServiceProvider) MakeAuthnRequest(r AuthnRequest) (*Outgoing, error) {
	if r.ForceAuthn && r.IsPassive {
		return nil, fault.New(fault.Invalid, "a request cannot be both passive and forced")
	}
	comparison := r.Comparison
	if comparison == "" {
		comparison = "exact"
	}
	if !slices.Contains([]string{"exact", "minimum", "maximum", "better"}, comparison) {
		return nil, fault.New(fault.Invalid, "comparison: want exact, minimum, maximum or better, got %q", comparison)
	}
	endpoint, err := pickEndpoint(sp.c.IDP.SSO, r.Binding, "single sign-on")
	if err != nil {
		return nil, err
	}
	key := sp.signingKey()
	if key == nil && sp.c.IDP.WantRequestsSigned {
		return nil, fault.New(fault.Invalid, "the identity provider wants signed requests, and the connection has no signing key")
	}
	if r.Unsigned && !sp.c.IDP.WantRequestsSigned {
		key = nil
	}
	el, err := sp.message("AuthnRequest", endpoint.Location)
	if err != nil {
		return nil, err
	}
	if r.ForceAuthn {
		el.CreateAttr("ForceAuthn", strconv.FormatBool(true))
	}
	if r.IsPassive {
		el.CreateAttr("IsPassive", strconv.FormatBool(true))
	}
	el.CreateAttr("ProtocolBinding", BindingPOST)
	el.CreateAttr("AssertionConsumerServiceURL", sp.c.ACS)
	if r.NameIDFormat != "" {
		policy := el.CreateElement("samlp:NameIDPolicy")
		policy.CreateAttr("Format", r.NameIDFormat)
		policy.CreateAttr("AllowCreate", strconv.FormatBool(true))
	}
	if len(r.Contexts) > 0 {
		context := el.CreateElement("samlp:RequestedAuthnContext")
		context.CreateAttr("Comparison", comparison)
		for _, class := range r.Contexts {
			context.CreateElement("saml:AuthnContextClassRef").SetText(class)
		}
	}
	return send(el, endpoint.Binding, endpoint.Location, paramRequest, r.RelayState, key)
}

// message starts a message of ours with what all of them have (SAML core,
// section 3.2.1).
func (sp *ServiceProvider) message(name, destination string) (*etree.Element, error) {
	var entropy [idBytes]byte
	if _, err := io.ReadFull(sp.c.Entropy, entropy[:]); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "read entropy")
	}
	el := etree.NewElement("samlp:" + name)
	el.CreateAttr("xmlns:samlp", nsProtocol)
	el.CreateAttr("xmlns:saml", nsAssertion)
	el.CreateAttr("ID", "_"+hex.EncodeToString(entropy[:])) // an xs:ID cannot begin with a digit
	el.CreateAttr("Version", "2.0")
	el.CreateAttr("IssueInstant", formatTime(sp.c.Now()))
	el.CreateAttr("Destination", destination)
	el.CreateElement("saml:Issuer").SetText(sp.c.EntityID)
	return el, nil
}

// signingKey is the pair that signs, nil where there is none.
func (sp *ServiceProvider) signingKey() *KeyPair {
	if len(sp.c.Signing) == 0 {
		return nil
	}
	return &sp.c.Signing[0]
}

// send puts a message into the form that its binding wants. A nil key leaves it
// unsigned.
func send(el *etree.Element, binding, destination, param, relayState string, key *KeyPair) (*Outgoing, error) {
	limit := maxRelayState
	if param == paramResponse { // theirs comes back to them as it was
		limit = maxForeignRS
	}
	if len(relayState) > limit {
		return nil, fault.New(fault.Invalid, "%s is longer than %d bytes", paramRelayState, limit)
	}
	out := &Outgoing{ID: attribute(el, "ID"), URL: destination}
	if binding == BindingRedirect {
		message, err := serialize(el)
		if err != nil {
			return nil, err
		}
		out.URL, err = redirectURL(destination, param, message, relayState, key)
		return out, err
	}
	if key != nil {
		if err := sign(el, key); err != nil {
			return nil, err
		}
	}
	message, err := serialize(el)
	if err != nil {
		return nil, err
	}
	out.Fields = []Field{{param, base64.StdEncoding.EncodeToString(message)}}
	if relayState != "" {
		out.Fields = append(out.Fields, Field{paramRelayState, relayState})
	}
	return out, nil
}

// sign puts an enveloped signature behind the first child, where the schema of
// a protocol message wants it: after Issuer.
func sign(el *etree.Element, key *KeyPair) error {
	context, err := dsig.NewSigningContext(key.Private, [][]byte{key.Certificate.Raw})
	if err != nil {
		return fault.Wrap(fault.Internal, err, "sign a message")
	}
	context.Hash = crypto.SHA256
	context.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	signature, err := context.ConstructSignature(el.Copy(), true) // of a copy: it drops namespaces
	if err != nil {
		return fault.Wrap(fault.Internal, err, "sign a message")
	}
	el.InsertChildAt(1, signature)
	return nil
}

func serialize(el *etree.Element) ([]byte, error) {
	message, err := etree.NewDocumentWithRoot(el).WriteToBytes()
	return message, fault.Wrap(fault.Internal, err, "write a message")
}

func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// pickEndpoint gives the endpoint of the binding that is wanted, and the first
// of redirect and POST that there is when none is.
func pickEndpoint(endpoints []Endpoint, want, what string) (Endpoint, error) {
	order := []string{BindingRedirect, BindingPOST}
	if want != "" {
		order = []string{want}
	}
	for _, b := range order {
		for _, e := range endpoints {
			if e.Binding == b {
				return e, nil
			}
		}
	}
	return Endpoint{}, fault.New(fault.Invalid, "the identity provider has no %s endpoint for the binding", what)
}
