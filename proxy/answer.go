package proxy

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// parseQuestion reads a request of the one form that [Questions] answers: GET,
// HTTP/1.1, for [authPath] or below, all of head and nothing behind it, with no
// body, in plain lines of which none says anything about the connection. What it
// reads net/http reads alike, and lets in. r may have an empty header, to be
// filled, and the URL of another request, to be used again if it is the same.
func parseQuestion(head string, r *http.Request) bool {
	rest, get := strings.CutPrefix(head, "GET ")
	target, rest, version := strings.Cut(rest, " HTTP/1.1\r\n")
	if !get || !version || !hasAuthPath(target) || !graphic(target) {
		return false
	}
	h := r.Header
	if h == nil {
		h = make(http.Header)
	}
	values := make([]string, 0, strings.Count(rest, "\r\n"))
	for rest != "\r\n" {
		line, more, whole := strings.Cut(rest, "\r\n")
		name, value, colon := strings.Cut(line, ":")
		if !whole || !colon || !plainName(name) || !plainValue(value) {
			return false
		}
		rest, name, value = more, textproto.CanonicalMIMEHeaderKey(name), textproto.TrimString(value)
		if name == "Host" {
			if r.Host != "" || !plainHost(value) {
				return false
			}
			r.Host = value
			continue
		}
		if before, twice := h[name]; twice {
			h[name] = append(before, value)
			continue
		}
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if pragma := h["Pragma"]; len(pragma) > 0 && pragma[0] == "no-cache" && h["Cache-Control"] == nil {
		h["Cache-Control"] = []string{"no-cache"} // as net/http reads it (RFC 7234, section 5.4)
	}
	r.Method, r.RequestURI, r.Header, r.Body = http.MethodGet, target, h, http.NoBody
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	if r.Host == "" || !isQuestion(r) {
		return false
	}
	return locate(r)
}

// locate reads the address of a request. One without a query in which nothing
// stands for anything else is the path that was read before, if it is its text.
func locate(r *http.Request) bool {
	if strings.ContainsAny(r.RequestURI, "%?") || r.URL == nil || r.URL.RawQuery != "" || r.URL.RawPath != "" || r.URL.ForceQuery || r.URL.Path != r.RequestURI {
		at, err := url.ParseRequestURI(r.RequestURI)
		r.URL = at
		return err == nil
	}
	again := *r.URL
	r.URL = &again
	return true
}

// isQuestion reports whether a request asks for [authPath] in the form that is
// answered here.
func isQuestion(r *http.Request) bool {
	if r.Method != http.MethodGet || r.ProtoMinor != 1 || r.ContentLength != 0 || r.Close {
		return false
	}
	for _, name := range [...]string{"Connection", "Transfer-Encoding", "Trailer", "Expect", "Upgrade"} {
		if _, there := r.Header[name]; there {
			return false
		}
	}
	length, there := r.Header["Content-Length"]
	return !there || len(length) == 1 && length[0] == "0"
}

// hasAuthPath reports whether a request target is where proxies ask.
func hasAuthPath(target string) bool {
	rest, ok := strings.CutPrefix(target, authPath)
	return ok && (rest == "" || rest[0] == '/' || rest[0] == '?')
}

// graphic reports whether nothing but visible ASCII is in a request target.
func graphic(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '#' {
			return false
		}
	}
	return true
}

// plainName reports whether a header's name is one that nobody reads in two ways.
func plainName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != ""
}

// isToken reports whether a header may be called so (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if !plainName(s[i:i+1]) && strings.IndexByte("!#$%&'*+.^_`|~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// plainValue reports whether a header's value has no control characters but tabs.
func plainValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// plainHost reports whether a Host is a name or an address, with or without a port.
func plainHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > ':') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return s != ""
}

// answer is the answer to a question: an [http.ResponseWriter] that writes
// everything at once, and is used again.
type answer struct {
	header http.Header
	status int    // zero before the answer has begun
	typed  bool   // what the body is has been said
	last   bool   // the connection ends with it
	out    []byte // the head
	body   []byte
	date   []byte // a line of the head
	second int64  // that date is of
}

// begin makes it ready for the next answer.
func (a *answer) begin() {
	const most = 64 << 10 // of what is kept for later
	if cap(a.out)+cap(a.body) > most {
		a.out, a.body = nil, nil
	}
	clear(a.header)
	a.status, a.typed, a.last, a.out, a.body = 0, false, false, a.out[:0], a.body[:0]
}

// Header is what is sent by WriteHeader.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader begins the answer. Nothing on the way tells of progress: an
// informational status is dropped.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 || status < http.StatusOK {
		return
	}
	a.status = status
	a.out = append(strconv.AppendInt(append(a.out, "HTTP/1.1 "...), int64(status), 10), ' ')
	a.out = append(append(a.out, http.StatusText(status)...), "\r\n"...)
	for name, lines := range a.header {
		switch name {
		case "Content-Length", "Transfer-Encoding", "Trailer", "Date":
			continue // they are ours to say
		case "Content-Type":
			a.typed = true
		case "Connection":
			a.last = a.last || len(lines) > 0 && strings.EqualFold(lines[0], "close")
		}
		if !isToken(name) {
			continue
		}
		for _, value := range lines {
			a.out = appendLine(a.out, name, value)
		}
	}
}

// appendLine adds a line of a header. What would end the line is a space instead.
func appendLine(out []byte, name, value string) []byte {
	out = append(append(out, name...), ": "...)
	if strings.IndexByte(value, '\n') >= 0 || strings.IndexByte(value, '\r') >= 0 {
		value = strings.NewReplacer("\n", " ", "\r", " ").Replace(value)
	}
	return append(append(out, textproto.TrimString(value)...), "\r\n"...)
}

// Write adds to the body.
func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.bodiless() {
		return 0, http.ErrBodyNotAllowed
	}
	a.body = append(a.body, b...)
	return len(b), nil
}

// bodiless reports whether the answer has no body by its status.
func (a *answer) bodiless() bool {
	return a.status == http.StatusNoContent || a.status == http.StatusNotModified
}

// end gives the whole answer, which stands until the next begins.
func (a *answer) end() []byte {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if len(a.body) > 0 && !a.typed {
		a.out = appendLine(a.out, "Content-Type", http.DetectContentType(a.body))
	}
	now := time.Now() //nolint:forbidigo // when the answer is sent, whatever the gate takes for now
	if second := now.Unix(); second != a.second || a.date == nil {
		a.second, a.date = second, now.UTC().AppendFormat(append(a.date[:0], "Date: "...), http.TimeFormat+"\r\n")
	}
	a.out = append(a.out, a.date...)
	if !a.bodiless() {
		a.out = append(strconv.AppendInt(append(a.out, "Content-Length: "...), int64(len(a.body)), 10), "\r\n"...)
	}
	return append(append(a.out, "\r\n"...), a.body...)
}

var _ http.ResponseWriter = (*answer)(nil)
