package telemetry

import (
	"bufio"
	"cmp"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"portcullis/web"
)

// Requests makes a span of each request of the public listener. It goes around
// everything.
//
// What a client says of a trace counts from a trusted proxy alone: the request
// then belongs to that trace, which also decides whether it is sent. Anybody
// else's is linked to, so that no stranger fills the collector.
func (t *Tracer) Requests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		place := t.place(r.URL.Path)
		ctx := r.Context()
		attributes := append(make([]attribute.KeyValue, 0, 8),
			attribute.String("http.request.method", method(r.Method)), attribute.String("portcullis.room", place.room))
		if place.route != "" {
			attributes = append(attributes, attribute.String("http.route", place.route))
		}
		if place.connection != "" {
			attributes = append(attributes, attribute.String("portcullis.connection", place.connection))
		}
		options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...)}
		said := propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
		switch remote := trace.SpanContextFromContext(said); {
		case t.trusts(r.RemoteAddr):
			ctx = said
		case remote.IsValid():
			options = append(options, trace.WithLinks(trace.Link{SpanContext: remote}))
		}
		ctx, span := t.tracer.Start(ctx, method(r.Method)+" "+cmp.Or(place.route, place.room), options...)
		answer := &writer{ResponseWriter: w}
		defer func() {
			// Also of a handler that panics: a portal that died in the middle.
			if answer.status != 0 {
				span.SetAttributes(attribute.Int("http.response.status_code", answer.status))
			}
			if answer.status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, "")
			}
			if answer.reference != "" {
				span.SetAttributes(attribute.String("portcullis.reference", answer.reference))
			}
			span.End()
		}()
		next.ServeHTTP(answer, r.WithContext(ctx))
	})
}

// trusts reports whether a peer is one of the trusted proxies.
func (t *Tracer) trusts(peer string) bool {
	at, err := netip.ParseAddrPort(peer)
	if err != nil {
		return false
	}
	address := at.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(t.trusted, func(p netip.Prefix) bool { return p.Contains(address) })
}

// place says where a request goes, in words of which there are few.
type place struct{ room, route, connection string }

// The steps of the gate's own paths that are always the same.
var (
	ownSteps = []string{ //nolint:gochecknoglobals // a table that nothing writes
		"assets", "jwks.json", "whoami", "auth", "sign-in", "sign-out", "test-sign-in", "oidc", "saml", "hand-over", "admin", "api",
		"callback", "backchannel-logout", "frontchannel-logout", "metadata", "acs", "slo",
	}
	pushSteps = []string{"Users", "Groups", "Bulk", "Me", "Schemas", "ResourceTypes", "ServiceProviderConfig", ".search", "oauth"} //nolint:gochecknoglobals // like ownSteps
)

// place finds the route of the gate's own paths and of SCIM. Of the portal's
// paths nothing is told: they may hold what no trace should.
func (t *Tracer) place(path string) place {
	if rest, ok := strings.CutPrefix(path, "/scim/v2/"); ok {
		connection, behind, _ := strings.Cut(rest, "/")
		route := []string{"/scim/v2/{connection}"}
		for i, step := range strings.SplitN(behind, "/", 3) {
			switch {
			case slices.Contains(pushSteps, step):
				route = append(route, step)
			case step != "" && i == 1:
				route = append(route, "{id}")
			case step != "":
				route = append(route, "…")
			}
		}
		return place{"scim", strings.Join(route, "/"), t.known(connection)}
	}
	rest, ok := strings.CutPrefix(path, web.Prefix)
	if !ok {
		return place{room: "portal"}
	}
	steps := strings.Split(strings.TrimPrefix(rest, "/"), "/")
	out := place{room: "gate"}
	switch steps[0] {
	case "auth":
		return place{room: "auth", route: web.Prefix + "/auth"}
	case "sign-in", "oidc", "saml", "sign-out", "test-sign-in", "hand-over":
		out.room = "sign-in"
	}
	out.route = web.Prefix
	for i, step := range steps[:min(len(steps), 3)] {
		switch {
		case i == 1 && (steps[0] == "oidc" || steps[0] == "saml" || steps[0] == "sign-in"):
			out.route, out.connection = out.route+"/{connection}", t.known(step)
		case slices.Contains(ownSteps, step):
			out.route += "/" + step
		default:
			out.route += "/…"
		}
	}
	return out
}

// method is one of the usual methods, or "_OTHER": anybody may send any.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return name
	default:
		return "_OTHER"
	}
}

// writer notes the status and the reference of an answer as they go out, and
// can do whatever the one below can.
type writer struct {
	http.ResponseWriter

	status    int
	reference string
}

// Unwrap lets [http.ResponseController] reach the writer below.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader begins the answer; an informational one is not the answer.
func (w *writer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.begin(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes of the body.
func (w *writer) Write(b []byte) (int, error) {
	w.begin(http.StatusOK)
	return w.ResponseWriter.Write(b)
}

// ReadFrom lets a file go out without a copy.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	w.begin(http.StatusOK)
	return io.Copy(w.ResponseWriter, r)
}

func (w *writer) begin(status int) {
	if w.status == 0 {
		w.status, w.reference = status, w.Header().Get(web.ReferenceHeader)
	}
}

// Flush sends what has been written.
func (w *writer) Flush() {
	w.begin(http.StatusOK)
	_ = http.NewResponseController(w.ResponseWriter).Flush() // a writer that cannot flush has nothing to keep back
}

// Hijack hands over the connection of a WebSocket, whose answer is 101.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.begin(http.StatusSwitchingProtocols)
	}
	return conn, rw, err
}
