package login_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/login"
	"portcullis/mapping"
	"portcullis/oidc"
	"portcullis/session"
	"portcullis/trace"
	"portcullis/web"
)

// gate is the package on a real listener, with fakes around it.
type gate struct {
	t        *testing.T
	login    *login.Login
	public   *url.URL
	base     string // where it listens
	store    *attempts
	people   *people
	sessions *sessions
	log      *syncBuffer
	idps     []*idp
	traces   *records
	skip     atomic.Int64 // nanoseconds that the clock is ahead
	readers  atomic.Int64 // how often a page asked who reads it, which looks every cookie up
}

// Language makes the gate the reader of its pages, who chose no language.
func (g *gate) Language() string { g.readers.Add(1); return "" }

func (g *gate) now() time.Time          { return time.Now().Add(time.Duration(g.skip.Load())) }
func (g *gate) advance(d time.Duration) { g.skip.Add(int64(d)) }
func (g *gate) callback(conn string) string {
	return g.public.String() + "/.portcullis/oidc/" + conn + "/callback"
}

// connection is how the gate knows an identity provider.
func connection(p *idp, id string, domains ...string) login.Connection {
	return login.Connection{
		ID: id, Organization: strings.ToUpper(id), Domains: domains,
		OIDC: &login.OIDC{Provider: oidc.Config{Issuer: p.issuer(), ClientID: p.client.id, ClientSecret: p.client.secret}},
	}
}

// newGate starts a gate for these identity providers, named acme, beta, ….
func newGate(t *testing.T, change func(*login.Config), idps ...*idp) *gate {
	t.Helper()
	gin.SetMode(gin.TestMode)
	g := &gate{
		t: t, store: &attempts{rows: map[string]login.Attempt{}}, people: &people{},
		sessions: &sessions{alive: map[string]string{}}, log: &syncBuffer{}, idps: idps, traces: &records{},
	}
	engine := gin.New()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := new(web.Visit)
		v.ReadBy(g)
		v.Begin(r, nil)
		w.Header().Set(web.ReferenceHeader, v.Reference())
		engine.ServeHTTP(w, r.WithContext(v)) //nolint:contextcheck // the visit is r's context, and more
	}))
	t.Cleanup(server.Close)
	g.public, _ = url.Parse(server.URL)
	g.base = server.URL
	c := login.Config{
		PublicURL: g.public, Directory: g.people, Sessions: g.sessions, Store: g.store, Now: g.now, Traces: g.traces,
		Log: slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for i, p := range idps {
		id := []string{"acme", "beta", "gamma"}[i]
		p.now = g.now
		c.Connections = append(c.Connections, connection(p, id, id+".example"))
	}
	if change != nil {
		change(&c)
	}
	g.login = login.New(c)
	g.login.Mount(engine.Group(web.Prefix))
	t.Cleanup(g.checkLog)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(g.log.String())
		}
	})
	return g
}

// checkLog is the law that no secret is ever logged, over every test.
func (g *gate) checkLog() {
	text := g.log.String() + g.traces.String()
	secrets := g.sessions.tokens()
	for _, p := range g.idps {
		secrets = append(secrets, p.everSecret()...)
		secrets = append(secrets, p.client.secret)
	}
	for _, s := range secrets {
		if s != "" && strings.Contains(text, s) {
			g.t.Errorf("the log or a trace holds the secret %q:\n%s", s, text)
		}
	}
}

// browser is a browser that follows redirects only when told.
type browser struct {
	t    *testing.T
	http *http.Client
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(c.CloseIdleConnections)
	return &browser{t: t, http: c}
}

type page struct {
	*http.Response
	body string
}

func (b *browser) do(method, target string, form url.Values, header ...string) page {
	b.t.Helper()
	return b.send(method, target, form.Encode(), header...)
}

// send sends a body as it is: that of a form, unless a header says otherwise.
func (b *browser) send(method, target, form string, header ...string) page {
	b.t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(form)
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, target, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Accept", "text/html")
	req.Header.Set("User-Agent", "test browser")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{res, string(text)}
}

func (b *browser) get(target string) page { b.t.Helper(); return b.do(http.MethodGet, target, nil) }

// location is where a redirect leads, absolute.
func (p page) location(t *testing.T) string {
	t.Helper()
	u, err := p.Location()
	if err != nil {
		t.Fatalf("status %d without a redirect: %s", p.StatusCode, p.body)
	}
	return u.String()
}

// signIn goes from the gate's sign-in to the answer of its callback.
func (b *browser) signIn(g *gate, path string) page {
	b.t.Helper()
	return b.get(b.authorize(g, path))
}

// authorize goes to the identity provider and gives the URL that it sends
// the browser back to.
func (b *browser) authorize(g *gate, path string) string {
	b.t.Helper()
	return b.get(b.get(g.public.String() + path).location(b.t)).location(b.t)
}

func (b *browser) cookies(g *gate) map[string]string {
	out := map[string]string{}
	for _, c := range b.http.Jar.Cookies(g.public) {
		out[c.Name] = c.Value
	}
	return out
}

