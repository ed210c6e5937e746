package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"time"

	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
)

// inquiryJSON is what a script asks of mapping files that it sends whole.
type inquiryJSON struct {
	Old         []sentJSON      `json:"old"`         // of a comparison; what is in force where it is left out
	New         []sentJSON      `json:"new"`         // likewise
	Texts       []sentJSON      `json:"texts"`       // to answer by; the mapping of that time where they are left out
	Environment string          `json:"environment"` // what ${…} stands for; the gate's where it is left out
	Facts       json.RawMessage `json:"facts"`       // to explain
	Person      string          `json:"person"`      // likewise, by their id
	At          string          `json:"at"`
}

// sentJSON is a file of a mapping that was sent, the base before what it includes.
type sentJSON struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// inquiries reports whether a route takes an inquiry.
func (r *Route) inquiries() bool {
	switch r.API {
	case "/mapping/compare", "/mapping/explain", "/mapping/coverage", "/access":
		return true
	default:
		return false
	}
}

func (o *order) readInquiry(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&o.inquiry); err != nil || d.More() {
		return fault.Wrap(fault.Invalid, err, "the body is not what this call wants")
	}
	return nil
}

// options is how the mappings of an inquiry are read. held is whether they are
// held against the connections that there are.
func (c *Console) options(r *request, held bool) mapping.Options {
	o := mapping.Options{Environment: cmp.Or(r.inquiry.Environment, c.environment)}
	if held {
		o.Connections = []string{}
		for _, conn := range c.connections() {
			if !conn.Shadowed {
				o.Connections = append(o.Connections, conn.ID)
			}
		}
	}
	return o
}

// compile loads files that were sent.
func (c *Console) compile(r *request, sent []sentJSON, held bool) (*mapping.Policy, error) {
	texts := make([]revision.Text, len(sent))
	for i, t := range sent {
		texts[i] = revision.Text{Name: t.Name, Body: []byte(t.Text)}
	}
	return revision.Compile(texts, c.options(r, held))
}

// faulty gives the mistakes of a text; any other error stays one.
func faulty(err error) ([]faultJSON, error) {
	problems, ok := errors.AsType[mapping.Problems](err)
	if !ok {
		return []faultJSON{}, err
	}
	out := make([]faultJSON, len(problems))
	for i, p := range problems {
		out[i] = faultJSON{File: p.File, Line: p.Line, Column: p.Column, Message: p.Message, Excerpt: p.Excerpt}
	}
	return out, nil
}

// comparedJSON is whose access differs between two mappings.
type comparedJSON struct {
	Faults     []faultJSON     `json:"faults"`
	AsOf       *time.Time      `json:"asOf"`       // of what is known of the people
	Difference *differenceJSON `json:"difference"` // null where there are faults
}

type differenceJSON struct {
	People     int             `json:"people"`
	Touched    int             `json:"touched"`
	Gain       int             `json:"gain"`
	Lose       int             `json:"lose"`
	Admitted   int             `json:"admitted"`
	Refused    int             `json:"refused"`
	Data       int             `json:"otherData"`
	Privileged int             `json:"privileged"`
	Everything int             `json:"unrestricted"`
	Flags      []string        `json:"flags"`
	Roles      []shiftJSON     `json:"roles"`
	Groups     []shiftJSON     `json:"permissionGroups"`
	Caps       []capJSON       `json:"caps"`
	Changes    []differentJSON `json:"changes"`                    // none for whoever may not see people
	More       int             `json:"more"`                       // people that are touched and not named
	Bound      bool            `json:"ofThoseYouMaySee,omitempty"` // all of this is about no others
}

// differentJSON is what differs for one person.
type differentJSON struct {
	ID           string   `json:"id"`
	Person       string   `json:"person"` // their userName, or their id
	Connection   string   `json:"connection"`
	Admitted     bool     `json:"admitted"`
	Refused      bool     `json:"refused"`
	Reason       string   `json:"reason,omitempty"`
	RolesGained  []string `json:"rolesGained"`
	RolesLost    []string `json:"rolesLost"`
	TasksGained  []string `json:"tasksGained"`
	TasksLost    []string `json:"tasksLost"`
	GroupsGained []string `json:"permissionGroupsGained"`
	GroupsLost   []string `json:"permissionGroupsLost"`
	Data         bool     `json:"otherData"`
	Privileged   bool     `json:"privileged"`
	Everything   bool     `json:"unrestricted"`
}

