package proxy_test

import (
	"strings"
	"testing"
)

// The law of cookies: whatever a client sends, only the secret of a live
// session opens the portal, which is told whose it is and never sees it.
func FuzzCookies(f *testing.F) {
	const key = "portcullis=" + annToken
	for _, seed := range [][2]string{
		{key, ""},
		{"", key},
		{"portcullis=dead; " + key, "a=b"},
		{"=; ==; ;;,", key + ";" + key},
		{"__Host-portcullis=" + annToken, "Portcullis=" + annToken},
		{"\"portcullis\"=" + annToken, "portcullis=\"" + annToken + "\""},
		{"portcullis =" + annToken, "portcullis\t= " + annToken},
		{"a=\"; " + key + "; b=\"", "$Version=1; portcullis=x"},
		{"portcullis=" + annToken + "%00", "portcullis=%41NNSTOKEN"},
		{"portcullis=" + annToken + "\x00", "portcullis=" + annToken + "\xff"},
		{strings.Repeat("portcullis=dead; ", 20) + key, ""},
	} {
		f.Add(seed[0], seed[1])
	}
	tp := record(f)
	g := open(f, tp.url)
	f.Fuzz(func(t *testing.T, first, second string) {
		if strings.ContainsAny(first+second, "\r\n") || len(first)+len(second) > 8<<10 {
			return // another request
		}
		res := g.get(t, "/x", "Cookie: "+first, "Cookie: "+second)
		head := tp.head(t)
		if res.Code < 200 || res.Code > 299 {
			if head != "" || res.Code >= 500 {
				t.Errorf("%q, %q = %d, and the portal saw %q", first, second, res.Code, head)
			}
			return
		}
		h := header(t, head)
		if !strings.Contains(first+";"+second, annToken) || h.Get("X-Portcullis-User") != "ann-1" || len(h["X-Portcullis-Assertion"]) != 1 {
			t.Errorf("%q, %q opens the portal: %q", first, second, head)
		}
		for pair := range strings.SplitSeq(strings.Join(h["Cookie"], ";"), ";") {
			if name, _, _ := strings.Cut(strings.TrimSpace(pair), "="); strings.EqualFold(strings.TrimSpace(name), "portcullis") {
				t.Errorf("%q, %q: the portal sees %q", first, second, pair)
			}
		}
	})
}
