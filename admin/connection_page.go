package admin

import (
	"slices"
	"strings"
	"time"

	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/scim"
	"portcullis/trace"
)

// spot is where a page about a connection is.
type spot struct {
	Connection connectionJSON `json:"-"`
	Base       string         `json:"-"` // of all connections
	At         string         `json:"-"` // of this one
	Tab        string         `json:"-"`
	Tabs       []tab          `json:"-"`
	Own        bool           `json:"-"`
	Crumb      bool           `json:"-"` // there is a list to go back to
	Made       bool           `json:"-"`
}

func (c *Console) spot(r *request, conn Connection, w connectionJSON, at string) spot {
	p := spot{Connection: w, Base: base(r), Tab: at, Own: r.own, Made: conn.Made}
	p.Crumb = r.setup() == ""
	p.At = p.Base + "/" + conn.ID
	p.Tabs = []tab{{"", "Overview"}, {"setup", "Setup"}}
	if conn.SCIM {
		p.Tabs = append(p.Tabs, tab{"scim", "SCIM"})
	}
	if r.own || r.may(mapping.GateAuditView) {
		p.Tabs = append(p.Tabs, tab{"sign-ins", "Sign-ins"})
	}
	if conn.Made && !r.own {
		p.Tabs = append(p.Tabs, tab{"settings", "Settings"})
	}
	return p
}

// certificateJSON is a certificate of a connection.
type certificateJSON struct {
	Side string    `json:"side"` // "provider" or "gate"
	Name string    `json:"name"`
	Ends time.Time `json:"ends"`
	Days int       `json:"daysLeft"`
	Note string    `json:"note,omitempty"`
}

// secretJSON says of the client secret what may be told.
type secretJSON struct {
	Kind string     `json:"kind"` // "secret", "key" or "public"
	Next bool       `json:"next"` // another is tried, for a rotation
	Ends *time.Time `json:"ends"`
	Days int        `json:"daysLeft,omitempty"`
}

// metadataJSON is where the metadata of a SAML provider comes from.
type metadataJSON struct {
	Source   string     `json:"source"` // an address, a file, or "uploaded"
	EntityID string     `json:"entityId"`
	Accepted *time.Time `json:"accepted"`
	Valid    *time.Time `json:"validUntil,omitempty"`
	Waiting  *time.Time `json:"waiting"`
	Changes  []string   `json:"changes"`
}

// State names what waits, for a form about it.
func (m *metadataJSON) State() string {
	if m.Waiting == nil {
		return ""
	}
	return m.Waiting.UTC().Format(time.RFC3339Nano)
}

type connectionView struct {
	spot

	Item         connectionJSON    `json:"connection"`
	Provisioning string            `json:"provisioning"`
	Link         string            `json:"link"`
	Issuer       string            `json:"issuer,omitempty"`
	ClientID     string            `json:"clientId,omitempty"`
	Secret       *secretJSON       `json:"secret,omitempty"`
	Metadata     *metadataJSON     `json:"metadata,omitempty"`
	Certificates []certificateJSON `json:"certificates"`
	Version      int64             `json:"version"`
	Changed      *time.Time        `json:"changed,omitempty"`
	Author       string            `json:"author,omitempty"`
	Unseen       []string          `json:"groupsNobodyHas"`
	Reading      readingJSON       `json:"reading"`
	SignsIn      bool              `json:"-"`
	Closed       string            `json:"-"` // why the visitor may not say on what it rests; empty if they may
}

