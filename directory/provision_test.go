package directory_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestAPersonWhoSignedInKeepsSessionsWhenPushed(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		in := r.enter(says("ada"))
		s := r.session(in)
		var p directory.Person
		got := r.during(map[string]string{in.Person.ID: "before"}, func() { p = r.push(record("ada")) })
		if alive, person := r.alive(s); !alive || person != p.ID {
			t.Errorf("session: alive %v of %s, want alive of the pushed %s", alive, person, p.ID)
		}
		if len(got.Changes) != 2 || cmp.Diff([]audit.Action{audit.PersonCreated, audit.PersonLinked}, got.Actions) != "" {
			t.Errorf("written %+v, want created and linked, and both people forgotten", got)
		}
		if again := r.enter(says("ada")); again.Person.ID != p.ID {
			t.Errorf("next sign-in is %s, want the pushed %s", again.Person.ID, p.ID)
		}
		if _, err := r.Look(t.Context(), in.Person.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("who was absorbed = %v, want not found", err)
		}
		if again, err := r.Look(t.Context(), p.ID); err != nil || again.Person.LastActive.IsZero() {
			t.Errorf("person = %+v, %v: last active is gone", again.Person, err)
		}
	})
}

func TestAnInactivePushEndsTheSessionsThatItMeets(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		s := r.session(r.enter(says("ada")))
		rec := record("ada")
		rec.Active = false
		r.push(rec)
		if alive, _ := r.alive(s); alive {
			t.Error("the session survived a push with active: false")
		}
		r.refused(says("ada"), fault.Forbidden, "your account is deactivated")
	})
}

func TestBarsAreCarriedAndNotLifted(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ada := r.enter(says("ada")).Person
		_, err := r.Lock(t.Context(), operator, ada.ID, "lost device")
		r.must(err)
		p := r.push(record("ada"))
		if p.State() != directory.Locked {
			t.Errorf("Provision gave state %s, want locked", p.State())
		}
		r.refused(says("ada"), fault.Forbidden, "your account is locked")

		// The pushed record has a bar of its own; the one who signed in has the other.
		rec := record("ben")
		rec.ExternalID = ""
		ben := r.push(rec)
		_, err = r.Lock(t.Context(), operator, ben.ID, "lock")
		r.must(err)
		before := r.enter(says("ben")).Person
		_, err = r.Deactivate(t.Context(), operator, before.ID, "left")
		r.must(err)
		r.revise(ben.ID, func(rec *directory.Record) { rec.ExternalID = "x-ben" })
		s, err := r.Look(t.Context(), ben.ID)
		r.must(err)
		if got := s.Person; got.Locked == nil || got.Deactivated == nil {
			t.Errorf("locked %v, deactivated %v: want both bars after the two met", got.Locked, got.Deactivated)
		}
	})
}

func TestOfTwoSignInsWithOneLinkTheOldestIsThePushedPerson(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		first := says("ada")
		second := says("eve")
		second.Link = first.Link
		a := r.session(r.enter(first))
		e := r.session(r.enter(second))
		p := r.push(record("ada"))
		if alive, person := r.alive(a); !alive || person != p.ID {
			t.Errorf("the older session: alive %v of %s, want alive of %s", alive, person, p.ID)
		}
		if alive, _ := r.alive(e); alive {
			t.Error("the second subject stays inside beyond the reach of SCIM")
		}
		r.refused(second, fault.Forbidden, "your account is linked to another sign-in of Alpha")
	})
}

func TestALinkThatIsAssertedLaterMeetsToo(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		early := says("ada")
		early.Link = "" // the claim was not there yet
		in := r.enter(early)
		s := r.session(in)
		p := r.push(record("ada"))
		if met := r.enter(says("ada")); met.Person.ID != p.ID {
			t.Errorf("sign-in = %s, want the pushed %s", met.Person.ID, p.ID)
		}
		if alive, person := r.alive(s); !alive || person != p.ID {
			t.Errorf("session: alive %v of %s, want alive of the pushed %s", alive, person, p.ID)
		}

		ben := says("ben")
		ben.Link = ""
		r.enter(ben)
		r.enter(says("ben")) // now with the claim, before any push
		if p := r.push(record("ben")); r.enter(says("ben")).Person.ID != p.ID {
			t.Error("a push did not meet the link value that was asserted later")
		}
	})
}

