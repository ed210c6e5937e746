package revision_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
	"portcullis/store/storetest"
)

func touches(changed, people int) revision.Reach {
	return func(context.Context, *mapping.Policy, *mapping.Policy) (*revision.Counts, error) {
		return &revision.Counts{People: people, Changed: changed}, nil
	}
}

func TestWhatNeedsAnApproval(t *testing.T) {
	five, zero := 5.0, 0.0
	none := strings.Replace(good, "roles: {", "roles: {admin: {tasks: [lock], privileged: true}, ", 1)
	grant := none + "  - id: desk\n    match: {connection: alpha, groups: [{name: SG-Admins}]}\n    grant: {roles: [admin]}\n"
	wider := strings.Replace(grant, "SG-Admins", "SG-*", 1)
	ceiling := strings.Replace(none, "ceiling: unrestricted", "ceiling: {roles: [viewer]}", 1)
	privileged := revision.Approval{Privileged: true}
	over := revision.Approval{PeopleOver: &five}
	for _, tc := range []struct {
		name          string
		approval      revision.Approval
		before, after string
		reach         revision.Reach
		want          []string
	}{
		{name: "nothing asked", before: none, after: grant},
		{name: "always", approval: revision.Approval{Always: true}, before: none, after: none + "#\n", want: []string{"every change"}},
		{name: "grant added", approval: privileged, before: none, after: grant, want: []string{"new: rule desk of connection alpha grants privileged role admin"}},
		{name: "grant widened", approval: privileged, before: grant, after: wider, want: []string{"changed: rule desk"}},
		{name: "grant gone", approval: privileged, before: grant, after: none, want: []string{"gone: rule desk"}},
		{name: "grant as before", approval: privileged, before: grant, after: grant + "#\n"},
		{name: "ceiling changed", approval: privileged, before: none, after: ceiling, want: []string{"changed: ceiling of connection alpha"}},
		{name: "ordinary", approval: privileged, before: none, after: strings.Replace(none, "report.view", "report.list", 1)},
		{name: "the first one", approval: privileged, after: good, want: []string{"new: ceiling of connection alpha"}},
		{name: "five of a hundred", approval: over, before: none, after: grant, reach: touches(5, 100)},
		{name: "six of a hundred", approval: over, before: none, after: grant, reach: touches(6, 100), want: []string{"6 of 100 people, more than 5 %"}},
		{name: "nobody of nobody", approval: over, before: none, after: grant, reach: touches(0, 0)},
		{name: "one of a million over nothing", approval: revision.Approval{PeopleOver: &zero}, before: none, after: grant, reach: touches(1, 1e6), want: []string{"1 of 1000000"}},
		{name: "people unknown", approval: over, before: none, after: grant, want: []string{"not known"}},
		{name: "both", approval: revision.Approval{Privileged: true, PeopleOver: &five}, before: none, after: grant, reach: touches(9, 10), want: []string{"new: ", "9 of 10"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			db := storetest.SQLite(t)
			if tc.before != "" {
				apply(t, ledger(db, revision.LedgerConfig{}), tc.before)
			}
			l := ledger(db, revision.LedgerConfig{Approval: tc.approval, Reach: tc.reach})
			p, err := l.Propose(t.Context(), ada, texts(tc.after), "r")
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Needs) != len(tc.want) {
				t.Fatalf("Needs = %q, want %q", p.Needs, tc.want)
			}
			for i, want := range tc.want {
				if !strings.Contains(p.Needs[i], want) {
					t.Errorf("Needs[%d] = %q, want %q in it", i, p.Needs[i], want)
				}
			}
			_, fresh, err := l.ApplyKnown(t.Context(), ada, p.Hash, "")
			if needs := len(tc.want) > 0; needs != fault.Is(err, fault.Forbidden) || needs == fresh {
				t.Errorf("Apply = %v, fresh %t, want it refused: %t", err, fresh, needs)
			}
		})
	}
}

