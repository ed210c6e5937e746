// Package telemetry sends OpenTelemetry traces: what happened to one request
// at each hop, from the public listener over the database and the identity
// provider to the portal.
//
// A span says how long something took and how it ended, and nothing else
// about anybody: no path of the portal, no query, no name, no address of a
// client, no header. The reference of the request is in its first span; it
// leads to the log, the audit trail and the trace of a sign-in.
//
// The package makes no metrics. Without a [Tracer] nothing of it runs: the
// other rooms offer hooks, which are nil then.
package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"portcullis/fault"
)

// Config says where traces go.
type Config struct {
	Endpoint      *url.URL       // required: of a collector that takes OTLP over HTTP; "/v1/traces" is put behind its path
	Authorization string         // sent to the collector as the header of that name; empty sends none
	Sample        float64        // the share of requests that are traced, above 0 and at most 1; defaults to 1
	Version       string         // of the program
	Instance      string         // which of the replicas this is
	Connections   []string       // ids that may stand in a span; any other is "other"
	Trusted       []netip.Prefix // proxies whose word on a trace counts
	Log           *slog.Logger
}

// Tracer makes spans and sends them. It is safe for concurrent use. Whoever is
// done with it calls [Tracer.Close].
type Tracer struct {
	provider    *sdk.TracerProvider
	tracer      trace.Tracer
	connections map[string]bool
	trusted     []netip.Prefix
}

// What is kept for a collector that is slow, and how long it may take. More
// than that is dropped: no request ever waits for a collector.
const (
	queue     = 2048
	batch     = 512
	sendEvery = 2 * time.Second
	sendLimit = 5 * time.Second
)

// New makes a Tracer. A collector that cannot be reached is no error: the log
// says so once.
func New(ctx context.Context, c Config) (*Tracer, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Sample <= 0 || c.Sample > 1 {
		c.Sample = 1
	}
	exporter, err := otlptrace.New(ctx, newCollector(c))
	if err != nil {
		return nil, err
	}
	described := resource.NewSchemaless(
		attribute.String("service.name", "portcullis"),
		attribute.String("service.version", c.Version),
		attribute.String("service.instance.id", c.Instance),
	)
	provider := sdk.NewTracerProvider(
		sdk.WithResource(described),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(c.Sample))),
		sdk.WithRawSpanLimits(sdk.SpanLimits{
			AttributeValueLengthLimit: 256, AttributeCountLimit: 16, EventCountLimit: 1, LinkCountLimit: 2, // a stranger's trace, and the way to the identity provider
			AttributePerEventCountLimit: 1, AttributePerLinkCountLimit: 1,
		}),
		sdk.WithBatcher(&told{SpanExporter: exporter, log: c.Log},
			sdk.WithMaxQueueSize(queue), sdk.WithMaxExportBatchSize(batch), sdk.WithBatchTimeout(sendEvery), sdk.WithExportTimeout(sendLimit)),
	)
	t := &Tracer{provider: provider, tracer: provider.Tracer("portcullis"), connections: make(map[string]bool), trusted: c.Trusted}
	for _, id := range c.Connections {
		t.connections[id] = true
	}
	return t, nil
}

// Close sends what is left, and stops. A collector that does not take it loses
// it.
func (t *Tracer) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	err := t.provider.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// known gives a connection of the configuration, or "other": spans, too, take
// no value that a stranger chooses.
func (t *Tracer) known(connection string) string {
	if t.connections[connection] {
		return connection
	}
	return "other"
}

// Step begins a span within the one of ctx, and ends it with what came of it.
// Where ctx has none, as in background work, nothing is recorded.
func (t *Tracer) Step(ctx context.Context, name string) (context.Context, func(error)) {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, func(error) {}
	}
	ctx, span := t.tracer.Start(ctx, name)
	return ctx, func(err error) {
		ended(span, err)
		span.End()
	}
}

// Query is [Tracer.Step] for a transaction of the database, which nothing
// happens within.
func (t *Tracer) Query(ctx context.Context, kind string) func(error) {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return func(error) {}
	}
	_, span := t.tracer.Start(ctx, "database "+kind, trace.WithSpanKind(trace.SpanKindClient))
	return func(err error) {
		ended(span, err)
		span.End()
	}
}

// markSize is a trace's id and a span's.
const markSize = 16 + 8

// Mark names the span of ctx for [Tracer.Follow] of another request, in 24
// bytes; nil where nothing is recorded.
func (t *Tracer) Mark(ctx context.Context) []byte {
	s := trace.SpanContextFromContext(ctx)
	if !s.IsSampled() {
		return nil
	}
	of, span := s.TraceID(), s.SpanID()
	return append(of[:], span[:]...)
}

// Follow links the span of ctx to the one that a mark names. A mark of another
// shape is none.
func (t *Tracer) Follow(ctx context.Context, mark []byte) {
	if len(mark) != markSize {
		return
	}
	before := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(mark[:16]), SpanID: trace.SpanID(mark[16:]), TraceFlags: trace.FlagsSampled, Remote: true,
	})
	trace.SpanFromContext(ctx).AddLink(trace.Link{SpanContext: before})
}

// ended notes how something ended: by the kind of its fault, never by its
// words.
func ended(span trace.Span, err error) {
	if err == nil {
		return
	}
	kind := fault.KindOf(err)
	span.SetAttributes(attribute.String("error.type", kind.String()))
	if kind == fault.Unavailable || kind == fault.Internal {
		span.SetStatus(codes.Error, "")
	}
}

// Upstream is a transport to the portal that tells it which trace a request
// belongs to (W3C Trace Context), and takes the time until its answer begins.
func (t *Tracer) Upstream(next http.RoundTripper) http.RoundTripper {
	return hop{next, t, "upstream", true}
}

// Provider is a transport to an identity provider: it takes the time, and
// tells nobody outside of any trace.
func (t *Tracer) Provider(next http.RoundTripper) http.RoundTripper {
	return hop{next, t, "identity provider", false}
}

// hop is a transport under observation.
type hop struct {
	http.RoundTripper

	t    *Tracer
	name string
	tell bool
}

// RoundTrip asks the other side.
func (h hop) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := h.t.tracer.Start(r.Context(), h.name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", method(r.Method)), attribute.String("server.address", r.URL.Host),
	))
	defer span.End()
	r = r.WithContext(ctx)
	if h.tell {
		r.Header = r.Header.Clone()
		r.Header.Del("Traceparent")
		r.Header.Del("Tracestate")
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
	}
	res, err := h.RoundTripper.RoundTrip(r)
	if err != nil {
		span.SetAttributes(attribute.String("error.type", "no answer"))
		span.SetStatus(codes.Error, "")
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", res.StatusCode))
	if res.StatusCode >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	return res, nil
}
