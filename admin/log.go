package admin

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/scim"
	"portcullis/trace"
)

// connectionsOf are the connections whose records a visitor may see; nil is
// all of them, and what belongs to none.
func (c *Console) connectionsOf(r *request) []string {
	if r.organization == "" {
		return nil
	}
	ids := []string{}
	for _, conn := range c.connections {
		if conn.Organization == r.organization {
			ids = append(ids, conn.ID)
		}
	}
	return ids
}

// chosen narrows the connections of a visitor to the one that is asked for.
func (c *Console) chosen(r *request) []string {
	all, want := c.connectionsOf(r), r.query("connection")
	switch {
	case want == "":
		return all
	case all == nil || slices.Contains(all, want):
		return []string{want}
	default:
		return []string{}
	}
}

// before reads from where a page of a log goes on.
func (r *request) before() (int64, error) {
	text := r.query("before")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, fault.New(fault.Invalid, "before: want a number from 1")
	}
	return n, nil
}

// logFilter is what a log is asked, as it stands in its URL.
type logFilter struct {
	Action, Connection, Person, From, To string
	Failed                               bool
	Choices                              []string // of connections
}

func (c *Console) logFilter(r *request) logFilter {
	f := logFilter{
		Action: r.query("action"), Connection: r.query("connection"), Person: r.query("person"), From: r.query("from"), To: r.query("to"),
		Failed: r.query("failed") == "yes",
	}
	for _, conn := range c.connections {
		if r.organization == "" || r.organization == conn.Organization {
			f.Choices = append(f.Choices, conn.ID)
		}
	}
	return f
}

// Query puts a filter back into a URL, behind the row with a number.
func (f logFilter) Query(before int64) string {
	v := url.Values{}
	for name, value := range map[string]string{"action": f.Action, "connection": f.Connection, "person": f.Person, "from": f.From, "to": f.To} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if f.Failed {
		v.Set("failed", "yes")
	}
	if before > 0 {
		v.Set("before", strconv.FormatInt(before, 10))
	}
	return "?" + v.Encode()
}

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
	q = EventQuery{Action: r.query("action"), Person: r.query("person"), Connections: c.chosen(r), Limit: pageSize}
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
	events, err := c.store.Events(r.ctx, EventQuery{Connections: c.connectionsOf(r), Before: n + 1, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(events) == 0 || events[0].Seq != n {
		return nil, fault.New(fault.NotFound, "there is no such event")
	}
	v := &eventView{Event: eventWire(events[0])}
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
	v := &personAuditView{head: c.head(r, &s, "audit")}
	v.Events, v.Next, err = c.events(r, q)
	return v, err
}

// signInJSON is one attempt to sign in, in a list.
type signInJSON struct {
	Number     int64     `json:"number"`
	Reference  string    `json:"reference"`
	At         time.Time `json:"at"`
	Connection string    `json:"connection"`
	Protocol   string    `json:"protocol"`
	Outcome    string    `json:"outcome"`
	Reason     string    `json:"reason,omitempty"`
	Person     string    `json:"person,omitempty"`
	Who        string    `json:"who,omitempty"` // what the identity provider calls them
	Address    string    `json:"address,omitempty"`
}

func signInWire(s SignIn) signInJSON {
	w := signInJSON{
		s.Number, s.Reference, s.Finished, s.Connection, s.Protocol, string(s.Outcome), s.Reason, s.Person, "", s.Address,
	}
	for _, f := range s.Facts {
		if (f.Name == "userName" || f.Name == "subject" && w.Who == "") && len(f.Values) > 0 {
			w.Who = f.Values[0]
		}
	}
	return w
}

func (c *Console) attempts(r *request, q SignInQuery) (out []signInJSON, next int64, err error) {
	q.Limit = pageSize + 1
	if q.Before, err = r.before(); err != nil {
		return nil, 0, err
	}
	found, err := c.store.SignIns(r.ctx, q)
	if len(found) > pageSize {
		found = found[:pageSize]
		next = found[pageSize-1].Number
	}
	out = make([]signInJSON, len(found))
	for i, s := range found {
		out[i] = signInWire(s)
	}
	return out, next, err
}

type signInsView struct {
	SignIns []signInJSON `json:"signIns"`
	Next    int64        `json:"next,omitempty"`
	Filter  logFilter    `json:"-"`
}

func (c *Console) signIns(r *request) (any, error) {
	v := &signInsView{Filter: c.logFilter(r)}
	var err error
	v.SignIns, v.Next, err = c.attempts(r, SignInQuery{Connections: c.chosen(r), Failed: v.Filter.Failed})
	return v, err
}

type personSignInsView struct {
	head

	SignIns []signInJSON `json:"signIns"`
	Next    int64        `json:"next,omitempty"`
}

func (c *Console) signInsOf(r *request) (any, error) {
	s, err := c.standing(r)
	if err != nil {
		return nil, err
	}
	v := &personSignInsView{head: c.head(r, &s, "sign-ins")}
	v.SignIns, v.Next, err = c.attempts(r, SignInQuery{Person: s.Person.ID})
	return v, err
}

// signInView is the trace of one attempt.
type signInView struct {
	Record trace.Record `json:"signIn"`
}

func (c *Console) signIn(r *request) (any, error) {
	record, err := c.traces.FindTrace(r.ctx, r.param("reference"))
	if err != nil {
		return nil, err
	}
	if all := c.connectionsOf(r); all != nil && !slices.Contains(all, record.Connection) {
		return nil, fault.New(fault.NotFound, "no such trace")
	}
	return &signInView{record}, nil
}

// requestJSON is one request of an identity provider.
type requestJSON struct {
	Number     int64     `json:"number"`
	At         time.Time `json:"at"`
	Connection string    `json:"connection"`
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
		out[i] = requestJSON{e.Seq, e.At, e.Connection, e.Address, e.Method, e.Path, e.Status, e.Cause, e.Body, e.Took.Microseconds()}
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
	return &personRequestsView{head: c.head(r, &s, "scim"), Requests: requestsWire(entries)}, err
}

// massLossJSON is many losses over SCIM that are one change.
type massLossJSON struct {
	Number      int64      `json:"number"`
	Connection  string     `json:"connection"`
	Group       string     `json:"group,omitempty"` // its name; empty: people of the connection
	Began       time.Time  `json:"began"`
	Last        time.Time  `json:"last"`
	Population  int        `json:"population"`
	Deactivated int        `json:"deactivated"`
	Deleted     int        `json:"deleted"`
	Removed     int        `json:"removed"`
	Undoable    bool       `json:"undoable"`
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
		UndoneBy: m.UndoneBy, Restored: m.Restored, Skipped: m.Skipped,
	}
	if m.Group != "" && w.Group == "" {
		w.Group = m.Group
	}
	return w
}

