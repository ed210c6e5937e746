package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/scim"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/web"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// rules grant each of the gate's tasks by a group of its own, and to clients'
// managers for their own organization.
func rules() string {
	var b strings.Builder
	b.WriteString(`version: 1
connections:
  staff: {ceiling: unrestricted}
  acme: {ceiling: {roles: [viewer, client-admin, helper]}}
  beta: {ceiling: {roles: [viewer, client-admin, helper]}}
roles:
  viewer: {tasks: [account.view]}
  helper: {tasks: [account.help], assignableBy: [client-admin, has-gate.roles.assign]}
  boss: {tasks: [account.close], assignableBy: [has-gate.roles.assign]}
  client-admin: {scope: organization, tasks: [`)
	for i, t := range mapping.GateTasks() {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(t.Name)
	}
	b.WriteString("]}\n")
	for _, t := range mapping.GateTasks() {
		fmt.Fprintf(&b, "  has-%[1]s: {tasks: [%[1]s]}\n", t.Name)
	}
	b.WriteString(`defaults: {noMatch: deny-login}
rules:
  - {id: everybody, match: {connection: "*"}, grant: {roles: [viewer]}}
  - {id: acme-admins, match: {connection: acme, groups: [{name: Admins}]}, grant: {roles: [client-admin]}}
  - {id: beta-admins, match: {connection: beta, groups: [{name: Admins}]}, grant: {roles: [client-admin]}}
  - {id: client-admins-of-staff, match: {connection: staff, groups: [{name: Admins}]}, grant: {roles: [client-admin]}}
`)
	for _, t := range mapping.GateTasks() {
		fmt.Fprintf(&b, "  - {id: gives-%[1]s, match: {connection: staff, groups: [{name: %[1]s}]}, grant: {roles: [has-%[1]s]}}\n", t.Name)
	}
	return b.String()
}

// plain seals nothing: what is sealed is package keys' to show.
type plain struct{}

func (plain) Seal(_ string, b []byte) ([]byte, error) { return b, nil }
func (plain) Open(_ string, b []byte) ([]byte, error) { return b, nil }

// world is a console over a real database.
type world struct {
	t        testing.TB
	db       *store.DB
	dir      *directory.Directory
	sessions *session.Manager
	keeper   *revision.Keeper
	ledger   revision.LedgerConfig // of a managed world
	mounted  *revision.Ledger
	console  *admin.Console
	handler  http.Handler
	bare     http.Handler // without references
	links    admin.Links
	now      time.Time
	ways     *fakeWays
}

var public = &url.URL{Scheme: "https", Host: "gate.example"}

func newWorld(t testing.TB, db *store.DB) *world {
	t.Helper()
	return built(t, db, "")
}

// newManagedWorld is a world whose mapping is in the database.
func newManagedWorld(t *testing.T, db *store.DB, text string, approval revision.Approval) *world {
	t.Helper()
	l := revision.NewLedger(revision.LedgerConfig{Store: db.Revisions(), Approval: approval, Now: func() time.Time { return time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC) }})
	texts, root := []revision.Text{{Name: "mapping.yaml", Body: []byte(text)}}, revision.Signer{Actor: audit.Actor{Kind: "operator", ID: "1", Name: "root"}}
	if p, err := l.Propose(t.Context(), root, texts, "the beginning"); err != nil {
		t.Fatal(err)
	} else if _, err := l.Approve(t.Context(), revision.Signer{Actor: audit.Actor{Kind: "operator", ID: "2", Name: "second"}}, p.Hash); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.Apply(t.Context(), root, texts, ""); err != nil {
		t.Fatal(err)
	}
	w := built(t, db, "managed")
	w.ledger = revision.LedgerConfig{Store: db.Revisions(), Approval: approval, Now: func() time.Time { return w.now }}
	w.mount(revision.NewLedger(w.ledger))
	return w
}

