package admin

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"portcullis/count"
	"portcullis/scim"
	"portcullis/web"
)

// riskJSON is something to look at. The higher Weight, the sooner.
type riskJSON struct {
	Weight int    `json:"weight"` // from 1; 500 and more will stop people
	Text   string `json:"text"`
}

// Grave reports whether people are, or will soon be, kept out by it.
func (r riskJSON) Grave() bool { return r.Weight >= 500 }

// connectionJSON is a connection in a list.
type connectionJSON struct {
	ID           string     `json:"id"`
	Organization string     `json:"organization"`
	Domains      []string   `json:"domains"`
	Provider     string     `json:"provider"` // the maker's name
	Protocol     string     `json:"protocol"` // "oidc", "saml", or "" where nobody signs in
	SCIM         bool       `json:"scim"`
	Source       string     `json:"source"` // "file" or "console"
	InForce      bool       `json:"inForce"`
	Shadowed     bool       `json:"shadowed,omitempty"` // another of its id stands in the configuration, and counts
	Risks        []riskJSON `json:"risks"`              // the gravest first
	SignedIn     *time.Time `json:"lastSignIn"`
	Failed       int        `json:"failedToday"` // attempts to sign in of the last day
	In           int        `json:"signedInToday"`
	Pushed       *time.Time `json:"lastPush"`
	Refused      int        `json:"pushesRefusedToday"`
}

// weight is that of the gravest risk.
func (w connectionJSON) weight() int {
	if len(w.Risks) == 0 {
		return 0
	}
	return w.Risks[0].Weight
}

type fleetView struct {
	Connections []connectionJSON `json:"connections"` // by risk
	Drift       string           `json:"-"`           // why drift is not known
	Base        string           `json:"-"`
	Own, MayNew bool             `json:"-"`
}

func (c *Console) fleet(r *request) (any, error) {
	list, err := c.fleetOf(r, c.reachable(r))
	v := &fleetView{Connections: list, Base: base(r), Own: r.own, MayNew: !r.own}
	return v, err
}

// base is where the pages about connections begin.
func base(r *request) string { return web.ConsolePrefix + cornerOf(r).path }

