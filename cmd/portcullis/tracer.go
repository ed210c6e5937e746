package main

import (
	"context"
	"log/slog"
	"net/http"

	"portcullis/config"
	"portcullis/directory"
	"portcullis/login"
	"portcullis/outbound"
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
		Version: number, Instance: replica(cfg), Connections: connectionIDs(cfg), Trusted: cfg.TrustedProxies, Log: log,
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

// around lets traces begin at the public listener, and follow requests to
// identity providers.
func around(h http.Handler, t *telemetry.Tracer) http.Handler {
	if t == nil {
		return h
	}
	return t.Requests(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(outbound.Via(r.Context(), t.Provider)))
	}))
}

// via lets traces follow requests to the portal.
func via(t *telemetry.Tracer) func(http.RoundTripper) http.RoundTripper {
	if t == nil {
		return nil
	}
	return t.Upstream
}

// thread ties the two requests of a sign-in together in traces.
func thread(t *telemetry.Tracer) login.Thread {
	if t == nil {
		return nil
	}
	return t
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
