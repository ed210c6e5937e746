package saml

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"time"

	"portcullis/fault"
)

const maxSessionIndexes = 100

// Logout is a message that came to our logout endpoint, after everything was
// checked: a request of the identity provider, or its answer to ours.
//
// Two things are the caller's. A request's ID is good once: it is kept until
// Expires, and refused if it is there already. An answer's InResponseTo must be
// a request of ours that is still open.
type Logout struct {
	ID      string
	Expires time.Time // the last moment at which we would accept the message, skew included

	Request *LogoutRequest // nil in an answer; its Binding is the one that it came by
	Answer  *LogoutAnswer  // nil in a request; its Binding is the one that it came by

	Certificate string        // SHA-256 of the certificate that matched, in hex
	SHA1        bool          // the signature or its digest used SHA-1
	Skew        time.Duration // IssueInstant less our clock: positive when theirs is ahead
}

// ReadLogoutRedirect reads a message from the raw query of our logout endpoint,
// which must be as it was received: the signature is over those bytes (SAML
// bindings, section 3.4.4.1).
//
// It fails with [fault.TooLarge] or [fault.Invalid] when the message is not
// well-formed, and with [fault.Unauthenticated] when it is not signed by the
// identity provider, not for us, or not of now.
func (sp *ServiceProvider) ReadLogoutRedirect(rawQuery string) (*Logout, error) {
	l, err := sp.readRedirect(rawQuery)
	return l, refuseLogout(err)
}

func (sp *ServiceProvider) readRedirect(rawQuery string) (*Logout, error) {
	q, err := readQuery(rawQuery)
	if err != nil {
		return nil, err
	}
	now := sp.c.Now()
	certificate, sha1, err := sp.verifyQuery(q, now)
	if err != nil {
		return nil, err
	}
	root, err := parseLogout(q.message, q.param)
	if err != nil {
		return nil, err
	}
	l, err := sp.readLogout(root, now)
	if err != nil {
		return nil, err
	}
	l.Certificate, l.SHA1 = certificate, sha1
	l.carried(q.relayState, BindingRedirect)
	return l, nil
}

// ReadLogoutPOST reads a message from the form that was posted to our logout
// endpoint. It reads what the signature covers and nothing else. It fails like
// [ServiceProvider.ReadLogoutRedirect].
func (sp *ServiceProvider) ReadLogoutPOST(form url.Values) (*Logout, error) {
	l, err := sp.readPOST(form)
	return l, refuseLogout(err)
}

// refuseLogout keeps the kind and the reason, and tells the sender neither
// whose key nor which address was wanted.
func refuseLogout(err error) error {
	return fault.Wrap(fault.KindOf(err), err, "the identity provider's logout message was not accepted")
}

func (sp *ServiceProvider) readPOST(form url.Values) (*Logout, error) {
	for _, name := range []string{paramRequest, paramResponse, paramRelayState} {
		if len(form[name]) > 1 {
			return nil, fault.New(fault.Invalid, "%s stands in the form twice", name)
		}
	}
	if form.Has(paramRequest) == form.Has(paramResponse) {
		return nil, fault.New(fault.Invalid, "want either %s or %s in the form", paramRequest, paramResponse)
	}
	param := paramRequest
	if form.Has(paramResponse) {
		param = paramResponse
	}
	if len(form.Get(param)) > maxDecoded*3/2 {
		return nil, fault.New(fault.TooLarge, "%s is larger than %d bytes", param, maxDecoded)
	}
	if len(form.Get(paramRelayState)) > maxForeignRS {
		return nil, fault.New(fault.TooLarge, "%s is longer than %d bytes", paramRelayState, maxForeignRS)
	}
	message, err := base64.StdEncoding.DecodeString(form.Get(param))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s is not base64", param)
	}
	if len(message) > maxDecoded {
		return nil, fault.New(fault.TooLarge, "%s is larger than %d bytes", param, maxDecoded)
	}
	root, err := parseLogout(message, param)
	if err != nil {
		return nil, err
	}
	if root.child(name{nsDSig, "Signature"}) == nil {
		return nil, fault.New(fault.Unauthenticated, "the logout message is not signed")
	}
	now := sp.c.Now()
	v, err := sp.verify(root, now)
	if err != nil {
		return nil, fault.Wrap(fault.Unauthenticated, err, "the signature of the logout message is not good")
	}
	l, err := sp.readLogout(v.signed, now)
	if err != nil {
		return nil, err
	}
	l.Certificate, l.SHA1 = v.certificate, v.sha1
	l.carried(form.Get(paramRelayState), BindingPOST)
	return l, nil
}

// carried notes how the message came, for the answer goes back that way.
func (l *Logout) carried(relayState, binding string) {
	if l.Request != nil {
		l.Request.RelayState, l.Request.Binding = relayState, binding
		return
	}
	l.Answer.RelayState, l.Answer.Binding = relayState, binding
}

