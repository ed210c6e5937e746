package admin

import (
	"slices"
	"strings"

	"portcullis/scim"
	"portcullis/web"
)

// maker is who makes an identity provider.
type maker struct {
	Preset string // in the configuration
	Name   string
}

// makers are those with steps of their own.
func makers() []maker {
	return []maker{
		{"entra", "Microsoft Entra ID"},
		{"okta", "Okta"},
		{"google", "Google Workspace"},
		{"ping", "Ping Identity"},
		{"adfs", "AD FS"},
		{"keycloak", "Keycloak"},
		{"generic", "Another provider"},
	}
}

func makerOf(preset string) maker {
	all := makers()
	if i := slices.IndexFunc(all, func(m maker) bool { return m.Preset == preset }); i >= 0 {
		return all[i]
	}
	return all[len(all)-1]
}

// valueJSON is something to be typed in at the provider, exactly.
type valueJSON struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// stepJSON is something to do at the provider.
type stepJSON struct {
	Text   string      `json:"text"`
	Values []valueJSON `json:"values"`
}

// addresses are those of a connection at this gate.
type addresses struct {
	redirect, signOut, backChannel, jwks, start string // of OpenID Connect
	entityID, acs, slo, metadata                string // of SAML
	scim, token                                 string
}

func (c *Console) addresses(conn Connection) addresses {
	origin := strings.TrimSuffix(c.public.String(), "/")
	oidc, saml := origin+web.Prefix+"/oidc/"+conn.ID, origin+web.Prefix+"/saml/"+conn.ID
	a := addresses{
		redirect: oidc + "/callback", signOut: origin + web.Prefix + "/sign-out", backChannel: oidc + "/backchannel-logout",
		jwks: oidc + "/jwks.json", start: origin + web.Prefix + "/sign-in/" + conn.ID,
		entityID: saml + "/metadata", acs: saml + "/acs", slo: saml + "/slo", metadata: saml + "/metadata",
		scim: origin + scim.Prefix + conn.ID, token: origin + scim.Prefix + conn.ID + scim.TokenPath,
	}
	if conn.EntityID != "" {
		a.entityID = conn.EntityID
	}
	return a
}

