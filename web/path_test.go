package web_test

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"portcullis/fault"
	"portcullis/web"
)

// ambiguous are paths that two programs have read in two ways.
var ambiguous = []string{
	"", "a", "*", "//", "//admin", "/a//b", "/a//", "/.", "/..", "/./a", "/../a", "/a/.", "/a/..", "/public/../admin",
	"/%2e", "/%2e%2e/admin", "/%2E./admin", "/.%2e/admin", "/a/%2e%2e", "/%252e%252e/a", "/%25252e/a", "/..%2fadmin", "/a%2fb", "/a%2Fb", "/a%252fb",
	"/..;/admin", "/a;b", "/a%3bb", "/a%253Bb", "/..%5cadmin", "/a\\b", "/a%5Cb", "/a%255cb",
	"/%00", "/a%00.png", "/%2500", "/a\x00", "/a%0d%0ab", "/a%09", "/a\tb", "/a%7f", "/\x7f", "/%c2%85",
	"/a#b", "/a%23b", "/a%2523b", "/%", "/%2", "/%zz", "/a%u002e", "/%%32%65",
	"/%ff", "/%c0%ae", "/%c0%af", "/\xff", "/%25ff", "/%ed%a0%80", "/%e2%82",
	"/%25252525252541", "/" + strings.Repeat("a", 9000),
}

func TestAmbiguousPathsAreRefused(t *testing.T) {
	for _, p := range ambiguous {
		if got, err := web.DecodePath(p); !fault.Is(err, fault.Invalid) {
			t.Errorf("DecodePath(%q) = %q, %v, want an invalid fault", p, got, err)
		}
	}
}

func TestPlainPathsPass(t *testing.T) {
	for raw, want := range map[string]string{
		"/": "/", "/a/b/": "/a/b/", "/a.b/..c/d..": "/a.b/..c/d..", "/.well-known/x": "/.well-known/x", "/...": "/...",
		"/caf%C3%A9": "/café", "/café": "/café", "/a%20b": "/a b", "/100%25": "/100%", "/50%25%20off": "/50% off", "/a%2541": "/aA",
		"/a:b@c!$&'()*+,=~": "/a:b@c!$&'()*+,=~", "/a|b\"c^": "/a|b\"c^", "/%2eportcullis/x": "/.portcullis/x", "/a?b": "/a?b",
	} {
		got, err := web.DecodePath(raw)
		if err != nil || got != want {
			t.Errorf("DecodePath(%q) = %q, %v, want %q", raw, got, err, want)
		}
	}
}

func TestReserved(t *testing.T) {
	for p, want := range map[string]bool{
		"/.portcullis": true, "/.portcullis/": true, "/.PORTCULLIS/x": true, "/.Portcullis/x/y": true,
		"/.portcullisx": false, "/": false, "/portcullis": false, "/a/.portcullis": false,
	} {
		if got := web.Reserved(p); got != want {
			t.Errorf("Reserved(%q) = %v, want %v", p, got, want)
		}
	}
}

// The law of [web.DecodePath]: what it accepts is the same place for whoever
// decodes it any number of times and cleans it, before or after.
func FuzzDecodePath(f *testing.F) {
	for _, p := range ambiguous {
		f.Add(p)
	}
	f.Add("/a/b%20c/100%25")
	f.Fuzz(func(t *testing.T, raw string) {
		decoded, err := web.DecodePath(raw)
		if err != nil {
			return
		}
		segments := strings.Count(raw, "/")
		for p, n := raw, 0; n < 10; n++ {
			if clean := path.Clean(p); clean != p && clean+"/" != p {
				t.Fatalf("%q after %d decodings is %q, cleaned %q", raw, n, p, clean)
			}
			if strings.Count(p, "/") != segments {
				t.Fatalf("%q after %d decodings is %q, with other segments", raw, n, p)
			}
			next, err := url.PathUnescape(p)
			if err != nil {
				if n == 0 {
					t.Fatalf("%q is malformed: %v", raw, err)
				}
				break
			}
			p = next
		}
		if again, err := web.DecodePath((&url.URL{Path: decoded}).EscapedPath()); err != nil || again != decoded {
			t.Fatalf("DecodePath(%q) = %q, and of that, encoded, %q, %v", raw, decoded, again, err)
		}
	})
}
