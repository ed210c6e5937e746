package admin

import (
	"net/http"
	"slices"
	"time"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
)

func exceptionRoutes() []Route {
	get, post, right := http.MethodGet, http.MethodPost, mapping.GateRolesAssign
	return []Route{
		{get, "/people/:id/exceptions", get, "/people/:id/exceptions", right, "exceptions", (*Console).exceptionsOf},
		{post, "/people/:id/exceptions", post, "/people/:id/exceptions", right, "", (*Console).except},
		{
			post, "/people/:id/exceptions/:exception/revoke", http.MethodDelete, "/people/:id/exceptions/:exception", right, "",
			(*Console).unexcept,
		},
	}
}

// exceptionJSON is a role that somebody has, had or will have beside the
// mapping.
type exceptionJSON struct {
	ID        string     `json:"id"`
	Role      string     `json:"role"`
	Reason    string     `json:"reason"`
	By        string     `json:"by"`
	From      time.Time  `json:"from"`
	Until     time.Time  `json:"until"`
	Revoked   *time.Time `json:"revoked"`
	RevokedBy string     `json:"revokedBy,omitempty"`
	State     string     `json:"state"` // "running", "ended" or "revoked"
}

func exceptionWire(x *directory.Exception, now time.Time) exceptionJSON {
	w := exceptionJSON{x.ID, x.Role, x.Reason, x.By, x.From, x.Until, optional(x.Revoked), x.RevokedBy, "running"}
	switch {
	case !x.Revoked.IsZero():
		w.State = "revoked"
	case !now.Before(x.Until):
		w.State = "ended"
	}
	return w
}

// exceptionsView is the roles of somebody beside the mapping, and those that
// this visitor may grant them.
type exceptionsView struct {
	head

	Exceptions []exceptionJSON `json:"exceptions"`
	Assignable []string        `json:"assignable"`
	First      string          `json:"-"` // the days that an end may be
	Last       string          `json:"-"`
}

func (c *Console) exceptionsOf(r *request) (any, error) {
	s, err := c.standing(r)
	if err != nil {
		return nil, err
	}
	all, err := c.directory.Exceptions(r.ctx, s.Person.ID)
	if err != nil {
		return nil, err
	}
	above, err := c.head(r, &s, "exceptions")
	if err != nil {
		return nil, err
	}
	now := c.now()
	v := &exceptionsView{
		head: above, Exceptions: make([]exceptionJSON, len(all)), Assignable: c.assignable(r, &s.Person),
		First: now.Format(time.DateOnly), Last: now.Add(directory.MaxExceptionLife - 24*time.Hour).Format(time.DateOnly),
	}
	for i := range all {
		v.Exceptions[len(all)-1-i] = exceptionWire(&all[i], now)
	}
	return v, nil
}

// assignable lists the roles that a visitor may grant somebody for a time:
// what the mapping lets their own roles hand out. Nobody grants themselves
// anything.
func (c *Console) assignable(r *request, p *directory.Person) []string {
	roles := []string{}
	policy := c.keeper.Policy()
	switch {
	case policy == nil || r.is(p.ID):
	case r.who == nil:
		for _, role := range policy.Roles() {
			if len(role.AssignableBy) > 0 {
				roles = append(roles, role.Name)
			}
		}
	default:
		for _, a := range policy.Assignable(r.who.Access.Roles) {
			if !a.Organization || r.home.holds(p.Organization, p.Unit) {
				roles = append(roles, a.Role)
			}
		}
	}
	return roles
}

func (c *Console) except(r *request) (any, error) {
	s, err := c.standing(r)
	if err != nil {
		return nil, err
	}
	why, err := r.reason(true)
	if err != nil {
		return nil, err
	}
	until, err := readEnd(r.form.Get("until"))
	if err != nil {
		return nil, err
	}
	role := r.form.Get("role")
	if !slices.Contains(c.assignable(r, &s.Person), role) {
		return nil, fault.New(fault.Forbidden, "this role is not yours to grant to this person")
	}
	if _, err := c.directory.Except(r.ctx, r.actor(), s.Person.ID, role, until, why); err != nil {
		return nil, err
	}
	return done{to: "/people/" + s.Person.ID + "/exceptions", Done: "except", Count: 1}, nil
}

// readEnd reads when an exception ends: a moment, or the end of a day.
func readEnd(text string) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, fault.New(fault.Invalid, "until: want a day like 2026-12-24, or a time like 2026-12-24T18:00:00Z")
	}
	return day.AddDate(0, 0, 1), nil
}

func (c *Console) unexcept(r *request) (any, error) {
	s, err := c.standing(r)
	if err != nil {
		return nil, err
	}
	why, err := r.reason(false)
	if err != nil {
		return nil, err
	}
	if err := c.directory.Unexcept(r.ctx, r.actor(), s.Person.ID, r.param("exception"), why); err != nil {
		return nil, err
	}
	return done{to: "/people/" + s.Person.ID + "/exceptions", Done: "unexcept", Count: 1}, nil
}
