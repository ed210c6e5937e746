package scim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
)

const (
	userURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	portalURN     = "urn:ietf:params:scim:schemas:extension:portal:2.0:User"
	patchURN      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// clock is a clock that tests turn.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// logs is a log that tests read.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// rig is the endpoint over the real directory and SQLite, with two
// connections.
type rig struct {
	t         testing.TB
	db        *store.DB
	directory *directory.Directory
	tokens    *scim.Tokens
	clock     *clock
	log       *logs
	handler   http.Handler
	secret    string // of acme
	other     string // of beta
}

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

func newRig(tb testing.TB, change ...func(*scim.Config)) *rig {
	tb.Helper()
	return newRigOn(tb, storetest.SQLite(tb), change...)
}

// newRigOn is a rig over a database that is open.
func newRigOn(tb testing.TB, db *store.DB, change ...func(*scim.Config)) *rig {
	tb.Helper()
	return newRigWith(tb, db, nil, change...)
}

// newRigWith is a rig with further connections, which are like acme.
func newRigWith(tb testing.TB, db *store.DB, more []string, change ...func(*scim.Config)) *rig {
	tb.Helper()
	r := &rig{t: tb, clock: &clock{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}, log: &logs{}}
	r.db = db
	connections := []directory.Connection{{ID: "acme", Organization: "Acme"}, {ID: "beta", Organization: "Beta"}, {ID: "plain", Organization: "Plain"}}
	for _, id := range more {
		connections = append(connections, directory.Connection{ID: id, Organization: id})
	}
	r.directory = directory.New(directory.Config{
		Store: db.Directory(), Policy: func() *mapping.Policy { return nil }, Now: r.clock.Now, Connections: connections,
	})
	if err := r.directory.Reconcile(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	r.tokens = scim.NewTokens(scim.TokensConfig{Store: db.Tokens(), Now: r.clock.Now})
	r.secret, r.other = r.token("acme", 0), r.token("beta", 0)
	r.serve(append([]func(*scim.Config){func(c *scim.Config) {
		for _, id := range more {
			c.Connections = append(c.Connections, scim.Connection{ID: id, Attributes: c.Connections[0].Attributes})
		}
	}}, change...)...)
	return r
}

// newRigOnSame is another replica: it shares the database and the clock.
func newRigOnSame(tb testing.TB, r *rig, change ...func(*scim.Config)) *rig {
	tb.Helper()
	other := r.in(tb)
	other.serve(change...)
	return other
}

// serve makes the endpoint.
func (r *rig) serve(change ...func(*scim.Config)) {
	tb := r.t
	tb.Helper()
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	public, err := url.Parse("https://gate.example/base")
	if err != nil {
		tb.Fatal(err)
	}
	c := scim.Config{
		ListWithin: 5 * time.Minute, // under the race detector a large list takes long
		PublicURL:  public, Directory: r.directory, Tokens: r.db.Tokens(), Now: r.clock.Now, Log: log,
		Connections: []scim.Connection{
			{ID: "acme", Attributes: map[string]string{"tag": "string", "vip": "boolean", "rank": "integer", "since": "dateTime"}},
			{ID: "beta"},
		},
	}
	for _, f := range change {
		f(&c)
	}
	r.handler = scim.New(c)
}

// in gives the same rig for another test: one that runs inside of the first.
func (r *rig) in(tb testing.TB) *rig {
	tb.Helper()
	c := *r
	c.t = tb
	return &c
}

func (r *rig) token(connection string, life time.Duration) string {
	r.t.Helper()
	secret, _, err := r.tokens.Create(context.Background(), audit.Gate(), connection, "test", life)
	if err != nil {
		r.t.Fatal(err)
	}
	return secret
}

// answer is what the endpoint said.
type answer struct {
	status int
	header http.Header
	raw    string
	doc    map[string]any
}

// at digs a value out of the answer: keys, list indexes not needed.
func (a answer) at(path ...string) any {
	var v any = a.doc
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

func (a answer) text(path ...string) string {
	s, _ := a.at(path...).(string)
	return s
}

// list is a list of objects in the answer.
func (a answer) list(path ...string) []map[string]any {
	raw, _ := a.at(path...).([]any)
	var out []map[string]any
	for _, v := range raw {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// send sends a request of acme. A body that is a string goes as it is.
func (r *rig) send(method, path string, body any, headers ...string) answer {
	r.t.Helper()
	return r.sendTo("acme", r.secret, method, path, body, headers...)
}

func (r *rig) sendTo(connection, secret, method, path string, body any, headers ...string) answer {
	r.t.Helper()
	var reader io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			r.t.Fatal(err)
		}
		reader = bytes.NewReader(raw)
	}
	req := httptest.NewRequest(method, "/", reader)
	full, query, _ := strings.Cut(path, "?")
	req.URL.Path, req.URL.RawQuery = "/scim/v2/"+connection+full, query
	if body != nil {
		req.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req.WithContext(context.Background()))
	a := answer{status: w.Code, header: w.Header(), raw: w.Body.String()}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &a.doc); err != nil {
			r.t.Fatalf("%s %s answers %q, which is not JSON: %v", method, path, a.raw, err)
		}
	}
	return a
}

// want fails the test unless the status is one of those.
func (r *rig) want(a answer, status ...int) answer {
	r.t.Helper()
	if !slices.Contains(status, a.status) {
		r.t.Fatalf("status = %d %s, want %v", a.status, a.raw, status)
	}
	return a
}

func user(name string, more ...map[string]any) map[string]any {
	doc := map[string]any{
		"schemas": []string{userURN}, "userName": name, "externalId": "x-" + name, "active": true,
		"displayName": "Ada Example", "name": map[string]any{"givenName": "Ada", "familyName": "Example"},
		"emails": []any{map[string]any{"value": name, "type": "work", "primary": true}},
	}
	for _, m := range more {
		maps.Copy(doc, m)
	}
	return doc
}

// create creates a user and gives the id.
func (r *rig) create(name string, more ...map[string]any) string {
	r.t.Helper()
	return r.want(r.send("POST", "/Users", user(name, more...)), 201).text("id")
}

func (r *rig) group(name string, members ...string) string {
	r.t.Helper()
	list := []any{}
	for _, m := range members {
		list = append(list, map[string]any{"value": m})
	}
	return r.want(r.send("POST", "/Groups", map[string]any{
		"schemas": []string{groupURN}, "displayName": name, "members": list,
	}), 201).text("id")
}

// patch sends operations given as JSON.
func (r *rig) patch(path, ops string) answer {
	r.t.Helper()
	return r.send("PATCH", path, `{"schemas":["`+patchURN+`"],"Operations":`+ops+`}`)
}

// members are the ids of the members of a group.
func (r *rig) members(group string) map[string]bool {
	r.t.Helper()
	out := map[string]bool{}
	for _, m := range r.want(r.send("GET", "/Groups/"+group, nil), 200).list("members") {
		id, _ := m["value"].(string)
		out[id] = true
	}
	return out
}

func find(filter string) string { return "?filter=" + url.QueryEscape(filter) }
