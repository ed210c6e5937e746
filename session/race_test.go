package session_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"portcullis/directory"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
)

// hooked is a real store that calls a test at certain moments.
type hooked struct {
	session.Store
	mu    sync.Mutex
	found func() // after a session or a token was read, before it is handed over; once
	polls int
	late  bool // change records come later
}

func (h *hooked) FindSession(ctx context.Context, hash []byte) (session.Row, directory.Standing, error) {
	r, s, err := h.Store.FindSession(ctx, hash)
	h.read()
	return r, s, err
}

func (h *hooked) FindAPIToken(ctx context.Context, hash []byte) (session.APIToken, directory.Standing, error) {
	k, s, err := h.Store.FindAPIToken(ctx, hash)
	h.read()
	return k, s, err
}

func (h *hooked) read() {
	h.mu.Lock()
	f := h.found
	h.found = nil
	h.mu.Unlock()
	if f != nil {
		f()
	}
}

func (h *hooked) Changes(ctx context.Context, after int64) ([]directory.Change, int64, error) {
	changes, next, err := h.Store.Changes(ctx, after)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.polls++
	if h.late {
		return nil, after, err
	}
	return changes, next, err
}

// settle waits until whatever is committed now has been applied.
func (h *hooked) settle(t *testing.T) {
	t.Helper()
	count := func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.polls
	}
	begin := count()
	// The second read that begins after this ends after the first was applied.
	soon(t, "change records read", func() bool { return count() >= begin+3 })
}

func TestAReadThatAChangeOvertookIsUsedOnceAtMost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		h := &hooked{}
		r := newReplica(t, open(), nil, func(s session.Store) session.Store { h.Store = s; return h })
		token, issued := r.enter("ada")
		h.settle(t)
		h.mu.Lock()
		h.found = func() {
			_, err := r.dir.Lock(t.Context(), operator, issued.PersonID, "")
			must(t, err)
			h.settle(t)
		}
		h.mu.Unlock()
		stale, err := r.Verify(t.Context(), token)
		must(t, err) // the lock came while this was being answered
		if _, err := r.Verify(t.Context(), token); err == nil {
			t.Error("what was read before the change was kept after it")
		}
		ctx, cancel := r.Watch(t.Context(), stale, "192.0.2.7")
		defer cancel()
		cut(t, "a change before Watch", ctx)
	})
}

// Whoever was refused stays refused, also while this replica has not heard of
// the change: a read that began before it is not kept behind one that saw it.
func TestWhoWasRefusedIsNotLetInByAnOlderRead(t *testing.T) {
	for name, change := range map[string]func(r *replica, p *session.Principal, token string) error{
		"signed out": func(r *replica, p *session.Principal, _ string) error {
			_, err := r.dir.SignOut(r.t.Context(), operator, p.PersonID, "")
			return err
		},
		"revoked": func(r *replica, p *session.Principal, token string) error {
			return r.RevokeToken(r.t.Context(), operator, token, "")
		},
		"locked": func(r *replica, p *session.Principal, _ string) error {
			_, err := r.dir.Lock(r.t.Context(), operator, p.PersonID, "")
			return err
		},
		"removed": func(r *replica, p *session.Principal, _ string) error {
			return r.dir.Remove(r.t.Context(), operator, p.PersonID, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, open func() *store.DB) {
				h := &hooked{}
				r, elsewhere := newReplica(t, open(), nil, func(s session.Store) session.Store { h.Store = s; return h }), newReplica(t, open(), nil, nil)
				token, p := r.enter("ada")
				verify := func() error { _, err := r.Verify(t.Context(), token); return err }
				id := ""
				if name != "signed out" {
					secret, made, err := r.CreateToken(t.Context(), operator, session.APIToken{
						Person: p.PersonID, Connection: "alpha", Organization: "Alpha", Scopes: []string{session.AllScopes},
					}, time.Hour)
					must(t, err)
					id, verify = made.ID, func() error { _, err := r.VerifyToken(t.Context(), secret); return err }
				}
				h.settle(t)
				h.mu.Lock()
				h.late = true
				h.found = func() {
					must(t, change(elsewhere, p, id))
					if verify() == nil {
						t.Error("let in by what was read after the change")
					}
				}
				h.mu.Unlock()
				must(t, verify()) // the change came while this was being answered
				if verify() == nil {
					t.Error("let in again after the refusal")
				}
			})
		})
	}
}