// built is a world whose mapping is a file (managed ""), in the database
// ("managed"), or nowhere yet ("empty").
func built(t testing.TB, db *store.DB, managed string) *world {
	t.Helper()
	w := &world{t: t, db: db, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return w.now }
	w.ways = newWays(db, now)
	file := ""
	if managed == "" {
		file = filepath.Join(t.TempDir(), "mapping.yaml")
		if err := os.WriteFile(file, []byte(rules()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	policy := func() *mapping.Policy { return w.keeper.Policy() }
	w.dir = directory.New(directory.Config{
		Store: db.Directory(), Policy: policy, Now: now,
		Connections: []directory.Connection{{ID: "staff", Organization: "Staff"}, {ID: "acme", Organization: "Acme"}, {ID: "beta", Organization: "Beta"}},
	})
	if err := w.dir.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.sessions = session.New(session.Config{Store: db.Sessions(), Sealer: plain{}, Policy: policy, Foreign: w.dir.Foreign, Now: now})
	w.keeper = revision.New(revision.Config{Store: db.Revisions(), File: file, Now: now})
	if err := w.keeper.Load(t.Context()); err != nil && managed != "empty" {
		t.Fatal(err)
	}
	w.mount(revision.NewLedger(revision.LedgerConfig{Store: db.Revisions(), File: file, Now: now}))
	w.links = admin.Links{Store: db.Admin(), PublicURL: public, Now: now}
	return w
}

// mount puts the console in place.
func (w *world) mount(l *revision.Ledger) {
	w.mounted = l
	now := func() time.Time { return w.now }
	w.console = admin.New(admin.Config{
		PublicURL: public, Store: w.db.Admin(), Sessions: w.sessions, Directory: w.dir, Keeper: w.keeper, Ledger: l,
		Journal: w.db.Journal(), Traces: w.db.Traces(), Trail: w.db.Audit(), Now: now,
		Throttle: patient{}, Ways: w.ways, Tokens: scim.NewTokens(scim.TokensConfig{Store: w.db.Tokens(), Now: now}),
		Facts: []admin.Fact{{Name: "Address of the gate", Value: public.String(), Key: "public_url"}},
	})
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.Use(web.Recover(slog.New(slog.DiscardHandler)))
	w.console.Mount(e.Group("/"))
	w.bare, w.handler = e, web.References(e)
}

// follow lets the gate take up what was put in force.
func (w *world) follow() {
	w.t.Helper()
	w.keeper.Check(w.t.Context())
	if err := w.keeper.Status().Problem; err != nil {
		w.t.Fatal(err)
	}
}

// somebody is a person who is signed in.
type somebody struct {
	w       *world
	id      string
	cookies []*http.Cookie
	bearer  []string // the Authorization headers of a program
}

// signIn lets somebody in who is in groups.
func (w *world) signIn(connection, subject string, groups ...string) *somebody {
	w.t.Helper()
	return w.enter(directory.Assertion{
		Connection: connection, Issuer: "https://idp.example", Subject: subject, UserName: subject, Name: "Name of " + subject,
		Email: subject + "@" + connection + ".example", Groups: groups,
	})
}

func (w *world) enter(a directory.Assertion) *somebody {
	w.t.Helper()
	in, err := w.dir.SignIn(w.t.Context(), a, "REFERENCE")
	if err != nil {
		w.t.Fatal(err)
	}
	token, _, err := w.sessions.Issue(w.t.Context(), in, session.Client{Address: "192.0.2.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/140"}, session.Ticket{})
	if err != nil {
		w.t.Fatal(err)
	}
	return &somebody{w: w, id: in.Person.ID, cookies: []*http.Cookie{{Name: "__Host-portcullis", Value: token}}}
}

// nobody has no session.
func (w *world) nobody() *somebody { return &somebody{w: w} }

// open uses a one-time link, as a browser would.
func (w *world) open() *somebody {
	w.t.Helper()
	link, err := w.links.Make(w.t.Context(), audit.Actor{Kind: "operator", ID: "1", Name: "root"})
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(link)
	if err != nil {
		w.t.Fatal(err)
	}
	s := w.nobody()
	res := s.post(u.Path, "link", u.Query().Get("link"))
	if res.StatusCode != http.StatusSeeOther {
		w.t.Fatalf("opening the link: status = %d, body = %s", res.StatusCode, res.text)
	}
	s.cookies = res.Cookies()
	return s
}

type answer struct {
	*http.Response
	text string
}

func (s *somebody) send(method, target string, header http.Header, body io.Reader) answer {
	s.w.t.Helper()
	r := httptest.NewRequestWithContext(context.WithoutCancel(s.w.t.Context()), method, target, body)
	maps.Copy(r.Header, header)
	for _, c := range s.cookies {
		r.AddCookie(c)
	}
	for _, text := range s.bearer {
		r.Header.Add("Authorization", text)
	}
	rec := httptest.NewRecorder()
	s.w.handler.ServeHTTP(rec, r)
	return answer{rec.Result(), rec.Body.String()}
}

var navigates = http.Header{"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}}

// page opens a page of the console.
func (s *somebody) page(path string) answer {
	s.w.t.Helper()
	return s.send(http.MethodGet, web.ConsolePrefix+path, navigates, nil)
}

// post sends a form to a whole path.
func (s *somebody) post(path string, fields ...string) answer {
	s.w.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	header := navigates.Clone()
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.send(http.MethodPost, path, header, strings.NewReader(form.Encode()))
}

// form sends a form to a page of the console.
func (s *somebody) form(path string, fields ...string) answer {
	s.w.t.Helper()
	return s.post(web.ConsolePrefix+path, fields...)
}

// call calls the API; into, if not nil, takes the answer.
func (s *somebody) call(method, path, body string, into any) int {
	s.w.t.Helper()
	res := s.send(method, admin.APIPrefix+path, nil, strings.NewReader(body))
	if into != nil {
		if err := json.Unmarshal([]byte(res.text), into); err != nil {
			s.w.t.Fatalf("%s %s: %v in %s", method, path, err, res.text)
		}
	}
	return res.StatusCode
}
