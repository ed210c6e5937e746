package admin

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/session"
)

// find gives somebody whom this visitor may see. Anybody else is not there.
func (c *Console) find(r *request, id string) (directory.Standing, error) {
	s, err := c.directory.Look(r.ctx, id)
	if fault.Is(err, fault.NotFound) || err == nil && !r.holds(s.Person.Organization, s.Person.Unit) {
		return s, fault.New(fault.NotFound, "there is no such person")
	}
	return s, err
}

func (c *Console) standing(r *request) (directory.Standing, error) { return c.find(r, r.param("id")) }

// barJSON is a decision that keeps somebody out.
type barJSON struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

func barWire(b *directory.Bar) *barJSON {
	if b == nil {
		return nil
	}
	return &barJSON{b.At, b.By, b.Reason}
}

// head is what stands above every tab of a person.
type head struct {
	Person personJSON `json:"person"`
	Tab    string     `json:"-"`
	Tabs   []tab      `json:"-"`
}

type tab struct{ Name, Title string }

// head is what stands above a tab of somebody, by a standing of whatever time.
func (c *Console) head(r *request, s *directory.Standing, name string) (head, error) {
	h := head{Person: personWire(&s.Person), Tab: name}
	for _, t := range []struct {
		tab
		right string
	}{
		{tab{"", "Overview"}, mapping.GateUsersView},
		{tab{"why", "Why"}, mapping.GateUsersView},
		{tab{"exceptions", "Exceptions"}, mapping.GateRolesAssign},
		{tab{"sessions", "Sessions"}, mapping.GateUsersView},
		{tab{"sign-ins", "Sign-ins"}, mapping.GateAuditView},
		{tab{"scim", "SCIM"}, mapping.GateAuditView},
		{tab{"audit", "Audit"}, mapping.GateAuditView},
	} {
		if r.may(t.right) {
			h.Tabs = append(h.Tabs, t.tab)
		}
	}
	named := []personJSON{h.Person}
	err := c.tellPlaces(r, named)
	h.Person = named[0]
	switch {
	case s.Organization.Disabled:
		h.Person.Frozen = s.Organization.Name
	case !s.PartFrozen:
		h.Person.Frozen = ""
	case h.Person.Frozen == "": // it was then
		h.Person.Frozen = s.Person.Organization + " / …"
	}
	return h, err
}

// personView is somebody's overview.
type personView struct {
	head

	Subject       string     `json:"subject,omitempty"`
	ExternalID    string     `json:"externalId,omitempty"`
	EmailVerified bool       `json:"emailVerified"`
	IDPActive     bool       `json:"activeAtIdentityProvider"`
	Modified      time.Time  `json:"modified"`
	Suspended     bool       `json:"organizationSuspended"`
	PartSuspended bool       `json:"subOrganizationSuspended"`
	Deactivated   *barJSON   `json:"deactivated,omitempty"`
	Locked        *barJSON   `json:"locked,omitempty"`
	Login         bool       `json:"mayComeIn"`
	Refusal       string     `json:"refusal,omitempty"`
	Roles         []string   `json:"roles"`
	Tasks         []string   `json:"tasks"`
	Groups        []string   `json:"permissionGroups"`
	Data          []string   `json:"data"` // in words
	Verbs         []verbLink `json:"-"`
	Kept          string     `json:"-"` // why they cannot be deleted here, for whoever could
	Fixed         string     `json:"-"` // why their sub-organization cannot be chosen here, likewise
}

func (c *Console) person(r *request) (any, error) {
	s, err := c.standing(r)
	if err != nil {
		return nil, err
	}
	p := &s.Person
	above, err := c.head(r, &s, "")
	if err != nil {
		return nil, err
	}
	v := &personView{
		head: above, Subject: s.Assertion.Subject, ExternalID: p.ExternalID, EmailVerified: p.EmailVerified,
		IDPActive: p.IDPActive, Modified: p.Modified, Suspended: s.Organization.Disabled, PartSuspended: s.PartFrozen,
		Deactivated: barWire(p.Deactivated), Locked: barWire(p.Locked), Roles: []string{}, Tasks: []string{}, Groups: []string{}, Data: []string{},
	}
	if v.Verbs, err = c.offered(r.ctx, r.visitor, p); err != nil {
		return nil, err
	}
	if err := c.directory.Removable(*p); err != nil && r.may(mapping.GateUsersDelete) {
		v.Kept = fault.Message(err)
	}
	if r.reaches(mapping.GateUsersEdit, p) {
		if err := c.placeable(r.visitor, p); err == nil {
			v.Verbs = append(v.Verbs, verbLink{"place", "Move"})
		} else if !r.is(p.ID) {
			v.Fixed = fault.Message(err)
		}
	}
	policy := c.keeper.Policy()
	if _, err := s.Admit(policy, c.now()); err != nil {
		v.Refusal = fault.Message(err)
	}
	v.Login = v.Refusal == ""
	if policy != nil {
		facts := s.Facts()
		e := policy.Explain(&facts, c.now())
		v.Roles, v.Tasks = append(v.Roles, e.Access.Roles...), append(v.Tasks, e.Access.Tasks...)
		v.Groups, v.Data = append(v.Groups, e.Access.PermissionGroups...), append(v.Data, e.Permissions...)
	}
	return v, nil
}

