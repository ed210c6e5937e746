package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientOf finds the client's address, and whether the peer is trusted.
// X-Forwarded-For is read from the right, the side that our proxies write:
// the first address that is not a trusted proxy is the client. Whatever
// stands left of that, or of something unreadable, anybody may have written.
func clientOf(r *http.Request, trusted []netip.Prefix) (client string, fromProxy bool) {
	peer, ok := parseAddress(r.RemoteAddr)
	if !ok {
		return "", false
	}
	if !contains(trusted, peer) {
		return textOf(peer, r.RemoteAddr), false
	}
	if len(r.Header["X-Forwarded-For"]) == 0 {
		return textOf(peer, r.RemoteAddr), true
	}
	best := peer
	for _, line := range slices.Backward(r.Header["X-Forwarded-For"]) {
		for _, entry := range slices.Backward(strings.Split(line, ",")) {
			addr, ok := parseAddress(strings.TrimSpace(entry))
			if !ok {
				return best.String(), true
			}
			best = addr
			if !contains(trusted, addr) {
				return best.String(), true
			}
		}
	}
	return best.String(), true
}

// textOf is the text of an address that was read from s: a part of s for most,
// for every request asks.
func textOf(addr netip.Addr, s string) string {
	if host, _, ok := strings.Cut(s, ":"); ok && addr.Is4() && s[0] != '[' {
		return host
	}
	return addr.String()
}

// parseAddress reads an address with or without a port, brackets and zone.
func parseAddress(s string) (netip.Addr, bool) {
	if strings.Count(s, ":") == 1 { // what net/http says of most peers
		if ap, err := netip.ParseAddrPort(s); err == nil {
			return ap.Addr().Unmap().WithZone(""), true
		}
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			inner, ok := strings.CutPrefix(s, "[")
			inner, closed := strings.CutSuffix(inner, "]")
			if addr, err = netip.ParseAddr(inner); !ok || !closed || err != nil {
				return netip.Addr{}, false
			}
			return addr.Unmap().WithZone(""), true
		}
		addr = ap.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

// PeerWithin reports whether whoever sent a request to the gate, a proxy or the
// client itself, has one of some addresses.
func PeerWithin(r *http.Request, prefixes []netip.Prefix) bool {
	peer, ok := parseAddress(r.RemoteAddr)
	return ok && contains(prefixes, peer)
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Source is what counts as one address where requests are counted: of IPv6
// the network of 64 bits, which one customer has to themselves. It is the zero
// Addr for what is no address.
func Source(address string) netip.Addr {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Addr{}
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
