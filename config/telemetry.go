package config

import (
	"net/url"
	"strconv"
	"strings"
)

// Traces says where the gate sends OpenTelemetry traces.
type Traces struct {
	Endpoint      *url.URL // of a collector that takes OTLP over HTTP, without "/v1/traces"; nil: there are none
	Sample        float64  // the share of requests that are traced, above 0 and at most 1; defaults to 1
	Authorization Secret   // a whole Authorization header for the collector; empty sends none
}

// telemetry reads the traces. Nothing is sent where the file says nothing of
// them.
func (s section) telemetry() Traces {
	t := s.sub("telemetry", shape{keys: []string{"traces"}})
	if n := t.at; s.has("telemetry") && !t.absent && len(n.pairs) == 0 {
		t.missing("traces", "a mapping such as {endpoint: http://127.0.0.1:4318}")
	}
	if !t.has("traces") {
		return Traces{}
	}
	tr := t.sub("traces", shape{keys: []string{"endpoint", "sample", "authorization_file", "authorization_env"}})
	const want = "the address of a collector, such as http://127.0.0.1:4318"
	tr.missing("endpoint", want)
	return Traces{
		Endpoint: scalar(tr, "endpoint", want, nil, func(v string) (*url.URL, bool) {
			u, got := webURL(v)
			return u, got == "" && !strings.HasSuffix(u.Path, "/v1/traces")
		}),
		Sample: tr.share("sample"), Authorization: tr.secret("authorization_file", "authorization_env"),
	}
}

// share reads a number above 0 and at most 1, the default.
func (s section) share(k string) float64 {
	n := s.get(k)
	if n == nil {
		return 1
	}
	v, err := strconv.ParseFloat(n.text, 64)
	if n.kind != number || err != nil || !(v > 0 && v <= 1) {
		s.r.wrong(n, s.key(k), "a number above 0, at most 1")
		return 1
	}
	return v
}
