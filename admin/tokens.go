package admin

import (
	"cmp"
	"io"
	"slices"
	"time"

	"portcullis/scim"
)

func sorted[T any](list []T, by func(T) int64) []T {
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b T) int { return cmp.Compare(by(a), by(b)) })
	return out
}

func (c *Console) tokensCSV(r *request) (any, error) {
	list, err := c.tokens.List(r.ctx, "")
	if err != nil {
		return nil, err
	}
	return file(func(w io.Writer) error {
		s := newCSV(r.gin.Writer, w, "tokens.csv", "id", "connection", "kind", "state", "note", "created", "expires", "lastUsed")
		for _, t := range sortTokens(list, c.now()) {
			wire := tokenWire(t, c.now())
			s.row(wire.ID, wire.Connection, wire.Kind, wire.State, wire.Note, stampOf(&wire.Created), stampOf(wire.Expires), stampOf(wire.LastUsed))
		}
		return s.flush()
	}), nil
}

// tokensView is every token of every connection.
type tokensView struct {
	Tokens []tokenJSON `json:"tokens"` // those that end soonest first
	Places []string    `json:"places"` // connections for which one can be made
}

// MaxDays is how long a token may live at most.
func (*tokensView) MaxDays() int { return maxDays }

// MaxDays is how long a token may live at most.
func (*connectionSCIMView) MaxDays() int { return maxDays }

func (c *Console) allTokens(r *request) (any, error) {
	list, err := c.tokens.List(r.ctx, "")
	if err != nil {
		return nil, err
	}
	v := &tokensView{Tokens: []tokenJSON{}, Places: []string{}}
	for _, t := range sortTokens(list, c.now()) {
		v.Tokens = append(v.Tokens, tokenWire(t, c.now()))
	}
	for _, conn := range c.connections() {
		if conn.SCIM && conn.Problem == "" && !conn.Shadowed {
			v.Places = append(v.Places, conn.ID)
		}
	}
	return v, nil
}

// sortTokens puts what is live first, and of that what ends soonest.
func sortTokens(list []scim.Token, now time.Time) []scim.Token {
	return sorted(list, func(t scim.Token) (rank int64) {
		switch {
		case !t.Live(now):
			return 1<<62 - t.Created.Unix()
		case t.Expires.IsZero():
			return 1 << 61
		default:
			return t.Expires.Unix()
		}
	})
}
