package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/config"
	"portcullis/fault"
	"portcullis/keys"
	"portcullis/login"
	"portcullis/saml"
	"portcullis/store"
)

// rosterEvery is how often a gate asks whether another one changed a
// connection. What it answers itself is in force at once.
const rosterEvery = 250 * time.Millisecond

// roster is every connection that counts: those of the configuration, and
// those that were made in the console. It is safe for concurrent use.
type roster struct {
	file  *config.Config
	db    *store.DB
	made  store.Made
	ring  *keys.Ring // nil for a look from outside: secrets stay closed
	login func() *login.Login
	apply func(context.Context, *rosterState) error // puts connections in force in every room
	now   func() time.Time
	log   *slog.Logger

	turn    sync.Mutex       // one refresh at a time
	version int64            // that is in force
	gone    []string         // ids of connections that were removed, and emptied here
	late    []straggler      // of those, and of those that have another provider, what is to be emptied once more
	judged  map[string]int64 // versions of what was judged last; guarded by turn once the gate runs

	state atomic.Pointer[rosterState]
}

// rosterState is the roster of a moment. Nothing changes it.
type rosterState struct {
	cfg  *config.Config // the file's, with the connections of now
	all  []admin.Connection
	made map[string]madeConnection
	ids  []string // of connections that the mapping may name
}

// madeConnection is a connection that was made in the console, opened.
type madeConnection struct {
	admin.Made

	draft   admin.Draft
	secrets map[string]string
}

func newRoster(cfg *config.Config, db *store.DB, ring *keys.Ring, log *slog.Logger, now func() time.Time) *roster {
	r := &roster{
		file: cfg, db: db, made: db.Made(), ring: ring, now: func() time.Time { return now().UTC() }, log: log,
		apply: func(context.Context, *rosterState) error { return nil },
	}
	r.state.Store(r.judge(nil))
	return r
}

// cfg is the configuration with the connections of now.
func (r *roster) cfg() *config.Config { return r.state.Load().cfg }

// Connections implements [admin.Ways].
func (r *roster) Connections() []admin.Connection { return r.state.Load().all }

// ids are the connections that a mapping may name: also those that were
// removed, so that a mapping that still does is not broken by it.
func (r *roster) ids() []string { return r.state.Load().ids }

// Run follows what other gates change, until ctx ends.
func (r *roster) Run(ctx context.Context) error {
	tick := time.NewTicker(rosterEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := r.follow(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			r.log.WarnContext(ctx, "connections made in the console not read; those of before stay", "error", err.Error())
		}
		failing = err != nil
	}
}

