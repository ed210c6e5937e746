package main

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"portcullis/admin"
)

// filledIn reports whether a draft says anything of its identity provider.
func filledIn(d admin.Draft) bool {
	if d.Protocol == admin.OverSAML {
		return d.MetadataURL != "" || d.Metadata != ""
	}
	return d.Issuer != "" || d.ClientID != ""
}

// document is a draft as it would stand in the configuration.
func document(d admin.Draft, secrets map[string]string) ([]byte, error) {
	out := map[string]any{"id": d.ID, "scim": scimOf(d)}
	put := func(into map[string]any, key, value string) {
		if value != "" {
			into[key] = value
		}
	}
	put(out, "organization", d.Organization)
	put(out, "preset", d.Preset)
	put(out, "provisioning", d.Provisioning)
	put(out, "link", d.Link)
	if len(d.Domains) > 0 {
		out["domains"] = d.Domains
	}
	if len(d.Addresses) > 0 {
		out["addresses"] = d.Addresses
	}
	unit := map[string]any{}
	put(unit, "attribute", d.Reading.UnitAttribute)
	put(unit, "claim", d.Reading.UnitClaim)
	if len(unit) > 0 {
		out["sub_organization"] = unit
	}
	switch {
	case !filledIn(d):
	case d.Protocol == admin.OverOIDC:
		oidc := map[string]any{}
		put(oidc, "issuer", d.Issuer)
		put(oidc, "client_id", d.ClientID)
		switch d.Authentication {
		case admin.ByKey:
			oidc["private_key_jwt"] = true
		case admin.Public:
			oidc["public_client"] = true
		default:
			put(oidc, "client_secret_expires", d.SecretExpires)
			for key, name := range map[string]string{"client_secret_env": secretName, "client_secret_next_env": nextName} {
				if secrets[name] != "" {
					oidc[key] = name
				}
			}
		}
		if len(d.Reading.Names) > 0 {
			oidc["claims"] = namesOf(d)
		}
		out["oidc"] = oidc
	case d.Protocol == admin.OverSAML:
		p := map[string]any{}
		put(p, "metadata_url", d.MetadataURL)
		if d.MetadataURL == "" {
			put(p, "metadata", d.Metadata)
		}
		names := namesOf(d)
		if subject, ok := names["subject"]; ok { // stands beside the others
			p["subject"] = subject
			delete(names, "subject")
		}
		if len(names) > 0 {
			p["attributes"] = names
		}
		out["saml"] = p
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(out)
	return b.Bytes(), err
}

// namesOf are the names of claims or attributes, as they would stand in the
// configuration.
func namesOf(d admin.Draft) map[string]any {
	out := make(map[string]any, len(d.Reading.Names))
	for key, names := range d.Reading.Names {
		if out[key] = names; len(names) == 1 {
			out[key] = names[0]
		}
	}
	return out
}

// scimOf is the section scim, as it would stand in the configuration.
func scimOf(d admin.Draft) map[string]any {
	out := map[string]any{"enabled": d.SCIM}
	guard := map[string]any{}
	for key, text := range map[string]string{"percent": d.Reading.GuardPercent, "people": d.Reading.GuardPeople} {
		if n, err := strconv.Atoi(text); err == nil {
			guard[key] = n
		} else if text != "" {
			guard[key] = text
		}
	}
	if len(guard) > 0 {
		out["guard"] = guard
	}
	if len(d.Reading.Attributes) == 0 {
		return out
	}
	var b bytes.Buffer // an object, in which a name may stand twice: who reads it says so
	for i, a := range d.Reading.Attributes {
		name, kind, _ := strings.Cut(a, "=")
		n, _ := json.Marshal(name) // texts
		k, _ := json.Marshal(kind)
		b.WriteByte("{,"[min(i, 1)])
		b.Write(n)
		b.WriteByte(':')
		b.Write(k)
	}
	b.WriteByte('}')
	out["attributes"] = json.RawMessage(b.Bytes())
	return out
}