func TestAChangeBetweenVerifyAndWatchIsNotMissed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		h := &hooked{}
		r := newReplica(t, open(), nil, func(s session.Store) session.Store { h.Store = s; return h })
		token, issued := r.enter("ada")
		h.settle(t)
		p, err := r.Verify(t.Context(), token)
		must(t, err)
		_, err = r.dir.SignOut(t.Context(), operator, issued.PersonID, "")
		must(t, err)
		h.settle(t)
		ctx, cancel := r.Watch(t.Context(), p, "192.0.2.7")
		defer cancel()
		if ctx.Err() == nil {
			t.Error("the stream began after the end of its session was heard, and runs")
		}

		// A change that takes nothing away from them lets the stream run.
		token, _ = r.enter("ada")
		p, err = r.Verify(t.Context(), token)
		must(t, err)
		must(t, r.db.Directory().Update(t.Context(), func(tx directory.Tx) error {
			return tx.Change(directory.Change{At: time.Now(), Person: p.PersonID})
		}))
		h.settle(t)
		ctx, cancel = r.Watch(t.Context(), p, "192.0.2.7")
		defer cancel()
		if ctx.Err() != nil {
			t.Error("the stream of somebody who lost nothing was ended")
		}
	})
}

// TestARecordThatCommitsLateIsNotSteppedOver holds a transaction open that
// took its number before one that was read already, however old both say
// they are.
func TestARecordThatCommitsLateIsNotSteppedOver(t *testing.T) {
	databaseURL := storetest.MigratedPostgresURL(t)
	db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	r := newReplica(t, db, nil, nil)
	raw := storetest.Raw(t, databaseURL)
	const insert = "INSERT INTO changes (at, person, session, loss) VALUES (1, $1, '', TRUE)"

	for _, younger := range []bool{false, true} { // whether the late one began first or only counted first
		slowToken, slow := r.enter("slow")
		quickToken, quick := r.enter("quick")
		slowStream, quickStream := r.watch(slowToken), r.watch(quickToken)
		early, err := raw.BeginTx(t.Context(), nil)
		must(t, err)
		late, err := raw.BeginTx(t.Context(), nil)
		must(t, err)
		if younger {
			_, err = early.ExecContext(t.Context(), "SELECT pg_current_xact_id()")
			must(t, err)
		}
		_, err = late.ExecContext(t.Context(), insert, slow.PersonID)
		must(t, err)
		_, err = early.ExecContext(t.Context(), insert, quick.PersonID)
		must(t, err)
		must(t, early.Commit())
		cut(t, "the record that was committed first", quickStream)
		other, _ := r.enter("other") // the feed goes on meanwhile
		r.watch(other)
		if slowStream.Err() != nil {
			t.Fatal("cut by a record that is not committed")
		}
		must(t, late.Commit())
		cut(t, "the record that was committed last", slowStream)
	}
}

// TestRevocationUnderLoad ends people's sessions while requests and pushes
// run against two replicas; whoever was ended stays out.
func TestRevocationUnderLoad(t *testing.T) {
	both(t, func(t *testing.T, a, b *replica) {
		const people = 12
		tokens := make([]string, people)
		ids := make([]string, people)
		for i := range people {
			var p *session.Principal
			tokens[i], p = a.enter("s" + string(rune('a'+i)))
			ids[i] = p.PersonID
		}
		stop := make(chan struct{})
		var load sync.WaitGroup
		for _, r := range []*replica{a, b} {
			load.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					if p, err := r.Verify(context.Background(), tokens[i%people]); err == nil {
						_, cancel := r.Watch(t.Context(), p, "192.0.2.7")
						cancel()
					}
				}
			})
		}
		streams := make([]context.Context, people)
		for i := range people {
			streams[i] = b.watch(tokens[i]) //nolint:fatcontext // one stream each, side by side
		}
		for i := range people / 2 {
			_, err := a.dir.Lock(t.Context(), operator, ids[i], "")
			must(t, err)
			cut(t, "Lock under load", streams[i])
			if _, err := b.Verify(t.Context(), tokens[i]); err == nil {
				t.Error("locked and inside")
			}
		}
		close(stop)
		load.Wait()
		for i := people / 2; i < people; i++ {
			if streams[i].Err() != nil {
				t.Error("somebody else's stream was cut")
			}
		}
	})
}
