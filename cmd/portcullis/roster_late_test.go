package main

import (
	"path/filepath"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
)

// plainSealer keeps nothing secret.
type plainSealer struct{}

func (plainSealer) Seal(_ string, b []byte) ([]byte, error) { return b, nil }
func (plainSealer) Open(_ string, b []byte) ([]byte, error) { return b, nil }

// omegaRooms are where sessions at the connection omega come from.
type omegaRooms struct {
	people   *directory.Directory
	sessions *session.Manager
}

func newOmegaRooms(t *testing.T, db *store.DB) omegaRooms {
	t.Helper()
	p, err := mapping.Load("mapping.yaml", []byte(`version: 1
connections: {omega: {ceiling: unrestricted}}
roles: {viewer: {tasks: [view]}}
defaults: {noMatch: deny-login, noPermissionGroup: no-data, incompleteGroups: deny-login}
rules:
  - {id: staff, match: {connection: omega, groups: [{id: staff}]}, grant: {roles: [viewer]}}
`), mapping.Options{})
	if err != nil {
		t.Fatal(err)
	}
	policy := func() *mapping.Policy { return p }
	people := directory.New(directory.Config{
		Store: db.Directory(), Policy: policy, Connections: []directory.Connection{{ID: "omega", Organization: "Omega", Provisioning: directory.JIT}},
	})
	r := omegaRooms{
		people:   people,
		sessions: session.New(session.Config{Store: db.Sessions(), Sealer: plainSealer{}, Policy: policy, Foreign: people.Foreign}),
	}
	if err := r.people.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// entered is the session of somebody and an API token of theirs.
type entered struct{ session, token string }

// verified lets a person of an issuer in, up to their session, which enter
// begins.
func (r omegaRooms) verified(t *testing.T, issuer, subject string) (enter func() entered) {
	t.Helper()
	in, err := r.people.SignIn(t.Context(), directory.Assertion{Connection: "omega", Issuer: issuer, Subject: subject, Groups: []string{"staff"}}, "ref")
	if err != nil {
		t.Fatal(err)
	}
	return func() (e entered) {
		t.Helper()
		var err error
		e.session, _, err = r.sessions.Issue(t.Context(), in, session.Client{}, session.Ticket{Issuer: issuer, Subject: subject})
		if err != nil {
			t.Fatal(err)
		}
		e.token, _, err = r.sessions.CreateToken(t.Context(), audit.Gate(), session.APIToken{
			Person: in.Person.ID, Connection: "omega", Organization: "Omega", Scopes: []string{session.AllScopes},
		}, 0)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
}

// alive reports whether both are good; one of the two is a fault.
func (r omegaRooms) alive(t *testing.T, e entered) bool {
	t.Helper()
	_, here := r.sessions.Verify(t.Context(), e.session)
	_, program := r.sessions.VerifyToken(t.Context(), e.token)
	if (here == nil) != (program == nil) {
		t.Errorf("the session: %v, the API token: %v", here, program)
	}
	return here == nil
}

// Whoever was under way at a provider while the connection was given another
// one, or was removed, and arrives after the sessions were ended, has none a
// minute later. Whom the new provider let in meanwhile stays.
func TestWhoArrivesByTheProviderOfBeforeGoesToo(t *testing.T) {
	const before, after = "https://broken.example", "https://new.example"
	for _, tc := range []struct {
		name    string
		removed bool
	}{{"another provider", false}, {"removed", true}} {
		storetest.Each(t, func(t *testing.T, open func() *store.DB) {
			db, keyFile := open(), filepath.Join(t.TempDir(), "gate.key")
			r, replica, now := rosterOver(t, db, keyFile), rosterOver(t, db, keyFile), time.Now()
			r.now = func() time.Time { return now }
			replica.now = r.now
			_, err := r.Save(t.Context(), audit.Gate(), admin.Draft{
				ID: "omega", Organization: "Omega", Protocol: admin.OverOIDC, Provisioning: "jit", Issuer: before, ClientID: "gate", ClientSecret: "s",
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := replica.follow(t.Context()); err != nil {
				t.Fatal(err)
			}
			rooms := newOmegaRooms(t, db)
			inTime, late := rooms.verified(t, before, "ann")(), rooms.verified(t, before, "mallory")

			if tc.removed {
				_, err = r.Remove(t.Context(), audit.Gate(), "omega", "broken into")
			} else {
				next, failed := r.Draft("omega")
				if failed != nil {
					t.Fatal(failed)
				}
				next.Issuer, next.ClientSecret = after, "t"
				_, err = r.Save(t.Context(), audit.Gate(), next)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := replica.follow(t.Context()); err != nil {
				t.Fatal(err)
			}
			straggler, stays := late(), entered{}
			if !tc.removed {
				stays = rooms.verified(t, after, "ben")()
			}
			if rooms.alive(t, inTime) || !rooms.alive(t, straggler) {
				t.Fatalf("%s: who was there: %t, who came late: %t", tc.name, rooms.alive(t, inTime), rooms.alive(t, straggler))
			}
			now = now.Add(straggling)
			for _, gate := range []*roster{r, replica} {
				if err := gate.follow(t.Context()); err != nil || len(gate.late) != 0 {
					t.Fatalf("%v, late = %v", err, gate.late)
				}
			}
			if rooms.alive(t, straggler) {
				t.Errorf("%s: a session by %s lives on", tc.name, before)
			}
			if !tc.removed && !rooms.alive(t, stays) {
				t.Errorf("%s: a session by %s was ended", tc.name, after)
			}
		})
	}
}

// Where the two providers cannot be told apart, as where both call themselves
// the same, everybody signs in once more.
func TestWhoArrivesByAProviderOfTheSameNameGoesToo(t *testing.T) {
	db := storetest.SQLite(t)
	r := rosterOver(t, db, filepath.Join(t.TempDir(), "gate.key"))
	const issuer = "https://idp.example"
	_, err := r.Save(t.Context(), audit.Gate(), admin.Draft{
		ID: "omega", Organization: "Omega", Protocol: admin.OverOIDC, Provisioning: "jit", Issuer: issuer, ClientID: "gate", ClientSecret: "s",
	})
	if err != nil {
		t.Fatal(err)
	}
	rooms := newOmegaRooms(t, db)
	for before, stays := range map[string]bool{issuer: false, "": false, "https://old.example": true} {
		token := rooms.verified(t, issuer, "ann")()
		if err := r.gather(t.Context(), straggler{id: "omega", replaced: true, before: before}); err != nil {
			t.Fatal(err)
		}
		if rooms.alive(t, token) != stays {
			t.Errorf("the provider of before called itself %q: the session lives: %t, want %t", before, !stays, stays)
		}
	}
}
