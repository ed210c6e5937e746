package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"portcullis/directory"
	"portcullis/oidc"
	"portcullis/outbound"
	"portcullis/saml"
	"portcullis/trace"
)

// Attributes names the SAML attributes that are read, by Name. Of several the
// first that is there counts; the zero value reads none but the NameID.
type Attributes struct {
	// Subject is who they are for good. Where none is there, it is the object
	// id of Microsoft Entra ID if the assertion is of that tenant, and
	// otherwise the NameID.
	Subject  []string
	Groups   []string
	Email    []string
	Name     []string
	Roles    []string
	UserName []string // what the person is called at the sign-in page; the NameID where there is none
}

// Names of attributes of Microsoft Entra ID, and formats of a NameID (SAML
// core, section 8.3).
const (
	entraTenant = "http://schemas.microsoft.com/identity/claims/tenantid"
	entraObject = "http://schemas.microsoft.com/identity/claims/objectidentifier"
	entraMore   = "http://schemas.microsoft.com/claims/groups.link" // instead of more than 150 groups

	formatTransient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	formatEmail     = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
)

// assertion makes the assertion out of a verified statement.
func (f *federated) assertion(ctx context.Context, st *saml.Statement, now time.Time) (directory.Assertion, error) {
	names := f.c.Attributes
	more := len(st.Attributes[entraMore]) > 0
	a := directory.Assertion{
		Connection: f.conn.ID, Issuer: st.Issuer, Received: now, GroupsIncomplete: more, AuthTime: st.AuthnInstant,
	}
	if isClass(st.AuthnContext) {
		a.ACR = st.AuthnContext
	}
	var err error
	if a.Subject, err = f.subject(ctx, st); err != nil {
		return a, err
	}
	for _, field := range []struct {
		names []string
		into  *string
	}{{names.Email, &a.Email}, {names.Name, &a.Name}, {names.UserName, &a.UserName}} {
		if *field.into, err = attributeText(st.Attributes, field.names); err != nil {
			return a, err
		}
	}
	if a.UserName == "" && st.NameIDFormat != formatTransient {
		a.UserName = st.NameID
	}
	a.EmailVerified = a.Email != "" // the company vouches for its people, in its own domains: the directory sees to that
	if a.Groups, err = attributeList(st.Attributes, names.Groups); err != nil {
		return a, err
	}
	if a.AppRoles, err = attributeList(st.Attributes, names.Roles); err != nil {
		return a, err
	}
	if a.Link, err = f.link(st, a); err != nil {
		return a, err
	}
	a.Claims, err = f.kept(st.Attributes)
	f.remark(ctx, st, a)
	return a, err
}

// subject is what the identity provider calls the person for good.
func (f *federated) subject(ctx context.Context, st *saml.Statement) (string, error) {
	b := trace.Of(ctx)
	if name := f.c.Subject; name != "" {
		values := st.Attributes[name]
		if !b.Check("subject attribute", len(values) == 1, "one value of "+name, strconv.Itoa(len(values))) {
			return "", outbound.Refuse(errors.New("subject attribute"), "it does not say who you are")
		}
		return oidc.Subject(values[0])
	}
	for _, name := range f.c.Attributes.Subject {
		values := st.Attributes[name]
		if len(values) > 1 { // not the NameID then: whoever adds a value would choose who they are
			b.Check("subject attribute", false, "one value of "+name, strconv.Itoa(len(values)))
			return "", outbound.Refuse(errors.New("subject attribute"), "it does not say who you are")
		}
		if len(values) == 1 && values[0] != "" {
			return oidc.Subject(values[0])
		}
	}
	if oid := entraPerson(st, st.Issuer); oid != "" {
		return oidc.Subject(oid)
	}
	if st.NameIDFormat == formatTransient { // SAML core, section 8.3.8: it means nobody the next time
		b.Note(trace.TransientNameID)
	}
	return oidc.Subject(st.NameID)
}

