package admin

import (
	"path/filepath"
	"time"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
)

// explainedJSON says what somebody may do, and why.
type explainedJSON struct {
	Faults      []faultJSON          `json:"faults"`
	Explanation *mapping.Explanation `json:"explanation"` // null where there are faults
	Text        string               `json:"text,omitempty"`
	Mapping     *ruling              `json:"mapping,omitempty"`

	// Of a person alone:
	ID            string `json:"id,omitempty"`
	UserName      string `json:"userName,omitempty"`
	State         string `json:"state,omitempty"`
	Suspended     bool   `json:"organizationSuspended,omitempty"`
	PartSuspended bool   `json:"subOrganizationSuspended,omitempty"`
	Bar           string `json:"bar,omitempty"` // what keeps them out whatever the mapping grants
}

// explainAny explains facts that a script sends, or somebody, by files that it
// sends or by the mapping of a time.
func (c *Console) explainAny(r *request) (any, error) {
	q := &r.inquiry
	at, err := readMoment(q.At)
	if err != nil {
		return nil, err
	}
	if (len(q.Facts) == 0) == (q.Person == "") {
		return nil, fault.New(fault.Invalid, "want one of facts and person")
	}
	v := &explainedJSON{Faults: []faultJSON{}}
	m, err := c.answeredBy(r, at)
	if err != nil {
		v.Faults, err = faulty(err)
		return v, err
	}
	policy := m.policy
	v.Mapping = m
	when := at
	if at.IsZero() {
		when = c.now()
	}
	if q.Person == "" {
		f, err := mapping.LoadFacts(q.Facts)
		if err != nil {
			return nil, said(err)
		}
		v.explain(policy.Explain(&f, when), len(q.Texts) > 0)
		return v, nil
	}
	s, narrow, err := c.personAt(r, q.Person, at)
	if err != nil {
		return nil, err
	}
	f := s.Facts()
	e := policy.Explain(&f, when)
	if narrow.organization != "" {
		e.Narrow()
	}
	v.ID, v.UserName, v.State = s.Person.ID, s.Person.UserName, string(s.Person.State())
	v.Suspended, v.PartSuspended = s.Organization.Disabled, s.PartFrozen
	if bar := s.Bar(); bar != nil {
		v.Bar = fault.ToOthers(bar)
	}
	v.explain(e, len(q.Texts) > 0)
	return v, nil
}

// explain puts an explanation in the answer. Of where the gate's own files are,
// nobody need know.
func (v *explainedJSON) explain(e mapping.Explanation, sent bool) {
	v.Explanation, v.Text = &e, e.String()
	if sent {
		return
	}
	e.File = filepath.Base(e.File)
	for i := range e.Rules {
		e.Rules[i].File = filepath.Base(e.Rules[i].File)
	}
	for i := range e.NearMisses {
		e.NearMisses[i].File = filepath.Base(e.NearMisses[i].File)
	}
	v.Text = e.String()
}

// answeredBy finds the mapping that an inquiry is answered by.
func (c *Console) answeredBy(r *request, at time.Time) (*ruling, error) {
	if len(r.inquiry.Texts) == 0 {
		return c.ruled(r, at)
	}
	p, err := c.compile(r, r.inquiry.Texts, false)
	if err != nil {
		return nil, err
	}
	return &ruling{Hash: p.Hash(), policy: p}, nil
}

// personAt finds somebody whom the asker may see, as they were at a time.
func (c *Console) personAt(r *request, id string, at time.Time) (directory.Standing, *request, error) {
	narrow, ok := r.within(mapping.GateUsersView)
	if !ok {
		return directory.Standing{}, nil, fault.New(fault.Forbidden, "you may not do this: you lack the task %q", mapping.GateUsersView)
	}
	s, err := c.find(narrow, id)
	if err != nil || at.IsZero() {
		return s, narrow, err
	}
	past, err := c.directory.LookAt(r.ctx, s.Person.ID, at)
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "they were not known yet then")
	}
	return past, narrow, err
}