func TestCountingTakesItsTimeOnlyWhereAnApprovalHangsOnIt(t *testing.T) {
	never := func(ctx context.Context, _, _ *mapping.Policy) (*revision.Counts, error) {
		<-ctx.Done()
		return nil, fault.New(fault.Unavailable, "the database did not answer")
	}
	l := ledger(storetest.SQLite(t), revision.LedgerConfig{Reach: never, Patience: time.Millisecond})
	if a := apply(t, l, good); a.Counts != nil {
		t.Errorf("Counts = %+v, want none", a.Counts)
	}
	zero := 0.0
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	l = ledger(storetest.SQLite(t), revision.LedgerConfig{Reach: never, Patience: time.Millisecond, Approval: revision.Approval{PeopleOver: &zero}})
	if _, _, err := l.Apply(ctx, ada, texts(good), ""); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Apply = %v, want that counting failed", err)
	}
}

// four asks for four eyes.
func four(db *store.DB) *revision.Ledger {
	return ledger(db, revision.LedgerConfig{Approval: revision.Approval{Always: true}})
}

func TestTwoPeopleBringARevisionIntoForce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		t.Helper()
		db := open()
		l := four(db)
		if _, _, err := l.Apply(t.Context(), ada, texts(good), ""); !fault.Is(err, fault.Forbidden) || !strings.Contains(fault.Message(err), "propose it first") {
			t.Errorf("Apply of what nobody proposed = %v, want forbidden", err)
		}
		p, err := l.Propose(t.Context(), ada, texts(good), "the first one")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := l.Propose(t.Context(), ada, texts(good), "again"); err != nil || again.Seq != p.Seq {
			t.Errorf("Propose again = %d, %v, want the same proposal", again.Seq, err)
		}
		if _, err := l.Propose(t.Context(), ben, texts(good), "mine"); !fault.Is(err, fault.Conflict) {
			t.Errorf("Propose by another = %v, want conflict", err)
		}
		if _, _, err := l.ApplyKnown(t.Context(), ada, p.Hash, ""); !fault.Is(err, fault.Forbidden) || !strings.Contains(fault.Message(err), "not approved") {
			t.Errorf("Apply of what nobody approved = %v, want forbidden", err)
		}
		approved, err := l.Approve(t.Context(), ben, p.Hash)
		if err != nil || approved.Approver != ben || approved.Approved.IsZero() {
			t.Fatalf("Approve = %+v, %v", approved, err)
		}
		if _, err := l.Approve(t.Context(), ben, p.Hash); !fault.Is(err, fault.Conflict) {
			t.Errorf("Approve again = %v, want conflict", err)
		}
		if _, _, err := l.Apply(t.Context(), ada, texts(good+"#\n"), ""); !fault.Is(err, fault.Forbidden) {
			t.Errorf("Apply of another text = %v, want forbidden: the approval is for the hash", err)
		}
		a, _, err := l.Apply(t.Context(), ada, texts(good), "")
		if err != nil || a.Proposal != p.Seq || a.Reason != "the first one" {
			t.Errorf("Apply = %+v, %v, want the proposal carried out", a, err)
		}
		want := "mapping.refused mapping.proposed mapping.refused mapping.approved mapping.refused mapping.applied"
		if got := strings.Join(trail(t, db), " "); got != want {
			t.Errorf("audit = %s, want %s", got, want)
		}
	})
}

