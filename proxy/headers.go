package proxy

import (
	"net/http"
	"slices"
	"strings"

	"portcullis/web"
)

// clean drops what only the gate may say: identity headers, and whatever could
// be taken for one. What a proxy says of the original request
// counts from a trusted proxy alone. It also drops every protocol upgrade but
// a WebSocket's: one to h2c would open a second way to the portal, past every
// check; and where rules depend on methods, what names another method, and
// reports that. Our cookies stay for our own paths; [backend.rewrite] drops
// them.
func (p *Proxy) clean(r *http.Request, trusted bool) (override bool) {
	for name := range r.Header {
		switch {
		case harmless(name) && len(p.extra) == 0 && !p.methodAware:
		case identityHeader(name) || p.renamed(name) || !trusted && forwardingHeader(name):
			delete(r.Header, name)
		case p.methodAware && overridesMethod(name):
			override = true
			delete(r.Header, name)
		}
	}
	if up, ok := r.Header["Upgrade"]; ok && (!opensWebSocket(r) || len(up) != 1 || !strings.EqualFold(up[0], "websocket")) {
		delete(r.Header, "Upgrade")
	}
	delete(r.Header, "Http2-Settings")
	return override
}

// renamed reports whether a header is what a route calls an identity header.
func (p *Proxy) renamed(name string) bool {
	return len(p.extra) > 0 && slices.ContainsFunc(p.extra, func(extra string) bool { return strings.EqualFold(extra, dashed(name)) })
}

// overridesMethod reports whether some portals read another method from a
// header.
func overridesMethod(name string) bool {
	switch strings.ToLower(dashed(name)) {
	case "x-http-method-override", "x-http-method", "x-method-override", "x-method":
		return true
	default:
		return false
	}
}

// opensWebSocket reports whether a request is of the form that may upgrade:
// a GET of HTTP/1.1 (RFC 6455, section 4.1).
func opensWebSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor == 1
}

// harmless reports whether nothing that only the gate may say begins like a
// header: almost all do not.
func harmless(name string) bool {
	first, second := name[0]|0x20, byte(0) // a header name is not empty
	if len(name) > 1 {
		second = name[1] | 0x20
	}
	switch {
	case first == 'f', first == 'r', first == 'x':
		return false
	case first == 'c' && (second == 'f' || second == 'l'), first == 's' && second == 's', first == 't' && second == 'r':
		return false // Cf-, Client-, Ssl-, True-
	default:
		return strings.IndexByte(name, '_') < 0
	}
}

// identityHeader reports whether a header could tell a portal who somebody
// is. Names with "_" are among them all: many servers read "_" as "-". Some
// read every other sign that may stand in a name like that, too (RFC 3875,
// section 4.1.18, names the letters of a variable only).
func identityHeader(name string) bool {
	if strings.IndexByte(name, '_') >= 0 {
		return true
	}
	name = dashed(name)
	switch name[0] | 0x20 { // a header name is not empty; most begin with another letter
	case 'r':
		return hasPrefix(name, "Remote-")
	case 'x':
		return hasPrefix(name, "X-Portcullis-") || hasPrefix(name, "X-Auth-Request-") || hasPrefix(name, "X-Remote-") ||
			hasPrefix(name, "X-Webauth-") || hasPrefix(name, "X-Forwarded-") && forwardedIdentity(name[len("X-Forwarded-"):])
	default:
		return false
	}
}

// dashed is name with "-" for every sign: name itself for almost all.
func dashed(name string) string {
	odd := func(r rune) bool {
		return (r|0x20 < 'a' || 'z' < r|0x20) && (r < '0' || '9' < r) && r != '-'
	}
	if strings.IndexFunc(name, odd) < 0 {
		return name
	}
	return strings.Map(func(r rune) rune {
		if odd(r) {
			return '-'
		}
		return r
	}, name)
}

