package directory_test

import (
	"testing"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
)

// Whoever an administrator deletes is gone, and comes back as barred as they
// were.
func TestDeletingTakesNoBarAway(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		old := r.enter(says("ada"))
		token := r.session(old)
		_, err := r.Lock(t.Context(), operator, old.Person.ID, "lost device")
		r.must(err)
		r.must(r.Remove(t.Context(), operator, old.Person.ID, "asked for"))
		if alive, _ := r.alive(token); alive {
			t.Error("the session goes on")
		}
		r.refused(says("ada"), fault.Forbidden, "your account is locked")
		again := r.found("ada")
		if again.ID == old.Person.ID || again.Locked == nil {
			t.Fatalf("person = %+v, want a new one who is locked", again)
		}
		r.must(r.Unlock(t.Context(), operator, again.ID, ""))
		_, err = r.Deactivate(t.Context(), operator, r.enter(says("ada")).Person.ID, "left")
		r.must(err)
		r.must(r.Remove(t.Context(), operator, again.ID, ""))
		r.refused(says("ada"), fault.Forbidden, "your account is deactivated")

		// What an administrator took back is forgotten.
		r.must(r.Reactivate(t.Context(), operator, r.found("ada").ID, ""))
		r.must(r.Remove(t.Context(), operator, r.found("ada").ID, ""))
		r.enter(says("ada"))
		last := r.events()[len(r.events())-1]
		if last.Action != audit.SignIn {
			t.Errorf("last event = %+v", last)
		}
	})
}

// A lock holds when the one who was deleted is pushed.
func TestDeletingTakesNoBarAwayFromAPush(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		in := r.enter(says("ada"))
		_, err := r.Lock(t.Context(), operator, in.Person.ID, "lost device")
		r.must(err)
		r.must(r.Remove(t.Context(), operator, in.Person.ID, ""))
		if p := r.push(record("ada")); p.Locked == nil {
			t.Errorf("person = %+v, want them locked", p)
		}
		r.refused(says("ada"), fault.Forbidden, "your account is locked")
	})
}

func TestWhomAConnectionManagesIsDeletedThere(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		p := r.push(record("ada"))
		err := r.Remove(t.Context(), operator, p.ID, "")
		if !fault.Is(err, fault.Conflict) || fault.Message(err) != `connection "alpha" manages this person over SCIM: they are deleted there` {
			t.Errorf("Remove = %v", err)
		}
		without := newRig(t, r.db, directory.Connection{ID: "beta", Organization: "Beta"})
		without.must(without.Remove(t.Context(), operator, p.ID, "the client left"))
		if err := without.Remove(t.Context(), operator, p.ID, ""); !fault.Is(err, fault.NotFound) {
			t.Errorf("a second time: %v", err)
		}
	})
}

// found is whom a subject's sign-in leads to.
func (r *rig) found(subject string) (p directory.Person) {
	r.t.Helper()
	r.update(func(tx directory.Tx) (err error) {
		p, err = tx.PersonBySubject("alpha", "https://idp.alpha.example", subject)
		return err
	})
	return p
}
