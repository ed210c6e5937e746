package admin

import "cmp"

// settingsJSON is what the gate's administrators decided of a connection, as the
// call that changes it takes it. There is no secret in it: those are what stands
// at the identity provider, and are never told.
type settingsJSON struct {
	ID           string   `json:"id"`
	Organization string   `json:"organization"`
	Domains      []string `json:"domains"`
	Preset       string   `json:"preset,omitempty"`
	Protocol     string   `json:"protocol"`
	Provisioning string   `json:"provisioning,omitempty"`
	Link         string   `json:"link,omitempty"`
	SCIM         bool     `json:"scim"`

	Addresses      []string `json:"addresses"`
	GroupsFrom     []string `json:"groupsFrom"`
	RolesFrom      []string `json:"rolesFrom"`
	UserNameFrom   []string `json:"userNameFrom"`
	EmailFrom      []string `json:"emailFrom"`
	NameFrom       []string `json:"nameFrom"`
	SubjectFrom    []string `json:"subjectFrom"`
	UnitAttribute  string   `json:"unitAttribute"`
	UnitClaim      string   `json:"unitClaim"`
	SCIMAttributes []string `json:"scimAttributes"`
	GuardPercent   string   `json:"guardPercent"`
	GuardPeople    string   `json:"guardPeople"`

	Version int64 `json:"version"`
}

func settingsWire(d Draft) settingsJSON {
	x := d.Reading
	return settingsJSON{
		ID: d.ID, Organization: cmp.Or(d.Organization, d.ID), Domains: list(d.Domains), Preset: d.Preset, Protocol: d.Protocol,
		Provisioning: d.Provisioning, Link: d.Link, SCIM: d.SCIM, Addresses: list(d.Addresses),
		GroupsFrom: list(x.Names["groups"]), RolesFrom: list(x.Names["roles"]), UserNameFrom: list(x.Names["user_name"]),
		EmailFrom: list(x.Names["email"]), NameFrom: list(x.Names["name"]), SubjectFrom: list(x.Names["subject"]),
		UnitAttribute: x.UnitAttribute, UnitClaim: x.UnitClaim, SCIMAttributes: list(x.Attributes),
		GuardPercent: x.GuardPercent, GuardPeople: x.GuardPeople, Version: d.Version,
	}
}
