package admin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store/storetest"
	"portcullis/web"
)

// What was proposed in a visit by a one-time link takes two people who are
// signed in: whoever opened the link may be one of them. They are told loudly.
func TestALinksProposalTakesTwoPeople(t *testing.T) {
	w, _, ben := desk(t, storetest.SQLite(t))
	dora := w.signIn("staff", "dora", mapping.GateMappingView, mapping.GateMappingApprove)
	glass := w.open()
	res := glass.form("/mapping/edit", "file", "mapping.yaml", "text", glass.inForce()+author, "do", "propose", "reason", "an emergency")
	to, _, _ := strings.Cut(strings.TrimPrefix(res.Header.Get("Location"), web.ConsolePrefix), "?")
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("proposing: status = %d: %s", res.StatusCode, res.text)
	}
	if page := glass.page(to); strings.Contains(page.text, "Propose it in my own name") {
		t.Error("the link may propose it in its own name")
	}
	contains(t, "the approvals", ben.page("/approvals"), "Nobody knows who proposed this")
	page := ben.page(to)
	contains(t, "the proposal", page, "Nobody knows who proposed this", "one-time link of root", "Propose it in my own name")
	if strings.Contains(page.text, "Approve and put in force") {
		t.Error("the page offers to approve it")
	}
	if res := dora.page(to); strings.Contains(res.text, "Propose it in my own name") || strings.Contains(res.text, "Approve and put in force") {
		t.Error("the page offers what is refused")
	}
	for name, s := range map[string]*somebody{"ben": ben, "dora": dora} {
		if got := s.call(http.MethodPost, to+"/approve", "", nil); got != http.StatusForbidden {
			t.Errorf("approving by %s: status = %d, want 403", name, got)
		}
	}
	var list struct{ Waiting []struct{ ByLink bool } }
	ben.call(http.MethodGet, "/approvals", "", &list)
	if len(list.Waiting) != 1 || !list.Waiting[0].ByLink {
		t.Errorf("waiting = %+v", list.Waiting)
	}
	if res := ben.form(to+"/propose", "reason", "I read it"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("in his own name: status = %d: %s", res.StatusCode, res.text)
	}
	contains(t, "his own", ben.page(to), "somebody else has to approve it", "first brought by whoever held a one-time link")
	if got := ben.call(http.MethodPost, to+"/approve", "", nil); got != http.StatusForbidden {
		t.Errorf("approving his own: status = %d, want 403", got)
	}
	contains(t, "the link, which does not approve", glass.page(to), "A one-time link does not do.")
	contains(t, "the second person", dora.page(to), "first brought by whoever held a one-time link", "Approve and put in force")
	if got := dora.call(http.MethodPost, to+"/approve", "", nil); got != http.StatusOK {
		t.Errorf("the second person: status = %d", got)
	}
	e := w.events(admin.EventQuery{Action: string(audit.MappingApproved), Limit: 1})
	if len(e) != 1 || e[0].Actor.ID != dora.id || !strings.HasPrefix(e[0].Detail["brought_by"], "one-time link of root (") {
		t.Errorf("trail = %+v", e)
	}
	e = w.events(admin.EventQuery{Action: string(audit.MappingProposed), Limit: 1})
	if len(e) != 1 || e[0].Actor.ID != ben.id || !strings.HasPrefix(e[0].Detail["adopted_from"], "one-time link of root (") {
		t.Errorf("trail = %+v", e)
	}
}

// Where nothing was ever in force, the page does not speak of a last good one.
func TestNothingWasEverInForce(t *testing.T) {
	db := storetest.SQLite(t)
	w := built(t, db, "empty")
	w.ledger = revision.LedgerConfig{Store: db.Revisions(), Now: func() time.Time { return w.now }}
	w.mount(revision.NewLedger(w.ledger))
	page := w.open().page("/mapping")
	contains(t, "the mapping", page, "no mapping was applied yet", "No mapping is in force")
	if strings.Contains(page.text, "The last good one is") {
		t.Error("a last good mapping where there is none")
	}
}
