package login

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode"

	"portcullis/directory"
	"portcullis/oidc"
	"portcullis/outbound"
)

const (
	maxClaims    = 64 << 10 // bytes of claims that are kept, as JSON
	maxGroups    = 10_000
	maxGroupName = 1024 // bytes
	maxText      = 1024 // bytes of a name, an e-mail, a user name
)

// withDefaults fills in what the connection does not name.
func (c Claims) withDefaults() Claims {
	c.Groups, c.Email = cmp.Or(c.Groups, "groups"), cmp.Or(c.Email, "email")
	c.Name, c.Roles = cmp.Or(c.Name, "name"), cmp.Or(c.Roles, "roles")
	c.UserName = cmp.Or(c.UserName, "preferred_username")
	return c
}

// aboutToken lists the claims that speak of the token and not of the person,
// or stand in a field of their own.
func aboutToken() []string {
	return []string{
		"iss", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "at_hash", "c_hash", "s_hash",
		"auth_time", "sid", "_claim_names", "_claim_sources", "hasgroups",
	}
}

// lacks says whether the token leaves open what userinfo may know.
func (o *openID) lacks(claims map[string]any) bool {
	missing := func(name string) bool { return claims[name] == nil || claims[name] == "" }
	return missing(o.claims.Email) || missing(o.claims.Name) || missing(o.claims.Groups) && !incomplete(claims, o.claims.Groups)
}

// merge adds what userinfo says to what the token says. The token wins:
// it is signed. Whether an e-mail is verified comes from whoever gave the
// e-mail.
func (o *openID) merge(token, info map[string]any) map[string]any {
	out := maps.Clone(info)
	for _, name := range append(aboutToken(), "sub", "tid", "oid", "acct", "acr", "acrs", "amr") { // who it is, the signed token says alone
		delete(out, name)
	}
	own := token[o.claims.Email] != nil && token[o.claims.Email] != ""
	// As texts: two lists are not comparable, and a provider may send any shape.
	said, _ := token[o.claims.Email].(string)
	if asked, _ := info[o.claims.Email].(string); own && said != asked {
		delete(out, "email_verified")
	}
	for name, v := range token {
		if v == nil || v == "" || name == "email_verified" && !own {
			continue
		}
		out[name] = v
	}
	if incomplete(token, o.claims.Groups) || incomplete(info, o.claims.Groups) {
		out["hasgroups"] = true
	}
	return out
}

// incomplete reads the signs of Microsoft Entra ID that somebody has more
// groups than the token holds, even if it does hold some.
func incomplete(claims map[string]any, groups string) bool {
	if names, ok := claims["_claim_names"].(map[string]any); ok && names[groups] != nil {
		return true
	}
	return isTrue(claims["hasgroups"])
}

// isTrue reads a boolean, which some identity providers send as a string.
func isTrue(v any) bool { return v == true || v == "true" }

// assertion makes the assertion out of verified claims.
func (o *openID) assertion(claims map[string]any, now time.Time) (directory.Assertion, error) {
	a := directory.Assertion{
		Connection: o.conn.ID, Issuer: o.issuer, Received: now,
		EmailVerified:    isTrue(claims["email_verified"]),
		GroupsIncomplete: incomplete(claims, o.claims.Groups),
		UserType:         userType(claims["acct"]),
	}
	a.ACR, a.AuthTime = o.proof(claims, now)
	var err error
	if a.Subject, err = o.subject(claims); err != nil {
		return a, err
	}
	for _, f := range []struct {
		claim string
		into  *string
	}{{o.claims.Email, &a.Email}, {o.claims.Name, &a.Name}, {o.claims.UserName, &a.UserName}} {
		if *f.into, err = text(claims, f.claim); err != nil {
			return a, err
		}
	}
	if a.Email == "" {
		a.EmailVerified = false
	}
	if a.Groups, err = list(claims, o.claims.Groups); err != nil {
		return a, err
	}
	if a.AppRoles, err = list(claims, o.claims.Roles); err != nil {
		return a, err
	}
	if a.Link, err = o.link(claims, a.Subject); err != nil {
		return a, err
	}
	a.Claims, err = o.kept(claims)
	return a, err
}

// subject is what the identity provider calls the person for good. At
// Microsoft Entra ID sub differs from application to application, so its
// object id is taken; only a token whose tenant stands in the issuer is one
// of theirs.
func (o *openID) subject(claims map[string]any) (string, error) {
	subject := claims["sub"]
	tid, _ := claims["tid"].(string)
	if oid, ok := claims["oid"].(string); ok && tid != "" && hasSegment(o.issuer, tid) {
		subject = oid
	}
	return oidc.Subject(subject)
}

func hasSegment(issuer, segment string) bool {
	_, rest, _ := strings.Cut(issuer, "://")
	_, path, _ := strings.Cut(rest, "/")
	for s := range strings.SplitSeq(path, "/") {
		if s == segment {
			return true
		}
	}
	return false
}

// link is the value on which a pushed record would meet this person.
func (o *openID) link(claims map[string]any, subject string) (string, error) {
	switch o.conn.Link {
	case "", directory.LinkExternalID:
		return subject, nil
	case directory.LinkUserName:
		if name, err := text(claims, o.claims.UserName); name != "" || err != nil {
			return name, err
		}
		sub, _ := claims["sub"].(string)
		return sub, nil
	default:
		value, _ := claims[o.conn.Link].(string)
		if len(value) > maxText {
			value = ""
		}
		return value, nil
	}
}

func userType(acct any) string {
	switch acct {
	case 1.0, "1":
		return "Guest"
	case 0.0, "0":
		return "Member"
	default:
		return ""
	}
}

// text reads a claim for people to read: absent, or a string without control
// characters, which could forge lines and headers further on.
func text(claims map[string]any, name string) (string, error) {
	v := claims[name]
	if v == nil {
		return "", nil
	}
	s, ok := v.(string)
	if !ok || len(s) > maxText || strings.ContainsFunc(s, unicode.IsControl) {
		return "", outbound.Refuse(fmt.Errorf("claim %q", name), "a claim of it is not a line of text")
	}
	return s, nil
}

// list reads a claim of names: an array of strings or a single string. Any
// other shape is refused rather than taken for nothing, since to have no
// group may mean to escape a rule that denies.
func list(claims map[string]any, name string) ([]string, error) {
	values, ok := oidc.Strings(claims[name])
	if !ok {
		return nil, outbound.Refuse(fmt.Errorf("claim %q", name), "its groups or roles are not a list of names")
	}
	if len(values) > maxGroups {
		return nil, outbound.Refuse(fmt.Errorf("claim %q: %d values", name, len(values)), "it lists too many groups or roles")
	}
	out := values[:0]
	for _, v := range values {
		if len(v) > maxGroupName {
			return nil, outbound.Refuse(fmt.Errorf("claim %q", name), "the name of a group or role is too long")
		}
		if v != "" {
			out = append(out, v)
		}
	}
	return out, nil
}

// kept is the copy of the claims that rules may ask for.
func (o *openID) kept(claims map[string]any) (map[string]any, error) {
	out := maps.Clone(claims)
	for _, name := range append(aboutToken(), o.claims.Groups, o.claims.Roles) {
		delete(out, name)
	}
	data, err := json.Marshal(out)
	if err != nil || len(data) > maxClaims {
		return nil, outbound.Refuse(err, "its claims are larger than 64 KB")
	}
	return out, nil
}