// refused checks that an answer lets nobody in and says so in words.
func (g *gate) refused(t *testing.T, p page, status int, words string) {
	t.Helper()
	if p.StatusCode != status || !strings.Contains(p.body, words) {
		t.Errorf("status %d, want %d with %q in:\n%s", p.StatusCode, status, words, p.body)
	}
	if !strings.Contains(p.body, p.Header.Get(web.ReferenceHeader)) {
		t.Errorf("the page does not show its reference")
	}
	for _, c := range p.Cookies() {
		if c.Name == "portcullis" && c.Value != "" {
			t.Errorf("a session cookie was set")
		}
	}
	if n := len(g.sessions.tokens()); n != 0 {
		t.Errorf("%d sessions were issued", n)
	}
}

// people lets everybody in, or nobody.
type people struct {
	mu     sync.Mutex
	seen   []directory.Assertion
	refuse error

	rehearsed int
}

func (d *people) SignIn(_ context.Context, a directory.Assertion, _ string) (directory.SignedIn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil {
		return directory.SignedIn{}, d.refuse
	}
	d.seen = append(d.seen, a)
	return directory.SignedIn{Person: directory.Person{ID: "p-" + a.Subject, Connection: a.Connection, Name: a.Name}, Assertion: a}, nil
}

func (d *people) Rehearse(_ context.Context, a directory.Assertion) (directory.SignedIn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rehearsed++
	p := directory.Person{ID: "p-" + a.Subject, Connection: a.Connection, Name: a.Name, UserName: a.UserName}
	return directory.SignedIn{Person: p, Assertion: a, Standing: directory.Standing{Person: p, Assertion: a}}, d.refuse
}

func (d *people) Explain(s directory.Standing) *mapping.Explanation {
	return &mapping.Explanation{Verdict: "explained", Access: mapping.Access{Login: d.refuse == nil, Roles: []string{"viewer"}}}
}

func (d *people) last(t *testing.T) directory.Assertion {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.seen) == 0 {
		t.Fatal("nobody signed in")
	}
	return d.seen[len(d.seen)-1]
}

// sessions keeps sessions in memory.
type sessions struct {
	mu      sync.Mutex
	alive   map[string]string // token → connection
	tickets map[string]session.Ticket
	issued  []string
	ended   []string
	client  session.Client
	by      audit.Actor
}

func (s *sessions) Issue(_ context.Context, in directory.SignedIn, client session.Client, ticket session.Ticket) (string, *session.Principal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := "session-" + rand.Text()
	if s.tickets == nil {
		s.tickets = map[string]session.Ticket{}
	}
	s.alive[token], s.tickets[token], s.client = in.Person.Connection, ticket, client
	s.issued = append(s.issued, token)
	return token, &session.Principal{PersonID: in.Person.ID, Name: in.Person.Name, Expires: time.Now().Add(12 * time.Hour)}, nil
}

func (s *sessions) Verify(_ context.Context, token string) (*session.Principal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn, ok := s.alive[token]
	if !ok {
		return nil, fault.New(fault.Unauthenticated, "no such session")
	}
	return &session.Principal{PersonID: "p-1", Name: "Alice", Connection: conn}, nil
}

func (s *sessions) End(_ context.Context, token string, by audit.Actor) (session.Ticket, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn, ok := s.alive[token]
	if !ok {
		return session.Ticket{}, "", nil
	}
	delete(s.alive, token)
	s.ended, s.by = append(s.ended, token), by
	return s.tickets[token], conn, nil
}

func (s *sessions) EndHashed(ctx context.Context, hash []byte, by audit.Actor) (session.Ticket, string, error) {
	for _, token := range s.tokens() {
		if sum := sha256.Sum256([]byte(token)); bytes.Equal(sum[:], hash) {
			return s.End(ctx, token, by)
		}
	}
	return session.Ticket{}, "", nil
}

func (s *sessions) EndOthers(context.Context, *session.Principal, audit.Actor) (int, error) {
	return 0, nil
}

func (s *sessions) EndNamed(context.Context, session.Named, session.Request, audit.Actor, string) (int, error) {
	return 0, nil
}

func (s *sessions) TakeDue(context.Context) ([]session.Due, error) { return nil, nil }

func (s *sessions) Renewed(context.Context, session.Due, string, time.Duration) error { return nil }

func (s *sessions) Expel(context.Context, session.Due, error) error { return nil }

func (s *sessions) tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.issued)
}

// records keeps traces in memory.
type records struct {
	mu   sync.Mutex
	list []trace.Record
}

func (r *records) Put(rec trace.Record, complete func(*trace.Record)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if complete != nil {
		complete(&rec)
	}
	r.list = append(r.list, rec)
}

func (r *records) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text, _ := json.Marshal(r.list)
	return string(text)
}

func (r *records) last(t *testing.T) trace.Record {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 0 {
		t.Fatal("no trace")
	}
	return r.list[len(r.list)-1]
}

// syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
