package login_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/login"
	"portcullis/trace"
)

// attempts is a login.Store in memory.
type attempts struct {
	mu   sync.Mutex
	rows map[string]login.Attempt
	down bool

	used     map[string]bool
	metadata map[string]login.Metadata

	tests   []login.Test
	reports map[string]trace.Record
}

func (s *attempts) InsertAttempt(_ context.Context, a login.Attempt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return fault.New(fault.Unavailable, "database is away")
	}
	s.rows[string(a.StateHash)] = a
	return nil
}

func (s *attempts) ConsumeAttempt(_ context.Context, hash []byte, now time.Time) (login.Attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.rows[string(hash)]
	delete(s.rows, string(hash))
	if !ok || !a.Expires.After(now) {
		return login.Attempt{}, fault.New(fault.NotFound, "no such attempt")
	}
	return a, nil
}

func (s *attempts) DeleteAttempts(_ context.Context, before time.Time, _ int) (gone []login.Attempt, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, a := range s.rows {
		if a.Expires.Before(before) {
			delete(s.rows, k)
			gone = append(gone, a)
		}
	}
	return gone, nil
}

func (s *attempts) InsertTest(_ context.Context, t login.Test, _ audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tests = append(s.tests, t)
	return nil
}

func (s *attempts) OpenTest(_ context.Context, hash []byte, now time.Time) (login.Test, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, t := range s.tests {
		if bytes.Equal(t.LinkHash, hash) && t.Expires.After(now) {
			s.tests = slices.Delete(s.tests, i, i+1)
			return t, nil
		}
	}
	return login.Test{}, fault.New(fault.NotFound, "no such test")
}

func (s *attempts) FinishTest(_ context.Context, id string, r trace.Record, _ audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reports == nil {
		s.reports = map[string]trace.Record{}
	}
	s.reports[id] = r
	return nil
}

func (s *attempts) FindTest(_ context.Context, id string) (login.Test, *trace.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.reports[id]; ok {
		return login.Test{ID: id}, &r, nil
	}
	return login.Test{ID: id}, nil, nil
}

func (s *attempts) UseAssertion(_ context.Context, connection string, hash []byte, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used == nil {
		s.used = map[string]bool{}
	}
	key := connection + " " + string(hash)
	if s.used[key] {
		return fault.New(fault.Conflict, "used before")
	}
	s.used[key] = true
	return nil
}

func (s *attempts) DeleteAssertions(context.Context, time.Time) error { return nil }

func (s *attempts) Metadata(_ context.Context, connection string) (login.Metadata, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.metadata[connection]
	if !ok {
		return login.Metadata{}, fault.New(fault.NotFound, "no metadata")
	}
	return m, nil
}

func (s *attempts) SaveMetadata(_ context.Context, m login.Metadata, _ ...audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.metadata == nil {
		s.metadata = map[string]login.Metadata{}
	}
	if s.metadata[m.Connection].Version != m.Version {
		return fault.New(fault.Conflict, "changed meanwhile")
	}
	m.Version++
	s.metadata[m.Connection] = m
	return nil
}

func (s *attempts) DeleteTests(context.Context, time.Time) error { return nil }

func (s *attempts) all() []login.Attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []login.Attempt
	for _, a := range s.rows {
		out = append(out, a)
	}
	return out
}