func (c *Console) fleetOf(r *request, connections []Connection) ([]connectionJSON, error) {
	ids := make([]string, len(connections))
	for i, conn := range connections {
		ids[i] = conn.ID
	}
	fares, err := c.store.Fares(r.ctx, ids, c.now().Add(-day))
	if err != nil {
		return nil, err
	}
	tokens := make(map[string][]scim.Token)
	all, err := c.tokens.List(r.ctx, "")
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		tokens[t.Connection] = append(tokens[t.Connection], t)
	}
	unseen, err := c.unseen(r.ctx)
	if err != nil {
		return nil, err
	}
	p := c.keeper.Policy()
	list := make([]connectionJSON, 0, len(connections))
	for _, conn := range connections {
		trust, err := c.trust(r.ctx, conn)
		if err != nil {
			return nil, err
		}
		conn.unnamed = p != nil && conn.Protocol != "" && !slices.Contains(p.Connections(), conn.ID)
		list = append(list, c.connectionWire(conn, fares[conn.ID], trust, tokens[conn.ID], unseen[conn.ID]))
	}
	slices.SortStableFunc(list, func(a, b connectionJSON) int {
		return cmp.Or(cmp.Compare(b.weight(), a.weight()), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// trust is what a SAML connection in force rests on; nothing for others.
func (c *Console) trust(ctx context.Context, conn Connection) (Trust, error) {
	if conn.Protocol != OverSAML || conn.Incomplete || conn.Problem != "" || conn.Shadowed {
		return Trust{}, nil
	}
	return c.ways.Trust(ctx, conn.ID)
}

func (c *Console) connectionWire(conn Connection, f Fare, t Trust, tokens []scim.Token, unseen []string) connectionJSON {
	w := connectionJSON{
		ID: conn.ID, Organization: conn.Organization, Domains: append([]string{}, conn.Domains...), Provider: makerOf(conn.Preset).Name,
		Protocol: conn.Protocol, SCIM: conn.SCIM, Source: "file", InForce: conn.Problem == "" && !conn.Shadowed, Shadowed: conn.Shadowed,
		SignedIn: optional(f.SignedIn), Failed: f.Failed, In: f.In, Pushed: optional(f.Pushed), Refused: f.Refused,
	}
	if conn.Made {
		w.Source = "console"
	}
	w.Risks = risks(c.now(), conn, f, t, tokens, unseen)
	return w
}

const day = 24 * time.Hour

// ending judges when something ends: from sixty days before it is a risk.
func ending(thing string, ends, now time.Time) []riskJSON {
	left := ends.Sub(now)
	switch {
	case ends.IsZero() || left > 60*day:
		return nil
	case left <= 0:
		return []riskJSON{{950, fmt.Sprintf("The %s ended on %s.", thing, ends.UTC().Format(time.DateOnly))}}
	}
	for _, step := range []struct{ days, weight int }{{1, 900}, {7, 800}, {14, 700}, {30, 450}, {60, 300}} {
		if left <= time.Duration(step.days)*day {
			return []riskJSON{{step.weight, fmt.Sprintf("The %s ends on %s, in %s.", thing, ends.UTC().Format(time.DateOnly), count.Days(daysLeft(ends, now)))}}
		}
	}
	return nil
}

// daysLeft counts the days that have begun.
func daysLeft(ends, now time.Time) int {
	return max(int((ends.Sub(now)+day-1)/day), 0)
}

// silence is how long an identity provider that pushes may be silent. Those
// that do ask several times an hour, and others when there is something to say.
const silence = 3 * day

// risks says what to look at in a connection, the gravest first.
func risks(now time.Time, conn Connection, f Fare, t Trust, tokens []scim.Token, unseen []string) []riskJSON {
	out := []riskJSON{}
	add := func(weight int, format string, args ...any) {
		out = append(out, riskJSON{weight, fmt.Sprintf(format, args...)})
	}
	if conn.Shadowed {
		add(990, "Not in force: the configuration has a connection of the same id, which counts. Remove this one.")
		return out
	}
	if conn.Problem != "" {
		add(980, "Not in force: %s", conn.Problem)
	}
	if conn.Incomplete {
		add(960, "Nobody can sign in yet: what stands at the identity provider is not filled in.")
	}
	if conn.unnamed {
		add(930, "The mapping does not name this connection yet: nobody can sign in by it, and the page to sign in does not offer it.")
	}
	out = append(out, ending("client secret", conn.SecretExpires, now)...)
	out = append(out, certificateRisks(t, now)...)
	if !t.Waiting.IsZero() {
		add(750, "Other metadata waits for approval since %s: %s", t.Waiting.UTC().Format(time.DateOnly), strings.Join(t.Changes, "; "))
	}
	if conn.SCIM {
		out = append(out, pushRisks(now, f, tokens)...)
	}
	switch {
	case f.Failed >= 3 && f.In == 0:
		add(850, "Nobody came in during the last day, and %s failed.", count.Of(f.Failed, "attempt", "attempts"))
	case f.Failed > f.In && f.Failed >= 3:
		add(550, "More sign-ins failed (%d) than succeeded (%d) during the last day.", f.Failed, f.In)
	case f.Failed > 0:
		add(100, "%s failed during the last day.", count.Of(f.Failed, "sign-in", "sign-ins"))
	}
	if len(unseen) > 0 {
		add(200, "The mapping names %s that nobody has: %s", count.Of(len(unseen), "group", "groups"), clip(strings.Join(unseen, ", ")))
	}
	slices.SortStableFunc(out, func(a, b riskJSON) int { return b.Weight - a.Weight })
	return out
}

// certificateRisks judges certificates: one that ends is no risk while another
// of the same side lasts.
func certificateRisks(t Trust, now time.Time) (out []riskJSON) {
	for _, side := range []struct {
		ours  bool
		thing string
	}{{false, "provider’s signing certificate"}, {true, "certificate of ours"}} {
		var last time.Time
		for _, cert := range t.Certificates {
			if cert.Ours == side.ours && cert.Ends.After(last) {
				last = cert.Ends
			}
		}
		out = append(out, ending(side.thing, last, now)...)
	}
	return out
}

func pushRisks(now time.Time, f Fare, tokens []scim.Token) (out []riskJSON) {
	add := func(weight int, format string, args ...any) {
		out = append(out, riskJSON{weight, fmt.Sprintf(format, args...)})
	}
	live, forever := 0, false
	var last time.Time
	for _, t := range tokens {
		if !t.Live(now) {
			continue
		}
		live++
		forever = forever || t.Expires.IsZero()
		if t.Expires.After(last) {
			last = t.Expires
		}
	}
	switch {
	case live == 0 && len(tokens) > 0:
		add(940, "No SCIM token is good any more: nobody new comes, and nobody who leaves is taken away.")
	case live == 0:
		add(250, "SCIM is on, and there is no token yet.")
	case f.Pushed.IsZero():
		add(250, "Nothing came over SCIM yet.")
	case now.Sub(f.Pushed) > silence:
		add(600, "Nothing came over SCIM since %s.", f.Pushed.UTC().Format(time.DateOnly))
	}
	if live > 0 && !forever {
		out = append(out, ending("SCIM token", last, now)...)
	}
	if f.Refused > 0 {
		add(400, "%s refused during the last day.", count.Of(f.Refused, "request over SCIM was", "requests over SCIM were"))
	}
	return out
}

// drifts remembers which groups the mapping names and nobody has: to find that
// out, everybody is looked at.
type drifts struct {
	mu     sync.Mutex
	hash   string
	at     time.Time
	unseen map[string][]string // connection → groups
}

const driftLife = 5 * time.Minute

// unseen gives, by connection, the groups that the mapping in force names and
// nobody has. With more people than are kept in memory it is empty: "portcullis
// mapping coverage" tells then.
func (c *Console) unseen(ctx context.Context) (map[string][]string, error) {
	p := c.keeper.Policy()
	if p == nil {
		return nil, nil
	}
	d, now := &c.drifts, c.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hash == p.Hash() && now.Sub(d.at) < driftLife && !now.Before(d.at) {
		return d.unseen, nil
	}
	all, err := c.crowds.get(ctx)
	if err != nil {
		return nil, err
	}
	unseen := make(map[string][]string)
	if all.paged == nil {
		for _, place := range p.Coverage(now, all.people(ctx, &err)).Unseen {
			if !slices.Contains(unseen[place.Connection], place.Name) {
				unseen[place.Connection] = append(unseen[place.Connection], place.Name)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	d.hash, d.at, d.unseen = p.Hash(), now, unseen
	return unseen, nil
}

func (c *Console) fleetCSV(r *request) (any, error) {
	list, err := c.fleetOf(r, c.reachable(r))
	if err != nil {
		return nil, err
	}
	return file(func(w io.Writer) error {
		s := newCSV(r.gin.Writer, w, "connections.csv", "id", "organization", "domains", "provider", "protocol", "scim", "source", "inForce", "risks",
			"lastSignIn", "signedInToday", "failedToday", "lastPush", "pushesRefusedToday")
		for _, conn := range list {
			texts := make([]string, len(conn.Risks))
			for i, risk := range conn.Risks {
				texts[i] = risk.Text
			}
			s.row(conn.ID, conn.Organization, strings.Join(conn.Domains, " "), conn.Provider, conn.Protocol, strconv.FormatBool(conn.SCIM), conn.Source,
				strconv.FormatBool(conn.InForce), strings.Join(texts, " "), stampOf(conn.SignedIn), strconv.Itoa(conn.In), strconv.Itoa(conn.Failed),
				stampOf(conn.Pushed), strconv.Itoa(conn.Refused))
		}
		return s.flush()
	}), nil
}

func stampOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
