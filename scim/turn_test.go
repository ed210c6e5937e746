package scim_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"portcullis/directory"
	"portcullis/scim"
)

// stuck is a directory in which the lists of acme take until they are let go.
type stuck struct {
	scim.Directory
	letGo   chan struct{}
	at      chan struct{} // receives for each list of acme that has begun
	running atomic.Int32
	most    atomic.Int32
}

func (s *stuck) People(ctx context.Context, q directory.Query) (directory.Page[directory.Person], error) {
	if q.Connection == "acme" {
		n := s.running.Add(1)
		for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
		}
		s.at <- struct{}{}
		<-s.letGo
		s.running.Add(-1)
	}
	return s.Directory.People(ctx, q)
}

// TestListsOfOneConnectionKeepNobodyElseWaiting: however many of them are
// asked for at once, few are at work, and others find the database free.
func TestListsOfOneConnectionKeepNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	s := &stuck{letGo: make(chan struct{}), at: make(chan struct{}, 1000)}
	r := newRig(t, func(c *scim.Config) { s.Directory, c.Directory = c.Directory, s })
	id := r.create("ada@example.com")
	ask := func(method, target, secret string) int {
		req := httptest.NewRequestWithContext(t.Context(), method, target, nil)
		req.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, req)
		if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		return w.Code
	}
	const many = 400
	var wg sync.WaitGroup
	statuses := make(chan int, many)
	for range many {
		wg.Go(func() { statuses <- ask("GET", "/scim/v2/acme/Users", r.secret) })
	}
	for range 4 {
		<-s.at
	}
	// More than may wait are told to come again, at once.
	for range many - 256 - 4 {
		if status := <-statuses; status != http.StatusTooManyRequests {
			t.Fatalf("one too many = %d, want 429", status)
		}
	}
	for what, target := range map[string]string{"a list of another connection": "/scim/v2/beta/Users", "its groups": "/scim/v2/beta/Groups"} {
		if status := ask("GET", target, r.other); status != http.StatusOK {
			t.Errorf("%s = %d, want 200", what, status)
		}
	}
	if status := ask("GET", "/scim/v2/acme/Users/"+id, r.secret); status != http.StatusOK {
		t.Errorf("a look-up of the same connection = %d, want 200", status)
	}
	if status := ask("DELETE", "/scim/v2/acme/Users/"+id, r.secret); status != http.StatusNoContent {
		t.Errorf("a deletion of the same connection = %d, want 204", status)
	}
	close(s.letGo)
	wg.Wait()
	answered := 0
	for range 256 + 4 {
		if status := <-statuses; status == http.StatusOK {
			answered++
		} else if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable { // on a slow machine
			t.Errorf("who waited = %d, want 200", status)
		}
	}
	if answered < 4 {
		t.Errorf("%d were answered, want those who had their turn at least", answered)
	}
	if most := s.most.Load(); most != 4 {
		t.Errorf("%d lists were at work at once, want 4", most)
	}
}
