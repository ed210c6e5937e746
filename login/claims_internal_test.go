package login

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"portcullis/directory"
	"portcullis/fault"
)

// FuzzIDTokenClaims states what the decoder is: encoding/json without what
// two readers may understand differently.
func FuzzIDTokenClaims(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"sub":"a","SUB":"b"}`, `{"sub":"a","sub":"b"}`, `{"a":{"b":[1,2.5,null,true,"x"]}}`, `[1]`, `{"a":1}{}`, `{"a":"\u0000"}`,
		`{"a":1e400}`, `{"\u0061":1,"a":2}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, ` {"a" : 1 } `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decodeObject(data)
		var want map[string]any
		wantErr := json.Unmarshal(data, &want)
		if err == nil {
			if wantErr != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("decodeObject = %v, encoding/json = %v, %v", got, want, wantErr)
			}
			// Printed and read again it is the same: nothing stood twice.
			again, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if second, err := decodeObject(again); err != nil || !reflect.DeepEqual(second, got) {
				t.Fatalf("a second time: %v, %v", second, err)
			}
			return
		}
		if wantErr == nil && want != nil && !excused(data, want) {
			t.Fatalf("decodeObject refused %q: %v", data, err)
		}
	})
}

// excused says whether there is a reason to refuse what encoding/json takes.
func excused(data []byte, v map[string]any) bool {
	if !utf8.Valid(data) || members(data) != count(v) {
		return true
	}
	return odd(v, 0)
}

func odd(v any, depth int) bool {
	switch v := v.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case map[string]any:
		for k, e := range v {
			if odd(k, 0) || odd(e, depth+1) {
				return true
			}
		}
	case []any:
		for _, e := range v {
			if odd(e, depth+1) {
				return true
			}
		}
	}
	return depth > maxDepth
}

// members counts the members of all objects in the text, by their colons.
func members(data []byte) int {
	n, quoted, escaped := 0, false, false
	for _, b := range data {
		switch {
		case escaped:
			escaped = false
		case quoted && b == '\\':
			escaped = true
		case b == '"':
			quoted = !quoted
		case b == ':' && !quoted:
			n++
		}
	}
	return n
}

func count(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			n += 1 + count(e)
		}
	case []any:
		for _, e := range v {
			n += count(e)
		}
	}
	return n
}