func TestAnApprovalIsForOneBaseAndUsedOnce(t *testing.T) {
	db := storetest.SQLite(t)
	l := four(db)
	bring := func(body string) revision.Application {
		t.Helper()
		p, err := l.Propose(t.Context(), ada, texts(body), "r")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Approve(t.Context(), ben, p.Hash); err != nil {
			t.Fatal(err)
		}
		a, _, err := l.ApplyKnown(t.Context(), ada, p.Hash, "")
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := bring(good)
	// Approved over the first, overtaken by the second.
	late, err := l.Propose(t.Context(), ada, texts(good+"# late\n"), "r")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Approve(t.Context(), ben, late.Hash); err != nil {
		t.Fatal(err)
	}
	unapproved, err := l.Propose(t.Context(), ada, texts(good+"# unapproved\n"), "r")
	if err != nil {
		t.Fatal(err)
	}
	bring(good + deny)
	if _, _, err := l.ApplyKnown(t.Context(), ada, late.Hash, ""); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Message(err), "propose it again") {
		t.Errorf("Apply of what was approved over another revision = %v, want conflict", err)
	}
	if _, err := l.Approve(t.Context(), ben, unapproved.Hash); !fault.Is(err, fault.Conflict) {
		t.Errorf("Approve of what was proposed over another revision = %v, want conflict", err)
	}
	again, err := l.ProposeAgain(t.Context(), ben, late.Hash[:10], "still wanted")
	if err != nil || again.Seq == late.Seq || !again.Approved.IsZero() || again.Author != ben {
		t.Errorf("ProposeAgain = %+v, %v, want a proposal of its own, not approved", again, err)
	}
	// The first was approved once. That does not bring it back.
	for what, err := range map[string]error{
		"Rollback": second(l.Rollback(t.Context(), ada, first.Hash, "")),
		"Apply":    third(l.Apply(t.Context(), ada, texts(good), "")),
	} {
		if !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s to what was approved once = %v, want forbidden", what, err)
		}
	}
	if _, err := l.ProposeAgain(t.Context(), ben, "1", "go back"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Approve(t.Context(), ben, first.Hash); !fault.Is(err, fault.Forbidden) {
		t.Errorf("Approve by who proposed to go back = %v, want forbidden", err)
	}
	if _, err := l.Approve(t.Context(), ada, first.Hash); err != nil {
		t.Errorf("Approve by the author of the revision, proposed by another = %v", err)
	}
	if a, err := l.Rollback(t.Context(), ben, "1", ""); err != nil || a.Revision != 1 {
		t.Errorf("Rollback = %+v, %v", a, err)
	}
	h, err := l.History(t.Context(), 9)
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, p := range h.Proposals {
		open = append(open, p.Hash)
	}
	if diff := cmp.Diff([]string{late.Hash, unapproved.Hash}, open); diff != "" {
		t.Errorf("open proposals (-want +got):\n%s", diff)
	}
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

func TestNobodyIsTwoPeople(t *testing.T) {
	signer := func(id, name, login string) revision.Signer {
		return revision.Signer{Actor: audit.Actor{Kind: "operator", ID: id, Name: name}, Login: login}
	}
	author := signer("1001", "ada", "1001")
	for _, tc := range []struct {
		name     string
		approver revision.Signer
		may      bool
	}{
		{"another", signer("1002", "ben", "1002"), true},
		{"another, of no known login", signer("1002", "ben", ""), true},
		{"the same", author, false},
		{"the same id", signer("1001", "ada2", ""), false},
		{"the same name on another machine", signer("2001", "ada", ""), false},
		{"root, after sudo", signer("0", "root", "1001"), false},
		{"root, logged in as root", signer("0", "root", "0"), true},
		{"nobody knows who", signer("", "", ""), false},
		{"nobody knows who, with a name", signer("", "command line", ""), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			l := four(storetest.SQLite(t))
			p, err := l.Propose(t.Context(), author, texts(good), "r")
			if err != nil {
				t.Fatal(err)
			}
			_, err = l.Approve(t.Context(), tc.approver, p.Hash)
			if tc.may != (err == nil) || err != nil && !fault.Is(err, fault.Forbidden) {
				t.Errorf("Approve = %v, want allowed: %t", err, tc.may)
			}
		})
	}
	// Somebody who proposed as root, after sudo, does not approve as themselves.
	if !signer("0", "root", "1001").Same(signer("1001", "ada", "")) || !signer("1001", "ada", "").Same(signer("0", "root", "1001")) {
		t.Error("Same = false for root after sudo and who they are")
	}
}