func (c *Console) connectionOverview(r *request) (any, error) {
	conn, w, t, err := c.look(r)
	if err != nil {
		return nil, err
	}
	v := &connectionView{
		spot: c.spot(r, conn, w, ""), Item: w, Provisioning: conn.Provisioning, Link: conn.Link, Issuer: conn.Issuer, ClientID: conn.ClientID,
		Certificates: []certificateJSON{}, Version: conn.Version, Changed: optional(conn.Changed), Author: conn.Author,
		SignsIn: conn.Protocol != "" && w.InForce && !conn.Incomplete, Unseen: []string{},
		Reading: readingWire(conn), Closed: c.closed(r),
	}
	now := c.now()
	for _, cert := range t.Certificates {
		side := "provider"
		if cert.Ours {
			side = "gate"
		}
		v.Certificates = append(v.Certificates, certificateJSON{side, cert.Name, cert.Ends, daysLeft(cert.Ends, now), cert.Note})
	}
	switch conn.Protocol {
	case OverOIDC:
		v.Secret = &secretJSON{Kind: conn.Authentication, Next: conn.NextSecret, Ends: optional(conn.SecretExpires)}
		if !conn.SecretExpires.IsZero() {
			v.Secret.Days = daysLeft(conn.SecretExpires, now)
		}
	case OverSAML:
		v.Metadata = &metadataJSON{
			Source: sourceOf(conn), EntityID: t.EntityID, Accepted: optional(t.Accepted), Valid: optional(t.ValidUntil), Waiting: optional(t.Waiting), Changes: append([]string{}, t.Changes...),
		}
	}
	if r.setup() != "" {
		v.Author = "" // who changed it is not for whoever holds a link
	}
	unseen, err := c.unseen(r.ctx)
	v.Unseen = append(v.Unseen, unseen[conn.ID]...)
	return v, err
}

// Uploaded is the source of metadata that somebody uploaded.
const Uploaded = "uploaded"

func sourceOf(conn Connection) string {
	switch {
	case conn.MetadataURL != "":
		return conn.MetadataURL
	case conn.MetadataFile != "":
		return conn.MetadataFile
	case conn.Metadata:
		return Uploaded
	default:
		return ""
	}
}

// look finds the connection that a call is about, with all that is known of
// how it fares.
func (c *Console) look(r *request) (Connection, connectionJSON, Trust, error) {
	conn, err := c.connection(r)
	if err != nil {
		return conn, connectionJSON{}, Trust{}, err
	}
	list, err := c.fleetOf(r, []Connection{conn})
	if err != nil {
		return conn, connectionJSON{}, Trust{}, err
	}
	t, err := c.trust(r.ctx, conn)
	return conn, list[0], t, err
}

// tokenJSON is a SCIM token or client, without its secret.
type tokenJSON struct {
	ID         string     `json:"id"`
	Connection string     `json:"connection"`
	Kind       string     `json:"kind"` // "token" or "client"
	Note       string     `json:"note"`
	State      string     `json:"state"` // "live", "expired" or "revoked"
	Created    time.Time  `json:"created"`
	Expires    *time.Time `json:"expires"`
	Days       int        `json:"daysLeft,omitempty"`
	LastUsed   *time.Time `json:"lastUsed"`
	Revoked    *time.Time `json:"revoked"`
	Key        bool       `json:"key"` // a client that signs, and has no secret
	Frozen     bool       `json:"frozen"`
}

func tokenWire(t scim.Token, now time.Time) tokenJSON {
	w := tokenJSON{
		ID: t.ID, Connection: t.Connection, Kind: "token", Note: t.Note, State: "live", Created: t.Created, Expires: optional(t.Expires),
		LastUsed: optional(t.LastUsed), Revoked: optional(t.Revoked), Key: t.PublicKey != "", Frozen: t.Frozen,
	}
	if t.Client {
		w.Kind = "client"
	}
	switch {
	case !t.Revoked.IsZero():
		w.State = "revoked"
	case !t.Live(now):
		w.State = "expired"
	case !t.Expires.IsZero():
		w.Days = daysLeft(t.Expires, now)
	}
	return w
}

type connectionSCIMView struct {
	spot

	URL      string        `json:"url"`
	TokenURL string        `json:"tokenUrl"`
	Steps    []stepJSON    `json:"steps"`
	Tokens   []tokenJSON   `json:"tokens"`   // the newest first
	Requests []requestJSON `json:"requests"` // the last ones
	MayMake  bool          `json:"-"`
	Closed   string        `json:"-"` // why the visitor may make none; empty if they may
	Full     bool          `json:"-"` // there are as many live tokens as may be
}

