package main

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/login"
	"portcullis/proxy"
	"portcullis/trace"
)

// metrics is what the gate counts of its hops. No label takes a value that a
// stranger chooses: connections are those of the configuration.
//
// docs/operations.md says what each of them means; a test compares.
type metrics struct {
	registry    *prometheus.Registry
	connections atomic.Pointer[map[string]bool]
	requests    *prometheus.HistogramVec
	answers     *byStatus // of portals
	signIns     *prometheus.CounterVec
	pushes      *prometheus.CounterVec
	signings    *prometheus.CounterVec
	events      *prometheus.CounterVec
	ended       *prometheus.CounterVec
}

func newMetrics(connections []string) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.setConnections(connections)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: []float64{.001, .005, .02, .1, .5, 2, 10}}, labels)
		m.registry.MustRegister(h)
		return h
	}
	m.requests = histogram("portcullis_http_request_duration_seconds", "Requests on the public listener, by room and status.", "room", "code")
	m.answers = newByStatus(histogram("portcullis_upstream_response_seconds", "Time until the portal began its answer, by class of status; error for no answer.", "code"), classOf)
	m.signIns = counter("portcullis_sign_ins_total", "Attempts to sign in, by connection and outcome.", "connection", "outcome")
	m.pushes = counter("portcullis_scim_requests_total", "SCIM requests, by connection and status.", "connection", "code")
	m.signings = counter("portcullis_assertion_signings_total", "Assertions that were signed for the portal, by result.", "result")
	m.events = counter("portcullis_audit_events_total", "Audit events that this gate sealed, by action. Each event is counted at one gate.", "action")
	m.ended = counter("portcullis_sessions_ended_total", "Sessions that were ended, by the action that did. Each is counted at one gate.", "cause")
	number, commit := version()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "portcullis_build_info", Help: "Always 1; what was built.",
		ConstLabels: prometheus.Labels{"version": number, "revision": commit},
	})
	build.Set(1)
	m.registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// setConnections says which connections are known from now on.
func (m *metrics) setConnections(ids []string) {
	known := make(map[string]bool, len(ids))
	for _, id := range ids {
		known[id] = true
	}
	m.connections.Store(&known)
}

// known gives a connection of the configuration, or "other".
func (m *metrics) known(connection string) string {
	if (*m.connections.Load())[connection] {
		return connection
	}
	return "other"
}

// answered hears of an answer of the portal.
func (m *metrics) answered(status int, took time.Duration) { m.answers.observe(status, took) }

// classOf is the class of a status.
func classOf(status int) string {
	if status >= 100 && status <= 599 {
		return strconv.Itoa(status/100) + "xx"
	}
	return "error"
}

// byStatus is histograms of which each is found once: looking one up by its
// label costs as much as many a request.
type byStatus struct {
	all   prometheus.ObserverVec
	label func(status int) string
	known [600]atomic.Pointer[prometheus.Observer]
}

func newByStatus(all prometheus.ObserverVec, label func(status int) string) *byStatus {
	return &byStatus{all: all, label: label}
}

func (b *byStatus) observe(status int, took time.Duration) {
	if status < 0 || status >= len(b.known) {
		b.all.WithLabelValues(b.label(status)).Observe(took.Seconds())
		return
	}
	known := b.known[status].Load()
	if known == nil {
		o := b.all.WithLabelValues(b.label(status))
		known = &o
		b.known[status].Store(known)
	}
	(*known).Observe(took.Seconds())
}

// attempts counts how attempts to sign in end, on their way to their traces.
type attempts struct {
	login.Traces

	metrics *metrics
}

func (a attempts) Put(r trace.Record, complete func(*trace.Record)) {
	a.metrics.signIns.WithLabelValues(a.metrics.known(r.Connection), string(r.Outcome)).Inc()
	a.Traces.Put(r, complete)
}

// countedKeys counts what is signed for the portal.
type countedKeys struct {
	proxy.Keys

	metrics *metrics
}

func (k countedKeys) Sign(claims any) (string, error) {
	text, err := k.Keys.Sign(claims)
	result := "signed"
	if err != nil {
		result = "failed"
	}
	k.metrics.signings.WithLabelValues(result).Inc()
	return text, err
}

// trail counts audit events as they are sealed. Whoever wrote an event, a gate
// or the command line, one gate seals it: so the sum over the gates is what
// happened.
type trail struct {
	audit.Store

	metrics *metrics
	mu      sync.Mutex
	read    map[int64]audit.Event // the last batch
}

