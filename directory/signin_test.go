package directory_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestFirstSignInMakesAPersonAndTheNextFindsThem(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		first := r.enter(says("ada"))
		if diff := cmp.Diff([]string{"viewer"}, first.Access.Roles); diff != "" {
			t.Errorf("roles (-want +got):\n%s", diff)
		}
		if first.Person.Provisioned || !first.Person.EmailVerified || first.Person.State() != directory.Active {
			t.Errorf("person = %+v, want an active one who was not pushed, e-mail verified", first.Person)
		}
		changed := says("ada")
		changed.Name = "Ada Other"
		if second := r.enter(changed); second.Person.ID != first.Person.ID || second.Person.Name != "Ada Other" || second.Person.Version != 2 {
			t.Errorf("second sign-in = %+v, want person %s, version 2, with the new name", second.Person, first.Person.ID)
		}
		if got := r.events(); len(got) != 3 || got[0].Action != audit.PersonCreated || got[2].Action != audit.SignIn || got[2].Person != first.Person.ID {
			t.Errorf("events = %+v, want created, sign-in, sign-in", got)
		}
	})
}

func TestUnknownPeopleAreRefusedWhereSCIMProvisions(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := says("ada")
		a.Connection = "strict"
		r.refused(a, fault.Forbidden, "Alpha has not set you up here yet")
		if _, err := r.Provision(t.Context(), scimActor, "strict", record("ada")); err != nil {
			t.Fatal(err)
		}
		if in := r.enter(a); !in.Person.Provisioned {
			t.Errorf("person = %+v, want the pushed one", in.Person)
		}
	})
}

func TestWhoWasNeverPushedIsRefusedOnceSCIMProvisions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		conn := directory.Connection{ID: "alpha", Organization: "Alpha", Provisioning: directory.JIT}
		newRig(t, db, conn).enter(says("ada"))
		conn.Provisioning = directory.SCIM
		r := newRig(t, db, conn)
		r.refused(says("ada"), fault.Forbidden, "Alpha has not set you up here yet")
		p := r.push(record("ada"))
		if in := r.enter(says("ada")); in.Person.ID != p.ID {
			t.Errorf("person = %s, want the pushed %s", in.Person.ID, p.ID)
		}
	})
}

func TestASignInMeetsItsPushedRecord(t *testing.T) {
	for _, tc := range []struct{ link, value string }{
		{"externalId", "x-ada"}, {"userName", "ada@alpha.example"}, {"employeeNumber", "701984"},
	} {
		t.Run(tc.link, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, open func() *store.DB) {
				r := newRig(t, open(), directory.Connection{ID: "alpha", Organization: "Alpha", Provisioning: directory.JIT, Link: tc.link})
				rec := record("ada")
				rec.UserName = "ADA@alpha.example"
				rec.Attributes["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] = map[string]any{"employeeNumber": "701984"}
				p := r.push(rec)
				a := says("ada")
				a.Link = tc.value
				got := r.during(nil, func() {
					if in := r.enter(a); in.Person.ID != p.ID {
						t.Errorf("person = %s, want the pushed %s", in.Person.ID, p.ID)
					}
				})
				r.wants(got, wrote{Actions: []audit.Action{audit.PersonLinked, audit.SignIn}})
				a.Link = "" // once tied, the subject is enough
				if in := r.enter(a); in.Person.ID != p.ID {
					t.Errorf("person = %s, want the pushed %s", in.Person.ID, p.ID)
				}
				second := says("eve")
				second.Link = tc.value
				r.refused(second, fault.Forbidden, "your account is linked to another sign-in of Alpha")
			})
		})
	}
}

