package scim

import (
	"context"
	"encoding/json"
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
// else is known of people only that it was there.
type Entry struct {
	Seq        int64
	At         time.Time
	Connection string
	Token      string // id of the token; empty: the credential was refused
	Address    string
	Method     string
	Path       string // below the connection's base URL, with the query
	Status     int
	Cause      string // of a refusal, in the words that the client got
	Body       string // redacted JSON; empty: none
	Took       time.Duration
}

// JournalQuery asks for the newest entries.
type JournalQuery struct {
	Connection string // empty: of all connections
	Refused    bool   // only what was refused
	Before     int64  // only entries with a lower Seq; 0: all
	Limit      int    // required
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
		path += "?" + r.URL.RawQuery
	}
	entry.Method, entry.Path, entry.Status = clip(r.Method), plain(path, journalPath), status
	if err != nil {
		entry.Cause = plain(fault.Message(err), journalPath)
	}
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

// shown are the members of a body whose texts may stand in the log: what a
// request is made of, and what resources are looked up by.
var shown = map[string]bool{ //nolint:gochecknoglobals // a constant
	"schemas": true, "op": true, "method": true, "bulkid": true, "username": true, "externalid": true, "id": true,
	"type": true, "active": true, "version": true, "filter": true, "sortby": true, "sortorder": true, "attributes": true, "excludedattributes": true,
}

const redacted = "[redacted]"

// redact makes a body fit for the log. Identifiers stay; of every other text,
// passwords first, only that it was there.
func redact(doc map[string]any) string {
	raw, err := json.Marshal(redactValue("", "", doc))
	if err != nil {
		return ""
	}
	return plain(string(raw), journalBody)
}

// redactValue redacts a value: name is the member it stands in, path what the
// operation around it changes.
func redactValue(name, path string, v any) any {
	const most = 50
	switch v := v.(type) {
	case map[string]any:
		if raw, ok := member(v, "path"); ok {
			path, _ = raw.(string)
		}
		out := make(map[string]any, len(v))
		for k, e := range v {
			key := strings.ToLower(k)
			switch {
			case key == "path":
				s, _ := e.(string)
				out[k] = quotesOut(s)
			case key == "value" && (name == "members" || strings.HasPrefix(strings.ToLower(path), "members") || shown[strings.ToLower(path)]):
				out[k] = redactValue("id", path, e)
			default:
				out[k] = redactValue(key, path, e)
			}
		}
		return out
	case []any:
		n := min(len(v), most)
		out := make([]any, n, n+1)
		for i := range n {
			out[i] = redactValue(name, path, v[i])
		}
		if len(v) > n {
			out = append(out, "…")
		}
		return out
	case string:
		if name == "password" || !shown[name] && name != "id" {
			return redacted
		}
		return plain(v, 256)
	default:
		if name == "password" {
			return redacted
		}
		return v
	}
}

// quotesOut hides the compare values of a path, except those of members, which
// are identifiers.
func quotesOut(path string) string {
	open := strings.IndexByte(path, '"')
	end := strings.LastIndexByte(path, '"')
	if open < 0 || end == open || strings.HasPrefix(strings.ToLower(path), "members") {
		return plain(path, 256)
	}
	return plain(path[:open]+redacted+path[end+1:], 256)
}
