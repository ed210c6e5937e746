package session

import (
	"context"
	"fmt"
	"time"

	"portcullis/audit"
	"portcullis/fault"
)

// Ticket is what an identity provider gave along with a sign-in, for the end
// of it. The zero Ticket is that of a provider that says nothing.
type Ticket struct {
	Issuer  string // who calls them so: the iss of OpenID Connect, the entity ID of SAML
	Subject string // what it calls the person in its sign-out requests: sub, or a NameID
	Session string // what it calls its own session: sid, or a SessionIndex
	IDToken string // what the sign-out there needs: the ID token, or the whole NameID; kept sealed

	// Begun is when the provider was asked, or answered without being asked. A
	// sign-out that it has sent since ends this sign-in, too. The zero time is
	// of one that nothing of the kind ends.
	Begun time.Time

	// Ends is when its own session ends, as far as it says: ours ends then at
	// the latest. The zero time bounds nothing.
	Ends time.Time

	// Refresh is a refresh token, kept sealed. While the session lives, the
	// provider is asked every RefreshEvery whether its own still does.
	Refresh      string
	RefreshEvery time.Duration
}

// Named is the sessions that an identity provider names: those of a subject,
// one session, or one session of a subject. Connection, Issuer and one of
// Subject and Session are required.
type Named struct {
	Connection string
	Issuer     string
	Subject    string
	Session    string
}

// Request is a request to end sessions, as all replicas remember it: it counts
// once, and sign-ins that were begun before it make no session of what it names.
type Request struct {
	Hash    []byte    // of what it is known by, in its connection
	Expires time.Time // until when it has to be remembered

	// Again makes it count whenever it comes, and take the place of the one with
	// its Hash. It is for what anybody may send: the sender of those decides how many there
	// are, and whoever makes the Hash how many are remembered.
	Again bool
}

// seal puts a ticket into the row of its session.
func (m *Manager) seal(r *Row, t Ticket) (err error) {
	r.Issuer, r.Subject, r.ProviderSession, r.Begun = t.Issuer, t.Subject, t.Session, t.Begun
	if t.IDToken != "" {
		if r.IDToken, err = m.sealer.Seal(IDTokenPurpose, []byte(t.IDToken)); err != nil {
			return err
		}
	}
	if t.Refresh != "" && t.RefreshEvery > 0 {
		r.RefreshDue = r.Created.Add(t.RefreshEvery)
		r.Refresh, err = m.sealer.Seal(RefreshPurpose, []byte(t.Refresh))
	}
	return err
}

// ticket reads what a row holds; the refresh token stays sealed.
func (m *Manager) ticket(ctx context.Context, r Row) Ticket {
	t := Ticket{Issuer: r.Issuer, Subject: r.Subject, Session: r.ProviderSession}
	if len(r.IDToken) > 0 {
		plain, err := m.sealer.Open(IDTokenPurpose, r.IDToken)
		if err != nil { // the key is gone: sign-out here still counts
			m.log.WarnContext(ctx, "id token cannot be unsealed", "session", r.ID, "error", err)
		}
		t.IDToken = string(plain)
	}
	return t
}

// EndNamed ends the sessions that an identity provider names, with their
// streams, on every replica within a second, and gives how many there were;
// that there is none is no error. A request that counted before fails with
// fault.Conflict and ends nothing, unless it counts again.
func (m *Manager) EndNamed(ctx context.Context, n Named, r Request, by audit.Actor, reference string) (ended int, err error) {
	if n.Connection == "" || n.Issuer == "" || n.Subject == "" && n.Session == "" {
		return 0, fault.New(fault.Invalid, "the request names no session")
	}
	why := fault.Personal(fault.Unauthenticated, "your identity provider ended your session", "their identity provider ended their session")
	ids, err := m.store.EndNamed(ctx, n, r, why, m.now().UTC(), by, reference)
	if err != nil {
		return 0, fmt.Errorf("end sessions: %w", err)
	}
	for _, id := range ids {
		m.cache.end(id)
	}
	return len(ids), nil
}

// Due is a session about which the identity provider should be asked.
type Due struct {
	Session    string // id
	Connection string
	Subject    string // at the identity provider
	Refresh    string // refresh token
	person     string
}

const (
	refreshLease = time.Minute // until another replica may ask about the same session
	refreshBatch = 50
)

// TakeDue gives living sessions whose refresh token is due, each to one
// caller: nobody else gets it within a minute. Sessions that nobody uses are
// left alone.
func (m *Manager) TakeDue(ctx context.Context) ([]Due, error) {
	now := m.now().UTC()
	rows, err := m.store.TakeDue(ctx, now, now.Add(-m.idle), now.Add(refreshLease), refreshBatch)
	if err != nil {
		return nil, fmt.Errorf("due sessions: %w", err)
	}
	out := make([]Due, 0, len(rows))
	for _, r := range rows {
		plain, err := m.sealer.Open(RefreshPurpose, r.Refresh)
		if err != nil {
			m.log.WarnContext(ctx, "refresh token cannot be unsealed", "session", r.ID, "error", err)
			continue
		}
		out = append(out, Due{Session: r.ID, Connection: r.Connection, Subject: r.Subject, Refresh: string(plain), person: r.Person})
	}
	return out, nil
}

// Renewed keeps the refresh token that replaces the one of d, which is asked
// about again after every.
func (m *Manager) Renewed(ctx context.Context, d Due, refresh string, every time.Duration) error {
	sealed, err := m.sealer.Seal(RefreshPurpose, []byte(refresh))
	if err != nil {
		return err
	}
	return m.store.RenewSession(ctx, d.Session, sealed, m.now().UTC().Add(every))
}

// Expel ends a session that the identity provider no longer vouches for, with
// its streams, on every replica within a second. why is told as by
// [Store.EndExcess].
func (m *Manager) Expel(ctx context.Context, d Due, why error) error {
	now := m.now().UTC()
	err := m.store.EndSession(ctx, d.Session, fault.Message(why), now, audit.Event{
		At: now, Action: audit.SessionEnded, Actor: audit.Gate(), Person: d.person, Connection: d.Connection, Reason: fault.ToOthers(why),
	})
	if err != nil {
		return err
	}
	m.cache.end(d.Session)
	return nil
}
