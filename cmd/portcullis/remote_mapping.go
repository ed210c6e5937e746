package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
)

// farChange is what happened to the mapping of a gate elsewhere, or waits to.
type farChange struct {
	At         time.Time
	What       string
	Revision   int64
	Hash       string
	Fragment   string
	By, Reason string
	Needs      []string `json:"needsApproval"`
	ApprovedBy string
	ApprovedAt *time.Time
	Overtaken  bool
	InForce    bool
	Tests      int
	Counts     *countsJSON
}

func (x *farChange) history() historyJSON {
	w := historyJSON{
		At: x.At, What: x.What, State: "past", Revision: x.Revision, Hash: x.Hash, Fragment: x.Fragment, By: x.By, Reason: x.Reason,
		TestsRan: x.Tests, Needs: x.Needs, Counts: x.Counts, ApprovedBy: x.ApprovedBy,
	}
	switch {
	case x.InForce:
		w.State = "in force"
	case x.What == "proposal" && x.Overtaken:
		w.State = "overtaken"
	case x.What == "proposal" && x.ApprovedAt != nil:
		w.State = "approved"
	case x.What == "proposal":
		w.State = "open"
	}
	return w
}

// farMapping is the mapping of a gate elsewhere, and its history.
type farMapping struct {
	Files              []struct{ Name, Connection string }
	History, Proposals []farChange
}

func (g *remote) mapping(ctx context.Context, limit int) (m farMapping, err error) {
	err = g.get(ctx, "/mapping", url.Values{"limit": {strconv.Itoa(limit)}}, &m)
	return m, err
}

// history gives what waits and what was in force: of the whole mapping, or of
// the fragment of one connection.
func (g *remote) history(ctx context.Context, fragment string, limit int) ([]historyJSON, error) {
	path, query := "/mapping", url.Values{"limit": {strconv.Itoa(limit)}}
	if fragment != "" {
		path = "/mapping/history"
		query.Set("fragment", fragment)
	}
	var m farMapping
	err := g.get(ctx, path, query, &m)
	list := []historyJSON{}
	for _, x := range append(m.Proposals, m.History...) {
		list = append(list, x.history())
	}
	return list, err
}

// replicas gives the gates, and what each runs.
func (g *remote) replicas(ctx context.Context) ([]replicaJSON, error) {
	answer := struct{ Replicas []replicaJSON }{[]replicaJSON{}}
	err := g.get(ctx, "/mapping/replicas", nil, &answer)
	return answer.Replicas, err
}

// farRevision is a revision of a gate elsewhere.
type farRevision struct {
	Number       int64
	Hash         string
	Created      time.Time
	Author       string
	Reason       string
	Fragment     string
	Tests        int
	Texts        []textJSON
	Applications []farChange
	Proposal     *farChange
}

// show is a revision as it is shown here.
func (r *farRevision) show() *revisionLook {
	look := &revisionLook{
		number: r.Number, hash: r.Hash, fragment: r.Fragment, by: r.Author, reason: r.Reason, created: r.Created, tests: r.Tests, texts: r.Texts,
		applications: []historyJSON{},
	}
	for _, x := range r.Applications {
		x.InForce = false // as it was
		w := x.history()
		w.TestsRan = r.Tests
		look.applications = append(look.applications, w)
	}
	return look
}

func (g *remote) revision(ctx context.Context, ref string) (r farRevision, err error) {
	if ref == "" {
		return r, fault.New(fault.NotFound, "no such revision")
	}
	err = g.get(ctx, place("mapping", ref), nil, &r)
	return r, err
}

// fragmentOf gives a revision, which must be the fragment that the command
// line names, if it names one.
func (g *remote) fragmentOf(ctx context.Context, ref, fragment string) (farRevision, error) {
	r, err := g.revision(ctx, ref)
	if err == nil && fragment != "" && r.Fragment != fragment {
		err = noFragment(r.Number, r.Hash, fragment)
	}
	return r, err
}

// proposal is what waits of a revision.
func (r *farRevision) proposal() (proposalJSON, error) {
	p := r.Proposal
	if p == nil { // somebody was quicker
		return proposalJSON{}, fault.New(fault.Conflict, "revision %d (%.12s) is not proposed any more", r.Number, r.Hash)
	}
	return proposalJSON{
		Revision: p.Revision, Hash: p.Hash, Fragment: p.Fragment, ProposedBy: p.By, ProposedAt: p.At, Reason: p.Reason, Needs: list(p.Needs),
		Counts: p.Counts, ApprovedBy: p.ApprovedBy, ApprovedAt: p.ApprovedAt,
	}, nil
}

// farDraft is a text that is sent.
type farDraft struct {
	File   string `json:"file"`
	Text   string `json:"text"`
	Reason string `json:"reason"`
}

