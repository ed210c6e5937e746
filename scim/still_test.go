package scim_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/scim"
)

// revoke revokes the tokens of acme.
func (r *rig) revoke() {
	r.t.Helper()
	list, err := r.tokens.List(context.Background(), "acme")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, token := range list {
		if err := r.tokens.Revoke(context.Background(), audit.Gate(), token.ID); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) freeze() {
	r.t.Helper()
	if _, err := r.directory.Freeze(context.Background(), audit.Gate(), "Acme", ""); err != nil {
		r.t.Fatal(err)
	}
}

// slowBody is a body in whose middle something happens.
type slowBody struct {
	parts     []string
	meanwhile func()
}

func (b *slowBody) Read(p []byte) (int, error) {
	if len(b.parts) == 0 {
		return 0, io.EOF
	}
	if len(b.parts) == 1 {
		b.meanwhile()
	}
	n := copy(p, b.parts[0])
	b.parts = b.parts[1:]
	return n, nil
}

// TestWhoAsksIsJudgedWhenTheBodyIsThere: a request that was let in with its
// first bytes does not outlive its token, or a freeze, by sending slowly.
func TestWhoAsksIsJudgedWhenTheBodyIsThere(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		meanwhile func(r *rig)
		status    int
	}{
		{"nothing", func(*rig) {}, http.StatusCreated},
		{"revoked", (*rig).revoke, http.StatusUnauthorized},
		{"frozen", (*rig).freeze, http.StatusForbidden},
		{"expired", func(r *rig) { r.clock.turn(time.Hour) }, http.StatusUnauthorized},
		{"connection removed", func(r *rig) { r.handler.(*scim.Endpoint).SetConnections([]scim.Connection{{ID: "beta"}}) }, http.StatusUnauthorized},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			secret := r.token("acme", time.Minute)
			body := &slowBody{parts: []string{`{"externalId":"m",`, `"userName":"mallory","active":true}`}, meanwhile: func() { tc.meanwhile(r) }}
			req := httptest.NewRequest(http.MethodPost, "/scim/v2/acme/Users", body)
			req.Header.Set("Authorization", "Bearer "+secret)
			req.Header.Set("Content-Type", "application/scim+json")
			w := httptest.NewRecorder()
			r.handler.ServeHTTP(w, req)
			if w.Code != tc.status {
				t.Errorf("status = %d %s, want %d", w.Code, w.Body, tc.status)
			}
			page, err := r.directory.People(t.Context(), directory.Query{Connection: "acme", Limit: 10})
			if err != nil || (len(page.Items) == 1) != (tc.status == http.StatusCreated) {
				t.Errorf("People = %+v, %v", page.Items, err)
			}
		})
	}
}

// first is a directory in which something happens when the first person has
// been made.
type first struct {
	scim.Directory

	then func()
}

func (f *first) Provision(ctx context.Context, by audit.Actor, connection string, r directory.Record) (directory.Person, error) {
	p, err := f.Directory.Provision(ctx, by, connection, r)
	if then := f.then; then != nil {
		f.then = nil
		then()
	}
	return p, err
}

// lookups is a store of tokens that counts how often it is asked for one.
type lookups struct {
	scim.TokenStore

	n int
}

func (l *lookups) TokenByHash(ctx context.Context, hash []byte) (scim.Token, error) {
	l.n++
	return l.TokenStore.TokenByHash(ctx, hash)
}

// TestABulkEndsWithItsToken: each operation asks again, and each one that is
// left has an answer of its own (RFC 7644, section 3.7).
func TestABulkEndsWithItsToken(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		then func(r *rig)
		more string
		want []string
	}{
		{"nothing", func(*rig) {}, "", []string{"201", "201", "201", "204"}},
		{"revoked", (*rig).revoke, "", []string{"201", "401", "401", "401"}},
		{"revoked, with failOnErrors", (*rig).revoke, `,"failOnErrors":2`, []string{"201", "401", "401"}},
		{"frozen", (*rig).freeze, "", []string{"201", "403", "403", "204"}},
		{"expired", func(r *rig) { r.clock.turn(time.Hour) }, "", []string{"201", "401", "401", "401"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f, l := &first{}, &lookups{}
			r := newRig(t, func(c *scim.Config) {
				f.Directory, c.Directory = c.Directory, f
				l.TokenStore, c.Tokens = c.Tokens, l
			})
			r.secret = r.token("acme", time.Minute)
			f.then = func() { tc.then(r) }
			a := r.want(r.bulk(tc.more,
				`{"method":"POST","path":"/Users","bulkId":"a","data":{"userName":"ada"}}`,
				`{"method":"POST","path":"/Users","bulkId":"b","data":{"userName":"mallory"}}`,
				`{"method":"POST","path":"/Groups","bulkId":"c","data":{"displayName":"Admins","members":[{"value":"bulkId:a"}]}}`,
				`{"method":"DELETE","path":"/Users/bulkId:a"}`,
			), http.StatusOK)
			if diff := cmp.Diff(tc.want, a.statuses()); diff != "" {
				t.Errorf("statuses (-want +got):\n%s\n%s", diff, a.raw)
			}
			for _, o := range a.list("Operations") {
				if o["status"] == "401" && !strings.Contains(a.raw, "does not open this connection") {
					t.Errorf("operation = %v, want a response with the reason", o)
				}
			}
			if l.n > 2 {
				t.Errorf("the token was looked up %d times, want one for the request and one more", l.n)
			}
		})
	}
}

// TestAskingAgainIsNoLookUp: who was asked for a moment ago is remembered.
func TestAskingAgainIsNoLookUp(t *testing.T) {
	t.Parallel()
	l := &lookups{}
	r := newRig(t, func(c *scim.Config) { l.TokenStore, c.Tokens = c.Tokens, l })
	for i := range 20 {
		r.create("ada" + strconv.Itoa(i))
		r.clock.turn(time.Millisecond)
	}
	if l.n != 1 {
		t.Errorf("the token was looked up %d times in 20 ms, want once", l.n)
	}
}
