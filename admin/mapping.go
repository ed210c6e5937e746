package admin

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"portcullis/count"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
)

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
	ByLink     bool      `json:"byLink,omitempty"` // nobody knows by whom: somebody known has to propose it first

	Approved *time.Time  `json:"approvedAt,omitempty"`
	Tests    int         `json:"tests,omitempty"` // that ran; of the history alone
	Counts   *countsJSON `json:"counts"`          // as it was made; null where they were not taken
}

// countsJSON is how many people a change touched when it was made.
type countsJSON struct {
	People  int `json:"people"`
	Changed int `json:"changed"`
	Gained  int `json:"gained"`
	Lost    int `json:"lost"`
	LetIn   int `json:"letIn"`
	ShutOut int `json:"shutOut"`
}

func countsWire(n *revision.Counts) *countsJSON {
	if n == nil {
		return nil
	}
	w := countsJSON(*n)
	return &w
}

func applicationWire(a revision.Application, tests int, inForce bool) changeJSON {
	return changeJSON{
		At: a.At, What: string(a.Way), Revision: a.Revision, Hash: a.Hash, Fragment: a.Fragment, By: a.By.Name, Reason: a.Reason,
		Effect: effect(a.Counts), InForce: inForce, Tests: tests, Counts: countsWire(a.Counts), ByLink: a.By.Anonymous(),
	}
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
	Next      int64        `json:"next,omitempty"` // what "before" of the history is to be for older ones
	Proposals []changeJSON `json:"proposals"`
	More      bool         `json:"-"` // more wait than are listed

	MayPropose bool            `json:"-"`
	Homeless   []string        `json:"-"` // connections without a file of their own
	Untested   []mapping.Place `json:"-"`
}

// sourceLine is a line of a file as a page shows it.
type sourceLine struct {
	Text     string
	Untested bool // a rule stands there that no test hits
}

// Source gives the lines of a file.
func (v *mappingView) Source(file, text string) []sourceLine {
	out := sourceLines(text)
	for _, p := range v.Untested {
		if filepath.Base(p.File) == file && p.Line > 0 && p.Line <= len(out) {
			out[p.Line-1].Untested = true
		}
	}
	return out
}

func sourceLines(text string) []sourceLine {
	lines := splitLines(text)
	out := make([]sourceLine, len(lines))
	for i := range lines {
		out[i].Text = lines[i]
	}
	return out
}

func (c *Console) mapping(r *request) (any, error) {
	c.crowds.soon()
	status := c.keeper.Status()
	v := &mappingView{
		Hash: status.Hash, Since: status.Since, Managed: status.Managed, Warnings: []string{}, Files: []textJSON{},
		History: []changeJSON{}, Proposals: []changeJSON{}, MayPropose: r.may(mapping.GateMappingPropose),
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
		if !r.inAPI {
			v.Homeless = c.homeless()
			v.Untested = p.Coverage(c.now(), nil).Untested
		}
	}
	size, err := r.size()
	if err != nil {
		return nil, err
	}
	h, err := c.ledger.History(r.ctx, size)
	if err != nil {
		return nil, err
	}
	v.History, v.Proposals = c.told(r, &h)
	v.More = len(h.Proposals) == size
	if n := len(h.Applications); n > 0 && h.Applications[n-1].Seq > 1 {
		v.Next = h.Applications[n-1].Seq
	}
	return v, nil
}

func proposalWire(p revision.Proposal, overtaken bool) changeJSON {
	return changeJSON{
		At: p.At, What: "proposal", Revision: p.Revision, Hash: p.Hash, Fragment: p.Fragment, By: p.Author.Name, Reason: p.Reason,
		Effect: effect(p.Counts), Needs: p.Needs, ApprovedBy: p.Approver.Name, Overtaken: overtaken,
		ByLink:   p.Author.Anonymous(),
		Approved: optional(p.Approved), Counts: countsWire(p.Counts),
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
	return fmt.Sprintf("of %s %d change: %d gain, %d lose, %d may come in now, %d no more",
		count.People(n.People), n.Changed, n.Gained, n.Lost, n.LetIn, n.ShutOut)
}

// fileDiff is what became of one file.
type fileDiff struct {
	Name  string     `json:"name"`
	Lines []diffLine `json:"lines"`
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
