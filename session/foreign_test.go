package session_test

import (
	"context"
	"testing"
	"time"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
)

const foreignWords = "the e-mail address that your identity provider sent belongs to another organization"

// ways are Alpha's connections and Beta's, which have claimed domains.
func ways() []directory.Connection {
	return []directory.Connection{
		{ID: "alpha", Organization: "Alpha", Domains: []string{"alpha.example"}, Provisioning: directory.JIT},
		{ID: "alpha-too", Organization: "Alpha", Domains: []string{"alpha-too.example"}, Provisioning: directory.JIT},
		{ID: "beta", Organization: "Beta", Domains: []string{"beta.example"}, Provisioning: directory.JIT},
	}
}

func (r *replica) connect(connections ...directory.Connection) {
	r.t.Helper()
	must(r.t, r.dir.SetConnections(r.t.Context(), connections))
}

// pushed makes somebody over SCIM who meets the sign-in of the same subject.
func (r *replica) pushed(subject string) directory.Person {
	r.t.Helper()
	p, err := r.dir.Provision(r.t.Context(), scimActor, "alpha", directory.Record{
		UserName: subject, ExternalID: "x-" + subject, Name: subject, Email: subject + "@alpha.example", Active: true,
	})
	must(r.t, err)
	return p
}

func (r *replica) readdress(id, email string) {
	r.t.Helper()
	_, err := r.dir.Revise(r.t.Context(), scimActor, "alpha", id, func(_ directory.Person, rec directory.Record) (directory.Record, error) {
		rec.Email = email
		return rec, nil
	})
	must(r.t, err)
}

// tokenOf makes an API token of somebody.
func (r *replica) tokenOf(id string) string {
	r.t.Helper()
	secret, _, err := r.CreateToken(r.t.Context(), operator, session.APIToken{Person: id, Connection: "alpha", Organization: "Alpha", Scopes: []string{session.AllScopes}}, time.Hour)
	must(r.t, err)
	return secret
}

func TestAnAPITokenDoesNotCarryAnotherOrganizationsAddress(t *testing.T) {
	both(t, func(t *testing.T, a, b *replica) {
		a.connect(ways()...)
		b.connect(ways()...)
		p := a.pushed("eve")
		a.enter("eve")
		secret := a.tokenOf(p.ID)
		who, err := b.VerifyToken(t.Context(), secret)
		must(t, err)
		stream, cancel := b.Watch(t.Context(), who, "192.0.2.7")
		defer cancel()
		a.readdress(p.ID, "ceo@beta.example")
		cut(t, "a push of another organization's address", stream)
		if who, err := b.VerifyToken(t.Context(), secret); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("VerifyToken = %+v, %v, want it refused", who, err)
		}
		// The bar is not an end of the token; and an organization has all of its domains, whichever connection named them.
		a.readdress(p.ID, "eve@alpha-too.example")
		soon(t, "the token good again", func() bool {
			who, err := b.VerifyToken(t.Context(), secret)
			return err == nil && who.Email == "eve@alpha-too.example"
		})
	})
}

func TestNoSessionBeginsUnderAnAddressThatChangedSinceTheSignIn(t *testing.T) {
	both(t, func(t *testing.T, a, b *replica) {
		a.connect(ways()...)
		p := a.pushed("eve")
		in, err := a.dir.SignIn(t.Context(), says("eve"), "ref")
		must(t, err)
		a.readdress(p.ID, "ceo@beta.example")
		if _, who, err := a.Issue(t.Context(), in, session.Client{}, session.Ticket{}); !fault.Is(err, fault.Forbidden) || fault.Message(err) != foreignWords {
			t.Errorf("Issue = %+v, %v, want it refused with %q", who, err, foreignWords)
		}
		rows, err := b.Of(t.Context(), p.ID)
		must(t, err)
		if len(rows) > 0 {
			t.Errorf("%d sessions live on after the refusal", len(rows))
		}
	})
}

// inserting is a real store that calls a test once a session is stored.
type inserting struct {
	session.Store
	then func(person string)
}

func (s inserting) InsertSession(ctx context.Context, r session.Row) error {
	err := s.Store.InsertSession(ctx, r)
	if err == nil {
		s.then(r.Person)
	}
	return err
}

