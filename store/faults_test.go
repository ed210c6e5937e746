package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/internal/freeport"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestMigrationsAreNeverEdited(t *testing.T) {
	files, err := filepath.Glob("migrations/*/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		got[filepath.ToSlash(strings.TrimPrefix(file, "migrations"+string(filepath.Separator)))] = hex.EncodeToString(sum[:])
	}
	golden, err := os.ReadFile("testdata/migrations.sha256")
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for line := range strings.Lines(string(golden)) {
		sum, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
		held++
		if got[file] != sum {
			t.Errorf("%s was edited, or is gone: what is merged stays as it is; add a new file instead", file)
		}
		delete(got, file)
	}
	for file, sum := range got {
		t.Errorf("%s is not held yet: add to testdata/migrations.sha256:\n%s  %s", file, sum, file)
	}
	if held%2 != 0 {
		t.Errorf("%d migrations, want one of each dialect", held)
	}
}

func TestReplicasOpenAnEmptyDatabaseAtOnce(t *testing.T) {
	for name, address := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { t.Helper(); return "sqlite:" + filepath.Join(t.TempDir(), "new.db") },
		"postgres": func(t *testing.T) string { t.Helper(); return storetest.PostgresURL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			databaseURL := address(t)
			began := time.Now()
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
					if err != nil {
						t.Error(err)
						return
					}
					defer db.Close()
					if err := db.Ping(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("four replicas took %v to start", took)
			}
		})
	}
}

func TestBadAddressesAreRefusedInWords(t *testing.T) {
	closed := freeport.Address(t)
	for _, tc := range []struct {
		url  string
		kind fault.Kind
	}{
		{"", fault.Invalid},
		{"mysql://x", fault.Invalid},
		{"sqlite:" + filepath.Join(t.TempDir(), "no", "folder", "p.db"), fault.Unavailable},
		{"sqlite:" + t.TempDir(), fault.Unavailable},
		{"postgres://secret-user:secret-word@" + closed + "/x?connect_timeout=2", fault.Unavailable},
		{"postgres://secret-user:secret-word@127.0.0.1:notaport/x", fault.Unavailable},
	} {
		db, err := store.Open(t.Context(), store.Config{URL: tc.url})
		if err == nil {
			db.Close()
		}
		if !fault.Is(err, tc.kind) || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("Open(%q) = %v, want %v without the password", tc.url, err, tc.kind)
		}
	}
}

func TestAPathMayHoldAnything(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20&e")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(dir, "p.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := os.Stat(filepath.Join(dir, "p.db")); err != nil {
		t.Error(err)
	}
}

func TestADatabaseThatIsAwayIsUnavailable(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		for name, err := range calls(t.Context(), db) {
			if !fault.Is(err, fault.Unavailable) {
				t.Errorf("%s on a closed database = %v, want unavailable", name, err)
			}
		}
	})
}

func TestACallThatIsGivenUpIsUnavailableAndLeavesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for name, err := range calls(ctx, db) {
			if !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.Canceled) {
				t.Errorf("%s under a cancelled context = %v, want unavailable, canceled", name, err)
			}
		}
		ctx, cancel = context.WithCancel(t.Context())
		err := db.Directory().Update(ctx, func(tx directory.Tx) error {
			err := tx.InsertPerson(person("p1", "ada"), "")
			cancel()
			return err
		})
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("cancelled before the commit = %v, want unavailable", err)
		}
		err = db.Directory().View(t.Context(), func(tx directory.Tx) error { _, err := tx.Person("p1"); return err })
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("Person = %v, want not found", err)
		}
	})
}

