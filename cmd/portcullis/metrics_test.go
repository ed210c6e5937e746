package main

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"portcullis/proxy"
)

// metricNames gives every metric that a gate can have.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	m := newMetrics(nil)
	m.watch(&gate{certificate: &proxy.Certificate{}})
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		m.registry.Describe(descs)
	}()
	out := map[string]bool{}
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	for d := range descs {
		out[name.FindStringSubmatch(d.String())[1]] = true
	}
	return out
}

func TestEveryMetricIsExplainedForOperators(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var told, want []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(portcullis_[a-z_]+)").FindAllStringSubmatch(string(text), -1) {
		told = append(told, m[1])
	}
	for name := range metricNames(t) {
		if strings.HasPrefix(name, "portcullis_") {
			want = append(want, name)
		}
	}
	slices.Sort(told)
	slices.Sort(want)
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("docs/operations.md and the metrics differ (-metrics +page):\n%s", diff)
	}
}

func TestTheDashboardShowsEveryMetricAndNoOther(t *testing.T) {
	text, err := os.ReadFile("../../docs/grafana/portcullis.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title  string
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	known, asked := metricNames(t), map[string]bool{}
	for _, p := range board.Panels {
		for _, q := range p.Targets {
			for _, name := range regexp.MustCompile(`\b(portcullis|process|go)_[a-z_]+`).FindAllString(q.Expr, -1) {
				base := strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count") // of a histogram
				asked[name], asked[base] = true, true
				if !known[name] && !known[base] {
					t.Errorf("%s asks for %s, which there is not", p.Title, name)
				}
			}
		}
	}
	for name := range known {
		if strings.HasPrefix(name, "portcullis_") && !asked[name] {
			t.Errorf("the dashboard %q does not show %s", board.Title, name)
		}
	}
}

// What people, their directory and the command line do is counted where an
// operator looks for it.
func TestMetricsFollowALife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.start(t)
	b := w.browser(t)
	b.mustSignIn(t, "ada")
	b.open(t, "/page")
	events := b.events(t)
	for name, want := range map[string]string{
		`portcullis_sign_ins_total{connection="alpha",outcome="signed in"}`: "1",
		`portcullis_assertion_signings_total{result="signed"}`:              "1",
		`portcullis_streams_open`:                                           "1",
		`portcullis_sessions_cached`:                                        "1",
		`portcullis_feed_trusted`:                                           "1",
		`portcullis_upstream_response_seconds_count{code="2xx"}`:            "3",
	} {
		eventually(t, name, patience, func() bool { return w.counted(name) == want })
	}
	p := w.pusher(t)
	id := p.user(t, "ada")
	p.active(t, id, "False")
	<-events
	w.browser(t).script(t, "/.portcullis/auth")
	if status, _ := fetch(w.public + "/scim/v2/nowhere/Users"); status != http.StatusUnauthorized {
		t.Errorf("SCIM at no connection = %d", status)
	}
	w.browser(t).mustSignIn(t, "ben")
	w.cli(t, exitFine, "user", "lock", "alpha-ben")
	for name, want := range map[string]string{
		`portcullis_scim_requests_total{code="201",connection="alpha"}`:          "1",
		`portcullis_scim_requests_total{code="401",connection="other"}`:          "1",
		`portcullis_audit_events_total{action="sign-in"}`:                        "2",
		`portcullis_sessions_ended_total{cause="person.deactivated"}`:            "1",
		`portcullis_sessions_ended_total{cause="person.locked"}`:                 "1",
		`portcullis_streams_open`:                                                "0",
		`portcullis_http_request_duration_seconds_count{code="401",room="auth"}`: "1",
		`portcullis_http_request_duration_seconds_count{code="401",room="scim"}`: "1",
	} {
		eventually(t, name+" "+want, patience, func() bool { return w.counted(name) == want })
	}
}

// counted reads a number of /metrics; empty if it is not there.
func (w *world) counted(name string) string {
	_, body := fetch(w.ops + "/metrics")
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