func TestAPushTakesNoNameTwice(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.push(record("ada"))
		same := record("ben")
		same.UserName = "ADA@alpha.example"
		if _, err := r.Provision(t.Context(), scimActor, "alpha", same); !fault.Is(err, fault.Conflict) || fault.Message(err) != "userName is taken" {
			t.Errorf("same userName = %v, want conflict", err)
		}
		ben := r.push(record("ben"))
		_, err := r.Revise(t.Context(), scimActor, "alpha", ben.ID, func(directory.Person, directory.Record) (directory.Record, error) { return same, nil })
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("renamed to a taken userName = %v, want conflict", err)
		}
		none := record("dy")
		none.UserName = " "
		if _, err := r.Provision(t.Context(), scimActor, "alpha", none); !fault.Is(err, fault.Invalid) {
			t.Errorf("no userName = %v, want invalid", err)
		}
		if _, err := r.Provision(t.Context(), scimActor, "gamma", record("dy")); !fault.Is(err, fault.NotFound) {
			t.Errorf("unknown connection = %v, want not found", err)
		}
		nul := record("dy")
		nul.Name = "a\x00b"
		if _, err := r.Provision(t.Context(), scimActor, "alpha", nul); !fault.Is(err, fault.Invalid) {
			t.Errorf("a NUL in a name = %v, want invalid", err)
		}
	})
}

func TestAnUnchangedPushWritesNothing(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		rec := record("ada")
		rec.Attributes = map[string]any{"z": "<&>", "a": []any{map[string]any{"n": 1.5, "t": true}}, "nothing": nil, "ü": "é"}
		p := r.push(rec)
		got := r.during(nil, func() {
			again := r.revise(p.ID, func(*directory.Record) {})
			if again.Version != 1 {
				t.Errorf("version = %d, want 1", again.Version)
			}
			r.now = r.now.Add(1)
			if same := r.revise(p.ID, func(to *directory.Record) { *to = rec }); same.Version != 1 {
				t.Errorf("version after the same resource again = %d, want 1", same.Version)
			}
		})
		r.wants(got, wrote{})
	})
}

func TestDeactivationEndsSessionsAndReactivationDoesNotReviveThem(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		p := r.push(record("ada"))
		who := map[string]string{p.ID: "ada"}
		s := r.session(r.enter(says("ada")))
		r.wants(r.during(who, func() {
			if got := r.revise(p.ID, func(rec *directory.Record) { rec.Active = false }); got.Version != 2 {
				t.Errorf("version = %d, want 2", got.Version)
			}
		}), wrote{Actions: []audit.Action{audit.PersonDeactivated}, Changes: []string{"ada!"}})
		if alive, _ := r.alive(s); alive {
			t.Error("the session survived its person's deactivation")
		}
		events := r.events()
		if got := events[len(events)-1].Detail["sessions_ended"]; got != "1" {
			t.Errorf("sessions_ended = %q, want 1", got)
		}
		r.wants(r.during(who, func() { r.revise(p.ID, func(rec *directory.Record) { rec.Active = false }) }), wrote{})
		r.wants(r.during(who, func() { r.revise(p.ID, func(rec *directory.Record) { rec.Active = true }) }),
			wrote{Actions: []audit.Action{audit.PersonReactivated}, Changes: []string{"ada"}})
		if alive, _ := r.alive(s); alive {
			t.Error("reactivation brought a session back")
		}
		r.enter(says("ada"))
		r.wants(r.during(who, func() { r.revise(p.ID, func(rec *directory.Record) { rec.Name = "New" }) }),
			wrote{Actions: []audit.Action{audit.PersonUpdated}, Changes: []string{"ada"}})
	})
}

func TestWhatAnEditReturnsIsReturnedAsItIs(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		p := r.push(record("ada"))
		stale := fault.New(fault.Precondition, "version 1 is not the current one")
		plain := errors.New("a plain error of the caller's own")
		for _, want := range []error{stale, plain} {
			_, err := r.Revise(t.Context(), scimActor, "alpha", p.ID, func(is directory.Person, rec directory.Record) (directory.Record, error) {
				if is.Version != 1 {
					t.Errorf("version = %d, want 1", is.Version)
				}
				return rec, want
			})
			if !errors.Is(err, want) || fault.KindOf(err) != fault.KindOf(want) {
				t.Errorf("Revise = %v (%v), want %v as it is", err, fault.KindOf(err), want)
			}
			g, err := r.ProvisionGroup(t.Context(), scimActor, "alpha", "g"+fault.KindOf(want).String(), "", nil)
			r.must(err)
			_, err = r.ReviseGroup(t.Context(), scimActor, "alpha", g.ID, func(directory.Group) (directory.GroupEdit, error) {
				return directory.GroupEdit{}, want
			})
			if !errors.Is(err, want) || fault.KindOf(err) != fault.KindOf(want) {
				t.Errorf("ReviseGroup = %v, want %v as it is", err, want)
			}
		}
	})
}

