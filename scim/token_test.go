package scim_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/scim"
)

func TestEveryWrongCredentialIsTheSame401(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	short := r.token("acme", time.Hour)
	r.clock.turn(2 * time.Hour) // short has expired: there is room for one more
	revoked, token, err := r.tokens.Create(t.Context(), audit.Gate(), "acme", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.tokens.Revoke(t.Context(), audit.Gate(), token.ID); err != nil {
		t.Fatal(err)
	}
	plain := r.token("plain", 0)
	want := r.want(r.sendTo("acme", "", "GET", "/Users", nil), 401)
	if got := want.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
		t.Errorf("WWW-Authenticate = %q, want Bearer", got)
	}
	for _, tc := range []struct{ name, connection, secret, path string }{
		{"nonsense", "acme", "nonsense", "/Users"},
		{"of the right form", "acme", "pcs_" + strings.Repeat("a", 52), "/Users"},
		{"expired", "acme", short, "/Users"},
		{"revoked", "acme", revoked, "/Users"},
		{"of another connection", "acme", r.other, "/Users"},
		{"unknown connection", "nobody", r.secret, "/Users"},
		{"connection without SCIM", "plain", plain, "/Users"},
		{"unknown endpoint", "acme", r.other, "/Nope"},
		{"no connection", "", r.secret, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := r.in(t)
			got := r.sendTo(tc.connection, tc.secret, "GET", tc.path, nil)
			if got.status != 401 || got.raw != want.raw || got.header.Get("WWW-Authenticate") != want.header.Get("WWW-Authenticate") {
				t.Errorf("answer = %d %s, want 401 %s", got.status, got.raw, want.raw)
			}
		})
	}
	for _, tc := range []struct{ name, key, value string }{
		{"cookie", "Cookie", "token=" + r.secret},
		{"basic", "Authorization", "Basic " + r.secret},
		{"form in the query", "X-Token", r.secret},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := r.in(t)
			if got := r.sendTo("acme", "", "GET", "/Users?access_token="+r.secret, nil, tc.key, tc.value); got.status != 401 {
				t.Errorf("status = %d, want 401", got.status)
			}
		})
	}
	r.want(r.send("GET", "/Users", nil, "Authorization", "bearer "+r.secret), 200) // the scheme has no case
}

func TestConnectionsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id, group := r.create("ada@example.com"), r.group("traders")
	r.want(r.sendTo("beta", r.other, "POST", "/Users", user("ada@example.com")), 201)
	for _, path := range []string{"/Users/" + id, "/Groups/" + group} {
		for _, method := range []string{"GET", "DELETE"} {
			r.want(r.sendTo("beta", r.other, method, path, nil), 404)
		}
		r.want(r.sendTo("beta", r.other, "PATCH", path, `{"Operations":[{"op":"replace","path":"displayName","value":"x"}]}`), 404)
	}
	for _, path := range []string{"/Users", "/Groups"} {
		a := r.want(r.sendTo("beta", r.other, "GET", path, nil), 200)
		for _, res := range a.list("Resources") {
			if res["id"] == id || res["id"] == group {
				t.Errorf("GET %s of beta shows %v of acme", path, res["id"])
			}
		}
	}
	// A member of another connection is unknown here.
	theirs := r.want(r.sendTo("beta", r.other, "POST", "/Groups", map[string]any{
		"displayName": "traders", "members": []any{map[string]any{"value": id}},
	}), 201)
	if got := theirs.list("members"); len(got) != 0 {
		t.Errorf("members = %v, want none", got)
	}
}

func TestAtMostTwoLiveTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)            // one each
	r.clock.turn(time.Second) // the list is in the order of creation
	second := r.token("acme", 0)
	if _, _, err := r.tokens.Create(t.Context(), audit.Gate(), "acme", "", 0); !fault.Is(err, fault.Conflict) {
		t.Fatalf("third Create = %v, want a conflict", err)
	}
	r.token("beta", 0) // counted by connection
	list, err := r.tokens.List(t.Context(), "acme")
	if err != nil || len(list) != 2 {
		t.Fatalf("List = %v, %v, want two tokens", list, err)
	}
	if err := r.tokens.Revoke(t.Context(), audit.Gate(), list[0].ID); err != nil {
		t.Fatal(err)
	}
	r.want(r.send("GET", "/Users", nil), 401) // from the very next request on
	r.want(r.sendTo("acme", second, "GET", "/Users", nil), 200)
	r.token("acme", 0)
	if err := r.tokens.Revoke(t.Context(), audit.Gate(), "nobody"); !fault.Is(err, fault.NotFound) {
		t.Errorf("Revoke of an unknown token = %v, want not found", err)
	}
	if err := r.tokens.Revoke(t.Context(), audit.Gate(), list[0].ID); err != nil {
		t.Errorf("second Revoke = %v, want nil", err)
	}
}

func TestTokenIsKeptAsHashAndTouchedOnceAMinute(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	used := func() time.Time {
		t.Helper()
		list, err := r.tokens.List(t.Context(), "acme")
		if err != nil || len(list) != 1 {
			t.Fatalf("List = %v, %v", list, err)
		}
		if bytes.Contains(list[0].Hash, []byte(r.secret)) || len(list[0].Hash) != 32 {
			t.Errorf("Hash = %q, want 32 bytes of SHA-256", list[0].Hash)
		}
		return list[0].LastUsed
	}
	if got := used(); !got.IsZero() {
		t.Errorf("LastUsed = %v before use, want zero", got)
	}
	r.want(r.send("GET", "/Users", nil), 200)
	first := used()
	r.clock.turn(59 * time.Second)
	r.want(r.send("GET", "/Users", nil), 200)
	if got := used(); !got.Equal(first) || first.IsZero() {
		t.Errorf("LastUsed = %v after 59 s, want %v", got, first)
	}
	r.clock.turn(time.Second)
	r.want(r.send("GET", "/Users", nil), 200)
	if got := used(); !got.Equal(first.Add(time.Minute)) {
		t.Errorf("LastUsed = %v after a minute, want %v", got, first.Add(time.Minute))
	}
}

func TestFloodIs429AndOthersAreServed(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *scim.Config) { c.Limit = scim.Limit{PerSecond: 0.5, Burst: 3} })
	for range 3 {
		r.want(r.send("GET", "/Users", nil), 200)
	}
	a := r.want(r.send("GET", "/Users", nil), 429)
	if got := a.header.Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After = %q, want 2", got)
	}
	r.want(r.sendTo("beta", r.other, "GET", "/Users", nil), 200)
	r.clock.turn(2 * time.Second)
	r.want(r.send("GET", "/Users", nil), 200)
	r.want(r.send("GET", "/Users", nil), 429)
	// A stranger does not use up what is the client's.
	for range 10 {
		r.want(r.sendTo("beta", "wrong", "GET", "/Users", nil), 401)
	}
	r.want(r.sendTo("beta", r.other, "GET", "/Users", nil), 200)
}