// entraPerson is the object id of somebody in the tenant of Microsoft Entra ID
// whose issuer that is; empty if the assertion is not of it.
func entraPerson(st *saml.Statement, issuer string) string {
	tenant, object := st.Attributes[entraTenant], st.Attributes[entraObject]
	if len(tenant) == 1 && len(object) == 1 && tenant[0] != "" && hasSegment(issuer, tenant[0]) {
		return object[0]
	}
	return ""
}

// complete asks for the groups that an assertion leaves out, of the tenant that
// signed it and that lets us.
func (f *federated) complete(ctx context.Context, st *saml.Statement, a *directory.Assertion) {
	if !a.GroupsIncomplete || f.grant == nil {
		return
	}
	oid := entraPerson(st, st.Issuer)
	if oid == "" || entraPerson(st, f.grant.Issuer()) == "" {
		trace.Of(ctx).Check("groups beyond the token", false, "the object id of somebody in the tenant "+f.grant.Issuer(), "none")
		return
	}
	complete(ctx, f.graph, f.log, a, oid)
}

// remark notes what will bring trouble.
func (f *federated) remark(ctx context.Context, st *saml.Statement, a directory.Assertion) {
	b := trace.Of(ctx)
	if a.Subject == st.NameID && st.NameIDFormat == formatEmail || strings.EqualFold(a.Subject, a.Email) {
		b.Note(trace.EmailAsKey)
	}
	if a.GroupsIncomplete {
		b.Note(trace.Overage)
	}
}

// link is the value on which a pushed record would meet this person.
func (f *federated) link(st *saml.Statement, a directory.Assertion) (string, error) {
	switch f.conn.Link {
	case "", directory.LinkExternalID:
		return a.Subject, nil
	case directory.LinkUserName:
		return a.UserName, nil
	default:
		return attributeText(st.Attributes, []string{f.conn.Link})
	}
}

// attributeText reads an attribute for people to read: absent, or one line.
func attributeText(attributes map[string][]string, names []string) (string, error) {
	for _, name := range names {
		values := slices.DeleteFunc(slices.Clone(attributes[name]), func(v string) bool { return v == "" })
		if len(values) == 0 {
			continue
		}
		v := strings.TrimSpace(values[0]) // of several e-mail addresses the first is the main one
		if len(v) > maxText || strings.ContainsFunc(v, unicode.IsControl) {
			return "", outbound.Refuse(fmt.Errorf("attribute %q", name), "an attribute of it is not a line of text")
		}
		return v, nil
	}
	return "", nil
}

// attributeList reads an attribute of names.
func attributeList(attributes map[string][]string, names []string) ([]string, error) {
	for _, name := range names {
		values, ok := attributes[name]
		if !ok {
			continue
		}
		if len(values) > maxGroups {
			return nil, outbound.Refuse(fmt.Errorf("attribute %q: %d values", name, len(values)), "it lists too many groups or roles")
		}
		var out []string
		for _, v := range values {
			if len(v) > maxGroupName {
				return nil, outbound.Refuse(fmt.Errorf("attribute %q", name), "the name of a group or role is too long")
			}
			if v != "" {
				out = append(out, v)
			}
		}
		return out, nil
	}
	return nil, nil
}

// attributeClaims is attributes in the form of claims: a single value is by
// itself, as it is in a token.
func attributeClaims(attributes map[string][]string) map[string]any {
	claims := make(map[string]any, len(attributes))
	for name, values := range attributes {
		if len(values) == 1 {
			claims[name] = values[0]
			continue
		}
		list := make([]any, len(values))
		for i, v := range values {
			list[i] = v
		}
		claims[name] = list
	}
	return claims
}

// kept is the copy of the attributes that rules may ask for.
func (f *federated) kept(attributes map[string][]string) (map[string]any, error) {
	out := attributeClaims(attributes)
	for _, name := range slices.Concat(f.c.Attributes.Groups, f.c.Attributes.Roles, []string{entraMore}) {
		delete(out, name)
	}
	data, err := json.Marshal(out)
	if err != nil || len(data) > maxClaims {
		return nil, outbound.Refuse(err, "its attributes are larger than 64 KB")
	}
	return out, nil
}
