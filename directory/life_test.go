package directory_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestAdministratorsTurnsAreIdempotent(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		id := r.enter(says("ada")).Person.ID
		who := map[string]string{id: "ada"}
		turn := func(f func() error) func() {
			return func() { t.Helper(); r.must(f()) }
		}
		ends := func(want int, f func(ctx, audit.Actor, string, string) (int, error)) func() {
			return func() {
				t.Helper()
				if ended, err := f(t.Context(), operator, id, "why"); err != nil || ended != want {
					t.Errorf("ended %d sessions, %v, want %d", ended, err, want)
				}
			}
		}
		one := func(a audit.Action, changes ...string) wrote {
			return wrote{Actions: []audit.Action{a}, Changes: changes}
		}

		s := r.session(r.enter(says("ada")))
		r.session(r.enter(says("ada")))
		r.wants(r.during(who, ends(2, r.SignOut)), one(audit.SessionEnded, "ada!"))
		if alive, _ := r.alive(s); alive {
			t.Error("signed out and still inside")
		}
		r.enter(says("ada")) // signing out changes no state
		r.session(r.enter(says("ada")))
		r.wants(r.during(who, ends(1, r.Lock)), one(audit.PersonLocked, "ada!"))
		r.wants(r.during(who, ends(0, r.Lock)), wrote{})
		r.wants(r.during(who, ends(0, r.Deactivate)), one(audit.PersonDeactivated, "ada!"))
		r.wants(r.during(who, ends(0, r.Deactivate)), wrote{})
		// Still barred by the other: what is lost stays lost.
		r.wants(r.during(who, turn(func() error { return r.Unlock(t.Context(), operator, id, "") })), one(audit.PersonUnlocked, "ada!"))
		r.wants(r.during(who, turn(func() error { return r.Unlock(t.Context(), operator, id, "") })), wrote{})
		r.wants(r.during(who, turn(func() error { return r.Reactivate(t.Context(), operator, id, "") })), one(audit.PersonReactivated, "ada"))
		r.wants(r.during(who, turn(func() error { return r.Reactivate(t.Context(), operator, id, "") })), wrote{})
		r.enter(says("ada"))

		for name, err := range map[string]error{
			"Lock":       second(r.Lock(t.Context(), operator, "nobody", "")),
			"Unlock":     r.Unlock(t.Context(), operator, "nobody", ""),
			"Deactivate": second(r.Deactivate(t.Context(), operator, "nobody", "")),
			"Reactivate": r.Reactivate(t.Context(), operator, "nobody", ""),
			"SignOut":    second(r.SignOut(t.Context(), operator, "nobody", "")),
		} {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s of nobody = %v, want not found", name, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestOnlyTheIdentityProviderUndoesItsOwnDeactivation(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		p := r.push(record("ada"))
		r.revise(p.ID, func(rec *directory.Record) { rec.Active = false })
		for range 2 { // without a bar of the administrator's own, and with one
			r.wants(r.during(nil, func() {
				if err := r.Reactivate(t.Context(), operator, p.ID, ""); !fault.Is(err, fault.Conflict) {
					t.Errorf("Reactivate = %v, want conflict", err)
				}
			}), wrote{})
			_, err := r.Deactivate(t.Context(), operator, p.ID, "ours too")
			r.must(err)
		}
		r.revise(p.ID, func(rec *directory.Record) { rec.Active = true })
		r.refused(says("ada"), fault.Forbidden, "your account is deactivated")
		r.must(r.Reactivate(t.Context(), operator, p.ID, ""))
		r.enter(says("ada"))
	})
}