// guide is what to do at the provider of a connection to have people sign in.
func guide(conn Connection, a addresses) []stepJSON {
	var steps []stepJSON
	add := func(text string, values ...valueJSON) {
		steps = append(steps, stepJSON{text, append([]valueJSON{}, values...)})
	}
	redirect, out := valueJSON{"Redirect URI", a.redirect}, valueJSON{"Sign-out redirect URI", a.signOut}
	back := valueJSON{"Back-channel logout URL", a.backChannel}
	entity, acs := valueJSON{"Entity ID", a.entityID}, valueJSON{"ACS URL (reply URL)", a.acs}
	slo, meta := valueJSON{"Logout URL", a.slo}, valueJSON{"Our metadata", a.metadata}
	start := valueJSON{"Start address", a.start}
	switch conn.Protocol + " " + makerOf(conn.Preset).Preset {
	case "oidc entra":
		add("In the Microsoft Entra admin center open App registrations, New registration. Choose “Accounts in this organizational directory only”. As the redirect URI choose “Web” and enter:", redirect)
		add("From its Overview take the Application (client) ID as the client id here. The issuer is https://login.microsoftonline.com/TENANT/v2.0, with the Directory (tenant) ID for TENANT.")
		add("Under Certificates & secrets make a client secret. Take its Value, not its Secret ID, and note the day on which it ends.")
		add("Under Token configuration add a groups claim, “Groups assigned to the application”; or make App roles. All groups of a person are too many for a token beyond 200.")
		add("Under Enterprise applications, your application: set “Assignment required” to Yes, and assign users and groups.", start)
	case "saml entra":
		add("In the Microsoft Entra admin center open Enterprise applications, New application, Create your own application, “Integrate any other application (Non-gallery)”.")
		add("Under Single sign-on choose SAML and fill in Basic SAML Configuration:", entity, acs, slo)
		add("Under Attributes & Claims add a group claim, “Groups assigned to the application”, source attribute Group ID.")
		add("Under SAML Certificates copy the App Federation Metadata Url into the form here.")
		add("Under Users and groups assign who may come in.", start)
	case "oidc okta":
		add("In the Okta admin console open Applications, Create App Integration: OIDC – OpenID Connect, Web Application. Enter:", redirect, out)
		add("From its General tab take the Client ID and a client secret. The issuer is the address of your organization, https://NAME.okta.com, or that of the authorization server that you chose.")
		add("Under Sign On, OpenID Connect ID Token, add a groups claim filter: groups, “Matches regex”, .* (or a narrower one).")
		add("Under Assignments add people and groups. For a tile set the initiate-login URI:", start)
	case "saml okta":
		add("In the Okta admin console open Applications, Create App Integration: SAML 2.0. Enter:", valueJSON{"Single sign-on URL", a.acs}, valueJSON{"Audience URI (SP Entity ID)", a.entityID})
		add("Choose “Persistent” as the Name ID format. Add the attribute statements email (user.email) and name (user.displayName), and the group attribute statement groups with “Matches regex” .* (or a narrower one).")
		add("From the Sign On tab copy the metadata URL into the form here, and under Assignments add people and groups.")
	case "oidc google":
		add("In the Google Cloud console open APIs & Services. Set the consent screen to “Internal”, then make credentials: OAuth client ID, Web application. Enter:", redirect)
		add("Take the client id and the client secret into the form here. The issuer is https://accounts.google.com.")
		add("Google puts no groups into its ID tokens. Where groups decide, choose SAML instead.")
	case "saml google":
		add("In the Google admin console open Apps, Web and mobile apps, Add app, Add custom SAML app. Download the metadata, and upload it here.")
		add("As the service provider’s details enter:", acs, entity)
		add("Tick “Signed response”. As attributes map Primary email to email, and under Group membership the groups that count to groups.")
		add("Turn the application on for the organizational units that may come in.", start)
	case "oidc ping":
		add("In PingOne open Applications, add one of the type OIDC Web App, and under Configuration enter:", redirect, out)
		add("Take the client id, the client secret and the issuer from its Configuration.")
		add("Under Attribute Mappings add groups (Group Names), email and name; under Access choose the groups that may come in. Turn it on.", start)
	case "saml ping":
		add("In PingOne open Applications, add one of the type SAML Application, and enter, or import our metadata:", acs, entity, slo, meta)
		add("Under Attribute Mappings set saml_subject to the User ID, and add groups (Group Names), email and name.")
		add("From its Configuration copy the IdP Metadata URL into the form here. Turn it on.")
	case "oidc adfs":
		add("In AD FS Management open Application Groups, Add: “Server application accessing a web API”. Enter:", redirect)
		add("Take the Client Identifier, make a shared secret, and use the same identifier for the web API. The issuer is https://HOST/adfs.")
		add("Give the web API the scopes openid, profile, email and allatclaims, and issuance transform rules that send “Token-Groups – Unqualified Names” as group, the e-mail address and the UPN.")
	case "saml adfs":
		add("In AD FS Management open Relying Party Trusts, Add. Import our metadata from its address, or enter by hand:", meta, acs, entity)
		add("As claim issuance rules send E-Mail-Addresses as E-Mail Address, Display-Name as Name, “Token-Groups – Unqualified Names” as Group, and a Name ID that never changes, such as objectGUID.")
		add("The metadata URL for the form here is https://HOST/FederationMetadata/2007-06/FederationMetadata.xml.")
	case "oidc keycloak":
		add("In the realm open Clients, Create client: OpenID Connect, with Client authentication and Standard flow on. Enter:",
			valueJSON{"Valid redirect URI", a.redirect}, valueJSON{"Valid post logout redirect URI", a.signOut}, back)
		add("Under Credentials copy the client secret. The issuer is https://HOST/realms/REALM.")
		add("Under Client scopes, the dedicated scope, add a mapper “Group Membership”: token claim name groups, full group path off.")
	case "saml keycloak":
		add("In the realm open Clients, Import client, or create one of the type SAML with this client id:", entity, meta)
		add("As the Master SAML Processing URL and valid redirect URI enter:", acs, slo)
		add("Under Keys import the certificate out of our metadata. Under Client scopes, the dedicated scope, add the mappers Group list (member), User Property (username, email).")
		add("The metadata URL for the form here is https://HOST/realms/REALM/protocol/saml/descriptor.")
	case "saml generic":
		add("At the provider add a service provider by our metadata, or by hand:", meta, entity, acs, slo)
		add("Have it send a persistent NameID, and the attributes email, displayName and groups. Responses or assertions must be signed with SHA-256 or better.")
		add("Give its metadata here: by address where it has one, so that new certificates arrive by themselves.")
	case "oidc generic":
		add("At the provider add a web client for the authorization code flow with PKCE:", redirect, out, back)
		add("Have it put the claims email, name and groups into the ID token.")
		add("Take its issuer, the client id and the client secret into the form here.")
	}
	if conn.Authentication == ByKey && conn.Protocol == OverOIDC {
		add("The gate proves itself by a key instead of a secret (private_key_jwt). Give the provider the address of our public keys:", valueJSON{"JWKS URL", a.jwks})
	}
	return steps
}

// pushGuide is what to do at the provider to have it push people and groups.
func pushGuide(conn Connection, a addresses) []stepJSON {
	var steps []stepJSON
	add := func(text string, values ...valueJSON) {
		steps = append(steps, stepJSON{text, append([]valueJSON{}, values...)})
	}
	base, token := valueJSON{"SCIM base URL", a.scim}, valueJSON{"Token endpoint", a.token}
	switch makerOf(conn.Preset).Preset {
	case "entra":
		add("In the enterprise application open Provisioning, mode Automatic. Enter the Tenant URL, and a token from below as the Secret Token; then press “Test Connection”.", valueJSON{"Tenant URL", a.scim})
		add("Under Mappings, users: map objectId to externalId, so that whoever is pushed and whoever signs in are the same person. Leave the rest as it is.")
		add("Set the scope to “Sync only assigned users and groups” and start provisioning. A cycle takes up to 40 minutes.")
	case "okta":
		add("In the application’s General tab turn on SCIM provisioning. Under Provisioning, Integration, enter the base URL, userName as the unique identifier, tick new users, profile updates and groups, and choose HTTP Header with a token from below.", base)
		add("Under Provisioning, To App, turn on create, update and deactivate. Under Push Groups choose the groups.")
	case "google":
		add("Google Workspace pushes over SCIM only to applications of its catalogue. People are known here from their first sign-in.")
	case "ping":
		add("In PingOne open Integrations, Provisioning, add a connection of the type SCIM Outbound, with a token from below as the OAuth 2 bearer token.", base)
		add("Add a rule with the population or groups that are pushed, map the user id to externalId, and turn both on.")
	case "adfs":
		add("AD FS does not push. Another program of yours that speaks SCIM 2.0 may:", base)
	case "keycloak":
		add("Keycloak pushes with an extension. Enter in it the base URL and a token from below.", base)
	default:
		add("At the provider enter the base URL and a token from below. Send as externalId what it sends as the subject of a sign-in.", base)
		add("A provider that gets its tokens by OAuth client credentials uses this address, with a client from “portcullis token create --oauth”:", token)
	}
	return steps
}
