package trace

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"portcullis/fault"
)

// Query asks for a list of records, the newest first.
type Query struct {
	Connection string // empty for every one
	Failed     bool   // only those of whom nobody came in
	Limit      int    // required
}

// Loss counts records that were not kept: how many of one connection in the
// hour that begins at Hour.
type Loss struct {
	Hour       time.Time
	Connection string
	Count      int64
}

// Caps says how many records of a class an hour keeps for one connection. A
// class that is not mentioned keeps none.
type Caps map[Class]int

// Store keeps records where every replica and every tool sees them.
type Store interface {
	// InsertTraces keeps records as far as the caps allow, counts the rest as
	// lost, and adds losses that were counted before. A reference that is
	// there already stays as it is.
	InsertTraces(ctx context.Context, records []Record, lost []Loss, caps Caps) error
	// FindTrace gives the record that a reference leads to, that of its end or
	// that of its beginning. It fails with fault.NotFound.
	FindTrace(ctx context.Context, reference string) (Record, error)
	// Traces gives the newest records that a query asks for.
	Traces(ctx context.Context, q Query) ([]Record, error)
	// LostTraces gives what was not kept since a time, the newest hour first.
	LostTraces(ctx context.Context, since time.Time) ([]Loss, error)
	// DeleteTraces forgets records and losses from before a time.
	DeleteTraces(ctx context.Context, before time.Time) error
}

// Config is what a Writer needs.
type Config struct {
	Store Store            // required
	Caps  Caps             // defaults to 500 of strangers, 2,000 vouched, 10,000 inside
	Now   func() time.Time // defaults to time.Now
	Log   *slog.Logger     // defaults to discarding
}

// Writer stores records in the background. It is safe for concurrent use.
type Writer struct {
	store Store
	caps  Caps
	now   func() time.Time
	log   *slog.Logger
	woken chan struct{}

	mu      sync.Mutex
	queue   []*entry
	lost    map[lossKey]int64
	hour    time.Time
	sources map[string]int // records of strangers in this hour, by address
}

type lossKey struct {
	hour       time.Time
	connection string
}

const (
	maxQueue   = 2000 // records that wait in memory
	maxBatch   = 100
	maxSources = 10_000
	maxLost    = 1000 // hours and connections that are counted apart in memory
	retryAfter = time.Second
	flushLimit = 2 * time.Second
	cleanEvery = time.Hour
)

