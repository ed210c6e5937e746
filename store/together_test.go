package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

// crew are writers who queue up behind a first one, which holds the turn
// until release is called.
type crew struct {
	t        *testing.T
	db       *store.DB
	release  func()
	outcomes []chan error
	commits  func() int64 // so far
	names    func() []string
}

func newCrew(t *testing.T, first func(store.Exec) error) *crew {
	t.Helper()
	at := "sqlite:" + t.TempDir() + "/portcullis.db"
	db, err := store.Open(t.Context(), store.Config{URL: at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	reader := storetest.Raw(t, at)
	reader.SetMaxOpenConns(1) // data_version is of one connection
	hold := make(chan struct{})
	c := &crew{t: t, db: db, release: func() { close(hold) }}
	c.commits = func() (n int64) {
		if err := reader.QueryRowContext(t.Context(), "PRAGMA data_version").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	c.names = func() (names []string) {
		rows, err := reader.QueryContext(t.Context(), "SELECT name FROM organizations ORDER BY name")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return names
	}
	begun := make(chan struct{})
	c.start(func(exec store.Exec) error {
		close(begun)
		<-hold
		return first(exec)
	})
	<-begun
	return c
}

func insert(name string) func(store.Exec) error {
	return func(exec store.Exec) error {
		_, err := exec("INSERT INTO organizations (name) VALUES (?)", name)
		return err
	}
}

func (c *crew) start(f func(store.Exec) error) {
	c.startWith(c.t.Context(), store.Together, f)
}

func (c *crew) startWith(ctx context.Context, write func(context.Context, *store.DB, func(store.Exec) error) error, f func(store.Exec) error) {
	out := make(chan error, 1)
	c.outcomes = append(c.outcomes, out)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				out <- fmt.Errorf("panic: %v", r)
			}
		}()
		out <- write(ctx, c.db, f)
	}()
}

// queued starts a writer and waits until it waits.
func (c *crew) queued(f func(store.Exec) error) { c.queuedAs(store.Together, f) }

func (c *crew) queuedAs(write func(context.Context, *store.DB, func(store.Exec) error) error, f func(store.Exec) error) {
	c.t.Helper()
	before := store.Queued(c.db)
	c.startWith(c.t.Context(), write, f)
	c.waiting(before + 1)
}

func (c *crew) waiting(n int) {
	c.t.Helper()
	look, late := time.NewTicker(time.Millisecond), time.After(time.Minute)
	defer look.Stop()
	for store.Queued(c.db) != n {
		select {
		case <-look.C:
		case <-late:
			c.t.Fatalf("%d wait, want %d", store.Queued(c.db), n)
		}
	}
}

func (c *crew) ends() (errs []error) {
	for _, out := range c.outcomes {
		errs = append(errs, <-out)
	}
	return errs
}

func TestThoseWhoWaitAreCommittedAtOnce(t *testing.T) {
	t.Parallel()
	c := newCrew(t, insert("first"))
	before := c.commits()
	for i := range 5 {
		c.queued(insert(fmt.Sprint("waiting ", i)))
	}
	c.release()
	if err := errors.Join(c.ends()...); err != nil {
		t.Fatal(err)
	}
	if got := len(c.names()); got != 6 {
		t.Errorf("%d were written, want 6", got)
	}
	if got := c.commits() - before; got != 1 {
		t.Errorf("%d commits, want 1", got)
	}
}

func TestWhatGoesWrongWithOneIsUndoneAlone(t *testing.T) {
	t.Parallel()
	c := newCrew(t, insert("first"))
	errOwn := errors.New("own")
	c.queued(insert("one"))
	c.queued(func(exec store.Exec) error { // its own error
		if err := insert("two")(exec); err != nil {
			return err
		}
		return errOwn
	})
	c.queued(func(exec store.Exec) error { // the database's: somebody in the same transaction has the name
		if err := insert("three")(exec); err != nil {
			return err
		}
		return insert("one")(exec)
	})
	c.queued(func(exec store.Exec) error {
		if err := insert("four")(exec); err != nil {
			return err
		}
		panic("four")
	})
	ctx, cancel := context.WithCancel(t.Context())
	c.startWith(ctx, store.Together, func(exec store.Exec) error { // given up while it is at work
		if err := insert("five")(exec); err != nil {
			return err
		}
		cancel()
		return nil
	})
	c.waiting(5)
	c.queued(insert("six"))
	c.release()
	errs := c.ends()
	for i, want := range []string{"<nil>", "<nil>", "own", "it is there already", "panic: four", "the database did not answer", "<nil>"} {
		if got := fmt.Sprint(errs[i]); got != want && (errs[i] == nil || fault.Message(errs[i]) != want) {
			t.Errorf("%d ends with %q, want %q", i, got, want)
		}
	}
	if got, want := c.names(), []string{"first", "one", "six"}; !slices.Equal(got, want) {
		t.Errorf("written: %q, want %q", got, want)
	}
}

func TestAFirstOneThatFailsTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	errOwn := errors.New("own")
	c := newCrew(t, func(exec store.Exec) error {
		if err := insert("first")(exec); err != nil {
			return err
		}
		return errOwn
	})
	c.queued(insert("one"))
	c.release()
	if errs := c.ends(); !errors.Is(errs[0], errOwn) || errs[1] != nil {
		t.Errorf("ends = %v", errs)
	}
	if got, want := c.names(), []string{"one"}; !slices.Equal(got, want) {
		t.Errorf("written: %q, want %q", got, want)
	}
}

// TestNobodyIsToldWhatWasNotKept: SQLite takes a whole transaction back when
// the disk is full.
func TestNobodyIsToldWhatWasNotKept(t *testing.T) {
	t.Parallel()
	c := newCrew(t, insert("first"))
	c.queued(insert("one"))
	c.queued(func(exec store.Exec) error {
		_, err := exec("ROLLBACK") // which the disk would do
		if err != nil {
			return err
		}
		return errors.New("the disk is full")
	})
	c.queued(insert("two"))
	c.release()
	errs := c.ends()
	for i, err := range errs[:3] {
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%d ends with %v, want %v", i, err, fault.Unavailable)
		}
	}
	if errs[3] != nil {
		t.Errorf("whoever came after that = %v", errs[3])
	}
	if got, want := c.names(), []string{"two"}; !slices.Equal(got, want) {
		t.Errorf("written: %q, want %q", got, want)
	}
}

// TestLongWritersHaveTransactionsOfTheirOwn: nobody waits for their end but
// those who come after them.
func TestLongWritersHaveTransactionsOfTheirOwn(t *testing.T) {
	t.Parallel()
	c := newCrew(t, insert("first"))
	begun, hold := make(chan struct{}), make(chan struct{})
	c.queued(insert("one"))
	c.queuedAs(store.Alone, func(exec store.Exec) error {
		close(begun)
		<-hold
		return insert("long")(exec)
	})
	c.queued(insert("two"))
	c.release()
	if err := errors.Join(<-c.outcomes[0], <-c.outcomes[1]); err != nil {
		t.Fatal(err)
	}
	<-begun
	if got, want := c.names(), []string{"first", "one"}; !slices.Equal(got, want) {
		t.Errorf("before the long one ends: %q, want %q", got, want)
	}
	close(hold)
	if err := errors.Join(<-c.outcomes[2], <-c.outcomes[3]); err != nil {
		t.Fatal(err)
	}
	if got := len(c.names()); got != 4 {
		t.Errorf("%d were written, want 4", got)
	}
}

func TestWhoGivesUpWaitingHoldsUpNobody(t *testing.T) {
	t.Parallel()
	c := newCrew(t, insert("first"))
	ctx, cancel := context.WithCancel(t.Context())
	c.startWith(ctx, store.Together, insert("given up"))
	c.waiting(1)
	c.queued(insert("one"))
	cancel()
	if err := <-c.outcomes[1]; !fault.Is(err, fault.Unavailable) {
		t.Errorf("given up = %v", err)
	}
	c.release()
	if err := errors.Join(<-c.outcomes[0], <-c.outcomes[2]); err != nil {
		t.Fatal(err)
	}
	if got, want := c.names(), []string{"first", "one"}; !slices.Equal(got, want) {
		t.Errorf("written: %q, want %q", got, want)
	}
}
