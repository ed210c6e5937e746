package web

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/netip"
)

// ReferenceHeader is the response header that carries the reference of a
// request. A reference that a client sends is never taken over.
const ReferenceHeader = "X-Portcullis-Reference"

// visit is what is known of a request before anything is judged.
type visit struct {
	reference string
	client    string
	trusted   bool
}

type visitKey struct{}

// References gives each request its reference, in its context and as a
// response header, and settles the client's address: X-Forwarded-For counts
// when the peer is one of the trusted proxies. It goes around everything.
func References(next http.Handler, trusted ...netip.Prefix) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{reference: NewReference()}
		v.client, v.trusted = clientOf(r, trusted)
		w.Header().Set(ReferenceHeader, v.reference)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, v)))
	})
}

// NewReference makes a reference: 60 random bits as twelve characters that
// are hard to confuse when read aloud.
func NewReference() string { return rand.Text()[:12] }

// Reference is the reference of the request whose context this is, and empty
// outside of [References]. It stands in the log, on the error page and in the
// login trace.
func Reference(ctx context.Context) string {
	if v, ok := ctx.Value(visitKey{}).(*visit); ok {
		return v.reference
	}
	return ""
}

// ClientAddress is the address of the client without its port: the peer, or
// whom trusted proxies name, see [References]. It is empty when the peer has
// no address, as on a Unix socket.
func ClientAddress(r *http.Request) string {
	if v, ok := r.Context().Value(visitKey{}).(*visit); ok {
		return v.client
	}
	client, _ := clientOf(r, nil)
	return client
}

// FromTrustedProxy reports whether the peer is one of the trusted proxies, so
// that its word on the original request counts.
func FromTrustedProxy(r *http.Request) bool {
	v, ok := r.Context().Value(visitKey{}).(*visit)
	return ok && v.trusted
}