func TestWhoIsDeletedWhileTheirSessionBeginsIsRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		var r *replica
		r = newReplica(t, open(), nil, func(s session.Store) session.Store {
			return inserting{s, func(person string) { must(t, r.dir.Delete(t.Context(), scimActor, "alpha", person)) }}
		})
		r.pushed("eve")
		in, err := r.dir.SignIn(t.Context(), says("eve"), "ref")
		must(t, err)
		if _, who, err := r.Issue(t.Context(), in, session.Client{}, session.Ticket{}); !fault.Is(err, fault.Forbidden) {
			t.Errorf("Issue = %+v, %v, want it refused", who, err)
		}
	})
}

func TestASessionEndsWhereAnotherOrganizationClaimsItsDomain(t *testing.T) {
	both(t, func(t *testing.T, a, b *replica) {
		enter := func(subject, email string) (string, *session.Principal) {
			t.Helper()
			said := says(subject)
			said.Email = email
			in, err := a.dir.SignIn(t.Context(), said, "ref")
			must(t, err)
			token, who, err := a.Issue(t.Context(), in, session.Client{}, session.Ticket{})
			must(t, err)
			return token, who
		}
		theirs, eve := enter("eve", "ceo@beta.example")
		secret := a.tokenOf(eve.PersonID)
		own, _ := enter("ada", "ada@alpha.example")
		too, _ := enter("bo", "bo@alpha-too.example")
		stream, ownStream, tooStream := b.watch(theirs), b.watch(own), b.watch(too)
		_, err := b.VerifyToken(t.Context(), secret)
		must(t, err)

		b.connect(ways()...)
		cut(t, "a claim of their domain", stream)
		b.refused(theirs, fault.Unauthenticated, "you were signed out: "+foreignWords)
		soon(t, "the API token refused", func() bool {
			_, err := b.VerifyToken(t.Context(), secret)
			return fault.Is(err, fault.Unauthenticated)
		})
		a.connect(ways()...)
		for _, token := range []string{own, too} {
			for _, r := range []*replica{a, b} {
				if _, err := r.Verify(t.Context(), token); err != nil {
					t.Errorf("Verify of whose organization claimed the domain = %v", err)
				}
			}
		}
		if ownStream.Err() != nil || tooStream.Err() != nil {
			t.Error("the stream of somebody whose organization claimed their domain was cut")
		}
	})
}

func TestAnAddressThatIsReadInTwoWaysIsNotPassedOn(t *testing.T) {
	both(t, func(t *testing.T, a, _ *replica) {
		a.connect(ways()...)
		p := a.pushed("eve")
		token, _ := a.enter("eve")
		secret := a.tokenOf(p.ID)
		for _, email := range []string{"ceo@(x)beta.example", "ceo@beta. example", "ceo@beta.(x)example", "eve@alpha.example."} {
			a.readdress(p.ID, email)
			soon(t, "no address in place of "+email, func() bool {
				who, err := a.Verify(t.Context(), token)
				must(t, err)
				program, err := a.VerifyToken(t.Context(), secret)
				must(t, err)
				return who.Email == "" && program.Email == ""
			})
			a.readdress(p.ID, "eve@alpha.example")
			soon(t, "the address passed on", func() bool {
				who, err := a.Verify(t.Context(), token)
				must(t, err)
				return who.Email == "eve@alpha.example"
			})
		}
	})
}

func TestAServicesTokenMovesWithItsConnection(t *testing.T) {
	both(t, func(t *testing.T, a, b *replica) {
		secret, made, err := a.CreateToken(t.Context(), operator, session.APIToken{
			Service: "etl", Connection: "alpha", Organization: "Alpha", Groups: []string{"staff"}, Scopes: []string{session.AllScopes},
		}, time.Hour)
		must(t, err)
		_, err = b.VerifyToken(t.Context(), secret)
		must(t, err)
		a.connect(directory.Connection{ID: "alpha", Organization: "Omega", Provisioning: directory.JIT})
		soon(t, "the token of Omega", func() bool {
			who, err := b.VerifyToken(t.Context(), secret)
			must(t, err)
			return who.Organization == "Omega"
		})
		listed, err := b.Tokens(t.Context(), session.TokenQuery{ID: made.ID})
		must(t, err)
		if len(listed) != 1 || listed[0].Organization != "Omega" {
			t.Errorf("Tokens = %+v, want one of Omega", listed)
		}
		_, err = a.dir.Freeze(t.Context(), operator, "Omega", "broken into")
		must(t, err)
		soon(t, "the frozen organization's token refused", func() bool {
			_, err := b.VerifyToken(t.Context(), secret)
			return fault.Is(err, fault.Unauthenticated)
		})
	})
}
