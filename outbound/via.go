package outbound

import (
	"context"
	"net/http"
)

type viaKey struct{}

// Via lets every request that is made under the context it gives go through a
// transport that is made of the client's own, such as one that takes the time.
func Via(ctx context.Context, through func(http.RoundTripper) http.RoundTripper) context.Context {
	return context.WithValue(ctx, viaKey{}, through)
}

// detour goes where [Via] says.
type detour struct{ next http.RoundTripper }

// RoundTrip asks the identity provider.
func (d detour) RoundTrip(r *http.Request) (*http.Response, error) {
	if through, ok := r.Context().Value(viaKey{}).(func(http.RoundTripper) http.RoundTripper); ok {
		return through(d.next).RoundTrip(r)
	}
	return d.next.RoundTrip(r)
}

// CloseIdleConnections hands on what http.Client asks for.
func (d detour) CloseIdleConnections() {
	if c, ok := d.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