// What was proposed through a one-time link needs two people who are known:
// whoever opened the link may be one of them.
func TestALinkIsNobody(t *testing.T) {
	db := storetest.SQLite(t)
	l := four(db)
	link := revision.Signer{Actor: audit.Actor{Kind: "break-glass", ID: "visit", Name: "one-time link of root"}}
	person := func(id string) revision.Signer {
		return revision.Signer{Actor: audit.Actor{Kind: "person", ID: id, Name: id}}
	}
	p, err := l.Propose(t.Context(), link, texts(good), "r")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Approve(t.Context(), person("ada"), p.Hash); !fault.Is(err, fault.Forbidden) {
		t.Errorf("approving what a link proposed = %v, want forbidden", err)
	}
	if again, err := l.Propose(t.Context(), link, texts(good), "r"); err != nil || again.Seq != p.Seq {
		t.Errorf("the link again = %+v, %v", again, err)
	}
	mine, err := l.ProposeAgain(t.Context(), person("ada"), p.Hash, "I looked at it")
	if err != nil || mine.Author.ID != "ada" {
		t.Fatalf("in one's own name = %+v, %v", mine, err)
	}
	if _, err := l.Propose(t.Context(), link, texts(good), "r"); !fault.Is(err, fault.Conflict) {
		t.Errorf("the link, then = %v, want a conflict", err)
	}
	for _, by := range []revision.Signer{person("ada"), link} {
		if _, err := l.Approve(t.Context(), by, p.Hash); !fault.Is(err, fault.Forbidden) {
			t.Errorf("approving by %s = %v, want forbidden", by.Name, err)
		}
	}
	if _, err := l.Approve(t.Context(), person("ben"), p.Hash); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.ApplyKnown(t.Context(), person("ada"), p.Hash, ""); err != nil {
		t.Fatal(err)
	}
	h, err := l.History(t.Context(), 9)
	if err != nil || len(h.Proposals) != 0 || len(h.Applications) != 1 {
		t.Errorf("History = %+v, %v", h, err)
	}
	details := make(map[audit.Action][]string)
	events, err := db.Admin().Events(t.Context(), admin.EventQuery{Limit: 99})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(events) {
		details[e.Action] = append(details[e.Action], e.Detail["adopted_from"]+"|"+e.Detail["brought_by"])
	}
	const visit = "one-time link of root (visit)"
	want := map[audit.Action][]string{
		audit.MappingProposed: {"|", visit + "|" + visit}, audit.MappingApproved: {"|" + visit}, audit.MappingApplied: {"|" + visit},
	}
	if diff := cmp.Diff(want, details); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

func TestApproveWantsAHash(t *testing.T) {
	l := four(storetest.SQLite(t))
	p, err := l.Propose(t.Context(), ada, texts(good), "r")
	if err != nil {
		t.Fatal(err)
	}
	for ref, kind := range map[string]fault.Kind{
		"1": fault.Invalid, p.Hash[:9]: fault.Invalid, strings.Repeat("0", 64): fault.NotFound, strings.Repeat("0", 65): fault.Invalid, p.Hash[:10] + "%": fault.Invalid,
	} {
		if _, err := l.Approve(t.Context(), ben, ref); !fault.Is(err, kind) {
			t.Errorf("Approve(%q) = %v, want %v", ref, err, kind)
		}
	}
	if _, err := l.Approve(t.Context(), ben, strings.ToUpper(p.Hash[:12])); err != nil {
		t.Errorf("Approve of the beginning in upper case = %v", err)
	}
}

func TestHashTellsTextsApart(t *testing.T) {
	a := []revision.Text{{Name: "a", Body: []byte("x")}, {Name: "b", Body: []byte("y")}}
	seen := map[string]int{}
	for i, texts := range [][]revision.Text{
		a, a[:1], a[1:],
		{a[1], a[0]},
		{{Name: "a", Body: []byte("x1:b")}, {Name: "", Body: []byte("y")}},
		{{Name: "a", Body: []byte("xb")}, {Name: "", Body: []byte("y")}},
		{a[0], a[1], {}},
	} {
		h := revision.Hash(texts)
		if before, ok := seen[h]; ok {
			t.Errorf("texts %d and %d have the same hash", before, i)
		}
		seen[h] = i
	}
	p, err := mapping.Load("x", []byte(good), mapping.Options{})
	if got := revision.Hash(texts(good)); err != nil || got != p.Hash() {
		t.Errorf("Hash = %s, want that of the policy, %s (%v)", got, p.Hash(), err)
	}
}
