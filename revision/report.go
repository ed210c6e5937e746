package revision

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"portcullis/fault"
	"portcullis/mapping"
)

// report tells the others what runs here, at once when it is something else.
func (k *Keeper) report(ctx context.Context) {
	if k.replica == "" || ctx.Err() != nil {
		return
	}
	s := k.Status()
	r := Replica{ID: k.replica, Hash: s.Hash, Since: s.Since, Seen: k.now()}
	if s.Problem != nil {
		r.Problem = strings.ToValidUTF8(bare(s.Problem), "?")
	}
	same := r.Hash == k.reported.Hash && r.Since.Equal(k.reported.Since) && r.Problem == k.reported.Problem
	if same && r.Seen.Before(k.reported.Seen.Add(reportEvery)) {
		return
	}
	// Whether it succeeds or not, the next one is due in its time: a database
	// that is away is not asked five times a second.
	k.reported = r
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	if err := k.store.PutReplica(ctx, r); err != nil {
		k.log.WarnContext(ctx, "what runs here is not reported; it will be tried again", "error", err)
	}
}

// sayGoodbye takes the report back, for a gate that ends.
func (k *Keeper) sayGoodbye(ctx context.Context) {
	if k.replica == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := k.store.DeleteReplica(ctx, k.replica); err != nil {
		k.log.WarnContext(ctx, "the report of what ran here is not taken back", "error", err)
	}
}

// bare is firstLine for those who need not know where a gate's files are.
func bare(err error) string {
	if problems, ok := errors.AsType[mapping.Problems](err); ok && len(problems) > 0 {
		p := problems[0]
		p.File = filepath.Base(p.File)
		return p.String()
	}
	return fault.Message(err)
}

// firstLine bounds a reason for the audit trail.
func firstLine(err error) string {
	if problems, ok := errors.AsType[mapping.Problems](err); ok && len(problems) > 0 {
		return problems[0].String()
	}
	return fault.Message(err)
}
