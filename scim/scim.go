// Package scim is the SCIM 2.0 endpoint: it takes the people and groups that
// identity providers push (RFC 7643, RFC 7644) and turns each request into one
// verb of package directory.
//
// A request passes four stages: the routes and limits of this package, a
// normaliser that understands every client's dialect, one directory verb, and
// a projector that shapes the answer. The schema objects, the validation of
// whole resources and the parsing of paths and filters come from
// github.com/elimity-com/scim and its parser; its HTTP handler is not used.
//
// Invariants:
//   - A bearer token opens the connection that it was made for and nothing
//     else. Whatever is wrong with a credential is the same 401. A client gets
//     its tokens at the connection's token endpoint (RFC 6749, section 4.4).
//   - A filter that is not understood is refused, never answered with an empty
//     list: the client would create its people a second time.
//   - A PATCH is applied whole or not at all.
//   - No password is stored, logged or echoed. The provisioning log holds bodies
//     with identifiers alone, and no secret of the gate; the operators' log
//     holds none.
//   - Foreign input is bounded before it is parsed: size, depth and length.
//
// The package does not decide who may enter: that is what package directory
// makes of the facts that were pushed.
package scim

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/document"
	"portcullis/fault"
)

// Prefix is the path below which every connection has its base URL.
const Prefix = "/scim/v2/"

// Directory is what the endpoint asks of the directory. Its verbs decide what
// a push means for people, and write it down in one transaction each.
type Directory interface {
	Provision(ctx context.Context, by audit.Actor, connection string, r directory.Record) (directory.Person, error)
	Revise(ctx context.Context, by audit.Actor, connection, id string,
		edit func(directory.Person, directory.Record) (directory.Record, error)) (directory.Shown, error)
	Dismiss(ctx context.Context, by audit.Actor, connection, id string,
		edit func(directory.Person, directory.Record) (directory.Record, error)) (directory.Shown, error)
	DeleteIf(ctx context.Context, by audit.Actor, connection, id string, check func(directory.Person) error) error
	Person(ctx context.Context, connection, id string) (directory.Shown, error)
	Confirm(ctx context.Context, id string) error
	People(ctx context.Context, q directory.Query) (directory.Page[directory.Person], error)
	GroupsOf(ctx context.Context, personIDs ...string) (map[string][]directory.Group, error)

	ProvisionGroup(ctx context.Context, by audit.Actor, connection, name, externalID string, members []string) (directory.Group, error)
	ReviseGroup(ctx context.Context, by audit.Actor, connection, id string,
		edit func(directory.Group) (directory.GroupEdit, error)) (directory.Group, error)
	DeleteGroupIf(ctx context.Context, by audit.Actor, connection, id string, check func(directory.Group) error) error
	Group(ctx context.Context, connection, id string) (directory.Group, error)
	Groups(ctx context.Context, q directory.Query) (directory.Page[directory.Group], error)
	Members(ctx context.Context, groups ...string) (map[string][]directory.Member, error)
}

// Connection is an identity provider that may push. Whoever is not in
// [Config.Connections] has no SCIM.
type Connection struct {
	ID string
	// Version tells two states of one connection apart, see
	// [Endpoint.SetConnections].
	Version int64
	// Attributes are those of the portal's own schema extension: name → string,
	// boolean, integer, decimal or dateTime.
	Attributes map[string]string
}

// Config is what an Endpoint needs.
type Config struct {
	PublicURL   *url.URL                   // required; where locations point to
	Directory   Directory                  // required
	Tokens      TokenStore                 // required
	Journal     JournalStore               // the provisioning log; defaults to none
	Connections []Connection               // those that may push
	Limit       Limit                      // of each connection
	Address     func(*http.Request) string // the client's network address; defaults to that of the peer
	BodyWithin  time.Duration              // how long a body may take; defaults to 30s
	ListWithin  time.Duration              // how long a list may take, once it has its turn; defaults to 15s
	BulkWithin  time.Duration              // how long a Bulk request may begin operations, likewise; defaults to 1m
	Now         func() time.Time           // defaults to time.Now
	Log         *slog.Logger               // defaults to discarding
}

