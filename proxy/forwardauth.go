package proxy

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"portcullis/fault"
	"portcullis/web"
)

// authPath is where a proxy in front asks whether a request may pass. Envoy
// puts the path in question behind it; the others name it in a header.
const authPath = web.Prefix + "/auth"

// asks reports whether a path is where proxies ask.
func asks(path string) bool { return path == authPath || strings.HasPrefix(path, authPath+"/") }

// headerSignIn tells the proxy in front where a browser that asked for a page
// gets what is missing: a local address, for its own redirect.
const headerSignIn = "X-Portcullis-Sign-In"

// forwardAuth answers a proxy in front: 200 with the headers that it hands on
// in place of the client's (identity, and what is not ours of cookies and
// credentials), 401 where signing in helps, 403 for every other refusal. With
// ?redirect a browser that asked for a page gets a redirect to the sign-in
// for the 401, for proxies that hand such an answer on as it is.
//
// What was asked for counts from a proxy that asks alone, see [Proxy.hears].
// Whoever else asks is told whether they would get in everywhere, and no
// assertion: that is between the gate and the portal, as are cookies that no
// script may read. Such a proxy could also be a balancer that hands on what
// a page's script asks for at this address, so that its answer is for nobody
// who can be that script, unless the configuration names the proxies that ask.
func (p *Proxy) forwardAuth(j *journey) error {
	h := j.Header()
	h["Cache-Control"] = j.line("no-store")
	t, err := p.asked(j)
	if err != nil {
		return refusal(err)
	}
	v := p.decide(j, t)
	if v.err != nil {
		if v.signIn == "" || !pageFor(j.in, t) {
			return refusal(v.err)
		}
		if j.in.URL.Query().Has("redirect") {
			web.SetHeaders(h)
			http.Redirect(&j.writer, j.in, v.signIn, http.StatusFound)
			return nil
		}
		h.Set(headerSignIn, v.signIn)
		return refusal(v.err)
	}
	if !t.unknown && p.askers == nil && readable(j.in.Header) {
		return errUnnamed(j.in)
	}
	if j.who = v.who; v.who != nil && !t.unknown {
		if j.assertion, err = p.statement(v.who, t.place.backend.audience, j.now); err != nil {
			return err
		}
	}
	if v.who != nil {
		t.place.names.identify(h, j)
	}
	if !t.unknown {
		if rest := foreignCookies(j.in.Header["Cookie"]); len(rest) > 0 {
			h["Cookie"] = rest
		} else {
			h["Cookie"] = nothing[:]
		}
		if lines, ok := j.in.Header["Authorization"]; ok && !isBearer(j.in) {
			h["Authorization"] = lines // between the client and the portal
		} else {
			h["Authorization"] = nothing[:]
		}
		// Each is there, if only empty: Caddy hands on the name of its own
		// variable for what is not.
		for _, name := range p.identity {
			if _, ok := h[name]; !ok {
				h[name] = nothing[:]
			}
		}
	}
	j.WriteHeader(http.StatusOK)
	return nil
}

// hears reports whether what the peer of a request says at [authPath] is taken
// for the question of a proxy in front.
func (p *Proxy) hears(r *http.Request, trusted bool) bool {
	return trusted && (p.askers == nil || web.PeerWithin(r, p.askers))
}

// readable reports whether a page's script could read the headers of the answer
// to a request: it made that with fetch or XMLHttpRequest, which alone have
// the destination "empty", be it for a navigation that its service worker took
// over. No script chooses what a browser says there (Fetch Metadata, section 2;
// Fetch, "forbidden request-header"). It cannot read the answer to any other
// navigation or to a WebSocket's opening. Browsers send the headers wherever
// public_url may lead, https and loopback; programs send none.
func readable(h http.Header) bool {
	mode, to := h.Get("Sec-Fetch-Mode"), h.Get("Sec-Fetch-Dest")
	switch mode {
	case "", "websocket":
		return false
	case "navigate":
		return to == "empty"
	default:
		return to == "" || to == "empty"
	}
}

// errUnnamed refuses what a page's script may have asked for itself, through a
// proxy that only hands on. The log tells operators what to do about it.
func errUnnamed(r *http.Request) error {
	peer, _, _ := net.SplitHostPort(r.RemoteAddr) // empty for what has no address, which nobody trusts
	cause := fmt.Errorf("a page's script could read the answer: if the proxy at %s asks here, forward_auth has to name it", peer)
	return fault.Wrap(fault.Forbidden, cause, "this request may not pass")
}

// nothing is a header's value that is there and empty.
var nothing = [1]string{} //nolint:gochecknoglobals // an array that nothing writes