func TestDeletionErasesAndBuries(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		p := r.push(record("ada"))
		s := r.session(r.enter(says("ada")))
		r.wants(r.during(map[string]string{p.ID: "ada"}, func() { r.must(r.Delete(t.Context(), scimActor, "alpha", p.ID)) }),
			wrote{Actions: []audit.Action{audit.PersonDeleted}, Changes: []string{"ada!"}})
		if alive, _ := r.alive(s); alive {
			t.Error("the session survived its person")
		}
		if err := r.Delete(t.Context(), scimActor, "alpha", p.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("second delete = %v, want not found", err)
		}
		const gone = "your account was deleted by Alpha"
		r.refused(says("ada"), fault.Forbidden, gone)
		bare := says("ada")
		bare.Link = ""
		r.refused(bare, fault.Forbidden, gone)
		other := says("ada2")
		other.Link = "x-ada"
		r.refused(other, fault.Forbidden, gone)
		again := r.push(record("ada")) // the name is free again
		if in := r.enter(says("ada")); in.Person.ID != again.ID || again.ID == p.ID {
			t.Errorf("sign-in after a new push = %s, want %s", in.Person.ID, again.ID)
		}
		if alive, _ := r.alive(s); alive {
			t.Error("a new push brought a session back")
		}
	})
}

func TestOnlyAPushOfTheSamePersonUndoesABurial(t *testing.T) {
	without := func(rec directory.Record) directory.Record { rec.ExternalID = ""; return rec }
	named := func(rec directory.Record, externalID string) directory.Record {
		rec.ExternalID = externalID
		return rec
	}
	for _, tc := range []struct {
		name          string
		before, after directory.Record
		back          bool
	}{
		{"same externalId, same name", record("ada"), record("ada"), true},
		{"same externalId, other name", record("ada"), named(record("ada2"), "x-ada"), true},
		{"none, same name in other case", without(record("ada")), func() directory.Record {
			rec := without(record("ada"))
			rec.UserName = "ADA@Alpha.example"
			return rec
		}(), true},
		{"same name, first without", without(record("ada")), record("ada"), true},
		{"same name, then without", record("ada"), without(record("ada")), true},
		{"same name, another externalId", record("ada"), named(record("ada"), "x-another"), false},
		{"nothing in common", record("ada"), record("ben"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			each(t, func(t *testing.T, r *rig) {
				a := says("ada")
				a.Link = tc.before.ExternalID
				p := r.push(tc.before)
				if a.Link == "" { // tie them for a moment
					r.revise(p.ID, func(rec *directory.Record) { rec.ExternalID = "tie" })
					a.Link = "tie"
					r.enter(a)
					r.revise(p.ID, func(rec *directory.Record) { rec.ExternalID = "" })
					a.Link = ""
				} else {
					r.enter(a)
				}
				r.must(r.Delete(t.Context(), scimActor, "alpha", p.ID))
				r.refused(a, fault.Forbidden, "your account was deleted by Alpha")
				r.push(tc.after)
				if _, err := r.signIn(a); (err == nil) != tc.back {
					t.Errorf("sign-in after the new push = %v, want let in: %v", err, tc.back)
				}
			})
		})
	}
}

func TestARenameDoesNotUndoTheBurialOfTheName(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		bare := record("ada")
		bare.ExternalID = ""
		old := r.push(bare)
		r.revise(old.ID, func(rec *directory.Record) { rec.ExternalID = "x-ada" })
		r.enter(says("ada"))
		r.revise(old.ID, func(rec *directory.Record) { rec.ExternalID = "" })
		r.must(r.Delete(t.Context(), scimActor, "alpha", old.ID))
		ben := r.push(record("ben"))
		r.revise(ben.ID, func(rec *directory.Record) { rec.UserName = "ada@alpha.example" })
		r.revise(ben.ID, func(rec *directory.Record) { rec.ExternalID = "x-ben-2" })
		r.refused(says("ada"), fault.Forbidden, "your account was deleted by Alpha")
	})
}

