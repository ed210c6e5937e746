package saml

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"portcullis/count"
)

const (
	methodBearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer" //nolint:gosec // a name of the specification, no credential
	formatEntity = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
	maxNameID    = 1024 // octets; the specification stops at 256 characters
	maxInstant   = 40
)

// meaning reads a statement out of what was signed, by the rules of the web
// browser profile (SAML profiles, section 4.1.4) and then ours.
type meaning struct {
	sp        *ServiceProvider
	t         *trace
	expect    Expect
	now       time.Time
	response  *node // the second reading, if the response was signed
	assertion *node // the second reading
	signed    bool  // the response was signed
}

func (m *meaning) statement() (*Statement, error) {
	if err := m.t.step("second reading", "the same shape in what was signed", errors.Join(fits(m.response), fits(m.assertion))); err != nil {
		return nil, err
	}
	st := &Statement{ID: m.assertion.value("ID")}
	for _, step := range []func(*Statement) error{
		m.envelope, m.issuer, m.subject, m.confirmation, m.conditions, m.authentication, m.attributes,
	} {
		if err := step(st); err != nil {
			return nil, err
		}
	}
	return st, nil
}

// envelope judges what the response says beside its assertion.
func (m *meaning) envelope(st *Statement) error {
	r, t := m.response, m.t
	if err := t.want("response version", "2.0", r.value("Version"), r.value("Version") == "2.0"); err != nil {
		return err
	}
	destination, stated := r.attr("Destination")
	// SAML bindings, section 3.5.5.2: a signed message must say where it goes
	if err := t.want("destination", m.sp.c.ACS, destination, destination == m.sp.c.ACS || !stated && !m.signed); err != nil {
		return err
	}
	if err := m.answers("response in response to", r); err != nil {
		return err
	}
	st.InResponseTo = r.value("InResponseTo")
	if issuer := r.child(name{nsAssertion, "Issuer"}); issuer != nil {
		if err := m.isIssuer("response issuer", issuer); err != nil {
			return err
		}
	} else if m.signed || r.child(name{nsAssertion, "EncryptedAssertion"}) != nil { // SAML profiles, section 4.1.4.2
		return t.want("response issuer", m.sp.c.IDP.EntityID, "", false)
	}
	return m.issued("response issued", r)
}

// answers holds an element's InResponseTo against our request. A provider
// that was not asked must not name a request: it could be anybody's.
func (m *meaning) answers(check string, n *node) error {
	got, named := n.attr("InResponseTo")
	if m.expect.IDPInitiated {
		return m.t.want(check, "", got, !named)
	}
	return m.t.want(check, m.expect.RequestID, got, got == m.expect.RequestID)
}

func (m *meaning) isIssuer(check string, n *node) error {
	format, stated := n.attr("Format")
	got := n.text()
	return m.t.want(check, m.sp.c.IDP.EntityID, got, got == m.sp.c.IDP.EntityID && (!stated || format == formatEntity))
}

// issued holds an element's IssueInstant against the clock.
func (m *meaning) issued(check string, n *node) error {
	at, err := instant(n.value("IssueInstant"))
	if err != nil {
		return m.t.step(check, "an instant in UTC", err)
	}
	c := &m.sp.c
	want := fmt.Sprintf("at most %v ago, clocks within %v", c.MaxAge, c.Skew)
	return m.t.want(check, want, fmt.Sprintf("%v ago", m.now.Sub(at).Round(time.Millisecond)),
		!at.After(m.now.Add(c.Skew)) && !m.now.After(at.Add(c.MaxAge+c.Skew)))
}

func (m *meaning) issuer(st *Statement) error {
	a := m.assertion
	if err := m.t.want("assertion version", "2.0", a.value("Version"), a.value("Version") == "2.0"); err != nil {
		return err
	}
	if err := m.issued("assertion issued", a); err != nil {
		return err
	}
	st.Issuer = a.els[0].text()
	at, err := instant(a.value("IssueInstant"))
	st.Skew = at.Sub(m.now)
	return errors.Join(err, m.isIssuer("issuer", a.els[0]))
}

// subject reads the NameID. It is shown in no trace. One that is encrypted is
// opened only here, where a trusted key stands behind the ciphertext.
func (m *meaning) subject(st *Statement) error {
	id := m.assertion.child(name{nsAssertion, "Subject"}).els[0]
	if id.local == "EncryptedID" {
		var err error
		if id, err = m.sp.decrypt(id, make(map[string]struct{})); err != nil {
			return m.t.step("subject", "a name encrypted for us", err)
		}
	}
	st.NameID = id.text()
	st.NameIDFormat = id.value("Format")
	st.NameQualifier = id.value("NameQualifier")
	st.SPNameQualifier = id.value("SPNameQualifier")
	good := st.NameID != "" && len(st.NameID) <= maxNameID && strings.TrimSpace(st.NameID) == st.NameID && plain(st.NameID)
	return m.t.want("subject", fmt.Sprintf("1 to %d octets of plain text", maxNameID), fmt.Sprintf("%d octets", len(st.NameID)), good)
}

