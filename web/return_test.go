package web_test

import (
	"net/url"
	"strings"
	"testing"

	"portcullis/web"
)

var public = &url.URL{Scheme: "https", Host: "gate.example"}

// resolve is what a browser makes of a Location: the URL Standard's parser as
// far as the origin goes, with https://gate.example/dir/ as the base. It gives
// the origin, or the scheme of a URL that has none. It is deliberately greedy:
// where browsers differ, it leaves.
func resolve(location string) string {
	// 4.4: strip C0 controls and spaces around, tabs and newlines everywhere.
	s := strings.TrimFunc(location, func(r rune) bool { return r <= ' ' })
	s = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(s)
	scheme := ""
	for i, r := range s {
		if r == ':' && i > 0 {
			scheme, s = strings.ToLower(s[:i]), s[i+1:]
			break
		}
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", r)) {
			break
		}
	}
	special := scheme == "" || scheme == "http" || scheme == "https" || scheme == "ws" || scheme == "wss" || scheme == "ftp"
	if !special {
		return scheme + ":"
	}
	isSlash := func(c byte) bool { return c == '/' || c == '\\' }
	slashes := 0
	for slashes < len(s) && isSlash(s[slashes]) {
		slashes++
	}
	switch {
	case scheme == "" && slashes < 2, scheme == "https" && slashes == 0: // relative; "https:x" is, on an https base
		return "https://gate.example"
	case scheme == "":
		scheme = "https"
	}
	authority := s[slashes:]
	if i := strings.IndexAny(authority, `/\?#`); i >= 0 {
		authority = authority[:i]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	host := strings.ToLower(strings.TrimSuffix(authority, ":443"))
	return scheme + "://" + host
}

// hostile are return targets that have led away from an origin somewhere, or
// come close to those that did.
var hostile = []string{
	"//evil.example", "///evil.example", "////evil.example", "//evil.example/%2f..", "//evil.example@gate.example",
	"/\\evil.example", "\\/evil.example", "\\\\evil.example", "/\\/evil.example", "/\\\\evil.example", "\\evil.example",
	"/\t/evil.example", "/\n/evil.example", "/\r/evil.example", "\t//evil.example", " //evil.example", "\x00//evil.example", "/\x00/evil.example",
	"/\x0b/evil.example", "/\x0c/evil.example", "/\x1f/evil.example", "/\x7f/evil.example", "//\tevil.example", "/a\r\nLocation: https://evil.example",
	"/\u3000/evil.example", "/\u00a0/evil.example", "/\u2028/evil.example", "/\u200b/evil.example", "/\ufeff/evil.example", "\u3000//evil.example",
	"/\uff0fevil.example", "\uff0f\uff0fevil.example", "/\u2044evil.example", "/\u2215evil.example", "/\u29f8evil.example", "/\uff3cevil.example", "//evil\u3002example",
	"https://evil.example", "http://evil.example", "HTTPS://evil.example", "https:evil.example", "https:/evil.example", "https:///evil.example", "https:\\\\evil.example",
	"https://gate.example.evil.example", "https://gate.example@evil.example", "https://gate.example:x@evil.example/", "https://gate.example\\@evil.example",
	"https://gate.example%2eevil.example", "https://gate.example:443@evil.example", "https://evil.example#gate.example", "https://evil.example?https://gate.example/",
	"https://gate.exampleevil.example", "https://gate.example:8443/", "https://user@gate.example/", "https://GATE.example\u3002evil.example/",
	"http://gate.example/", "ftp://gate.example/", "ws://gate.example/",
	"javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\nscript:alert(1)", "\x01javascript:alert(1)", "javascript://gate.example/%0aalert(1)",
	"data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://gate.example/x", "mailto:a@evil.example", "about:blank",
	"https://xn--gte-hoa.example/", "https://gаte.example/", "//xn--e1awd7f.example", "https://[::1]/", "//127.0.0.1", "//0x7f.1/",
	"/..//evil.example", "/.//evil.example", "/../evil.example", "/%2e%2e/evil.example", "/a/..//evil.example", "/%2f/evil.example", "/%2fevil.example", "/%5cevil.example", "/%09/evil.example",
	"/%252f%252fevil.example", "/;/evil.example", "/.;/evil.example", "/%00", "/%", "/%zz", "/\xff\xfe", "/%ff",
	"/.portcullis/sign-out", "/.PORTCULLIS/sign-in", "/%2eportcullis/sign-in", "/.portcullis", "/.portcullis?x", "/.portcullis#x", "/.portcullis/admin", "/.portcullis/adminx/y", "/.portcullis/Admin/", "/.portcullis/admin/../sign-out", "https://gate.example/.portcullis/sign-out",
	"", " ", "?", "#", "a", "evil.example", "@evil.example", ":80", "?next=//evil.example", ".", "..", "./x", "../x",
}