// Endpoint is the http.Handler of everything below [Prefix]. It is safe for
// concurrent use.
type Endpoint struct {
	directory Directory
	tokens    *Tokens
	verified  verified
	journal   *journal
	guesses   *guesses
	sites     atomic.Pointer[map[string]*site]
	public    *url.URL
	limit     Limit      // of each site
	setting   sync.Mutex // one SetConnections at a time
	address   func(*http.Request) string

	work       *queue // requests of every connection that are at work
	bodyWithin time.Duration
	listWithin time.Duration
	bulkWithin time.Duration
	now        func() time.Time
	log        *slog.Logger
}

// site is the endpoint of one connection.
type site struct {
	connection  string
	version     int64
	base        string // absolute, without a slash at the end
	user, group *resourceType
	limit       *bucket
	work, lists *queue   // requests that are at work, and those of them that are lists
	grants      *bucket  // access tokens that are given
	audiences   []string // what an assertion of a client may be for, the token endpoint first

	baseText      []byte   // base as JSON, without the quote at the end
	extensionKeys [][]byte // of user
}

// New makes an Endpoint. A portal attribute whose name SCIM does not allow
// (RFC 7643, section 2.1) is left out and logged: package config refuses it.
func New(c Config) *Endpoint {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.BodyWithin <= 0 {
		c.BodyWithin = 30 * time.Second
	}
	if c.ListWithin <= 0 {
		c.ListWithin = 15 * time.Second
	}
	if c.BulkWithin <= 0 {
		c.BulkWithin = time.Minute
	}
	if c.Address == nil {
		c.Address = peer
	}
	if c.Limit.PerSecond <= 0 {
		c.Limit.PerSecond = 200
	}
	if c.Limit.Burst <= 0 {
		c.Limit.Burst = 5000
	}
	e := &Endpoint{
		directory: c.Directory, tokens: NewTokens(TokensConfig{Store: c.Tokens, Now: c.Now}), address: c.Address,
		journal:    &journal{store: c.Journal, log: c.Log, refused: make(map[string]time.Time)},
		bodyWithin: c.BodyWithin, listWithin: c.ListWithin, bulkWithin: c.BulkWithin, work: newQueue(turnsOfAll),
		guesses:  &guesses{from: make(map[string]*bucket)},
		verified: verified{known: make(map[credential]verdict)},
		public:   c.PublicURL, limit: c.Limit, now: func() time.Time { return c.Now().UTC() }, log: c.Log,
	}
	e.SetConnections(c.Connections)
	return e
}

// SetConnections puts other connections in the place of those that were, from
// the next request on. One whose ID and Version are as before keeps its limits
// as they stand.
func (e *Endpoint) SetConnections(connections []Connection) {
	e.setting.Lock()
	defer e.setting.Unlock()
	next, old := make(map[string]*site), e.sites.Load()
	for _, conn := range connections {
		if old != nil && (*old)[conn.ID] != nil && (*old)[conn.ID].version == conn.Version {
			next[conn.ID] = (*old)[conn.ID]
		} else {
			next[conn.ID] = e.newSite(conn)
		}
	}
	e.sites.Store(&next)
}

// site gives that of a connection of now; nil for none.
func (e *Endpoint) site(connection string) *site { return (*e.sites.Load())[connection] }

func (e *Endpoint) newSite(conn Connection) *site {
	public, base := strings.TrimSuffix(e.public.String(), "/"), e.public.JoinPath(Prefix, conn.ID).String()
	s := &site{
		connection: conn.ID, version: conn.Version, base: base, limit: newBucket(e.limit), user: userType(e.declared(conn)), group: groupType(),
		work: newQueue(turnsOfOne), lists: newQueue(turnsOfLists),
		grants:    newBucket(Limit{PerSecond: grantRate, Burst: grantBurst}),
		audiences: []string{base + TokenPath, base, base + "/", public, public + "/"},
	}
	s.baseText, s.extensionKeys = bytes.TrimSuffix(document.AppendText(nil, base), []byte{'"'}), keysOf(s.user)
	return s
}

