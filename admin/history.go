package admin

import (
	"io"
	"strconv"
	"time"

	"portcullis/revision"
)

// past is a page of what happened to the mapping, behind the application with
// a number; 0 for the newest. next is what to go on behind, 0 at the end.
func (c *Console) past(r *request, before int64, limit int) (out []changeJSON, next int64, err error) {
	list, err := c.ledger.Past(r.ctx, before, limit+1)
	if err != nil {
		return nil, 0, err
	}
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].Seq
	}
	_, head, err := c.ledger.InForce(r.ctx)
	if err != nil {
		return nil, 0, err
	}
	out = make([]changeJSON, len(list))
	for i, a := range list {
		out[i] = applicationWire(a, 0, a.Seq == head.Seq)
		c.unsaid(r, &out[i])
	}
	return out, next, nil
}

// historyView is a page of the history of the mapping, the newest first.
type historyView struct {
	History []changeJSON `json:"history"`
	Next    int64        `json:"next,omitempty"` // what "before" is to be for the next page

	Proposals []changeJSON `json:"proposals,omitempty"` // of one fragment alone
}

func (c *Console) history(r *request) (any, error) {
	if r.inAPI && r.query("fragment") != "" {
		return c.fragmentHistory(r)
	}
	before, err := r.before()
	if err != nil {
		return nil, err
	}
	v := &historyView{}
	v.History, v.Next, err = c.past(r, before, pageSize)
	return v, err
}

// fragmentHistory is what the fragment of one connection was, however it came,
// and what waits to be it. Hashes are those of its own text.
func (c *Console) fragmentHistory(r *request) (any, error) {
	size, err := r.size()
	if err != nil {
		return nil, err
	}
	h, err := c.ledger.FragmentHistory(r.ctx, r.query("fragment"), size)
	if err != nil {
		return nil, err
	}
	v := &historyView{}
	v.History, v.Proposals = c.told(r, &h)
	return v, nil
}

// told is what a history tells the visitor.
func (c *Console) told(r *request, h *revision.History) (past, waiting []changeJSON) {
	past, waiting = []changeJSON{}, []changeJSON{}
	for _, a := range h.Applications {
		w := applicationWire(a, h.Revisions[a.Revision].Tests.Ran, a.Seq == h.Head.Seq)
		c.unsaid(r, &w)
		past = append(past, w)
	}
	for _, p := range h.Proposals {
		w := proposalWire(p, h.Overtaken[p.Seq])
		w.Tests = h.Revisions[p.Revision].Tests.Ran
		c.unsaid(r, &w)
		waiting = append(waiting, w)
	}
	return past, waiting
}

func (c *Console) historyCSV(r *request) (any, error) {
	return file(func(w io.Writer) error {
		s := newCSV(r.gin.Writer, w, "mapping-history.csv", "at", "what", "revision", "hash", "fragment", "by", "byLink", "reason", "effect", "inForce")
		for before := int64(0); ; {
			list, next, err := c.past(r, before, csvBatch)
			if err != nil {
				return err
			}
			for _, x := range list {
				s.row(x.At.Format(time.RFC3339), x.What, strconv.FormatInt(x.Revision, 10), x.Hash, x.Fragment, x.By, yes(x.ByLink), x.Reason, x.Effect, yes(x.InForce))
			}
			if err := s.flush(); err != nil || next == 0 {
				return err
			}
			before = next
		}
	}), nil
}

// csvBatch is how many rows an export reads at once.
const csvBatch = 1000
