package main

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver is a collector: it takes OTLP over HTTP in its binary form.
type receiver struct {
	*httptest.Server

	mu      sync.Mutex
	spans   []*tracepb.Span
	process map[string]string // what is said of the gate
	raw     []byte            // everything that came
	problem string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{process: map[string]string{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		var data tracepb.TracesData
		switch {
		case err != nil:
			r.problem = err.Error()
		case req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" || req.Header.Get("Authorization") != "Api-Key of-this-test":
			r.problem = req.URL.Path + " " + req.Header.Get("Content-Type")
		case proto.Unmarshal(body, &data) != nil:
			r.problem = "no protobuf"
		}
		r.raw = append(r.raw, body...)
		for _, of := range data.ResourceSpans {
			for _, a := range of.Resource.Attributes {
				r.process[a.Key] = a.Value.GetStringValue()
			}
			for _, scope := range of.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(r.Close)
	return r
}

// attribute gives what a span says, as text.
func attribute(s *tracepb.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			if v, ok := a.Value.Value.(*commonpb.AnyValue_IntValue); ok {
				return strings.TrimSpace(http.StatusText(int(v.IntValue)))
			}
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// tree draws the spans of the request with a reference: each below the one
// that it is part of, alike ones once.
func (r *receiver) tree(reference string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	seen := map[string]bool{}
	var draw func(s *tracepb.Span, depth string)
	draw = func(s *tracepb.Span, depth string) {
		if line := depth + s.Name; !seen[line] {
			seen[line] = true
			out = append(out, line)
		}
		for _, child := range r.spans {
			if string(child.ParentSpanId) == string(s.SpanId) && string(child.TraceId) == string(s.TraceId) {
				draw(child, depth+"  ")
			}
		}
	}
	for _, s := range r.spans {
		if attribute(s, "portcullis.reference") == reference {
			draw(s, "")
		}
	}
	return out
}

func (r *receiver) root(reference string) *tracepb.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if attribute(s, "portcullis.reference") == reference {
			return s
		}
	}
	return &tracepb.Span{}
}

func (r *receiver) has(line string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if s.Name == line {
			return true
		}
	}
	return false
}

func (w *world) tracing(t *testing.T, more string) *receiver {
	t.Helper()
	r := newReceiver(t)
	w.write(t, "collector.secret", "Api-Key of-this-test")
	w.configure(t, "mapping: {file", more+"telemetry: {traces: {endpoint: \""+r.URL+"\", authorization_file: collector.secret}}\nmapping: {file")
	return r
}

func contains(lines []string, want ...string) bool {
	for _, w := range want {
		found := false
		for _, l := range lines {
			found = found || l == w
		}
		if !found {
			return false
		}
	}
	return true
}

// One proxied request, one sign-in and one push arrive at a collector as the
// trees that they are, and none of their secrets does.
func TestTracesOfEachHopArriveAtACollector(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	collector := w.tracing(t, "trusted_proxies: [127.0.0.1]\n")
	w.start(t)
	b := w.browser(t)
	b.mustSignIn(t, "ada")

	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.public+"/reports/quarter?card=4111-1111", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", parent)
	req.Header.Set("X-Forwarded-For", "192.0.2.77")
	page := b.do(t, req)
	p := w.pusher(t)
	p.user(t, "ada")

	eventually(t, "the spans arrive", patience, func() bool {
		return contains(collector.tree(page.reference), "GET portal", "  upstream") && collector.has("POST /scim/v2/{connection}/Users") &&
			collector.has("sign-in decision")
	})
	root := collector.root(page.reference)
	if got := hex.EncodeToString(root.TraceId) + " " + hex.EncodeToString(root.ParentSpanId); got != parent[3:35]+" "+parent[36:52] {
		t.Errorf("the request is part of %s, want of %s", got, parent)
	}
	if !strings.Contains(page.body, parent[3:35]) || strings.Contains(page.body, parent[36:52]) {
		t.Errorf("the portal was told %s", page.body)
	}
	if attribute(root, "http.response.status_code") != "OK" || attribute(root, "portcullis.room") != "portal" {
		t.Errorf("the span of the request says %v", root.Attributes)
	}
	var back *tracepb.Span
	for _, s := range collector.spans {
		if s.Name == "GET /.portcullis/oidc/{connection}/callback" && attribute(s, "portcullis.connection") == "alpha" {
			back = s
		}
	}
	linked := ""
	for _, s := range collector.spans {
		if len(back.GetLinks()) == 1 && string(back.Links[0].TraceId) == string(s.TraceId) && string(back.Links[0].SpanId) == string(s.SpanId) {
			linked = s.Name
		}
	}
	if linked != "GET /.portcullis/sign-in" {
		t.Errorf("the way back, %v, links to %q, want the way to the provider", back, linked)
	}
	if tree := collector.tree(attribute(back, "portcullis.reference")); !contains(tree, "  identity provider", "  database write", "  sign-in decision", "    database write") {
		t.Errorf("the sign-in was %q", tree)
	}
	if collector.process["service.name"] != "portcullis" || collector.process["service.instance.id"] == "" || collector.problem != "" {
		t.Errorf("the gate is %v, %s", collector.process, collector.problem)
	}
	collector.mu.Lock()
	defer collector.mu.Unlock()
	for _, secret := range []string{"quarter", "4111-1111", "ada@alpha", "code=", "state=", "pcs_", "sample-secret", "192.0.2.77", "eyJhb", "Bearer"} {
		if strings.Contains(string(collector.raw), secret) {
			t.Errorf("a trace holds %q", secret)
		}
	}
}

// A stranger's word on a trace is linked to and does not count, and without a
// collector nothing of it is touched.
func TestTracesOfStrangersAreTheirOwn(t *testing.T) {
	t.Parallel()
	const said = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ask := func(w *world) screen {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.public+"/public/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Traceparent", said)
		req.Header.Set("Tracestate", "vendor=1")
		return w.browser(t).do(t, req)
	}
	w := newWorld(t, terrain{})
	collector := w.tracing(t, "")
	gate := w.start(t)
	page := ask(w)
	gate.stop(t) // sends what is left
	root := collector.root(page.reference)
	if len(root.TraceId) == 0 || hex.EncodeToString(root.TraceId) == said[3:35] || len(root.ParentSpanId) > 0 {
		t.Errorf("a stranger's request is part of trace %x below %x", root.TraceId, root.ParentSpanId)
	}
	if len(root.Links) != 1 || hex.EncodeToString(root.Links[0].TraceId) != said[3:35] {
		t.Errorf("it links to %v", root.Links)
	}
	if !strings.Contains(page.body, hex.EncodeToString(root.TraceId)) || strings.Contains(page.body, "vendor=1") {
		t.Errorf("the portal was told %s", page.body)
	}

	plain := newWorld(t, terrain{})
	plain.start(t)
	if page := ask(plain); !strings.Contains(page.body, said) || !strings.Contains(page.body, "vendor=1") {
		t.Errorf("without a collector the portal was told %s", page.body)
	}
}

// A collector that is away costs a line in the log and nothing else.
func TestACollectorThatIsAwayHurtsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.tracing(t, "").Close()
	gate := w.start(t)
	b := w.browser(t)
	b.mustSignIn(t, "ada")
	events, socket := b.stream(t)
	for range 3 {
		if page := b.script(t, "/page"); page.status != http.StatusOK {
			t.Fatalf("a page = %d", page.status)
		}
	}
	gate.stop(t)
	<-events
	<-socket
	if n := strings.Count(w.log.String(), "traces cannot be sent"); n != 1 {
		t.Errorf("the log says %d times that traces get lost", n)
	}
}