func TestNothingCrossesConnections(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		p := r.push(record("ada"))
		in := r.enter(says("ada"))
		other := says("ada")
		other.Connection = "beta"
		other.Email = "ada@beta.example"
		there := r.enter(other)
		if there.Person.ID == p.ID || in.Person.ID != p.ID {
			t.Errorf("the same subject, link value and issuer through another connection is %s, want somebody else than %s", there.Person.ID, p.ID)
		}
		if _, err := r.Person(t.Context(), "beta", p.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("Person through another connection = %v, want not found", err)
		}
		if err := r.Delete(t.Context(), scimActor, "beta", p.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("Delete through another connection = %v, want not found", err)
		}
		if _, err := r.Revise(t.Context(), scimActor, "beta", p.ID, nil); !fault.Is(err, fault.NotFound) {
			t.Errorf("Revise through another connection = %v, want not found", err)
		}
	})
}

func TestEMailIsDataAndNeverALink(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.push(record("ada"))
		eve := says("eve")
		eve.Email, eve.UserName = "ada@alpha.example", "ada@alpha.example"
		if in := r.enter(eve); in.Person.Provisioned {
			t.Errorf("the same e-mail and userName met the pushed %+v", in.Person)
		}
		for _, tc := range []struct {
			email    string
			verified bool
			refused  bool
		}{
			{email: "ada@alpha.example", verified: true},
			{email: "ada@ALPHA.example", verified: true},
			{email: "ada@alpha.example."},
			{email: "ada@elsewhere.example"},
			{email: "ada@evil@alpha.example"},
			{email: `"ada@alpha.example"@evil.example`},
			{email: "ada@аlpha.example"}, // a Cyrillic а
			{email: "@alpha.example"},
			{email: "alpha.example"},
			{email: "ada@alpha.example,eve@alpha.example"},
			{email: "ada@alpha.example "},
			{email: ""},
			{email: "ada@beta.example", refused: true},
			{email: "ada@BETA.example", refused: true},
			{email: "ada@beta.example.", refused: true},
			{email: "ada@beta.example..", refused: true},
			// What somebody may read as an address over there.
			{email: "ada@beta.example ", refused: true},
			{email: "ada@beta.example\u00a0", refused: true},
			{email: " ada@beta.example,bo@alpha.example", refused: true},
			{email: "ada@beta.example;bo@alpha.example", refused: true},
			{email: "ada@beta.example@alpha.example", refused: true},
			{email: "ada@alpha.example@beta.example", refused: true},
			{email: "Ada <ada@beta.example>", refused: true},
			{email: "ada@ beta.example", refused: true},
			{email: "ada@beta.example(x)", refused: true},
			{email: "ada@\u200bbeta.example", refused: true},
			{email: "ada@be\u00adta.example", refused: true},
			{email: "ada＠beta.example", refused: true}, // full width
			{email: "ada@ｂeta。example", refused: true}, // full width
			{email: "ada@BETA.example:25", refused: true},
			{email: "ada%beta.example@alpha.example", verified: true},
		} {
			a := says("bo")
			a.Email = tc.email
			if tc.refused {
				r.refused(a, fault.Forbidden, "the e-mail address that your identity provider sent belongs to another organization")
				continue
			}
			if in := r.enter(a); in.Person.EmailVerified != tc.verified || in.Assertion.EmailVerified != tc.verified {
				t.Errorf("%q: verified = %v, want %v", tc.email, in.Person.EmailVerified, tc.verified)
			}
		}
		unverified := says("bo")
		unverified.EmailVerified = false
		if in := r.enter(unverified); in.Person.EmailVerified {
			t.Error("an address that the identity provider does not vouch for counts as verified")
		}
	})
}

func TestAPushedAddressOfAnotherOrganizationLetsNobodyIn(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		p := r.push(record("ada"))
		s := r.session(r.enter(says("ada")))
		got := r.during(map[string]string{p.ID: "ada"}, func() {
			r.revise(p.ID, func(rec *directory.Record) { rec.Email = "chief@beta.example" })
		})
		r.wants(got, wrote{Actions: []audit.Action{audit.PersonUpdated}, Changes: []string{"ada!"}})
		if alive, _ := r.alive(s); alive {
			t.Error("the session goes on under another organization's address")
		}
		r.refused(says("ada"), fault.Forbidden, "the e-mail address that your identity provider sent belongs to another organization")
		r.revise(p.ID, func(rec *directory.Record) { rec.Email = "ada@alpha.example" })
		r.enter(says("ada"))
		rec := record("cy")
		rec.Email = "cy@beta.example"
		r.push(rec)
		r.refused(says("cy"), fault.Forbidden, "the e-mail address that your identity provider sent belongs to another organization")
	})
}

