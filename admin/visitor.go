package admin

import (
	"context"
	"crypto/sha256"
	"net/http"
	"slices"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/session"
	"portcullis/web"
)

// visitor is whoever uses the console: somebody who is signed in, or whoever
// holds what a one-time link opened.
type visitor struct {
	who     *session.Principal // nil for a visit by link
	link    *Visit             // nil for somebody who is signed in
	tasks   []string           // the gate's own
	wide    []string           // of those, the ones that reach beyond their organization
	address string

	maker string // operator who made the API token, where that matters: their id in the operating system

	home scope // whose people are around them; of a visit for one connection its organization
}

// scope is whose people something is about: everybody's where it names no
// organization.
type scope struct {
	organization string
	units        []string // of that, only who is in these; nil: all of it
}

// holds reports whether somebody is in the scope.
func (s scope) holds(organization, unit string) bool {
	return s.organization == "" || s.organization == organization && (s.units == nil || slices.Contains(s.units, unit))
}

// bounds are the scope's where it names an organization; nil elsewhere.
func (s scope) bounds() *directory.Bounds {
	if s.organization == "" {
		return nil
	}
	return &directory.Bounds{Organization: s.organization, Units: s.units}
}

// visit finds what a one-time link opened, for one connection or for the whole
// console; nil where the browser holds nothing of the kind.
func (c *Console) visit(r *http.Request, cookie string, setup bool) (*Visit, error) {
	for _, token := range web.Cookies(r, c.public, cookie) {
		hash := sha256.Sum256([]byte(token))
		v, err := c.store.FindVisit(r.Context(), hash[:], c.now())
		switch {
		case err == nil && (v.Connection != "") == setup:
			return &v, nil
		case err != nil && !fault.Is(err, fault.NotFound):
			return nil, err
		}
	}
	return nil, nil //nolint:nilnil // there is none
}

// visitor finds out who asks. It fails with fault.Unauthenticated. A visit by
// a link to the console counts before a session: whoever opened one means to
// use it. One by a setup link counts at its own pages alone, see [Setup].
func (c *Console) visitor(r *http.Request) (*visitor, error) {
	ctx, address := r.Context(), web.ClientAddress(r)
	switch v, err := c.visit(r, linkCookie, false); {
	case err != nil:
		return nil, err
	case v != nil:
		tasks := linkTasks()
		return &visitor{link: v, tasks: tasks, wide: tasks, address: address}, nil
	}
	err := fault.New(fault.Unauthenticated, "you are not signed in")
	for _, token := range web.Cookies(r, c.public, web.SessionCookie) {
		who, failed := c.sessions.Verify(ctx, token)
		if failed == nil {
			return c.signedIn(ctx, who, address)
		}
		if err = failed; !fault.Is(err, fault.Unauthenticated) {
			break
		}
	}
	web.ReadByNobody(ctx)
	return nil, err
}

// signedIn reads the rights of somebody out of what the mapping gives them. It
// fails with fault.Forbidden where their connection does not let them in from
// where they are, as the portal's pages do.
func (c *Console) signedIn(ctx context.Context, who *session.Principal, address string) (*visitor, error) {
	if !c.letsIn(who.Connection, address) {
		return nil, fault.New(fault.Forbidden, "your organization does not let you in from your network")
	}
	v := &visitor{who: who, address: address, home: scope{organization: who.Organization}}
	for _, t := range mapping.GateTasks() {
		if slices.Contains(who.Access.Tasks, t.Name) {
			v.tasks = append(v.tasks, t.Name)
		}
	}
	if len(v.tasks) == 0 {
		return v, nil
	}
	if p := c.keeper.Policy(); p != nil {
		roles := who.Access.Roles
		if who.Token {
			roles = who.Held // a scope takes tasks away, and not how far the others reach
		}
		v.wide = slices.DeleteFunc(p.Wide(who.Connection, roles), func(task string) bool { return !v.may(task) })
	}
	if who.Service() { // it stands nowhere within its organization
		return v, nil
	}
	// Read for each call: whoever is moved sees no more of where they were.
	var err error
	v.home.organization, v.home.units, err = c.directory.Reach(ctx, who.PersonID)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.Unauthenticated, "you are not signed in")
	}
	if v.home.units != nil && !slices.Contains(v.wide, mapping.GateConnectionsOwn) {
		// A connection brings everybody of the organization.
		v.tasks = slices.DeleteFunc(v.tasks, func(t string) bool { return t == mapping.GateConnectionsOwn })
	}
	return v, err
}

// letsIn reports whether people of a connection may come from an address.
func (c *Console) letsIn(connection, address string) bool {
	all := c.connections()
	i := slices.IndexFunc(all, func(conn Connection) bool { return conn.ID == connection && !conn.Shadowed })
	if i < 0 || len(all[i].Addresses) == 0 {
		return true
	}
	return holds(all[i].Addresses, address)
}

// linkTasks is what a visit by link may do: everything but to be the second
// person of an approval, for nobody knows who it is.
func linkTasks() (tasks []string) {
	for _, t := range mapping.GateTasks() {
		if t.Name != mapping.GateMappingApprove {
			tasks = append(tasks, t.Name)
		}
	}
	return tasks
}

// belongs reports whether the visitor is of an organization, whose connections
// are their own.
func (v *visitor) belongs() bool { return v.who != nil || v.home.organization != "" }

func (v *visitor) may(task string) bool { return slices.Contains(v.tasks, task) }

// reach is whose people a task is for: those around the visitor, or everybody.
func (v *visitor) reach(task string) (of scope, everybody bool) {
	if slices.Contains(v.wide, task) {
		return scope{}, true
	}
	return v.home, false
}

// reaches reports whether the visitor may do a task to somebody.
func (v *visitor) reaches(task string, p *directory.Person) bool {
	of, _ := v.reach(task)
	return v.may(task) && of.holds(p.Organization, p.Unit)
}

// actor is the visitor in the audit trail.
func (v *visitor) actor() audit.Actor {
	if v.setup() != "" {
		return audit.Actor{Kind: "setup", ID: v.link.ID, Name: "setup link of " + v.link.Issuer, Address: v.address}
	}
	if v.link != nil {
		return audit.Actor{Kind: "break-glass", ID: v.link.ID, Name: "one-time link of " + v.link.Issuer, Address: v.address}
	}
	name := v.who.Name
	if name == "" {
		name = v.who.Email
	}
	if name == "" {
		name = v.who.Subject
	}
	switch {
	case v.who.Service():
		return audit.Actor{Kind: "service", ID: v.who.SessionID, Name: "service " + name + " by API token " + v.who.SessionID, Address: v.address}
	case v.who.Token:
		name += " by API token " + v.who.SessionID
	}
	return audit.Actor{Kind: "person", ID: v.who.PersonID, Name: name, Address: v.address}
}

// setup is the id of the visit by a setup link; empty for everybody else. Nobody
// knows who holds such a link: of people it is shown nothing but its own doing.
func (v *visitor) setup() string {
	if v.link == nil || v.link.Connection == "" {
		return ""
	}
	return v.link.ID
}

// is reports whether the visitor is that person.
func (v *visitor) is(person string) bool { return v.who != nil && v.who.PersonID == person }
