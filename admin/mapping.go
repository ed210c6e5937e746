package admin

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
)

// roleJSON is a role of the catalogue.
type roleJSON struct {
	Name         string   `json:"name"`
	Tasks        []string `json:"tasks"`
	Inherits     []string `json:"inherits"`
	Privileged   bool     `json:"privileged"`
	Organization bool     `json:"ownOrganizationOnly"`
	AssignableBy []string `json:"assignableBy"`
}

type rolesView struct {
	Roles  []roleJSON         `json:"roles"`
	Gate   []mapping.GateTask `json:"-"`
	People bool               `json:"-"` // whether the visitor may see who has them
}

func (c *Console) roles(r *request) (any, error) {
	v := &rolesView{Roles: []roleJSON{}, Gate: mapping.GateTasks(), People: r.may(mapping.GateUsersView)}
	if p := c.keeper.Policy(); p != nil {
		for _, role := range p.Roles() {
			v.Roles = append(v.Roles, roleJSON{
				role.Name, list(role.Tasks), list(role.Inherits), role.Privileged, role.Organization, list(role.AssignableBy),
			})
		}
	}
	return v, nil
}

func list(names []string) []string { return append([]string{}, names...) }

// textJSON is a file of the mapping.
type textJSON struct {
	Name       string `json:"name"`
	Connection string `json:"connection,omitempty"` // of which it is the fragment
	Text       string `json:"text"`
}

// changeJSON is what happened to the mapping, or waits to.
type changeJSON struct {
	At         time.Time `json:"at"`
	What       string    `json:"what"` // file, apply, rollback, proposal
	Revision   int64     `json:"revision"`
	Hash       string    `json:"hash"`
	Fragment   string    `json:"fragment,omitempty"`
	By         string    `json:"by"`
	Reason     string    `json:"reason,omitempty"`
	Effect     string    `json:"effect,omitempty"` // in words
	Needs      []string  `json:"needsApproval,omitempty"`
	ApprovedBy string    `json:"approvedBy,omitempty"`
	Overtaken  bool      `json:"overtaken,omitempty"`
	InForce    bool      `json:"inForce"`
}

type mappingView struct {
	Hash      string       `json:"hash"`
	Since     time.Time    `json:"since"`
	Managed   bool         `json:"managed"` // by the database, and not by a file
	Problem   string       `json:"problem,omitempty"`
	Warnings  []string     `json:"warnings"`
	Tests     int          `json:"tests"` // that stand in it, and pass
	Files     []textJSON   `json:"files"`
	History   []changeJSON `json:"history"`
	Proposals []changeJSON `json:"proposals"`
}

func (c *Console) mapping(r *request) (any, error) {
	status := c.keeper.Status()
	v := &mappingView{
		Hash: status.Hash, Since: status.Since, Managed: status.Managed, Warnings: []string{}, Files: []textJSON{},
		History: []changeJSON{}, Proposals: []changeJSON{},
	}
	if status.Problem != nil {
		v.Problem = problem(status.Problem)
	}
	if p := c.keeper.Policy(); p != nil {
		for _, f := range p.Files() {
			v.Files = append(v.Files, textJSON{filepath.Base(f.Name), f.Connection, f.Text})
		}
		for _, w := range p.WarningsAt(c.now()) {
			v.Warnings = append(v.Warnings, inWords(w))
		}
		v.Tests = p.Test().Ran
	}
	h, err := c.ledger.History(r.ctx, pageSize)
	if err != nil {
		return nil, err
	}
	for _, a := range h.Applications {
		v.History = append(v.History, changeJSON{
			At: a.At, What: string(a.Way), Revision: a.Revision, Hash: a.Hash, Fragment: a.Fragment, By: a.By.Name, Reason: a.Reason,
			Effect: effect(a.Counts), InForce: a.Seq == h.Head.Seq,
		})
	}
	for _, p := range h.Proposals {
		v.Proposals = append(v.Proposals, proposalWire(p, h.Overtaken[p.Seq]))
	}
	return v, nil
}