func (r *roster) follow(ctx context.Context) error {
	version, err := r.made.Version(ctx)
	if err != nil {
		return err
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	for len(r.late) > 0 && !r.now().Before(r.late[0].at) {
		if err := r.gather(ctx, r.late[0]); err != nil {
			return err
		}
		r.late = r.late[1:]
	}
	if version == r.version {
		return nil // this gate's own doing
	}
	return r.refresh(ctx)
}

// Refresh puts in force what the database holds.
func (r *roster) Refresh(ctx context.Context) error {
	r.turn.Lock()
	defer r.turn.Unlock()
	return r.refresh(ctx)
}

func (r *roster) refresh(ctx context.Context) error {
	made, version, err := r.made.All(ctx)
	if err != nil {
		return err
	}
	if version == r.version {
		return nil
	}
	r.keep(made)
	next := r.judge(made)
	r.judged = make(map[string]int64)
	for _, m := range made {
		r.judged[m.ID] = m.Version
	}
	replaced := r.replaced(ctx, next)
	if err := r.apply(ctx, next); err != nil {
		return err
	}
	r.state.Store(next)
	for _, s := range replaced {
		s.at = r.now().Add(straggling)
		r.late = append(r.late, s)
	}
	for _, s := range replaced { // whoever came in here by the old provider until this moment
		if err := r.made.SignOut(ctx, s.id, r.now()); err != nil {
			return err
		}
	}
	for _, m := range made {
		if m.Removed.IsZero() || m.Stays || slices.Contains(r.gone, m.ID) || r.inFile(m.ID) {
			continue
		}
		// Whoever came in here between the removal and this moment goes, too.
		if r.ring != nil {
			if err := r.made.Empty(ctx, m.ID, r.now()); err != nil {
				return err
			}
			r.late = append(r.late, straggler{id: m.ID, at: r.now().Add(straggling)})
		}
		r.gone = append(r.gone, m.ID)
	}
	r.version = version
	return nil
}

// keep leaves in place what was removed because the configuration has it, where
// this gate still runs by a configuration that does not: until it starts with
// the new one, its people come in as before.
func (r *roster) keep(made []admin.Made) {
	before := r.state.Load().made
	for i, m := range made {
		if old, here := before[m.ID]; here && m.Stays && !r.inFile(m.ID) {
			made[i] = old.Made
		}
	}
}

// judge reads what is stored. What cannot be in force is there all the same,
// with the reason.
func (r *roster) judge(made []admin.Made) *rosterState {
	s := &rosterState{made: make(map[string]madeConnection), ids: connectionIDs(r.file)}
	merged := *r.file
	merged.Connections = slices.Clone(r.file.Connections)
	for _, conn := range r.file.Connections {
		s.all = append(s.all, viewOf(conn))
	}
	for _, m := range made {
		s.ids = append(s.ids, m.ID)
		if !m.Removed.IsZero() {
			continue
		}
		opened, err := r.open(m)
		var conn config.Connection
		shadowed := r.inFile(m.ID)
		if err == nil && !shadowed {
			conn, err = r.read(opened, merged.Connections)
		}
		view := draftView(opened)
		if err == nil && !shadowed {
			merged.Connections = append(merged.Connections, conn)
			view = viewOf(conn)
			if d := opened.draft; d.Protocol != "" && !filledIn(d) {
				view.Protocol, view.Authentication, view.Incomplete = d.Protocol, d.Authentication, true
			}
			view.Reading.Names = opened.draft.Reading.Names
		}
		view.Made, view.Shadowed, view.Version, view.Changed, view.Author = true, shadowed, m.Version, m.Changed, m.Author
		if err != nil {
			view.Problem = problemOf(err)
		}
		s.made[m.ID] = opened
		s.all = append(s.all, view)
	}
	s.cfg = &merged
	return s
}

// inFile reports whether the configuration has a connection of that id, which
// counts before one that was made in the console.
func (r *roster) inFile(id string) bool {
	return slices.ContainsFunc(r.file.Connections, func(c config.Connection) bool { return c.ID == id })
}

// problemOf says what is wrong with a connection, without positions in a
// document that nobody sees.
func problemOf(err error) string {
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
		return fault.Message(err)
	}
	texts := make([]string, len(problems))
	for i, p := range problems {
		texts[i] = p.Message
	}
	return strings.Join(texts, "; ")
}

// open reads a stored connection, and opens its secrets.
func (r *roster) open(m admin.Made) (madeConnection, error) {
	out := madeConnection{Made: m, draft: admin.Draft{ID: m.ID}, secrets: map[string]string{}}
	var d draftJSON
	if err := json.Unmarshal(m.Document, &d); err != nil {
		return out, fault.Wrap(fault.Invalid, err, "what is stored cannot be read")
	}
	out.draft = d.domain(m.Version)
	if len(m.Sealed) == 0 {
		return out, nil
	}
	if r.ring == nil {
		out.secrets[secretName], out.secrets[nextName] = "unknown", "unknown"
		return out, nil
	}
	plain, err := r.ring.Open(admin.SecretsPurpose+m.ID, m.Sealed)
	if err != nil {
		return out, fault.Wrap(fault.Invalid, err, "its secrets cannot be opened with this gate's key file")
	}
	if err := json.Unmarshal(plain, &out.secrets); err != nil {
		return out, fault.Wrap(fault.Invalid, err, "its secrets cannot be read")
	}
	return out, nil
}

