package proxy_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/proxy"
	"portcullis/session"
)

func strictRoutes(c *proxy.Config) {
	c.Routes = []proxy.Route{
		{Path: "/payments/", Demand: session.Demand{ACR: []string{"gold", "platinum"}, MaxAge: 5 * time.Minute}},
		{Path: "/vault/", Tasks: []string{"vault.open"}, Demand: session.Demand{MaxAge: time.Minute}},
		{Path: "/payments/help", Public: false},
	}
}

func TestARouteAsksForAStrongerSignIn(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url, strictRoutes)
	for name, tc := range map[string]struct {
		acr  string
		age  time.Duration // of the proof; negative for none
		code int
	}{
		"nothing said":          {"", -1, 302},
		"no time":               {"gold", -1, 302},
		"another class":         {"silver", time.Minute, 302},
		"too long ago":          {"gold", 7 * time.Minute, 302},
		"within the leeway":     {"gold", 5*time.Minute + 30*time.Second, 200},
		"just now":              {"platinum", 0, 200},
		"a class that contains": {"golden", 0, 302},
	} {
		t.Run(name, func(t *testing.T) {
			who := ann()
			who.ACR = tc.acr
			if tc.age >= 0 {
				who.AuthTime = time.Now().Add(-tc.age)
			}
			g.people.enter("STEP", who)
			for _, path := range []string{"/payments", "/payments/1?to=https://a.b/c&x=%2F", "/PAYMENTS/", "/payments/a%20b"} {
				res := g.get(t, path, "page", "Cookie: portcullis=STEP")
				if res.Code != tc.code {
					t.Errorf("%s = %d, want %d", path, res.Code, tc.code)
				}
				if tc.code != 302 {
					tp.head(t)
					continue
				}
				to := parse(t, res.Header.Get("Location"))
				if to.Path != "/.portcullis/sign-in/acme" || to.Query().Get("return_to") != path || res.Header.Get("Set-Cookie") != "" {
					t.Errorf("%s leads to %s (%s)", path, to, res.Header.Get("Set-Cookie"))
				}
			}
			if res := g.get(t, "/payments/help", "page", "Cookie: portcullis=STEP"); res.Code != 200 {
				t.Errorf("a part that is carved out = %d", res.Code)
			}
			tp.head(t)
			if res := g.get(t, "/", "page", "Cookie: portcullis=STEP"); res.Code != 200 {
				t.Errorf("the rest of the portal = %d", res.Code)
			}
			tp.head(t)
		})
	}
}

func TestScriptsLearnWhatIsAskedFor(t *testing.T) {
	g := open(t, record(t).url, strictRoutes)
	for name, lines := range map[string][]string{
		"fetch":     {"Accept: text/html", "Sec-Fetch-Mode: cors"},
		"WebSocket": {"page", "Connection: Upgrade", "Upgrade: websocket", "Origin: " + g.url},
	} {
		res := g.get(t, "/payments/x?y", append(lines, "Cookie: portcullis="+annToken)...)
		var doc map[string]any
		if err := json.Unmarshal([]byte(res.Text), &doc); err != nil && name == "fetch" {
			t.Fatalf("%s: %v in %s", name, err, res.Text)
		}
		if res.Code != 401 || res.Header.Get("Location") != "" || res.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s = %d %v", name, res.Code, res.Header)
		}
		if name != "fetch" {
			continue
		}
		want := map[string]any{
			"sign_in": g.url + "/.portcullis/sign-in/acme?for=%2Fpayments%2Fx", "error": "insufficient_user_authentication",
			"acr_values": []any{"gold", "platinum"}, "max_age": 300.0,
		}
		got := map[string]any{}
		for k := range want {
			got[k] = doc[k]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
	}
}

// Whoever may not open a page is not sent to sign in again for it: that
// would change nothing.
func TestAMissingTaskComesBeforeTheStepUp(t *testing.T) {
	g := open(t, record(t).url, strictRoutes)
	if res := g.get(t, "/vault/x", "page", "Cookie: portcullis="+annToken); res.Code != 403 {
		t.Errorf("answer = %d, want 403", res.Code)
	}
}

func TestDemandOfATarget(t *testing.T) {
	g := open(t, record(t).url, strictRoutes)
	strict := session.Demand{ACR: []string{"gold", "platinum"}, MaxAge: 5 * time.Minute}
	for target, want := range map[string]session.Demand{
		"/payments/1?a=b": strict, "/PAYMENTS": strict, "/%70ayments/": strict, "/payments/help/x": {}, "/": {}, "": {}, "x": {}, "/%zz": {},
		"/a/../payments": {}, "/vault/": {MaxAge: time.Minute}, "/?x=/payments/": {},
	} {
		if diff := cmp.Diff(want, g.Demand(target)); diff != "" {
			t.Errorf("Demand(%q) (-want +got):\n%s", target, diff)
		}
	}
}
