package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/proxy"
	"portcullis/session"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"),          // a server that refused waits half a second for the client
		goleak.IgnoreAnyFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1"), // gorm never stops its cache
	)
}

// people is a Sessions in memory.
type people struct {
	mu       sync.Mutex
	sessions map[string]*seat
	away     atomic.Bool // the store is gone
	verified atomic.Int64
	watched  chan struct{} // a request runs
}

type seat struct {
	who *session.Principal
	ctx context.Context
	end context.CancelFunc

	running map[*running]bool
}

// running is a request under Watch.
type running struct {
	from   string
	cancel context.CancelCauseFunc
}

func newPeople() *people {
	return &people{sessions: map[string]*seat{}, watched: make(chan struct{}, 1000)}
}

func (s *people) enter(token string, who *session.Principal) {
	ctx, end := context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[token] = &seat{who, ctx, end, map[*running]bool{}}
}

func (s *people) leave(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[token].end()
	delete(s.sessions, token)
}

func (s *people) VerifyToken(ctx context.Context, secret string) (*session.Principal, error) {
	return s.Verify(ctx, secret)
}

func (s *people) Verify(_ context.Context, token string) (*session.Principal, error) {
	s.verified.Add(1)
	if s.away.Load() || token == "AWAY" {
		return nil, fault.New(fault.Unavailable, "the database is away")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if seat, ok := s.sessions[token]; ok {
		return seat.who, nil
	}
	return nil, fault.New(fault.Unauthenticated, "your session has expired")
}

func (s *people) CutWhere(over func(*session.Principal, string) bool) (cut int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seat := range s.sessions {
		for r := range seat.running {
			if over(seat.who, r.from) {
				r.cancel(session.ErrEnded)
				cut++
			}
		}
	}
	return cut
}

func (s *people) Watch(ctx context.Context, p *session.Principal, from string) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop, r := func() bool { return true }, &running{from, cancel}
	for _, seat := range s.sessions {
		if seat.who == p {
			stop, seat.running[r] = context.AfterFunc(seat.ctx, func() { cancel(session.ErrEnded) }), true
		}
	}
	select {
	case s.watched <- struct{}{}:
	default:
	}
	return ctx, func() {
		stop()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, seat := range s.sessions {
			delete(seat.running, r)
		}
		cancel(context.Canceled)
	}
}

// pen is a Keys that signs nothing: the tests that check signatures use real
// keys.
type pen struct{ signed atomic.Int64 }

func (k *pen) Sign(claims any) (string, error) {
	k.signed.Add(1)
	b, err := json.Marshal(claims)
	return "e30." + base64.RawURLEncoding.EncodeToString(b) + ".", err
}

func (*pen) JWKS() []byte { return []byte(`{"keys":[]}`) }

// ann is somebody with a role and a task.
func ann() *session.Principal {
	return &session.Principal{
		SessionID: "s1", PersonID: "p1", Connection: "acme", Organization: "Acme", Issuer: "https://idp.example", Subject: "ann-1",
		Email: "ann@acme.example", Name: "Ann", Created: time.Now(), Expires: time.Now().Add(time.Hour),
		Access: mapping.Access{
			Login: true, Roles: []string{"clerk", "reader"}, Tasks: []string{"report.view"},
			Permissions: mapping.Permissions{AnyOf: []mapping.Where{{"country": {In: []string{"US"}}, "desk": {Any: true}}}},
		},
	}
}

const annToken = "ANNSTOKEN"

// gate is a running gate.
type gate struct {
	*proxy.Proxy
	addr   string
	url    string
	people *people
	pen    *pen
	log    *syncBuffer
	over   chan struct{} // a request is over
}

// open runs a gate in front of upstream, with Ann signed in.
func open(tb testing.TB, upstream string, change ...func(*proxy.Config)) *gate {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	g := &gate{addr: l.Addr().String(), url: "http://" + l.Addr().String(), people: newPeople(), pen: &pen{}, log: &syncBuffer{}, over: make(chan struct{}, 10)}
	g.people.enter(annToken, ann())
	log := slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := proxy.Config{PublicURL: parse(tb, g.url), Upstream: proxy.Upstream{URL: parse(tb, upstream)}, Sessions: g.people, Keys: g.pen, Log: log}
	for _, f := range change {
		f(&c)
	}
	g.Proxy = proxy.New(c)
	serve(tb, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			select {
			case g.over <- struct{}{}:
			default:
			}
		}()
		g.ServeHTTP(w, r)
	}), log)
	tb.Cleanup(g.Close)
	return g
}

func serve(tb testing.TB, l net.Listener, h http.Handler, log *slog.Logger) {
	tb.Helper()
	srv := proxy.Server(l.Addr().String(), h, log)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	tb.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
}

// portal runs an ordinary portal and gives its URL.
func portal(tb testing.TB, h http.HandlerFunc) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	serve(tb, l, h, slog.New(slog.DiscardHandler))
	return "http://" + l.Addr().String()
}

// answer is what came back.
type answer struct {
	Code    int
	Header  http.Header
	Text    string
	Err     error // of reading the body
	Trailer http.Header
}

// raw sends bytes to the gate as they are and reads one answer.
func raw(tb testing.TB, addr, request string) answer {
	tb.Helper()
	conn := dial(tb, addr)
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		tb.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	return read(tb, bufio.NewReader(conn), method)
}

func dial(tb testing.TB, addr string) net.Conn {
	tb.Helper()
	conn, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// read reads the answer to a request of that method.
func read(tb testing.TB, r *bufio.Reader, method string) answer {
	tb.Helper()
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		tb.Fatalf("reading the answer: %v", err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(b), err, res.Trailer}
}

// get asks the gate for a target with these header lines. A line "ann" stands
// for Ann's cookie, "page" for a navigation.
func (g *gate) get(tb testing.TB, target string, lines ...string) answer {
	tb.Helper()
	return g.ask(tb, "GET", target, lines...)
}

func (g *gate) ask(tb testing.TB, method, target string, lines ...string) answer {
	tb.Helper()
	return raw(tb, g.addr, g.request(method, target, lines...))
}

func (g *gate) request(method, target string, lines ...string) string {
	var b strings.Builder
	b.WriteString(method + " " + target + " HTTP/1.1\r\nHost: " + g.addr + "\r\n")
	for _, l := range lines {
		switch l {
		case "ann":
			l = "Cookie: portcullis=" + annToken
		case "page":
			l = "Accept: text/html\r\nSec-Fetch-Mode: navigate"
		}
		b.WriteString(l + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

func parse(tb testing.TB, s string) *url.URL {
	tb.Helper()
	u, err := url.Parse(s)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

func routes(r ...proxy.Route) func(*proxy.Config) {
	return func(c *proxy.Config) { c.Routes = r }
}

func trusting(prefix string) func(*proxy.Config) {
	return func(c *proxy.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(prefix)} }
}

// syncBuffer is a log that tests read while the gate writes.
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

// signedIn is a Sessions that knows Ann.
var signedIn = func() *people {
	p := newPeople()
	p.enter(annToken, ann())
	return p
}()

// status asks a handler without a server.
func status(h http.Handler, method, target string, lines ...string) int {
	r := httptest.NewRequest(method, "http://gate.example/", nil)
	r.RequestURI = target
	r.URL, _ = url.ParseRequestURI(target)
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}
