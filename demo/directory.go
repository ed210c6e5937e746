package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// state is how far a person has come at the gate, as their company sees it.
type state string

const (
	notPushed   state = "not yet pushed"
	active      state = "active"
	deactivated state = "deactivated"
	deleted     state = "deleted"
)

// entry is a person of a company's directory.
type entry struct {
	Person

	State  state
	scimID string // at the gate; empty when the gate does not have them
}

// Class is State as a CSS class.
func (e entry) Class() string { return strings.ReplaceAll(string(e.State), " ", "-") }

// team is a group of a company's directory.
type team struct {
	Name       string
	externalID string
	scimID     string
}

// directory is what a company's administrator manages. Changes go to the
// gate first and count here when the gate took them, so that the page never
// claims what is not so.
type directory struct {
	slug, company string
	scim          *scimClient

	changing sync.Mutex // held for a whole change, pushes included

	mu          sync.Mutex
	entries     []entry
	teams       []team
	made        int  // groups so far, for external ids
	letBarredIn bool // whether sign-in at the provider ignores State
}

func newDirectory(c IDPConfig, slug string) *directory {
	if c.SCIM.HTTP == nil {
		c.SCIM.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	d := &directory{slug: slug, company: c.Company, scim: &scimClient{c: c.SCIM, now: c.Now}, letBarredIn: true}
	for _, name := range c.Groups {
		d.addTeam(name)
	}
	for _, p := range c.People {
		p.Groups = slices.Clone(p.Groups)
		d.entries = append(d.entries, entry{Person: p, State: notPushed})
		for _, name := range p.Groups {
			d.addTeam(name)
		}
	}
	return d
}

// addTeam adds a group unless it exists.
func (d *directory) addTeam(name string) {
	if slices.ContainsFunc(d.teams, func(t team) bool { return t.Name == name }) {
		return
	}
	d.made++
	d.teams = append(d.teams, team{Name: name, externalID: d.slug + "-group-" + strconv.Itoa(d.made)})
}

func (d *directory) people() []entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := slices.Clone(d.entries)
	for i := range out {
		out[i].Groups = slices.Clone(out[i].Groups)
	}
	return out
}

func (d *directory) person(id string) (entry, bool) {
	for _, e := range d.people() {
		if e.ID == id {
			return e, true
		}
	}
	return entry{}, false
}

func (d *directory) groups() []team {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.teams)
}

func (d *directory) group(name string) (team, bool) {
	for _, t := range d.groups() {
		if t.Name == name {
			return t, true
		}
	}
	return team{}, false
}

