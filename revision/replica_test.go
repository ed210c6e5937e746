package revision_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store/storetest"
)

func TestAReplicaKeepsWhatItHasWhenTheNewOneIsBrokenThere(t *testing.T) {
	db := storetest.SQLite(t)
	both := revision.NewLedger(revision.LedgerConfig{Store: db.Revisions(), Options: mapping.Options{Connections: []string{"alpha", "beta"}}})
	if _, _, err := both.Apply(t.Context(), ada, texts(good), ""); err != nil {
		t.Fatal(err)
	}
	k := managed(db, "one") // knows alpha alone
	if err := k.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := k.Status().Hash
	a, _, err := both.Apply(t.Context(), ada, texts(strings.Replace(good, "{alpha: {ceiling: unrestricted}}", "{alpha: {ceiling: unrestricted}, beta: {ceiling: unrestricted}}", 1)), "")
	if err != nil {
		t.Fatal(err)
	}
	k.Check(t.Context())
	k.Check(t.Context())
	if got := k.Status(); got.Hash != before || got.Problem == nil || !admits(k) {
		t.Errorf("Status = %+v, want the revision before and the problem", got)
	}
	list, err := both.Replicas(t.Context())
	if err != nil || len(list) != 1 || list[0].Hash != before || !strings.Contains(list[0].Problem, "beta") {
		t.Errorf("Replicas = %+v, %v, want that one runs %s and why", list, err, before)
	}
	if got := trail(t, db); got[len(got)-1] != string(audit.MappingRefused) || len(got) != 3 {
		t.Errorf("audit = %v, want one refusal", got)
	}
	// A restart there has nothing good: what was good before is not what is in
	// force.
	if k := managed(db, ""); k.Load(t.Context()) == nil || k.Policy() != nil {
		t.Error("a revision that is broken here is in force after a restart")
	}
	if _, err := both.Rollback(t.Context(), ada, "1", ""); err != nil {
		t.Fatal(err)
	}
	k.Check(t.Context())
	if got := k.Status(); got.Problem != nil || got.Hash == a.Hash {
		t.Errorf("Status after the rollback = %+v", got)
	}
}

func TestAKeeperRecordsLaterWhatTheDatabaseMissed(t *testing.T) {
	file := t.TempDir() + "/mapping.yaml"
	write(t, file, good)
	db := storetest.SQLite(t)
	away := &awayStore{Store: db.Revisions(), away: true}
	k := revision.New(revision.Config{Store: away, File: file, Options: alpha, Now: func() time.Time { return noon }})
	if err := k.Load(t.Context()); err != nil || !admits(k) {
		t.Fatalf("Load = %v, want the file in force though the database is away", err)
	}
	k.Check(t.Context())
	if got := trail(t, db); len(got) != 0 {
		t.Fatalf("audit = %v, want none yet", got)
	}
	away.away = false
	k.Check(t.Context())
	k.Check(t.Context())
	if got := strings.Join(trail(t, db), " "); got != "mapping.applied" {
		t.Errorf("audit = %s, want the application once", got)
	}
	if h, err := ledger(db, revision.LedgerConfig{}).History(t.Context(), 9); err != nil || len(h.Applications) != 1 || !h.Applications[0].At.Equal(noon) {
		t.Errorf("History = %+v, %v", h, err)
	}
}

// awayStore is a store whose database is away at times.
type awayStore struct {
	revision.Store
	away bool
}

func (s *awayStore) Update(ctx context.Context, f func(revision.Tx) error) error {
	if s.away {
		return fault.New(fault.Unavailable, "the database is away")
	}
	return s.Store.Update(ctx, f)
}

func (s *awayStore) Head(ctx context.Context) (revision.Application, error) {
	if s.away {
		return revision.Application{}, fault.New(fault.Unavailable, "the database is away")
	}
	return s.Store.Head(ctx)
}

func TestADatabaseThatIsAwayLeavesTheRevisionInForce(t *testing.T) {
	db := storetest.SQLite(t)
	apply(t, ledger(db, revision.LedgerConfig{}), good)
	changes := 0
	away := &awayStore{Store: db.Revisions()}
	k := revision.New(revision.Config{Store: away, Options: alpha, Changed: func(context.Context) { changes++ }})
	if err := k.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	away.away = true
	k.Check(t.Context())
	if k.Status().Problem == nil || !admits(k) {
		t.Error("without a database: want the revision in force, and the problem")
	}
	away.away = false
	k.Check(t.Context())
	if got := k.Status(); got.Problem != nil || changes != 1 {
		t.Errorf("Status = %+v after %d changes, want no problem and one change", got, changes)
	}
}
