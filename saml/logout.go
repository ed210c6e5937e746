package saml

import (
	"time"

	"portcullis/fault"
)

// Status codes of a logout response (SAML core, section 3.2.2.2).
const (
	StatusSuccess       = "urn:oasis:names:tc:SAML:2.0:status:Success"
	StatusRequester     = "urn:oasis:names:tc:SAML:2.0:status:Requester"
	StatusResponder     = "urn:oasis:names:tc:SAML:2.0:status:Responder"
	StatusPartialLogout = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"
)

// requestLife is how long a logout request of ours may be used.
const requestLife = 5 * time.Minute

// LogoutRequest is one side's wish to end a person's sessions.
type LogoutRequest struct {
	// NameID says whose, with the format and qualifiers that the assertion had.
	NameID, NameIDFormat, NameQualifier, SPNameQualifier string

	// SessionIndexes names the sessions. None means all of the person's (SAML
	// core, section 3.7.1).
	SessionIndexes []string

	RelayState string // opaque; comes back with the answer
	Binding    string // to send by; empty takes what the provider has
}

// MakeLogoutRequest makes the signed message that ends a person's sessions at
// the identity provider. It fails with [fault.Invalid] when the provider has
// no endpoint for the binding, or the name is empty.
func (sp *ServiceProvider) MakeLogoutRequest(r LogoutRequest) (*Outgoing, error) {
	if r.NameID == "" {
		return nil, fault.New(fault.Invalid, "a logout request needs a NameID")
	}
	endpoint, err := pickEndpoint(sp.c.IDP.SLO, r.Binding, "single logout")
	if err != nil {
		return nil, err
	}
	key := sp.signingKey()
	if key == nil {
		return nil, fault.New(fault.Invalid, "single logout needs a signing key")
	}
	el, err := sp.message("LogoutRequest", endpoint.Location)
	if err != nil {
		return nil, err
	}
	el.CreateAttr("NotOnOrAfter", formatTime(sp.c.Now().Add(requestLife)))
	name := el.CreateElement("saml:NameID")
	for _, a := range []Field{
		{"NameQualifier", r.NameQualifier},
		{"SPNameQualifier", r.SPNameQualifier},
		{"Format", r.NameIDFormat},
	} {
		if a.Value != "" {
			name.CreateAttr(a.Name, a.Value)
		}
	}
	name.SetText(r.NameID)
	for _, index := range r.SessionIndexes {
		el.CreateElement("samlp:SessionIndex").SetText(index)
	}
	return send(el, endpoint.Binding, endpoint.Location, paramRequest, r.RelayState, key)
}

// LogoutAnswer is what to answer to a logout request that was received.
type LogoutAnswer struct {
	InResponseTo string // the request's ID
	Status       string // the zero value is StatusSuccess
	SubStatus    string // StatusPartialLogout when sessions elsewhere go on; mostly empty
	RelayState   string // the request's, byte for byte
	Binding      string // to send by; empty takes what the provider has
}

// MakeLogoutResponse makes the signed answer to a logout request. It goes to the
// provider's ResponseLocation where there is one (SAML metadata, section
// 2.2.2). It fails with [fault.Invalid] when the provider has no endpoint.
func (sp *ServiceProvider) MakeLogoutResponse(a LogoutAnswer) (*Outgoing, error) {
	endpoint, err := pickEndpoint(sp.c.IDP.SLO, a.Binding, "single logout")
	if err != nil {
		return nil, err
	}
	destination := endpoint.Location
	if endpoint.ResponseLocation != "" {
		destination = endpoint.ResponseLocation
	}
	key := sp.signingKey()
	if key == nil {
		return nil, fault.New(fault.Invalid, "single logout needs a signing key")
	}
	if a.Status == "" {
		a.Status = StatusSuccess
	}
	el, err := sp.message("LogoutResponse", destination)
	if err != nil {
		return nil, err
	}
	if a.InResponseTo != "" {
		el.CreateAttr("InResponseTo", a.InResponseTo)
	}
	code := el.CreateElement("samlp:Status").CreateElement("samlp:StatusCode")
	code.CreateAttr("Value", a.Status)
	if a.SubStatus != "" {
		code.CreateElement("samlp:StatusCode").CreateAttr("Value", a.SubStatus)
	}
	return send(el, endpoint.Binding, destination, paramResponse, a.RelayState, key)
}
