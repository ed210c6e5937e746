package directory_test

import (
	"fmt"
	"testing"
	"time"

	"portcullis/directory"
	"portcullis/store/storetest"
)

// BenchmarkStandings reads everybody, now and in the past. Bytes for each
// person are to stay the same however many there are.
func BenchmarkStandings(b *testing.B) {
	for _, people := range []int{1_000, 10_000} {
		r := newRig(b, storetest.SQLite(b))
		then := r.now
		r.update(func(tx directory.Tx) error { return crowd(tx, people, r.now) })
		for name, at := range map[string]time.Time{"now": {}, "then": then.Add(time.Minute)} {
			b.Run(fmt.Sprintf("%s/%d", name, people), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					n := 0
					if err := r.Standings(b.Context(), at, func(directory.Standing) error { n++; return nil }); err != nil || n != people {
						b.Fatalf("%d people, %v", n, err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*people), "µs/person")
			})
		}
	}
}

// crowd makes people with a past: a sign-in, a group that they left and one
// that they are in, another name.
func crowd(tx directory.Tx, people int, at time.Time) error {
	groups := []string{"g1", "g2"}
	for _, g := range groups {
		if err := tx.InsertGroup(directory.Group{ID: g, Connection: "alpha", Name: g, Version: 1, Created: at, Modified: at}); err != nil {
			return err
		}
	}
	ids := make([]string, people)
	for i := range ids {
		ids[i] = fmt.Sprintf("%036d", i)
		p := directory.Person{
			ID: ids[i], Connection: "alpha", Organization: "Alpha", UserName: ids[i], Name: "Name", Provisioned: true, IDPActive: true,
			Attributes: []byte(`{"userName":"someone","title":"Analyst"}`), Version: 1, Created: at, Modified: at,
		}
		if err := tx.InsertPerson(p, ""); err != nil {
			return err
		}
		a := says(ids[i])
		a.Received = at
		if _, err := tx.InsertAssertion(p.ID, a); err != nil {
			return err
		}
		p.Version, p.Name, p.Modified = 2, "Another", at.Add(time.Hour)
		if err := tx.UpdatePerson(p, ""); err != nil {
			return err
		}
	}
	for _, g := range groups {
		if _, err := tx.AddMembers(g, ids, at); err != nil {
			return err
		}
	}
	_, err := tx.RemoveMembers("g1", ids, at.Add(time.Hour))
	return err
}
