package proxy

import (
	"net/http"
	"strings"

	"portcullis/fault"
	"portcullis/web"
)

// hostsOf is every host that requests may be for; nil where no route names
// one: then the Host header is not judged.
func (p *Proxy) hostsOf(routes []Route) map[string]bool {
	var hosts map[string]bool
	for _, r := range routes {
		for _, h := range r.Hosts {
			if hosts == nil {
				hosts = map[string]bool{p.home: true}
			}
			hosts[h] = true
		}
	}
	return hosts
}

// errMisdirected is the refusal of a request for another host.
func errMisdirected() error {
	return &web.Failure{Err: fault.New(fault.Invalid, "this address is not served here"), Status: http.StatusMisdirectedRequest}
}

// hostOf is the host that a request is for: the Host header, or what a trusted
// proxy says that it was. It fails, as a 421 (RFC 9110, section 15.5.20), for a
// host that no route names, and where the proxy contradicts a Host that is
// ours: one of the two may be the client's.
func (p *Proxy) hostOf(r *http.Request) (string, error) {
	if p.hosts == nil {
		return p.home, nil
	}
	host := canonicalHost(p.public.Scheme, r.Host)
	named, err := said(r, "X-Forwarded-Host") // gone unless from a trusted proxy
	if err != nil {
		return "", errMisdirected()
	}
	if named != "" {
		named = canonicalHost(p.public.Scheme, named)
		if p.hosts[host] && named != host {
			return "", errMisdirected()
		}
		host = named
	}
	if !p.hosts[host] {
		return "", errMisdirected()
	}
	return host, nil
}

// shared reports whether a path is the gate's own and answers at every host of
// ours, in words about that host.
func (p *Proxy) shared(path string) bool {
	return p.handOver != nil && (path == web.Prefix+"/whoami" || strings.HasPrefix(path, web.AssetPrefix))
}

// anyHost reports whether a path is the gate's own and has nothing to do with
// a host: other programs ask there, by whatever name they have for the gate.
func anyHost(path string) bool { return path == jwksPath || asks(path) }