// New makes a Writer. [Writer.Run] must run for anything to be stored.
func New(c Config) *Writer {
	if c.Caps == nil {
		c.Caps = Caps{Stranger: 500, Vouched: 2000, Inside: 10_000}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Writer{
		store: c.Store, caps: c.Caps, now: c.Now, log: c.Log, woken: make(chan struct{}, 1),
		lost: make(map[lossKey]int64), sources: make(map[string]int),
	}
}

// entry is a record that waits. Once it is in the queue only [Writer.Run]
// touches it, also while Put moves the queue to a larger array.
type entry struct {
	record   Record
	complete func(*Record) // what is left to do; nil for nothing
}

// Put takes a record to be stored. It never waits: what does not fit is
// counted as lost. One address gets a tenth of what strangers get, so that
// one alone does not take it all. complete, if not nil, adds to the record
// before it is stored, in the background: what takes long belongs there.
func (w *Writer) Put(r Record, complete func(*Record)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) >= maxQueue || !w.admit(&r) {
		w.lose(&r)
	} else {
		w.queue = append(w.queue, &entry{r, complete})
	}
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// admit counts a stranger's record against its address. The caller holds mu.
func (w *Writer) admit(r *Record) bool {
	if r.Class() != Stranger {
		return true
	}
	if hour := hourOf(r.Finished); !hour.Equal(w.hour) || len(w.sources) >= maxSources {
		w.hour = hour
		clear(w.sources)
	}
	if w.sources[r.Address] >= max(1, w.caps[Stranger]/10) {
		return false
	}
	w.sources[r.Address]++
	return true
}

// lose counts a record that is not kept. The caller holds mu.
func (w *Writer) lose(r *Record) {
	k := lossKey{hourOf(r.Finished), r.Connection}
	if _, known := w.lost[k]; !known && len(w.lost) >= maxLost {
		k.connection = ""
	}
	w.lost[k]++
}

// hourOf is the hour that a time counts in.
func hourOf(t time.Time) time.Time { return t.UTC().Truncate(time.Hour) }

// Run stores what [Writer.Put] takes and forgets what is older than [Keep],
// until ctx ends; then it stores what is left and gives nil. A store that is
// away is asked again: meanwhile records wait, as far as there is room.
func (w *Writer) Run(ctx context.Context) error {
	house := time.NewTicker(cleanEvery)
	defer house.Stop()
	w.clean(ctx)
	away := false
	for {
		var retry <-chan time.Time
		if err := w.flush(ctx); err != nil && ctx.Err() == nil {
			if !away {
				w.log.WarnContext(ctx, "sign-in traces wait: they cannot be stored", "error", err.Error())
			}
			retry, away = time.After(retryAfter), true
		} else {
			away = false
		}
		select {
		case <-ctx.Done():
			w.last(ctx)
			return nil
		case <-house.C:
			w.clean(ctx)
		case <-retry:
		case <-w.unless(retry):
		}
	}
}

// unless is woken, or nothing while a retry is due: a store that is away is
// not asked for each record.
func (w *Writer) unless(retry <-chan time.Time) <-chan struct{} {
	if retry != nil {
		return nil
	}
	return w.woken
}

// flush stores everything that waits.
func (w *Writer) flush(ctx context.Context) error {
	for {
		w.mu.Lock()
		waiting := w.queue[:min(len(w.queue), maxBatch)]
		lost := w.losses()
		w.mu.Unlock()
		batch := completed(waiting)
		if len(batch) == 0 && len(lost) == 0 {
			return nil
		}
		err := w.store.InsertTraces(ctx, batch, lost, w.caps)
		if fault.Is(err, fault.Unavailable) || err != nil && ctx.Err() != nil {
			return err
		}
		w.mu.Lock()
		if err != nil && len(batch) == 0 {
			w.mu.Unlock()
			return err
		}
		if err != nil { // asked again it would fail again, and hold up the rest
			w.log.ErrorContext(ctx, "sign-in traces are lost", "count", len(batch), "error", err.Error())
			for i := range batch {
				w.lose(&batch[i])
			}
			lost = nil
		}
		w.queue = append([]*entry(nil), w.queue[len(batch):]...)
		for _, l := range lost {
			k := lossKey{l.Hour, l.Connection}
			if w.lost[k] -= l.Count; w.lost[k] <= 0 {
				delete(w.lost, k)
			}
		}
		w.mu.Unlock()
	}
}

// completed does what is left to do of entries, once.
func completed(waiting []*entry) []Record {
	out := make([]Record, len(waiting))
	for i, e := range waiting {
		if e.complete != nil {
			e.complete(&e.record)
			e.complete = nil
		}
		out[i] = e.record
	}
	return out
}

// losses gives what was counted. The caller holds mu.
func (w *Writer) losses() (out []Loss) {
	for k, n := range w.lost {
		out = append(out, Loss{Hour: k.hour, Connection: k.connection, Count: n})
	}
	return out
}

// last stores what is left when the gate stops, and says so if it cannot.
func (w *Writer) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
	defer cancel()
	if err := w.flush(ctx); err != nil {
		w.mu.Lock()
		n := len(w.queue)
		w.mu.Unlock()
		w.log.ErrorContext(ctx, "sign-in traces are lost", "count", n, "error", err.Error())
	}
}

func (w *Writer) clean(ctx context.Context) {
	if err := w.store.DeleteTraces(ctx, w.now().Add(-Keep)); err != nil && ctx.Err() == nil {
		w.log.WarnContext(ctx, "old sign-in traces not removed", "error", err.Error())
	}
}
