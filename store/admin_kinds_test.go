package store_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/admin"
	"portcullis/store/storetest"
)

// Where everybody is of a kind of their own, a page asks before who comes first.
func TestPagesOfManyKindsAreTheWholeList(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db := crowd(t, databaseURL, 300)
		if _, err := storetest.Raw(t, databaseURL).ExecContext(t.Context(), "UPDATE people SET unit = 'w' || seq, last_active = seq * 89 % 307"); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Admin().List(t.Context(), 1000); err != nil {
			t.Fatal(err)
		}
		for _, order := range []admin.Order{admin.ByName, admin.ByEmail, admin.ByActive, admin.ByCreated} {
			for _, descending := range []bool{false, true} {
				q := admin.PeopleQuery{Organization: "Alpha", Order: order, Descending: descending, Limit: 1000}
				whole, err := joined(db, q)
				if err != nil {
					t.Fatal(err)
				}
				q.Limit = 7
				pages, err := joined(db, q)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(whole, pages); len(whole) != 270 || diff != "" {
					t.Errorf("%s, descending: %t: %d people (-list +pages):\n%s", order, descending, len(whole), diff)
				}
				q.Descending, q.Limit = !descending, 1000
				back, err := joined(db, q)
				if slices.Reverse(back); err != nil || !slices.Equal(whole, back) {
					t.Errorf("%s: the other way around it is another list, %v", order, err)
				}
			}
		}
	})
}

// The list and those who are not on it yet are put into one order, whatever
// order of letters the database of a company has.
func TestTheListIsSortedByBytes(t *testing.T) {
	var sorted int
	row := storetest.Raw(t, storetest.MigratedPostgresURL(t)).QueryRowContext(t.Context(), `SELECT count(*) FROM information_schema.columns
		WHERE collation_name = 'C' AND (table_name, column_name) IN (('people_list', 'name'), ('people_list', 'email'), ('people_listing', 'name'), ('people_listing', 'email'))`)
	if err := row.Scan(&sorted); err != nil || sorted != 4 {
		t.Errorf("%d of 4 columns are sorted by bytes, %v", sorted, err)
	}
}
