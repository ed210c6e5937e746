package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
)

// Config is what a Manager needs.
type Config struct {
	Store    Store                        // required
	Sealer   Sealer                       // required
	Policy   func() *mapping.Policy       // required; nil while no revision is in force
	Foreign  func(*directory.Person) bool // required; whether their address belongs to another organization, see [directory.Directory.Foreign]
	Idle     time.Duration                // defaults to 15 minutes, at least 1 minute
	Absolute time.Duration                // defaults to 12 hours
	Max      int                          // sessions of one person at a time: at a new one the oldest ends; 0: any number
	Remember int                          // sessions at most that are known without asking the Store, half a kilobyte each; defaults to 1,000,000
	Now      func() time.Time             // defaults to time.Now
	Log      *slog.Logger                 // defaults to discarding
}

// Manager is safe for concurrent use. [Manager.Run] must run for as long as
// the manager is in use: a manager that hears no changes trusts no cache.
type Manager struct {
	store    Store
	sealer   Sealer
	policy   func() *mapping.Policy
	foreign  func(*directory.Person) bool
	idle     time.Duration
	absolute time.Duration
	most     int
	now      func() time.Time
	log      *slog.Logger
	cache    *cache
	feed     feed
	rechecks rechecks
	shelf    *shelf
	shared   *shared
	hits     atomic.Uint64
	misses   atomic.Uint64
	started  time.Time // the zero of the feed's clock, which must not jump
}

