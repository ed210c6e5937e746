package revision

import (
	"context"

	"portcullis/audit"
	"portcullis/mapping"
)

// owed is a mapping of the file that is in force and has to be recorded.
type owed struct {
	revision Revision
	parts    []Revision
	tally    tally
}

// tally is an application whose people have to be counted.
type tally struct {
	application   int64
	before, after *mapping.Policy
}

// maxTallies bounds how many wait: somebody may edit faster than a large
// directory is counted. What is beyond is not counted.
const maxTallies = 16

// record keeps a text of the file that is in force as a revision. What the
// database has as the newest already is left alone: this is a restart, or
// another gate with the same file.
func (k *Keeper) record(ctx context.Context, o *owed) {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	r := o.revision
	var a Application
	err := k.store.Update(ctx, func(tx Tx) error {
		a = Application{}
		head, err := tx.Head()
		if err != nil || head.Hash == r.Hash {
			return err
		}
		a, err = bring(tx, r, o.parts, Application{At: r.Created, Way: ByFile, Base: head.Seq, By: audit.Gate(), Reason: r.Reason})
		if err != nil {
			return err
		}
		return tx.Audit(audit.Event{
			At: r.Created, Action: audit.MappingApplied, Actor: audit.Gate(), Subject: k.file, Detail: map[string]string{"revision": r.Hash},
		})
	})
	if err != nil {
		if k.owed == nil || k.owed.revision.Hash != r.Hash {
			k.log.ErrorContext(ctx, "the mapping in force is not recorded; it will be tried again", "revision", r.Hash, "error", err)
		}
		k.owed = o
		return
	}
	k.owed = nil
	if a.Seq == 0 || k.reach == nil {
		return
	}
	o.tally.application = a.Seq
	select {
	case k.tallies <- o.tally:
	default:
		k.log.WarnContext(ctx, "for how many people the mapping changed is not counted: it changes too often", "revision", r.Hash)
	}
}

// count fills in what revisions of the file changed for people, until ctx
// ends. A large directory takes its time, so nothing waits for it.
func (k *Keeper) count(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-k.tallies:
			counts, err := k.reach(ctx, t.before, t.after)
			if err == nil && counts != nil {
				err = k.store.Update(ctx, func(tx Tx) error { return tx.FillCounts(t.application, *counts) })
			}
			if err != nil && ctx.Err() == nil {
				k.log.WarnContext(ctx, "for how many people the mapping changed is not known", "application", t.application, "error", err)
			}
		}
	}
}
