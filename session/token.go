package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
)

// TokenPrefix is what the secret of an API token begins with, for secret
// scanners and for people; TokenIDPrefix is what its id does.
const (
	TokenPrefix   = "pct_"
	TokenIDPrefix = "t-"
)

// AllScopes is the scope that leaves a token everything but the gate's own
// tasks ([mapping.GateTasks]), of which each is a scope by its name.
const AllScopes = "*"

// The lives of an API token: it always ends.
const (
	DefaultTokenLife = 90 * 24 * time.Hour
	MaxTokenLife     = 366 * 24 * time.Hour
)

// APIToken lets a program in: as a person, with what they were last known to
// have, or as a service with groups of its own. What it may do is computed
// like that of a session, and then narrowed to its scopes. It is not a
// session: a sign-out does not end it, and while its person or organization
// is barred it opens nothing.
type APIToken struct {
	ID           string
	Hash         []byte // SHA-256 of the secret, which is kept nowhere
	Person       string // id; empty for a service
	Service      string // its name; empty for a person
	Connection   string
	Organization string
	Groups       []string // of a service: what a mapping's name and id selectors see
	Scopes       []string // roles and tasks; [AllScopes] alone for all
	Note         string
	Created      time.Time
	Expires      time.Time
	LastUsed     time.Time // exact to half a minute; zero: never
	Revoked      time.Time // zero: not revoked
}

// Live reports whether the token is good at that time, if whom it stands for
// is.
func (t *APIToken) Live(now time.Time) bool { return t.Revoked.IsZero() && now.Before(t.Expires) }

// Service reports whether it is a service with an API token, and nobody.
func (p *Principal) Service() bool { return p.Token && p.Issuer == serviceIssuer }

// serviceIssuer is who vouches for services: the gate itself. No identity
// provider is called so, for those are URLs or entity ids.
const serviceIssuer = "portcullis:service"

// Standing is how the mapping sees a service.
func (t *APIToken) Standing(o directory.Organization) directory.Standing {
	return directory.Standing{
		Person: directory.Person{
			ID: "service " + t.ID, Connection: t.Connection, Organization: t.Organization, UserName: t.Service, Name: t.Service, IDPActive: true,
		},
		Organization: o,
		Assertion: directory.Assertion{
			Connection: t.Connection, Issuer: serviceIssuer, Subject: "service:" + t.Service, UserName: t.Service, Name: t.Service,
			Groups: t.Groups, UserType: "service", Received: t.Created,
		},
	}
}

// CreateToken makes an API token out of what is given of it: a person or a
// service, their connection and organization, scopes and a note. The secret
// is given once. A life of zero is [DefaultTokenLife]. It fails with
// fault.Invalid.
func (m *Manager) CreateToken(ctx context.Context, by audit.Actor, t APIToken, life time.Duration) (secret string, made APIToken, err error) {
	switch {
	case (t.Person == "") == (t.Service == ""):
		return "", t, fault.New(fault.Invalid, "a token is a person's or a service's")
	case t.Connection == "" || t.Organization == "":
		return "", t, fault.New(fault.Invalid, "a token needs a connection")
	case len(t.Scopes) == 0 || slices.Contains(t.Scopes, ""):
		return "", t, fault.New(fault.Invalid, "a token needs scopes: roles or tasks, or %q for all", AllScopes)
	case life < 0 || life > MaxTokenLife:
		return "", t, fault.New(fault.Invalid, "a token lives for at most %d days", MaxTokenLife/(24*time.Hour))
	case life == 0:
		life = DefaultTokenLife
	}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	secret = TokenPrefix + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw))
	hash := sha256.Sum256([]byte(secret))
	now := m.now().UTC()
	t.ID, t.Hash, t.Created, t.Expires = TokenIDPrefix+strings.ToLower(rand.Text()), hash[:], now, now.Add(life)
	return secret, t, m.store.InsertAPIToken(ctx, t, audit.Event{
		At: now, Action: audit.TokenCreated, Actor: by, Person: t.Person, Subject: t.ID, Connection: t.Connection,
		Detail: map[string]string{
			"kind": "api", "service": t.Service, "scopes": strings.Join(t.Scopes, " "), "groups": strings.Join(t.Groups, ", "),
			"note": t.Note, "expires": t.Expires.Format(time.RFC3339),
		},
	})
}

// TokenQuery asks for API tokens, dead ones included, the oldest first.
type TokenQuery struct {
	ID      string      // that one alone; empty: any
	Of      *TokenOwner // theirs alone; nil: everybody's
	Created time.Time   // with After: behind the token that was made then and has that id
	After   string
	Limit   int // 0: all
}

// TokenOwner is whose tokens are asked for: those that stand for a person, and
// the one with which a program asks.
type TokenOwner struct{ Person, Token string }

// Tokens lists API tokens.
func (m *Manager) Tokens(ctx context.Context, q TokenQuery) ([]APIToken, error) {
	return m.store.APITokens(ctx, q)
}