// lastRequests is how many requests a connection's page shows.
const lastRequests = 20

func (c *Console) connectionSCIM(r *request) (any, error) {
	conn, w, _, err := c.look(r)
	if err != nil {
		return nil, err
	}
	if !conn.SCIM {
		return nil, fault.New(fault.NotFound, "SCIM is not turned on in this connection")
	}
	a := c.addresses(conn)
	v := &connectionSCIMView{
		spot: c.spot(r, conn, w, "scim"), URL: a.scim, TokenURL: a.token, Steps: pushGuide(conn, a), Tokens: []tokenJSON{},
		MayMake: r.own || r.may(mapping.GateTokensEdit), Closed: c.closed(r),
	}
	tokens, err := c.tokens.List(r.ctx, conn.ID)
	if err != nil {
		return nil, err
	}
	live := 0
	for _, t := range slices.Backward(tokens) {
		if t.Live(c.now()) && !t.Client {
			live++
		}
		v.Tokens = append(v.Tokens, tokenWire(t, c.now()))
	}
	v.Full = live >= scim.MaxLiveTokens
	entries, err := c.journal.Journal(r.ctx, scim.JournalQuery{Connections: []string{conn.ID}, Limit: lastRequests})
	v.Requests = requestsWire(entries)
	if r.setup() != "" { // others' requests name people in what they look for
		v.Requests = slices.DeleteFunc(v.Requests, func(q requestJSON) bool { return q.At.Before(r.link.Created) })
		for i := range v.Requests {
			v.Requests[i].Path, _, _ = strings.Cut(v.Requests[i].Path, "?")
		}
	}
	if r.setup() != "" || !r.own && !r.may(mapping.GateAuditView) {
		for i := range v.Requests { // what was said of people is for those who may read the log
			v.Requests[i].Body = ""
		}
	}
	return v, err
}

type connectionSignInsView struct {
	spot

	SignIns []signInJSON `json:"signIns"`
	Next    int64        `json:"next,omitempty"`
	Tests   bool         `json:"-"` // only dry runs of the visitor's own
}

func (c *Console) connectionSignIns(r *request) (any, error) {
	conn, w, _, err := c.look(r)
	if err != nil {
		return nil, err
	}
	v := &connectionSignInsView{spot: c.spot(r, conn, w, "sign-ins"), Tests: r.setup() != ""}
	v.SignIns, v.Next, err = c.attempts(r, SignInQuery{Connections: []string{conn.ID}, Tester: r.setup(), Failed: r.query("failed") == "yes"})
	for i := range v.SignIns {
		v.SignIns[i].Base, v.SignIns[i].Hidden = v.At, !r.may(mapping.GateUsersView)
	}
	return v, err
}

// trace finds the trace that a call is about, of those that the visitor may see.
func (c *Console) trace(r *request) (trace.Record, error) {
	reference := r.param("reference")
	if r.setup() == "" {
		return c.traces.FindTrace(r.ctx, reference)
	}
	found, err := c.store.SignIns(r.ctx, SignInQuery{Tester: r.setup(), Reference: reference, Limit: 1})
	if err == nil && len(found) == 0 {
		err = errNoTrace
	}
	if err != nil {
		return trace.Record{}, err
	}
	return found[0].Record, nil
}

func (c *Console) connectionSignIn(r *request) (any, error) {
	conn, err := c.connection(r)
	if err != nil {
		return nil, err
	}
	record, err := c.trace(r)
	if err != nil {
		return nil, err
	}
	if record.Connection != conn.ID {
		return nil, fault.New(fault.NotFound, "no such trace")
	}
	r.narrow(&record)
	return &signInView{Record: record, Back: base(r) + "/" + conn.ID + "/sign-ins", Known: r.may(mapping.GateUsersView)}, nil
}

// narrow takes out of a trace what is not for a client's own: rules that almost
// matched may be about another client, whose connection they name.
func (r *request) narrow(record *trace.Record) {
	if (r.own || r.organization != "") && record != nil && record.Decision != nil {
		record.Decision.NearMisses = nil
	}
}
