package trace_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"portcullis/fault"
	"portcullis/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a store whose faults a test decides.
type shelf struct {
	mu      sync.Mutex
	kept    []trace.Record
	lost    int64
	err     error
	deleted []time.Time
}

func (s *shelf) InsertTraces(_ context.Context, records []trace.Record, lost []trace.Loss, _ trace.Caps) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.kept = append(s.kept, records...)
	for _, l := range lost {
		s.lost += l.Count
	}
	return nil
}

func (s *shelf) DeleteTraces(_ context.Context, before time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deleted = append(s.deleted, before)
	return nil
}

func (s *shelf) FindTrace(context.Context, string) (trace.Record, error)     { return trace.Record{}, nil }
func (s *shelf) Traces(context.Context, trace.Query) ([]trace.Record, error) { return nil, nil }
func (s *shelf) LostTraces(context.Context, time.Time) ([]trace.Loss, error) { return nil, nil }
func (s *shelf) fail(err error)                                              { s.mu.Lock(); s.err = err; s.mu.Unlock() }

func (s *shelf) counts() (kept int, lost int64, deletions []time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kept), s.lost, s.deleted
}

func record(i int, address string) trace.Record {
	return trace.Record{Reference: fmt.Sprint("R", i), Connection: "acme", Finished: time.Now(), Address: address, Outcome: trace.Refused}
}

// running starts a writer; stop ends it and waits.
func running(t *testing.T, w *trace.Writer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	}
}

// later lets the clock of a bubble go on, and whatever it wakes come to rest.
func later(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestWhatIsPutIsKeptAlsoWhenTheStoreWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{err: fault.New(fault.Unavailable, "away")}
		w := trace.New(trace.Config{Store: s})
		stop := running(t, w)
		for i := range 40 {
			w.Put(record(i, fmt.Sprint("192.0.2.", i)), nil)
		}
		synctest.Wait()
		if kept, _, _ := s.counts(); kept != 0 {
			t.Fatalf("%d kept by a store that is away", kept)
		}
		s.fail(nil)
		later(2 * time.Second)
		if kept, lost, _ := s.counts(); kept != 40 || lost != 0 {
			t.Errorf("kept %d and lost %d, want 40 and 0", kept, lost)
		}
		w.Put(record(41, "198.51.100.1"), func(r *trace.Record) { r.Cause = "completed" })
		stop()
		if kept, _, _ := s.counts(); kept != 41 || s.kept[40].Cause != "completed" {
			t.Errorf("what was put last is not kept at the end")
		}
	})
}

// TestARecordIsCompletedOnceWhileOthersArrive: the queue grows while a record
// in it is completed, and the store is away, so that the record stays in it.
func TestARecordIsCompletedOnceWhileOthersArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{err: fault.New(fault.Unavailable, "away")}
		w := trace.New(trace.Config{Store: s})
		stop := running(t, w)
		begun, others := make(chan struct{}), make(chan struct{})
		times := 0 // only the writer counts
		w.Put(record(0, "192.0.2.1"), func(r *trace.Record) {
			if times++; times == 1 {
				close(begun)
				<-others
			}
			r.Cause = "completed"
		})
		<-begun
		for i := range 100 {
			w.Put(record(i+1, fmt.Sprint("192.0.2.", i)), nil)
		}
		close(others)
		synctest.Wait()
		s.fail(nil)
		later(2 * time.Second)
		stop()
		if kept, _, _ := s.counts(); kept != 101 || s.kept[0].Cause != "completed" || times != 1 {
			t.Errorf("kept %d, the first %q, completed %d times; want 101, completed, once", kept, s.kept[0].Cause, times)
		}
	})
}

func TestAFloodIsBoundedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{err: fault.New(fault.Unavailable, "away")}
		w := trace.New(trace.Config{Store: s})
		stop := running(t, w)
		for i := range 1000 {
			w.Put(record(i, "192.0.2.1"), nil) // one stranger
		}
		for i := range 5000 {
			r := record(1000+i, "192.0.2.2")
			r.Outcome = trace.SignedIn
			w.Put(r, nil)
		}
		s.fail(nil)
		later(2 * time.Second)
		kept, lost, _ := s.counts()
		if kept != 2000 || lost != 4000 {
			t.Errorf("kept %d and counted %d as lost, want 2000 and 4000", kept, lost)
		}
		strangers := 0
		for _, r := range s.kept {
			if r.Class() == trace.Stranger {
				strangers++
			}
		}
		if strangers != 50 {
			t.Errorf("one address got %d of 500", strangers)
		}
		later(time.Hour)
		w.Put(record(7000, "192.0.2.1"), nil)
		synctest.Wait()
		if again, _, _ := s.counts(); again != kept+1 {
			t.Errorf("an hour later the address still gets nothing")
		}
		stop()
	})
}

func TestARecordThatCannotBeStoredHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{err: errors.New("broken")}
		w := trace.New(trace.Config{Store: s})
		stop := running(t, w)
		w.Put(record(1, "192.0.2.1"), nil)
		synctest.Wait()
		s.fail(nil)
		w.Put(record(2, "192.0.2.1"), nil)
		later(2 * time.Second)
		if kept, lost, _ := s.counts(); kept != 1 || lost != 1 {
			t.Errorf("kept %d, lost %d, want 1 of each", kept, lost)
		}
		stop()
	})
}

func TestOldTracesAreForgottenAfterSevenDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		stop := running(t, trace.New(trace.Config{Store: s}))
		began := time.Now()
		later(3*time.Hour + time.Minute)
		_, _, deleted := s.counts()
		if len(deleted) != 4 || !deleted[0].Equal(began.Add(-7*24*time.Hour)) {
			t.Errorf("deletions %v, want four, the first from before %s", deleted, began.Add(-7*24*time.Hour))
		}
		stop()
	})
}