// propose records a file or, by its hash, a revision that is known.
func (g *remote) propose(ctx context.Context, what, fragment, reason string) (proposalJSON, error) {
	if revision.IsHash(what) {
		r, err := g.fragmentOf(ctx, what, fragment)
		if err != nil {
			return proposalJSON{}, err
		}
		if err := g.call(ctx, http.MethodPost, place("mapping", r.Hash, "propose"), order{reason}, nil); err != nil {
			return proposalJSON{}, err
		}
		if r, err = g.revision(ctx, r.Hash); err != nil {
			return proposalJSON{}, err
		}
		return r.proposal()
	}
	d, err := g.draft(ctx, what, fragment)
	if err != nil {
		return proposalJSON{}, err
	}
	d.Reason = reason
	if err := g.check(ctx, what, d); err != nil {
		return proposalJSON{}, err
	}
	var r farRevision
	if err := g.call(ctx, http.MethodPost, "/mapping/propose", d, &r); err != nil {
		return proposalJSON{}, err
	}
	return r.proposal()
}

// draft is a file as the gate takes it: in place of one that it has.
func (g *remote) draft(ctx context.Context, file, fragment string) (d farDraft, err error) {
	texts, err := mappingText(file, fragment)
	if err != nil {
		return d, err
	}
	m, err := g.mapping(ctx, 1)
	if err != nil {
		return d, err
	}
	d.Text = string(texts[0].Body)
	switch {
	case fragment != "":
		for _, f := range m.Files {
			if f.Connection == fragment {
				d.File = f.Name
				return d, nil
			}
		}
		return d, fault.New(fault.NotFound, "the mapping in force has no fragment of %s: where the gate runs, one can be added", fragment)
	case len(texts) > 1 || len(m.Files) > 1:
		return d, usagef("the mapping has several files, of which a gate elsewhere takes one: name its connection with --fragment, or propose it where the gate runs")
	default:
		return d, nil
	}
}

// check fails with the mistakes of a file, as it is called here.
func (g *remote) check(ctx context.Context, file string, d farDraft) error {
	var found struct {
		Faults []struct {
			Line, Column     int
			Message, Excerpt string
		}
	}
	d.Reason = ""
	if err := g.call(ctx, http.MethodPost, "/mapping/check", d, &found); err != nil {
		return err
	}
	var problems mapping.Problems
	for _, f := range found.Faults {
		problems = append(problems, mapping.Problem{File: file, Line: f.Line, Column: f.Column, Message: f.Message, Excerpt: f.Excerpt})
	}
	if problems != nil {
		return problems
	}
	return nil
}

// approve gives the second person's word.
func (g *remote) approve(ctx context.Context, hash string) (proposalJSON, error) {
	if err := g.call(ctx, http.MethodPost, place("mapping", hash, "approve"), order{}, nil); err != nil {
		return proposalJSON{}, err
	}
	r, err := g.revision(ctx, hash)
	if err != nil {
		return proposalJSON{}, err
	}
	return r.proposal()
}

// apply puts a proposal in force; fresh is false where it was already.
func (g *remote) apply(ctx context.Context, what, fragment, reason string) (w historyJSON, fresh bool, err error) {
	if !revision.IsHash(what) {
		return w, false, usagef("a gate elsewhere takes the HASH of a proposal: portcullis mapping propose FILE first")
	}
	before, err := g.fragmentOf(ctx, what, fragment)
	if err != nil {
		return w, false, err
	}
	w, at, err := g.bring(ctx, before.Hash, "apply", reason)
	return w, err == nil && (len(before.Applications) == 0 || !before.Applications[0].At.Equal(at)), err
}

// rollback goes back to a revision that was in force, or to the one before.
func (g *remote) rollback(ctx context.Context, args []string, fragment, reason string) (w historyJSON, err error) {
	var ref string
	switch {
	case len(args) > 0:
		ref = args[0]
	case fragment != "":
		return w, usagef("want the HASH to go back to: portcullis mapping history")
	default:
		m, err := g.mapping(ctx, 2)
		if err != nil {
			return w, err
		}
		if len(m.History) < 2 || m.History[1].Hash == "" {
			return w, fault.New(fault.Conflict, "nothing was in force before")
		}
		ref = m.History[1].Hash
	}
	r, err := g.fragmentOf(ctx, ref, fragment)
	if err != nil {
		return w, err
	}
	w, _, err = g.bring(ctx, r.Hash, "rollback", reason)
	return w, err
}

// bring puts a revision in force, and gives how that stands in the history.
func (g *remote) bring(ctx context.Context, hash, way, reason string) (w historyJSON, at time.Time, err error) {
	if err := g.call(ctx, http.MethodPost, place("mapping", hash, way), order{reason}, nil); err != nil {
		return w, at, err
	}
	r, err := g.revision(ctx, hash)
	if err != nil {
		return w, at, err
	}
	if len(r.Applications) == 0 { // the same texts under another number are in force
		return w, at, fault.New(fault.Conflict, "revision %d (%.12s) is in force by another number", r.Number, r.Hash)
	}
	r.Applications[0].InForce = true
	w = r.Applications[0].history()
	w.TestsRan = r.Tests
	return w, w.At, nil
}
