package revision_test

import (
	"errors"
	"testing"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestADeclinedProposalIsClosedForGood(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		t.Helper()
		db := open()
		l := ledger(db, revision.LedgerConfig{Approval: revision.Approval{Always: true}})
		p, err := l.Propose(t.Context(), ada, texts(good), "try it")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Decline(t.Context(), ben, p.Hash, ""); !fault.Is(err, fault.Invalid) {
			t.Errorf("without a reason: %v", err)
		}
		if _, err := l.Approve(t.Context(), ben, p.Hash); err != nil {
			t.Fatal(err)
		}
		if got, err := l.Decline(t.Context(), ben, p.Hash, "on second thoughts"); err != nil || got.Author != ada {
			t.Fatalf("Decline = %+v, %v", got, err)
		}
		if _, err := l.Decline(t.Context(), ben, p.Hash, "again"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a second time: %v, want not found", err)
		}
		if _, _, err := l.ApplyKnown(t.Context(), ada, p.Hash, ""); !fault.Is(err, fault.Forbidden) {
			t.Errorf("applying what was declined: %v, want forbidden", err)
		}
		h, err := l.History(t.Context(), 9)
		if err != nil || len(h.Proposals) != 0 {
			t.Errorf("proposals = %v, %v", h.Proposals, err)
		}
		events, err := db.Admin().Events(t.Context(), admin.EventQuery{Action: string(audit.MappingDeclined), Limit: 9})
		if err != nil || len(events) != 1 || events[0].Reason != "on second thoughts" || events[0].Actor.ID != ben.ID {
			t.Errorf("trail = %v, %v", events, err)
		}
		if again, err := l.Propose(t.Context(), ada, texts(good), "once more"); err != nil || again.Seq == p.Seq {
			t.Errorf("proposing it again = %+v, %v", again, err)
		}
	})
}

func TestExaminingReportsTestsThatFail(t *testing.T) {
	l := ledger(storetest.SQLite(t), revision.LedgerConfig{})
	failing := good + "tests:\n  - {name: wrong, given: {connection: alpha}, expect: {login: deny}}\n"
	p, report, err := l.Examine(texts(failing))
	if err != nil || p == nil || report.Ran != 1 || report.Failed() != 1 {
		t.Errorf("Examine = %v, %+v, %v", p, report, err)
	}
	if _, err := l.Propose(t.Context(), ada, texts(failing), "x"); err == nil {
		t.Error("a mapping whose test fails was proposed")
	}
	_, _, err = l.Examine(texts("version: 1\nrules: 3\n"))
	if problems, ok := errors.AsType[mapping.Problems](err); !ok || len(problems) == 0 {
		t.Errorf("Examine of a broken text = %v, want problems", err)
	}
	if r, a, err := l.InForce(t.Context()); err != nil || r.Number != 0 || a.Seq != 0 {
		t.Errorf("InForce = %v, %v, %v, want nothing", r, a, err)
	}
}
