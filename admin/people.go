package admin

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
)

// pageSize is how many rows a page has.
const pageSize = 50

// maxText bounds what is searched for.
const maxText = 200

var errPlace = fault.New(fault.Invalid, "after: want what next gave")

// personJSON is somebody in a list.
type personJSON struct {
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	UserName     string     `json:"userName"`
	Email        string     `json:"email"`
	Organization string     `json:"organization"`
	Unit         string     `json:"subOrganizationId,omitempty"`
	UnitName     string     `json:"subOrganization,omitempty"` // none of somebody who is not placed
	Connection   string     `json:"connection"`
	State        string     `json:"state"`            // their own
	Frozen       string     `json:"frozen,omitempty"` // what is frozen that they are in: the organization, or the path to a part of it
	Source       string     `json:"source"`
	ExternalID   string     `json:"externalId,omitempty"`
	Deactivated  *barJSON   `json:"deactivated,omitempty"`
	Locked       *barJSON   `json:"locked,omitempty"`
	Created      time.Time  `json:"created"`
	LastActive   *time.Time `json:"lastActive"`
	Roles        []string   `json:"roles,omitempty"`
}

func personWire(p *directory.Person) personJSON {
	w := personJSON{
		ID: p.ID, Name: p.Name, UserName: p.UserName, Email: p.Email, Organization: p.Organization, Unit: p.Unit, Connection: p.Connection,
		State: string(p.State()), Source: "sso", Created: p.Created, LastActive: optional(p.LastActive),
		ExternalID: p.ExternalID, Deactivated: barWire(p.Deactivated), Locked: barWire(p.Locked),
	}
	if p.Provisioned {
		w.Source = "scim"
	}
	return w
}

// Placed is their sub-organization in a word; nothing for the organization
// itself.
func (p personJSON) Placed() string {
	if p.Unit != "" && p.UnitName == "" {
		return "(not placed)"
	}
	return p.UnitName
}

