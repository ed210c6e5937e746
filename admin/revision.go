package admin

import (
	"cmp"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
)

type revisionView struct {
	Number   int64       `json:"number"`
	Hash     string      `json:"hash"`
	Created  time.Time   `json:"created"`
	Author   string      `json:"author"`
	Reason   string      `json:"reason,omitempty"`
	Fragment string      `json:"fragment,omitempty"`
	Tests    int         `json:"tests"`
	Texts    []textJSON  `json:"texts"`
	Applied  []time.Time `json:"applied"` // when it came into force, the newest first
	Proposal *changeJSON `json:"proposal"`

	Applications []changeJSON `json:"applications"`       // the same with who did it, and why
	Effect       *effectJSON  `json:"effect,omitempty"`   // where it is asked for, against what is in force
	Compared     []fileDiff   `json:"compared,omitempty"` // where it is asked for: the files that differ from those of another revision

	InForce    bool        `json:"-"`
	Managed    bool        `json:"-"`
	Now        int64       `json:"-"` // the revision in force
	Changed    []fileDiff  `json:"-"` // against what is in force
	Against    int64       `json:"-"` // the revision that it is compared with; 0 for none
	Problems   []faultJSON `json:"-"` // what is wrong with it today
	Decided    []eventJSON `json:"-"` // that it was declined
	Names      bool        `json:"-"`
	Own        bool        `json:"-"` // the visitor proposed it
	ByLink     bool        `json:"-"` // it was first brought in a visit by a one-time link
	Known      bool        `json:"-"` // the visitor is somebody in particular
	MayApprove bool        `json:"-"`
	MayPropose bool        `json:"-"`
}

func (c *Console) revision(r *request) (any, error) {
	rev, _, err := c.ledger.Show(r.ctx, r.param("revision"))
	if err != nil {
		return nil, err
	}
	v, err := c.revisionOf(r, rev)
	if err != nil {
		return nil, err
	}
	if against := r.query("against"); against != "" {
		other, _, err := c.ledger.Show(r.ctx, against)
		if err != nil {
			return nil, err
		}
		v.Against, v.Compared = other.Number, compare(other.Texts, rev.Texts)
	}
	return v, nil
}

// revisionOf shows a revision; with what it would change, where that is asked
// for or where it waits.
func (c *Console) revisionOf(r *request, rev revision.Revision) (*revisionView, error) {
	_, applied, err := c.ledger.Show(r.ctx, rev.Hash)
	if err != nil {
		return nil, err
	}
	v := &revisionView{
		Number: rev.Number, Hash: rev.Hash, Created: rev.Created, Author: rev.Author.Name, Reason: rev.Reason, Fragment: rev.Fragment,
		Tests: rev.Tests.Ran, Texts: []textJSON{}, Applied: []time.Time{}, Applications: []changeJSON{}, Managed: c.keeper.Status().Managed, Names: r.query("names") == "yes",
		MayApprove: r.may(mapping.GateMappingApprove), MayPropose: r.may(mapping.GateMappingPropose),
		ByLink: rev.Author.Anonymous(), Known: r.who != nil,
	}
	for _, t := range rev.Texts {
		v.Texts = append(v.Texts, textJSON{filepath.Base(t.Name), t.Connection, string(t.Body)})
	}
	h, err := c.ledger.ProposalOf(r.ctx, rev.Number)
	if err != nil {
		return nil, err
	}
	for _, a := range applied {
		v.Applied = append(v.Applied, a.At)
		w := applicationWire(a, rev.Tests.Ran, a.Seq == h.Head.Seq)
		c.unsaid(r, &w)
		v.Applications = append(v.Applications, w)
	}
	v.Now = h.Head.Revision
	for _, p := range h.Proposals {
		w := proposalWire(p, h.Overtaken[p.Seq])
		c.unsaid(r, &w)
		v.Proposal, v.Own = &w, r.actor().ID == p.Author.ID
	}
	base, _, err := c.ledger.InForce(r.ctx)
	if err != nil {
		return nil, err
	}
	if err := c.hold(r, v, rev, base); err != nil {
		return nil, err
	}
	if v.Proposal == nil && len(v.Applied) == 0 {
		v.Decided, _, err = c.events(r, EventQuery{Action: string(audit.MappingDeclined), Limit: pageSize})
		v.Decided = aboutRevision(v.Decided, rev.Number)
		c.unsaidOf(r, v.Decided)
	}
	return v, err
}

