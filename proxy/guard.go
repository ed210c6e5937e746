package proxy

import (
	"context"
	"net/http"
	"slices"
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
	path  string // as it came, percent-encoded: these bytes are forwarded
	query string // as it came, with its "?"; empty without one
	host  string // that it is for, in canonical form; the public one where no route names hosts

	readings []web.Reading // of path; one, but where a route lets through what has several
	plain    [1]web.Reading
	override bool // it came with a header that names another method
	place    place

	who       *session.Principal // nil for nobody
	assertion string             // of who
}

type passageKey struct{}

// passageOf gives what the guard made.
func passageOf(ctx context.Context) *passage {
	if g, ok := ctx.Value(passageKey{}).(*passage); ok {
		return g
	}
	return &passage{path: "/", readings: []web.Reading{{Once: "/", Fully: "/"}}} // impossible: the guard goes around everything
}

// guard judges the target of every request before anything else does, and
// takes away what only the gate may say.
func (p *Proxy) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.hurry(w, r)
		if p.hsts != "" {
			w.Header().Set(headerHSTS, p.hsts)
		}
		override := p.clean(r)
		g, err := p.judge(r)
		if err != nil {
			w.Header().Set("Connection", "close") // what follows on it is not worth reading
			web.Fail(w, r, p.log, err)
			return
		}
		g.override = override
		if g.host != p.home && p.elsewhere(g.path) {
			if err := p.visit(w, r, g.path, g.host); err != nil {
				web.Fail(w, r, p.log, err)
			}
			return
		}
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
// absolute-form with our own authority; and which host it is for.
func (p *Proxy) judge(r *http.Request) (*passage, error) {
	if !served(r.Method) {
		return nil, &web.Failure{Err: fault.New(fault.Invalid, "the method %s is not served here", r.Method), Status: http.StatusMethodNotAllowed}
	}
	host, misdirected := p.hostOf(r)
	if misdirected != nil {
		host = p.home
	}
	if rest, ok := strings.CutPrefix(r.RequestURI, authPath); ok && strings.HasPrefix(rest, "/") && web.FromTrustedProxy(r) {
		// Envoy: what stands behind is the path in question, and judged again.
		g, err := p.passage(rest, host, r.Method)
		if err != nil {
			return nil, err
		}
		g.path, g.readings = authPath+g.path, []web.Reading{{Once: authPath, Fully: authPath}}
		return g, nil
	}
	g, err := p.passage(r.RequestURI, host, r.Method)
	switch {
	case err != nil:
		return nil, err
	case anyHost(g.path):
		return g, nil
	case misdirected != nil:
		return nil, misdirected
	case host != p.home && g.own() && !p.elsewhere(g.path) && !p.shared(g.path):
		return nil, errMisdirected()
	default:
		return g, nil
	}
}

// own reports whether a path could be read as one of the gate's own, or of
// SCIM.
func (g *passage) own() bool {
	return slices.ContainsFunc(g.readings, func(r web.Reading) bool {
		return web.Reserved(r.Fully) || web.Below(r.Fully, SCIMPrefix)
	})
}

// served reports whether requests with a method get through at all.
func served(method string) bool {
	return method != http.MethodConnect && method != http.MethodTrace && method != "TRACK"
}

// passage judges a request target as it came, for a host and a method (empty
// if nobody knows it).
func (p *Proxy) passage(raw, host, method string) (*passage, error) {
	if raw == "" || raw[0] != '/' {
		var err error
		if raw, err = p.stripAuthority(raw); err != nil {
			return nil, err
		}
	}
	g := &passage{path: raw, host: host}
	if i := strings.IndexByte(raw, '?'); i >= 0 {
		g.path, g.query = raw[:i], raw[i:]
	}
	if err := p.read(g); err != nil {
		return nil, err
	}
	return g, p.settled(g, method)
}

// read finds what the path can be taken for. What has several readings passes
// where a route lets it, and never as a path of our own.
func (p *Proxy) read(g *passage) error {
	plain, err := web.Read(g.path)
	if err == nil {
		g.plain[0] = plain
		g.readings = g.plain[:]
		return nil
	}
	slash, semicolon := web.HasEncodedSlash(g.path), strings.IndexByte(g.path, ';') >= 0
	if !p.lenient || !slash && !semicolon {
		return err
	}
	readings, odd := web.Readings(g.path, slash, semicolon)
	if odd != nil {
		return odd
	}
	if g.readings = readings; !p.allowed(g.host, readings, slash, semicolon) || g.own() {
		return err
	}
	return nil
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
	if host := canonicalHost(scheme, rest[:end]); !strings.EqualFold(scheme, p.public.Scheme) || host != p.home && !p.hosts[host] {
		return "", fault.New(fault.Invalid, "the address belongs to another host")
	}
	return rest[end:], nil
}