func TestWhoIsBarredIsToldSo(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		p := r.push(record("ada"))
		r.enter(says("ada"))
		_, err := r.Lock(t.Context(), operator, p.ID, "lost device")
		r.must(err)
		r.refused(says("ada"), fault.Forbidden, "your account is locked")
		r.must(r.Unlock(t.Context(), operator, p.ID, ""))
		r.enter(says("ada"))
		_, err = r.Deactivate(t.Context(), operator, p.ID, "left")
		r.must(err)
		r.refused(says("ada"), fault.Forbidden, "your account is deactivated")
		r.must(r.Reactivate(t.Context(), operator, p.ID, ""))
		r.revise(p.ID, func(rec *directory.Record) { rec.Active = false })
		r.refused(says("ada"), fault.Forbidden, "your account is deactivated")
		r.revise(p.ID, func(rec *directory.Record) { rec.Active = true })
		r.update(func(tx directory.Tx) error {
			return tx.PutOrganization(directory.Organization{Name: "Alpha", Disabled: true}, r.now)
		})
		r.refused(says("ada"), fault.Forbidden, "access for Alpha is frozen")
		r.update(func(tx directory.Tx) error { return tx.PutOrganization(directory.Organization{Name: "Alpha"}, r.now) })
		r.policy = nil
		r.refused(says("ada"), fault.Unavailable, "sign-in is closed: no mapping is in force")
		r.policy = policy()
		r.enter(says("ada"))
	})
}

func TestWhomTheMappingRefusesCanBeExplained(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := says("ada")
		a.Groups = []string{"nobody"}
		_, err := r.signIn(a)
		if !fault.Is(err, fault.Forbidden) {
			t.Fatalf("sign-in = %v, want forbidden", err)
		}
		event := r.events()[len(r.events())-1]
		s, err := r.Look(t.Context(), event.Person)
		r.must(err)
		if diff := cmp.Diff([]string{"nobody"}, s.Assertion.Groups); diff != "" {
			t.Errorf("the facts of the refused sign-in (-want +got):\n%s", diff)
		}
		if _, err := s.Admit(r.policy, r.now); !fault.Is(err, fault.Forbidden) {
			t.Errorf("Admit = %v, want forbidden", err)
		}
	})
}

func TestLastKnownGroupsStandInForMissingOnes(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		short := says("ada")
		short.Groups, short.GroupsIncomplete = nil, true
		if _, err := r.signIn(short); !fault.Is(err, fault.Forbidden) {
			t.Errorf("incomplete with nothing known = %v, want forbidden", err)
		}
		r.enter(says("ada"))
		if in := r.enter(short); len(in.Access.Roles) != 1 {
			t.Errorf("roles = %v, want those of the last complete sign-in", in.Access.Roles)
		}
	})
}

func TestNobodyWithoutANameIsPlaced(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		for _, a := range []directory.Assertion{{Connection: "alpha", Issuer: "i"}, {Connection: "alpha", Subject: "s"}} {
			if _, err := r.signIn(a); !fault.Is(err, fault.Invalid) {
				t.Errorf("sign-in of %+v = %v, want invalid", a, err)
			}
		}
		if _, err := r.signIn(directory.Assertion{Connection: "gamma", Issuer: "i", Subject: "s"}); !fault.Is(err, fault.NotFound) {
			t.Error("unknown connection is not refused")
		}
		bad := says("ada")
		bad.UserName = "a\x00b"
		if _, err := r.signIn(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("a NUL in a name = %v, want invalid", err)
		}
		if got := r.events(); len(got) != 0 {
			t.Errorf("events = %+v, want none", got)
		}
	})
}

