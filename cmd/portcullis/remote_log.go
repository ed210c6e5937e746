package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/scim"
	"portcullis/trace"
)

// farRequest is a request of an identity provider to a gate elsewhere.
type farRequest struct {
	entryJSON

	Number int64
}

// journal gives what identity providers asked, the newest first.
func (g *remote) journal(ctx context.Context, connection string, q scim.JournalQuery) ([]entryJSON, error) {
	entries := []entryJSON{}
	ask := logQuery(connection)
	if q.Refused {
		ask.Set("failed", "yes")
	}
	for q.Limit > 0 {
		ask.Set("limit", strconv.Itoa(min(q.Limit, maxFar)))
		if q.Before > 0 {
			ask.Set("before", strconv.FormatInt(q.Before, 10))
		}
		var some struct {
			Requests    []farRequest
			Connections []string
			Next        int64
		}
		if err := g.get(ctx, "/provisioning", ask, &some); err != nil {
			return nil, err
		}
		if err := knownThere(connection, some.Connections); err != nil {
			return nil, err
		}
		for _, r := range some.Requests {
			r.Seq = r.Number
			entries = append(entries, r.entryJSON)
		}
		q.Limit -= len(some.Requests)
		if q.Before = some.Next; q.Before == 0 {
			break
		}
	}
	return entries, nil
}

// logQuery asks about a connection, or about all.
func logQuery(connection string) url.Values {
	if connection == "" {
		return url.Values{}
	}
	return url.Values{"connection": {connection}}
}

// farLoss is a mass loss at a gate elsewhere.
type farLoss struct {
	massLossJSON

	Number      int64
	Group       string `json:"group"` // its name, or its id
	GroupID     string
	Undoable    bool
	Interrupted bool
}

func (m *farLoss) wire() massLossJSON {
	w := m.massLossJSON
	w.Change, w.Group, w.State = m.Number, m.GroupID, "open"
	if m.Group != m.GroupID {
		w.GroupName = m.Group
	}
	switch {
	case w.Undone != nil:
		w.State = "undone"
	case !m.Undoable:
		w.State = "final"
	case m.Interrupted:
		w.State = "undo interrupted"
	}
	return w
}

// massLosses gives what was lost at once, the newest first.
func (g *remote) massLosses(ctx context.Context, q directory.MassLossQuery) ([]massLossJSON, error) {
	if q.Limit > maxFar {
		return nil, usagef("--limit: a gate elsewhere gives at most %d", maxFar)
	}
	ask := logQuery(q.Connection)
	ask.Set("limit", strconv.Itoa(q.Limit))
	if q.Undoable {
		ask.Set("undoable", "yes")
	}
	var found struct {
		MassLosses  []farLoss
		Connections []string
	}
	if err := g.get(ctx, "/provisioning", ask, &found); err != nil {
		return nil, err
	}
	wire := make([]massLossJSON, len(found.MassLosses))
	for i, m := range found.MassLosses {
		wire[i] = m.wire()
	}
	return wire, knownThere(q.Connection, found.Connections)
}

// massLoss gives one, and each loss of it.
func (g *remote) massLoss(ctx context.Context, id int64) (m massLossJSON, losses []lossJSON, err error) {
	losses = []lossJSON{}
	for ask := (url.Values{}); ; {
		var some struct {
			MassLoss farLoss
			Losses   []lossJSON
			Next     int64
		}
		if err := g.get(ctx, place("mass-losses", strconv.FormatInt(id, 10)), ask, &some); err != nil {
			return m, nil, err
		}
		for _, l := range some.Losses {
			if l.Subject == l.Member {
				l.Subject = "" // the gate calls by its id what has no name
			}
			losses = append(losses, l)
		}
		if some.Next == 0 {
			return some.MassLoss.wire(), losses, nil
		}
		ask.Set("after", strconv.FormatInt(some.Next, 10))
	}
}