// TestAnIdentityProviderDoesNotUndoWhatTheGateDecided: a client's own
// administrator can delete a person and push them again, but what the gate's
// administrator decided about them stays.
func TestAnIdentityProviderDoesNotUndoWhatTheGateDecided(t *testing.T) {
	bars := map[string]struct {
		bar   func(r *rig, id string) error
		lift  func(r *rig, id string) error
		words string
	}{
		"locked": {
			func(r *rig, id string) error { return second(r.Lock(t.Context(), operator, id, "why")) },
			func(r *rig, id string) error { return r.Unlock(t.Context(), operator, id, "") },
			"your account is locked",
		},
		"deactivated": {
			func(r *rig, id string) error { return second(r.Deactivate(t.Context(), operator, id, "why")) },
			func(r *rig, id string) error { return r.Reactivate(t.Context(), operator, id, "") },
			"your account is deactivated",
		},
	}
	nameOnly := record("ada")
	nameOnly.ExternalID = ""
	later := record("later")
	ways := map[string]struct {
		first directory.Record
		back  func(r *rig, id string) directory.Person
	}{
		"pushed again": {record("ada"), func(r *rig, id string) directory.Person {
			r.must(r.Delete(t.Context(), scimActor, "alpha", id))
			return r.push(record("ada"))
		}},
		"pushed again by name": {nameOnly, func(r *rig, id string) directory.Person {
			r.must(r.Delete(t.Context(), scimActor, "alpha", id))
			return r.push(record("ada"))
		}},
		"another record takes the identifier over": {record("ada"), func(r *rig, id string) directory.Person {
			r.must(r.Delete(t.Context(), scimActor, "alpha", id))
			p := r.push(later)
			return r.revise(p.ID, func(rec *directory.Record) { rec.ExternalID = "x-ada" })
		}},
		"another record had the identifier all the time": {record("ada"), func(r *rig, id string) directory.Person {
			twin := record("twin")
			twin.ExternalID = "x-ada"
			p := r.push(twin)
			r.must(r.Delete(t.Context(), scimActor, "alpha", id))
			again := r.push(record("ada"))
			r.must(r.Delete(t.Context(), scimActor, "alpha", again.ID))
			return p
		}},
	}
	for what, b := range bars {
		for how, way := range ways {
			t.Run(what+", "+how, func(t *testing.T) {
				each(t, func(t *testing.T, r *rig) {
					p := r.push(way.first)
					if way.first.ExternalID != "" {
						r.enter(says("ada"))
					}
					r.must(b.bar(r, p.ID))
					p = way.back(r, p.ID)
					r.refused(says("ada"), fault.Forbidden, b.words)
					r.must(b.lift(r, p.ID))
					r.enter(says("ada"))
					r.must(r.Delete(t.Context(), scimActor, "alpha", p.ID))
					r.push(record("ada"))
					r.enter(says("ada")) // what was taken back is not remembered
				})
			})
		}
	}
}

// model is what the life cycle comes to, told naively.
type model struct {
	exists, pushed, buried         bool
	idpOff, adminOff, locked, tied bool
	id                             string
	live, dead                     [][]byte // sessions
	version                        int      // of the name
}

func (m *model) admitted() bool {
	return !m.buried && !m.idpOff && !m.adminOff && !m.locked
}

func (m *model) loseAll() {
	m.dead, m.live = append(m.dead, m.live...), nil
}

// TestThePersonIsAdmittedIffTheModelSaysSo runs random verbs against a naive
// model: sessions that ended never come back, every change of state has one
// audit event, and a loss has its change record.
func TestThePersonIsAdmittedIffTheModelSaysSo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRig(t, open())
		run := 0
		rapid.Check(t, func(rt *rapid.T) {
			run++
			subject := fmt.Sprintf("s%d", run)
			m := &model{}
			steps := rapid.IntRange(1, 25).Draw(rt, "steps")
			for range steps {
				verb := rapid.SampledFrom([]string{
					"sign in", "sign in", "sign in", "push", "push inactive", "idp off", "idp on", "lock", "unlock", "deactivate", "reactivate",
					"delete", "sign out", "rename",
				}).Draw(rt, "verb")
				before := *m
				var want wrote
				got := r.during(map[string]string{}, func() { want = r.step(rt, m, verb, subject) })
				if len(got.Actions) != len(want.Actions) {
					rt.Fatalf("%s: events %v, want %v (before: %+v)", verb, got.Actions, want.Actions, before)
				}
				for i := range want.Actions {
					if got.Actions[i] != want.Actions[i] {
						rt.Fatalf("%s: events %v, want %v", verb, got.Actions, want.Actions)
					}
				}
				lost := len(before.live) > len(m.live)
				if lost != (len(want.Changes) > 0) || lost && len(got.Changes) == 0 {
					rt.Fatalf("%s: lost %v, change records %v", verb, lost, got.Changes)
				}
				for _, s := range m.live {
					if alive, person := r.alive(s); !alive || person != m.id {
						rt.Fatalf("%s: a session ended that should live", verb)
					}
				}
				for _, s := range m.dead {
					if alive, _ := r.alive(s); alive {
						rt.Fatalf("%s: a session lives that had ended", verb)
					}
				}
			}
		})
	})
}