type provisioningView struct {
	Requests []requestJSON  `json:"requests"`
	Losses   []massLossJSON `json:"massLosses"`
	Next     int64          `json:"next,omitempty"`
	Filter   logFilter      `json:"-"`
}

func (c *Console) provisioning(r *request) (any, error) {
	before, err := r.before()
	if err != nil {
		return nil, err
	}
	v := &provisioningView{Filter: c.logFilter(r), Losses: []massLossJSON{}}
	of := c.chosen(r)
	if of == nil {
		of = []string{""} // all of them
	}
	var entries []scim.Entry
	for _, conn := range of {
		some, err := c.journal.Journal(r.ctx, scim.JournalQuery{Connection: conn, Refused: v.Filter.Failed, Before: before, Limit: pageSize + 1})
		if err != nil {
			return nil, err
		}
		entries = append(entries, some...)
		losses, err := c.directory.MassLosses(r.ctx, directory.MassLossQuery{Connection: conn, Limit: 20})
		if err != nil {
			return nil, err
		}
		for i := range losses.Items {
			v.Losses = append(v.Losses, c.massLossWire(&losses.Items[i]))
		}
	}
	slices.SortFunc(entries, func(a, b scim.Entry) int { return int(b.Seq - a.Seq) })
	if len(entries) > pageSize {
		entries = entries[:pageSize]
		v.Next = entries[pageSize-1].Seq
	}
	v.Requests = requestsWire(entries)
	return v, nil
}

// lossJSON is one of what a mass loss took.
type lossJSON struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Subject string    `json:"subject"`
	Outcome string    `json:"outcome,omitempty"`
}

type massLossView struct {
	Loss    massLossJSON `json:"massLoss"`
	Losses  []lossJSON   `json:"losses"` // the first ones
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
	if all := c.connectionsOf(r); all != nil && !slices.Contains(all, m.Connection) {
		return nil, fault.New(fault.NotFound, "no such mass loss")
	}
	page, err := c.directory.Losses(r.ctx, n, nil, 200)
	if err != nil {
		return nil, err
	}
	_, everybody := r.reach(mapping.GateConnectionsEdit)
	v := &massLossView{Loss: c.massLossWire(&m), Losses: []lossJSON{}, MayUndo: everybody && r.may(mapping.GateConnectionsEdit)}
	for _, l := range page.Items {
		subject := l.Subject
		if strings.TrimSpace(subject) == "" {
			subject = l.Member
		}
		v.Losses = append(v.Losses, lossJSON{l.At, string(l.Kind), subject, l.Outcome})
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
