package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/config"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/saml"
)

// What secrets are called in the documents of connections.
const (
	secretName = "CLIENT_SECRET"
	nextName   = "CLIENT_SECRET_NEXT"
)

// draftJSON is a connection as it was made in the console, in the database.
type draftJSON struct {
	ID             string   `json:"id"`
	Organization   string   `json:"organization,omitempty"`
	Domains        []string `json:"domains,omitempty"`
	Preset         string   `json:"preset,omitempty"`
	Protocol       string   `json:"protocol,omitempty"`
	Provisioning   string   `json:"provisioning,omitempty"`
	Link           string   `json:"link,omitempty"`
	SCIM           bool     `json:"scim,omitempty"`
	Issuer         string   `json:"issuer,omitempty"`
	ClientID       string   `json:"client_id,omitempty"`
	Authentication string   `json:"authentication,omitempty"`
	SecretExpires  string   `json:"secret_expires,omitempty"`
	MetadataURL    string   `json:"metadata_url,omitempty"`
	Metadata       string   `json:"metadata,omitempty"`

	Addresses     []string            `json:"addresses,omitempty"`
	Names         map[string][]string `json:"names,omitempty"`
	UnitAttribute string              `json:"unit_attribute,omitempty"`
	UnitClaim     string              `json:"unit_claim,omitempty"`
	Attributes    []string            `json:"scim_attributes,omitempty"`
	GuardPercent  string              `json:"guard_percent,omitempty"`
	GuardPeople   string              `json:"guard_people,omitempty"`
}

func draftWire(d admin.Draft) draftJSON {
	return draftJSON{
		d.ID, d.Organization, d.Domains, d.Preset, d.Protocol, d.Provisioning, d.Link, d.SCIM, d.Issuer, d.ClientID, d.Authentication,
		d.SecretExpires, d.MetadataURL, d.Metadata,
		d.Addresses, d.Reading.Names, d.Reading.UnitAttribute, d.Reading.UnitClaim, d.Reading.Attributes, d.Reading.GuardPercent, d.Reading.GuardPeople,
	}
}

func (d draftJSON) domain(version int64) admin.Draft {
	return admin.Draft{
		ID: d.ID, Organization: d.Organization, Domains: d.Domains, Preset: d.Preset, Protocol: d.Protocol, Provisioning: d.Provisioning,
		Link: d.Link, SCIM: d.SCIM, Issuer: d.Issuer, ClientID: d.ClientID, Authentication: d.Authentication, SecretExpires: d.SecretExpires,
		MetadataURL: d.MetadataURL, Metadata: d.Metadata, Version: version,
		Addresses: d.Addresses, Reading: admin.Reading{
			Names: d.Names, UnitAttribute: d.UnitAttribute, UnitClaim: d.UnitClaim, Attributes: d.Attributes,
			GuardPercent: d.GuardPercent, GuardPeople: d.GuardPeople,
		},
	}
}

// viewOf shows a connection that can be in force.
func viewOf(c config.Connection) admin.Connection {
	v := admin.Connection{
		ID: c.ID, Organization: c.Organization, Domains: c.Domains, Preset: c.Preset, Provisioning: c.Provisioning, Link: c.Link, SCIM: c.SCIM.Enabled,
		Addresses: c.Addresses,
	}
	v.Reading = admin.Reading{UnitAttribute: c.SubOrganization.Attribute, UnitClaim: c.SubOrganization.Claim}
	for _, name := range slices.Sorted(maps.Keys(c.SCIM.Attributes)) {
		v.Reading.Attributes = append(v.Reading.Attributes, name+"="+c.SCIM.Attributes[name])
	}
	if c.SCIM.Enabled {
		v.Reading.GuardPercent, v.Reading.GuardPeople = strconv.Itoa(c.SCIM.Guard.Percent), strconv.Itoa(c.SCIM.Guard.People)
	}
	switch {
	case c.OIDC != nil:
		v.Protocol, v.Issuer, v.ClientID, v.SecretExpires = admin.OverOIDC, c.OIDC.Issuer, c.OIDC.ClientID, c.OIDC.SecretExpires
		v.NextSecret = !c.OIDC.NextSecret.IsZero()
		switch {
		case c.OIDC.KeyJWT, c.OIDC.KeyFile != "":
			v.Authentication = admin.ByKey
		case c.OIDC.ClientSecret.IsZero():
			v.Authentication = admin.Public
		default:
			v.Authentication = admin.BySecret
		}
	case c.SAML != nil:
		v.Protocol, v.MetadataURL, v.MetadataFile, v.EntityID = admin.OverSAML, c.SAML.MetadataURL, c.SAML.MetadataFile, c.SAML.EntityID
		v.Metadata = c.SAML.Metadata != ""
	}
	return v
}

