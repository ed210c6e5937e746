package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// tick is the live state of one row.
type tick struct {
	ID       string `json:"id"`
	Price    string `json:"price"`
	Change   string `json:"change"`
	Way      string `json:"way"` // "up", "down" or "same"
	Movement string `json:"movement,omitempty"`

	Row holding `json:"-"`
}

// movement is a cash movement that has happened already.
type movement struct{ When, Account, Text string }

const shownMovements = 8

// update is one event of the stream.
type update struct {
	Time  string `json:"time"`
	Ticks []tick `json:"ticks"`
}

// live shows the state of now; the script keeps it moving.
func (p *Portal) live(w http.ResponseWriter, r *http.Request, who statement) {
	pg := p.page(r, who, "Live")
	now := p.now()
	pg.Ticks = p.ticks(who, now)
	for i := range 120 { // seconds, newest first
		at := now.Add(-time.Duration(i+1) * time.Second)
		for _, t := range p.ticks(who, at) {
			if t.Movement != "" && len(pg.Movements) < shownMovements {
				pg.Movements = append(pg.Movements, movement{When: at.UTC().Format("15:04:05"), Account: t.Row.Account, Text: t.Movement})
			}
		}
	}
	p.render(w, r, http.StatusOK, "portal-live", pg)
}

// events streams the live state of the rows that the person may see. Every
// page of the portal holds this stream, because its end is how a page learns
// that the right to be inside has ended: the gate cuts it in that moment.
//
// The stream never outlives the statement that it was opened with. When that
// expires, the page is told to come back with a fresh one.
func (p *Portal) events(w http.ResponseWriter, r *http.Request, who statement) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // for proxies between the gate and us that hold bodies back
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // a stream has no end; not every server has a deadline to lift
	ctx := r.Context()
	beat := p.tick(ctx)
	for {
		now := p.now()
		if !now.Before(who.Expires) {
			// What cannot be written any more ends the stream just as well.
			_, _ = fmt.Fprint(w, "event: renew\ndata: {}\n\n")
			_ = control.Flush()
			return
		}
		b, err := json.Marshal(update{Time: clock(now), Ticks: p.ticks(who, now)})
		if err != nil {
			p.log.ErrorContext(ctx, "update cannot be written", "error", err)
			return
		}
		if _, err := fmt.Fprintf(w, "event: update\ndata: %s\n\n", b); err != nil {
			return
		}
		if control.Flush() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case _, ok := <-beat:
			if !ok {
				return
			}
		}
	}
}

func (p *Portal) ticks(who statement, now time.Time) []tick {
	out := []tick{}
	for _, h := range p.visible(who) {
		price, before := h.price(now), h.price(now.Add(-time.Second))
		t := tick{ID: h.ID, Price: fmt.Sprintf("%.2f", price), Way: "same", Row: h}
		change := price - before
		t.Change = fmt.Sprintf("%+.2f", change)
		if change >= 0.005 {
			t.Way = "up"
		} else if change <= -0.005 {
			t.Way = "down"
		}
		if m := h.movement(now); m != 0 {
			t.Movement = money(m) + " " + h.Currency + " " + h.Recipient
			if m > 0 {
				t.Movement = "+" + t.Movement
			}
		}
		out = append(out, t)
	}
	return out
}

// everySecond ticks until ctx ends.
func everySecond(ctx context.Context) <-chan time.Time {
	t := time.NewTicker(time.Second)
	context.AfterFunc(ctx, t.Stop)
	return t.C
}
