package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"portcullis/audit"
	"portcullis/revision"
	"portcullis/store/storetest"
)

// However many proposals wait, each is on a page that leads to it, and can be
// decided on its own.
func TestEveryProposalThatWaitsIsReached(t *testing.T) {
	w, ada, ben := desk(t, storetest.SQLite(t))
	const waiting = 52 // more than stand on a page
	ledger, body := revision.NewLedger(w.ledger), ben.inForce()
	hashes := make([]string, waiting)
	for i := range hashes {
		p, err := ledger.Propose(t.Context(), revision.Signer{Actor: audit.Actor{Kind: "person", ID: ada.id, Name: "ada"}},
			[]revision.Text{{Name: "mapping.yaml", Body: fmt.Appendf(nil, "%s# proposal %d\n", body, i)}}, "x")
		if err != nil {
			t.Fatal(err)
		}
		hashes[i] = p.Hash
	}
	contains(t, "the oldest one's page", ben.page("/mapping/"+hashes[0]), "Waiting for a second person", "/mapping/"+hashes[0]+"/approve")
	contains(t, "the page of the mapping", ben.page("/mapping"), "Everything that waits")
	first := ben.page("/approvals")
	contains(t, "the first page", first, `rel="next">Older that wait`)
	pages := first.text
	if _, rest, ok := strings.Cut(first.text, `href="?before=`); ok {
		before, _, _ := strings.Cut(rest, `"`)
		pages += ben.page("/approvals?before=" + before).text
	}
	for i, hash := range hashes {
		if !strings.Contains(pages, "/mapping/"+hash+`"`) {
			t.Errorf("proposal %d stands nowhere", i)
		}
	}
	seen := map[string]bool{}
	for next, rounds := int64(0), 0; rounds < 20; rounds++ {
		path := "/approvals?limit=5"
		if next > 0 {
			path += fmt.Sprint("&before=", next)
		}
		var v struct {
			Waiting []struct{ Hash string }
			Next    int64
		}
		if got := ben.call(http.MethodGet, path, "", &v); got != http.StatusOK {
			t.Fatalf("status = %d", got)
		}
		for _, p := range v.Waiting {
			if seen[p.Hash] {
				t.Errorf("%s is there twice", p.Hash)
			}
			seen[p.Hash] = true
		}
		if next = v.Next; next == 0 {
			break
		}
	}
	if len(seen) != waiting {
		t.Errorf("the pages give %d, want %d", len(seen), waiting)
	}
	if rows := ben.sheetAt("/approvals.csv"); len(rows) < waiting+1 {
		t.Errorf("the sheet has %d rows", len(rows))
	}
}