// forwardedIdentity reports whether what follows X-Forwarded- names somebody: a
// certificate does, and no proxy's word on one is the gate's.
func forwardedIdentity(rest string) bool {
	return isOne(rest, "User", "Email", "Groups", "Preferred-Username", "Access-Token", "Client-Cert")
}

// forwardingHeader reports whether a header is a proxy's word on the original
// request: where it came from, what it asked for and how, and by which
// certificate (RFC 9440). Portals and what they are built with believe it
// under many names.
func forwardingHeader(name string) bool {
	name = dashed(name)
	switch name[0] | 0x20 {
	case 'c':
		return isOne(name, "Client-Ip", "Client-Cert", "Client-Cert-Chain", "Cf-Connecting-Ip")
	case 'f':
		return isOne(name, "Forwarded", "Forwarded-For", "Front-End-Https", "Fastly-Client-Ip")
	case 's':
		return hasPrefix(name, "Ssl-Client-")
	case 't':
		return strings.EqualFold(name, "True-Client-Ip")
	case 'x':
		return hasPrefix(name, "X-Forwarded") || hasPrefix(name, "X-Original-") || hasPrefix(name, "X-Ssl") ||
			isOne(name, "X-Real-Ip", "X-Rewrite-Url", "X-Client-Ip", "X-Client-Cert", "X-Cluster-Client-Ip", "X-Scheme", "X-Url-Scheme")
	default:
		return false
	}
}

// isOne reports whether s is one of several names, regardless of case.
func isOne(s string, names ...string) bool {
	for _, name := range names {
		if len(s) == len(name) && strings.EqualFold(s, name) {
			return true
		}
	}
	return false
}

// hasPrefix is strings.HasPrefix regardless of case.
func hasPrefix(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// foreignCookies gives the lines of a Cookie header without our cookies.
// Everybody else's stay as they are, byte for byte and in order.
func foreignCookies(lines []string) []string {
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		if !mayHoldOwn(line) {
			kept = append(kept, line)
			continue
		}
		rest := withoutOwn(line)
		if strings.Trim(rest, "; \t") != "" {
			kept = append(kept, rest)
		}
	}
	return kept
}

// withoutOwn gives a line of a Cookie header without our cookies.
func withoutOwn(line string) string {
	var b strings.Builder
	b.Grow(len(line))
	for more := true; more; {
		var pair string
		pair, line, more = strings.Cut(line, ";")
		if name, _, _ := strings.Cut(pair, "="); web.OwnCookie(name) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(';')
		} else {
			pair = strings.TrimLeft(pair, " \t")
		}
		b.WriteString(pair)
	}
	return b.String()
}

// mayHoldOwn is a quick look for the name that all our cookies share.
func mayHoldOwn(line string) bool {
	for i := strings.IndexAny(line, "pP"); i >= 0; {
		if hasPrefix(line[i:], web.SessionCookie) {
			return true
		}
		next := strings.IndexAny(line[i+1:], "pP")
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}

// cleanResponse drops from the portal's answer, or its trailer, what only the
// gate may set: our cookies and our headers.
func cleanResponse(h http.Header) {
	for name, lines := range h {
		bare := strings.TrimPrefix(name, http.TrailerPrefix)
		switch {
		case hasPrefix(bare, "X-Portcullis-"):
			delete(h, name)
		case strings.EqualFold(bare, "Set-Cookie"):
			kept := lines[:0]
			for _, line := range lines {
				if !setsOwn(line) {
					kept = append(kept, line)
				}
			}
			if len(kept) == 0 {
				delete(h, name)
			} else {
				h[name] = kept
			}
		}
	}
}

// setsOwn reports whether a Set-Cookie line sets one of our cookies. A line
// that begins with "=" sets a cookie without a name, which comes back as if
// its value were name and value.
func setsOwn(line string) bool {
	pair, _, _ := strings.Cut(line, ";")
	name, _, _ := strings.Cut(strings.TrimLeft(pair, "= \t"), "=")
	return web.OwnCookie(name)
}
