package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/revision"
	"portcullis/store"
	"portcullis/store/storetest"
)

var ada = audit.Actor{Kind: "operator", ID: "1001", Name: "ada"}

func revise(t *testing.T, db *store.DB, f func(revision.Tx) error) {
	t.Helper()
	if err := db.Revisions().Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// brought makes a revision of some texts.
func brought(bodies ...string) revision.Revision {
	r := revision.Revision{Author: ada, Reason: "because", Created: start, Tests: revision.Tests{Ran: 3}}
	for i, b := range bodies {
		r.Texts = append(r.Texts, revision.Text{Name: fmt.Sprintf("%d.yaml", i), Body: []byte(b)})
	}
	r.Hash = revision.Hash(r.Texts)
	return r
}

func TestRevisionSurvivesARoundTripAndIsKeptOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		want := brought("base", "", "fragment\x00\xff")
		revise(t, db, func(tx revision.Tx) error {
			got, err := tx.InsertRevision(want)
			want.Number = got.Number
			return err
		})
		if want.Number != 1 {
			t.Errorf("Number = %d, want 1", want.Number)
		}
		again := brought("base", "", "fragment\x00\xff")
		again.Author.Name, again.Reason = "ben", "another reason"
		revise(t, db, func(tx revision.Tx) error {
			got, err := tx.InsertRevision(again)
			if got.Number != 1 || got.Author != ada || got.Reason != "because" {
				t.Errorf("the second insert gave %+v, want the first", got)
			}
			if other, err2 := tx.InsertRevision(brought("other")); err2 != nil || other.Number != 2 {
				t.Errorf("InsertRevision = %+v, %v, want number 2", other, err2)
			}
			return err
		})
		err := db.Revisions().View(t.Context(), func(tx revision.Tx) error {
			got, err := tx.Revision(1)
			for i := range got.Texts {
				if got.Texts[i].Body == nil {
					t.Errorf("text %d is nil", i)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Revision (-want +got):\n%s", diff)
			}
			for prefix, n := range map[string]int{want.Hash: 1, want.Hash[:12]: 1, "": 2, "zz": 0, "%": 0} {
				if found, err := tx.RevisionsByHash(prefix); err != nil || len(found) != n {
					t.Errorf("RevisionsByHash(%q) = %d revisions, %v, want %d", prefix, len(found), err, n)
				}
			}
			if _, err := tx.Revision(9); !fault.Is(err, fault.NotFound) {
				t.Errorf("Revision(9) = %v, want not found", err)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestHeadIsTheNewestApplicationAndHistoryKnowsThem(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		if head, err := db.Revisions().Head(t.Context()); err != nil || head.Seq != 0 {
			t.Fatalf("Head of an empty database = %+v, %v, want none", head, err)
		}
		var want []revision.Application
		for i, body := range []string{"one", "two", "one"} {
			revise(t, db, func(tx revision.Tx) error {
				r, err := tx.InsertRevision(brought(body))
				if err != nil {
					return err
				}
				a := revision.Application{
					At: start.Add(time.Duration(i) * time.Hour), Revision: r.Number, Hash: r.Hash, Way: revision.ByApply, Base: int64(i), By: ada, Reason: "r",
				}
				if i == 1 {
					a.Way, a.Counts, a.Proposal = revision.ByRollback, &revision.Counts{People: 9, Changed: 5, Gained: 4, Lost: 3, LetIn: 2, ShutOut: 1}, 7
				}
				a, err = tx.InsertApplication(a)
				want = append(want, a)
				return err
			})
		}
		head, err := db.Revisions().Head(t.Context())
		if diff := cmp.Diff(want[2], head); err != nil || diff != "" {
			t.Errorf("Head: %v (-want +got):\n%s", err, diff)
		}
		err = db.Revisions().View(t.Context(), func(tx revision.Tx) error {
			check := func(what string, got, want []revision.Application, err error) {
				t.Helper()
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("%s: %v (-want +got):\n%s", what, err, diff)
				}
			}
			got, err := tx.Applications(0, 2)
			check("newest two", got, []revision.Application{want[2], want[1]}, err)
			got, err = tx.ApplicationsBefore(want[2].Seq, 1)
			check("before the newest", got, []revision.Application{want[1]}, err)
			got, err = tx.ApplicationsBefore(want[0].Seq, 9)
			check("before the first", got, []revision.Application{}, err)
			got, err = tx.Applications(1, 9)
			check("of revision 1", got, []revision.Application{want[2], want[0]}, err)
			for at, n := range map[time.Duration]int64{-time.Second: 0, 0: 1, time.Minute: 1, time.Hour: 2, 3 * time.Hour: 3} {
				if a, err := tx.ApplicationAt(start.Add(at)); err != nil || a.Seq != n {
					t.Errorf("ApplicationAt(+%s) = %d, %v, want %d", at, a.Seq, err, n)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestProposalIsApprovedOnceAndClosed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		author := revision.Signer{Actor: ada, Login: "1001"}
		ben := revision.Signer{Actor: audit.Actor{Kind: "operator", ID: "1002", Name: "ben"}, Login: "1002"}
		want := revision.Proposal{
			At: start, Base: 0, Author: author, Reason: "why", Needs: []string{"a", "b"}, Counts: &revision.Counts{People: 2},
		}
		revise(t, db, func(tx revision.Tx) error {
			r, err := tx.InsertRevision(brought("text"))
			if err != nil {
				return err
			}
			if _, err := tx.OpenProposal(r.Number); !fault.Is(err, fault.NotFound) {
				t.Errorf("OpenProposal = %v, want not found", err)
			}
			want.Revision, want.Hash = r.Number, r.Hash
			older, err := tx.InsertProposal(want)
			if err != nil || older.Seq != 1 {
				t.Errorf("InsertProposal = %d, %v", older.Seq, err)
			}
			want, err = tx.InsertProposal(want)
			return err
		})
		want.Approved, want.Approver = start.Add(time.Minute), ben
		revise(t, db, func(tx revision.Tx) error { return tx.Approve(want.Seq, ben, want.Approved) })
		err := db.Revisions().Update(t.Context(), func(tx revision.Tx) error { return tx.Approve(want.Seq, ben, start) })
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("a second Approve = %v, want conflict", err)
		}
		revise(t, db, func(tx revision.Tx) error {
			got, err := tx.OpenProposal(want.Revision)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("OpenProposal: %v (-want +got):\n%s", err, diff)
			}
			all, err := tx.OpenProposals(want.Seq+1, 9)
			if diff := cmp.Diff([]revision.Proposal{want}, all); err != nil || diff != "" {
				t.Errorf("OpenProposals: %v (-want +got):\n%s", err, diff)
			}
			return tx.CloseProposals(want.Revision, 1)
		})
		revise(t, db, func(tx revision.Tx) error {
			if all, err := tx.OpenProposals(want.Seq+1, 9); err != nil || len(all) > 0 {
				t.Errorf("OpenProposals after closing = %v, %v", all, err)
			}
			return nil
		})
	})
}

func TestWritersOfRevisionsComeOneAtATime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		const each = 10
		var wg sync.WaitGroup
		for i, db := range dbs {
			wg.Go(func() {
				for n := range each {
					err := db.Revisions().Update(t.Context(), func(tx revision.Tx) error {
						head, err := tx.Head()
						if err != nil {
							return err
						}
						r, err := tx.InsertRevision(brought(fmt.Sprint(i, n)))
						if err != nil {
							return err
						}
						a, err := tx.InsertApplication(revision.Application{At: start, Revision: r.Number, Way: revision.ByApply, Base: head.Seq})
						if err == nil && a.Seq != head.Seq+1 {
							t.Errorf("application %d over %d", a.Seq, head.Seq)
						}
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		head, err := dbs[0].Revisions().Head(t.Context())
		if err != nil || head.Seq != 2*each || head.Revision != 2*each {
			t.Errorf("Head = %+v, %v, want application and revision %d", head, err, 2*each)
		}
	})
}

func TestReplicasReportAndAreForgotten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		s := open().Revisions()
		put := func(r revision.Replica) {
			t.Helper()
			if err := s.PutReplica(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		check := func(want ...revision.Replica) {
			t.Helper()
			got, err := s.Replicas(t.Context())
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("Replicas: %v (-want +got):\n%s", err, diff)
			}
		}
		old := revision.Replica{ID: "a", Hash: "x", Since: start, Seen: start}
		put(old)
		now := revision.Replica{ID: "b", Problem: strings.Repeat("é", 300), Seen: start.Add(23 * time.Hour)}
		put(now)
		check(old, now)
		now.Hash, now.Problem, now.Since, now.Seen = "y", "", start, start.Add(25*time.Hour)
		put(now)
		check(now)
		if err := s.DeleteReplica(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Replicas(t.Context()); err != nil || len(got) > 0 {
			t.Errorf("Replicas = %v, %v, want none", got, err)
		}
	})
}

func TestAFragmentsHistoryIsWhatItsTextWas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		t.Helper()
		db := open()
		base := revision.Text{Name: "mapping.yaml", Body: []byte("base")}
		one := func(body string) revision.Text {
			return revision.Text{Name: "one.yaml", Connection: "one", Body: []byte(body)}
		}
		hash := func(t revision.Text) string { return revision.Hash([]revision.Text{t}) }
		bring := func(part int64, texts ...revision.Text) {
			t.Helper()
			revise(t, db, func(tx revision.Tx) error {
				r, err := tx.InsertRevision(revision.Revision{Hash: revision.Hash(texts), Texts: texts, Author: ada, Created: start})
				if err != nil {
					return err
				}
				head, err := tx.Head()
				if err != nil {
					return err
				}
				_, err = tx.InsertApplication(revision.Application{
					At: start, Revision: r.Number, Way: revision.ByApply, Base: head.Seq, By: ada, Part: part,
				})
				return err
			})
		}
		revise(t, db, func(tx revision.Tx) error {
			_, err := tx.InsertRevision(revision.Revision{
				Hash: hash(one("b")), Texts: []revision.Text{one("b")}, Fragment: "one", Author: ada, Created: start,
			})
			return err
		})
		bring(0, base)
		bring(0, base, one("a"))
		bring(1, base, one("b"))
		bring(0, base, one("b"), revision.Text{Name: "two.yaml", Connection: "two", Body: []byte("x")})
		bring(0, base)
		revise(t, db, func(tx revision.Tx) error {
			if err := tx.FillCounts(3, revision.Counts{People: 7}); err != nil {
				return err
			}
			return tx.FillCounts(3, revision.Counts{People: 8})
		})
		err := db.Revisions().View(t.Context(), func(tx revision.Tx) error {
			list, err := tx.FragmentApplications("one", 9)
			if err != nil {
				return err
			}
			var got []string
			for _, a := range list {
				got = append(got, fmt.Sprintf("%d: %d %.8s %s", a.Seq, a.Revision, a.Hash, a.Fragment))
			}
			want := []string{"5: 0  one", fmt.Sprintf("3: 1 %.8s one", hash(one("b"))), fmt.Sprintf("2: 0 %.8s one", hash(one("a")))}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("FragmentApplications (-want +got):\n%s", diff)
			}
			if c := list[1].Counts; c == nil || c.People != 7 {
				t.Errorf("Counts = %+v, want those that were filled in first", c)
			}
			all, err := tx.Applications(0, 9)
			if err != nil || len(all) != 5 || all[2].Fragment != "one" || all[2].Part != 1 || all[0].Fragment != "" {
				t.Errorf("Applications = %+v, %v", all, err)
			}
			contents, err := tx.Contents(4)
			if err != nil {
				return err
			}
			texts := []revision.Content{
				{Name: "mapping.yaml", Hash: hash(base)},
				{Name: "one.yaml", Connection: "one", Hash: hash(one("b"))},
				{Name: "two.yaml", Connection: "two", Hash: hash(revision.Text{Body: []byte("x")})},
			}
			if diff := cmp.Diff(texts, contents); diff != "" {
				t.Errorf("Contents (-want +got):\n%s", diff)
			}
			r, err := tx.Revision(1)
			if err == nil && (r.Fragment != "one" || r.Texts[0].Connection != "one") {
				t.Errorf("Revision = %+v, want the fragment of one", r)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
