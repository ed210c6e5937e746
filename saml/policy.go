package saml

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A shape is what one element may hold. The table below is the part of the
// SAML, XML signature and XML encryption schemas that a sign-in needs, with
// what they leave open closed: an element that is not in the table has no
// place in an answer. What is open is never read for what it means.
type shape struct {
	required []string // attributes without a namespace
	optional []string
	children []rule // in this order, unless loose
	loose    bool   // in any order
	text     bool   // holds text and no element
	open     bool   // holds anything that is not a message of SAML's or a signature
	foreign  bool   // may have attributes of other namespaces
}

// A rule is which elements may come next, and how many of them.
type rule struct {
	names    []name
	min, max int
}

const many = maxElements

func one(space string, locals ...string) rule   { return rule{in(space, locals), 1, 1} }
func maybe(space string, locals ...string) rule { return rule{in(space, locals), 0, 1} }
func some(space string, locals ...string) rule  { return rule{in(space, locals), 0, many} }

func in(space string, locals []string) []name {
	names := make([]name, len(locals))
	for i, local := range locals {
		names[i] = name{space, local}
	}
	return names
}

// shapes is the table. It is made once and never written.
var shapes = map[name]shape{
	// SAML core, sections 3.2.2 and 3.3.3
	{nsProtocol, "Response"}: {
		required: []string{"ID", "Version", "IssueInstant"},
		optional: []string{"InResponseTo", "Destination", "Consent"},
		children: []rule{
			maybe(nsAssertion, "Issuer"), maybe(nsDSig, "Signature"), maybe(nsProtocol, "Extensions"), one(nsProtocol, "Status"),
			maybe(nsAssertion, "Assertion", "EncryptedAssertion"),
		},
	},
	{nsProtocol, "Status"}: {children: []rule{
		one(nsProtocol, "StatusCode"), maybe(nsProtocol, "StatusMessage"), maybe(nsProtocol, "StatusDetail"),
	}},
	{nsProtocol, "StatusCode"}:    {required: []string{"Value"}, children: []rule{maybe(nsProtocol, "StatusCode")}},
	{nsProtocol, "StatusMessage"}: {text: true},
	{nsProtocol, "StatusDetail"}:  {open: true},

	// SAML core, section 3.7
	{nsProtocol, "LogoutRequest"}: {
		required: []string{"ID", "Version", "IssueInstant"},
		optional: []string{"Destination", "Consent", "NotOnOrAfter", "Reason"},
		children: []rule{
			one(nsAssertion, "Issuer"), maybe(nsDSig, "Signature"), maybe(nsProtocol, "Extensions"),
			one(nsAssertion, "NameID", "EncryptedID"), some(nsProtocol, "SessionIndex"),
		},
	},
	{nsProtocol, "LogoutResponse"}: {
		required: []string{"ID", "Version", "IssueInstant", "InResponseTo"},
		optional: []string{"Destination", "Consent"},
		children: []rule{
			one(nsAssertion, "Issuer"), maybe(nsDSig, "Signature"), maybe(nsProtocol, "Extensions"), one(nsProtocol, "Status"),
		},
	},
	{nsProtocol, "SessionIndex"}: {text: true},
	{nsProtocol, "Extensions"}:   {open: true},

	// SAML core, sections 2.2 to 2.7
	{nsAssertion, "Assertion"}: {
		required: []string{"ID", "Version", "IssueInstant"},
		children: []rule{
			one(nsAssertion, "Issuer"), maybe(nsDSig, "Signature"), one(nsAssertion, "Subject"), one(nsAssertion, "Conditions"),
			maybe(nsAssertion, "Advice"), some(nsAssertion, "AuthnStatement", "AttributeStatement"),
		},
	},
	{nsAssertion, "Issuer"}: {text: true, optional: nameIDAttributes},
	{nsAssertion, "NameID"}: {text: true, optional: nameIDAttributes},
	{nsAssertion, "Advice"}: {open: true}, // which nobody has to heed, section 2.6.1
	{nsAssertion, "Subject"}: {children: []rule{
		one(nsAssertion, "NameID", "EncryptedID"), some(nsAssertion, "SubjectConfirmation"),
	}},
	{nsAssertion, "SubjectConfirmation"}: {
		required: []string{"Method"},
		children: []rule{maybe(nsAssertion, "NameID"), maybe(nsAssertion, "SubjectConfirmationData")},
	},
	{nsAssertion, "SubjectConfirmationData"}: {optional: []string{"NotBefore", "NotOnOrAfter", "Recipient", "InResponseTo", "Address"}},
	{nsAssertion, "Conditions"}: {
		optional: []string{"NotBefore", "NotOnOrAfter"}, loose: true,
		children: []rule{
			some(nsAssertion, "AudienceRestriction"), maybe(nsAssertion, "OneTimeUse"), maybe(nsAssertion, "ProxyRestriction"),
		},
	},
	{nsAssertion, "AudienceRestriction"}: {children: []rule{some(nsAssertion, "Audience")}},
	{nsAssertion, "Audience"}:            {text: true},
	{nsAssertion, "OneTimeUse"}:          {},
	{nsAssertion, "ProxyRestriction"}:    {optional: []string{"Count"}, children: []rule{some(nsAssertion, "Audience")}},
	{nsAssertion, "AuthnStatement"}: {
		required: []string{"AuthnInstant"}, optional: []string{"SessionIndex", "SessionNotOnOrAfter"},
		children: []rule{maybe(nsAssertion, "SubjectLocality"), one(nsAssertion, "AuthnContext")},
	},
	{nsAssertion, "SubjectLocality"}: {optional: []string{"Address", "DNSName"}},
	{nsAssertion, "AuthnContext"}: {children: []rule{
		maybe(nsAssertion, "AuthnContextClassRef"), maybe(nsAssertion, "AuthnContextDeclRef"), some(nsAssertion, "AuthenticatingAuthority"),
	}},
	{nsAssertion, "AuthnContextClassRef"}:    {text: true},
	{nsAssertion, "AuthnContextDeclRef"}:     {text: true},
	{nsAssertion, "AuthenticatingAuthority"}: {text: true},
	{nsAssertion, "AttributeStatement"}:      {children: []rule{some(nsAssertion, "Attribute")}},
	{nsAssertion, "Attribute"}: {
		required: []string{"Name"}, optional: []string{"NameFormat", "FriendlyName"}, foreign: true,
		children: []rule{some(nsAssertion, "AttributeValue")},
	},
	{nsAssertion, "AttributeValue"}: {open: true, foreign: true},

	// XML signature, section 4: one Reference, no Object, nothing in the
	// methods that changes what they mean
	{nsDSig, "Signature"}: {optional: []string{"Id"}, children: []rule{
		one(nsDSig, "SignedInfo"), one(nsDSig, "SignatureValue"), maybe(nsDSig, "KeyInfo"),
	}},
	{nsDSig, "SignedInfo"}: {optional: []string{"Id"}, children: []rule{
		one(nsDSig, "CanonicalizationMethod"), one(nsDSig, "SignatureMethod"), one(nsDSig, "Reference"),
	}},
	{nsDSig, "CanonicalizationMethod"}: {required: []string{"Algorithm"}, children: []rule{maybe(algExclusive, "InclusiveNamespaces")}},
	{nsDSig, "SignatureMethod"}:        {required: []string{"Algorithm"}},
	{nsDSig, "Reference"}: {required: []string{"URI"}, optional: []string{"Id"}, children: []rule{
		one(nsDSig, "Transforms"), one(nsDSig, "DigestMethod"), one(nsDSig, "DigestValue"),
	}},
	{nsDSig, "Transforms"}:                {children: []rule{{in(nsDSig, []string{"Transform"}), 2, 2}}},
	{nsDSig, "Transform"}:                 {required: []string{"Algorithm"}, children: []rule{maybe(algExclusive, "InclusiveNamespaces")}},
	{algExclusive, "InclusiveNamespaces"}: {required: []string{"PrefixList"}},
	{nsDSig, "DigestMethod"}:              {required: []string{"Algorithm"}},
	{nsDSig, "DigestValue"}:               {text: true},
	{nsDSig, "SignatureValue"}:            {text: true, optional: []string{"Id"}},
	{nsDSig, "KeyInfo"}: {optional: []string{"Id"}, children: []rule{
		some(nsDSig, "KeyName", "KeyValue", "X509Data"),
	}},
	{nsDSig, "KeyName"}:  {text: true},
	{nsDSig, "KeyValue"}: {open: true},
	{nsDSig, "X509Data"}: {open: true},
}