// parseLogout reads a message and holds it against its one shape, so that
// nothing in it is without a place.
func parseLogout(message []byte, param string) (*node, error) {
	root, err := read(string(message), make(map[string]struct{}))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the logout message cannot be read")
	}
	want := name{nsProtocol, "LogoutRequest"}
	if param == paramResponse {
		want = name{nsProtocol, "LogoutResponse"}
	}
	if root.name != want {
		return nil, fault.New(fault.Invalid, "%s: want a %s, got %q", param, want.local, clean(root.local))
	}
	return root, fault.Wrap(fault.Invalid, fits(root), "the %s is not as it should be", want.local)
}

// readLogout reads the meaning of a message whose signature was good.
func (sp *ServiceProvider) readLogout(root *node, now time.Time) (*Logout, error) {
	l := &Logout{ID: root.value("ID")}
	if err := sp.checkLogout(root, l, now); err != nil {
		return nil, err
	}
	var err error
	if root.local == "LogoutResponse" {
		l.Answer, err = readAnswer(root)
	} else {
		l.Request, err = sp.readRequest(root)
	}
	return l, err
}

// checkLogout holds a message against who we are, who they are, and the time.
func (sp *ServiceProvider) checkLogout(root *node, l *Logout, now time.Time) error {
	if version := root.value("Version"); version != "2.0" {
		return fault.New(fault.Invalid, "version: want 2.0, got %q", clean(version))
	}
	issuer := root.child(name{nsAssertion, "Issuer"})
	format, stated := issuer.attr("Format")
	if got := issuer.text(); got != sp.c.IDP.EntityID || stated && format != formatEntity {
		return fault.New(fault.Unauthenticated, "issuer: want %q, got %q", clean(sp.c.IDP.EntityID), clean(got))
	}
	// A signed message must say where it goes (SAML bindings, sections 3.4.5.2
	// and 3.5.5.2). One for another service would do here as well otherwise.
	if got := root.value("Destination"); got == "" || got != sp.c.SLO {
		return fault.New(fault.Unauthenticated, "destination: want %q, got %q", clean(sp.c.SLO), clean(got))
	}
	issued, err := instant(root.value("IssueInstant"))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "IssueInstant %q is not a time", clean(root.value("IssueInstant")))
	}
	l.Skew = issued.Sub(now)
	l.Expires = issued.Add(sp.c.MaxAge + sp.c.Skew)
	if l.Skew > sp.c.Skew {
		return fault.New(fault.Unauthenticated, "the logout message is from the future by %v", l.Skew.Round(time.Second))
	}
	if value, ok := root.attr("NotOnOrAfter"); ok {
		end, err := instant(value)
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "NotOnOrAfter %q is not a time", clean(value))
		}
		if end = end.Add(sp.c.Skew); end.Before(l.Expires) {
			l.Expires = end
		}
	}
	if !now.Before(l.Expires) {
		return fault.New(fault.Unauthenticated, "the logout message was good until %s", formatTime(l.Expires))
	}
	return nil
}

// readRequest reads whose sessions end (SAML core, section 3.7.1).
func (sp *ServiceProvider) readRequest(root *node) (*LogoutRequest, error) {
	id := root.child(name{nsAssertion, "NameID"})
	if id == nil {
		var err error
		sealed := root.child(name{nsAssertion, "EncryptedID"})
		if id, err = sp.decrypt(sealed, make(map[string]struct{})); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "the logout request's EncryptedID cannot be read")
		}
	}
	r := &LogoutRequest{
		NameID:          id.text(),
		NameIDFormat:    id.value("Format"),
		NameQualifier:   id.value("NameQualifier"),
		SPNameQualifier: id.value("SPNameQualifier"),
	}
	for _, el := range root.els {
		if el.name == (name{nsProtocol, "SessionIndex"}) {
			r.SessionIndexes = append(r.SessionIndexes, el.text())
		}
	}
	if len(r.SessionIndexes) > maxSessionIndexes {
		return nil, fault.New(fault.TooLarge, "the logout request names more than %d sessions", maxSessionIndexes)
	}
	for _, value := range append([]string{r.NameID, r.NameIDFormat, r.NameQualifier, r.SPNameQualifier}, r.SessionIndexes...) {
		if len(value) > maxNameID || !plain(value) || strings.TrimSpace(value) != value {
			return nil, fault.New(fault.Invalid, "the logout request has a name that is not up to %d bytes of plain text", maxNameID)
		}
	}
	// An empty index names no session, and no index names all: never take the
	// one for the other.
	if r.NameID == "" || slices.Contains(r.SessionIndexes, "") {
		return nil, fault.New(fault.Invalid, "the logout request has an empty name")
	}
	return r, nil
}

// readAnswer reads how a logout of ours went.
func readAnswer(root *node) (*LogoutAnswer, error) {
	a := &LogoutAnswer{InResponseTo: root.value("InResponseTo")}
	if !isID(a.InResponseTo) {
		return nil, fault.New(fault.Invalid, "the logout answer does not say to what")
	}
	code := root.child(name{nsProtocol, "Status"}).child(name{nsProtocol, "StatusCode"})
	if a.Status = code.value("Value"); a.Status == "" {
		return nil, fault.New(fault.Invalid, "the logout answer has an empty status")
	}
	if sub := code.child(name{nsProtocol, "StatusCode"}); sub != nil {
		a.SubStatus = sub.value("Value")
	}
	return a, nil
}