// undo gives back what a mass loss took.
func (g *remote) undo(ctx context.Context, id int64) (massLossJSON, error) {
	if err := g.call(ctx, http.MethodPost, place("mass-losses", strconv.FormatInt(id, 10), "undo"), order{}, nil); err != nil {
		return massLossJSON{}, err
	}
	m, _, err := g.massLoss(ctx, id)
	return m, err
}

// events gives the audit trail in the order of the chain, what is not sealed
// yet at the end.
func (g *remote) events(ctx context.Context) ([]eventJSON, error) {
	var events []eventJSON
	for ask := (url.Values{"limit": {strconv.Itoa(maxFar)}}); ; {
		var some struct {
			Events []struct {
				eventJSON

				Number    int64
				ActorKind string
				Actor     string `json:"actor"`
				ActorID   string
				Address   string
			}
			Next int64
		}
		if err := g.get(ctx, "/audit", ask, &some); err != nil {
			return nil, err
		}
		for _, e := range some.Events {
			w := e.eventJSON
			w.Seq, w.Actor = e.Number, actorJSON{Kind: e.ActorKind, ID: e.ActorID, Name: e.Actor, Address: e.Address}
			events = append(events, w)
		}
		if some.Next == 0 {
			break
		}
		ask.Set("before", strconv.FormatInt(some.Next, 10))
	}
	slices.SortFunc(events, func(a, b eventJSON) int {
		if sealed := cmp.Compare(min(b.Position, 1), min(a.Position, 1)); sealed != 0 {
			return sealed
		}
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.Seq, b.Seq))
	})
	return events, nil
}

// trace gives what happened at one attempt to sign in.
func (g *remote) trace(ctx context.Context, reference string) (trace.Record, error) {
	var found struct{ SignIn trace.Record }
	if reference == "" {
		return found.SignIn, fault.New(fault.NotFound, "no trace %q", reference)
	}
	err := g.get(ctx, place("sign-ins", reference), nil, &found)
	return found.SignIn, err
}

// maxFarTraces is how many whole traces a gate elsewhere is asked for at a time.
const maxFarTraces = 200

// traces gives attempts to sign in, the newest first, and how many were not kept.
func (g *remote) traces(ctx context.Context, q trace.Query) (list []trace.Record, lost []trace.Loss, err error) {
	ask := logQuery(q.Connection)
	if q.Failed {
		ask.Set("failed", "yes")
	}
	for first := true; len(list) < q.Limit; first = false {
		ask.Set("limit", strconv.Itoa(min(q.Limit-len(list), maxFarTraces)))
		var some struct {
			Traces      []trace.Record
			Lost        []trace.Loss
			Connections []string
			Next        int64
		}
		if err := g.get(ctx, "/traces", ask, &some); err != nil {
			return nil, nil, err
		}
		if err := knownThere(q.Connection, some.Connections); err != nil {
			return nil, nil, err
		}
		if first {
			lost = some.Lost
		}
		if list = append(list, some.Traces...); some.Next == 0 {
			break
		}
		ask.Set("before", strconv.FormatInt(some.Next, 10))
	}
	// Those that ended together are written together, in any order.
	slices.SortStableFunc(list, func(a, b trace.Record) int { return b.Finished.Compare(a.Finished) })
	return list, lost, nil
}

// verify has the gate verify its trail, part by part.
func (g *remote) verify(ctx context.Context) (chainJSON, error) {
	all := chainJSON{Head: strings.Repeat("0", 2*sha256.Size), Broken: []string{}} // the head of an empty chain
	for ask := (url.Values{}); ; {
		var part struct {
			chainJSON

			Next string
		}
		if err := g.get(ctx, "/audit/chain", ask, &part); err != nil {
			return all, err
		}
		all.Sealed, all.Unsealed, all.Broken = all.Sealed+part.Sealed, all.Unsealed+part.Unsealed, append(all.Broken, part.Broken...)
		if part.Head != "" {
			all.Head = part.Head
		}
		if part.Next == "" {
			return all, nil
		}
		ask.Set("after", part.Next)
	}
}