var nameIDAttributes = []string{"Format", "NameQualifier", "SPNameQualifier", "SPProvidedID"}

// encryptedShapes are the additions for encrypted assertions (XML encryption,
// sections 3.1 to 3.6). They are apart because KeyInfo is a closed element there.
var encryptedShapes = map[name]shape{
	{nsAssertion, "EncryptedAssertion"}: {children: []rule{one(nsXEnc, "EncryptedData"), maybe(nsXEnc, "EncryptedKey")}},
	{nsAssertion, "EncryptedID"}:        {children: []rule{one(nsXEnc, "EncryptedData"), maybe(nsXEnc, "EncryptedKey")}},
	{nsXEnc, "EncryptedData"}: {optional: []string{"Id", "Type", "MimeType", "Encoding"}, children: []rule{
		one(nsXEnc, "EncryptionMethod"), maybe(nsDSig, "KeyInfo"), one(nsXEnc, "CipherData"),
	}},
	{nsXEnc, "EncryptedKey"}: {optional: []string{"Id", "Type", "MimeType", "Encoding", "Recipient"}, children: []rule{
		one(nsXEnc, "EncryptionMethod"), maybe(nsDSig, "KeyInfo"), one(nsXEnc, "CipherData"), maybe(nsXEnc, "ReferenceList"), maybe(nsXEnc, "CarriedKeyName"),
	}},
	{nsXEnc, "EncryptionMethod"}: {required: []string{"Algorithm"}, loose: true, children: []rule{
		maybe(nsDSig, "DigestMethod"), maybe(nsXEnc11, "MGF"),
	}},
	{nsDSig, "DigestMethod"}: {required: []string{"Algorithm"}},
	{nsXEnc11, "MGF"}:        {required: []string{"Algorithm"}},
	{nsDSig, "KeyInfo"}: {optional: []string{"Id"}, loose: true, children: []rule{
		maybe(nsXEnc, "EncryptedKey"), maybe(nsDSig, "RetrievalMethod"), maybe(nsDSig, "KeyName"), some(nsDSig, "X509Data", "KeyValue"),
		maybe(nsWSSE, "SecurityTokenReference"),
	}},
	// what Microsoft's programs name our certificate with
	{nsWSSE, "SecurityTokenReference"}: {open: true},
	{nsDSig, "RetrievalMethod"}:        {required: []string{"URI"}, optional: []string{"Type"}},
	{nsDSig, "KeyName"}:                {text: true},
	{nsDSig, "X509Data"}:               {open: true},
	{nsDSig, "KeyValue"}:               {open: true},
	{nsXEnc, "CipherData"}:             {children: []rule{one(nsXEnc, "CipherValue")}},
	{nsXEnc, "CipherValue"}:            {text: true},
	{nsXEnc, "ReferenceList"}:          {children: []rule{one(nsXEnc, "DataReference")}},
	{nsXEnc, "DataReference"}:          {required: []string{"URI"}},
	{nsXEnc, "CarriedKeyName"}:         {text: true},
}

