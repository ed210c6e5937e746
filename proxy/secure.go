package proxy

import "net/http"

const headerHSTS = "Strict-Transport-Security"

// dress adds to the portal's answer the security headers that it does not set
// itself, where the operator wants them.
func (p *Proxy) dress(h http.Header) {
	if !p.portalHeaders {
		return
	}
	for _, v := range [...]struct{ name, value string }{
		{headerHSTS, p.hsts},
		{"X-Content-Type-Options", "nosniff"},
		{"X-Frame-Options", "SAMEORIGIN"},
		{"Referrer-Policy", "strict-origin-when-cross-origin"},
	} {
		if _, set := h[v.name]; !set && v.value != "" {
			h[v.name] = []string{v.value}
		}
	}
}
