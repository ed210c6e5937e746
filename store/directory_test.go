package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)

// seed makes the organization that people belong to.
func seed(t *testing.T, db *store.DB) {
	t.Helper()
	update(t, db, func(tx directory.Tx) error {
		return errors.Join(tx.PutOrganization(directory.Organization{Name: "Alpha"}, start),
			tx.PutConnection(directory.Connection{ID: "alpha", Organization: "Alpha", Link: "externalId"}))
	})
}

func update(t *testing.T, db *store.DB, f func(directory.Tx) error) {
	t.Helper()
	if err := db.Directory().Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func person(id, userName string) directory.Person {
	return directory.Person{
		ID: id, Connection: "alpha", Organization: "Alpha", UserName: userName, ExternalID: "x-" + id, Name: "Name of " + id,
		Email: userName + "@alpha.example", Provisioned: true, IDPActive: true, Attributes: []byte(`{"userName":"x"}`),
		Version: 1, Created: start, Modified: start,
	}
}

func TestPersonSurvivesARoundTrip(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		want := person("p1", "Ada")
		want.EmailVerified = true
		want.Locked = &directory.Bar{At: start, By: "op", Reason: "lost device"}
		update(t, db, func(tx directory.Tx) error { return tx.InsertPerson(want, "link-1") })
		check := func(where string, get func(directory.Tx) (directory.Person, error)) {
			t.Helper()
			var got directory.Person
			update(t, db, func(tx directory.Tx) (err error) { got, err = get(tx); return err })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", where, diff)
			}
		}
		check("Person", func(tx directory.Tx) (directory.Person, error) { return tx.Person("p1") })
		check("PersonByLink", func(tx directory.Tx) (directory.Person, error) { return tx.PersonByLink("alpha", "link-1") })

		// Zero values are written too: an ORM that skips them would keep the lock.
		want.Locked, want.IDPActive, want.EmailVerified, want.Version, want.Email = nil, false, false, 2, ""
		update(t, db, func(tx directory.Tx) error { return tx.UpdatePerson(want, "link-1") })
		check("after UpdatePerson", func(tx directory.Tx) (directory.Person, error) { return tx.Person("p1") })
	})
}

func TestMissingRowsAreNotFound(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		update(t, db, func(tx directory.Tx) error { return tx.InsertPerson(person("p1", "ada"), "") })
		for name, f := range map[string]func(directory.Tx) error{
			"Person":          func(tx directory.Tx) error { _, err := tx.Person("nobody"); return err },
			"Person of no id": func(tx directory.Tx) error { _, err := tx.Person(""); return err },
			"PersonByLink of no link": func(tx directory.Tx) error {
				_, err := tx.PersonByLink("alpha", "")
				return err
			},
			"PersonBySubject": func(tx directory.Tx) error { _, err := tx.PersonBySubject("alpha", "i", "s"); return err },
			"UpdatePerson":    func(tx directory.Tx) error { return tx.UpdatePerson(person("nobody", "x"), "") },
			"DeletePerson":    func(tx directory.Tx) error { return tx.DeletePerson("nobody") },
			"Group":           func(tx directory.Tx) error { _, err := tx.Group("alpha", "none"); return err },
			"DeleteGroup":     func(tx directory.Tx) error { return tx.DeleteGroup("none", start) },
			"LastAssertion":   func(tx directory.Tx) error { _, err := tx.LastAssertion("p1", false); return err },
			"Organization":    func(tx directory.Tx) error { _, err := tx.Organization("none"); return err },
			"ConnectionLink":  func(tx directory.Tx) error { _, err := tx.ConnectionLink("none"); return err },
		} {
			if err := db.Directory().Update(t.Context(), f); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %v, want not found", name, err)
			}
		}
	})
}

