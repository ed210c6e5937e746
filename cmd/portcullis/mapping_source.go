package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"portcullis/config"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
)

// source is a mapping that a question is answered by, and where it is from.
type source struct {
	policy   *mapping.Policy
	file     string // named on the command line, or by the configuration
	hash     string
	revision int64 // of the database; 0 for a file
	since    time.Time
	way      revision.Way
	by       string
}

// String names it for people.
func (s *source) String() string {
	if s.revision == 0 {
		return fmt.Sprintf("%s, revision %.12s", cmp.Or(s.file, "the mapping in the database"), s.hash)
	}
	return fmt.Sprintf("revision %d, %.12s, in force since %s (%s by %s)", s.revision, s.hash, stamp(s.since), s.way, s.by)
}

type sourceJSON struct {
	File     string     `json:"file,omitempty"`
	Revision int64      `json:"revision,omitempty"` // number in the database
	Hash     string     `json:"hash"`
	Since    *time.Time `json:"since,omitempty"` // when it came into force
}

func (s *source) wire() sourceJSON {
	return sourceJSON{File: s.file, Revision: s.revision, Hash: s.hash, Since: optional(s.since)}
}

// mappingFile loads a file that the command line names, as check does.
func mappingFile(file string, o mapping.Options) (*source, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	p, err := mapping.Load(file, text, revision.Disk(file, o))
	if err != nil {
		return nil, err
	}
	return &source{policy: p, file: file, hash: p.Hash()}, nil
}

// mappingOf gives the mapping for a question: the file if one is named, what
// was in force at a time, or with the zero time what is.
func (c *cli) mappingOf(ctx context.Context, cfg *config.Config, db *store.DB, files []string, at time.Time) (*source, error) {
	if len(files) > 0 {
		return mappingFile(files[0], mapping.Options{Environment: cfg.Environment})
	}
	if !at.IsZero() {
		return mappingAt(ctx, cfg, db, at)
	}
	p, err := revision.Peek(ctx, revision.Config{Store: db.Revisions(), File: cfg.Mapping.File, Options: mappingOptions(cfg)})
	if p == nil {
		return nil, err
	}
	if err != nil {
		fmt.Fprintf(c.err, "warning: the mapping is broken; this is by what is in force all the same:\n%v\n", err)
	}
	return &source{policy: p, file: cfg.Mapping.File, hash: p.Hash()}, nil
}

// mappingAt gives the revision that was in force at a time. It is not held
// against the connections of today: those of then are not known.
func mappingAt(ctx context.Context, cfg *config.Config, db *store.DB, at time.Time) (*source, error) {
	l := revision.NewLedger(revision.LedgerConfig{Store: db.Revisions()})
	r, a, err := l.At(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("%w; name a FILE to answer by", err)
	}
	if revision.Hash(r.Texts) != r.Hash {
		return nil, fmt.Errorf("revision %d was altered in the database: its hash is not %.12s", r.Number, r.Hash)
	}
	p, err := revision.Compile(r.Texts, mapping.Options{Environment: cfg.Environment})
	if err != nil {
		return nil, err
	}
	return &source{policy: p, hash: r.Hash, revision: r.Number, since: a.At, way: a.Way, by: printable(a.By.Name)}, nil
}

// moment is the value of a flag --at: an instant, or a day, which stands for
// its beginning in UTC.
type moment struct{ time.Time }

var errMoment = errors.New("want a time like 2026-01-31T15:04:05Z, or a day like 2026-01-31, which begins at 00:00 UTC")

// String implements pflag.Value.
func (m *moment) String() string {
	if m.IsZero() {
		return ""
	}
	return stamp(m.Time)
}

// Set implements pflag.Value.
func (m *moment) Set(text string) error {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && !t.IsZero() && t.Year() > 1970 {
			m.Time = t.UTC()
			return nil
		}
	}
	return errMoment
}

// Type implements pflag.Value.
func (*moment) Type() string { return "time" }

// or gives the time, or now.
func (m *moment) or(now time.Time) time.Time {
	if m.IsZero() {
		return now
	}
	return m.Time
}