// declared are the portal attributes that can be served.
func (e *Endpoint) declared(c Connection) map[string]string {
	name := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	out, seen := make(map[string]string), make(map[string]bool)
	for _, attr := range sortedKeys(c.Attributes) {
		if lower := strings.ToLower(attr); !name.MatchString(attr) || seen[lower] {
			e.log.WarnContext(context.Background(), "portal attribute left out: not a SCIM attribute name",
				slog.String("connection", c.ID), slog.String("attribute", attr))
		} else {
			out[attr], seen[lower] = c.Attributes[attr], true
		}
	}
	return out
}

func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// call is one request that has been let in.
type call struct {
	*Endpoint

	site     *site
	w        http.ResponseWriter
	r        *http.Request
	by       audit.Actor
	key      credential // of who asks; a call within a Bulk request has none
	secret   string
	query    url.Values
	endpoint string    // Users, Groups, …: what is asked for
	entry    *Entry    // in the provisioning log; nil within a Bulk request
	one      string    // id of the resource that is asked for; empty: none
	turns    [3]*queue // that the request is at work in: so many of them are taken
	taken    int
	within   context.Context    //nolint:containedctx // of the request, while a list may take; nil: it is none
	stop     context.CancelFunc // ends within
	doc      map[string]any     // the body of an operation of a Bulk request; nil: it is in r
	frozen   bool               // the organization is: only losses are taken
}

// ServeHTTP takes the full path, /scim/v2/{connection}/… .
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	entry := Entry{At: e.now(), Address: e.address(r)}
	seen := &observed{ResponseWriter: w}
	err := e.serve(seen, r, &entry)
	if refused, ok := errors.AsType[*tokenRefusal](err); ok {
		e.failGrant(r.Context(), seen, refused)
	} else if err != nil {
		e.fail(r.Context(), seen, err)
	}
	e.record(entry, r, seen.status, err)
}

func (e *Endpoint) serve(w http.ResponseWriter, r *http.Request, entry *Entry) error {
	below, ok := strings.CutPrefix(r.URL.Path, Prefix)
	connection, rest, _ := strings.Cut(below, "/")
	entry.Connection = connection
	if !ok {
		return fault.New(fault.NotFound, "no such endpoint")
	}
	if "/"+rest == TokenPath {
		return e.grant(w, r, connection, entry)
	}
	// Who asks comes before what there is: a stranger learns of no connection.
	secret := bearer(r)
	key := credentialOf(connection, secret)
	token, err := e.verify(r.Context(), key, secret)
	if err != nil {
		return err
	}
	entry.Token = token.ID
	s := e.site(connection)
	if s == nil {
		return errToken()
	}
	if wait := s.limit.take(e.now()); wait > 0 {
		return &refusal{
			status: http.StatusTooManyRequests, retry: wait,
			err: fault.New(fault.Unavailable, "too many requests of this connection"),
		}
	}
	// ParseQuery and not Query: that one drops what it cannot read, a filter too.
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalid(typeValue, "the query string cannot be read")
	}
	c := &call{
		Endpoint: e, site: s, w: w, r: r, query: query, entry: entry, key: key, secret: secret, frozen: token.Frozen,
		by: audit.Actor{Kind: "scim", ID: token.ID, Name: connection, Address: entry.Address},
	}
	defer c.end()
	return c.route(rest) //nolint:contextcheck // the call has the context of its request
}

// bearer gives the token of the one Authorization header (RFC 6750, section
// 2.1). A token in a cookie, a form or the query is none.
func bearer(r *http.Request) string {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
