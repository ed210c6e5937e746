package revision_test

import (
	"context"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
	"portcullis/store/storetest"
)

var (
	ada = revision.Signer{Actor: audit.Actor{Kind: "operator", ID: "1001", Name: "ada"}}
	ben = revision.Signer{Actor: audit.Actor{Kind: "operator", ID: "1002", Name: "ben"}}
)

// deny makes everybody of the good mapping stay out.
const deny = "  - id: nobody\n    match: {connection: alpha}\n    deny: {login: true, reason: closed}\n"

func texts(body string) []revision.Text {
	return []revision.Text{{Name: "/somewhere/mapping.yaml", Body: []byte(body)}}
}

// ledger gives a Ledger that asks nobody else, and a clock that moves an hour
// with each look.
func ledger(db *store.DB, c revision.LedgerConfig) *revision.Ledger {
	var mu sync.Mutex
	at := noon
	c.Store, c.Options = db.Revisions(), alpha
	c.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		at = at.Add(time.Hour)
		return at
	}
	return revision.NewLedger(c)
}

func apply(t *testing.T, l *revision.Ledger, body string) revision.Application {
	t.Helper()
	a, fresh, err := l.Apply(t.Context(), ada, texts(body), "because")
	if err != nil || !fresh {
		t.Fatalf("Apply = %v, fresh %t", err, fresh)
	}
	return a
}

func managed(db *store.DB, replica string) *revision.Keeper {
	return revision.New(revision.Config{Store: db.Revisions(), Options: alpha, Replica: replica})
}

func TestReplicasFollowWhatWasAppliedWithinASecond(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		t.Helper()
		l := ledger(open(), revision.LedgerConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		keepers := make([]*revision.Keeper, 2)
		for i, name := range []string{"one", "two"} {
			keepers[i] = managed(open(), name)
			if err := keepers[i].Load(ctx); !fault.Is(err, fault.Unavailable) || keepers[i].Policy() != nil {
				t.Fatalf("Load of an empty database = %v, want that nothing was applied yet", err)
			}
			wg.Go(func() { _ = keepers[i].Run(ctx) })
		}
		everywhere := func(hash string) func() bool {
			return func() bool { return keepers[0].Status().Hash == hash && keepers[1].Status().Hash == hash }
		}
		first := apply(t, l, good)
		took := await(t, "both run the first revision", everywhere(first.Hash))
		if !admits(keepers[0]) || !admits(keepers[1]) {
			t.Error("the first revision admits nobody")
		}
		second := apply(t, l, good+deny)
		took = max(took, await(t, "both run the second revision", everywhere(second.Hash)))
		if admits(keepers[0]) || admits(keepers[1]) {
			t.Error("the second revision still admits")
		}
		back, err := l.Rollback(t.Context(), ben, first.Hash[:12], "too much")
		if err != nil {
			t.Fatal(err)
		}
		took = max(took, await(t, "both are back", everywhere(back.Hash)))
		t.Logf("followed within %s", took)
		if took > 5*time.Second { // a second on an idle machine; loose for a busy one
			t.Errorf("followed within %s", took)
		}
		await(t, "both report the revision that they run", func() bool {
			list, err := l.Replicas(t.Context())
			return err == nil && len(list) == 2 && list[0].ID == "one" && list[0].Hash == back.Hash && list[1].Hash == back.Hash
		})
		cancel()
		wg.Wait()
		if list, err := l.Replicas(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("Replicas after the end = %v, %v, want none", list, err)
		}
	})
}

func TestARestartWithABrokenFileKeepsTheLastGoodRevision(t *testing.T) {
	k, file, db, changes := keeper(t, good)
	if err := k.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, file, "version: 1\nunknown: true\n")
	for _, tc := range []struct{ name, file string }{{"broken", file}, {"missing", file + ".gone"}} {
		again := fileKeeper(db, tc.file, changes)
		if err := again.Load(t.Context()); err == nil {
			t.Errorf("%s: Load = nil, want what is wrong", tc.name)
		}
		if !admits(again) {
			t.Errorf("%s: the last good revision is not in force", tc.name)
		}
		if got := again.Status(); got.Problem == nil || got.Hash != k.Status().Hash {
			t.Errorf("%s: Status = %+v, want the revision before and the problem", tc.name, got)
		}
		again.Check(t.Context())
		again.Check(t.Context())
		if got := again.Status(); got.Problem == nil || !admits(again) {
			t.Errorf("%s: after two looks: %+v", tc.name, got)
		}
		policy, err := revision.Peek(t.Context(), revision.Config{Store: db.Revisions(), File: tc.file, Options: alpha})
		if policy == nil || policy.Hash() != k.Status().Hash || err == nil {
			t.Errorf("%s: Peek = %v, %v, want the last good revision and the problem", tc.name, policy, err)
		}
	}
	write(t, file, good+deny)
	mended := fileKeeper(db, file, changes)
	if err := mended.Load(t.Context()); err != nil || admits(mended) {
		t.Errorf("Load of the mended file = %v, want it in force", err)
	}
}