// apiTokens gives the API tokens that the gate shows to whoever asks, in the
// order of creation.
func (g *remote) apiTokens(ctx context.Context) (tokens []apiTokenJSON, everyone bool, err error) {
	tokens = []apiTokenJSON{}
	for ask := (url.Values{"limit": {strconv.Itoa(maxFar)}}); ; {
		var some struct {
			Tokens   []apiTokenJSON
			Next     string
			Everyone bool
		}
		if err := g.get(ctx, "/api-tokens", ask, &some); err != nil {
			return nil, false, err
		}
		if tokens = append(tokens, some.Tokens...); some.Next == "" {
			return tokens, some.Everyone, nil
		}
		ask.Set("after", some.Next)
	}
}

func (g *remote) revokeAPIToken(ctx context.Context, id, reason string) error {
	if id == "" {
		return fault.New(fault.NotFound, "no such token")
	}
	return g.call(ctx, http.MethodDelete, place("api-tokens", id), order{reason}, nil)
}

// farToken is a SCIM token of a gate elsewhere.
type farToken struct {
	tokenJSON

	Key bool
}

func (t *farToken) wire() tokenJSON {
	w := t.tokenJSON
	switch {
	case t.Key:
		w.Kind = "client-key"
	case w.Kind == "client":
		w.Kind = "client-secret"
	default:
		w.Kind = "bearer"
	}
	return w
}

// tokens gives those of a connection, or all, in the order of creation.
func (g *remote) tokens(ctx context.Context, connection string) ([]tokenJSON, error) {
	var found struct {
		Tokens []farToken
		Places []string
	}
	if err := g.get(ctx, "/tokens", nil, &found); err != nil {
		return nil, err
	}
	wire := []tokenJSON{}
	for _, t := range found.Tokens {
		if connection == "" || t.Connection == connection {
			wire = append(wire, t.wire())
		}
	}
	slices.SortFunc(wire, func(a, b tokenJSON) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	if len(wire) == 0 {
		return wire, knownThere(connection, found.Places)
	}
	return wire, nil
}

// createToken makes a bearer token, which ends: the console makes no others.
func (g *remote) createToken(ctx context.Context, n newToken) (token tokenJSON, base string, err error) {
	const day = 24 * time.Hour
	switch {
	case n.connection == "":
		return token, "", usagef("want --connection ID")
	case n.client || n.keyFile != "":
		return token, "", usagef("a gate elsewhere makes bearer tokens: OAuth clients are made where it runs")
	case n.life < day || n.life%day != 0:
		return token, "", usagef("want --expires in whole days, as in 8760h: a gate elsewhere makes tokens that end")
	}
	var made struct {
		Token       farToken
		Secret, URL string
	}
	body := map[string]any{"note": n.note, "days": int(n.life / day)}
	err = g.call(ctx, http.MethodPost, place("connections", n.connection, "tokens"), body, &made)
	token = made.Token.wire()
	token.Secret = made.Secret
	return token, made.URL, err
}

func (g *remote) revokeToken(ctx context.Context, connection, id string) error {
	list, err := g.tokens(ctx, "")
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(t tokenJSON) bool { return t.ID == id })
	switch {
	case connection != "" && (i < 0 || list[i].Connection != connection):
		return usagef("connection %q has no token %q", connection, id)
	case i < 0:
		return fault.New(fault.NotFound, "no such token")
	default:
		return g.call(ctx, http.MethodDelete, place("connections", list[i].Connection, "tokens", id), nil, nil)
	}
}

// connections gives the connections, in alphabetical order.
func (g *remote) connections(ctx context.Context) ([]connectionJSON, error) {
	found := struct{ Connections []connectionJSON }{[]connectionJSON{}}
	err := g.get(ctx, "/connections", nil, &found)
	return sortConnections(found.Connections), err
}
