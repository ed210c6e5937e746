package web

import (
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// SessionCookie is the name of the session's cookie, for [CookieName].
const SessionCookie = "portcullis"

// Limits on what [Cookies] gives: a client may repeat a cookie as often as
// the header holds, and each value may cost a look-up.
const (
	maxCookieValues = 8
	maxCookieValue  = 4096
)

// CookieName is the name that a cookie has in the browser: with "__Host-" in
// front, which binds it to this host and to https, except when the gate is
// reached over plain http on loopback.
func CookieName(public *url.URL, name string) string {
	if public.Scheme == "https" {
		return "__Host-" + name
	}
	return name
}

// SetCookie sets one of our cookies. Its name is [SessionCookie] or begins
// with "portcullis-", so that it never reaches the upstream ([OwnCookie]).
// A maxAge of zero lets the cookie last as long as the browser runs.
func SetCookie(w http.ResponseWriter, public *url.URL, name, value string, maxAge time.Duration) {
	put(w, public, name, value, int(maxAge.Seconds()), http.SameSiteLaxMode)
}

// SetForeignCookie is [SetCookie] for a cookie that comes along when a page of
// another site posts a form to us. On loopback over http, where browsers keep
// no such cookie, it is an ordinary one.
func SetForeignCookie(w http.ResponseWriter, public *url.URL, name, value string, maxAge time.Duration) {
	site := http.SameSiteNoneMode // which browsers take with Secure alone
	if public.Scheme != "https" {
		site = http.SameSiteLaxMode
	}
	put(w, public, name, value, int(maxAge.Seconds()), site)
}

// ClearCookie makes the browser forget one of our cookies.
func ClearCookie(w http.ResponseWriter, public *url.URL, name string) {
	put(w, public, name, "", -1, http.SameSiteLaxMode)
}

func put(w http.ResponseWriter, public *url.URL, name, value string, maxAge int, site http.SameSite) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // not Secure on an http loopback alone, see CookieName
		Name: CookieName(public, name), Value: value, Path: "/", MaxAge: maxAge,
		Secure: public.Scheme == "https", HttpOnly: true, SameSite: site,
	})
}

// Cookies gives the values of one of our cookies in the order of the request,
// at most eight. A browser may send several; the first that is valid counts.
//
// The header is read here rather than by net/http, which gives no cookie at
// all when there are thousands.
func Cookies(r *http.Request, public *url.URL, name string) []string {
	return slices.Collect(CookieSeq(r.Header, CookieName(public, name)))
}

// CookieSeq is [Cookies] one by one, by the name that the cookie has in the
// browser.
func CookieSeq(h http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		given := 0
		for _, line := range h["Cookie"] {
			for line != "" {
				var pair string
				pair, line, _ = strings.Cut(line, ";")
				// Only what RFC 6265 allows around a pair is taken off. A name that
				// begins with another space is another name to the browser: a
				// sibling host may set it in spite of the prefix.
				k, v, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
				if k != name || v == "" || len(v) > maxCookieValue {
					continue
				}
				if given++; !yield(strings.Trim(v, `"`)) || given == maxCookieValues {
					return
				}
			}
		}
	}
}

// OwnCookie reports whether a cookie of that name is the gate's, whatever its
// prefix and case and the spaces around it, which others may trim: such a
// cookie never reaches the upstream, and the upstream never sets one.
func OwnCookie(name string) bool {
	name = strings.ToLower(strings.TrimSpace(name))
	name = strings.TrimPrefix(strings.TrimPrefix(name, "__host-"), "__secure-")
	rest, ok := strings.CutPrefix(name, SessionCookie)
	return ok && (rest == "" || rest[0] == '-' || rest[0] == '_' || rest[0] == '.')
}
