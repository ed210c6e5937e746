package admin

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
)

// readRow reads "account=ABC0001, country=US".
func readRow(text string) (map[string]string, error) {
	row := make(map[string]string)
	if len(text) > 10*maxText {
		return nil, fault.New(fault.Invalid, "row: want at most %d bytes", 10*maxText)
	}
	for part := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" {
			return nil, fault.New(fault.Invalid, "row: want attribute=value, attribute=value")
		}
		if _, twice := row[name]; twice {
			return nil, fault.New(fault.Invalid, "row: %s stands there twice", clip(name))
		}
		row[name] = value
	}
	return row, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// readMoment reads a time, a minute as a browser sends it, or a day, which
// stands for its beginning; all in UTC where no zone is given.
func readMoment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02T15:04:05", time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil && at.Year() > 1970 {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fault.New(fault.Invalid, "at: want a time like 2026-01-31T15:04:05Z, or a day like 2026-01-31, which begins at 00:00 UTC")
}

// ruling is the mapping that was in force at a time, and who made it so.
type ruling struct {
	Revision int64     `json:"revision,omitempty"`
	Hash     string    `json:"hash"`
	Since    time.Time `json:"since"`
	Way      string    `json:"way,omitempty"` // file, apply or rollback
	By       string    `json:"by,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Approver string    `json:"approvedBy,omitempty"`
	File     string    `json:"file,omitempty"` // that is in force, where a file leads

	policy *mapping.Policy
}

// ruled finds the mapping of a time; the zero time means what is in force here.
// An inquiry may name another environment than the gate's to read it in.
func (c *Console) ruled(r *request, at time.Time) (*ruling, error) {
	if at.After(c.now()) {
		return nil, fault.New(fault.Invalid, "at: that time is still to come")
	}
	when, status := at, c.keeper.Status()
	if at.IsZero() {
		when = c.now()
	}
	out := &ruling{Hash: status.Hash, Since: status.Since, policy: c.keeper.Policy()}
	if at.IsZero() && !status.Managed && out.policy != nil {
		if files := out.policy.Files(); len(files) > 0 {
			out.File = filepath.Base(files[0].Name)
		}
	}
	rev, a, err := c.ledger.At(r.ctx, when)
	switch {
	case err == nil && (!at.IsZero() || rev.Hash == status.Hash):
		out.Revision, out.Hash, out.Since, out.Way, out.By, out.Reason = rev.Number, rev.Hash, a.At, string(a.Way), a.By.Name, a.Reason
	case fault.Is(err, fault.NotFound) && at.IsZero(), err == nil:
	default:
		return nil, err
	}
	if !at.IsZero() {
		if revision.Hash(rev.Texts) != rev.Hash {
			return nil, fault.New(fault.Internal, "revision %d was altered in the database: its hash is not %.12s", rev.Number, rev.Hash)
		}
		// It is not held against the connections of today: those of then are not known.
		if out.policy, err = revision.Compile(rev.Texts, mapping.Options{Environment: cmp.Or(r.inquiry.Environment, c.environment)}); err != nil {
			return nil, said(err)
		}
	}
	if out.policy == nil {
		return nil, fault.New(fault.Unavailable, "no mapping is in force")
	}
	if env := r.inquiry.Environment; at.IsZero() && env != "" && env != out.policy.Environment() {
		if rev.Hash != status.Hash { // another one is on its way
			if rev, _, err = c.ledger.Show(r.ctx, status.Hash); err != nil {
				return nil, err
			}
		}
		if out.policy, err = revision.Compile(rev.Texts, c.options(r, true)); err != nil {
			return nil, err
		}
	}
	if a.Seq > 0 {
		out.Approver, err = c.approver(r, a)
	}
	return out, err
}

// approver finds in the trail who approved what came into force. Its event is
// written in the same transaction, a moment after the application.
func (c *Console) approver(r *request, a revision.Application) (string, error) {
	for _, action := range []audit.Action{audit.MappingApplied, audit.MappingRolledBack} {
		events, err := c.store.Events(r.ctx, EventQuery{Action: string(action), From: a.At, To: a.At.Add(time.Minute), Limit: pageSize})
		if err != nil {
			return "", err
		}
		for _, e := range slices.Backward(events) {
			if e.Connection == a.Fragment && (a.Fragment != "" || e.Detail["revision"] == a.Hash) {
				return e.Detail["approved_by"], nil
			}
		}
	}
	return "", nil
}

// question is what the access history is asked.
type question struct {
	Task  string `json:"task,omitempty"`
	Role  string `json:"role,omitempty"`
	Group string `json:"group,omitempty"`
	Row   string `json:"row,omitempty"`
	At    string `json:"at,omitempty"`
}

// Address is the question in a URL.
func (q question) Address() string {
	v := make([]string, 0, 5)
	for _, f := range [][2]string{{"task", q.Task}, {"role", q.Role}, {"group", q.Group}, {"row", q.Row}, {"at", q.At}} {
		if f[1] != "" {
			v = append(v, f[0]+"="+url.QueryEscape(f[1]))
		}
	}
	return "?" + strings.Join(v, "&")
}

// heldJSON is somebody who had what was asked for.
type heldJSON struct {
	Person   personJSON  `json:"person"`
	Roles    []string    `json:"roles"`
	Rules    []string    `json:"rules"`
	Tasks    []string    `json:"tasks"`
	Only     []string    `json:"onlyIf"`
	Data     []shownJSON `json:"data"`
	SignedIn *time.Time  `json:"signedIn"` // when the facts of the sign-in were received
}

type shownJSON struct {
	PermissionGroup string   `json:"permissionGroup"`
	Parameters      string   `json:"parameters,omitempty"`
	Rules           []string `json:"rules"`
	Only            string   `json:"onlyIf,omitempty"`
}

func heldWire(h *Holder) heldJSON {
	w := heldJSON{
		Person: personWire(&h.Standing.Person), Roles: list(h.Access.Roles), Tasks: list(h.Access.Tasks), Rules: list(h.Rules), Only: list(h.Only), Data: []shownJSON{},
		SignedIn: optional(h.Standing.Assertion.Received),
	}
	for _, d := range h.Data {
		w.Data = append(w.Data, shownJSON{d.PermissionGroup, d.Parameters, list(d.Rules), d.Only})
	}
	return w
}

type accessView struct {
	Question question   `json:"question"`
	At       time.Time  `json:"at"`
	Mapping  *ruling    `json:"mapping"` // null while nothing is asked
	Count    int        `json:"count"`
	People   []heldJSON `json:"people"`
	More     int        `json:"more"`           // people who are not listed; the CSV file has all, and so have pages
	Next     int64      `json:"next,omitempty"` // what "after" is to be for the next page, where pages are asked for

	Asked  bool     `json:"-"`
	Past   bool     `json:"-"`
	Tasks  []string `json:"-"`
	Roles  []string `json:"-"`
	Groups []string `json:"-"`
	Master []string `json:"-"` // attributes
	Why    bool     `json:"-"` // whether the visitor may see why
}

var errNothingWanted = fault.New(fault.Invalid, "want one of task, role, group and row")

// asked reads what the access history is asked.
func (c *Console) asked(r *request) (q question, w Wanted, at time.Time, err error) {
	q = question{r.query("task"), r.query("role"), r.query("group"), strings.TrimSpace(r.query("row")), r.query("at")}
	w = Wanted{Task: q.Task, Role: q.Role, Group: q.Group}
	if w.Row, err = readRow(q.Row); err == nil {
		at, err = readMoment(q.At)
	}
	return q, w, at, err
}

// holders goes through whoever had what is wanted, of those whom the visitor
// may see.
func (c *Console) holders(r *request, m *ruling, w Wanted, at time.Time, f func(Holder) error) error {
	if err := w.Known(m.policy); err != nil {
		return err
	}
	evaluated, walk := at, c.directory.Standings
	if at.IsZero() {
		all, err := c.crowds.get(r.ctx)
		if err != nil {
			return err
		}
		evaluated = all.at
		if all.paged == nil {
			walk = all.walk(c.directory, m.policy, w)
		}
	}
	return Who(r.ctx, walk, m.policy, w, at, evaluated, func(h Holder) error {
		if !r.holds(h.Standing.Person.Organization, h.Standing.Unit) {
			return nil
		}
		return f(h)
	})
}

// access answers who could do or see something at a time, why, and who made it
// so.
func (c *Console) access(r *request) (any, error) {
	q, w, at, err := c.asked(r)
	if err != nil {
		return nil, err
	}
	v := &accessView{Question: q, At: at, People: []heldJSON{}, Past: !at.IsZero(), Why: r.may(mapping.GateUsersView)}
	if p := c.keeper.Policy(); p != nil {
		v.Tasks, v.Groups = p.Tasks(), p.PermissionGroups()
		for _, role := range p.Roles() {
			v.Roles = append(v.Roles, role.Name)
		}
		for _, a := range p.Attributes() {
			v.Master = append(v.Master, a.Name)
		}
	}
	if at.IsZero() {
		v.At = c.now()
	}
	if w.Empty() {
		if r.inAPI {
			return nil, errNothingWanted
		}
		return v, nil
	}
	v.Asked = true
	if v.Mapping, err = c.ruled(r, at); err != nil {
		return nil, err
	}
	if from := r.query("after"); r.inAPI && from != "" {
		return v, c.accessPage(r, v, w, at, from)
	}
	err = c.holders(r, v.Mapping, w, at, func(h Holder) error {
		if v.Count++; len(v.People) < maxNamed {
			v.People = append(v.People, heldWire(&h))
		}
		return nil
	})
	if v.More = v.Count - len(v.People); err != nil {
		return v, err
	}
	return v, c.nameHeld(r, v.People)
}

// nameHeld is nameUnits for those who held something.
func (c *Console) nameHeld(r *request, held []heldJSON) error {
	people := make([]personJSON, len(held))
	for i := range held {
		people[i] = held[i].Person
	}
	err := c.nameUnits(r, people)
	for i := range held {
		held[i].Person = people[i]
	}
	return err
}

// accessCSV is the whole answer for auditors.
func (c *Console) accessCSV(r *request) (any, error) {
	_, w, at, err := c.asked(r)
	if err != nil {
		return nil, err
	}
	if w.Empty() {
		return nil, errNothingWanted
	}
	m, err := c.ruled(r, at)
	if err != nil {
		return nil, err
	}
	if err := w.Known(m.policy); err != nil {
		return nil, err
	}
	shown := at
	if at.IsZero() {
		shown = c.now()
	}
	return file(func(out io.Writer) error {
		s := newCSV(r.gin.Writer, out, "access.csv", "at", "id", "name", "userName", "email", "organization", "connection", "roles", "rules",
			"permissionGroups", "onlyIf", "signedIn", "revision", "revisionHash", "inForceSince", "way", "by", "approvedBy")
		number := strconv.FormatInt(m.Revision, 10)
		err := c.holders(r, m, w, at, func(h Holder) error {
			p, x := &h.Standing.Person, heldWire(&h)
			var groups []string
			for _, d := range x.Data {
				groups = append(groups, strings.TrimSpace(d.PermissionGroup+" "+d.Parameters+" ← "+strings.Join(d.Rules, ", ")))
			}
			signed := ""
			if x.SignedIn != nil {
				signed = x.SignedIn.Format(time.RFC3339)
			}
			s.row(shown.Format(time.RFC3339), p.ID, p.Name, p.UserName, p.Email, p.Organization, p.Connection, strings.Join(x.Roles, ", "),
				strings.Join(x.Rules, ", "), strings.Join(groups, "; "), strings.Join(x.Only, " or "), signed, number, m.Hash,
				m.Since.Format(time.RFC3339), m.Way, m.By, m.Approver)
			return nil
		})
		return errors.Join(err, s.flush())
	}), nil
}
