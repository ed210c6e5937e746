package revision

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/audit"
	"portcullis/mapping"
)

const (
	// checkEvery is how often the file, or the database, is read. A changed
	// file counts when two reads in a row agree, so that one that is still
	// being written is not taken for a shorter one; it is in force within three
	// of these, what was applied in the database within two.
	checkEvery = 200 * time.Millisecond

	// reportEvery is how often a gate says that it is still there.
	reportEvery = 10 * time.Second

	// GoneAfter is how long after its last report a gate counts as gone.
	GoneAfter = 3 * reportEvery
)

// writeWithin bounds how long a database that hangs keeps a Keeper from
// looking at the file.
const writeWithin = 3 * time.Second

// Config is what a Keeper needs.
type Config struct {
	Store   Store                 // required
	File    string                // the mapping file; empty where the database says what is in force
	Options mapping.Options       // what a mapping is checked against
	Reach   Reach                 // counts what a changed file changes for people; may be nil
	Replica string                // what this gate is called in reports; empty: it reports nothing
	Changed func(context.Context) // called after another revision is in force; may be nil
	Now     func() time.Time      // defaults to time.Now
	Log     *slog.Logger          // defaults to discarding
}

// Status is the state of the mapping for people and metrics.
type Status struct {
	Hash    string    // of the revision in force; empty if there is none
	Since   time.Time // when it came into force here
	Managed bool      // the database says what is in force, and not a file
	Problem error     // why what should be in force is not; nil if it is
	Partly  bool      // Problem is of fragments alone; the rest is in force
}

// Keeper puts a mapping in force in one gate. It is safe for concurrent use.
type Keeper struct {
	store   Store
	file    string
	options mapping.Options
	reach   Reach
	replica string
	changed func(context.Context)
	now     func() time.Time
	log     *slog.Logger

	policy atomic.Pointer[mapping.Policy]
	mu     sync.Mutex // of what follows
	status Status
	last   *files // file: what was judged last
	next   *files // file: something else, seen once
	broken string // the read error that was reported last
	seen   int64  // database: the application that was judged last

	turn     sync.Mutex      // one Load or Check at a time; of what follows
	owed     *owed           // file: in force and not recorded yet
	tallies  chan tally      // file: recorded and not counted yet
	texts    []Text          // file: that are in force
	recalled *mapping.Policy // file: what was in force before the start
	reported Replica
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
	k := &Keeper{
		store: c.Store, file: c.File, options: c.Options, reach: c.Reach, replica: c.Replica, changed: c.Changed,
		now: func() time.Time { return c.Now().UTC() }, log: c.Log,
	}
	k.status.Managed = c.File == ""
	k.seen = -1
	k.tallies = make(chan tally, maxTallies)
	return k
}

// Policy gives the mapping in force, nil while there is none.
func (k *Keeper) Policy() *mapping.Policy { return k.policy.Load() }

// Status says what is in force and whether that is what should be.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Load puts in force what should be. The error says why it is not; it holds a
// [mapping.Problems] when a text is at fault. Where the mapping file is broken
// or missing, the revision that was in force last is in force all the same.
func (k *Keeper) Load(ctx context.Context) error {
	k.turn.Lock()
	defer k.turn.Unlock()
	err := k.load(ctx)
	k.report(ctx)
	return err
}

func (k *Keeper) load(ctx context.Context) error {
	if k.file == "" {
		return k.follow(ctx)
	}
	if k.policy.Load() == nil {
		k.recall(ctx)
	}
	seen, err := look(k.file)
	if err != nil {
		k.unreadable(ctx, err)
	} else {
		err = k.judge(ctx, seen, true)
	}
	if err != nil && k.policy.Load() == nil {
		k.fallBack(ctx)
	}
	return err
}

// Run looks after the mapping until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	var counting sync.WaitGroup
	counting.Go(func() { k.count(ctx) })
	defer counting.Wait()
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			k.sayGoodbye(ctx)
			return nil
		case <-tick.C:
			k.Check(ctx)
		}
	}
}

// Check acts on a change: of the file, when the read before saw it too, or of
// what the database says.
func (k *Keeper) Check(ctx context.Context) {
	k.turn.Lock()
	defer k.turn.Unlock()
	if k.file == "" {
		_ = k.follow(ctx) // reported inside
	} else {
		k.look(ctx)
	}
	k.report(ctx)
}

// look reads the file.
func (k *Keeper) look(ctx context.Context) {
	if k.owed != nil {
		k.record(ctx, k.owed)
	}
	seen, err := look(k.file, k.last, k.next)
	if err != nil {
		k.unreadable(ctx, err)
		return
	}
	k.mu.Lock()
	same := k.broken == "" && seen.agrees(k.last)
	settled := seen.agrees(k.next)
	k.next = seen
	k.mu.Unlock()
	if same || !settled {
		return
	}
	_ = k.judge(ctx, seen, false) // reported inside
}

// judge loads the file as it was seen and puts it in force if it is good. That
// does not wait for the database: the text may take a right away. A file that
// is included for the first time was read just now; unless at once, it has to
// be there in a second look, too.
func (k *Keeper) judge(ctx context.Context, seen *files, atOnce bool) error {
	previous := k.policy.Load()
	if previous == nil {
		previous = k.recalled
	}
	known := seen.size()
	p, err := mapping.LoadWith(previous, k.file, seen.base, seen.through(Disk(k.file, k.options)))
	k.mu.Lock()
	if !atOnce && seen.size() > known {
		k.next = seen
		k.mu.Unlock()
		return nil
	}
	k.last, k.next, k.broken = seen, nil, ""
	k.mu.Unlock()
	if err != nil {
		k.refuse(ctx, err)
		return err
	}
	k.texts = inForceOf(k.file, p, seen.base, k.texts)
	hash := Hash(k.texts)
	k.enforce(ctx, p, hash)
	r := Revision{
		Hash: hash, Texts: k.texts, Author: audit.Gate(), Reason: "the mapping file changed", Created: k.now(), Tests: Tests{Ran: p.Test().Ran},
	}
	k.record(ctx, &owed{r, parts(r, p), tally{before: previous, after: p}})
	return k.partly(ctx, p)
}

