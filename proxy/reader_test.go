package proxy_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"portcullis/proxy"
)

// tongues answers for Ann, and counts nobody else.
func tongues(f func(ctx context.Context, person string) (string, error)) func(*proxy.Config) {
	return func(c *proxy.Config) { c.Language = f }
}

func TestAPageIsInTheLanguageOfItsReader(t *testing.T) {
	tp := record(t)
	french := func(_ context.Context, person string) (string, error) {
		if person != "p1" {
			return "", errors.New("nobody")
		}
		return "fr", nil
	}
	g := open(t, tp.url, tongues(french), routes(proxy.Route{Path: "/vault/", Tasks: []string{"vault.open"}}))
	for _, tc := range []struct {
		name, target string
		lines        []string
		want, text   string
	}{
		{"refused by a rule", "/vault/", []string{"ann", "page", "Accept-Language: de"}, "fr", "l’autorisation « vault.open »"},
		{"a page of ours that is not there", "/.portcullis/nothing", []string{"ann", "page", "Accept-Language: de"}, "fr", "Cette page n’existe pas."},
		{"refused before anybody is known", "/a//b", []string{"ann", "page", "Accept-Language: de"}, "fr", "un segment vide"},
		{"nobody", "/.portcullis/nothing", []string{"page", "Accept-Language: de"}, "de", "Diese Seite gibt es nicht."},
		{"a session that is over", "/.portcullis/nothing", []string{"page", "Cookie: portcullis=OLD", "Accept-Language: de"}, "de", "Diese Seite gibt es nicht."},
		{"nobody in particular", "/.portcullis/nothing", []string{"page"}, "en", "There is no such page."},
		{"a script", "/vault/", []string{"ann", "Accept-Language: de"}, "", "You may not open this page"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res := g.get(t, tc.target, tc.lines...)
			text := strings.ReplaceAll(res.Text, "\u00a0", " ")
			if got := res.Header.Get("Content-Language"); got != tc.want || !strings.Contains(text, tc.text) {
				t.Errorf("Content-Language = %q, want %q; the page lacks %q:\n%s", got, tc.want, tc.text, text)
			}
			if vary := strings.Contains(res.Header.Get("Vary"), "Accept-Language"); vary != (tc.want == "de" || tc.want == "en") {
				t.Errorf("Vary = %q", res.Header["Vary"])
			}
		})
	}
}

func TestALanguageThatCannotBeFoundOutIsTheBrowsers(t *testing.T) {
	for name, f := range map[string]func(ctx context.Context, person string) (string, error){
		"an error":     func(context.Context, string) (string, error) { return "fr", errors.New("the database is away") },
		"no answer":    func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() },
		"none chosen":  func(context.Context, string) (string, error) { return "", nil },
		"none of ours": func(context.Context, string) (string, error) { return "tlh", nil },
		"nobody asked": nil,
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t, record(t).url, tongues(f))
			res := g.get(t, "/.portcullis/nothing", "ann", "page", "Accept-Language: de")
			if got := res.Header.Get("Content-Language"); got != "de" || res.Code != 404 {
				t.Errorf("status %d, Content-Language = %q", res.Code, got)
			}
		})
	}
}

// A page that says that somebody is not signed in costs the store no more than
// finding that out did.
func TestCookiesOfNobodyAreLookedUpOnce(t *testing.T) {
	g := open(t, record(t).url, tongues(func(context.Context, string) (string, error) { return "fr", nil }),
		routes(proxy.Route{Path: "/vault/", Tasks: []string{"vault.open"}}))
	junk := strings.Repeat("portcullis=junk; ", 7)
	for name, tc := range map[string]struct {
		method, target, cookies string
		asks                    int64
		status                  int
		tongue                  string
	}{
		"a page that is nobody's":      {"GET", "/x", junk + "portcullis=OLD", 8, 302, ""},
		"a form that is nobody's":      {"POST", "/x", junk + "portcullis=OLD", 8, 401, "de"},
		"whoami":                       {"GET", "/.portcullis/whoami", junk + "portcullis=OLD", 8, 401, "de"},
		"the store is away":            {"POST", "/x", "portcullis=AWAY; " + junk, 1, 503, "en"},
		"refused by a rule":            {"POST", "/vault/", "portcullis=" + annToken, 2, 403, "fr"},
		"refused before that is asked": {"POST", "/a//b", junk + "portcullis=" + annToken, 8, 400, "fr"},
	} {
		t.Run(name, func(t *testing.T) {
			before := g.people.verified.Load()
			res := g.ask(t, tc.method, tc.target, "page", "Accept-Language: de", "Cookie: "+tc.cookies)
			if res.Code != tc.status || res.Header.Get("Content-Language") != tc.tongue {
				t.Errorf("status %d, Content-Language %q, want %d and %q", res.Code, res.Header.Get("Content-Language"), tc.status, tc.tongue)
			}
			if n := g.people.verified.Load() - before; n != tc.asks {
				t.Errorf("%d look-ups, want %d", n, tc.asks)
			}
		})
	}
}
