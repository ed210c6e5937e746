package store_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"portcullis/directory"
	"portcullis/store"
	"portcullis/store/storetest"
)

// People whose places lie far apart, as after many imports that were taken
// back, are found without looking at every place between them.
func TestPeopleFarApartAreRead(t *testing.T) {
	t.Parallel()
	databaseURL := "sqlite:" + filepath.Join(t.TempDir(), "p.db")
	db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	seed(t, db)
	update(t, db, func(tx directory.Tx) error {
		for i := range 3 {
			if err := tx.InsertPerson(person(fmt.Sprint("far", i), fmt.Sprint("far", i)), ""); err != nil {
				return err
			}
		}
		return nil
	})
	raw := storetest.Raw(t, databaseURL)
	for i := range 3 {
		if _, err := raw.ExecContext(t.Context(), "UPDATE people SET seq = ? WHERE id = ?", (3-i)*1_000_000_000_000, fmt.Sprint("far", i)); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	err = db.Directory().View(t.Context(), func(tx directory.Tx) error {
		return tx.Enrolled(func(p *directory.Person) { ids = append(ids, p.ID) })
	})
	if want := []string{"far2", "far1", "far0"}; err != nil || len(ids) < 3 || !slices.Equal(ids[len(ids)-3:], want) {
		t.Errorf("people = %q, %v, want %q at the end", ids, err, want)
	}
}