// read makes of a stored connection what the configuration's would be.
func (r *roster) read(m madeConnection, others []config.Connection) (config.Connection, error) {
	if m.draft.Protocol != "" && !filledIn(m.draft) && !m.draft.SCIM {
		return config.Connection{}, fault.New(fault.Invalid, "what stands at the identity provider is not filled in yet")
	}
	document, err := document(m.draft, m.secrets)
	if err != nil {
		return config.Connection{}, err
	}
	conn, err := config.ParseConnection(config.Stored{Document: document, Secrets: m.secrets, Private: onLoopback(net.JoinHostPort(r.file.PublicURL.Hostname(), "0"))}, others)
	if err != nil {
		return conn, err
	}
	if conn.SAML != nil && conn.SAML.Metadata != "" {
		if _, err := saml.ReadMetadata([]byte(conn.SAML.Metadata), saml.MetadataOptions{}); err != nil {
			return conn, fault.Wrap(fault.Invalid, err, "the provider's metadata: %s", fault.Message(err))
		}
	}
	return conn, nil
}

// Trust implements [admin.Ways].
func (r *roster) Trust(ctx context.Context, id string) (out admin.Trust, err error) {
	idp, _ := r.login().Provider(ctx, id)
	if idp != nil {
		out.EntityID = idp.EntityID
		for _, s := range saml.CertificateStates(idp.Certificates, r.now()) {
			c := admin.Certificate{Name: short(s.Fingerprint), Ends: s.NotAfter}
			if s.Weak {
				c.Note = "its key is too weak: nothing that it signs is believed"
			}
			out.Certificates = append(out.Certificates, c)
		}
	}
	pairs, err := r.ring.Shown(ctx, id)
	if err != nil {
		return out, err
	}
	for i, p := range pairs {
		note := ""
		if i > 0 {
			note = "shown, and not used to sign"
		}
		out.Certificates = append(out.Certificates, admin.Certificate{Ours: true, Name: short(saml.Fingerprint(p.Certificate)), Ends: p.Certificate.NotAfter, Note: note})
	}
	for _, conn := range r.cfg().Connections {
		if conn.ID != id || conn.SAML == nil || conn.SAML.MetadataURL == "" {
			continue
		}
		m, err := metadataOf(ctx, r.cfg(), r.db, conn)
		if err != nil {
			return out, err
		}
		if m.Since != nil { // this gate follows within half a minute
			out.Accepted, out.EntityID = *m.Since, m.EntityID
		}
		if m.ValidUntil != nil {
			out.ValidUntil = *m.ValidUntil
		}
		if m.Waiting != nil {
			out.Waiting, out.Changes = *m.Waiting, m.Changes
		}
	}
	return out, nil
}

func short(fingerprint string) string { return fingerprint[:min(len(fingerprint), 12)] }

// ApproveMetadata implements [admin.Ways].
func (r *roster) ApproveMetadata(ctx context.Context, by audit.Actor, id string) error {
	return login.ApproveMetadata(ctx, r.db.Login(), id, by, r.now())
}

// Rollover implements [admin.Ways].
func (r *roster) Rollover(ctx context.Context, by audit.Actor, id string) error {
	return rollover(ctx, r.ring, by, id, r.file.PublicURL, r.now())
}

// rollover makes our next key at a SAML provider. While a key waits to sign it
// makes no other: of too many, the one in use would be forgotten.
func rollover(ctx context.Context, ring *keys.Ring, by audit.Actor, id string, public *url.URL, now time.Time) error {
	if err := ring.Refresh(ctx); err != nil { // what another made a moment ago counts
		return err
	}
	pairs, err := ring.Shown(ctx, id)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		if len(pairs) > 1 && p.Created.After(pairs[0].Created) && now.Sub(p.Created) < keys.PairNotice {
			return fault.New(fault.Conflict, "the next key was made already, and waits until the provider knows it")
		}
	}
	return ring.NextPair(ctx, id, by, makePair(public))
}

// Test implements [admin.Ways].
func (r *roster) Test(ctx context.Context, by audit.Actor, id string) (string, string, error) {
	test, path := login.NewTest(id, by, r.now())
	err := r.db.Login().InsertTest(ctx, test, audit.Event{
		At: test.Created, Action: audit.SignInTested, Actor: by, Connection: id, Reason: "link made", Detail: map[string]string{"test": test.ID},
	})
	return test.ID, login.TestURL(r.file.PublicURL, path), err
}

// Tested implements [admin.Ways].
func (r *roster) Tested(ctx context.Context, test string) (admin.Tested, error) {
	t, record, err := r.db.Login().FindTest(ctx, test)
	return admin.Tested{Connection: t.Connection, By: t.OperatorID, Opened: t.Opened, Record: record}, err
}
