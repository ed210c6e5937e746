// Package revision holds the mapping that is in force: it loads the mapping
// file, notices every change of it within a second, and keeps the last good
// revision when a new one is broken.
//
// Package mapping is pure and knows no file system; this package is its only
// one. It decides nothing about access.
package revision

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/mapping"
)

// checkEvery is how often the file is read. A change counts when two reads in
// a row agree, so that a file that is still being written is not taken for a
// shorter one; it is in force within three of these.
const checkEvery = 200 * time.Millisecond

// maxSize bounds what is read of a file; [mapping.Load] refuses less than this.
const maxSize = 8 << 20

// Recorder keeps audit events that belong to no other transaction.
type Recorder interface {
	Record(ctx context.Context, e audit.Event) error
}

// Config is what a Keeper needs.
type Config struct {
	File        string                // required
	Connections []string              // ids that the configuration knows
	Recorder    Recorder              // required
	Changed     func(context.Context) // called after another revision is in force; may be nil
	Now         func() time.Time      // defaults to time.Now
	Log         *slog.Logger          // defaults to discarding
}

// Status is the state of the mapping for people and metrics.
type Status struct {
	Hash    string    // of the revision in force; empty if there is none
	Since   time.Time // when it came into force
	Problem error     // why the file as it is now is not in force; nil if it is
}

// Keeper is safe for concurrent use.
type Keeper struct {
	file        string
	connections []string
	recorder    Recorder
	changed     func(context.Context)
	now         func() time.Time
	log         *slog.Logger

	policy atomic.Pointer[mapping.Policy]
	mu     sync.Mutex
	status Status
	last   []byte // the text that was judged last
	next   []byte // another text, seen once
	broken string // the read error that was reported last
}

// New makes a Keeper. Nothing is in force before [Keeper.Load].
func New(c Config) *Keeper {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Changed == nil {
		c.Changed = func(context.Context) {}
	}
	return &Keeper{
		file: c.File, connections: c.Connections, recorder: c.Recorder, changed: c.Changed,
		now: func() time.Time { return c.Now().UTC() }, log: c.Log,
	}
}

// Policy gives the mapping in force, nil while there is none.
func (k *Keeper) Policy() *mapping.Policy { return k.policy.Load() }

// Status says what is in force and whether the file is.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Load reads the file now and puts it in force. The error says why it is not;
// it holds a [mapping.Problems] when the text is at fault.
func (k *Keeper) Load(ctx context.Context) error {
	text, err := read(k.file)
	if err != nil {
		k.unreadable(ctx, err)
		return err
	}
	return k.judge(ctx, text)
}

// Run looks after the file until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			k.Check(ctx)
		}
	}
}

// Check reads the file and acts on a change that the read before saw, too.
func (k *Keeper) Check(ctx context.Context) {
	text, err := read(k.file)
	if err != nil {
		k.unreadable(ctx, err)
		return
	}
	k.mu.Lock()
	same := k.last != nil && bytes.Equal(text, k.last) && k.broken == ""
	settled := k.next != nil && bytes.Equal(text, k.next)
	k.next = text
	k.mu.Unlock()
	if same || !settled {
		return
	}
	_ = k.judge(ctx, text) // reported inside
}

// judge loads a text and puts it in force if it is good.
func (k *Keeper) judge(ctx context.Context, text []byte) error {
	p, err := mapping.Load(k.file, text, mapping.Options{Connections: k.connections})
	now := k.now()
	k.mu.Lock()
	k.last, k.next, k.broken = text, nil, ""
	k.status.Problem = err
	if err == nil {
		k.status.Hash, k.status.Since = p.Hash(), now
		k.policy.Store(p)
	}
	k.mu.Unlock()
	if err != nil {
		k.log.ErrorContext(ctx, "mapping file is broken; the last good revision stays in force", "file", k.file, "error", err)
		k.record(ctx, audit.Event{At: now, Action: audit.MappingRefused, Actor: audit.Gate(), Subject: k.file, Reason: firstLine(err)})
		return err
	}
	k.log.InfoContext(ctx, "mapping in force", "file", k.file, "revision", p.Hash())
	k.record(ctx, audit.Event{At: now, Action: audit.MappingApplied, Actor: audit.Gate(), Subject: k.file, Detail: map[string]string{"revision": p.Hash()}})
	k.changed(ctx)
	return nil
}

// unreadable reports a file that cannot be read, once for each reason.
func (k *Keeper) unreadable(ctx context.Context, err error) {
	k.mu.Lock()
	known := k.broken == err.Error()
	k.broken = err.Error()
	k.next = nil
	k.status.Problem = err
	k.mu.Unlock()
	if !known {
		k.log.ErrorContext(ctx, "mapping file cannot be read; the last good revision stays in force", "file", k.file, "error", err)
	}
}

func (k *Keeper) record(ctx context.Context, e audit.Event) {
	if err := k.recorder.Record(ctx, e); err != nil {
		k.log.ErrorContext(ctx, "change of the mapping is not in the audit trail", "action", string(e.Action), "error", err)
	}
}

func read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxSize {
		return nil, fault.New(fault.TooLarge, "%s: the file is larger than %d MiB", file, maxSize>>20)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the mapping file cannot be read")
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the mapping file cannot be read")
	}
	if text == nil {
		text = []byte{}
	}
	return text, nil
}

// firstLine bounds a reason for the audit trail.
func firstLine(err error) string {
	if problems, ok := errors.AsType[mapping.Problems](err); ok && len(problems) > 0 {
		return problems[0].String()
	}
	return fault.Message(err)
}