func TestNamesAreUniqueWithinAConnection(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		update(t, db, func(tx directory.Tx) error { return tx.InsertPerson(person("p1", "Ada"), "l1") })
		elsewhere := person("p2", "ada")
		elsewhere.Connection = "beta"
		signedIn := person("p3", "ada")
		signedIn.Provisioned = false
		for _, tc := range []struct {
			name   string
			person directory.Person
			link   string
			want   string
		}{
			{"same userName in other case", person("p9", "ADA"), "", "userName is taken"},
			{"same link, which need not be unique", person("p8", "bob"), "l1", ""},
			{"same name at another connection", elsewhere, "l1", ""},
			{"same name, never pushed", signedIn, "", ""},
		} {
			err := db.Directory().Update(t.Context(), func(tx directory.Tx) error { return tx.InsertPerson(tc.person, tc.link) })
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("%s: %v, want none", tc.name, err)
			case tc.want != "" && (!fault.Is(err, fault.Conflict) || fault.Message(err) != tc.want):
				t.Errorf("%s: %v, want conflict %q", tc.name, err, tc.want)
			}
		}
	})
}

func TestAFailedUpdateLeavesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		boom := fault.New(fault.Invalid, "boom")
		err := db.Directory().Update(t.Context(), func(tx directory.Tx) error {
			return errors.Join(tx.InsertPerson(person("p1", "ada"), ""), boom)
		})
		if !errors.Is(err, boom) {
			t.Fatalf("Update = %v, want boom", err)
		}
		err = db.Directory().View(t.Context(), func(tx directory.Tx) error { _, err := tx.Person("p1"); return err })
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("Person = %v, want not found", err)
		}
	})
}

func TestPagesKeepTheOrderOfCreation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		update(t, db, func(tx directory.Tx) error {
			for i := range 25 {
				if err := tx.InsertPerson(person(fmt.Sprintf("p%02d", 24-i), fmt.Sprintf("u%d", i)), ""); err != nil {
					return err
				}
			}
			return nil
		})
		var got []string
		for offset := 0; offset < 30; offset += 10 {
			err := db.Directory().View(t.Context(), func(tx directory.Tx) error {
				page, err := tx.People(directory.Query{Connection: "alpha", Pushed: true, Offset: offset, Limit: 10})
				if page.Total != 25 {
					t.Errorf("total = %d, want 25", page.Total)
				}
				for _, p := range page.Items {
					got = append(got, p.UserName)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		var want []string
		for i := range 25 {
			want = append(want, fmt.Sprintf("u%d", i))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages (-want +got):\n%s", diff)
		}
	})
}

func TestFiltersFindExactlyTheirRows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		update(t, db, func(tx directory.Tx) error {
			return errors.Join(tx.InsertPerson(person("p1", "Ada"), ""), tx.InsertPerson(person("p2", "ben"), ""))
		})
		for _, tc := range []struct {
			attr, value string
			kind        directory.Kind
			want        int
		}{
			{"userName", "ADA", directory.Folded, 1},
			{"userName", "", directory.Folded, 0},
			{"id", "p1", directory.Exact, 1},
			{"id", "P1", directory.Exact, 0},
			{"externalId", "x-p2", directory.Exact, 1},
			{"externalId", "X-p2", directory.Exact, 0},
			{"email", "BEN@alpha.example", directory.Folded, 1},
			{"userName", `a" or 1=1 --`, directory.Folded, 0},
			{"userName", "a'b", directory.Folded, 0},
		} {
			f := &directory.Filter{Op: directory.And, All: []directory.Filter{{Op: directory.Eq, Attr: directory.Attr{Name: tc.attr, Kind: tc.kind}, Value: tc.value}}}
			err := db.Directory().View(t.Context(), func(tx directory.Tx) error {
				page, err := tx.People(directory.Query{Connection: "alpha", Filter: f})
				if page.Total != tc.want {
					t.Errorf("%s eq %q: %d people, want %d", tc.attr, tc.value, page.Total, tc.want)
				}
				return err
			})
			if err != nil {
				t.Errorf("%s eq %q: %v", tc.attr, tc.value, err)
			}
		}
		err := db.Directory().View(t.Context(), func(tx directory.Tx) error {
			_, err := tx.Groups(directory.Query{Connection: "alpha", Filter: &directory.Filter{Op: directory.Eq, Attr: directory.Attr{Name: "nickName"}, Value: "x"}})
			return err
		})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("unknown attribute: %v, want invalid", err)
		}
	})
}

