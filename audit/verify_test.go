package audit_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/fault"
)

// parts verifies the trail in parts of a few events and adds them up.
func (tr *trail) parts(limit int) (sum audit.Report) {
	tr.t.Helper()
	for place := ""; ; {
		r, next, err := audit.VerifyPart(tr.t.Context(), tr.db.Audit(), place, limit)
		if err != nil {
			tr.t.Fatal(err)
		}
		sum.Sealed, sum.Unsealed, sum.Broken = sum.Sealed+r.Sealed, sum.Unsealed+r.Unsealed, append(sum.Broken, r.Broken...)
		if r.Head != [32]byte{} {
			sum.Head = r.Head
		}
		if next == "" {
			return sum
		}
		place = next
	}
}

// sameInParts holds the parts of a trail against the whole.
func (tr *trail) sameInParts() {
	tr.t.Helper()
	for _, limit := range []int{1, 2, 3, 5, 1000} {
		if diff := cmp.Diff(tr.verify(), tr.parts(limit)); diff != "" {
			tr.t.Errorf("in parts of %d (-whole +parts):\n%s", limit, diff)
		}
	}
}

// Who takes away the end of a chain while somebody verifies it is found out.
func TestAPartNeedsTheSealBeforeIt(t *testing.T) {
	each(t, func(t *testing.T, tr *trail) {
		if diff := cmp.Diff(tr.verify(), tr.parts(2)); diff != "" {
			t.Errorf("of nothing (-whole +parts):\n%s", diff)
		}
		tr.insert(events(4)...)
		tr.seal()
		_, next, err := audit.VerifyPart(t.Context(), tr.db.Audit(), "", 2)
		if err != nil || next == "" {
			t.Fatal(next, err)
		}
		if _, err := tr.raw.ExecContext(t.Context(), "DELETE FROM audit_seals WHERE position = 2"); err != nil {
			t.Fatal(err)
		}
		r, _, err := audit.VerifyPart(t.Context(), tr.db.Audit(), next, 2)
		if err != nil || len(r.Broken) == 0 || !strings.Contains(r.Broken[0], "position 2: its seal went missing") {
			t.Errorf("report = %+v, %v, want that the seal is missing", r, err)
		}
		for _, place := range []string{"x", "seal:", "seal:0", "seal:-1", "seal:9223372036854775807", "event:-1", "event:9223372036854775807", "event:x"} {
			if _, _, err := audit.VerifyPart(t.Context(), tr.db.Audit(), place, 2); !fault.Is(err, fault.Invalid) {
				t.Errorf("from %q: %v, want a fault of the caller", place, err)
			}
		}
	})
}