// groupJSON is a group of somebody, and when the gate learned of it.
type groupJSON struct {
	Name   string     `json:"name"`
	Source string     `json:"source"` // "scim" or "sign-in"
	Since  *time.Time `json:"since"`  // null: from the beginning
}

// whyView says where everything comes from that somebody has.
type whyView struct {
	head

	Explanation *mapping.Explanation `json:"explanation"`    // null while no mapping is in force
	Text        string               `json:"text,omitempty"` // the same in words
	Groups      []groupJSON          `json:"groups"`
	Bar         string               `json:"bar,omitempty"` // what keeps them out whatever the mapping grants
	At          time.Time            `json:"at,omitzero"`   // of the facts and the mapping; zero for now
	Mapping     *ruling              `json:"mapping,omitempty"`
	WhatIf      *whatIf              `json:"whatIf,omitempty"`
	MayRecord   bool                 `json:"-"`
	rules       map[string]mapping.RuleTrace
}

// reasonLine is one rule that gave something.
type reasonLine struct {
	ID, Place, Why string
}

// origins is what a part of the page is about.
type origins struct {
	V *whyView
	O []mapping.Origin
}

// Of gives a part of the page what it needs of the whole.
func (v *whyView) Of(o []mapping.Origin) origins { return origins{v, o} }

// Exceptions are those that gave something.
func (v *whyView) Exceptions(ids []string) (out []mapping.ExceptionTrace) {
	for _, x := range v.Explanation.Exceptions {
		if slices.Contains(ids, x.ID) {
			out = append(out, x)
		}
	}
	return out
}

// Reasons are the rules that gave something, each with its line and what it
// rests on.
func (v *whyView) Reasons(ids []string) []reasonLine {
	out := make([]reasonLine, 0, len(ids))
	for _, id := range ids {
		t := v.rules[id]
		out = append(out, reasonLine{id, v.Place(t.File, t.Line), t.Why})
	}
	return out
}

// Place is a line of the mapping; of where its files are, an administrator
// need not know.
func (v *whyView) Place(file string, line int) string {
	return place(filepath.Base(file), line)
}

// Matched are the rules that hold for somebody, or those that do not.
func (v *whyView) Matched(yes bool) (out []mapping.RuleTrace) {
	for _, t := range v.Explanation.Rules {
		if t.Matched == yes {
			out = append(out, t)
		}
	}
	return out
}