// follow puts in force what the database says, if it is something new.
func (k *Keeper) follow(ctx context.Context) error {
	head, err := k.store.Head(ctx)
	if err != nil {
		k.unreadable(ctx, err)
		return err
	}
	k.mu.Lock()
	known, again := k.seen == head.Seq, k.broken != ""
	k.mu.Unlock()
	if known && !again {
		return k.Status().Problem
	}
	head, r, err := inForce(ctx, k.store)
	if err != nil {
		k.unreadable(ctx, err)
		return err
	}
	k.mu.Lock()
	k.seen, k.broken = head.Seq, ""
	k.mu.Unlock()
	if head.Seq == 0 {
		err := errNothingApplied()
		k.setProblem(err)
		k.log.WarnContext(ctx, "no mapping was applied yet; sign-ins are refused")
		return err
	}
	if k.Status().Hash == r.Hash {
		// The database was away, and says the same again.
		err := broken(k.policy.Load())
		k.mu.Lock()
		k.status.Problem, k.status.Partly = err, err != nil
		k.mu.Unlock()
		return err
	}
	p, err := compileStored(r, k.options, k.policy.Load())
	if err != nil {
		k.refuse(ctx, err)
		return err
	}
	k.enforce(ctx, p, r.Hash)
	return k.partly(ctx, p)
}

// recall reads what was in force before the start, for a mapping file that is
// broken now, or fragments of it.
func (k *Keeper) recall(ctx context.Context) {
	head, r, err := inForce(ctx, k.store)
	if err == nil && head.Seq > 0 {
		k.recalled, err = compileStored(r, k.options, nil)
		k.texts = r.Texts
	}
	if err != nil {
		k.log.WarnContext(ctx, "the revision that was in force last cannot be read, or is broken under this configuration", "error", err)
	}
}

// fallBack puts in force what was in force before the start.
func (k *Keeper) fallBack(ctx context.Context) {
	problem := k.Status().Problem
	if k.recalled == nil {
		k.log.ErrorContext(ctx, "there is no good revision to fall back on; sign-ins are refused", "file", k.file, "error", problem)
		return
	}
	k.enforce(ctx, k.recalled, Hash(k.texts))
	k.setProblem(problem)
	k.log.ErrorContext(ctx, "the mapping file is broken; the revision that was in force last is in force again", "file", k.file, "error", problem)
}

// partly reports the broken fragments of a mapping that is in force. The
// connections whose they are stay where they were.
func (k *Keeper) partly(ctx context.Context, p *mapping.Policy) error {
	err := broken(p)
	if err == nil {
		return nil
	}
	k.mu.Lock()
	k.status.Problem, k.status.Partly = err, true
	k.mu.Unlock()
	for _, f := range p.Fragments() {
		if len(f.Problems) == 0 {
			continue
		}
		k.log.ErrorContext(ctx, "a fragment of the mapping is broken; its connection stays on the last good one",
			"connection", f.Connection, "closed", f.Closed, "error", f.Problems)
		k.recordRefusal(ctx, audit.Event{
			At: k.now(), Action: audit.MappingRefused, Actor: audit.Gate(), Subject: f.Problems[0].File, Connection: f.Connection, Reason: firstLine(f.Problems),
		})
	}
	return err
}

func (k *Keeper) enforce(ctx context.Context, p *mapping.Policy, hash string) {
	k.mu.Lock()
	k.status.Hash, k.status.Since, k.status.Problem, k.status.Partly = hash, k.now(), nil, false
	k.policy.Store(p)
	k.mu.Unlock()
	k.log.InfoContext(ctx, "mapping in force", "source", k.source(), "revision", hash)
	k.changed(ctx)
}

func (k *Keeper) source() string {
	if k.file == "" {
		return "database"
	}
	return k.file
}

func (k *Keeper) setProblem(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.Problem = err
	k.status.Partly = false
}

// refuse reports a text that is not put in force.
func (k *Keeper) refuse(ctx context.Context, err error) {
	k.setProblem(err)
	k.log.ErrorContext(ctx, "mapping is broken; the last good revision stays in force", "source", k.source(), "error", err)
	k.recordRefusal(ctx, audit.Event{At: k.now(), Action: audit.MappingRefused, Actor: audit.Gate(), Subject: k.source(), Reason: firstLine(err)})
}

func (k *Keeper) recordRefusal(ctx context.Context, e audit.Event) {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	if err := k.store.Update(ctx, func(tx Tx) error { return tx.Audit(e) }); err != nil {
		k.log.ErrorContext(ctx, "the refusal of a mapping is not in the audit trail", "error", err)
	}
}

// unreadable reports a source that cannot be read, once for each reason.
func (k *Keeper) unreadable(ctx context.Context, err error) {
	k.mu.Lock()
	known := k.broken == err.Error()
	k.broken = err.Error()
	k.next = nil
	k.status.Problem, k.status.Partly = err, false
	k.mu.Unlock()
	if !known {
		k.log.ErrorContext(ctx, "mapping cannot be read; the last good revision stays in force", "source", k.source(), "error", err)
	}
}