func TestTwoFirstSignInsAtOnceMakeOnePerson(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		replicas := []*rig{newRig(t, open()), newRig(t, open())}
		for range 5 {
			subject := "s" + strings.ToLower(t.Name()[len(t.Name())-3:]) + string(rune('a'+len(replicas[0].events())))
			var mu sync.Mutex
			ids := make(map[string]bool)
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					in, err := replicas[i%2].signIn(says(subject))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					ids[in.Person.ID] = true
				})
			}
			wg.Wait()
			if len(ids) != 1 {
				t.Errorf("eight first sign-ins of one person made %d people", len(ids))
			}
		}
	})
}

func TestASignInAndAPushAtOnceMeet(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := newRig(t, open()), newRig(t, open())
		for i := range 20 {
			subject := "s" + string(rune('a'+i))
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := a.signIn(says(subject)); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if _, err := b.Provision(t.Context(), scimActor, "alpha", record(subject)); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			if in := a.enter(says(subject)); !in.Person.Provisioned {
				t.Errorf("round %d: the sign-in and the push that ran at once never met", i)
			}
		}
	})
}

// failing is a store whose transactions break at the last assertion.
type failing struct{ directory.Store }

type failingTx struct{ directory.Tx }

var errAway = fault.New(fault.Unavailable, "the database did not answer")

func (f failing) Update(ctx ctx, do func(directory.Tx) error) error {
	return f.Store.Update(ctx, func(tx directory.Tx) error { return do(failingTx{tx}) })
}

func (failingTx) InsertAssertion(string, directory.Assertion) (string, error) { return "", errAway }

func TestABrokenDatabaseIsNotARefusal(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		d := directory.New(directory.Config{Store: failing{r.db.Directory()}, Policy: policyOf(r), Connections: connections})
		if _, err := d.SignIn(t.Context(), says("ada"), "ref"); !errors.Is(err, errAway) {
			t.Errorf("sign-in = %v, want %v", err, errAway)
		}
		if got := r.events(); len(got) != 0 {
			t.Errorf("half a sign-in was committed: %+v", got)
		}
	})
}

// A rehearsal decides like a sign-in and leaves nothing behind.
func TestRehearsalDecidesAndLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		in, err := r.Rehearse(t.Context(), says("ada"))
		if err != nil || !in.Access.Login || !cmp.Equal(in.Access.Roles, []string{"viewer"}) {
			t.Fatalf("Rehearse = %+v, %v", in.Access, err)
		}
		page, err := r.People(t.Context(), directory.Query{Limit: 10})
		if err != nil || len(page.Items) != 0 || len(r.events()) != 0 {
			t.Errorf("a rehearsal left %d people and %d events (%v)", len(page.Items), len(r.events()), err)
		}
		real := r.enter(says("ada"))
		if diff := cmp.Diff(real.Access, in.Access); diff != "" {
			t.Errorf("the rehearsal decided otherwise (-sign-in +rehearsal):\n%s", diff)
		}
		if _, err := r.Lock(t.Context(), audit.Gate(), real.Person.ID, ""); err != nil {
			t.Fatal(err)
		}
		before := len(r.events())
		in, err = r.Rehearse(t.Context(), says("ada"))
		if !fault.Is(err, fault.Forbidden) || in.Person.ID != real.Person.ID || len(r.events()) != before {
			t.Errorf("Rehearse of a locked person = %s, %v, and %d new events", in.Person.ID, err, len(r.events())-before)
		}
		if e := r.Explain(in.Standing); e == nil || !e.Access.Login {
			t.Errorf("Explain = %+v: the mapping alone would let them in", e)
		}
	})
}

// What is known of whom the mapping refuses comes along for the trace.
func TestARefusalTellsTheTraceWhatWasKnown(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := says("ada")
		a.Groups = nil
		in, err := r.SignIn(t.Context(), a, "REF")
		if !fault.Is(err, fault.Forbidden) || in.Person.ID == "" || in.Standing.Assertion.Subject != a.Subject || in.Access.Login {
			t.Errorf("SignIn = %+v, %v", in, err)
		}
	})
}