// draftView shows a connection that cannot be in force as it is.
func draftView(m madeConnection) admin.Connection {
	d := m.draft
	return admin.Connection{
		ID: d.ID, Organization: d.Organization, Domains: d.Domains, Preset: d.Preset, Protocol: d.Protocol, Provisioning: d.Provisioning, Link: d.Link,
		SCIM: d.SCIM, Issuer: d.Issuer, ClientID: d.ClientID, Authentication: d.Authentication, MetadataURL: d.MetadataURL, Metadata: d.Metadata != "",
		Addresses: networksOf(d),
	}
}

// Draft implements [admin.Ways].
func (r *roster) Draft(id string) (admin.Draft, error) {
	m, ok := r.state.Load().made[id]
	if !ok {
		return admin.Draft{}, fault.New(fault.NotFound, "connection %q was not made in the console", id)
	}
	return m.draft, nil
}

// Save implements [admin.Ways].
func (r *roster) Save(ctx context.Context, by audit.Actor, d admin.Draft) (ended int, err error) {
	if err := r.Refresh(ctx); err != nil {
		return 0, err
	}
	state, now := r.state.Load(), r.now()
	next := madeConnection{draft: d, secrets: map[string]string{}}
	m := admin.Made{ID: d.ID, Version: d.Version, Created: now, Changed: now, Author: by.Name}
	action := audit.ConnectionCreated
	if old, ok := state.made[d.ID]; ok {
		if d.Version == 0 {
			return 0, mistaken(fault.Conflict, "id", "there is a connection %q already", d.ID)
		}
		action, m.Created = audit.ConnectionUpdated, old.Created
		if d.Issuer == old.draft.Issuer { // whose secret it is: nobody else is ever sent it
			maps.Copy(next.secrets, old.secrets)
		}
		if d.MetadataURL == "" && d.Metadata == "" {
			next.draft.Metadata = old.draft.Metadata
		}
	}
	if d.ClientSecret != "" {
		next.secrets[secretName] = d.ClientSecret
	}
	if d.DropNext {
		delete(next.secrets, nextName)
	}
	if d.NextSecret != "" {
		next.secrets[nextName] = d.NextSecret
	}
	if err := r.fits(next, state); err != nil {
		return 0, err
	}
	if m.Document, err = json.Marshal(draftWire(next.draft)); err != nil {
		return 0, err
	}
	if len(next.secrets) > 0 {
		plain, err := json.Marshal(next.secrets)
		if err != nil {
			return 0, err
		}
		if m.Sealed, err = r.ring.Seal(admin.SecretsPurpose+d.ID, plain); err != nil {
			return 0, err
		}
	}
	detail := changesOf(state.made[d.ID], next)
	ended, err = r.made.Put(ctx, m, anotherProvider(state.made[d.ID].draft, next.draft), func(sessions int) audit.Event {
		maps.Copy(detail, directory.EndedDetail(sessions))
		return audit.Event{At: now, Action: action, Actor: by, Connection: d.ID, Subject: d.ID, Detail: detail}
	})
	if err != nil {
		return 0, err
	}
	return ended, r.Refresh(ctx)
}

// anotherProvider reports whether other people may come in by a connection than
// before: those of another identity provider.
func anotherProvider(old, next admin.Draft) bool {
	if !filledIn(old) {
		return false // nobody came in
	}
	if old.Protocol != next.Protocol || old.Issuer != next.Issuer || old.MetadataURL != next.MetadataURL {
		return true
	}
	return old.Metadata != next.Metadata && entityOf(old.Metadata) != entityOf(next.Metadata)
}

