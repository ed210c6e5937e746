package session_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

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
connections: {alpha: {ceiling: unrestricted}}
roles: {viewer: {tasks: [view]}, editor: {tasks: [edit]}}
defaults: {noMatch: deny-login, noPermissionGroup: no-data, incompleteGroups: deny-login}
rules:
  - {id: staff, match: {connection: alpha, groups: [{id: staff}]}, grant: {roles: [viewer]}}
  - {id: desk, match: {connection: alpha, groups: [{scim: Desk}]}, grant: {roles: [editor]}}
`

func policyOf(tb testing.TB, text string) *mapping.Policy {
	tb.Helper()
	p, err := mapping.Load("mapping.yaml", []byte(text), mapping.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// plain seals nothing: what is sealed is package keys' to show.
type plain struct{}

func (plain) Seal(_ string, b []byte) ([]byte, error) { return append([]byte("sealed "), b...), nil }
func (plain) Open(_ string, b []byte) ([]byte, error) { return b[len("sealed "):], nil }

var (
	operator  = audit.Actor{Kind: "operator", ID: "op", Name: "op"}
	scimActor = audit.Actor{Kind: "scim", ID: "t1"}
)

// replica is one gate's directory and manager over a database.
type replica struct {
	*session.Manager
	t      testing.TB
	dir    *directory.Directory
	db     *store.DB
	mu     sync.Mutex
	policy *mapping.Policy
	stop   func() // ends Run and waits for it
}

// newReplica starts a gate. wrap may put something between it and its store.
func newReplica(tb testing.TB, db *store.DB, now func() time.Time, wrap func(session.Store) session.Store) *replica {
	tb.Helper()
	r := &replica{t: tb, db: db, policy: policyOf(tb, rules)}
	current := func() *mapping.Policy {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.policy
	}
	r.dir = directory.New(directory.Config{
		Store: db.Directory(), Policy: current, Now: now,
		Connections: []directory.Connection{{ID: "alpha", Organization: "Alpha", Provisioning: directory.JIT}},
	})
	if err := r.dir.Reconcile(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	s := db.Sessions()
	if wrap != nil {
		s = wrap(s)
	}
	r.Manager = session.New(session.Config{Store: s, Sealer: plain{}, Policy: current, Foreign: r.dir.Foreign, Now: now})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			tb.Error(err)
		}
	}()
	r.stop = func() { cancel(); <-done }
	tb.Cleanup(r.stop)
	return r
}

// both runs a test with two replicas on each database.
func both(t *testing.T, f func(t *testing.T, a, b *replica)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		f(t, newReplica(t, open(), nil, nil), newReplica(t, open(), nil, nil))
	})
}

func says(subject string) directory.Assertion {
	return directory.Assertion{
		Connection: "alpha", Issuer: "https://idp.example", Subject: subject, Link: "x-" + subject, UserName: subject, Name: subject,
		Groups: []string{"staff"},
	}
}

// enter signs somebody in and issues a session.
func (r *replica) enter(subject string) (token string, p *session.Principal) {
	r.t.Helper()
	in, err := r.dir.SignIn(r.t.Context(), says(subject), "ref")
	if err != nil {
		r.t.Fatal(err)
	}
	token, p, err = r.Issue(r.t.Context(), in, session.Client{Address: "192.0.2.1", UserAgent: "UA"}, session.Ticket{IDToken: "id token of " + subject})
	if err != nil {
		r.t.Fatal(err)
	}
	return token, p
}

// watch opens a stream.
func (r *replica) watch(token string) context.Context {
	r.t.Helper()
	p, err := r.Verify(r.t.Context(), token)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := r.Watch(r.t.Context(), p, "192.0.2.7")
	r.t.Cleanup(cancel)
	if ctx.Err() != nil {
		r.t.Fatal("the stream of a good session ended at once")
	}
	return ctx
}

// refused checks that a token is no good, with some words.
func (r *replica) refused(token string, kind fault.Kind, words string) {
	r.t.Helper()
	if _, err := r.Verify(r.t.Context(), token); fault.KindOf(err) != kind || fault.Message(err) != words {
		r.t.Errorf("Verify = %v, want %v %q", err, kind, words)
	}
}

// soon polls until something holds. The law is a second; the machine may be slow.
func soon(tb testing.TB, what string, f func() bool) {
	tb.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline.C:
			tb.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

// cut waits for a stream to be cut.
func cut(tb testing.TB, what string, ctx context.Context) { //nolint:revive // the test comes first
	tb.Helper()
	soon(tb, "stream cut after "+what, func() bool { return ctx.Err() != nil })
	if cause := context.Cause(ctx); cause != session.ErrEnded { //nolint:errorlint // the very cause
		tb.Errorf("after %s the cause is %v, want %v", what, cause, session.ErrEnded)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
