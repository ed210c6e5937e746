package admin

import (
	"strconv"
	"strings"
	"time"

	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/session"
)

// apiTokenJSON is a token with which a program comes in.
type apiTokenJSON struct {
	ID         string     `json:"id"`
	Person     string     `json:"person,omitempty"`  // whom it stands for
	Service    string     `json:"service,omitempty"` // likewise
	Connection string     `json:"connection"`
	Groups     []string   `json:"groups"`
	Scopes     []string   `json:"scopes"`
	Note       string     `json:"note"`
	State      string     `json:"state"` // live, expired or revoked
	Created    time.Time  `json:"created"`
	Expires    time.Time  `json:"expires"`
	LastUsed   *time.Time `json:"lastUsed"`
	Revoked    *time.Time `json:"revoked"`
}

func apiTokenWire(t *session.APIToken, now time.Time) apiTokenJSON {
	w := apiTokenJSON{
		ID: t.ID, Person: t.Person, Service: t.Service, Connection: t.Connection, Groups: list(t.Groups), Scopes: list(t.Scopes), Note: t.Note,
		State: "live", Created: t.Created, Expires: t.Expires, LastUsed: optional(t.LastUsed), Revoked: optional(t.Revoked),
	}
	switch {
	case !t.Revoked.IsZero():
		w.State = "revoked"
	case !t.Live(now):
		w.State = "expired"
	}
	return w
}

type apiTokensView struct {
	Tokens   []apiTokenJSON `json:"tokens"` // in the order of creation
	Next     string         `json:"next,omitempty"`
	Everyone bool           `json:"everyone"` // all there are, and not the asker's own alone
}

// ownTokens asks for the API tokens that somebody may see and end: everybody's
// with the task of the gate, and otherwise those that stand for themselves.
// There is no call that makes one: whoever holds a token could make others with
// it, that live on when it is found out.
func (r *request) ownTokens() (q session.TokenQuery, everyone bool) {
	_, wide := r.reach(mapping.GateTokensEdit)
	switch {
	case wide && r.may(mapping.GateTokensEdit):
		return q, true
	case r.who == nil:
		q.Of = &session.TokenOwner{}
	default:
		q.Of = &session.TokenOwner{Person: r.who.PersonID, Token: r.who.SessionID}
	}
	return q, false
}

// createdAt is where something stands in an order of creation.
type createdAt struct {
	micros int64
	id     string
}

func tokenPlace(t *session.APIToken) createdAt { return createdAt{t.Created.UnixMicro(), t.ID} }

// String is the place as "next" gives it.
func (p createdAt) String() string { return strconv.FormatInt(p.micros, 10) + "." + p.id }

func readCreatedAt(text string) (p createdAt, err error) {
	if text == "" {
		return p, nil
	}
	micros, id, ok := strings.Cut(text, ".")
	if p.micros, err = strconv.ParseInt(micros, 10, 64); err != nil || !ok {
		return p, errPlace
	}
	p.id = id
	return p, nil
}

// apiTokens lists API tokens.
func (c *Console) apiTokens(r *request) (any, error) {
	size, err := r.size()
	if err != nil {
		return nil, err
	}
	after, err := readCreatedAt(r.query("after"))
	if err != nil {
		return nil, err
	}
	q, everyone := r.ownTokens()
	q.Created, q.After, q.Limit = time.UnixMicro(after.micros), after.id, size+1
	tokens, err := c.sessions.Tokens(r.ctx, q)
	if err != nil {
		return nil, err
	}
	v := &apiTokensView{Tokens: []apiTokenJSON{}, Everyone: everyone}
	if len(tokens) > size {
		tokens = tokens[:size]
		v.Next = tokenPlace(&tokens[size-1]).String()
	}
	for i := range tokens {
		v.Tokens = append(v.Tokens, apiTokenWire(&tokens[i], c.now()))
	}
	return v, nil
}

// endAPIToken revokes an API token. That of somebody else is not there for whoever
// may not see it.
func (c *Console) endAPIToken(r *request) (any, error) {
	why, err := r.reason(false)
	if err != nil {
		return nil, err
	}
	q, _ := r.ownTokens()
	q.ID = r.param("token")
	switch tokens, err := c.sessions.Tokens(r.ctx, q); {
	case err != nil:
		return nil, err
	case len(tokens) == 0:
		return nil, fault.New(fault.NotFound, "there is no such token")
	}
	return done{Done: "revoke"}, c.sessions.RevokeToken(r.ctx, r.actor(), q.ID, why)
}
