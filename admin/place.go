package admin

import (
	"slices"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/web"
)

// placeView asks where people are to be put.
type placeView struct {
	People       []personJSON
	Organization string
	Choices      []unitChoice
	Action, Back string
}

// placing shows where people of one organization may be put.
func (c *Console) placing(r *request, people []directory.Person, back string) (any, error) {
	tree, err := c.directory.Units(r.ctx, people[0].Organization)
	if err != nil {
		return nil, err
	}
	v := &placeView{
		Organization: people[0].Organization, Back: web.ConsolePrefix + back, Action: web.ConsolePrefix + "/people/all/place",
		Choices: choices(r.scope, tree, people[0].Unit),
	}
	for i := range people {
		v.People = append(v.People, personWire(&people[i]))
	}
	return v, c.tellPlaces(r, v.People)
}

// placeable says why this visitor may not put somebody elsewhere, or nil.
func (c *Console) placeable(v *visitor, p *directory.Person) error {
	if v.is(p.ID) {
		return fault.New(fault.Conflict, "you cannot do this to yourself")
	}
	return c.directory.Placeable(*p)
}

func (c *Console) askPlace(r *request) (any, error) {
	s, err := c.standing(r)
	if err != nil {
		return nil, err
	}
	if err := c.placeable(r.visitor, &s.Person); err != nil {
		return nil, err
	}
	v, err := c.placing(r, []directory.Person{s.Person}, "/people/"+s.Person.ID)
	if v, ok := v.(*placeView); ok {
		v.Action = v.Back + "/place"
	}
	return v, err
}

// put puts somebody somewhere.
func (c *Console) put(r *request, p *directory.Person, unit, why string) error {
	if err := c.placeable(r.visitor, p); err != nil {
		return err
	}
	return c.directory.Place(r.ctx, r.actor(), p.ID, unit, why)
}

func (c *Console) place(r *request) (any, error) {
	s, err := c.standing(r)
	if err != nil {
		return nil, err
	}
	unit, err := c.target(r, "subOrganization")
	if err != nil {
		return nil, err
	}
	why, err := r.reason(false)
	if err != nil {
		return nil, err
	}
	return done{to: "/people/" + s.Person.ID, Done: "place", Count: 1}, c.put(r, &s.Person, unit, why)
}

// placeAll puts several people of one organization somewhere, each in a
// transaction of their own. In a browser it asks first.
func (c *Console) placeAll(r *request) (any, error) {
	people, err := c.several(r)
	if err != nil {
		return nil, err
	}
	other := func(p directory.Person) bool { return p.Organization != people[0].Organization }
	if slices.ContainsFunc(people, other) {
		return nil, fault.New(fault.Invalid, "they are not of one organization: choose people of one")
	}
	if r.form.Get("confirmed") != "yes" {
		return c.placing(r, people, "/people")
	}
	unit, err := c.target(r, "subOrganization")
	if err != nil {
		return nil, err
	}
	why, err := r.reason(false)
	if err != nil {
		return nil, err
	}
	out := done{to: "/people", Done: "place"}
	for i := range people {
		switch err := c.put(r, &people[i], unit, why); {
		case err == nil:
			out.Count++
		case fault.Is(err, fault.Conflict), fault.Is(err, fault.NotFound) && out.Count > 0:
			out.Left++
		default:
			return nil, err
		}
	}
	return out, nil
}
