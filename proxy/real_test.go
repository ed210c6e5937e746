package proxy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/keys"
	"portcullis/mapping"
	"portcullis/proxy"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
)

const policyText = `version: 1
connections:
  acme: {ceiling: unrestricted}
roles:
  reader: {tasks: [report.view]}
attributes:
  country: {type: string, onMissing: any}
permissionGroups:
  us: {where: {country: [US]}}
rules:
  - id: desk
    match: {connection: acme, groups: [{name: Desk}]}
    grant: {roles: [reader], permissionGroups: [us]}
`

// rooms are the gate's real rooms on a real database.
type rooms struct {
	dir      *directory.Directory
	sessions *session.Manager
	ring     *keys.Ring
}

func furnish(t *testing.T) *rooms {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{URL: storetest.SQLiteURL(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	policy, err := mapping.Load("mapping.yaml", []byte(policyText), mapping.Options{})
	if err != nil {
		t.Fatal(err)
	}
	inForce := func() *mapping.Policy { return policy }
	r := &rooms{}
	if r.ring, err = keys.Open(t.Context(), keys.Config{Store: db.Keys(), File: filepath.Join(t.TempDir(), "gate.key"), Create: true}); err != nil {
		t.Fatal(err)
	}
	r.dir = directory.New(directory.Config{
		Store: db.Directory(), Policy: inForce,
		Connections: []directory.Connection{{ID: "acme", Organization: "Acme", Provisioning: directory.JIT}},
	})
	if err := r.dir.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.sessions = session.New(session.Config{Store: db.Sessions(), Sealer: r.ring, Policy: inForce, Foreign: r.dir.Foreign})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.sessions.Run(ctx)
	}()
	t.Cleanup(func() { stop(); <-done })
	return r
}

func (r *rooms) signIn(t *testing.T) (token string, who *session.Principal) {
	t.Helper()
	in, err := r.dir.SignIn(t.Context(), directory.Assertion{
		Connection: "acme", Issuer: "https://idp.example", Subject: "ann-1", UserName: "ann", Name: "Ann", Groups: []string{"Desk"}, Received: time.Now(),
	}, "REF")
	if err != nil {
		t.Fatal(err)
	}
	token, who, err = r.sessions.Issue(t.Context(), in, session.Client{}, session.Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	return token, who
}

func TestTheRealRooms(t *testing.T) {
	var seen http.Header
	upstream := portal(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: one\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	})
	r := furnish(t)
	g := open(t, upstream, func(c *proxy.Config) { c.Sessions, c.Keys = r.sessions, r.ring })
	token, who := r.signIn(t)
	cookie := "Cookie: portcullis=" + token
	if res := g.get(t, "/", cookie); res.Code != http.StatusOK {
		t.Fatalf("answer = %d %s", res.Code, res.Text)
	}

	// The portal checks what it is told against the published keys.
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(g.get(t, "/.portcullis/jwks.json").Text), &set); err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(seen.Get("X-Portcullis-Assertion"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	var more map[string]any
	if err := parsed.Claims(set, &claims, &more); err != nil {
		t.Fatal(err)
	}
	if err := claims.Validate(jwt.Expected{Issuer: g.url, AnyAudience: jwt.Audience{upstream}, Subject: "ann-1", Time: time.Now()}); err != nil {
		t.Error(err)
	}
	text, err := json.Marshal(more)
	if err != nil {
		t.Fatal(err)
	}
	if more["sid"] != who.SessionID || strings.Contains(string(text), token) || !strings.Contains(string(text), `"anyOf":[{"country":["US"]}]`) {
		t.Errorf("claims = %s", text)
	}
	if res := g.get(t, "/.portcullis/whoami", cookie); res.Code != http.StatusOK || strings.Contains(res.Text, token) || !strings.Contains(res.Text, `"tasks":["report.view"]`) {
		t.Errorf("whoami = %d %s", res.Code, res.Text)
	}

	// Deactivation ends the open stream and the next request.
	_, _, stream := g.begin(t, "/events", cookie) //nolint:bodyclose // begin closes it
	body := bufio.NewReader(stream.Body)
	if line, err := body.ReadString('\n'); err != nil || line != "data: one\n" {
		t.Fatalf("the first event = %q, %v", line, err)
	}
	if _, err := r.dir.Deactivate(t.Context(), audit.Gate(), who.PersonID, "left"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	mustEnd(t, body)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the stream went on for %v", took)
	}
	if res := g.get(t, "/", cookie); res.Code != http.StatusUnauthorized || res.Header.Get("Set-Cookie") == "" {
		t.Errorf("answer = %d %v, want 401 and the cookie cleared", res.Code, res.Header)
	}
}