// confirmation looks for one bearer confirmation that holds (SAML profiles,
// section 4.1.4.3). The others need not.
func (m *meaning) confirmation(st *Statement) error {
	const check = "confirmation"
	var last error
	for _, c := range m.assertion.child(name{nsAssertion, "Subject"}).els[1:] {
		until, err := m.bearer(c)
		if err != nil {
			last = err
			continue
		}
		if until.After(st.Expires) {
			st.Expires = until
		}
	}
	if st.Expires.IsZero() {
		if last == nil {
			last = errors.New("none")
		}
		return m.t.step(check, "a confirmation (bearer) for us, for this request, for now", last)
	}
	return m.t.step(check, "a confirmation (bearer) for us, for this request, for now", nil)
}

// bearer gives the end of a confirmation that holds.
func (m *meaning) bearer(c *node) (time.Time, error) {
	if c.value("Method") != methodBearer {
		return time.Time{}, errors.New("another method than bearer")
	}
	data := c.child(name{nsAssertion, "SubjectConfirmationData"})
	if data == nil || len(c.els) != 1 {
		return time.Time{}, errors.New("not just its data")
	}
	if data.value("Recipient") != m.sp.c.ACS {
		return time.Time{}, fmt.Errorf("recipient %s", clean(data.value("Recipient")))
	}
	request, named := data.attr("InResponseTo")
	if request != m.expect.RequestID || named == m.expect.IDPInitiated {
		return time.Time{}, fmt.Errorf("in response to %s", clean(request))
	}
	return m.window(data)
}

// window judges NotBefore and NotOnOrAfter, of which the second must be
// there, and gives the second.
func (m *meaning) window(n *node) (time.Time, error) {
	c := &m.sp.c
	until, err := instant(n.value("NotOnOrAfter"))
	switch {
	case err != nil:
		return until, fmt.Errorf("not on or after: %w", err)
	case !m.now.Before(until.Add(c.Skew)):
		return until, fmt.Errorf("expired %v ago", m.now.Sub(until).Round(time.Millisecond))
	case until.Sub(m.now) > c.MaxLifetime+c.Skew:
		return until, fmt.Errorf("good for another %v, more than %v", until.Sub(m.now).Round(time.Second), c.MaxLifetime)
	}
	from, stated := n.attr("NotBefore")
	if !stated {
		return until, nil
	}
	since, err := instant(from)
	switch {
	case err != nil:
		return until, fmt.Errorf("not before: %w", err)
	case m.now.Add(c.Skew).Before(since):
		return until, fmt.Errorf("not good for another %v", since.Sub(m.now).Round(time.Millisecond))
	case !since.Before(until):
		return until, errors.New("good at no time")
	case until.Sub(since) > c.MaxLifetime+c.Skew:
		return until, fmt.Errorf("good for %v, more than %v", until.Sub(since), c.MaxLifetime)
	}
	return until, nil
}

// conditions judges the time and demands our name in every restriction
// (SAML core, section 2.5.1.4: each of them must hold).
func (m *meaning) conditions(st *Statement) error {
	conditions := m.assertion.child(name{nsAssertion, "Conditions"})
	until, err := m.window(conditions)
	if err := m.t.step("conditions", "good now, and not for too long", err); err != nil {
		return err
	}
	if until.Before(st.Expires) {
		st.Expires = until
	}
	st.Expires = st.Expires.Add(m.sp.c.Skew)
	restrictions := 0
	for _, c := range conditions.els {
		if c.local != "AudienceRestriction" {
			continue
		}
		restrictions++
		var audiences []string
		for _, audience := range c.els {
			audiences = append(audiences, audience.text())
		}
		if err := m.t.want("audience", m.sp.c.EntityID, strings.Join(audiences, " "), slices.Contains(audiences, m.sp.c.EntityID)); err != nil {
			return err
		}
	}
	return m.t.want("audience restrictions", "one or more", strconv.Itoa(restrictions), restrictions > 0)
}