func TestAssertionOutOfClaims(t *testing.T) {
	const tenant = "https://login.example/3f0c/v2.0"
	for _, tc := range []struct {
		name   string
		conn   Connection
		claims string
		want   func(*directory.Assertion)
	}{
		{"sub alone", Connection{}, `{"sub":"s"}`, func(*directory.Assertion) {}},
		{"tenant in the issuer", Connection{Issuer: tenant}, `{"sub":"s","tid":"3f0c","oid":"o"}`, func(a *directory.Assertion) {
			a.Subject, a.Link, a.Claims = "o", "o", map[string]any{"sub": "s", "tid": "3f0c", "oid": "o"}
		}},
		{"tenant not in the issuer", Connection{Issuer: tenant}, `{"sub":"s","tid":"3f0","oid":"o"}`, func(a *directory.Assertion) {
			a.Claims = map[string]any{"sub": "s", "tid": "3f0", "oid": "o"}
		}},
		{"empty tenant", Connection{Issuer: "https://login.example//v2.0"}, `{"sub":"s","tid":"","oid":"o"}`, func(a *directory.Assertion) {
			a.Claims = map[string]any{"sub": "s", "tid": "", "oid": "o"}
		}},
		{"one group as a string", Connection{}, `{"sub":"s","groups":"g"}`, func(a *directory.Assertion) { a.Groups = []string{"g"} }},
		{
			"groups under another name",
			Connection{Claims: Claims{Groups: "https://x/groups"}},
			`{"sub":"s","https://x/groups":["g",""]}`,
			func(a *directory.Assertion) { a.Groups = []string{"g"} },
		},
		{
			"groups elsewhere",
			Connection{},
			`{"sub":"s","_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://x"}}}`,
			func(a *directory.Assertion) { a.GroupsIncomplete = true },
		},
		{
			"groups elsewhere, some here",
			Connection{},
			`{"sub":"s","groups":["g"],"_claim_names":{"groups":"src1"}}`,
			func(a *directory.Assertion) { a.Groups, a.GroupsIncomplete = []string{"g"}, true },
		},
		{
			"hasgroups",
			Connection{},
			`{"sub":"s","groups":["g"],"hasgroups":"true"}`,
			func(a *directory.Assertion) { a.Groups, a.GroupsIncomplete = []string{"g"}, true },
		},
		{"hasgroups false", Connection{}, `{"sub":"s","hasgroups":false}`, func(*directory.Assertion) {}},
		{"app roles", Connection{}, `{"sub":"s","roles":["r"]}`, func(a *directory.Assertion) { a.AppRoles = []string{"r"} }},
		{"guest", Connection{}, `{"sub":"s","acct":1}`, func(a *directory.Assertion) {
			a.UserType, a.Claims = "Guest", map[string]any{"sub": "s", "acct": 1.0}
		}},
		{"member", Connection{}, `{"sub":"s","acct":0}`, func(a *directory.Assertion) {
			a.UserType, a.Claims = "Member", map[string]any{"sub": "s", "acct": 0.0}
		}},
		{"verified as text", Connection{}, `{"sub":"s","email":"a@b","email_verified":"true"}`, func(a *directory.Assertion) {
			a.Email, a.EmailVerified, a.Claims = "a@b", true, map[string]any{"sub": "s", "email": "a@b", "email_verified": "true"}
		}},
		{"verified as a number", Connection{}, `{"sub":"s","email":"a@b","email_verified":1}`, func(a *directory.Assertion) {
			a.Email, a.Claims = "a@b", map[string]any{"sub": "s", "email": "a@b", "email_verified": 1.0}
		}},
		{"verified nothing", Connection{}, `{"sub":"s","email_verified":true}`, func(a *directory.Assertion) {
			a.Claims = map[string]any{"sub": "s", "email_verified": true}
		}},
		{"link userName", Connection{Link: "userName"}, `{"sub":"s","preferred_username":"u"}`, func(a *directory.Assertion) {
			a.UserName, a.Link, a.Claims = "u", "u", map[string]any{"sub": "s", "preferred_username": "u"}
		}},
		{"link userName without one", Connection{Link: "userName"}, `{"sub":"s"}`, func(*directory.Assertion) {}},
		{"link by a claim", Connection{Link: "employeeNumber"}, `{"sub":"s","employeeNumber":"7"}`, func(a *directory.Assertion) {
			a.Link, a.Claims = "7", map[string]any{"sub": "s", "employeeNumber": "7"}
		}},
		{"link by a claim that is a number", Connection{Link: "employeeNumber"}, `{"sub":"s","employeeNumber":7}`, func(a *directory.Assertion) {
			a.Link, a.Claims = "", map[string]any{"sub": "s", "employeeNumber": 7.0}
		}},
		{
			"protocol claims go",
			Connection{},
			`{"sub":"s","iss":"i","aud":"a","azp":"a","exp":1,"iat":1,"nbf":1,"jti":"j","nonce":"n","at_hash":"h","c_hash":"h","s_hash":"h","auth_time":1,"sid":"x"}`,
			func(*directory.Assertion) {},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := tc.conn
			conn.ID = "acme"
			conn = conn.withDefaults()
			claims, err := decodeObject([]byte(tc.claims))
			if err != nil {
				t.Fatal(err)
			}
			now := time.Unix(1, 0)
			got, err := conn.assertion(claims, now)
			if err != nil {
				t.Fatal(err)
			}
			want := directory.Assertion{
				Connection: "acme", Issuer: conn.Issuer, Subject: "s", Link: "s", Claims: map[string]any{"sub": "s"}, Received: now,
			}
			tc.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("assertion (-want +got):\n%s", diff)
			}
		})
	}
}

func TestObjectIDIsJudgedLikeASubject(t *testing.T) {
	conn := Connection{ID: "acme", Issuer: "https://login.example/t/v2.0"}.withDefaults()
	for _, oid := range []string{"", "a\nb", strings.Repeat("x", 256)} {
		_, err := conn.assertion(map[string]any{"sub": "s", "tid": "t", "oid": oid}, time.Unix(1, 0))
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("oid %q: %v", oid, err)
		}
	}
}

func TestGuardAllowsAddressesLikeTheIssuers(t *testing.T) {
	for _, tc := range []struct {
		issuer, target string
		allowed        bool
	}{
		{"93.184.216.34", "8.8.8.8:443", true},
		{"93.184.216.34", "127.0.0.1:443", false},
		{"93.184.216.34", "[::1]:443", false},
		{"93.184.216.34", "10.0.0.1:443", false},
		{"93.184.216.34", "100.64.0.1:443", false},
		{"93.184.216.34", "169.254.169.254:80", false},
		{"93.184.216.34", "[::ffff:10.0.0.1]:443", false},
		{"93.184.216.34", "[64:ff9b::a00:1]:443", false},
		{"93.184.216.34", "[fd00::1]:443", false},
		{"93.184.216.34", "[fe80::1]:443", false},
		{"93.184.216.34", "0.0.0.0:443", false},
		{"10.0.0.1", "10.9.9.9:443", true},
		{"10.0.0.1", "127.0.0.1:443", false},
		{"127.0.0.1", "[::1]:443", true},
		{"127.0.0.1", "10.0.0.1:443", false},
		{"169.254.1.1", "169.254.169.254:443", false},
		{"93.184.216.34", "not an address", false},
	} {
		err := guard{host: tc.issuer}.judge(t.Context(), tc.target)
		if (err == nil) != tc.allowed {
			t.Errorf("issuer at %s, %s: %v, want allowed = %v", tc.issuer, tc.target, err, tc.allowed)
		}
	}
}

func TestLimiterRemembersABoundedNumberOfAddresses(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimiter(Limit{PerSecond: 1, Burst: 2}, func() time.Time { return now })
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
