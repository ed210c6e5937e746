package admin

import (
	"cmp"

	"portcullis/fault"
	"portcullis/mapping"
)

// accessedJSON is who has something by a mapping that is not in force.
type accessedJSON struct {
	Faults      []faultJSON `json:"faults"`
	*accessView             // nil where there are faults
}

// accessBy is [Console.access] by files that are sent, or by the gate's own
// mapping in another environment, page by page. It asks nothing of people that
// whoever may read the access history could not see of them.
func (c *Console) accessBy(r *request) (any, error) {
	q, w, at, err := c.asked(r)
	if err != nil {
		return nil, err
	}
	if w.Empty() {
		return nil, errNothingWanted
	}
	narrow, may := r.within(mapping.GateAuditView)
	if !may {
		return nil, fault.New(fault.Forbidden, "you may not do this: you lack the task %q", mapping.GateAuditView)
	}
	if of := c.counted(r); of.organization != "" { // a mapping that is sent may ask anything
		narrow.scope = of
	}
	m, err := c.answeredBy(r, at)
	if err != nil {
		faults, err := faulty(err)
		return &accessedJSON{Faults: faults}, err
	}
	v := &accessView{Question: q, At: at, Mapping: m, People: []heldJSON{}}
	if at.IsZero() {
		v.At = c.now()
	}
	return &accessedJSON{[]faultJSON{}, v}, c.accessPage(narrow, v, w, at, cmp.Or(r.query("after"), "0"))
}
