package admin

import (
	_ "embed"
	"encoding/json"
	"time"

	"portcullis/audit"
	"portcullis/mapping"
)

// homeView is the first page. What a visitor may not see is not in it.
type homeView struct {
	People   *peopleSum     `json:"people,omitempty"`
	SignIns  *signInSum     `json:"signIns,omitempty"`
	Mapping  *mappingSum    `json:"mapping,omitempty"`
	Losses   []massLossJSON `json:"massLosses,omitempty"` // that can be undone
	Openings []eventJSON    `json:"openings,omitempty"`   // of the console by a one-time link, of the last week
}

type peopleSum struct {
	All         int `json:"all"`
	Locked      int `json:"locked"`
	Deactivated int `json:"deactivated"`
}

type signInSum struct {
	Since  time.Time `json:"since"`
	In     int       `json:"in"`
	Failed int       `json:"failed"`
}

type mappingSum struct {
	Hash      string    `json:"hash"`
	Since     time.Time `json:"since"`
	Problem   string    `json:"problem,omitempty"`
	Tests     int       `json:"tests"`
	Proposals int       `json:"proposals"` // that wait for somebody
}

// within gives a request as it is for another right; false if the visitor has
// not got it.
func (r *request) within(right string) (*request, bool) {
	of, everybody := r.reach(right)
	if !r.may(right) || !everybody && (of.organization == "" || !local(right)) {
		return nil, false
	}
	narrow := *r
	narrow.scope = of
	return &narrow, true
}

func (c *Console) home(r *request) (any, error) {
	v := &homeView{}
	for _, part := range []struct {
		right string
		read  func(*request, *homeView) error
	}{
		{mapping.GateUsersView, c.homePeople},
		{mapping.GateAuditView, c.homeSignIns},
		{mapping.GateMappingView, c.homeMapping},
		{mapping.GateAuditView, c.homeLosses},
		{mapping.GateAuditView, c.homeOpenings},
	} {
		if narrow, ok := r.within(part.right); ok {
			if err := part.read(narrow, v); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func (c *Console) homePeople(r *request, v *homeView) error {
	n, err := c.store.PeopleCounts(r.ctx, r.organization, r.units)
	sum := peopleSum(n)
	v.People = &sum
	return err
}

func (c *Console) homeSignIns(r *request, v *homeView) error {
	const day = 24 * time.Hour
	v.SignIns = &signInSum{Since: c.now().Truncate(day)}
	found, err := c.store.SignInSpans(r.ctx, SignInQuery{Connections: c.connectionsOf(r), Units: r.units}, v.SignIns.Since, day)
	for _, s := range found {
		v.SignIns.In, v.SignIns.Failed = v.SignIns.In+s.In, v.SignIns.Failed+s.Failed
	}
	return err
}

func (c *Console) homeMapping(r *request, v *homeView) error {
	status := c.keeper.Status()
	v.Mapping = &mappingSum{Hash: status.Hash, Since: status.Since}
	if status.Problem != nil {
		v.Mapping.Problem = problem(status.Problem)
	}
	if p := c.keeper.Policy(); p != nil {
		v.Mapping.Tests = p.Test().Ran
	}
	h, err := c.ledger.History(r.ctx, pageSize)
	v.Mapping.Proposals = len(h.Proposals)
	return err
}

func (c *Console) homeLosses(r *request, v *homeView) error {
	if r.units != nil {
		return nil // they are of whole connections
	}
	lost, err := c.directory.LatestMassLosses(r.ctx, c.connectionsOf(r), true, 10)
	for i := range lost {
		v.Losses = append(v.Losses, c.massLossWire(&lost[i]))
	}
	return err
}

func (c *Console) homeOpenings(r *request, v *homeView) (err error) {
	v.Openings, _, err = c.events(r, EventQuery{
		Action: string(audit.ConsoleOpened), Connections: c.connectionsOf(r), Units: r.units, From: c.now().AddDate(0, 0, -7), Limit: 10,
	})
	return err
}

// meView is who asks, and what they may do.
type meView struct {
	Kind         string     `json:"kind"` // "person", "service", "break-glass" or "setup"
	ID           string     `json:"id"`
	Token        string     `json:"token,omitempty"` // id of the API token that asks
	Name         string     `json:"name"`
	Organization string     `json:"organization,omitempty"`
	Rights       []rightRef `json:"rights"`
}

type rightRef struct {
	Task            string `json:"task"`
	Means           string `json:"means"`
	OwnOrganization bool   `json:"ownOrganizationOnly"`
}

func (c *Console) me(r *request) (any, error) {
	by := r.actor()
	v := &meView{Kind: by.Kind, ID: by.ID, Name: by.Name}
	if r.who != nil {
		if r.who.Token {
			v.Token = r.who.SessionID
		}
		v.Organization = r.who.Organization
	}
	for _, t := range mapping.GateTasks() {
		if r.may(t.Name) {
			_, everybody := r.reach(t.Name)
			v.Rights = append(v.Rights, rightRef{t.Name, t.Means, !everybody})
		}
	}
	return v, nil
}

//go:embed openapi.json
var openAPIDocument []byte

func (*Console) openAPI(*request) (any, error) { return json.RawMessage(openAPIDocument), nil }
