package proxy

import (
	"net/http"
	"strings"
	"time"

	"portcullis/fault"
	"portcullis/web"
)

// passage is the target of a request as it was judged.
type passage struct {
	path  string // as it came, percent-encoded: these bytes are forwarded
	query string // as it came, with its "?"; empty without one
	host  string // that it is for, in canonical form; the public one where no route names hosts

	readings []web.Reading // of path; one, but where a route lets through what has several
	plain    [1]web.Reading
	override bool // it came with a header that names another method
	place    place
}

// ServeHTTP answers one request: it judges the target before anything else,
// and takes away what only the gate may say.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	j := new(journey)
	j.Begin(r, p.trusted)
	j.in, j.ctx, j.proxy = r, j, p
	j.ReadBy(j)
	j.writer = writer{ResponseWriter: w, reference: j.line(j.Reference()), streams: &p.streams}
	w.Header()[web.ReferenceHeader] = j.reference
	p.hurry(w, r)
	if p.hsts != "" {
		w.Header()[headerHSTS] = j.line(p.hsts)
	}
	defer web.Rescue(j, &j.writer, r, p.log) //nolint:contextcheck // the journey is r's context, and more
	j.override = p.clean(r, j.Trusted())
	err := p.judge(j)
	switch {
	case err != nil:
		w.Header().Set("Connection", "close") // what follows on it is not worth reading
	case asks(j.path):
		err = p.forwardAuth(j)
	case j.host != p.home && p.elsewhere(j.path):
		err = p.visit(&j.writer, j.request(), j.path, j.host)
	case j.own():
		p.own.ServeHTTP(w, j.request())
	default:
		err = p.portal(j) //nolint:contextcheck // the journey is the context
	}
	if err != nil {
		web.Fail(&j.writer, j.request(), p.log, err)
	}
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
func (p *Proxy) judge(j *journey) error {
	r := j.in
	if !served(r.Method) {
		return &web.Failure{Err: fault.New(fault.Invalid, "the method %s is not served here", r.Method), Status: http.StatusMethodNotAllowed}
	}
	host, misdirected := p.hostOf(r)
	if misdirected != nil {
		host = p.home
	}
	if rest, ok := strings.CutPrefix(r.RequestURI, authPath); ok && strings.HasPrefix(rest, "/") && p.hears(r, j.Trusted()) {
		// Envoy: what stands behind is the path in question, and judged again.
		if err := p.pass(&j.passage, rest, host, r.Method); err != nil {
			return err
		}
		j.path, j.readings = authPath+j.path, []web.Reading{{Once: authPath, Fully: authPath}}
		return nil
	}
	err := p.pass(&j.passage, r.RequestURI, host, r.Method)
	switch {
	case err != nil:
		return err
	case anyHost(j.path):
		return nil
	case misdirected != nil:
		return misdirected
	case host != p.home && j.own() && !p.elsewhere(j.path) && !p.shared(j.path):
		return errMisdirected()
	default:
		return nil
	}
}

// own reports whether a path could be read as one of the gate's own, or of
// SCIM.
func (g *passage) own() bool {
	for i := range g.readings {
		if path := g.readings[i].Fully; web.Reserved(path) || web.Below(path, SCIMPrefix) {
			return true
		}
	}
	return false
}

// served reports whether requests with a method get through at all.
func served(method string) bool {
	return method != http.MethodConnect && method != http.MethodTrace && method != "TRACK"
}

// pass judges a request target as it came, for a host and a method (empty if
// nobody knows it), and fills g.
func (p *Proxy) pass(g *passage, raw, host, method string) error {
	if raw == "" || raw[0] != '/' {
		var err error
		if raw, err = p.stripAuthority(raw); err != nil {
			return err
		}
	}
	g.path, g.host = raw, host
	if i := strings.IndexByte(raw, '?'); i >= 0 {
		g.path, g.query = raw[:i], raw[i:]
	}
	if err := p.read(g); err != nil {
		return err
	}
	return p.settled(g, method)
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
