package revision_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
	"portcullis/store/storetest"
)

const good = `version: 1
connections: {alpha: {ceiling: unrestricted}}
roles: {viewer: {tasks: [report.view]}}
rules:
  - id: everybody
    match: {connection: alpha}
    grant: {roles: [viewer]}
`

// trail gives the actions of the audit trail, oldest first.
func trail(t *testing.T, db *store.DB) (out []string) {
	t.Helper()
	err := db.Audit().Walk(t.Context(), func(e audit.Event, _ audit.Seal) error {
		out = append(out, string(e.Action))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// keeper gives a Keeper over a file with a text, and a counter of changes.
func keeper(t *testing.T, text string) (k *revision.Keeper, file string, db *store.DB, changes *int) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "mapping.yaml")
	write(t, file, text)
	db, changes = storetest.SQLite(t), new(int)
	return fileKeeper(db, file, changes), file, db, changes
}

func fileKeeper(db *store.DB, file string, changes *int) *revision.Keeper {
	return revision.New(revision.Config{
		Store: db.Revisions(), File: file, Options: alpha, Changed: func(context.Context) { *changes++ },
		Now: func() time.Time { return noon },
	})
}

// alpha is a configuration with one connection.
var alpha = mapping.Options{Connections: []string{"alpha"}}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func admits(k *revision.Keeper) bool {
	p := k.Policy()
	return p != nil && p.Evaluate(&mapping.Facts{Connection: "alpha"}, time.Time{}).Login
}

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

func TestABrokenFileLeavesTheLastGoodRevisionInForce(t *testing.T) {
	k, file, db, changes := keeper(t, good)
	if err := k.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := k.Status()
	write(t, file, strings.Replace(good, "[viewer]", "[veiwer]", 1))
	k.Check(t.Context())
	k.Check(t.Context())
	if !admits(k) {
		t.Error("the last good revision is not in force")
	}
	got := k.Status()
	if got.Problem == nil || !strings.Contains(got.Problem.Error(), "mapping.yaml:7:") {
		t.Errorf("Problem = %v, want the place of the mistake", got.Problem)
	}
	if got.Hash != before.Hash {
		t.Errorf("Hash = %s, want %s", got.Hash, before.Hash)
	}
	if want := "mapping.applied mapping.refused"; strings.Join(trail(t, db), " ") != want {
		t.Errorf("audit = %v, want %s", trail(t, db), want)
	}
	if *changes != 1 {
		t.Errorf("changes = %d, want 1", *changes)
	}
	write(t, file, good+"# mended\n")
	k.Check(t.Context())
	k.Check(t.Context())
	if got := k.Status(); got.Problem != nil || got.Hash == before.Hash {
		t.Errorf("after the mend: %+v", got)
	}
}

func TestAChangeCountsWhenTwoReadsAgree(t *testing.T) {
	k, file, _, changes := keeper(t, good)
	if err := k.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	deny := "  - id: nobody\n    match: {connection: alpha}\n    deny: {login: true, reason: closed}\n"
	// The file is being written: what is there so far is a good file, too, but
	// not the one that was meant.
	write(t, file, good+"# half")
	k.Check(t.Context())
	write(t, file, good+deny)
	k.Check(t.Context())
	if *changes != 1 {
		t.Fatal("a text that was seen once is in force")
	}
	k.Check(t.Context())
	if admits(k) || *changes != 2 {
		t.Errorf("admits = %t, changes = %d after two equal reads, want false and 2", admits(k), *changes)
	}
	k.Check(t.Context())
	k.Check(t.Context())
	if *changes != 2 {
		t.Errorf("changes = %d for an unchanged file, want 2", *changes)
	}
}

func TestAFileThatIsReplacedOrMissing(t *testing.T) {
	k, file, db, _ := keeper(t, good)
	if err := k.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	k.Check(t.Context())
	k.Check(t.Context())
	if !admits(k) || k.Status().Problem == nil {
		t.Error("a missing file must leave the revision in force and be reported")
	}
	other := file + ".new"
	write(t, other, good) // the same text comes back under another inode
	if err := os.Rename(other, file); err != nil {
		t.Fatal(err)
	}
	k.Check(t.Context())
	k.Check(t.Context())
	if got := k.Status(); got.Problem != nil {
		t.Errorf("Problem = %v after the file came back, want none", got.Problem)
	}
	if got := trail(t, db); len(got) != 1 {
		t.Errorf("audit = %v, want mapping.applied once: the same text came back", got)
	}
}

func TestWithoutAGoodRevisionNothingIsInForce(t *testing.T) {
	k, _, _, _ := keeper(t, "version: 1\nunknown: true\n")
	if err := k.Load(t.Context()); err == nil {
		t.Fatal("Load = nil, want the problems")
	}
	if k.Policy() != nil {
		t.Error("a broken file is in force")
	}
}

func TestRunSeesAChange(t *testing.T) {
	k, file, _, _ := keeper(t, good)
	if err := k.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := k.Status().Hash
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	write(t, file, good+"# more\n")
	await(t, "the change is in force", func() bool { return k.Status().Hash != before })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// await polls until something holds, and says how long that took.
func await(t *testing.T, what string, holds func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatal("after 20 s it does not hold that " + what)
		case <-tick.C:
		}
	}
	return time.Since(begin)
}