// capJSON is a limit on how many people may hold a role.
type capJSON struct {
	ID       string `json:"id"`
	Role     string `json:"role"`
	MaxUsers int    `json:"maxUsers"`
	People   int    `json:"people"`
	Exceeded bool   `json:"exceeded"`
}

func capsWire(caps []mapping.CapUse) []capJSON {
	out := make([]capJSON, len(caps))
	for i, x := range caps {
		out[i] = capJSON{ID: x.ID, Role: x.Role, MaxUsers: x.MaxUsers, People: x.People, Exceeded: x.Exceeded()}
	}
	return out
}

// compareTexts holds everybody against two mappings.
func (c *Console) compareTexts(r *request) (any, error) {
	var err error
	v := &comparedJSON{Faults: []faultJSON{}}
	before := c.keeper.Policy()
	if len(r.inquiry.Old) > 0 { // not held against the connections of today
		if before, err = c.compile(r, r.inquiry.Old, false); err != nil {
			v.Faults, err = faulty(err)
			return v, err
		}
	}
	after, err := c.compile(r, r.inquiry.New, true)
	if err != nil {
		v.Faults, err = faulty(err)
		return v, err
	}
	all, bound, err := c.crowd(r)
	if err != nil {
		return nil, err
	}
	d := mapping.Diff(before, after, c.now(), all.people(r.ctx, &err))
	if err != nil {
		return nil, err
	}
	v.AsOf = &all.at
	v.Difference = differenceWire(d)
	v.Difference.Bound = bound
	if _, may := r.within(mapping.GateUsersView); may {
		for _, x := range d.Changes {
			v.Difference.Changes = append(v.Difference.Changes, differentWire(x, all.userName(r.ctx, x.Person)))
		}
	}
	v.Difference.More = d.Touched - len(v.Difference.Changes)
	return v, nil
}

func differenceWire(d *mapping.Difference) *differenceJSON {
	w := &differenceJSON{
		People: d.People, Touched: d.Touched, Gain: d.Gain, Lose: d.Lose, Admitted: d.Admitted, Refused: d.Refused, Data: d.Data,
		Privileged: d.Privileged, Everything: d.Everything, Flags: []string{}, Roles: make([]shiftJSON, len(d.Roles)),
		Groups: make([]shiftJSON, len(d.Groups)), Caps: capsWire(d.Caps), Changes: []differentJSON{},
	}
	for _, f := range d.Flags() {
		w.Flags = append(w.Flags, string(f))
	}
	for i, s := range d.Roles {
		w.Roles[i] = shiftJSON(s)
	}
	for i, s := range d.Groups {
		w.Groups[i] = shiftJSON(s)
	}
	return w
}

func differentWire(x mapping.Change, name string) differentJSON {
	return differentJSON{
		x.Person, name, x.Connection, x.Admitted, x.Refused, x.Reason, list(x.RolesGained), list(x.RolesLost), list(x.TasksGained),
		list(x.TasksLost), list(x.GroupsGained), list(x.GroupsLost), x.Data, x.Privileged, x.Everything,
	}
}

// coverTexts holds files that were sent against their tests and everybody.
func (c *Console) coverTexts(r *request) (any, error) {
	p, err := c.compile(r, r.inquiry.Texts, true)
	if err != nil {
		faults, err := faulty(err)
		return &coveredJSON{Faults: faults}, err
	}
	v, err := c.covered(r, p, func(file string) string { return file }) // as it was sent
	return &coveredJSON{[]faultJSON{}, v}, err
}

// coveredJSON is what of a mapping that was sent is not in use.
type coveredJSON struct {
	Faults   []faultJSON   `json:"faults"`
	Coverage *coverageView `json:"coverage"` // null where there are faults
}
