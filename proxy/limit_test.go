package proxy_test

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/proxy"
)

// limited counts requests by a clock that the test moves.
func limited(now *time.Time, l proxy.Limits) func(*proxy.Config) {
	return func(c *proxy.Config) {
		c.Limits, c.Now = l, func() time.Time { return *now }
	}
}

func TestRequestsAreCounted(t *testing.T) {
	const burst = 100 // of one a second
	colleague := ann()
	colleague.PersonID, colleague.SessionID = "p2", "s2"
	stranger := ann()
	stranger.PersonID, stranger.SessionID, stranger.Connection = "p3", "s3", "other"
	for name, tc := range map[string]struct {
		limits  proxy.Limits
		spender []string   // uses up what there is
		same    [][]string // are refused then
		free    [][]string // are not
	}{
		"per address": {
			proxy.Limits{PerAddress: 1},
			[]string{"ann", "X-Forwarded-For: 2001:db8::1"},
			[][]string{{"ann", "X-Forwarded-For: 2001:db8::2"}, {"X-Forwarded-For: 2001:db8::3"}},
			[][]string{{"ann", "X-Forwarded-For: 2001:db8:0:1::1"}, {"ann", "X-Forwarded-For: 192.0.2.1"}},
		},
		"per account": {
			proxy.Limits{PerAccount: 1},
			[]string{"ann", "X-Forwarded-For: 192.0.2.1"},
			[][]string{{"ann", "X-Forwarded-For: 192.0.2.2"}, {"Cookie: portcullis=ANNAGAIN"}},
			[][]string{{"Cookie: portcullis=COLLEAGUE", "X-Forwarded-For: 192.0.2.1"}},
		},
		"per connection": {
			proxy.Limits{PerConnection: 1},
			[]string{"ann"},
			[][]string{{"ann"}, {"Cookie: portcullis=COLLEAGUE"}},
			[][]string{{"Cookie: portcullis=STRANGER"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			g := open(t, portal(t, func(http.ResponseWriter, *http.Request) {}), trusting("127.0.0.1/32"), limited(&now, tc.limits))
			again := ann()
			again.SessionID = "s4"
			g.people.enter("ANNAGAIN", again)
			g.people.enter("COLLEAGUE", colleague)
			g.people.enter("STRANGER", stranger)
			for i := range burst {
				if res := g.get(t, "/x", tc.spender...); res.Code != 200 {
					t.Fatalf("request %d = %d", i, res.Code)
				}
			}
			for _, lines := range tc.same {
				res := g.get(t, "/x", lines...)
				if wait, err := strconv.Atoi(res.Header.Get("Retry-After")); res.Code != http.StatusTooManyRequests || err != nil || wait != 1 {
					t.Errorf("%q = %d %v", lines, res.Code, res.Header)
				}
				if res := g.get(t, authURL, append(lines, "X-Original-URI: /x")...); res.Code != http.StatusForbidden {
					t.Errorf("%q, asked by a proxy in front = %d", lines, res.Code)
				}
			}
			for _, lines := range tc.free {
				if res := g.get(t, "/x", lines...); res.Code != 200 {
					t.Errorf("%q = %d", lines, res.Code)
				}
			}
			now = now.Add(time.Second)
			if a, b := g.get(t, "/x", tc.spender...).Code, g.get(t, "/x", tc.spender...).Code; a != 200 || b != 429 {
				t.Errorf("a second later: %d, then %d", a, b)
			}
			if res := g.get(t, "/.portcullis/jwks.json", tc.spender...); res.Code != 200 {
				t.Errorf("our own pages have limits of their own: %d", res.Code)
			}
		})
	}
}

// Whoever is turned away for asking too much is not worth a read of the database:
// not of their cookies, and not of the language that they chose.
func TestATurnedAwayFloodAsksForNoLanguage(t *testing.T) {
	for name, tc := range map[string]struct {
		limits  proxy.Limits
		cookies string
		asks    int64 // who the cookie belongs to
	}{
		"per address":    {proxy.Limits{PerAddress: 1}, "Cookie: portcullis=A; portcullis=B; portcullis=C", 0},
		"per account":    {proxy.Limits{PerAccount: 1}, "ann", 1},
		"per connection": {proxy.Limits{PerConnection: 1}, "ann", 1},
	} {
		t.Run(name, func(t *testing.T) {
			now, chosen := time.Now(), atomic.Int64{}
			g := open(t, portal(t, func(http.ResponseWriter, *http.Request) {}), limited(&now, tc.limits), tongues(func(context.Context, string) (string, error) {
				chosen.Add(1)
				return "fr", nil
			}))
			for range 100 {
				g.get(t, "/x", "ann")
			}
			before := g.people.verified.Load()
			res := g.get(t, "/x", "page", "Accept-Language: de", tc.cookies)
			if res.Code != http.StatusTooManyRequests || res.Header.Get("Content-Language") != "de" {
				t.Errorf("status %d, Content-Language %q", res.Code, res.Header.Get("Content-Language"))
			}
			if asked := g.people.verified.Load() - before; asked != tc.asks || chosen.Load() != 0 {
				t.Errorf("the sessions are asked %d times, want %d, and for a language %d times", asked, tc.asks, chosen.Load())
			}
		})
	}
}