func TestTheFileIsRecordedOnceForEachChange(t *testing.T) {
	k, file, db, changes := keeper(t, good)
	l := ledger(db, revision.LedgerConfig{})
	load := func(k *revision.Keeper) {
		t.Helper()
		if err := k.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	load(k)
	load(fileKeeper(db, file, changes)) // a restart, or another replica
	write(t, file, good+deny)
	load(k)
	write(t, file, good)
	load(k)
	h, err := l.History(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, a := range h.Applications {
		got = append(got, a.Revision)
		if a.Way != revision.ByFile || a.By != audit.Gate() {
			t.Errorf("application %+v, want by the file, by the gate", a)
		}
	}
	if diff := cmp.Diff([]int64{1, 2, 1}, got); diff != "" {
		t.Errorf("revisions applied (-want +got):\n%s", diff)
	}
	r, _, err := l.Show(t.Context(), "1")
	want := []revision.Text{{Name: filepath.Base(file), Body: []byte(good)}}
	if diff := cmp.Diff(want, r.Texts); err != nil || diff != "" {
		t.Errorf("Show: %v (-want +got):\n%s", err, diff)
	}
}

func TestWhatWasInForceThen(t *testing.T) {
	l := ledger(storetest.SQLite(t), revision.LedgerConfig{})
	one := apply(t, l, good)
	two := apply(t, l, good+deny)
	three, err := l.Rollback(t.Context(), ada, "1", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.At(t.Context(), one.At.Add(-time.Minute)); !fault.Is(err, fault.NotFound) {
		t.Errorf("At before the first = %v, want not found", err)
	}
	for _, want := range []revision.Application{one, two, three} {
		r, a, err := l.At(t.Context(), want.At.Add(time.Minute))
		if diff := cmp.Diff(want, a); err != nil || diff != "" || r.Number != want.Revision || len(r.Texts) != 1 {
			t.Errorf("At %s = revision %d, %v (-want +got):\n%s", want.At, r.Number, err, diff)
		}
	}
}

func TestWhatIsAppliedOverSomethingElseIsAConflict(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		t.Helper()
		// Both have looked at the same revision before either applies: Reach
		// runs in between.
		var both sync.WaitGroup
		both.Add(2)
		var one, two *revision.Ledger
		reach := func(context.Context, *mapping.Policy, *mapping.Policy) (*revision.Counts, error) {
			both.Done()
			both.Wait()
			return &revision.Counts{}, nil
		}
		one, two = ledger(open(), revision.LedgerConfig{Reach: reach}), ledger(open(), revision.LedgerConfig{Reach: reach})
		errs := make(chan error, 2)
		for i, l := range []*revision.Ledger{one, two} {
			go func() {
				_, _, err := l.Apply(t.Context(), ada, texts(good+strings.Repeat("#\n", i)), "")
				errs <- err
			}()
		}
		a, b := <-errs, <-errs
		if a == nil {
			a, b = b, a
		}
		if b != nil || !fault.Is(a, fault.Conflict) || !strings.Contains(fault.Message(a), "came into force meanwhile") {
			t.Errorf("Apply twice at once = %v and %v, want one conflict", a, b)
		}
		h, err := one.History(t.Context(), 10)
		if err != nil || len(h.Applications) != 1 {
			t.Errorf("%d applications, %v, want 1", len(h.Applications), err)
		}
	})
}

func TestApplyAgainChangesNothing(t *testing.T) {
	db := storetest.SQLite(t)
	l := ledger(db, revision.LedgerConfig{})
	want := apply(t, l, good)
	got, fresh, err := l.Apply(t.Context(), ben, texts(good), "again")
	if diff := cmp.Diff(want, got); err != nil || fresh || diff != "" {
		t.Errorf("Apply again: fresh %t, %v (-want +got):\n%s", fresh, err, diff)
	}
	if got := trail(t, db); len(got) != 1 {
		t.Errorf("audit = %v, want one event", got)
	}
}

func TestWhatIsBrokenIsNotRecorded(t *testing.T) {
	db := storetest.SQLite(t)
	l := ledger(db, revision.LedgerConfig{})
	bad := strings.Replace(good, "[viewer]", "[veiwer]", 1)
	failing := good + "tests:\n  - {name: nobody, given: {connection: alpha}, expect: {login: deny}}\n"
	for _, body := range []string{bad, failing, strings.ReplaceAll(good, "alpha", "beta")} {
		_, _, err := l.Apply(t.Context(), ada, texts(body), "")
		if _, ok := errors.AsType[mapping.Problems](err); !ok || !strings.Contains(err.Error(), "/somewhere/mapping.yaml:") {
			t.Errorf("Apply = %v, want problems with their places", err)
		}
		if _, err := l.Propose(t.Context(), ada, texts(body), "r"); err == nil {
			t.Error("Propose of a broken mapping = nil")
		}
	}
	if got := trail(t, db); len(got) != 0 {
		t.Errorf("audit = %v, want nothing", got)
	}
	for _, reason := range []string{"a\x00b", "\xff", strings.Repeat("x", 1001)} {
		if _, _, err := l.Apply(t.Context(), ada, texts(good), reason); err == nil {
			t.Errorf("Apply with reason %.5q = nil", reason)
		}
	}
}

func TestRollbackGoesToWhatWasInForce(t *testing.T) {
	db := storetest.SQLite(t)
	l := ledger(db, revision.LedgerConfig{})
	apply(t, l, good)
	apply(t, l, good+deny)
	p, err := l.Propose(t.Context(), ada, texts(good+"# waits\n"), "later")
	if err != nil {
		t.Fatal(err)
	}
	for ref, kind := range map[string]fault.Kind{
		"2": fault.Conflict, p.Hash: fault.Conflict, "9": fault.NotFound, "abcdefabcdef": fault.NotFound, "x": fault.Invalid, "-1": fault.Invalid, "": fault.Invalid,
	} {
		if _, err := l.Rollback(t.Context(), ada, ref, ""); !fault.Is(err, kind) {
			t.Errorf("Rollback(%q) = %v, want %v", ref, err, kind)
		}
	}
	a, err := l.Rollback(t.Context(), ben, "1", "closed by mistake")
	if err != nil || a.Revision != 1 || a.Way != revision.ByRollback || a.Base != 2 || a.By != ben.Actor || a.Reason != "closed by mistake" {
		t.Errorf("Rollback = %+v, %v", a, err)
	}
	if got := trail(t, db); got[len(got)-1] != string(audit.MappingRolledBack) {
		t.Errorf("audit = %v, want a rollback at the end", got)
	}
}

func TestWhereTheFileOwnsTheMappingTheToolsDoNot(t *testing.T) {
	k, file, db, _ := keeper(t, good)
	if err := k.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := ledger(db, revision.LedgerConfig{File: file})
	refused := map[string]error{}
	_, refused["propose"] = l.Propose(t.Context(), ada, texts(good), "r")
	_, refused["approve"] = l.Approve(t.Context(), ben, k.Status().Hash)
	_, _, refused["apply"] = l.Apply(t.Context(), ada, texts(good+deny), "")
	_, _, refused["apply a hash"] = l.ApplyKnown(t.Context(), ada, k.Status().Hash, "")
	_, refused["rollback"] = l.Rollback(t.Context(), ada, "1", "")
	for what, err := range refused {
		if !fault.Is(err, fault.Forbidden) || !strings.Contains(fault.Message(err), file) {
			t.Errorf("%s = %v, want that the file owns the mapping", what, err)
		}
	}
	if h, err := l.History(t.Context(), 9); err != nil || len(h.Applications) != 1 {
		t.Errorf("History = %+v, %v, want the file's application", h, err)
	}
	if r, applied, err := l.Show(t.Context(), k.Status().Hash); err != nil || r.Number != 1 || len(applied) != 1 {
		t.Errorf("Show = %+v, %v", r, err)
	}
}

func TestATextThatWasAlteredInTheDatabaseIsNotInForce(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		t.Helper()
		db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		apply(t, ledger(db, revision.LedgerConfig{}), good+deny)
		altered := "X'" + hex.EncodeToString([]byte(good)) + "'"
		if strings.HasPrefix(databaseURL, "postgres") {
			altered = "decode('" + hex.EncodeToString([]byte(good)) + "', 'hex')"
		}
		if _, err := storetest.Raw(t, databaseURL).ExecContext(t.Context(), "UPDATE mapping_texts SET body = "+altered); err != nil {
			t.Fatal(err)
		}
		k := managed(db, "")
		if err := k.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "was altered in the database") || k.Policy() != nil {
			t.Errorf("Load = %v, want that the text was altered, and nothing in force", err)
		}
		l := ledger(db, revision.LedgerConfig{})
		apply(t, l, good+"# in between\n")
		if _, err := l.Rollback(t.Context(), ada, "1", ""); err == nil || !strings.Contains(err.Error(), "was altered in the database") {
			t.Errorf("Rollback = %v, want that the text was altered", err)
		}
		if k.Check(t.Context()); !admits(k) {
			t.Errorf("Status after another was applied = %+v", k.Status())
		}
	})
}