// maySignIn reports whether the provider signs a person in.
func (d *directory) maySignIn(id string) bool {
	e, ok := d.person(id)
	if !ok {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.letBarredIn || e.State == active || e.State == notPushed
}

func (d *directory) setLetBarredIn(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.letBarredIn = on
}

// update changes the entry of a person.
func (d *directory) update(id string, change func(*entry)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.entries {
		if d.entries[i].ID == id {
			change(&d.entries[i])
		}
	}
}

func (d *directory) updateTeam(name string, change func(*team)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.teams {
		if d.teams[i].Name == name {
			change(&d.teams[i])
		}
	}
}

// pushPerson creates a person at the gate, or finds them there, and puts
// them into their groups.
func (d *directory) pushPerson(ctx context.Context, e entry) error {
	found, err := d.scim.findUser(ctx, e.Email)
	if err != nil {
		return err
	}
	if found.ID == "" {
		if found.ID, err = d.scim.createUser(ctx, subject(d.slug, e.ID), d.company, e.Person); err != nil {
			return err
		}
	}
	now := active
	if found.Active != nil && !*found.Active {
		now = deactivated
	}
	d.update(e.ID, func(e *entry) { e.State, e.scimID = now, found.ID })
	for _, name := range e.Groups {
		id, err := d.ensureGroup(ctx, name)
		if err != nil {
			return err
		}
		if err := d.scim.addMember(ctx, id, found.ID); err != nil {
			return err
		}
	}
	return nil
}

// ensureGroup gives the gate's id of a group, creating it there when the
// gate does not have it.
func (d *directory) ensureGroup(ctx context.Context, name string) (string, error) {
	t, ok := d.group(name)
	if !ok {
		return "", fmt.Errorf("there is no group %q", name)
	}
	if t.scimID != "" {
		return t.scimID, nil
	}
	found, err := d.scim.findGroup(ctx, name)
	if err != nil {
		return "", err
	}
	if found.ID == "" {
		if found.ID, err = d.scim.createGroup(ctx, t.externalID, name); err != nil {
			return "", err
		}
	}
	d.updateTeam(name, func(t *team) { t.scimID = found.ID })
	return found.ID, nil
}

// setActive deactivates or reactivates. A gate that does not know the person
// any more makes them "not yet pushed".
func (d *directory) setActive(ctx context.Context, e entry, on bool) error {
	err := d.scim.setActive(ctx, e.scimID, on)
	switch {
	case isStatus(err, http.StatusNotFound):
		d.update(e.ID, func(e *entry) { e.State, e.scimID = notPushed, "" })
		return err
	case err != nil:
		return err
	}
	now := deactivated
	if on {
		now = active
	}
	d.update(e.ID, func(e *entry) { e.State = now })
	return nil
}

func (d *directory) remove(ctx context.Context, e entry) error {
	if err := d.scim.deleteUser(ctx, e.scimID); err != nil && !isStatus(err, http.StatusNotFound) {
		return err
	}
	d.update(e.ID, func(e *entry) { e.State, e.scimID = deleted, "" })
	return nil
}

// join puts a person into a group, here and at the gate.
func (d *directory) join(ctx context.Context, e entry, name string) error {
	if _, ok := d.group(name); !ok {
		return fmt.Errorf("there is no group %q", name)
	}
	if e.scimID != "" {
		id, err := d.ensureGroup(ctx, name)
		if err != nil {
			return err
		}
		if err := d.scim.addMember(ctx, id, e.scimID); err != nil {
			return err
		}
	}
	d.update(e.ID, func(e *entry) {
		if !slices.Contains(e.Groups, name) {
			e.Groups = append(e.Groups, name)
		}
	})
	return nil
}

// leave takes a person out of a group, here and at the gate.
func (d *directory) leave(ctx context.Context, e entry, name string) error {
	if t, ok := d.group(name); ok && e.scimID != "" && t.scimID != "" {
		if err := d.scim.removeMember(ctx, t.scimID, e.scimID); err != nil {
			return err
		}
	}
	d.update(e.ID, func(e *entry) {
		e.Groups = slices.DeleteFunc(e.Groups, func(g string) bool { return g == name })
	})
	return nil
}

// move makes a group the person's only one. It joins before it leaves: in
// between, somebody in no group at all would be put out of the portal.
func (d *directory) move(ctx context.Context, e entry, name string) error {
	if err := d.join(ctx, e, name); err != nil {
		return err
	}
	for _, old := range e.Groups {
		if old == name {
			continue
		}
		if err := d.leave(ctx, e, old); err != nil {
			return err
		}
	}
	return nil
}

// checkName judges the name of a new group.
func (d *directory) checkName(name string) error {
	switch {
	case name == "":
		return errors.New("a group needs a name")
	case utf8.RuneCountInString(name) > 100 || strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("a group's name has at most 100 characters and no control characters")
	}
	if _, taken := d.group(name); taken {
		return fmt.Errorf("there is a group %q already", name)
	}
	return nil
}

func (d *directory) createGroup(ctx context.Context, name string) error {
	if err := d.checkName(name); err != nil {
		return err
	}
	d.mu.Lock()
	d.addTeam(name)
	d.mu.Unlock()
	_, err := d.ensureGroup(ctx, name)
	return err
}

// renameGroup changes the name everywhere: in the token's groups from the
// next sign-in, at the gate at once.
func (d *directory) renameGroup(ctx context.Context, from, to string) error {
	if err := d.checkName(to); err != nil {
		return err
	}
	t, ok := d.group(from)
	if !ok {
		return fmt.Errorf("there is no group %q", from)
	}
	if t.scimID != "" {
		if err := d.scim.renameGroup(ctx, t.scimID, to); err != nil {
			return err
		}
	}
	d.updateTeam(from, func(t *team) { t.Name = to })
	for _, e := range d.people() {
		d.update(e.ID, func(e *entry) {
			if i := slices.Index(e.Groups, from); i >= 0 {
				e.Groups[i] = to
			}
		})
	}
	return nil
}

// PushAll pushes every group and every person to the gate, as a directory
// does in its first cycle. What the gate has already is left as it is, so
// PushAll may be called again. It tries everything and joins what went wrong.
func (d *IDP) PushAll(ctx context.Context) error {
	d.dir.changing.Lock()
	defer d.dir.changing.Unlock()
	var errs []error
	for _, t := range d.dir.groups() {
		_, err := d.dir.ensureGroup(ctx, t.Name)
		errs = append(errs, err)
	}
	for _, e := range d.dir.people() {
		if e.State == notPushed {
			errs = append(errs, d.dir.pushPerson(ctx, e))
		}
	}
	return errors.Join(errs...)
}
