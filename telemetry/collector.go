package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector takes spans over OTLP/HTTP in its binary form. The exporter that
// comes with OpenTelemetry does the same and brings along all of gRPC.
type collector struct {
	url           string
	authorization string
	http          *http.Client
}

func newCollector(c Config) *collector {
	return &collector{
		url: strings.TrimSuffix(c.Endpoint.String(), "/") + "/v1/traces", authorization: c.Authorization,
		http: &http.Client{
			Timeout: sendLimit, Transport: &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: 2 * sendEvery},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Start does nothing: connections are made when there is something to say.
func (c *collector) Start(context.Context) error { return nil }

// Stop drops the connection.
func (c *collector) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces sends spans. TracesData is on the wire what the request of the
// protocol is (ExportTraceServiceRequest): one list, with the same number.
func (c *collector) UploadTraces(ctx context.Context, spans []*wire.ResourceSpans) error {
	body, err := proto.Marshal(&wire.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	if c.authorization != "" {
		r.Header.Set("Authorization", c.authorization)
	}
	res, err := c.http.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
	_ = res.Body.Close() // it was read
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("the collector answers %s", res.Status)
	}
	return err
}

// told says in the log, once, that spans get lost, and that they do not any
// more. Nothing else hears of it.
type told struct {
	sdk.SpanExporter

	log    *slog.Logger
	broken atomic.Bool
}

// ExportSpans sends spans and never fails.
func (t *told) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := t.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !t.broken.Swap(true):
		t.log.WarnContext(ctx, "traces cannot be sent", "error", err)
	case err == nil && t.broken.Swap(false):
		t.log.InfoContext(ctx, "traces are sent again")
	}
	return nil
}