func aboutRevision(events []eventJSON, number int64) (out []eventJSON) {
	for _, e := range events {
		if e.Subject == "mapping revision "+strconv.FormatInt(number, 10) {
			out = append(out, e)
		}
	}
	return out
}

// hold compares a revision with what is in force: its text, and whom it would
// touch.
func (c *Console) hold(r *request, v *revisionView, rev, base revision.Revision) error {
	d := &draft{base: base}
	against := base.Texts
	if rev.Fragment != "" {
		against = nil
		for _, t := range base.Texts {
			if t.Connection == rev.Fragment {
				against = []revision.Text{t}
			}
		}
	}
	v.Changed = compare(against, rev.Texts)
	v.InForce = len(v.Changed) == 0 && len(base.Texts) > 0
	if v.InForce || v.Proposal == nil && r.query("effect") != "yes" && !v.Names {
		return nil
	}
	var after *mapping.Policy
	var err error
	if rev.Fragment != "" {
		d.file, d.text = rev.Texts[0], string(rev.Texts[0].Body)
		after, _, err = c.examine(d)
	} else {
		after, _, err = c.ledger.Examine(rev.Texts)
	}
	if problems, ok := errors.AsType[mapping.Problems](err); ok {
		v.Problems = faultsWire(problems)
		return nil
	}
	if err != nil {
		return err
	}
	v.Effect, _, err = c.effect(r, c.keeper.Policy(), after, v.Names)
	return err
}

// known refuses to be anybody for somebody whom nobody knows.
func (r *request) known() error {
	switch {
	case r.who == nil:
		return fault.New(fault.Forbidden, "whoever opened the console by a link is nobody in particular, and cannot approve")
	case r.who.Service():
		return fault.New(fault.Forbidden, "a service is nobody in particular, and cannot approve")
	}
	return nil
}

// signer is the visitor for what needs two people. Behind an API token there
// are two who may be one: its owner, and whoever made it and saw its secret.
func (r *request) signer() revision.Signer { return revision.Signer{Actor: r.actor(), Login: r.maker} }

// approve is the second person's word, for the hash that they looked at; with
// "apply" it comes into force at once.
func (c *Console) approve(r *request) (any, error) {
	if err := r.known(); err != nil {
		return nil, err
	}
	p, err := c.ledger.Approve(r.ctx, r.signer(), r.param("revision"))
	if err != nil {
		return nil, err
	}
	if r.form.Get("apply") != "yes" {
		return done{to: "/mapping/" + p.Hash, Done: "approve"}, nil
	}
	if _, _, err := c.ledger.ApplyKnown(r.ctx, r.signer(), p.Hash, ""); err != nil {
		return nil, c.unsaidIn(r, err)
	}
	return done{to: "/mapping/" + p.Hash, Done: "apply"}, nil
}

// decline closes a proposal, with a reason for its author.
func (c *Console) decline(r *request) (any, error) {
	if err := r.known(); err != nil {
		return nil, err
	}
	return c.closeProposal(r, "decline")
}

// withdraw takes one's own proposal back.
func (c *Console) withdraw(r *request) (any, error) {
	rev, _, err := c.ledger.Show(r.ctx, r.param("revision"))
	if err != nil {
		return nil, err
	}
	v, err := c.revisionOf(r, rev)
	if err != nil {
		return nil, err
	}
	if !v.Own {
		return nil, fault.New(fault.Forbidden, "somebody else proposed this: whoever may approve it can decline it")
	}
	return c.closeProposal(r, "withdraw")
}

func (c *Console) closeProposal(r *request, what string) (any, error) {
	why, err := r.reason(true)
	if err != nil {
		return nil, err
	}
	p, err := c.ledger.Decline(r.ctx, r.signer(), r.param("revision"), why)
	if err != nil {
		return nil, err
	}
	return done{to: "/mapping/" + p.Hash, Done: what}, nil
}

// apply puts a proposal in force.
func (c *Console) apply(r *request) (any, error) {
	why, err := r.reason(false)
	if err != nil {
		return nil, err
	}
	rev, _, err := c.ledger.Show(r.ctx, r.param("revision"))
	if err != nil {
		return nil, err
	}
	if _, _, err := c.ledger.ApplyKnown(r.ctx, r.signer(), rev.Hash, why); err != nil {
		return nil, c.unsaidIn(r, err)
	}
	return done{to: "/mapping/" + rev.Hash, Done: "apply"}, nil
}