func TestADeletionThatASignInRacesWins(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := newRig(t, open()), newRig(t, open())
		for i := range 20 {
			subject := "s" + string(rune('a'+i))
			p := a.push(record(subject))
			done := make(chan error, 1)
			go func() { done <- b.Delete(t.Context(), scimActor, "alpha", p.ID) }()
			in, err := a.signIn(says(subject))
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if err == nil && !in.Person.Provisioned {
				t.Fatalf("round %d: a sign-in made a new person out of one who was being deleted", i)
			}
			a.refused(says(subject), fault.Forbidden, "your account was deleted by Alpha")
		}
	})
}

func TestReconcileFollowsTheConfiguration(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		conn := directory.Connection{ID: "alpha", Organization: "Alpha", Provisioning: directory.JIT}
		r := newRig(t, db, conn)
		// Each one's employee number is the other's external id.
		for subject, other := range map[string]string{"ada": "ben", "ben": "ada"} {
			rec := record(subject)
			rec.Attributes["employeeNumber"] = "x-" + other
			r.push(rec)
		}
		ada := says("ada")
		r.enter(ada)
		jit := says("cy") // carries an external id that is somebody's employee number later
		jit.Link = "x-dy"
		stays := r.enter(jit).Person
		if w := newRig(t, db, conn).recorder; len(w.losses) != 0 {
			t.Errorf("reconciling the same configuration again wrote %+v", w.losses)
		}

		conn.Link, conn.Organization = "employeeNumber", "Alpha Holding"
		r = newRig(t, db, conn)
		if got := r.recorder.losses; len(got) != 1 || got[0].Person != "" {
			t.Errorf("change records = %+v, want one for everybody", got)
		}
		met := says("zoe")
		met.Link = "x-ada" // Ben's employee number
		if in := r.enter(met); in.Person.UserName != "ben@alpha.example" || in.Person.Organization != "Alpha Holding" {
			t.Errorf("met %+v, want Ben of Alpha Holding", in.Person)
		}
		rec := record("dy")
		rec.Attributes["employeeNumber"] = "x-dy"
		if p := r.push(rec); p.ID == stays.ID {
			t.Error("unreachable")
		}
		if _, err := r.Look(t.Context(), stays.ID); err != nil {
			t.Errorf("a value of the old attribute met one of the new: %v", err)
		}
	})
}

func TestLockKeepsTheLinkOfADetachedConnection(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		p := r.push(record("ada"))
		without := newRig(t, r.db, directory.Connection{ID: "beta", Organization: "Beta"})
		_, err := without.Lock(t.Context(), operator, p.ID, "why")
		r.must(err)
		r.must(without.Unlock(t.Context(), operator, p.ID, ""))
		if in := r.enter(says("ada")); in.Person.ID != p.ID {
			t.Error("locking somebody of a connection that is not configured now took their link value away")
		}
	})
}

// RFC 7643, section 3.1 leaves the uniqueness of externalId to the client.
func TestAnIdentifierOfSeveralMeetsNobody(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ada := r.push(record("ada"))
		r.enter(says("ada"))
		twin := record("twin")
		twin.ExternalID = "x-ada"
		second := r.push(twin)
		if in := r.enter(says("ada")); in.Person.ID != ada.ID {
			t.Errorf("person = %s, want %s, tied before the identifier was given twice", in.Person.ID, ada.ID)
		}
		stranger := says("stranger")
		stranger.Link = "x-ada"
		r.refused(stranger, fault.Forbidden, "Alpha has set up several accounts here with your identifier")
		r.must(r.Delete(t.Context(), scimActor, "alpha", second.ID))
		if in := r.enter(says("ada")); in.Person.ID != ada.ID {
			t.Errorf("person = %s, want %s: the tombstone is another record's", in.Person.ID, ada.ID)
		}
		r.must(r.Delete(t.Context(), scimActor, "alpha", ada.ID))
		r.refused(says("ada"), fault.Forbidden, "your account was deleted by Alpha")
		r.refused(stranger, fault.Forbidden, "your account was deleted by Alpha")
	})
}
