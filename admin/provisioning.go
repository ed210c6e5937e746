package admin

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/scim"
)

// requestJSON is one request of an identity provider.
type requestJSON struct {
	Number     int64     `json:"number"`
	At         time.Time `json:"at"`
	Connection string    `json:"connection"`
	Token      string    `json:"token,omitempty"` // id of the SCIM token
	Address    string    `json:"address,omitempty"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	Status     int       `json:"status"`
	Cause      string    `json:"cause,omitempty"`
	Body       string    `json:"body,omitempty"` // redacted
	Micros     int64     `json:"microseconds"`
}

func requestsWire(entries []scim.Entry) []requestJSON {
	out := make([]requestJSON, len(entries))
	for i, e := range entries {
		out[i] = requestJSON{e.Seq, e.At, e.Connection, e.Token, e.Address, e.Method, e.Path, e.Status, e.Cause, e.Body, e.Took.Microseconds()}
	}
	return out
}

type personRequestsView struct {
	head

	Requests []requestJSON `json:"requests"`
}

func (c *Console) requestsAbout(r *request) (any, error) {
	s, err := c.standing(r)
	if err != nil {
		return nil, err
	}
	entries, err := c.store.RequestsAbout(r.ctx, s.Person, 2*pageSize)
	if err != nil {
		return nil, err
	}
	above, err := c.head(r, &s, "scim")
	return &personRequestsView{head: above, Requests: requestsWire(entries)}, err
}

// massLossJSON is many losses over SCIM that are one change.
type massLossJSON struct {
	Number      int64      `json:"number"`
	Connection  string     `json:"connection"`
	Group       string     `json:"group,omitempty"` // its name; empty: people of the connection
	GroupID     string     `json:"groupId,omitempty"`
	Began       time.Time  `json:"began"`
	Last        time.Time  `json:"last"`
	Population  int        `json:"population"`
	Deactivated int        `json:"deactivated"`
	Deleted     int        `json:"deleted"`
	Removed     int        `json:"removed"`
	Undoable    bool       `json:"undoable"`
	Until       time.Time  `json:"undoableUntil"`
	Interrupted bool       `json:"interrupted"` // an undo was begun and is not done
	Undone      *time.Time `json:"undone"`
	UndoneBy    string     `json:"undoneBy,omitempty"`
	Restored    int        `json:"restored"`
	Skipped     int        `json:"skipped"`
}

// Lost is how many were lost.
func (m massLossJSON) Lost() int { return m.Deactivated + m.Deleted + m.Removed }

func (c *Console) massLossWire(m *directory.MassLoss) massLossJSON {
	w := massLossJSON{
		Number: m.ID, Connection: m.Connection, Group: m.GroupName, Began: m.Began, Last: m.Last, Population: m.Population,
		Deactivated: m.Deactivated, Deleted: m.Deleted, Removed: m.Removed, Undoable: m.Undoable(c.now()), Undone: optional(m.Undone),
		UndoneBy: m.UndoneBy, Restored: m.Restored, Skipped: m.Skipped, GroupID: m.Group, Until: m.Last.Add(directory.UndoLife),
		Interrupted: !m.UndoBegan.IsZero() && m.Undone.IsZero(),
	}
	if m.Group != "" && w.Group == "" {
		w.Group = m.Group
	}
	return w
}

// lossesShown is how many mass losses of a connection stand on a page.
const lossesShown = 20

type provisioningView struct {
	Requests []requestJSON  `json:"requests"`
	Losses   []massLossJSON `json:"massLosses"`
	Next     int64          `json:"next,omitempty"`
	Filter   logFilter      `json:"-"`

	Connections []string `json:"connections"` // of which the visitor may see what they asked
}

// entries are requests of identity providers that a visitor may see: whoever
// manages a part of an organization sees those about its people.
func (c *Console) entries(r *request, q scim.JournalQuery) ([]scim.Entry, error) {
	if r.units != nil {
		return c.store.RequestsIn(r.ctx, r.units, q)
	}
	return c.journal.Journal(r.ctx, q)
}

func (c *Console) provisioning(r *request) (any, error) {
	before, err := r.before()
	if err != nil {
		return nil, err
	}
	v := &provisioningView{Filter: c.logFilter(r), Losses: []massLossJSON{}}
	v.Connections = append([]string{}, v.Filter.Choices...)
	size, err := r.size()
	if err != nil {
		return nil, err
	}
	losses := lossesShown
	if r.inAPI && r.query("limit") != "" {
		losses = size
	}
	if r.units == nil { // mass losses are of whole connections
		lost, err := c.directory.LatestMassLosses(r.ctx, c.chosen(r), r.query("undoable") == "yes", losses)
		if err != nil {
			return nil, err
		}
		for i := range lost {
			v.Losses = append(v.Losses, c.massLossWire(&lost[i]))
		}
	}
	v.Requests, v.Next, err = c.requestsBefore(r, before, size)
	return v, err
}

// requestsBefore gives requests behind the one with a number, the newest
// first, and what to go on behind; 0 at the end.
func (c *Console) requestsBefore(r *request, before int64, limit int) (out []requestJSON, next int64, err error) {
	entries, err := c.entries(r, scim.JournalQuery{Connections: c.chosen(r), Refused: r.query("failed") == "yes", Before: before, Limit: limit + 1})
	if err != nil {
		return nil, 0, err
	}
	if len(entries) > limit {
		entries = entries[:limit]
		next = entries[limit-1].Seq
	}
	return requestsWire(entries), next, nil
}

// lossJSON is one of what a mass loss took.
type lossJSON struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Member  string    `json:"member"` // its id, or that of its record
	Subject string    `json:"subject"`
	Outcome string    `json:"outcome,omitempty"`
}

type massLossView struct {
	Loss    massLossJSON `json:"massLoss"`
	Losses  []lossJSON   `json:"losses"`         // the first ones
	Next    int64        `json:"next,omitempty"` // what "after" is to be for those that follow
	MayUndo bool         `json:"-"`
}

func (c *Console) massLoss(r *request) (any, error) {
	n, err := r.number("number")
	if err != nil {
		return nil, err
	}
	m, err := c.directory.MassLoss(r.ctx, n)
	if err != nil {
		return nil, err
	}
	if all := c.connectionsOf(r); r.units != nil || all != nil && !slices.Contains(all, m.Connection) {
		return nil, fault.New(fault.NotFound, "no such mass loss")
	}
	var after *directory.Cursor
	if text := r.query("after"); text != "" {
		seq, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errPlace
		}
		after = &directory.Cursor{Seq: seq}
	}
	page, err := c.directory.Losses(r.ctx, n, after, 200)
	if err != nil {
		return nil, err
	}
	_, everybody := r.reach(mapping.GateConnectionsEdit)
	v := &massLossView{Loss: c.massLossWire(&m), Losses: []lossJSON{}, MayUndo: everybody && r.may(mapping.GateConnectionsEdit)}
	if page.Next != nil {
		v.Next = page.Next.Seq
	}
	for _, l := range page.Items {
		subject := l.Subject
		if strings.TrimSpace(subject) == "" {
			subject = l.Member
		}
		v.Losses = append(v.Losses, lossJSON{l.At, string(l.Kind), l.Member, subject, l.Outcome})
	}
	return v, nil
}

func (c *Console) undo(r *request) (any, error) {
	n, err := r.number("number")
	if err != nil {
		return nil, err
	}
	m, err := c.directory.UndoMassLoss(r.ctx, r.actor(), n, nil)
	if err != nil {
		return nil, err
	}
	return done{to: "/mass-losses/" + strconv.FormatInt(n, 10), Done: "undo", Count: m.Restored, Left: m.Skipped}, nil
}