// calls calls one method of each store.
func calls(ctx context.Context, db *store.DB) map[string]error {
	second := func(_ any, err error) error { return err }
	_, _, find := db.Sessions().FindSession(ctx, []byte{1})
	_, _, changes := db.Sessions().Changes(ctx, 0)
	return map[string]error{
		"Ping":     db.Ping(ctx),
		"Update":   db.Directory().Update(ctx, func(tx directory.Tx) error { return tx.PutOrganization(directory.Organization{Name: "B"}, start) }),
		"View":     db.Directory().View(ctx, func(tx directory.Tx) error { return second(tx.Organization("Alpha")) }),
		"Find":     find,
		"Changes":  changes,
		"Token":    second(db.Tokens().TokenByHash(ctx, []byte{1})),
		"Keys":     second(db.Keys().Keys(ctx, "p")),
		"LastSeal": second(db.Audit().LastSeal(ctx)),
		"Consume":  second(db.Login().ConsumeAttempt(ctx, []byte{1}, start)),
	}
}

func TestTextsThatCannotBeStoredAreInvalidOnBoth(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		for _, bad := range []string{"a\x00b", "\xff\xfe", "half \xc3"} {
			for name, f := range map[string]func(directory.Tx) error{
				"InsertPerson": func(tx directory.Tx) error { return tx.InsertPerson(person("p1", bad), "") },
				"UpdatePerson": func(tx directory.Tx) error { return tx.UpdatePerson(person("p1", bad), "") },
				"InsertGroup": func(tx directory.Tx) error {
					return tx.InsertGroup(directory.Group{ID: "g", Connection: "alpha", Name: bad})
				},
				"Group":       func(tx directory.Tx) error { _, err := tx.Group("alpha", bad); return err },
				"KnownPeople": func(tx directory.Tx) error { _, err := tx.KnownPeople("alpha", []string{"p", bad}); return err },
				"Park":        func(tx directory.Tx) error { _, err := tx.Park("g", []string{bad}); return err },
				"People": func(tx directory.Tx) error {
					_, err := tx.People(directory.Query{Connection: "alpha", Filter: &directory.Filter{Op: directory.Eq, Attr: directory.Attr{Name: "userName"}, Value: bad}})
					return err
				},
			} {
				if err := db.Directory().Update(t.Context(), f); !fault.Is(err, fault.Invalid) {
					t.Errorf("%s of %q = %v, want invalid", name, bad, err)
				}
			}
		}
		odd := person("p2", "o'brien \"; DROP TABLE people; -- ? @name $1 \u202e\U0001F600")
		update(t, db, func(tx directory.Tx) error {
			if err := tx.InsertPerson(odd, ""); err != nil {
				return err
			}
			got, err := tx.Person("p2")
			if got.UserName != odd.UserName {
				t.Errorf("userName = %q, want %q", got.UserName, odd.UserName)
			}
			return err
		})
	})
}

func TestWhatTheCallerReturnsIsNotTheDatabases(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		mine := errors.New("mine")
		for name, err := range map[string]error{
			"Update": db.Directory().Update(t.Context(), func(directory.Tx) error { return mine }),
			"View":   db.Directory().View(t.Context(), func(directory.Tx) error { return mine }),
		} {
			if err != mine { //nolint:errorlint // the very error, not wrapped
				t.Errorf("%s = %v, want it as it is", name, err)
			}
		}
	})
}

func TestDeadlocksAreTriedAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		seed(t, dbs[0])
		update(t, dbs[0], func(tx directory.Tx) error {
			return errors.Join(tx.InsertPerson(person("p0", "ada"), ""), tx.InsertPerson(person("p1", "ben"), ""))
		})
		var wg sync.WaitGroup
		for i := range 6 { // half of them lock the two in the other order
			wg.Go(func() {
				order := []string{"p0", "p1"}
				if i%2 == 1 {
					order = []string{"p1", "p0"}
				}
				err := dbs[i%2].Directory().Update(t.Context(), func(tx directory.Tx) error {
					for _, id := range order {
						p, err := tx.Person(id)
						if err != nil {
							return err
						}
						p.Version++
						if err := tx.UpdatePerson(p, ""); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		update(t, dbs[0], func(tx directory.Tx) error {
			p, err := tx.Person("p1")
			if p.Version != 7 {
				t.Errorf("version = %d, want 7", p.Version)
			}
			return err
		})
	})
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	postgres := storetest.PostgresURL(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, databaseURL := range []string{"sqlite:" + filepath.Join(t.TempDir(), "p.db"), postgres} {
		db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
