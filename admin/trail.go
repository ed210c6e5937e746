package admin

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"portcullis/audit"
	"portcullis/fault"
)

// eventJSON is an event of the trail.
type eventJSON struct {
	Number     int64             `json:"number"`
	At         time.Time         `json:"at"`
	Action     string            `json:"action"`
	ActorKind  string            `json:"actorKind"`
	ActorID    string            `json:"actorId,omitempty"`
	Actor      string            `json:"actor"`
	Address    string            `json:"address,omitempty"`
	Person     string            `json:"person,omitempty"`
	Subject    string            `json:"subject,omitempty"`
	Connection string            `json:"connection,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Reference  string            `json:"reference,omitempty"`
	Detail     map[string]string `json:"detail,omitempty"`
	Position   int64             `json:"position,omitempty"` // in the chain; none while it is not sealed
	Hash       string            `json:"hash,omitempty"`
}

func eventWire(e Event) eventJSON {
	w := eventJSON{
		Number: e.Seq, At: e.At, Action: string(e.Action), ActorKind: e.Actor.Kind, ActorID: e.Actor.ID, Actor: e.Actor.Name,
		Address: e.Actor.Address, Person: e.Person, Subject: e.Subject, Connection: e.Connection, Reason: e.Reason,
		Reference: e.Reference, Detail: e.Detail, Position: e.Position,
	}
	if e.Position > 0 {
		w.Hash = hex.EncodeToString(e.Hash[:])
	}
	return w
}

type auditView struct {
	Events []eventJSON `json:"events"`
	Next   int64       `json:"next,omitempty"` // what "before" is to be for the next page
	Sealed int64       `json:"sealed"`         // length of the chain
	Head   string      `json:"head,omitempty"` // its last hash; keep it elsewhere to notice a chain cut short

	Filter  logFilter `json:"-"`
	Actions []string  `json:"-"`
}

func (c *Console) eventQuery(r *request) (q EventQuery, err error) {
	q = EventQuery{Action: r.query("action"), Person: r.query("person"), Connections: c.chosen(r), Units: r.units}
	if q.Limit, err = r.size(); err != nil {
		return q, err
	}
	for name, into := range map[string]*time.Time{"from": &q.From, "to": &q.To} {
		if text := r.query(name); text != "" {
			if *into, err = time.Parse(time.DateOnly, text); err != nil {
				return q, fault.New(fault.Invalid, "%s: want a day like 2026-01-31", name)
			}
		}
	}
	if !q.To.IsZero() {
		q.To = q.To.AddDate(0, 0, 1) // that day is in it
	}
	q.Before, err = r.before()
	return q, err
}

func (c *Console) audit(r *request) (any, error) {
	q, err := c.eventQuery(r)
	if err != nil {
		return nil, err
	}
	v := &auditView{Filter: c.logFilter(r)}
	if v.Events, v.Next, err = c.events(r, q); err != nil {
		return nil, err
	}
	for _, a := range audit.Actions() {
		v.Actions = append(v.Actions, string(a))
	}
	seal, err := c.trail.LastSeal(r.ctx)
	if err != nil {
		return nil, err
	}
	if v.Sealed = seal.Position; v.Sealed > 0 {
		v.Head = hex.EncodeToString(seal.Hash[:])
	}
	return v, nil
}

func (c *Console) events(r *request, q EventQuery) (out []eventJSON, next int64, err error) {
	limit := q.Limit
	q.Limit++
	events, err := c.store.Events(r.ctx, q)
	if len(events) > limit {
		events = events[:limit]
		next = events[limit-1].Seq
	}
	out = make([]eventJSON, len(events))
	for i, e := range events {
		out[i] = eventWire(e)
	}
	if r.organization != "" {
		c.unsaidOf(r, out)
	}
	return out, next, err
}

func (c *Console) auditCSV(r *request) (any, error) {
	q, err := c.eventQuery(r)
	if err != nil {
		return nil, err
	}
	q.Limit = 1000
	return file(func(w io.Writer) error {
		s := newCSV(r.gin.Writer, w, "audit.csv", "number", "at", "action", "actorKind", "actorId", "actor", "address", "person", "subject",
			"connection", "reason", "reference", "detail", "position", "hash")
		for {
			events, next, err := c.events(r, q)
			if err != nil {
				return err
			}
			for _, e := range events {
				detail, err := json.Marshal(e.Detail)
				if err != nil {
					return err
				}
				s.row(strconv.FormatInt(e.Number, 10), e.At.Format(time.RFC3339Nano), e.Action, e.ActorKind, e.ActorID, e.Actor, e.Address, e.Person,
					e.Subject, e.Connection, e.Reason, e.Reference, string(detail), strconv.FormatInt(e.Position, 10), e.Hash)
			}
			if err := s.flush(); err != nil || next == 0 {
				return err
			}
			q.Before = next
		}
	}), nil
}

// eventView is one event by its permalink.
type eventView struct {
	Event  eventJSON `json:"event"`
	Detail []string  `json:"-"`
}

func (c *Console) event(r *request) (any, error) {
	n, err := r.number("number")
	if err != nil {
		return nil, err
	}
	events, err := c.store.Events(r.ctx, EventQuery{Connections: c.connectionsOf(r), Units: r.units, Before: n + 1, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(events) == 0 || events[0].Seq != n {
		return nil, fault.New(fault.NotFound, "there is no such event")
	}
	v := &eventView{Event: eventWire(events[0])}
	if r.organization != "" {
		c.unsaidOf(r, []eventJSON{v.Event})
	}
	for _, name := range slices.Sorted(maps.Keys(v.Event.Detail)) {
		v.Detail = append(v.Detail, name+": "+v.Event.Detail[name])
	}
	return v, nil
}

type personAuditView struct {
	head

	Events []eventJSON `json:"events"`
	Next   int64       `json:"next,omitempty"`
}

func (c *Console) eventsOf(r *request) (any, error) {
	s, err := c.standing(r)
	if err != nil {
		return nil, err
	}
	q := EventQuery{Person: s.Person.ID, Limit: pageSize}
	if q.Before, err = r.before(); err != nil {
		return nil, err
	}
	v := &personAuditView{}
	if v.head, err = c.head(r, &s, "audit"); err != nil {
		return nil, err
	}
	v.Events, v.Next, err = c.events(r, q)
	return v, err
}
