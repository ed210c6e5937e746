package web_test

import (
	"slices"
	"strings"
	"testing"

	"portcullis/fault"
	"portcullis/web"
)

// textual makes what stands for a plain sign readable.
var textual = strings.NewReplacer("\ue000", "[slash]", "\ue001", "[semicolon]")

func TestReadings(t *testing.T) {
	for path, want := range map[string][]string{ // nil: refused
		"/a%2Fb":     {"/a/b", "/a[slash]b"},
		"/a%2fb;c/d": {"/a/b", "/a/b/d", "/a/b[semicolon]c/d", "/a[slash]b", "/a[slash]b/d", "/a[slash]b[semicolon]c/d"},
		"/a;b%2Fc/d": {"/a", "/a/c/d", "/a/d", "/a[semicolon]b/c/d", "/a[semicolon]b[slash]c/d"},
		"/a;b/c;d":   {"/a", "/a/c", "/a[semicolon]b/c[semicolon]d"},
		"/a%20;b":    {"/a ", "/a [semicolon]b"},
		"/a/..;/b":   nil,
		"/a/%2e;/b":  nil,
		"/a/;b/c":    nil,
		"/a%2F/b":    nil,
		"/a%2F..":    nil,
		"/a;%2F../b": nil,
		"/a%252Fb;":  nil,
		"/a%3Bb;":    nil,
		"/a;\\":      nil,
	} {
		readings, err := web.Readings(path, web.HasEncodedSlash(path), strings.Contains(path, ";"))
		var got []string
		for _, r := range readings {
			got = append(got, textual.Replace(r.Once))
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) || (err != nil) != (want == nil) || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("Readings(%s) = %q, %v, want %q", path, got, err, want)
		}
	}
}

// Each reading is plain by itself: nobody can read it in another way. And what
// is plain from the start has no other reading.
func FuzzReadings(f *testing.F) {
	for _, path := range []string{"/a%2Fb", "/a;b%2Fc/d", "/..;/", "/%2e%2e%2f", "/a%252f;", "/;%2F/", "/\ue000%2F"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		readings, err := web.Readings(path, true, true)
		if err != nil {
			if plain, odd := web.Read(path); odd == nil {
				t.Fatalf("%q is plain, %+v, and refused: %v", path, plain, err)
			}
			return
		}
		for _, r := range readings {
			for _, p := range []string{r.Once, r.Fully} {
				if strings.Contains(p, "//") || strings.ContainsAny(p, ";\\#\x00") || p[0] != '/' ||
					slices.ContainsFunc(strings.Split(p, "/"), func(s string) bool { return s == "." || s == ".." }) {
					t.Fatalf("%q reads as %q", path, p)
				}
			}
		}
		if plain, odd := web.Read(path); odd == nil && slices.ContainsFunc(readings, func(r web.Reading) bool { return r != plain }) {
			t.Fatalf("%q is plain, and reads as %q", path, readings)
		}
	})
}