func (t *trail) Unsealed(ctx context.Context, limit int) ([]audit.Event, error) {
	events, err := t.Store.Unsealed(ctx, limit)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read = make(map[int64]audit.Event, len(events))
	for _, e := range events {
		t.read[e.Seq] = e
	}
	return events, err
}

func (t *trail) AppendSeals(ctx context.Context, seals []audit.Seal) error {
	if err := t.Store.AppendSeals(ctx, seals); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, seal := range seals {
		if e, ok := t.read[seal.Event]; ok {
			t.metrics.happened(e)
		}
	}
	return nil
}

func (m *metrics) happened(e audit.Event) {
	m.events.WithLabelValues(string(e.Action)).Inc()
	n, err := strconv.Atoi(e.Detail[directory.EndedKey])
	if err != nil {
		return
	}
	m.ended.WithLabelValues(string(e.Action)).Add(float64(n))
}

// watch adds what the rooms of a gate know of themselves.
func (m *metrics) watch(g *gate) {
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	total := func(name, help string, labels prometheus.Labels, value func() float64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, value))
	}
	sessions, pool := g.sessions.Stats, g.db.Stats
	gauge("portcullis_mapping_broken", "1 while what is in force is not what should be: the file, or what was applied, is broken.",
		func() float64 { return flag(g.keeper.Status().Problem != nil) })
	gauge("portcullis_mapping_in_force", "1 while there is a mapping in force; without one nobody gets in.",
		func() float64 { return flag(g.keeper.Policy() != nil) })
	gauge("portcullis_sessions_cached", "Sessions that are known without asking the database.", func() float64 { return float64(sessions().Cached) })
	gauge("portcullis_assertions_cached_bytes", "Size of the signed assertions that are remembered.", func() float64 { return float64(sessions().Statements) })
	gauge("portcullis_sessions_active", "Sessions with a request under way, streams included.", func() float64 { return float64(sessions().Watched) })
	gauge("portcullis_streams_open", "WebSockets and event streams that are open.", func() float64 { return float64(g.proxy.Streams()) })
	gauge("portcullis_feed_lag_seconds", "How long ago this gate last heard every change. Beyond 0.9 it trusts nothing that it remembers.",
		func() float64 { return sessions().Lag.Seconds() })
	gauge("portcullis_feed_trusted", "1 while changes are heard in time.", func() float64 { return flag(sessions().Trusted) })
	const verified, help = "portcullis_session_verifications_total", "Requests whose session was looked up, by where it was found."
	total(verified, help, prometheus.Labels{"from": "cache"}, func() float64 { return float64(sessions().Hits) })
	total(verified, help, prometheus.Labels{"from": "database"}, func() float64 { return float64(sessions().Misses) })
	const changes, heard = "portcullis_changes_heard_total", "Change records that this gate obeyed, by what they say."
	total(changes, heard, prometheus.Labels{"kind": "session ended"}, func() float64 { return float64(sessions().Heard.Sessions) })
	total(changes, heard, prometheus.Labels{"kind": "rights lost"}, func() float64 { return float64(sessions().Heard.Losses) })
	total(changes, heard, prometheus.Labels{"kind": "rights changed"}, func() float64 { return float64(sessions().Heard.Updates) })
	total("portcullis_requests_cut_total", "Sessions whose requests and streams were cut, because a right ended or nobody could vouch for it.", nil,
		func() float64 { return float64(sessions().Cut) })
	gauge("portcullis_database_connections_in_use", "Connections to the database that work.", func() float64 { return float64(pool().InUse) })
	gauge("portcullis_database_connections_idle", "Connections to the database that wait.", func() float64 { return float64(pool().Idle) })
	gauge("portcullis_database_connections_max", "Connections to the database that there may be.", func() float64 { return float64(pool().MaxOpenConnections) })
	total("portcullis_database_waits_total", "Times that a connection had to be waited for.", nil, func() float64 { return float64(pool().WaitCount) })
	total("portcullis_database_wait_seconds_total", "Time that was spent on waiting for a connection.", nil, func() float64 { return pool().WaitDuration.Seconds() })
	if g.certificate != nil {
		gauge("portcullis_tls_certificate_expires_timestamp_seconds", "When the certificate of the public listener ends.",
			func() float64 { return float64(g.certificate.Expires().Unix()) })
	}
	m.registry.MustRegister(newMassLosses(g.guard), newUpstreams(g.proxy), newUnconfirmed(g.db),
		&mappingInfo{g.keeper, prometheus.NewDesc("portcullis_mapping_info", "Always 1; the hash of the mapping in force.", []string{"revision"}, nil)})
}
