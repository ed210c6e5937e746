package admin

import (
	"slices"
	"time"

	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/trace"
	"portcullis/web"
)

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

	Base   string `json:"-"` // below which its trace is; empty for the log of all
	Hidden bool   `json:"-"` // the visitor may not see people
}

func signInWire(s SignIn) signInJSON {
	w := signInJSON{
		Number: s.Number, Reference: s.Reference, At: s.Finished, Connection: s.Connection, Protocol: s.Protocol, Outcome: string(s.Outcome),
		Reason: s.Reason, Person: s.Person, Address: s.Address,
	}
	for _, f := range s.Facts {
		if (f.Name == "userName" || f.Name == "subject" && w.Who == "") && len(f.Values) > 0 {
			w.Who = f.Values[0]
		}
	}
	return w
}

func (c *Console) attempts(r *request, q SignInQuery) (out []signInJSON, next int64, err error) {
	if q.Before, err = r.before(); err != nil {
		return nil, 0, err
	}
	return c.attemptsBefore(r, q, pageSize)
}

// attemptsBefore gives attempts behind the one that q names, and what to go on
// behind; 0 at the end.
func (c *Console) attemptsBefore(r *request, q SignInQuery, limit int) (out []signInJSON, next int64, err error) {
	q.Limit = limit + 1
	found, err := c.store.SignIns(r.ctx, q)
	if len(found) > limit {
		found = found[:limit]
		next = found[limit-1].Number
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
	Week    []spanJSON   `json:"week"`
	Filter  logFilter    `json:"-"`
	Chart   *chart       `json:"-"`
}

func (c *Console) signIns(r *request) (any, error) {
	v := &signInsView{Filter: c.logFilter(r)}
	var err error
	if v.SignIns, v.Next, err = c.attempts(r, SignInQuery{Connections: c.chosen(r), Units: r.units, Failed: v.Filter.Failed}); err != nil {
		return nil, err
	}
	v.Week, err = c.week(r, SignInQuery{Connections: c.chosen(r), Units: r.units})
	if r.query("before") == "" {
		v.Chart = draw(v.Week)
	}
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
	v := &personSignInsView{}
	if v.head, err = c.head(r, &s, "sign-ins"); err != nil {
		return nil, err
	}
	v.SignIns, v.Next, err = c.attempts(r, SignInQuery{Person: s.Person.ID})
	return v, err
}

// signInView is the trace of one attempt.
type signInView struct {
	Record trace.Record `json:"signIn"`
	Back   string       `json:"-"` // the list that it is in
	Known  bool         `json:"-"` // the visitor may see people
}

var errNoTrace = fault.New(fault.NotFound, "no such trace")

func (c *Console) signIn(r *request) (any, error) {
	record, err := c.traces.FindTrace(r.ctx, r.param("reference"))
	if err != nil {
		return nil, err
	}
	if all := c.connectionsOf(r); all != nil && !slices.Contains(all, record.Connection) {
		return nil, errNoTrace
	}
	if r.units != nil {
		switch _, err := c.find(r, record.Person); {
		case fault.Is(err, fault.NotFound):
			return nil, errNoTrace
		case err != nil:
			return nil, err
		}
	}
	r.narrow(&record)
	return &signInView{record, web.ConsolePrefix + "/sign-ins", r.may(mapping.GateUsersView)}, nil
}