// rollback goes back to a revision that was in force.
func (c *Console) rollback(r *request) (any, error) {
	why, err := r.reason(true)
	if err != nil {
		return nil, err
	}
	rev, _, err := c.ledger.Show(r.ctx, r.param("revision"))
	if err != nil {
		return nil, err
	}
	if _, err := c.ledger.Rollback(r.ctx, r.signer(), rev.Hash, why); err != nil {
		return nil, c.unsaidIn(r, err)
	}
	return done{to: "/mapping/" + rev.Hash, Done: "rollback"}, nil
}

// proposeAgain proposes a revision that is known: to go back to it, or
// because something else came into force since.
func (c *Console) proposeAgain(r *request) (any, error) {
	why, err := r.reason(true)
	if err != nil {
		return nil, err
	}
	p, err := c.ledger.ProposeAgain(r.ctx, r.signer(), r.param("revision"), why)
	if err != nil {
		return nil, said(err)
	}
	return done{to: "/mapping/" + p.Hash, Done: "propose"}, nil
}

// approvalsView is what waits for somebody.
type approvalsView struct {
	Waiting []changeJSON `json:"waiting"`
	Next    int64        `json:"next,omitempty"` // where older ones go on that wait
	Managed bool         `json:"managed"`
	Decided []eventJSON  `json:"decided"` // of the last month, the newest first

	MayApprove bool `json:"-"`
}

func (c *Console) approvals(r *request) (any, error) {
	before, err := r.before()
	if err != nil {
		return nil, err
	}
	size, err := r.size()
	if err != nil {
		return nil, err
	}
	h, err := c.ledger.Waiting(r.ctx, before, size)
	if err != nil {
		return nil, err
	}
	v := &approvalsView{Waiting: []changeJSON{}, Decided: []eventJSON{}, Managed: c.keeper.Status().Managed, MayApprove: r.may(mapping.GateMappingApprove)}
	for _, p := range h.Proposals {
		w := proposalWire(p, h.Overtaken[p.Seq])
		c.unsaid(r, &w)
		v.Waiting = append(v.Waiting, w)
	}
	if n := len(h.Proposals); n == size {
		v.Next = h.Proposals[n-1].Seq
	}
	for _, action := range []audit.Action{audit.MappingApproved, audit.MappingDeclined} {
		events, _, err := c.events(r, EventQuery{Action: string(action), From: c.now().AddDate(0, -1, 0), Limit: pageSize})
		if err != nil {
			return nil, err
		}
		c.unsaidOf(r, events)
		v.Decided = append(v.Decided, events...)
	}
	slices.SortFunc(v.Decided, func(a, b eventJSON) int { return cmp.Compare(b.Number, a.Number) })
	return v, nil
}

// coverageView is what of the mapping is not in use.
type coverageView struct {
	Tests     int        `json:"tests"`
	Untested  []idleJSON `json:"untested"`
	Overruled []idleJSON `json:"overruled"`
	Ungranted []idleJSON `json:"ungranted"`
	Unused    []idleJSON `json:"unused"`
	People    int        `json:"people"`
	AsOf      time.Time  `json:"asOf"`
	Unhit     []idleJSON `json:"unhit"`
	Unseen    []idleJSON `json:"unseen"`
	Caps      []capJSON  `json:"caps"`
	Bound     bool       `json:"ofThoseYouMaySee,omitempty"` // what is said of people is about no others
}

// coverage holds the mapping in force against its tests and everybody.
func (c *Console) coverage(r *request) (any, error) {
	p := c.keeper.Policy()
	if p == nil {
		return nil, fault.New(fault.Unavailable, "no mapping is in force")
	}
	return c.covered(r, p, filepath.Base)
}

// covered holds a mapping against its tests and everybody; name is how its files are
// called.
func (c *Console) covered(r *request, p *mapping.Policy, name func(file string) string) (*coverageView, error) {
	all, bound, err := c.crowd(r)
	if err != nil {
		return nil, err
	}
	x := p.Coverage(c.now(), all.people(r.ctx, &err))
	if err != nil {
		return nil, err
	}
	return &coverageView{
		Tests: p.Test().Ran, Untested: placesWire(x.Untested, name), Overruled: placesWire(x.Overruled, name), Ungranted: placesWire(x.Ungranted, name),
		Unused: placesWire(x.UnusedGroup, name), People: x.People, AsOf: all.at, Unhit: placesWire(x.Unhit, name), Unseen: placesWire(x.Unseen, name),
		Caps: capsWire(x.Caps), Bound: bound,
	}, nil
}