// step does one verb on the directory and on the model, and says what must
// have been written; Changes is set when sessions are lost.
func (r *rig) step(rt *rapid.T, m *model, verb, subject string) (want wrote) {
	ctx := r.t.Context()
	fails := func(err error, kind fault.Kind) {
		if !fault.Is(err, kind) {
			rt.Fatalf("%s = %v, want %v (%+v)", verb, err, kind, *m)
		}
	}
	ok := func(err error) {
		if err != nil {
			rt.Fatalf("%s = %v (%+v)", verb, err, *m)
		}
	}
	act := func(actions ...audit.Action) { want.Actions = append(want.Actions, actions...) }
	lose := func() {
		if len(m.live) > 0 {
			want.Changes = []string{"lost"}
		}
		m.loseAll()
	}
	admin := func(changes bool, action audit.Action, set func(), err error) {
		switch {
		case !m.exists:
			fails(err, fault.NotFound)
		default:
			ok(err)
			if changes {
				set()
				act(action)
				if !m.admitted() {
					lose()
				}
			}
		}
	}
	revise := func(changes bool, action audit.Action, set func(), edit func(*directory.Record)) {
		_, err := r.Revise(ctx, scimActor, "alpha", m.id, func(_ directory.Person, rec directory.Record) (directory.Record, error) {
			edit(&rec)
			return rec, nil
		})
		if !m.pushed {
			fails(err, fault.NotFound)
			return
		}
		ok(err)
		if changes {
			set()
			act(action)
			if m.idpOff && action == audit.PersonDeactivated {
				lose()
			}
		}
	}
	switch verb {
	case "sign in":
		r.stepSignIn(rt, m, subject, act, fails, ok)
	case "push", "push inactive":
		rec := record(subject)
		rec.Active = verb == "push"
		p, err := r.Provision(ctx, scimActor, "alpha", rec)
		if m.pushed {
			fails(err, fault.Conflict)
			return want
		}
		ok(err)
		act(audit.PersonCreated)
		met := m.exists
		m.exists, m.pushed, m.buried, m.idpOff, m.id = true, true, false, !rec.Active, p.ID
		if met {
			act(audit.PersonLinked)
			if !m.admitted() {
				lose()
			}
		}
	case "idp off":
		revise(!m.idpOff, audit.PersonDeactivated, func() { m.idpOff = true }, func(rec *directory.Record) { rec.Active = false })
	case "idp on":
		revise(m.idpOff, audit.PersonReactivated, func() { m.idpOff = false }, func(rec *directory.Record) { rec.Active = true })
	case "rename":
		m.version++
		name := fmt.Sprintf("name %d", m.version)
		revise(true, audit.PersonUpdated, func() {}, func(rec *directory.Record) { rec.Name = name })
	case "lock":
		_, err := r.Lock(ctx, operator, m.id, "")
		admin(!m.locked, audit.PersonLocked, func() { m.locked = true }, err)
	case "unlock":
		admin(m.locked, audit.PersonUnlocked, func() { m.locked = false }, r.Unlock(ctx, operator, m.id, ""))
	case "deactivate":
		_, err := r.Deactivate(ctx, operator, m.id, "")
		admin(!m.adminOff, audit.PersonDeactivated, func() { m.adminOff = true }, err)
	case "reactivate":
		err := r.Reactivate(ctx, operator, m.id, "")
		if m.exists && m.idpOff {
			fails(err, fault.Conflict)
			return want
		}
		admin(m.adminOff, audit.PersonReactivated, func() { m.adminOff = false }, err)
	case "sign out":
		_, err := r.SignOut(ctx, operator, m.id, "")
		if m.exists {
			act(audit.SessionEnded)
			lose()
			ok(err)
		} else {
			fails(err, fault.NotFound)
		}
	case "delete":
		err := r.Delete(ctx, scimActor, "alpha", m.id)
		if !m.pushed {
			fails(err, fault.NotFound)
			return want
		}
		ok(err)
		act(audit.PersonDeleted)
		lose()
		*m = model{buried: true, adminOff: m.adminOff, locked: m.locked, dead: m.dead, id: m.id, version: m.version}
	}
	return want
}

func (r *rig) stepSignIn(rt *rapid.T, m *model, subject string, act func(...audit.Action), fails func(error, fault.Kind), ok func(error)) {
	in, err := r.signIn(says(subject))
	if !m.buried && !m.exists {
		act(audit.PersonCreated)
		m.exists, m.tied = true, true
		m.id = in.Person.ID
	}
	if !m.buried && m.pushed && !m.tied {
		act(audit.PersonLinked)
	}
	m.tied = m.tied || m.exists
	if !m.admitted() {
		fails(err, fault.Forbidden)
		act(audit.SignInRefused)
		return
	}
	ok(err)
	act(audit.SignIn)
	if in.Person.ID != m.id {
		rt.Fatalf("sign-in is %s, want %s", in.Person.ID, m.id)
	}
	m.live = append(m.live, r.session(in))
}
