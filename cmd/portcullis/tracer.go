package main

import (
	"context"
	"log/slog"
	"net/http"

	"portcullis/config"
	"portcullis/directory"
	"portcullis/login"
	"portcullis/outbound"
	"portcullis/proxy"
	"portcullis/telemetry"
)

// newTracer gives what sends OpenTelemetry traces, nil where the
// configuration names no collector: then no room is given a hook, and no
// request pays for any.
func newTracer(ctx context.Context, cfg *config.Config, log *slog.Logger) (*telemetry.Tracer, error) {
	if cfg.Traces.Endpoint == nil {
		return nil, nil //nolint:nilnil // nobody wants one
	}
	number, _ := version()
	return telemetry.New(ctx, telemetry.Config{
		Endpoint: cfg.Traces.Endpoint, Authorization: cfg.Traces.Authorization.Reveal(), Sample: cfg.Traces.Sample,
		Version: number, Instance: replica(cfg), Connections: connectionIDs(cfg), Log: log,
	})
}

// closeTracer sends what is left of traces once nothing runs any more.
func closeTracer(ctx context.Context, t *telemetry.Tracer) error {
	if t == nil {
		return nil
	}
	return t.Close(context.WithoutCancel(ctx))
}

// queries is what the store tells of transactions.
func queries(t *telemetry.Tracer) func(context.Context, string) func(error) {
	if t == nil {
		return nil
	}
	return t.Query
}

// hops lets traces follow a request: around the listener, to the portal, and
// to identity providers.
func hops(c *proxy.Config, t *telemetry.Tracer) {
	if t == nil {
		return
	}
	c.Via = t.Upstream
	c.Around = func(next http.Handler) http.Handler {
		return t.Requests(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(outbound.Via(r.Context(), t.Provider)))
		}))
	}
}

// entrance is the decision about who may enter, with a span of its own.
func entrance(d login.Directory, t *telemetry.Tracer) login.Directory {
	if t == nil {
		return d
	}
	return tracedEntrance{d, t}
}

type tracedEntrance struct {
	login.Directory

	tracer *telemetry.Tracer
}

func (e tracedEntrance) SignIn(ctx context.Context, a directory.Assertion, reference string) (in directory.SignedIn, err error) {
	ctx, told := e.tracer.Step(ctx, "sign-in decision")
	defer func() { told(err) }()
	return e.Directory.SignIn(ctx, a, reference)
}
