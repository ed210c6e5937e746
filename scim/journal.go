package scim

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"portcullis/fault"
)

const (
	// JournalLife is how long the provisioning log is kept.
	JournalLife = 30 * 24 * time.Hour

	journalEvery = 250 * time.Millisecond // at most, from a request to its entry
	journalRoom  = 10_000                 // entries that wait to be written
	journalSpare = 2048                   // entries that there is room for when none wait
	journalBody  = 8 << 10                // bytes of a body that are kept
	journalPath  = 2 << 10
	strangers    = 10 * time.Second // between two entries of refused credentials
)

// Entry is one request in the provisioning log: what an identity provider
// asked, and what it was told. It holds userNames and identifiers, and of what
// else is known of people only that it was there. No secret of the gate stands
// in it, wherever in the request somebody put one.
type Entry struct {
	Seq        int64
	At         time.Time
	Connection string
	Token      string // id of the token; empty: the credential was refused
	Address    string
	Method     string
	Path       string // below the connection's base URL, with what is known of the query
	Status     int
	Cause      string // of a refusal, in the words that the client got
	Body       string // redacted JSON; empty: none
	Took       time.Duration
}

// JournalQuery asks for the newest entries.
type JournalQuery struct {
	Connections []string // nil: of all connections
	Refused     bool     // only what was refused
	Before      int64    // only entries with a lower Seq; 0: all
	Limit       int      // required
}

// JournalStore keeps the provisioning log.
type JournalStore interface {
	AppendJournal(ctx context.Context, entries []Entry) error     // it keeps nothing of the list
	Journal(ctx context.Context, q JournalQuery) ([]Entry, error) // the newest first
	DeleteJournal(ctx context.Context, before time.Time) error
}

// journal gathers entries and writes many at a time: one write for each
// request would double what a request costs. What a crash takes with it is the
// log of the last moment, and nothing of the audit trail.
type journal struct {
	store JournalStore
	log   *slog.Logger

	mu      sync.Mutex
	waiting []Entry
	room    []Entry // for those that wait next, when these are written
	dropped int
	refused map[string]time.Time // connection → last entry of a refused credential
	writing sync.Mutex           // one flush at a time keeps the order
}

func (j *journal) add(e Entry) {
	if j.store == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if e.Token == "" { // anybody can send those
		if e.At.Sub(j.refused[e.Connection]) < strangers {
			return
		}
		j.refused[e.Connection] = e.At
	}
	if len(j.waiting) >= journalRoom {
		j.dropped++
		return
	}
	j.waiting = append(j.waiting, e)
}

// flush writes what waits.
func (j *journal) flush(ctx context.Context) error {
	if j.store == nil {
		return nil
	}
	j.writing.Lock()
	defer j.writing.Unlock()
	j.mu.Lock()
	batch, dropped := j.waiting, j.dropped
	j.waiting, j.room, j.dropped = j.room, nil, 0
	j.mu.Unlock()
	if dropped > 0 {
		j.log.WarnContext(ctx, "provisioning log: requests came faster than they could be written down", slog.Int("missing", dropped))
	}
	if len(batch) == 0 {
		return nil
	}
	err := j.store.AppendJournal(ctx, batch)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		if len(batch)+len(j.waiting) <= journalRoom {
			j.waiting = append(batch, j.waiting...)
		} else {
			j.dropped += len(batch)
		}
		return err
	}
	if clear(batch); cap(batch) <= journalSpare {
		j.room = batch[:0]
	}
	return nil
}

// Flush writes the provisioning log down at once.
func (e *Endpoint) Flush(ctx context.Context) error { return e.journal.flush(ctx) }

// Run writes the provisioning log down a few times a second, and removes what
// is older than [JournalLife], until ctx ends.
func (e *Endpoint) Run(ctx context.Context) error {
	tick := time.NewTicker(journalEvery)
	defer tick.Stop()
	var cleaned time.Time
	for {
		select {
		case <-ctx.Done():
			return e.Flush(context.WithoutCancel(ctx))
		case <-tick.C:
		}
		if err := e.Flush(ctx); err != nil && ctx.Err() == nil {
			e.log.WarnContext(ctx, "provisioning log not written; it is tried again", slog.Any("error", err))
		}
		if now := e.now(); e.journal.store != nil && now.Sub(cleaned) >= time.Hour {
			if err := e.journal.store.DeleteJournal(ctx, now.Add(-JournalLife)); err != nil && ctx.Err() == nil {
				e.log.WarnContext(ctx, "provisioning log not cleaned; it is tried again", slog.Any("error", err))
			}
			cleaned = now
		}
	}
}

// observed remembers the status of an answer.
type observed struct {
	http.ResponseWriter

	status int
}

func (o *observed) WriteHeader(status int) {
	if o.status == 0 {
		o.status = status
	}
	o.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] through.
func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// record completes an entry and hands it on.
func (e *Endpoint) record(entry Entry, r *http.Request, status int, err error) {
	if e.site(entry.Connection) == nil || entry.Token == "" && status != http.StatusUnauthorized {
		return
	}
	path := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, Prefix), entry.Connection)
	if r.URL.RawQuery != "" && path != TokenPath { // where a secret might stand by mistake
		path += "?" + loggedQuery(r.URL.RawQuery)
	}
	entry.Method, entry.Path, entry.Status = clip(withoutSecrets(r.Method)), plain(withoutSecrets(path), journalPath), status
	if err != nil {
		entry.Cause = plain(withoutSecrets(fault.Message(err)), journalPath)
	}
	entry.Body = withoutSecrets(entry.Body)
	entry.Took = e.now().Sub(entry.At)
	e.journal.add(entry)
}

// plain makes foreign text fit to be stored.
func plain(s string, most int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\ufffd"), "\ufffd")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