// Label is what somebody is called where one word has to do.
func (p personJSON) Label() string {
	for _, s := range []string{p.Name, p.UserName, p.Email} {
		if strings.TrimSpace(s) != "" {
			return s
		}
	}
	return p.ID
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// peopleView is a page of people.
type peopleView struct {
	People   []personJSON `json:"people"`
	Next     string       `json:"next,omitempty"`     // what "after" is to be for the next page
	Examined int          `json:"examined,omitempty"` // how many were looked at, where the mapping had to be asked
	Filter   *filter      `json:"-"`

	Organizations []string     `json:"-"`
	Units         []unitChoice `json:"-"`           // of the organization that it is about, if it has any
	Connections   []string     `json:"connections"` // whose people the visitor may see
	Roles         []string     `json:"-"`
	Groups        []string     `json:"-"`
	Verbs         []verbLink   `json:"-"`
	Whole         bool         `json:"-"` // everybody's people, not one organization's
}

// Parted reports whether anybody of the list may be in a sub-organization.
func (v *peopleView) Parted() bool {
	return len(v.Units) > 0 || slices.ContainsFunc(v.People, func(p personJSON) bool { return p.Placed() != "" })
}

// Link is the address of the same list with something else asked.
func (v *peopleView) Link(more ...string) string { return v.Filter.query(more...) }

// Sorted is the address of the list in another order: the other way around,
// if it is that one already.
func (v *peopleView) Sorted(by string) string {
	order := ""
	if v.Filter.Sort == by && !v.Filter.Descending || v.Filter.Sort == "" && by == string(ByName) && !v.Filter.Descending {
		order = "desc"
	}
	return v.Filter.query("sort", by, "order", order)
}

// Aria is the order of a column as assistive technology wants it.
func (v *peopleView) Aria(by string) string {
	switch sort := v.Filter.Sort; {
	case v.Filter.Computed(), sort != by && (sort != "" || by != string(ByName)):
		return "none"
	case v.Filter.Descending:
		return "descending"
	default:
		return "ascending"
	}
}

func (c *Console) people(r *request) (any, error) {
	f, err := readFilter(r.gin.Request.URL.Query())
	if err != nil {
		return nil, err
	}
	size, err := r.size()
	if err != nil {
		return nil, err
	}
	v := &peopleView{Filter: &f, Verbs: r.many(), Whole: r.organization == "", Connections: []string{}}
	tree, err := c.narrow(r, &f)
	if err != nil {
		return nil, err
	}
	if len(tree) > 0 {
		v.Units = choices(r.scope, tree, f.Unit)
	}
	if r.may(mapping.GateUsersEdit) && len(tree) > 0 {
		v.Verbs = append(v.Verbs, verbLink{"place", "Move"})
	}
	if v.People, v.Next, v.Examined, err = c.list(r, f, size); err != nil {
		return nil, err
	}
	if err := c.tellPlaces(r, v.People); err != nil {
		return nil, err
	}
	for _, conn := range c.connections() {
		if r.organization == "" || conn.Organization == r.organization {
			v.Connections = append(v.Connections, conn.ID)
			v.Organizations = append(v.Organizations, conn.Organization)
		}
	}
	slices.Sort(v.Organizations)
	v.Organizations = slices.Compact(v.Organizations)
	if p := c.keeper.Policy(); p != nil {
		for _, role := range p.Roles() {
			v.Roles = append(v.Roles, role.Name)
		}
		v.Groups = p.PermissionGroups()
	}
	return v, nil
}

// list gives one page of people.
func (c *Console) list(r *request, f filter, limit int) (people []personJSON, next string, examined int, err error) {
	if f.Is != "" {
		people, err = c.called(r, f)
		return people, "", 0, err
	}
	if f.Computed() {
		return c.search(r, f, limit)
	}
	q := PeopleQuery{
		Text: f.Text, NeverIn: f.State == "never", Frozen: f.State == "frozen", Organization: f.Organization, Units: f.units, Connection: f.Connection, Source: f.Source,
		Order: ByName, Descending: f.Descending, After: f.after, Limit: limit,
	}
	if f.Sort != "" {
		q.Order = Order(f.Sort)
	}
	if !q.NeverIn && !q.Frozen {
		q.State = directory.State(f.State)
	}
	if r.organization != "" {
		q.Organization = r.organization
	}
	found, place, err := c.store.People(r.ctx, q)
	people = make([]personJSON, len(found))
	for i := range found {
		people[i] = personWire(&found[i])
	}
	if place != nil {
		next = place.String()
	}
	return people, next, 0, err
}

// called gives those whom a name means, as the command line understands one.
func (c *Console) called(r *request, f filter) ([]personJSON, error) {
	found, err := c.directory.Find(r.ctx, f.Connection, f.Is)
	people := []personJSON{}
	for i := range found {
		if r.holds(found[i].Organization, found[i].Unit) {
			people = append(people, personWire(&found[i]))
		}
	}
	return people, err
}

// How many people are looked at for one page where the mapping has to be
// asked about each, and how many at a time.
const (
	maxExamined = 10_000
	lookBatch   = 500
)

// search gives a page of those of whom the mapping says what is asked, in the
// order of creation. A page may hold fewer than it could: what follows it
// begins where the look ended.
func (c *Console) search(r *request, f filter, limit int) (people []personJSON, next string, examined int, err error) {
	people = []personJSON{}
	policy, now := c.keeper.Policy(), c.now()
	if policy == nil {
		return people, "", 0, nil
	}
	words := strings.Fields(strings.ToLower(f.Text))
	after, start := int64(0), 0
	if f.after != nil { // behind so many of the batch that begins there
		after = f.after.Seq
		start, _ = strconv.Atoi(f.after.Value)
	}
	for looked := 0; looked < maxExamined; {
		batch, following, err := c.directory.StandingsAfter(r.ctx, time.Time{}, after, lookBatch)
		if err != nil {
			return nil, "", 0, err
		}
		for i := min(start, len(batch)); i < len(batch); i++ {
			if len(people) == limit {
				return people, (&Place{Seq: after, Value: strconv.Itoa(i)}).String(), examined, nil
			}
			looked++
			s := &batch[i]
			if !r.holds(s.Person.Organization, s.Person.Unit) {
				continue // and how many they are is nobody's business
			}
			if examined++; !f.meets(s, words) {
				continue
			}
			facts := s.Facts()
			if access := policy.Evaluate(&facts, now); f.grants(&access) {
				w := personWire(&s.Person)
				w.Roles = access.Roles
				people = append(people, w)
			}
		}
		if after, start = following, 0; after == 0 {
			return people, "", examined, nil
		}
	}
	return people, (&Place{Seq: after}).String(), examined, nil
}

func (c *Console) peopleCSV(r *request) (any, error) {
	f, err := readFilter(r.gin.Request.URL.Query())
	if err != nil {
		return nil, err
	}
	f.after = nil
	if _, err := c.narrow(r, &f); err != nil {
		return nil, err
	}
	return file(func(w io.Writer) error {
		out := newCSV(r.gin.Writer, w, "people.csv",
			"id", "name", "userName", "email", "organization", "subOrganization", "connection", "state", "source", "created", "lastActive", "frozen")
		for {
			people, next, _, err := c.list(r, f, 1000)
			if err != nil {
				return err
			}
			if err := c.tellPlaces(r, people); err != nil {
				return err
			}
			for _, p := range people {
				last := ""
				if p.LastActive != nil {
					last = p.LastActive.Format(time.RFC3339)
				}
				out.row(p.ID, p.Name, p.UserName, p.Email, p.Organization, p.Placed(), p.Connection, p.State, p.Source, p.Created.Format(time.RFC3339), last, p.Frozen)
			}
			if err := out.flush(); err != nil || next == "" {
				return err
			}
			if f.after, err = readPlace(next); err != nil {
				return err
			}
		}
	}), nil
}
