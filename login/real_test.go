package login_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/keys"
	"portcullis/login"
	"portcullis/mapping"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
)

const realMapping = `version: 1
connections: {acme: {ceiling: unrestricted}, beta: {ceiling: {roles: [viewer]}}}
roles: {viewer: {tasks: [report.view]}, editor: {tasks: [report.edit]}}
rules:
  - {id: readers, match: {connection: acme, groups: [{id: g-1}]}, grant: {roles: [viewer]}}
  - {id: editors, match: {connection: acme, groups: [{id: g-2}]}, grant: {roles: [editor]}}
`

// rooms are the real ones around the flow, over one database.
type rooms struct {
	db       *store.DB
	ring     *keys.Ring
	people   *directory.Directory
	sessions *session.Manager
}

func newRooms(t *testing.T) *rooms {
	t.Helper()
	return openRooms(t, storetest.SQLiteURL(t), filepath.Join(t.TempDir(), "gate.key"))
}

func openRooms(t *testing.T, databaseURL, keyFile string) *rooms {
	t.Helper()
	ctx, r := t.Context(), &rooms{}
	var err error
	if r.db, err = store.Open(ctx, store.Config{URL: databaseURL}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.db.Close() })
	if r.ring, err = keys.Open(ctx, keys.Config{Store: r.db.Keys(), File: keyFile, Create: true}); err != nil {
		t.Fatal(err)
	}
	policy, err := mapping.Load("mapping.yaml", []byte(realMapping), mapping.Options{})
	if err != nil {
		t.Fatal(err)
	}
	current := func() *mapping.Policy { return policy }
	r.people = directory.New(directory.Config{Store: r.db.Directory(), Policy: current, Connections: []directory.Connection{
		{ID: "acme", Organization: "ACME", Domains: []string{"acme.example"}, Provisioning: directory.JIT},
		{ID: "beta", Organization: "BETA", Domains: []string{"beta.example"}, Provisioning: directory.SCIM},
	}})
	if err := r.people.Reconcile(ctx); err != nil {
		t.Fatal(err)
	}
	r.sessions = session.New(session.Config{Store: r.db.Sessions(), Sealer: r.ring, Policy: current, Foreign: r.people.Foreign})
	return r
}

// use puts the rooms into the configuration of a gate.
func (r *rooms) use(c *login.Config) {
	c.Directory, c.Sessions, c.Store = r.people, r.sessions, r.db.Login()
}

// TestSignInOverTheRealRooms drives the flow over the database, the mapping,
// the directory, the sessions and the keys.
func TestSignInOverTheRealRooms(t *testing.T) {
	ctx, r := t.Context(), newRooms(t)
	sessions := r.sessions

	acme, beta := newIDP(t), newIDP(t)
	beta.person["email"] = "alice@beta.example"
	g := newGate(t, r.use, acme, beta)
	b := newBrowser(t)

	back := b.authorize(g, "/.portcullis/sign-in/acme?return_to=/deep")
	answer := b.get(back)
	if answer.Header.Get("Location") != "/deep" {
		t.Fatalf("callback: %d\n%s\n%s", answer.StatusCode, answer.body, g.log.String())
	}
	first := b.cookies(g)["portcullis"]
	p, err := sessions.Verify(ctx, first)
	if err != nil {
		t.Fatal(err)
	}
	if p.Connection != "acme" || p.Subject != "alice-1" || p.Email != "alice@acme.example" || !slices.Equal(p.Access.Roles, []string{"editor", "viewer"}) {
		t.Errorf("principal = %+v", p)
	}
	if again := b.get(back); again.StatusCode != http.StatusBadRequest {
		t.Errorf("the same answer again: %d", again.StatusCode)
	}

	// The mapping lets nobody in who is in no group; the session stays.
	acme.person["groups"] = []string{"other"}
	if answer := b.signIn(g, "/.portcullis/sign-in/acme"); answer.StatusCode != http.StatusForbidden {
		t.Errorf("without a group: %d\n%s", answer.StatusCode, answer.body)
	}
	// Nobody was pushed at the other connection, whatever the e-mail says.
	if answer := b.signIn(g, "/.portcullis/sign-in/beta"); answer.StatusCode != http.StatusForbidden {
		t.Errorf("at a connection of pushed people: %d\n%s", answer.StatusCode, answer.body)
	}

	acme.person["groups"] = []string{"g-1"}
	b.mustSignIn(g)
	second := b.cookies(g)["portcullis"]
	if _, err := sessions.Verify(ctx, first); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the old session: %v", err)
	}
	p, err = sessions.Verify(ctx, second)
	if err != nil || !slices.Equal(p.Access.Roles, []string{"viewer"}) {
		t.Fatalf("the new session: %+v, %v", p, err)
	}

	out := b.do(http.MethodPost, g.public.String()+"/.portcullis/sign-out", nil, "Sec-Fetch-Site", "same-origin")
	b.get(out.location(t))
	if len(acme.ended) != 1 || strings.Count(acme.ended[0].Get("id_token_hint"), ".") != 2 {
		t.Errorf("end session requests = %v", acme.ended)
	}
	if _, err := sessions.Verify(ctx, second); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("after sign-out: %v", err)
	}
}