// entityOf is whose metadata that is; empty for none that can be read.
func entityOf(metadata string) string {
	m, err := saml.ReadMetadata([]byte(metadata), saml.MetadataOptions{})
	if err != nil {
		return ""
	}
	return m.IDP.EntityID
}

// fits says what is wrong with a connection that somebody wants. One whose
// provider is not known yet is judged by the rest of it.
func (r *roster) fits(m madeConnection, state *rosterState) error {
	others := slices.DeleteFunc(slices.Clone(state.cfg.Connections), func(c config.Connection) bool { return c.ID == m.draft.ID })
	for _, conn := range r.file.Connections {
		if conn.ID == m.draft.ID {
			return mistaken(fault.Conflict, "id", "%q is the id of a connection of the configuration", conn.ID)
		}
	}
	switch m.draft.Protocol {
	case "", admin.OverOIDC, admin.OverSAML:
	default:
		return fault.New(fault.Invalid, "protocol: want oidc, saml or nothing")
	}
	if m.draft.Protocol == admin.OverOIDC && filledIn(m.draft) && (m.draft.Authentication == "" || m.draft.Authentication == admin.BySecret) && m.secrets[secretName] == "" {
		return mistaken(fault.Invalid, "oidc.client_secret", "the client secret is missing")
	}
	judged := m
	if m.draft.Protocol != "" && !filledIn(m.draft) { // some provider, so that the rest is judged as it will be
		judged.draft.Issuer, judged.draft.ClientID, judged.draft.Authentication = "https://idp.example", "client", admin.Public
		judged.draft.MetadataURL = "https://idp.example/metadata"
	}
	if _, err := r.read(judged, others); err != nil {
		return fault.Wrap(fault.Invalid, mistakesOf(err), "%s", problemOf(err))
	}
	return nil
}

// mistaken is a fault at one key.
func mistaken(kind fault.Kind, key, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	return fault.Wrap(kind, admin.Mistakes{{Key: key, Text: text}}, "%s", text)
}

// mistakesOf are the problems of a document, each with its key; err itself if
// it is anything else.
func mistakesOf(err error) error {
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
		return err
	}
	out := make(admin.Mistakes, len(problems))
	for i, p := range problems {
		key, text, named := strings.Cut(p.Message, ": ")
		if !named {
			key, text = "", p.Message
		}
		out[i] = admin.Mistake{Key: key, Text: text}
	}
	return out
}

// changesOf names what is different, and the secrets by name alone.
func changesOf(old, next madeConnection) map[string]string {
	out := make(map[string]string)
	var before, after map[string]any
	for d, into := range map[*admin.Draft]*map[string]any{&old.draft: &before, &next.draft: &after} {
		text, _ := json.Marshal(draftWire(*d)) // strings and a flag
		_ = json.Unmarshal(text, into)
	}
	text := func(v any) string {
		if v == nil {
			return "nothing"
		}
		b, _ := json.Marshal(v)
		if len(b) > 300 {
			return "…"
		}
		return string(b)
	}
	for _, name := range slices.Concat(keysOf(before), keysOf(after)) {
		if was, is := text(before[name]), text(after[name]); was != is {
			out[name] = is
			if before != nil && old.ID != "" {
				out[name] = was + " to " + is
			}
		} else if is == "…" && before[name] != after[name] {
			out[name] = "changed"
		}
	}
	for _, name := range []string{secretName, nextName} {
		if old.secrets[name] != next.secrets[name] {
			out[name] = "changed"
		}
	}
	return out
}

func keysOf(m map[string]any) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

// Remove implements [admin.Ways]. Of one that the configuration shadows nothing
// but the document goes: people, sessions and tokens are of that other one.
func (r *roster) Remove(ctx context.Context, by audit.Actor, id, reason string) (int, error) {
	shadowed := r.inFile(id)
	ended, err := r.made.Remove(ctx, id, shadowed, r.now(), func(sessions int) audit.Event {
		detail := directory.EndedDetail(sessions)
		if shadowed {
			detail = map[string]string{"stays": "the connection of the configuration that has this id"}
		}
		return audit.Event{At: r.now(), Action: audit.ConnectionRemoved, Actor: by, Connection: id, Subject: id, Reason: reason, Detail: detail}
	})
	if err != nil {
		return 0, err
	}
	return ended, r.Refresh(ctx)
}