// New makes a Manager.
func New(c Config) *Manager {
	if c.Idle == 0 {
		c.Idle = 15 * time.Minute
	}
	if c.Absolute == 0 {
		c.Absolute = 12 * time.Hour
	}
	if c.Remember == 0 {
		c.Remember = maxEntries
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{
		store: c.Store, sealer: c.Sealer, policy: c.Policy, foreign: c.Foreign, idle: max(c.Idle, time.Minute), absolute: c.Absolute, most: c.Max,
		now: c.Now, log: c.Log, cache: newCache(c.Remember), rechecks: newRechecks(), shelf: newShelf(), shared: newShared(), started: c.Now(),
	}
}

// What tokens of identity providers are sealed for, see [Sealer].
const (
	IDTokenPurpose = "session id token"
	RefreshPurpose = "session refresh token"
)

// Issue begins a session for somebody who signed in. The token is 256 random
// bits and is given to the browser alone. It fails with fault.Forbidden if the
// person was barred in the meantime, or lost their access.
func (m *Manager) Issue(ctx context.Context, in directory.SignedIn, client Client, ticket Ticket) (string, *Principal, error) {
	now := m.now().UTC()
	token := rand.Text() + rand.Text()
	hash := sha256.Sum256([]byte(token))
	r := Row{
		ID: strings.ToLower(rand.Text()), TokenHash: hash[:], Person: in.Person.ID, AssertionID: in.AssertionID,
		Connection: in.Person.Connection, Client: client.storable(), Created: now, LastSeen: now, Expires: now.Add(m.absolute),
	}
	if end := ticket.Ends; !end.IsZero() && end.Before(r.Expires) {
		r.Expires = end.UTC()
	}
	if err := m.seal(&r, ticket); err != nil {
		return "", nil, err
	}
	if err := m.store.InsertSession(ctx, r); err != nil {
		return "", nil, err
	}
	if err := m.endExcess(ctx, r); err != nil {
		return "", nil, err
	}
	// What changed since the sign-in was judged counts, and what changes from
	// here on finds the session.
	_, s, err := m.store.FindSession(ctx, hash[:])
	if fault.Is(err, fault.NotFound) {
		return "", nil, fault.New(fault.Forbidden, "your access has ended") // they were deleted
	}
	if err != nil {
		return "", nil, err
	}
	access, err := m.admit(&s, m.policy(), now)
	if fault.Is(err, fault.Forbidden) {
		_ = m.lose(ctx, r, s, err) // who asks has no session yet
	}
	if err != nil {
		return "", nil, err
	}
	return token, principal(r, s, access, hash), nil
}

// admit decides about a standing as the store gave it.
func (m *Manager) admit(s *directory.Standing, policy *mapping.Policy, now time.Time) (mapping.Access, error) {
	s.Foreign = m.foreign(&s.Person)
	return s.Admit(policy, now)
}

// Verify says who holds a token. It fails with fault.Unauthenticated when
// nobody does any more, with the reason in words for the person, and with
// fault.Unavailable when that cannot be known.
func (m *Manager) Verify(ctx context.Context, token string) (*Principal, error) {
	e, err := m.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	return e.principal(m.shelf), nil
}

func (m *Manager) verify(ctx context.Context, token string) (*entry, error) {
	hash := sha256.Sum256([]byte(token))
	now := m.now()
	if m.fresh(now) {
		if e := m.cache.get(hash); e != nil && !e.token && m.current(e, now) {
			e.seen.Store(now.UnixNano())
			m.hits.Add(1)
			return e, nil
		}
	}
	m.misses.Add(1)
	return m.load(ctx, hash, true)
}

// current reports whether a cached entry may still be used.
func (m *Manager) current(e *entry, now time.Time) bool {
	until := e.access.Until
	return e.policy == m.policy() &&
		(until.IsZero() || now.Before(until)) &&
		now.UnixMicro() < e.expires &&
		(e.token || now.Sub(time.Unix(0, e.seen.Load())) < m.idle)
}

// load reads a session and all that its access depends on, and caches the
// answer unless a change came in meanwhile. used says that a request asks: it
// keeps the session from going idle.
func (m *Manager) load(ctx context.Context, hash [32]byte, used bool) (*entry, error) {
	generation, began := m.cache.generation(hash), m.now()
	asking, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	r, s, err := m.store.FindSession(asking, hash[:])
	if fault.Is(err, fault.NotFound) {
		m.cache.drop(hash)
		return nil, fault.New(fault.Unauthenticated, "you are not signed in")
	}
	if err != nil {
		return nil, err
	}
	now := m.now()
	policy := m.policy()
	if err := m.alive(r, now); err != nil {
		m.cache.bury(r.ID, hash)
		return nil, err
	}
	access, err := m.admit(&s, policy, now)
	if fault.Is(err, fault.Forbidden) {
		return nil, m.lose(ctx, r, s, err)
	}
	if err != nil {
		return nil, err
	}
	p := principal(r, s, access, hash)
	p.checked, p.shelf = began.Sub(m.started), m.shelf
	e := newEntry(p, m.shared.of(&p.Access), policy)
	e.written.Store(r.LastSeen.UnixNano())
	if used {
		e.seen.Store(now.UnixNano())
	} else {
		e.seen.Store(m.lastSeen(r).UnixNano())
	}
	return m.cache.put(e, generation), nil
}

// lose ends the session of somebody who may no longer be inside: a right that
// comes back later does not bring old sessions along.
func (m *Manager) lose(ctx context.Context, r Row, s directory.Standing, why error) error {
	m.cache.end(r.ID)
	// Whoever asked may hang up; the end counts all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	now := m.now().UTC()
	err := m.store.EndSession(ctx, r.ID, fault.Message(why), now, audit.Event{
		At: now, Action: audit.SessionEnded, Actor: audit.Gate(), Person: r.Person, Subject: s.Person.UserName,
		Connection: r.Connection, Reason: fault.ToOthers(why),
	})
	if err != nil {
		m.log.ErrorContext(ctx, "session not ended in the database; it is refused all the same", "session", r.ID, "error", err)
	}
	return fault.Wrap(fault.Unauthenticated, why, "you were signed out: %s", fault.Message(why))
}

// alive checks a stored session against the clock and its own end.
func (m *Manager) alive(r Row, now time.Time) error {
	switch {
	case !r.Ended.IsZero():
		return fault.New(fault.Unauthenticated, "you were signed out: %s", r.EndReason)
	case !now.Before(r.Expires), now.Sub(m.lastSeen(r)) >= m.idle:
		return fault.New(fault.Unauthenticated, "your session has expired")
	default:
		return nil
	}
}

// lastSeen is the last use of a session, written down or not yet.
func (m *Manager) lastSeen(r Row) time.Time {
	if at := m.cache.lastSeen(r.ID); at.After(r.LastSeen) {
		return at
	}
	return r.LastSeen
}

func principal(r Row, s directory.Standing, access mapping.Access, hash [32]byte) *Principal {
	return &Principal{
		hash:      hash,
		SessionID: r.ID, PersonID: r.Person, Connection: r.Connection, Organization: s.Person.Organization,
		Issuer: s.Assertion.Issuer, Subject: s.Assertion.Subject, Email: s.Person.Address(), Name: s.Person.Name,
		Access: access, ACR: s.Assertion.ACR, AuthTime: s.Assertion.AuthTime, Created: r.Created, Expires: r.Expires,
	}
}

// End ends the session of a token, with its streams, on every replica within
// a second. It gives the ticket, without its refresh token, and the connection
// of the session, for the sign-out at the identity provider; both are zero for
// an unknown token.
func (m *Manager) End(ctx context.Context, token string, by audit.Actor) (ticket Ticket, connection string, err error) {
	hash := sha256.Sum256([]byte(token))
	return m.EndHashed(ctx, hash[:], by)
}

// EndHashed is [Manager.End] by the SHA-256 of a token.
func (m *Manager) EndHashed(ctx context.Context, hash []byte, by audit.Actor) (ticket Ticket, connection string, err error) {
	r, s, err := m.store.FindSession(ctx, hash)
	if fault.Is(err, fault.NotFound) {
		return Ticket{}, "", nil
	}
	if err != nil {
		return Ticket{}, "", err
	}
	now := m.now().UTC()
	err = m.store.EndSession(ctx, r.ID, "you signed out", now, audit.Event{
		At: now, Action: audit.SignOut, Actor: by, Person: r.Person, Subject: s.Person.UserName, Connection: r.Connection,
	})
	if err != nil {
		return Ticket{}, "", err
	}
	m.cache.end(r.ID)
	return m.ticket(ctx, r), r.Connection, nil
}

// Watch gives a context that ends with ctx, and as soon as the session or
// any right of it ends; its cause is then [ErrEnded]. Every request that runs
// for p runs under it, from says the address that it comes from, see
// [Manager.CutWhere]. Call cancel when the request is over.
func (m *Manager) Watch(ctx context.Context, p *Principal, from string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	w, current := m.cache.join(p, from, m.now(), cancel)
	if !current {
		// A change was heard after p was verified and before the request
		// joined: what it took away must not slip through between the two.
		if e, err := m.reload(ctx, p, true); err != nil || !sameAccess(e.access, &p.Access) {
			cancel(ErrEnded)
		} else {
			m.cache.confirm(w.of, e)
		}
	}
	return ctx, func() {
		m.cache.leave(w)
		cancel(context.Canceled)
	}
}

// CutWhere ends the requests under [Manager.Watch] of which something holds,
// and gives how many. The sessions stay, and so do other requests of theirs.
// over is called with the manager locked: it is quick, and calls nothing of it.
func (m *Manager) CutWhere(over func(p *Principal, from string) bool) (cut int) {
	return m.cache.cutWhere(over)
}