func (c *Console) why(r *request) (any, error) {
	v := &whyView{Groups: []groupJSON{}, rules: make(map[string]mapping.RuleTrace), MayRecord: r.may(mapping.GateMappingPropose)}
	s, err := c.standingAt(r, v)
	if err != nil {
		return nil, err
	}
	if v.head, err = c.head(r, &s, "why"); err != nil {
		return nil, err
	}
	if err := s.Bar(); err != nil {
		v.Bar = fault.ToOthers(err)
	}
	var pushed []Membership
	if v.At.IsZero() {
		if pushed, err = c.store.Memberships(r.ctx, s.Person.ID); err != nil {
			return nil, err
		}
	}
	for _, m := range pushed {
		v.Groups = append(v.Groups, groupJSON{m.Name, "scim", optional(m.Since)})
	}
	if !v.At.IsZero() {
		for _, g := range s.Pushed {
			v.Groups = append(v.Groups, groupJSON{g.Name, "scim", nil})
		}
	}
	for _, g := range s.Pushed {
		if v.At.IsZero() && g.Indirect && !slices.ContainsFunc(pushed, func(m Membership) bool { return m.Group == g.ID }) {
			v.Groups = append(v.Groups, groupJSON{g.Name, "scim, through another group", nil})
		}
	}
	for _, g := range s.Assertion.Groups {
		v.Groups = append(v.Groups, groupJSON{g, "sign-in", optional(s.Assertion.Received)})
	}
	policy, at := c.keeper.Policy(), c.now()
	if !v.At.IsZero() {
		if v.Mapping, err = c.ruled(r, v.At); err != nil {
			return nil, err
		}
		policy, at = v.Mapping.policy, v.At
	}
	if policy == nil {
		return v, nil
	}
	facts := s.Facts()
	if v.At.IsZero() {
		if v.WhatIf, err = tryFacts(r, policy, facts, c); err != nil {
			return nil, err
		}
	}
	e := policy.Explain(&facts, at)
	if r.organization != "" {
		e.Narrow()
	}
	e.File = filepath.Base(e.File)
	for i := range e.Rules {
		e.Rules[i].File = filepath.Base(e.Rules[i].File)
		v.rules[e.Rules[i].ID] = e.Rules[i]
	}
	for i := range e.NearMisses {
		e.NearMisses[i].File = filepath.Base(e.NearMisses[i].File)
	}
	v.Explanation = &e
	if r.inAPI {
		v.Text = e.String()
	}
	return v, nil
}

// sessionJSON is one session of somebody.
type sessionJSON struct {
	ID       string    `json:"id"`
	Created  time.Time `json:"created"`
	LastSeen time.Time `json:"lastSeen"`
	Expires  time.Time `json:"expires"`
	Address  string    `json:"address"`
	Browser  string    `json:"userAgent"`
	Own      bool      `json:"own"` // the one in which this is asked

	Connection string     `json:"connection"`
	Provider   string     `json:"provider,omitempty"` // what the identity provider is called
	ACR        string     `json:"acr,omitempty"`      // how they proved who they are, as it says
	AuthTime   *time.Time `json:"authTime,omitempty"` // when, likewise
}

func sessionWire(r session.Row, own bool) sessionJSON {
	return sessionJSON{
		ID: r.ID, Created: r.Created, LastSeen: r.LastSeen, Expires: r.Expires, Address: r.Client.Address, Browser: r.Client.UserAgent, Own: own,
		Connection: r.Connection, Provider: r.Issuer, ACR: r.ACR, AuthTime: optional(r.AuthTime),
	}
}

type sessionsView struct {
	head

	Sessions []sessionJSON `json:"sessions"`
	Streams  int           `json:"open"` // how many of them have a page or stream open on this gate
	MayEnd   bool          `json:"-"`
}

func (c *Console) sessionsOf(r *request) (any, error) {
	s, err := c.standing(r)
	if err != nil {
		return nil, err
	}
	rows, err := c.sessions.Of(r.ctx, s.Person.ID)
	if err != nil {
		return nil, err
	}
	above, err := c.head(r, &s, "sessions")
	if err != nil {
		return nil, err
	}
	v := &sessionsView{
		head: above, Sessions: make([]sessionJSON, len(rows)), Streams: c.sessions.Streams(s.Person.ID),
		MayEnd: r.reaches(mapping.GateUsersLock, &s.Person),
	}
	for i, row := range rows {
		v.Sessions[i] = sessionWire(row, r.who != nil && r.who.SessionID == row.ID)
	}
	return v, nil
}

func (c *Console) endSession(r *request) (any, error) {
	s, err := c.standing(r)
	if err != nil {
		return nil, err
	}
	why, err := r.reason(false)
	if err != nil {
		return nil, err
	}
	if err := c.sessions.EndOf(r.ctx, s.Person.ID, r.param("session"), r.actor(), why); err != nil {
		return nil, err
	}
	return done{to: "/people/" + s.Person.ID + "/sessions", Done: "session", Ended: 1}, nil
}

// Device is a browser and its system in a word or two, as far as it says.
func (s sessionJSON) Device() string {
	find := func(pairs ...string) string {
		for i := 0; i+1 < len(pairs); i += 2 {
			if strings.Contains(s.Browser, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
	browser := find("Edg/", "Edge", "Firefox/", "Firefox", "Chrome/", "Chrome", "Safari/", "Safari", "curl/", "curl")
	system := find("Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Windows", "Windows", "Mac OS", "macOS", "Linux", "Linux")
	switch {
	case browser == "" && system == "":
		return "Unknown"
	case system == "":
		return browser
	case browser == "":
		return system
	default:
		return browser + " on " + system
	}
}
