package admin

import (
	"slices"
	"time"

	"portcullis/trace"
)

// tracesView is whole traces of attempts to sign in, for scripts.
type tracesView struct {
	Traces      []trace.Record `json:"traces"` // the newest first
	Next        int64          `json:"next,omitempty"`
	Connections []string       `json:"connections"` // of which the visitor may see traces
	Lost        []lostJSON     `json:"lost"`        // the newest hour first
}

// lostJSON is how many traces of one connection were not kept in an hour.
type lostJSON struct {
	Hour       time.Time `json:"hour"`
	Connection string    `json:"connection"`
	Count      int64     `json:"count"`
}

// wholeTraces are attempts to sign in, each with all that [Console.signIn] shows
// of it.
func (c *Console) wholeTraces(r *request) (any, error) {
	before, err := r.before()
	if err != nil {
		return nil, err
	}
	size, err := r.size()
	if err != nil {
		return nil, err
	}
	filter := c.logFilter(r)
	found, err := c.store.SignIns(r.ctx, SignInQuery{
		Connections: c.chosen(r), Units: r.units, Failed: filter.Failed, Before: before, Limit: size + 1,
	})
	if err != nil {
		return nil, err
	}
	v := &tracesView{Traces: []trace.Record{}, Connections: list(filter.Choices), Lost: []lostJSON{}}
	if len(found) > size {
		found = found[:size]
		v.Next = found[size-1].Number
	}
	for i := range found {
		r.narrow(&found[i].Record)
		v.Traces = append(v.Traces, found[i].Record)
	}
	if r.units != nil { // what was lost is of whole connections
		return v, nil
	}
	lost, err := c.traces.LostTraces(r.ctx, c.now().Add(-trace.Keep))
	of := c.chosen(r)
	for _, l := range lost {
		if of == nil || slices.Contains(of, l.Connection) {
			v.Lost = append(v.Lost, lostJSON(l))
		}
	}
	return v, err
}