func TestNoReturnTargetLeavesOurOrigin(t *testing.T) {
	if len(hostile) < 60 {
		t.Fatalf("%d targets, want 60 at least", len(hostile))
	}
	for _, raw := range hostile {
		got := web.SafeReturn(public, raw)
		if origin := resolve(got); origin != "https://gate.example" {
			t.Errorf("SafeReturn(%q) = %q, which leads to %s", raw, got, origin)
		}
		if got != "/" {
			t.Errorf("SafeReturn(%q) = %q, want /", raw, got)
		}
	}
}

// The oracle must tell good from bad, or the test above shows nothing.
func TestTheOracleSeesWhereTargetsLead(t *testing.T) {
	for location, want := range map[string]string{
		"//evil.example": "https://evil.example", "/\\evil.example/": "https://evil.example", "/\t/evil.example": "https://evil.example",
		"\\\\evil.example": "https://evil.example", "https://gate.example@evil.example": "https://evil.example", "javascript:x": "javascript:",
		"/a?b=//c": "https://gate.example", "/": "https://gate.example", "https:evil": "https://gate.example", "https:/evil.example": "https://evil.example",
		"http:x": "http://x", "a": "https://gate.example",
	} {
		if got := resolve(location); got != want {
			t.Errorf("resolve(%q) = %q, want %q", location, got, want)
		}
	}
}

func TestLegitimateReturnTargetsPass(t *testing.T) {
	for raw, want := range map[string]string{
		"/":                        "/",
		"/foo?next=https://a.b/c":  "/foo?next=https://a.b/c",
		"/a?b=c&d=%2F":             "/a?b=c&d=%2F",
		"/a?b=//evil.example":      "/a?b=//evil.example",
		"/a?x=1;y=2":               "/a?x=1;y=2",
		"/git/a%2Fb/files":         "/git/a%2Fb/files", // where a route lets it through
		"/matrix/a;year=1/b":       "/matrix/a;year=1/b",
		"/matrix/..;/b":            "/",
		"/git/..%2fx":              "/",
		"/git%2f%2fx":              "/",
		"/git/a%252Fb":             "/",
		"/.portcullis%2Fsign-out":  "/",
		"/.portcullis;x/sign-out":  "/",
		"/%2Eportcullis%2Fx":       "/",
		"/.portcullis/hand-over?x": "/.portcullis/hand-over?x",
		"/.portcullis/hand-over/x": "/",
		"/.portcullis/Hand-Over?x": "/",
		"/a?":                      "/a?",
		"/a/b/?q=%0a%00":           "/a/b/?q=%0a%00",
		"/a?q=\\":                  "/a?q=\\",
		"/caf%C3%A9":               "/caf%C3%A9",
		"/café/日本?ä=ö":             "/caf%C3%A9/%E6%97%A5%E6%9C%AC?%C3%A4=%C3%B6",
		"/a%20b":                   "/a%20b",
		"/100%25":                  "/100%25",
		"/@someone:80":             "/@someone:80",
		"/javascript:x":            "/javascript:x",
		"/a#top":                   "/a",
		"/a?b#c?d":                 "/a?b",
		"/.well-known/x":           "/.well-known/x",
		"/.portcullisx":            "/.portcullisx",
		"/.portcullis/admin/":      "/.portcullis/admin/",
		"/.portcullis/admin/a?b=c": "/.portcullis/admin/a?b=c",
		"/a/.portcullis/x":         "/a/.portcullis/x",
		"https://gate.example":     "/",
		"https://gate.example/a?b": "/a?b",
		"https://gate.example?b":   "/?b",
		"https://gate.example#b":   "/",
	} {
		if got := web.SafeReturn(public, raw); got != want {
			t.Errorf("SafeReturn(%q) = %q, want %q", raw, got, want)
		}
	}
	if got := web.SafeReturn(public, "/"+strings.Repeat("a", 5000)); got != "/" {
		t.Errorf("a target of 5000 bytes passed")
	}
}

func FuzzSafeReturn(f *testing.F) {
	for _, raw := range hostile {
		f.Add(raw)
	}
	f.Add("/foo?next=https://a.b/c")
	f.Fuzz(func(t *testing.T, raw string) {
		got := web.SafeReturn(public, raw)
		if origin := resolve(got); origin != "https://gate.example" {
			t.Errorf("SafeReturn(%q) = %q, which leads to %s", raw, got, origin)
		}
		if again := web.SafeReturn(public, got); again != got {
			t.Errorf("SafeReturn(%q) = %q, and of that %q", raw, got, again)
		}
		u, err := url.Parse(got)
		if err != nil || u.Host != "" || u.Scheme != "" || u.Fragment != "" {
			t.Errorf("SafeReturn(%q) = %q, which net/url reads as %v, %v", raw, got, u, err)
		}
	})
}
