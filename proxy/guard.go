package proxy

import (
	"context"
	"net/http"
	"strings"
	"time"

	"portcullis/fault"
	"portcullis/session"
	"portcullis/web"
)

// passage is one request on its way through: its target as it was judged,
// and, once it is admitted, who sent it. It belongs to one request and is
// complete before the upstream sees it.
type passage struct {
	path    string // as it came, percent-encoded: these bytes are forwarded
	query   string // as it came, with its "?"; empty without one
	decoded string // path, decoded until nothing is left to decode

	who       *session.Principal // nil for nobody
	assertion string             // of who
}

type passageKey struct{}

// passageOf gives what the guard made.
func passageOf(ctx context.Context) *passage {
	if g, ok := ctx.Value(passageKey{}).(*passage); ok {
		return g
	}
	return &passage{path: "/", decoded: "/"} // impossible: the guard goes around everything
}

// guard judges the target of every request before anything else does, and
// takes away what only the gate may say.
func (p *Proxy) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.hurry(w, r)
		g, err := p.judge(r)
		if err != nil {
			w.Header().Set("Connection", "close") // what follows on it is not worth reading
			web.Fail(w, r, p.log, err)
			return
		}
		cleanRequest(r)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), passageKey{}, g)))
	})
}

// hurry bounds how long a body may take that nobody was admitted with. An
// answer waits for it, too: net/http reads the rest of a body first.
func (p *Proxy) hurry(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(p.now().Add(p.patience))
	}
}

// unhurry lets the body of an admitted request take as long as it likes.
func unhurry(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
}

// judge reads the request target (RFC 9112, section 3.2): origin-form, or
// absolute-form with our own authority.
func (p *Proxy) judge(r *http.Request) (*passage, error) {
	if !served(r.Method) {
		return nil, &web.Failure{Err: fault.New(fault.Invalid, "the method %s is not served here", r.Method), Status: http.StatusMethodNotAllowed}
	}
	return p.passage(r.RequestURI)
}

// served reports whether requests with a method get through at all.
func served(method string) bool {
	return method != http.MethodConnect && method != http.MethodTrace && method != "TRACK"
}

// passage judges a request target as it came.
func (p *Proxy) passage(raw string) (*passage, error) {
	if raw == "" || raw[0] != '/' {
		var err error
		if raw, err = p.stripAuthority(raw); err != nil {
			return nil, err
		}
	}
	g := &passage{path: raw}
	if i := strings.IndexByte(raw, '?'); i >= 0 {
		g.path, g.query = raw[:i], raw[i:]
	}
	var err error
	if g.decoded, err = web.DecodePath(g.path); err != nil {
		return nil, err
	}
	return g, nil
}

// stripAuthority makes the origin-form of an absolute-form whose authority is
// ours.
func (p *Proxy) stripAuthority(raw string) (string, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return "", fault.New(fault.Invalid, "the address does not begin with a slash")
	}
	end := strings.IndexAny(rest, "/?#\\")
	if end < 0 {
		rest, end = rest+"/", len(rest)
	}
	if strings.ToLower(scheme)+"://"+canonicalHost(scheme, rest[:end]) != p.origin {
		return "", fault.New(fault.Invalid, "the address belongs to another host")
	}
	return rest[end:], nil
}
