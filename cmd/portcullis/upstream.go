package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"portcullis/config"
	"portcullis/count"
	"portcullis/proxy"
	"portcullis/session"
)

// portals is what the public listener needs to know of the portals, and of
// proxies in front.
func portals(c *proxy.Config, cfg *config.Config, log *slog.Logger) (err error) {
	if c.Upstream, err = upstream(cfg.Upstream, log); err != nil {
		return err
	}
	if c.Routes, err = routes(cfg, log); err != nil {
		return err
	}
	c.Limits = proxy.Limits{
		PerAddress: cfg.Limits.PerAddress.PerSecond, PerAccount: cfg.Limits.PerAccount.PerSecond, PerConnection: cfg.Limits.PerConnection.PerSecond,
	}
	c.TrustedProxies, c.Askers = cfg.TrustedProxies, cfg.ForwardAuth
	c.MaxBody, c.HSTS, c.PortalHeaders = cfg.Limits.Body, cfg.SecurityHeaders.HSTS, cfg.SecurityHeaders.Portal
	return nil
}

func routes(cfg *config.Config, log *slog.Logger) (out []proxy.Route, err error) {
	for _, r := range cfg.Routes {
		route := proxy.Route{
			Path: r.Path, Hosts: r.Hosts, Methods: r.Methods, Public: r.Public,
			Roles: r.Require.Roles, Tasks: r.Require.Tasks, Connections: r.Require.Connections, Organizations: r.Require.Organizations,
			Addresses: r.Require.Addresses, Demand: session.Demand{ACR: r.Require.ACR, MaxAge: r.Require.MaxAge},
			EncodedSlash: r.EncodedSlash, Semicolon: r.Semicolon, Headers: proxy.Headers(r.Headers), MaxBody: r.MaxBody,
		}
		if r.Upstream != nil {
			up, err := upstream(*r.Upstream, log)
			if err != nil {
				return nil, err
			}
			route.Upstream = &up
		}
		out = append(out, route)
	}
	return out, nil
}

// upstream makes ready a portal behind the gate. It fails for TLS files that
// are not there, or not right.
func upstream(u config.Upstream, log *slog.Logger) (proxy.Upstream, error) {
	out := proxy.Upstream{URL: u.URL, Audience: u.Audience, AnswerWithin: u.AnswerWithin, Health: u.Health}
	if u.TLS == nil {
		return out, nil
	}
	var own *proxy.Certificate
	var roots *proxy.Authorities
	if u.TLS.CertFile != "" {
		var err error
		if own, err = certificate(u.TLS.CertFile, u.TLS.KeyFile, log); err != nil {
			return out, err
		}
	}
	if u.TLS.CAFile != "" {
		var err error
		if roots, err = proxy.LoadAuthorities(u.TLS.CAFile, time.Now, log); err != nil { //nolint:forbidigo // the clock of the process
			return out, err
		}
	}
	out.TLS = own.Client(cmp.Or(u.TLS.ServerName, u.URL.Hostname()), roots)
	return out, nil
}

func certificate(certFile, keyFile string, log *slog.Logger) (*proxy.Certificate, error) {
	return proxy.LoadCertificate(certFile, keyFile, time.Now, log) //nolint:forbidigo // the clock of the process
}

// examineUpstreams looks at every portal behind the gate.
func examineUpstreams(ctx context.Context, cfg *config.Config, now time.Time) (found []diagnosis) {
	list := []config.Upstream{cfg.Upstream}
	for _, r := range cfg.Routes {
		if r.Upstream != nil {
			list = append(list, *r.Upstream)
		}
	}
	for _, u := range list {
		if d := examineUpstream(ctx, u, now); !slices.Contains(found, d) {
			found = append(found, d)
		}
	}
	return found
}

// examineUpstream opens a connection to a portal, and asks it for its health
// where the configuration names a path for that.
func examineUpstream(ctx context.Context, c config.Upstream, now time.Time) diagnosis {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d := diagnosis{"upstream", "broken", c.URL.String()}
	fail := func(err error) diagnosis {
		d.Detail += ": " + err.Error()
		return d
	}
	u, err := upstream(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return fail(err)
	}
	conn, err := dialUpstream(ctx, u)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = conn.Close() }() // nothing was written
	if t, ok := conn.(*tls.Conn); ok {
		ends := t.ConnectionState().PeerCertificates[0].NotAfter
		if d.Detail += ", certificate for " + count.Days(days(ends, now)); ends.Sub(now) < soon {
			d.Status = "warning"
		}
	}
	if u.Health != "" {
		status, err := health(ctx, u)
		if err != nil {
			d.Status = "broken"
			return fail(err)
		}
		d.Detail += ", " + u.Health + " answers " + status
	}
	if d.Status == "broken" {
		d.Status = "fine"
	}
	return d
}

func dialUpstream(ctx context.Context, u proxy.Upstream) (net.Conn, error) {
	host, port := u.URL.Host, "80"
	if u.URL.Scheme == "https" {
		port = "443"
	}
	if u.URL.Port() == "" {
		host = net.JoinHostPort(u.URL.Hostname(), port)
	}
	if u.URL.Scheme == "https" {
		return (&tls.Dialer{Config: u.TLS}).DialContext(ctx, "tcp", host)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", host)
}

// health asks a portal for its health.
func health(ctx context.Context, u proxy.Upstream) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.URL.String()+u.Health, nil)
	if err != nil {
		return "", err
	}
	transport := &http.Transport{TLSClientConfig: u.TLS, DisableKeepAlives: true}
	res, err := transport.RoundTrip(r)
	if err != nil {
		return "", err
	}
	_ = res.Body.Close() // the status says it all
	if res.StatusCode >= http.StatusBadRequest {
		return "", fmt.Errorf("%s answers %s", u.Health, res.Status)
	}
	return res.Status, nil
}

// examineTLS looks at the certificate of the public listener.
func examineTLS(cfg *config.Config, now time.Time) []diagnosis {
	if cfg.TLS == nil {
		return nil
	}
	c, err := certificate(cfg.TLS.CertFile, cfg.TLS.KeyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		return []diagnosis{{"tls", "broken", err.Error()}}
	}
	left := days(c.Expires(), now)
	d := diagnosis{"tls", "fine", fmt.Sprintf("%s, %s left", cfg.TLS.CertFile, count.Days(left))}
	switch {
	case !now.Before(c.Expires()):
		d.Status = "broken"
	case c.Expires().Sub(now) < soon:
		d.Status = "warning"
	}
	return []diagnosis{d}
}

// days is how many whole days are left until an end.
func days(end, now time.Time) int { return int(end.Sub(now).Hours() / 24) }
