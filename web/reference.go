package web

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync/atomic"

	"portcullis/language"
)

// ReferenceHeader is the response header that carries the reference of a
// request. A reference that a client sends is never taken over.
const ReferenceHeader = "X-Portcullis-Reference"

// Visit is what is known of a request before anything is judged: its
// reference, its client, and whether the peer's word counts. It is the
// context of the request as well, in which [Reference], [ClientAddress] and
// [FromTrustedProxy] find it. [Visit.Begin] makes it ready; from then on it does
// not change but by [ReadByNobody], and is safe for concurrent use.
type Visit struct {
	context.Context

	reference string
	client    string
	trusted   bool
	reader    Reader
	nobodys   atomic.Bool // see ReadByNobody
}

// Reader is whoever asks, as far as pages for them need to know.
type Reader interface {
	// Language is the tag of the language that they chose for themselves. It is
	// empty for nobody in particular, and where nothing was chosen.
	Language() string
}

// ReadBy says who asks. It is called before the request is served, if at all.
func (v *Visit) ReadBy(r Reader) { v.reader = r }

// ReadByNobody notes that the cookies of a request were looked up, and are
// nobody's as far as anybody knows. A page for it does not ask for its reader
// again: whoever sends many cookies has the store asked once for each.
func ReadByNobody(ctx context.Context) {
	if v, ok := ctx.Value(visitKey{}).(*Visit); ok {
		v.nobodys.Store(true)
	}
}

// Language gives the language of whoever asks: the one that they chose, else what
// their browser accepts, else English. Where it is the browser's, the answer is
// told to vary with it.
func Language(w http.ResponseWriter, r *http.Request) *language.Language {
	if v, ok := r.Context().Value(visitKey{}).(*Visit); ok && v.reader != nil && !v.nobodys.Load() {
		if l := language.Named(v.reader.Language()); l != nil {
			return l
		}
	}
	return BrowserLanguage(w, r)
}

// BrowserLanguage is [Language] for nobody in particular.
func BrowserLanguage(w http.ResponseWriter, r *http.Request) *language.Language {
	w.Header().Add("Vary", "Accept-Language")
	return language.Accepted(r.Header["Accept-Language"])
}

type visitKey struct{}

// Begin gives a request its reference and settles the client's address:
// X-Forwarded-For counts when the peer is one of the trusted proxies. The
// context of the request becomes the parent of the visit.
func (v *Visit) Begin(r *http.Request, trusted []netip.Prefix) {
	v.Context, v.reference = r.Context(), NewReference()
	v.client, v.trusted = clientOf(r, trusted)
}

// Value gives the visit itself, or what its parent has.
func (v *Visit) Value(key any) any {
	if key == (visitKey{}) {
		return v
	}
	return v.Context.Value(key)
}

// Reference is the reference of the request.
func (v *Visit) Reference() string { return v.reference }

// Client is the address of the client without its port: the peer, or whom
// trusted proxies name. It is empty when the peer has no address, as on a Unix
// socket.
func (v *Visit) Client() string { return v.client }

// Trusted reports whether the peer is one of the trusted proxies, so that its
// word on the original request counts.
func (v *Visit) Trusted() bool { return v.trusted }

// References gives each request its reference, in its context and as a
// response header, and settles the client's address, see [Visit]. It goes
// around everything.
func References(next http.Handler, trusted ...netip.Prefix) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := new(Visit)
		v.Begin(r, trusted)
		w.Header().Set(ReferenceHeader, v.reference)
		next.ServeHTTP(w, r.WithContext(v)) //nolint:contextcheck // the visit is r's context, and more
	})
}

// NewReference makes a reference: 60 random bits as twelve characters that
// are hard to confuse when read aloud.
func NewReference() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" // of base32 (RFC 4648, section 6)
	var b [12]byte
	bits := rand.Uint64() //nolint:gosec // it tells one request from another, and protects nothing
	for i := range b {
		b[i] = letters[bits&31]
		bits >>= 5
	}
	return string(b[:])
}

// Reference is the reference of the request whose context this is, and empty
// outside of a [Visit]. It stands in the log, on the error page and in the
// login trace.
func Reference(ctx context.Context) string {
	if v, ok := ctx.Value(visitKey{}).(*Visit); ok {
		return v.reference
	}
	return ""
}

// ClientAddress is the address of the client of a request, see
// [Visit.Client].
func ClientAddress(r *http.Request) string {
	if v, ok := r.Context().Value(visitKey{}).(*Visit); ok {
		return v.client
	}
	client, _ := clientOf(r, nil)
	return client
}

// FromTrustedProxy reports whether the peer is one of the trusted proxies, so
// that its word on the original request counts.
func FromTrustedProxy(r *http.Request) bool {
	v, ok := r.Context().Value(visitKey{}).(*Visit)
	return ok && v.trusted
}