// RevokeToken ends an API token, with the streams that it opened, on every
// replica within a second. It does nothing to one that is revoked already,
// and fails with fault.NotFound.
func (m *Manager) RevokeToken(ctx context.Context, by audit.Actor, id, reason string) error {
	now := m.now().UTC()
	err := m.store.RevokeAPIToken(ctx, id, now, audit.Event{At: now, Action: audit.TokenRevoked, Actor: by, Subject: id, Reason: reason})
	if err == nil {
		m.cache.end(id)
	}
	return err
}

// VerifyToken says whom the secret of an API token stands for. It fails like
// [Manager.Verify].
func (m *Manager) VerifyToken(ctx context.Context, secret string) (*Principal, error) {
	if !strings.HasPrefix(secret, TokenPrefix) {
		return nil, errToken()
	}
	hash := sha256.Sum256([]byte(secret))
	now := m.now()
	if m.fresh(now) {
		if e := m.cache.get(hash); e != nil && e.token && m.current(e, now) {
			e.seen.Store(now.UnixNano())
			return e.principal(m.shelf), nil
		}
	}
	e, err := m.loadToken(ctx, hash, true)
	if err != nil {
		return nil, err
	}
	return e.principal(m.shelf), nil
}

func errToken() error { return fault.New(fault.Unauthenticated, "the token is not good here") }

// loadToken is load for an API token. What bars its person does not end it.
func (m *Manager) loadToken(ctx context.Context, hash [32]byte, used bool) (*entry, error) {
	generation, began := m.cache.generation(hash), m.now()
	asking, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	t, s, err := m.store.FindAPIToken(asking, hash[:])
	if fault.Is(err, fault.NotFound) {
		m.cache.drop(hash)
		return nil, errToken()
	}
	if err != nil {
		return nil, err
	}
	now, policy := m.now(), m.policy()
	if !t.Live(now) {
		m.cache.bury(t.ID, hash)
		return nil, errToken()
	}
	access, err := m.admit(&s, policy, now)
	if fault.Is(err, fault.Forbidden) {
		m.cache.bury(t.ID, hash)
		return nil, fault.Wrap(fault.Unauthenticated, err, "the token is not good here")
	}
	if err != nil {
		return nil, err
	}
	held := access.Roles
	narrow(&access, t.Scopes, policy)
	r := Row{ID: t.ID, Person: s.Person.ID, Connection: s.Person.Connection, Created: t.Created, Expires: t.Expires}
	p := principal(r, s, access, hash)
	p.Token, p.Held, p.checked, p.shelf = true, held, began.Sub(m.started), m.shelf
	p.ACR, p.AuthTime = "", time.Time{} // nobody proved anything just now
	e := newEntry(p, m.shared.of(&p.Access), policy)
	e.written.Store(t.LastUsed.UnixNano())
	seen := t.LastUsed
	if used {
		seen = now
	}
	e.seen.Store(seen.UnixNano())
	return m.cache.put(e, generation), nil
}

// reload reads what a principal is made of again.
func (m *Manager) reload(ctx context.Context, p *Principal, used bool) (*entry, error) {
	if p.Token {
		return m.loadToken(ctx, p.hash, used)
	}
	return m.load(ctx, p.hash, used)
}

// Unmet lists the scopes that leave nothing of an access: roles and tasks that
// whoever has it has not got, and may get later.
func Unmet(a *mapping.Access, scopes []string) (unmet []string) {
	for _, s := range scopes {
		if s != AllScopes && !slices.Contains(a.Roles, s) && !slices.Contains(a.Tasks, s) {
			unmet = append(unmet, s)
		}
	}
	return unmet
}

// narrow leaves of an access what scopes name: roles with their tasks, and
// tasks. Which data may be seen stays as it is. The gate's own tasks stay where
// they are named themselves: a token for the portal administers nothing, also
// when a role of it is given such a task later.
func narrow(a *mapping.Access, scopes []string, policy *mapping.Policy) {
	a.Tasks = slices.DeleteFunc(slices.Clone(a.Tasks), func(task string) bool { return mapping.IsGateTask(task) && !slices.Contains(scopes, task) })
	if slices.Contains(scopes, AllScopes) {
		return
	}
	roles := make(map[string]mapping.Role)
	for _, r := range policy.Roles() {
		roles[r.Name] = r
	}
	may := make(map[string]bool)
	seen := make(map[string]bool)
	var take func(role string)
	take = func(role string) {
		if seen[role] {
			return
		}
		seen[role] = true
		for _, task := range roles[role].Tasks {
			may[task] = true
		}
		for _, inner := range roles[role].Inherits {
			take(inner)
		}
	}
	for _, s := range scopes {
		may[s] = true
		if slices.Contains(a.Roles, s) {
			take(s)
		}
	}
	// Copies: what a policy gives may be shared.
	a.Roles = slices.DeleteFunc(slices.Clone(a.Roles), func(r string) bool { return !slices.Contains(scopes, r) })
	a.Tasks = slices.DeleteFunc(a.Tasks, func(t string) bool { return !may[t] })
}
