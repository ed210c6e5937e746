package directory_test

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

const rules = `
version: 1
connections:
  alpha: {ceiling: unrestricted}
  strict: {ceiling: unrestricted}
  beta: {ceiling: unrestricted}
roles:
  viewer: {tasks: [view]}
  editor: {tasks: [edit]}
defaults: {noMatch: deny-login, noPermissionGroup: no-data, incompleteGroups: last-known}
rules:
  - {id: staff, match: {connection: alpha, groups: [{id: staff}]}, grant: {roles: [viewer]}}
  - {id: strict, match: {connection: strict, groups: [{id: staff}]}, grant: {roles: [viewer]}}
  - {id: partners, match: {connection: beta, groups: [{id: staff}]}, grant: {roles: [viewer]}}
  - {id: desk, match: {connection: alpha, groups: [{scim: Desk}]}, grant: {roles: [editor]}}
`

// policy compiles the rules once for all tests.
var policy = sync.OnceValue(func() *mapping.Policy {
	p, err := mapping.Load("mapping.yaml", []byte(rules), mapping.Options{})
	if err != nil {
		panic(err)
	}
	return p
})

var connections = []directory.Connection{
	{ID: "alpha", Organization: "Alpha", Domains: []string{"alpha.example"}, Provisioning: directory.JIT},
	{ID: "strict", Organization: "Alpha", Provisioning: directory.SCIM},
	{ID: "beta", Organization: "Beta", Domains: []string{"Beta.example"}, Provisioning: directory.JIT},
}

var (
	scimActor = audit.Actor{Kind: "scim", ID: "t1", Name: "token t1"}
	operator  = audit.Actor{Kind: "operator", ID: "op", Name: "op"}
)

// rig is a directory on a real database, with its own clock.
type rig struct {
	*directory.Directory
	t        testing.TB
	db       *store.DB
	policy   *mapping.Policy
	now      time.Time
	n        int
	recorder *recorder
}

// recorder notes what committed transactions wrote into the trail and for
// other replicas.
type recorder struct {
	directory.Store
	mu     sync.Mutex
	events []audit.Event
	losses []directory.Change
}

type recordingTx struct {
	directory.Tx
	events *[]audit.Event
	losses *[]directory.Change
}

func (r *recorder) Update(ctx context.Context, f func(directory.Tx) error) error {
	return r.record(ctx, r.Store.Update, f)
}

func (r *recorder) UpdateOne(ctx context.Context, f func(directory.Tx) error) error {
	return r.record(ctx, r.Store.UpdateOne, f)
}