func TestMembershipIsASetOfRows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		g := directory.Group{ID: "g1", Connection: "alpha", Name: "Desk", Version: 1, Created: start, Modified: start}
		update(t, db, func(tx directory.Tx) error {
			return errors.Join(tx.InsertPerson(person("p1", "ada"), ""), tx.InsertPerson(person("p2", "ben"), ""), tx.InsertGroup(g))
		})
		update(t, db, func(tx directory.Tx) error {
			added, err := tx.AddMembers("g1", []string{"p1", "p2", "p1"}, start)
			if diff := cmp.Diff([]string{"p1", "p2"}, added); diff != "" {
				t.Errorf("added (-want +got):\n%s", diff)
			}
			return err
		})
		update(t, db, func(tx directory.Tx) error {
			removed, err := tx.RemoveMembers("g1", []string{"p2", "p3"}, start)
			if diff := cmp.Diff([]string{"p2"}, removed); diff != "" {
				t.Errorf("removed (-want +got):\n%s", diff)
			}
			return err
		})
		update(t, db, func(tx directory.Tx) error {
			members, err := tx.Members("g1")
			if diff := cmp.Diff([]directory.Member{{ID: "p1", Name: "Name of p1"}}, members); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			groups, err2 := tx.GroupsOf("p1")
			if diff := cmp.Diff([]directory.Group{g}, groups); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
			return errors.Join(err, err2)
		})
		err := db.Directory().Update(t.Context(), func(tx directory.Tx) error {
			other := g
			other.ID, other.Name = "g2", "DESK"
			return tx.InsertGroup(other)
		})
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("same name in other case: %v, want conflict", err)
		}
	})
}

func TestParkedMembersAreClaimedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		g := directory.Group{ID: "g1", Connection: "alpha", Name: "Desk", Version: 1, Created: start, Modified: start}
		update(t, db, func(tx directory.Tx) error {
			if err := tx.InsertGroup(g); err != nil {
				return err
			}
			_, err := tx.Park("g1", []string{"later", "never", "later"})
			return err
		})
		for i, want := range [][]string{{"g1"}, {}} {
			update(t, db, func(tx directory.Tx) error {
				groups, err := tx.ClaimParked("alpha", []string{"later", "other"})
				if len(groups) != len(want) {
					t.Errorf("claim %d = %v, want %v", i, groups, want)
				}
				return err
			})
		}
		update(t, db, func(tx directory.Tx) error {
			groups, err := tx.ClaimParked("beta", []string{"never"})
			if len(groups) != 0 {
				t.Errorf("another connection claimed %v", groups)
			}
			return err
		})
	})
}

func TestABurialIsUndoneWhole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		buried := func(connection, hash string) (yes bool) {
			update(t, db, func(tx directory.Tx) (err error) { yes, err = tx.Buried(connection, []string{hash}); return err })
			return yes
		}
		update(t, db, func(tx directory.Tx) error {
			_, err1 := tx.Bury("alpha", []string{"a", "b"}, start)
			_, err2 := tx.Bury("alpha", []string{"c"}, start)
			_, err3 := tx.Bury("beta", []string{"a"}, start)
			return errors.Join(err1, err2, err3)
		})
		if !buried("alpha", "a") || !buried("alpha", "b") || buried("alpha", "z") {
			t.Error("a burial is not found under each of its hashes and no other")
		}
		update(t, db, func(tx directory.Tx) error { return tx.Unbury("alpha", []string{"b"}) })
		if buried("alpha", "a") || !buried("alpha", "c") || !buried("beta", "a") {
			t.Error("undoing one burial must take all of its hashes and no other burial's")
		}
	})
}

func TestConcurrentUpdatesAllLand(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		first, second := open(), open()
		seed(t, first)
		update(t, first, func(tx directory.Tx) error { return tx.InsertPerson(person("p1", "ada"), "") })
		const each = 20
		var wg sync.WaitGroup
		for _, db := range []*store.DB{first, second} {
			for range each {
				wg.Go(func() {
					err := db.Directory().Update(t.Context(), func(tx directory.Tx) error {
						p, err := tx.Person("p1")
						if err != nil {
							return err
						}
						p.Version++
						return tx.UpdatePerson(p, "")
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		update(t, first, func(tx directory.Tx) error {
			p, err := tx.Person("p1")
			if p.Version != 1+2*each {
				t.Errorf("version = %d, want %d: an update was lost", p.Version, 1+2*each)
			}
			return err
		})
	})
}