// fits holds n and what is in it against the table.
func fits(n *node) error { return fit(n, shapes) }

func fit(n *node, table map[name]shape) error {
	if n.name == (name{nsAssertion, "EncryptedAssertion"}) || n.name == (name{nsAssertion, "EncryptedID"}) {
		table = encryptedShapes
	}
	s, ok := table[n.name]
	if !ok {
		return fmt.Errorf("element %s has no place here", n.local)
	}
	if err := s.attributes(n); err != nil {
		return err
	}
	switch {
	case s.open:
		return noMessage(n)
	case s.text:
		if len(n.els) > 0 {
			return fmt.Errorf("elements within %s, which holds a value", n.local)
		}
		return nil
	case len(n.els) == 0 && !blank(n.text()):
		return fmt.Errorf("text within %s", n.local)
	}
	if err := s.contents(n); err != nil {
		return err
	}
	for _, el := range n.els {
		if err := fit(el, table); err != nil {
			return err
		}
	}
	return nil
}

func (s *shape) attributes(n *node) error {
	for _, want := range s.required {
		if _, ok := n.attr(want); !ok {
			return fmt.Errorf("%s has no %s", n.local, want)
		}
	}
	for _, a := range n.attrs {
		switch {
		case a.space == "" && (slices.Contains(s.required, a.local) || slices.Contains(s.optional, a.local)):
		case a.space == nsXSI && (a.local == "type" || a.local == "nil" || a.local == "schemaLocation"):
		case a.space != "" && s.foreign && !ours(a.space):
		default:
			return fmt.Errorf("attribute %s has no place on %s", a.local, n.local)
		}
	}
	return nil
}

// contents holds n's children against s.children, in order unless s is loose.
func (s *shape) contents(n *node) error {
	if s.loose {
		return s.looseContents(n)
	}
	els := n.els
	for _, r := range s.children {
		count := 0
		for count < len(els) && count < r.max && slices.Contains(r.names, els[count].name) {
			count++
		}
		if count < r.min {
			return fmt.Errorf("%s has no %s where it should be", n.local, r.names[0].local)
		}
		els = els[count:]
	}
	if len(els) > 0 {
		return fmt.Errorf("element %s has no place in %s", els[0].local, n.local)
	}
	return nil
}

func (s *shape) looseContents(n *node) error {
	found := 0
	for _, r := range s.children {
		count := 0
		for _, el := range n.els {
			if slices.Contains(r.names, el.name) {
				count++
			}
		}
		if count < r.min || count > r.max {
			return fmt.Errorf("%s holds %d elements %s", n.local, count, r.names[0].local)
		}
		found += count
	}
	if found != len(n.els) {
		return fmt.Errorf("%s holds an element that has no place in it", n.local)
	}
	return nil
}

// noMessage looks through an element that may hold anything for what could
// be taken for a message, an assertion or a signature, in whatever namespace
// and case: a value is no place for those.
func noMessage(n *node) error {
	for _, el := range n.els {
		switch strings.ToLower(el.local) {
		case "response", "assertion", "encryptedassertion", "signature", "signedinfo", "encrypteddata", "encryptedkey", "retrievalmethod":
			return errors.New("a message or signature within a value")
		}
		if err := noMessage(el); err != nil {
			return err
		}
	}
	return nil
}

// ours is whether a namespace is one of those whose attributes have none.
func ours(space string) bool {
	switch space {
	case nsAssertion, nsProtocol, nsDSig, nsXEnc, nsXEnc11, nsXML:
		return true
	}
	return false
}
