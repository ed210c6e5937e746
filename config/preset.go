package config

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Preset is what an identity provider calls things unless its administrator
// decided otherwise. A connection that names one overrides it name by name.
type Preset struct {
	Claims     Claims     // of OpenID Connect
	Attributes Attributes // of SAML
}

// Attributes names the SAML attributes that facts are read from, by Name. The
// first that is there counts.
type Attributes struct {
	Subject  []string // who they are for good; the NameID where there is none
	Groups   []string
	Email    []string
	Name     []string
	Roles    []string
	UserName []string
}

// entra is the preset of Microsoft Entra ID.
const entra = "entra"

// ofEntra reports whether an issuer is one of the clouds of Microsoft Entra ID.
func ofEntra(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && slices.Contains([]string{
		"login.microsoftonline.com", "sts.windows.net", "login.microsoftonline.us", "login.partner.microsoftonline.cn",
	}, strings.ToLower(u.Hostname()))
}

// tenantPath is the path of an issuer at Microsoft Entra ID, which begins with
// the id of a tenant. What else is taken there, such as common, organizations,
// consumers or a domain, answers with metadata that name another issuer than
// was asked for (OpenID Connect Discovery 1.0, section 4.3).
var tenantPath = regexp.MustCompile(`^/(?i:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})(/|$)`)

// ofNoTenant reports whether an issuer is at Microsoft Entra ID and not that of
// one tenant, so that nobody could sign in by it.
func ofNoTenant(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && ofEntra(issuer) && !tenantPath.MatchString(u.Path)
}

// ofManyTenants reports whether an address at Microsoft Entra ID stands for
// whichever tenant somebody is of. A tenant's own may have its domain for its id.
func ofManyTenants(address string) bool {
	u, err := url.Parse(address)
	return err == nil && ofEntra(address) && manyTenants.MatchString(u.Path)
}

var manyTenants = regexp.MustCompile(`^/(?i:common|organizations|consumers)(/|$)`)

// PresetOf gives the preset of a name, and the one that suits most providers
// for the empty name or one that does not exist.
func PresetOf(name string) Preset {
	p := presets()["generic"]
	if q, ok := presets()[name]; ok {
		p = q
	}
	return p
}

// presets are the names of claims and attributes that the makers document.
func presets() map[string]Preset {
	const (
		ws     = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
		ms     = "http://schemas.microsoft.com/ws/2008/06/identity/claims/"
		tenant = "http://schemas.microsoft.com/identity/claims/"
	)
	usual := Claims{Groups: "groups", Email: "email", Name: "name", Roles: "roles", UserName: "preferred_username"}
	plain := Attributes{
		Groups: []string{"groups", "memberOf", "group"}, Email: []string{"email", "mail"}, Name: []string{"displayName", "name", "cn"},
		Roles: []string{"role", "roles"}, UserName: []string{"uid", "username", "userName"},
	}
	entraID := Attributes{
		Subject: []string{tenant + "objectidentifier"},
		Groups:  []string{ms + "groups"}, Email: []string{ws + "emailaddress"}, Name: []string{tenant + "displayname"},
		Roles: []string{ms + "role"}, UserName: []string{ws + "name"},
	}
	return map[string]Preset{
		"generic": {usual, Attributes{
			Groups: slices.Concat(entraID.Groups, plain.Groups), Email: slices.Concat(entraID.Email, plain.Email),
			Name: slices.Concat(entraID.Name, plain.Name), Roles: slices.Concat(entraID.Roles, plain.Roles),
			UserName: slices.Concat(entraID.UserName, plain.UserName),
		}},
		entra:  {usual, entraID},
		"okta": {usual, plain},
		"ping": {usual, plain},
		// Google has no groups in its ID tokens, and calls people by their address.
		"google": {Claims{Groups: "groups", Email: "email", Name: "name", Roles: "roles", UserName: "email"}, plain},
		"adfs": {
			Claims{Groups: "group", Email: "email", Name: "unique_name", Roles: "role", UserName: "upn"},
			Attributes{
				Groups: []string{"http://schemas.xmlsoap.org/claims/Group"}, Email: []string{ws + "emailaddress"},
				Name: []string{ws + "name"}, Roles: []string{ms + "role"}, UserName: []string{ws + "upn"},
			},
		},
		// The names of its built-in mappers.
		"keycloak": {usual, Attributes{
			Groups: []string{"member", "groups"}, Email: []string{"urn:oid:1.2.840.113549.1.9.1", "email"}, Name: []string{"name", "displayName"},
			Roles: []string{"Role", "roles"}, UserName: []string{"username"},
		}},
	}
}

// preset reads whose names a connection goes by; empty where it does not say.
func (s section) preset() string {
	names := slices.Sorted(maps.Keys(presets()))
	return s.text("preset", "one of "+strings.Join(names, ", "), "", func(v string) bool { return slices.Contains(names, v) })
}