func (r *recorder) record(ctx context.Context, update func(context.Context, func(directory.Tx) error) error, f func(directory.Tx) error) error {
	var tx recordingTx
	err := update(ctx, func(inner directory.Tx) error {
		tx = recordingTx{inner, new([]audit.Event), new([]directory.Change)}
		return f(tx)
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events, r.losses = append(r.events, *tx.events...), append(r.losses, *tx.losses...)
	return nil
}

func (t recordingTx) Audit(e audit.Event) error {
	*t.events = append(*t.events, e)
	return t.Tx.Audit(e)
}

func (t recordingTx) Welcome(a directory.Arrival) (bool, error) {
	welcome, err := t.Tx.Welcome(a)
	if welcome {
		*t.events = append(*t.events, a.Event)
	}
	return welcome, err
}

func (t recordingTx) Dismiss(d directory.Departure) (directory.Shown, bool, error) {
	p, gone, err := t.Tx.Dismiss(d)
	if gone {
		d.Event.Subject = p.UserName
		*t.events = append(*t.events, d.Event)
		*t.losses = append(*t.losses, directory.Change{At: d.Event.At, Person: p.ID, Loss: true})
	}
	return p, gone, err
}

func (t recordingTx) AuditEnding(e audit.Event, reason string) error {
	*t.events = append(*t.events, e)
	return t.Tx.AuditEnding(e, reason)
}

func (t recordingTx) Change(c directory.Change) error {
	*t.losses = append(*t.losses, c)
	return t.Tx.Change(c)
}

func newRig(tb testing.TB, db *store.DB, conns ...directory.Connection) *rig {
	tb.Helper()
	if conns == nil {
		conns = connections
	}
	r := &rig{
		t: tb, db: db, policy: policy(), now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		recorder: &recorder{Store: db.Directory()},
	}
	r.Directory = directory.New(directory.Config{
		Store: r.recorder, Policy: func() *mapping.Policy { return r.policy }, Connections: conns,
		Now: func() time.Time { return r.now },
	})
	if err := r.Reconcile(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return r
}

// each runs a test on both databases.
func each(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, open func() *store.DB) { f(t, newRig(t, open())) })
}

// says is what an identity provider says of somebody at a sign-in.
func says(subject string) directory.Assertion {
	return directory.Assertion{
		Connection: "alpha", Issuer: "https://idp.alpha.example", Subject: subject, Link: "x-" + subject,
		UserName: subject + "@alpha.example", Email: subject + "@alpha.example", EmailVerified: true, Name: "Name of " + subject,
		Groups: []string{"staff"},
	}
}

// record is what the same identity provider pushes of them.
func record(subject string) directory.Record {
	return directory.Record{
		UserName: subject + "@alpha.example", ExternalID: "x-" + subject, Name: "Name of " + subject,
		Email: subject + "@alpha.example", Active: true, Attributes: map[string]any{"title": "T"},
	}
}

func (r *rig) signIn(a directory.Assertion) (directory.SignedIn, error) {
	return r.SignIn(r.t.Context(), a, "ref-1")
}

func (r *rig) enter(a directory.Assertion) directory.SignedIn {
	r.t.Helper()
	in, err := r.signIn(a)
	if err != nil {
		r.t.Fatalf("sign-in of %s: %v", a.Subject, err)
	}
	return in
}

// refused checks that a sign-in is refused with some words, and that the
// refusal is in the trail.
func (r *rig) refused(a directory.Assertion, kind fault.Kind, words string) {
	r.t.Helper()
	before := len(r.events())
	_, err := r.signIn(a)
	if fault.KindOf(err) != kind || fault.Message(err) != words {
		r.t.Fatalf("sign-in of %s = %v, want %v %q", a.Subject, err, kind, words)
	}
	last := r.events()[before:]
	if len(last) == 0 || last[len(last)-1].Action != audit.SignInRefused || last[len(last)-1].Reason != fault.ToOthers(err) ||
		last[len(last)-1].Reference != "ref-1" {
		r.t.Fatalf("the refusal is not in the trail: %+v", last)
	}
	if said, _, _ := strings.Cut(last[len(last)-1].Reason, "; they are told"); regexp.MustCompile(`(?i)\byou(r|rs)?\b`).MatchString(said) {
		r.t.Errorf("whoever reads the trail is spoken to as if it were about them: %q", said)
	}
}

func (r *rig) push(rec directory.Record) directory.Person {
	r.t.Helper()
	p, err := r.Provision(r.t.Context(), scimActor, "alpha", rec)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// revise changes a record as a PATCH would.
func (r *rig) revise(id string, edit func(*directory.Record)) directory.Person {
	r.t.Helper()
	p, err := r.Revise(r.t.Context(), scimActor, "alpha", id, func(_ directory.Person, rec directory.Record) (directory.Record, error) {
		edit(&rec)
		return rec, nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return p.Person
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// session begins one for somebody who signed in.
func (r *rig) session(in directory.SignedIn) []byte {
	r.t.Helper()
	r.n++
	hash := []byte{byte(r.n >> 8), byte(r.n), 31: 0}
	r.must(r.db.Sessions().InsertSession(r.t.Context(), r.row(in, hash)))
	return hash
}

// row is a session that may begin for somebody who signed in.
func (r *rig) row(in directory.SignedIn, hash []byte) session.Row {
	r.n++
	return session.Row{
		ID: string(rune('a'+r.n%26)) + time.Duration(r.n).String(), TokenHash: hash, Person: in.Person.ID, AssertionID: in.AssertionID,
		Connection: in.Person.Connection, Created: r.now, LastSeen: r.now, Expires: r.now.Add(time.Hour),
	}
}

// alive reports whether a session is there and has not ended, and of whom.
func (r *rig) alive(hash []byte) (bool, string) {
	r.t.Helper()
	row, _, err := r.db.Sessions().FindSession(r.t.Context(), hash)
	if fault.Is(err, fault.NotFound) {
		return false, ""
	}
	r.must(err)
	return row.Ended.IsZero(), row.Person
}

// events are the whole trail, as the database has it.
func (r *rig) events() []audit.Event {
	r.t.Helper()
	var out []audit.Event
	r.must(r.db.Audit().Walk(r.t.Context(), func(e audit.Event, _ audit.Seal) error { out = append(out, e); return nil }))
	return out
}

// wrote is what a verb leaves behind beside the rows.
type wrote struct {
	Actions []audit.Action
	Changes []string // "person", with "!" when something is lost
}

// during tells what f wrote. Person ids are replaced by the names in who.
func (r *rig) during(who map[string]string, f func()) wrote {
	r.t.Helper()
	events, changes := len(r.recorder.events), len(r.recorder.losses)
	f()
	var w wrote
	for _, e := range r.recorder.events[events:] {
		w.Actions = append(w.Actions, e.Action)
	}
	for _, c := range r.recorder.losses[changes:] {
		name := c.Person
		if given, ok := who[name]; ok {
			name = given
		}
		if c.Loss {
			name += "!"
		}
		w.Changes = append(w.Changes, name)
	}
	slices.Sort(w.Changes)
	return w
}

func (r *rig) wants(got wrote, want wrote) {
	r.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("written (-want +got):\n%s", diff)
	}
}

func (r *rig) update(f func(directory.Tx) error) {
	r.t.Helper()
	r.must(r.db.Directory().Update(context.WithoutCancel(r.t.Context()), f))
}

type ctx = context.Context

func policyOf(r *rig) func() *mapping.Policy { return func() *mapping.Policy { return r.policy } }