// authentication reads the one AuthnStatement.
func (m *meaning) authentication(st *Statement) error {
	var found []*node
	for _, el := range m.assertion.els {
		if el.local == "AuthnStatement" {
			found = append(found, el)
		}
	}
	if err := m.t.want("authentication", "one statement", strconv.Itoa(len(found)), len(found) == 1); err != nil {
		return err
	}
	n, c := found[0], &m.sp.c
	var err error
	if st.AuthnInstant, err = instant(n.value("AuthnInstant")); err != nil {
		return m.t.step("authenticated", "an instant in UTC", err)
	}
	ago := fmt.Sprintf("%v ago", m.now.Sub(st.AuthnInstant).Round(time.Millisecond))
	if err := m.t.want("authenticated", "not in the future", ago, !st.AuthnInstant.After(m.now.Add(c.Skew))); err != nil {
		return err
	}
	if m.expect.ForceAuthn {
		want := fmt.Sprintf("since the request, %v ago", m.now.Sub(m.expect.RequestedAt).Round(time.Millisecond))
		if err := m.t.want("fresh authentication", want, ago, !st.AuthnInstant.Before(m.expect.RequestedAt.Add(-c.Skew))); err != nil {
			return err
		}
	}
	st.SessionIndex = n.value("SessionIndex")
	if err := m.t.want("session index", fmt.Sprintf("at most %d octets of plain text", maxNameID), fmt.Sprintf("%d octets", len(st.SessionIndex)),
		len(st.SessionIndex) <= maxNameID && plain(st.SessionIndex)); err != nil {
		return err
	}
	if end, stated := n.attr("SessionNotOnOrAfter"); stated {
		if st.SessionNotOnOrAfter, err = instant(end); err != nil {
			return m.t.step("session end", "an instant in UTC", err)
		}
		left := st.SessionNotOnOrAfter.Sub(m.now)
		if err := m.t.want("session end", "still to come", fmt.Sprintf("in %v", left.Round(time.Millisecond)), left+c.Skew > 0); err != nil {
			return err
		}
	}
	return m.context(st, n)
}

func (m *meaning) context(st *Statement, n *node) error {
	if class := n.child(name{nsAssertion, "AuthnContext"}).child(name{nsAssertion, "AuthnContextClassRef"}); class != nil {
		st.AuthnContext = class.text()
	}
	if len(m.expect.AuthnContexts) == 0 {
		return nil
	}
	return m.t.want("authentication context", strings.Join(m.expect.AuthnContexts, " or "), st.AuthnContext,
		slices.Contains(m.expect.AuthnContexts, st.AuthnContext))
}

// attributes collects the values by Name. Several attributes of one name are
// one attribute: common providers write each value as an attribute.
func (m *meaning) attributes(st *Statement) error {
	st.Attributes = make(map[string][]string)
	total := 0
	for _, statement := range m.assertion.els {
		if statement.local != "AttributeStatement" {
			continue
		}
		for _, a := range statement.els {
			key := a.value("Name")
			if key == "" || len(key) > maxNameID {
				return m.t.want("attributes", "names", fmt.Sprintf("a name of %d octets", len(key)), false)
			}
			values := st.Attributes[key]
			for _, v := range a.els {
				if text, ok := attributeValue(v); ok {
					values = append(values, text)
					total++
				}
			}
			st.Attributes[key] = values
		}
	}
	return m.t.want("attributes", "any", count.Of(len(st.Attributes), "name", "names")+", "+count.Of(total, "value", "values"), true)
}

// attributeValue is the text of a value, or of the NameID in it (the
// eduPersonTargetedID of universities). A value that is nil or has another
// structure has no text, and is left out.
func attributeValue(n *node) (string, bool) {
	for _, a := range n.attrs {
		if a.name == (name{nsXSI, "nil"}) && (a.value == "true" || a.value == "1") {
			return "", false
		}
	}
	switch {
	case len(n.els) == 0:
		return n.text(), true
	case len(n.els) == 1 && n.els[0].name == name{nsAssertion, "NameID"} && len(n.els[0].els) == 0:
		return n.els[0].text(), true
	}
	return "", false
}

// instant reads an xs:dateTime in UTC (SAML core, section 1.3.3). An offset
// is understood; a time without either is nobody's.
func instant(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, errors.New("no time")
	}
	if len(s) > maxInstant || strings.ContainsAny(s, ",z t") {
		return time.Time{}, errors.New("a time in another form")
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || at.Year() < 1970 {
		return time.Time{}, errors.New("a time in another form")
	}
	return at.UTC(), nil
}

// plain is whether every character of an identifier can be seen.
func plain(s string) bool {
	for _, c := range s {
		if !printable(c) {
			return false
		}
	}
	return true
}

func printable(c rune) bool { return c != utf8.RuneError && unicode.IsPrint(c) }
