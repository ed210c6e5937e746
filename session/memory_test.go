package session_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/session"
)

// memory is a session.Store for what needs a bubble's clock, in which a
// database's connections would not be idle. What it keeps is plain.
type memory struct {
	mu       sync.Mutex
	rows     map[string]session.Row // by token hash
	standing map[string]directory.Standing
	changes  []directory.Change
	touched  []map[string]time.Time
	woken    chan struct{}
	broken   error // of every call
	noFeed   error // of reading change records alone
	stalled  bool  // every call waits until its context ends
}

func newMemory() *memory {
	return &memory{rows: map[string]session.Row{}, standing: map[string]directory.Standing{}, woken: make(chan struct{}, 1)}
}

// set changes the store under its lock.
func (s *memory) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// call is what every method begins with.
func (s *memory) call(ctx context.Context) error {
	s.mu.Lock()
	stalled, broken := s.stalled, s.broken
	s.mu.Unlock()
	if stalled {
		<-ctx.Done()
		return fault.Wrap(fault.Unavailable, ctx.Err(), "the database did not answer")
	}
	return broken
}

func (s *memory) change(c directory.Change) {
	s.changes = append(s.changes, c)
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

func (s *memory) InsertSession(ctx context.Context, r session.Row) error {
	if err := s.call(ctx); err != nil {
		return err
	}
	s.set(func() { s.rows[string(r.TokenHash)] = r })
	return nil
}

func (s *memory) FindSession(ctx context.Context, hash []byte) (session.Row, directory.Standing, error) {
	if err := s.call(ctx); err != nil {
		return session.Row{}, directory.Standing{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.rows[string(hash)]
	if !ok {
		return r, directory.Standing{}, fault.New(fault.NotFound, "no such session")
	}
	return r, s.standing[r.Person], nil
}

func (s *memory) SessionsOf(ctx context.Context, person string, _ time.Time) (out []session.Row, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		if r.Person == person {
			out = append(out, r)
		}
	}
	return out, ctx.Err()
}

func (s *memory) InsertAPIToken(ctx context.Context, _ session.APIToken, _ audit.Event) error {
	return s.call(ctx)
}

func (s *memory) RevokeAPIToken(ctx context.Context, _ string, _ time.Time, _ audit.Event) error {
	return s.call(ctx)
}

func (s *memory) FindAPIToken(ctx context.Context, _ []byte) (session.APIToken, directory.Standing, error) {
	return session.APIToken{}, directory.Standing{}, s.call(ctx)
}

func (s *memory) APITokens(ctx context.Context, _ session.TokenQuery) ([]session.APIToken, error) {
	return nil, s.call(ctx)
}

func (s *memory) EndExcess(ctx context.Context, _ string, _ int, _ time.Time, _ error, _ time.Time) ([]string, error) {
	return nil, s.call(ctx)
}

func (s *memory) EndSession(ctx context.Context, id, reason string, at time.Time, _ audit.Event) error {
	if err := s.call(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for hash, r := range s.rows {
		if r.ID == id && r.Ended.IsZero() {
			r.Ended, r.EndReason = at, reason
			s.rows[hash] = r
			s.change(directory.Change{Seq: int64(len(s.changes)) + 1, Session: id, Loss: true})
		}
	}
	return nil
}

func (s *memory) EndNamed(ctx context.Context, n session.Named, _ session.Request, why error, at time.Time, _ audit.Actor, _ string) (ids []string, err error) {
	s.mu.Lock()
	for _, r := range s.rows {
		if r.Connection == n.Connection && r.Issuer == n.Issuer && (n.Subject == "" || r.Subject == n.Subject) && (n.Session == "" || r.ProviderSession == n.Session) {
			ids = append(ids, r.ID)
		}
	}
	s.mu.Unlock()
	for _, id := range ids {
		if err := s.EndSession(ctx, id, fault.Message(why), at, audit.Event{}); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func (s *memory) TakeDue(ctx context.Context, _, _, _ time.Time, _ int) ([]session.Row, error) {
	return nil, s.call(ctx)
}

func (s *memory) RenewSession(ctx context.Context, _ string, _ []byte, _ time.Time) error {
	return s.call(ctx)
}

func (s *memory) Touch(ctx context.Context, seen map[string]time.Time) error {
	if err := s.call(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = append(s.touched, seen)
	for hash, r := range s.rows {
		if at, ok := seen[r.ID]; ok && at.After(r.LastSeen) {
			r.LastSeen = at
			s.rows[hash] = r
		}
	}
	return nil
}

func (s *memory) DeleteSessions(ctx context.Context, _ time.Time) error { return s.call(ctx) }

func (s *memory) DeleteChanges(ctx context.Context, _ time.Time) error { return s.call(ctx) }

func (s *memory) LastChange(ctx context.Context) (int64, error) {
	if err := s.call(ctx); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.changes)), s.noFeed
}

func (s *memory) Changes(ctx context.Context, after int64) ([]directory.Change, int64, error) {
	if err := s.call(ctx); err != nil {
		return nil, after, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noFeed != nil || int(after) > len(s.changes) {
		return nil, int64(len(s.changes)), s.noFeed
	}
	return slices.Clone(s.changes[after:]), int64(len(s.changes)), nil
}

func (s *memory) Woken() <-chan struct{} { return s.woken }
