package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
)

// TestTheLogKeepsTheOrderOfEntries: they are written many at a time, and none
// of them at all if one cannot be.
func TestTheLogKeepsTheOrderOfEntries(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		log := open().Journal()
		entries := make([]scim.Entry, 1021)
		for i := range entries {
			n := strconv.Itoa(i)
			entries[i] = scim.Entry{
				Seq: int64(i + 1), At: start.Add(time.Duration(i) * time.Millisecond), Connection: "alpha", Token: "t" + n, Address: "a" + n, Method: "GET",
				Path: "/Users/{\"ä\", " + n + "}", Status: 200 + i, Cause: strings.Repeat("c,", i%3), Body: "b" + n, Took: time.Duration(i) * time.Microsecond,
			}
		}
		if err := log.AppendJournal(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
		broken := slices.Clone(entries[:5])
		broken[4].Path = "\x00"
		if err := log.AppendJournal(t.Context(), broken); !fault.Is(err, fault.Invalid) {
			t.Errorf("AppendJournal of what cannot be stored = %v, want it refused", err)
		}
		got, err := log.Journal(t.Context(), scim.JournalQuery{Limit: 2000})
		slices.Reverse(got)
		if diff := cmp.Diff(entries, got); err != nil || diff != "" {
			t.Errorf("Journal, %v (-want +got):\n%s", err, diff)
		}
	})
}

// TestAPersonIsShownInGroups: what SCIM shows is the same to whoever only reads
// and to whoever writes, but for what it does not show.
func TestAPersonIsShownInGroups(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		group := func(id, name string) directory.Group {
			return directory.Group{ID: id, Connection: "alpha", Name: name, Version: 1, Created: start, Modified: start}
		}
		member := func(group, person string) func(directory.Tx) error {
			return func(tx directory.Tx) error { _, err := tx.AddMembers(group, []string{person}, start); return err }
		}
		update(t, db, func(tx directory.Tx) error {
			ada := person("ada", "Ada")
			ada.Unconfirmed = true
			return errors.Join(tx.InsertPerson(ada, ""), tx.InsertPerson(person("ben", "Ben"), ""), tx.InsertPerson(person("eve", "Eve"), ""),
				tx.InsertGroup(group("z", `All, "of" {them} 1 t`)), tx.InsertGroup(group("a", "Ärzte  im Dienst ")), tx.InsertGroup(group("o", "Outer")),
				member("a", "ada")(tx), member("z", "ada")(tx), member("a", "ben")(tx))
		})
		for id, want := range map[string]string{
			"ada": `[{"z", "All, \"of\" {them} 1 t", false} {"a", "Ärzte  im Dienst ", false}]`,
			"ben": `[{"a", "Ärzte  im Dienst ", false}]`,
			"eve": `[]`,
		} {
			var written, read directory.Shown
			update(t, db, func(tx directory.Tx) (err error) { written, err = tx.PersonInGroups(id); return err })
			if err := db.Directory().Glance(t.Context(), func(tx directory.Tx) (err error) { read, err = tx.PersonInGroups(id); return err }); err != nil {
				t.Fatal(err)
			}
			w := written.Person
			shown := directory.Shown{Groups: written.Groups, Person: directory.Person{
				ID: w.ID, Connection: w.Connection, Provisioned: w.Provisioned, IDPActive: w.IDPActive, Attributes: w.Attributes,
				Unconfirmed: w.Unconfirmed, Version: w.Version, Created: w.Created, Modified: w.Modified,
			}}
			if diff := cmp.Diff(shown, read); diff != "" {
				t.Errorf("%s (-written +read):\n%s", id, diff)
			}
			var groups []string
			for _, g := range read.Groups {
				groups = append(groups, fmt.Sprintf("{%q, %q, %v}", g.ID, g.Name, g.Indirect))
			}
			if got := "[" + strings.Join(groups, " ") + "]"; got != want {
				t.Errorf("groups of %s = %s, want %s", id, got, want)
			}
		}
	})
}

// TestAReadThatIsGivenUpAsksNothing: whoever asked has gone.
func TestAReadThatIsGivenUpAsksNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		update(t, db, func(tx directory.Tx) error { return tx.InsertPerson(person("ada", "Ada"), "") })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := db.Directory().Glance(ctx, func(tx directory.Tx) error { _, err := tx.PersonInGroups("ada"); return err })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Glance after its context has ended = %v, want that", err)
		}
		err = db.Directory().Glance(t.Context(), func(tx directory.Tx) error { _, err := tx.PersonInGroups("ada"); return err })
		if err != nil {
			t.Errorf("Glance after one that was given up = %v", err)
		}
	})
}