func proposalWire(p revision.Proposal, overtaken bool) changeJSON {
	return changeJSON{
		At: p.At, What: "proposal", Revision: p.Revision, Hash: p.Hash, Fragment: p.Fragment, By: p.Author.Name, Reason: p.Reason,
		Effect: effect(p.Counts), Needs: p.Needs, ApprovedBy: p.Approver.Name, Overtaken: overtaken,
	}
}

// problem is why a mapping is not in force, in a line.
func problem(err error) string {
	if problems, ok := errors.AsType[mapping.Problems](err); ok && len(problems) > 0 {
		return inWords(problems[0])
	}
	return fault.Message(err)
}

func inWords(p mapping.Problem) string {
	p.File = filepath.Base(p.File)
	return p.String()
}

func place(file string, line int) string { return file + ":" + strconv.Itoa(line) }

func effect(n *revision.Counts) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("of %d people %d change: %d gain, %d lose, %d may come in now, %d no more",
		n.People, n.Changed, n.Gained, n.Lost, n.LetIn, n.ShutOut)
}

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

	Against    int64      `json:"-"` // the revision that it is compared with; 0 for none
	Compared   []fileDiff `json:"-"`
	MayApprove bool       `json:"-"`
}

// fileDiff is what became of one file.
type fileDiff struct {
	Name  string
	Lines []diffLine
}

func (c *Console) revision(r *request) (any, error) {
	ref := r.param("revision")
	rev, applied, err := c.ledger.Show(r.ctx, ref)
	if err != nil {
		return nil, err
	}
	v := &revisionView{
		Number: rev.Number, Hash: rev.Hash, Created: rev.Created, Author: rev.Author.Name, Reason: rev.Reason, Fragment: rev.Fragment,
		Tests: rev.Tests.Ran, Texts: []textJSON{}, Applied: []time.Time{}, MayApprove: r.may(mapping.GateMappingApprove),
	}
	for _, t := range rev.Texts {
		v.Texts = append(v.Texts, textJSON{filepath.Base(t.Name), t.Connection, string(t.Body)})
	}
	for _, a := range applied {
		v.Applied = append(v.Applied, a.At)
	}
	h, err := c.ledger.History(r.ctx, pageSize)
	if err != nil {
		return nil, err
	}
	for _, p := range h.Proposals {
		if p.Revision == rev.Number {
			w := proposalWire(p, h.Overtaken[p.Seq])
			v.Proposal = &w
		}
	}
	if against := r.query("against"); against != "" && against != ref {
		other, _, err := c.ledger.Show(r.ctx, against)
		if err != nil {
			return nil, err
		}
		v.Against, v.Compared = other.Number, compare(other.Texts, rev.Texts)
	}
	return v, nil
}

// compare holds the files of two revisions against each other, by name.
func compare(before, after []revision.Text) (out []fileDiff) {
	old := make(map[string]string)
	for _, t := range before {
		old[t.Name] = string(t.Body)
	}
	for _, t := range after {
		if lines := diff(old[t.Name], string(t.Body)); len(lines) > 0 {
			out = append(out, fileDiff{filepath.Base(t.Name), lines})
		}
		delete(old, t.Name)
	}
	for _, t := range before {
		if text, gone := old[t.Name]; gone {
			out = append(out, fileDiff{filepath.Base(t.Name), diff(text, "")})
		}
	}
	return out
}

// approve is the second person's word, for the hash that they looked at.
func (c *Console) approve(r *request) (any, error) {
	if r.who == nil {
		return nil, fault.New(fault.Forbidden, "whoever opened the console by a link is nobody in particular, and cannot approve")
	}
	p, err := c.ledger.Approve(r.ctx, revision.Signer{Actor: r.actor()}, r.param("revision"))
	if err != nil {
		return nil, err
	}
	return done{to: "/mapping/" + p.Hash, Done: "approve"}, nil
}
