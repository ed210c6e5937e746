package login

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/directory"
	"portcullis/fault"
)

func TestAssertionOutOfClaims(t *testing.T) {
	const tenant = "https://login.example/3f0c/v2.0"
	for _, tc := range []struct {
		name   string
		conn   openID
		claims string
		want   func(*directory.Assertion)
	}{
		{"sub alone", openID{}, `{"sub":"s"}`, func(*directory.Assertion) {}},
		{"tenant in the issuer", openID{issuer: tenant}, `{"sub":"s","tid":"3f0c","oid":"o"}`, func(a *directory.Assertion) {
			a.Subject, a.Link, a.Claims = "o", "o", map[string]any{"sub": "s", "tid": "3f0c", "oid": "o"}
		}},
		{"tenant not in the issuer", openID{issuer: tenant}, `{"sub":"s","tid":"3f0","oid":"o"}`, func(a *directory.Assertion) {
			a.Claims = map[string]any{"sub": "s", "tid": "3f0", "oid": "o"}
		}},
		{"empty tenant", openID{issuer: "https://login.example//v2.0"}, `{"sub":"s","tid":"","oid":"o"}`, func(a *directory.Assertion) {
			a.Claims = map[string]any{"sub": "s", "tid": "", "oid": "o"}
		}},
		{"one group as a string", openID{}, `{"sub":"s","groups":"g"}`, func(a *directory.Assertion) { a.Groups = []string{"g"} }},
		{
			"groups under another name",
			openID{claims: Claims{Groups: "https://x/groups"}},
			`{"sub":"s","https://x/groups":["g",""]}`,
			func(a *directory.Assertion) { a.Groups = []string{"g"} },
		},
		{
			"groups elsewhere",
			openID{},
			`{"sub":"s","_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://x"}}}`,
			func(a *directory.Assertion) { a.GroupsIncomplete = true },
		},
		{
			"groups elsewhere, some here",
			openID{},
			`{"sub":"s","groups":["g"],"_claim_names":{"groups":"src1"}}`,
			func(a *directory.Assertion) { a.Groups, a.GroupsIncomplete = []string{"g"}, true },
		},
		{
			"hasgroups",
			openID{},
			`{"sub":"s","groups":["g"],"hasgroups":"true"}`,
			func(a *directory.Assertion) { a.Groups, a.GroupsIncomplete = []string{"g"}, true },
		},
		{"hasgroups false", openID{}, `{"sub":"s","hasgroups":false}`, func(*directory.Assertion) {}},
		{"app roles", openID{}, `{"sub":"s","roles":["r"]}`, func(a *directory.Assertion) { a.AppRoles = []string{"r"} }},
		{"guest", openID{}, `{"sub":"s","acct":1}`, func(a *directory.Assertion) {
			a.UserType, a.Claims = "Guest", map[string]any{"sub": "s", "acct": 1.0}
		}},
		{"member", openID{}, `{"sub":"s","acct":0}`, func(a *directory.Assertion) {
			a.UserType, a.Claims = "Member", map[string]any{"sub": "s", "acct": 0.0}
		}},
		{"verified as text", openID{}, `{"sub":"s","email":"a@b","email_verified":"true"}`, func(a *directory.Assertion) {
			a.Email, a.EmailVerified, a.Claims = "a@b", true, map[string]any{"sub": "s", "email": "a@b", "email_verified": "true"}
		}},
		{"verified as a number", openID{}, `{"sub":"s","email":"a@b","email_verified":1}`, func(a *directory.Assertion) {
			a.Email, a.Claims = "a@b", map[string]any{"sub": "s", "email": "a@b", "email_verified": 1.0}
		}},
		{"verified nothing", openID{}, `{"sub":"s","email_verified":true}`, func(a *directory.Assertion) {
			a.Claims = map[string]any{"sub": "s", "email_verified": true}
		}},
		{"link userName", openID{conn: Connection{Link: "userName"}}, `{"sub":"s","preferred_username":"u"}`, func(a *directory.Assertion) {
			a.UserName, a.Link, a.Claims = "u", "u", map[string]any{"sub": "s", "preferred_username": "u"}
		}},
		{"link userName without one", openID{conn: Connection{Link: "userName"}}, `{"sub":"s"}`, func(*directory.Assertion) {}},
		{"link by a claim", openID{conn: Connection{Link: "employeeNumber"}}, `{"sub":"s","employeeNumber":"7"}`, func(a *directory.Assertion) {
			a.Link, a.Claims = "7", map[string]any{"sub": "s", "employeeNumber": "7"}
		}},
		{"link by a claim that is a number", openID{conn: Connection{Link: "employeeNumber"}}, `{"sub":"s","employeeNumber":7}`, func(a *directory.Assertion) {
			a.Link, a.Claims = "", map[string]any{"sub": "s", "employeeNumber": 7.0}
		}},
		{
			"protocol claims go",
			openID{},
			`{"sub":"s","iss":"i","aud":"a","azp":"a","exp":1,"iat":1,"nbf":1,"jti":"j","nonce":"n","at_hash":"h","c_hash":"h","s_hash":"h","auth_time":1,"sid":"x"}`,
			func(a *directory.Assertion) { a.AuthTime = time.Unix(1, 0).UTC() },
		},
		{
			"how and when they proved who they are",
			openID{},
			`{"sub":"s","acr":"gold","auth_time":0.5e1}`,
			func(a *directory.Assertion) {
				a.ACR, a.AuthTime, a.Claims = "gold", time.Unix(5, 0).UTC(), map[string]any{"sub": "s", "acr": "gold"}
			},
		},
		{
			"a proof in the future is none", openID{}, `{"sub":"s","auth_time":62}`, func(*directory.Assertion) {},
		},
		{
			"nonsense is no proof",
			openID{},
			`{"sub":"s","acr":7,"auth_time":"5"}`,
			func(a *directory.Assertion) { a.Claims = map[string]any{"sub": "s", "acr": 7.0} },
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := tc.conn
			conn.conn.ID = "acme"
			conn.conn, conn.claims = conn.conn.withDefaults(), conn.claims.withDefaults()
			var claims map[string]any
			if err := json.Unmarshal([]byte(tc.claims), &claims); err != nil {
				t.Fatal(err)
			}
			now := time.Unix(1, 0)
			got, err := conn.assertion(claims, now)
			if err != nil {
				t.Fatal(err)
			}
			want := directory.Assertion{
				Connection: "acme", Issuer: conn.issuer, Subject: "s", Link: "s", Claims: map[string]any{"sub": "s"}, Received: now,
			}
			tc.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("assertion (-want +got):\n%s", diff)
			}
		})
	}
}

func TestObjectIDIsJudgedLikeASubject(t *testing.T) {
	conn := openID{conn: Connection{ID: "acme"}, issuer: "https://login.example/t/v2.0"}
	for _, oid := range []string{"", "a\nb", strings.Repeat("x", 256)} {
		_, err := conn.assertion(map[string]any{"sub": "s", "tid": "t", "oid": oid}, time.Unix(1, 0))
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("oid %q: %v", oid, err)
		}
	}
}

func TestLimiterRemembersABoundedNumberOfAddresses(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimiter(errSignIns, Limit{PerSecond: 1, Burst: 2}, func() time.Time { return now })
	address := netip.MustParseAddr("10.0.0.0")
	for range maxBuckets + 10 {
		if err := l.start(address.String()); err != nil {
			t.Fatal(err)
		}
		address = address.Next()
	}
	if len(l.buckets) > maxBuckets {
		t.Errorf("%d buckets", len(l.buckets))
	}
	for i, a := range []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::"} {
		if err := l.start(a); (err != nil) != (i == 2) {
			t.Errorf("%s, start %d: %v", a, i, err)
		}
	}
}