// refusal gives every refusal but a missing sign-in the one status that all
// proxies understand. A gate that cannot tell stays a 5xx: they refuse then.
func refusal(err error) error {
	switch status := web.Status(err); {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status >= http.StatusInternalServerError:
		return err
	default:
		return &web.Failure{Err: fault.Wrap(fault.Forbidden, err, "this request may not pass"), Status: http.StatusForbidden}
	}
}

// asked reads which request the proxy asks about: from the headers of nginx
// (X-Original-*), of Traefik and Caddy (X-Forwarded-*), or from the path that
// Envoy sends. They count from a proxy that asks alone. Whatever cannot be read, and whatever is said twice in
// different words, is refused: one of the two may be the client's.
func (p *Proxy) asked(j *journey) (*target, error) {
	r := j.in
	if !p.hears(r, j.Trusted()) {
		g := new(passage)
		return &target{passage: g, unknown: true}, p.pass(g, "/", p.home, "")
	}
	raw, err := originalTarget(j)
	if err != nil {
		return nil, err
	}
	method, err := said(r, "X-Original-Method", "X-Forwarded-Method")
	if err != nil {
		return nil, err
	}
	if method == "" && r.URL.Path != authPath {
		method = r.Method // Envoy asks with the method in question
	}
	if !served(method) {
		return nil, fault.New(fault.Forbidden, "the method %s is not served here", method)
	}
	if p.methodAware && j.override {
		method = "" // the portal may believe the header, and the proxy in front does not drop it
	}
	host, err := p.askedHost(r)
	if err != nil {
		return nil, err
	}
	g := new(passage)
	if err := p.pass(g, raw, host, method); err != nil {
		return nil, err
	}
	// nginx drops Upgrade; only a GET opens a WebSocket (RFC 6455, section 4.1).
	upgrade := (method == "" || method == http.MethodGet) && (r.Header.Get("Upgrade") != "" || r.Header.Get("Sec-Websocket-Key") != "")
	return &target{passage: g, method: method, upgrade: upgrade}, nil
}

// askedHost is the host of the request in question: what the proxy names in
// X-Forwarded-Host or in a whole address, or the Host of its question.
func (p *Proxy) askedHost(r *http.Request) (string, error) {
	host, err := p.hostOf(r)
	if p.hosts == nil {
		return host, nil
	}
	full, twice := said(r, "X-Original-Url")
	if full == "" || twice != nil {
		return host, err
	}
	_, rest, _ := strings.Cut(full, "://")
	named, _, _ := strings.Cut(rest, "/")
	named = canonicalHost(p.public.Scheme, named)
	switch {
	case !p.hosts[named], err == nil && named != host, err != nil && r.Header["X-Forwarded-Host"] != nil:
		return "", errMisdirected()
	default:
		return named, nil
	}
}

// originalTarget is the path and query of the request in question, as it
// came.
func originalTarget(j *journey) (string, error) {
	r := j.in
	raw, err := said(r, "X-Original-Uri", "X-Forwarded-Uri")
	if err != nil {
		return "", err
	}
	if full, err := said(r, "X-Original-Url"); err != nil {
		return "", err
	} else if full != "" {
		_, rest, _ := strings.Cut(full, "://")
		slash := strings.IndexByte(rest, '/')
		if slash < 0 || raw != "" && raw != rest[slash:] {
			return "", fault.New(fault.Forbidden, "the proxy in front names two addresses, or none")
		}
		raw = rest[slash:]
	}
	if g := &j.passage; g.path != authPath { // Envoy
		behind := strings.TrimPrefix(g.path, authPath) + g.query
		if raw != "" && raw != behind {
			return "", fault.New(fault.Forbidden, "the proxy in front names two addresses")
		}
		raw = behind
	}
	if raw == "" || raw[0] != '/' {
		return "", fault.New(fault.Forbidden, "the proxy in front does not say which address is asked for")
	}
	return raw, nil
}

// said is the one value of a few headers that mean the same; empty if none
// is there.
func said(r *http.Request, names ...string) (string, error) {
	var value string
	for _, name := range names {
		for _, v := range r.Header[name] {
			if v == "" || value != "" && v != value {
				return "", fault.New(fault.Forbidden, "the proxy in front says %s in two ways", name)
			}
			value = v
		}
	}
	return value, nil
}

// pageFor reports whether a browser asked for a page, so that it can follow a
// redirect and come back.
func pageFor(r *http.Request, t *target) bool {
	return !t.upgrade && web.WantsPage(r) && (t.method == "" || t.method == http.MethodGet || t.method == http.MethodHead)
}
