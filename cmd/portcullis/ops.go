package main

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"portcullis/proxy"
	"portcullis/revision"
	"portcullis/scim"
	"portcullis/session"
	"portcullis/store"
	"portcullis/web"
)

// ops is the operations listener: health, readiness, metrics.
type ops struct {
	*metrics

	db       *store.DB
	keeper   *revision.Keeper
	sessions *session.Manager
	draining atomic.Bool // shutting down: ready for no more
}

// upstreams says how the portals behind the gate are.
type upstreams struct {
	proxy *proxy.Proxy
	desc  *prometheus.Desc
}

func newUpstreams(p *proxy.Proxy) *upstreams {
	return &upstreams{p, prometheus.NewDesc("portcullis_upstream_up", "1 while an upstream with a health path is well.", []string{"upstream"}, nil)}
}

func (u *upstreams) Describe(ch chan<- *prometheus.Desc) { ch <- u.desc }

func (u *upstreams) Collect(ch chan<- prometheus.Metric) {
	for _, h := range u.proxy.Health() {
		if h.Probed {
			ch <- prometheus.MustNewConstMetric(u.desc, prometheus.GaugeValue, flag(h.Well), h.Origin)
		}
	}
}

// massLosses counts what the guard found.
type massLosses struct {
	guard *scim.Guard
	desc  *prometheus.Desc
}

func newMassLosses(guard *scim.Guard) *massLosses {
	return &massLosses{guard, prometheus.NewDesc("portcullis_scim_mass_losses",
		"Mass losses over SCIM that can still be undone, by connection.", []string{"connection"}, nil)}
}

func (m *massLosses) Describe(ch chan<- *prometheus.Desc) { ch <- m.desc }

func (m *massLosses) Collect(ch chan<- prometheus.Metric) {
	for connection, n := range m.guard.Open() {
		ch <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, float64(n), connection)
	}
}

// mappingInfo says which revision runs here.
type mappingInfo struct {
	keeper *revision.Keeper
	desc   *prometheus.Desc
}

func (m *mappingInfo) Describe(ch chan<- *prometheus.Desc) { ch <- m.desc }

func (m *mappingInfo) Collect(ch chan<- prometheus.Metric) {
	if hash := m.keeper.Status().Hash; hash != "" {
		ch <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, 1, hash)
	}
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// count measures the requests of the public listener, each room by itself.
func (o *ops) count(h http.Handler) http.Handler {
	room := func(name string, h http.Handler) http.Handler {
		took := newByStatus(o.requests.MustCurryWith(prometheus.Labels{"room": name}), strconv.Itoa)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			began := time.Now() //nolint:forbidigo // a duration, whatever the gate takes for now
			c := &counted{ResponseWriter: w}
			h.ServeHTTP(c, r)
			took.observe(cmp.Or(c.status, http.StatusOK), time.Since(began))
		})
	}
	portal, gate, auth, scim := room("portal", h), room("gate", h), room("auth", h), room("scim", o.pushed(h))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasPrefix(r.URL.Path, web.Prefix):
			if strings.HasPrefix(r.URL.Path, proxy.SCIMPrefix) {
				scim.ServeHTTP(w, r)
			} else {
				portal.ServeHTTP(w, r)
			}
		case web.Below(r.URL.Path, web.Prefix+"/auth"):
			auth.ServeHTTP(w, r)
		default:
			gate.ServeHTTP(w, r)
		}
	})
}

// counted is a response whose status is noted.
type counted struct {
	http.ResponseWriter

	status int // zero before the response has begun
}

// Unwrap lets [http.ResponseController] reach the writer below.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// WriteHeader notes the status; an informational one is not the last.
func (c *counted) WriteHeader(status int) {
	if c.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Flush is for handlers that know no [http.ResponseController].
func (c *counted) Flush() { _ = http.NewResponseController(c.ResponseWriter).Flush() }

// pushed counts SCIM requests, each connection by itself.
func (o *ops) pushed(h http.Handler) http.Handler {
	var by sync.Map // of http.Handler by the connection's name; those that the console makes come later
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, proxy.SCIMPrefix+"/"), "/")
		connection = o.known(connection)
		counted, ok := by.Load(connection)
		if !ok {
			counted, _ = by.LoadOrStore(connection, promhttp.InstrumentHandlerCounter(o.pushes.MustCurryWith(prometheus.Labels{"connection": connection}), h))
		}
		counted.(http.Handler).ServeHTTP(w, r) //nolint:forcetypeassert,errcheck // nothing else is in it
	})
}

func (o *ops) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	mux.HandleFunc("GET /readyz", o.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.registry, promhttp.HandlerOpts{}))
	return mux
}

// ready answers 200 while requests can be served, and 503 with the reasons: the
// database answers, changes are heard in time, a mapping is in force, and the
// gate is not about to stop.
func (o *ops) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	state := map[string]string{"status": "ready", "database": "fine", "feed": "fine", "mapping": "fine"}
	code := http.StatusOK
	refuse := func(what, why string) {
		code = http.StatusServiceUnavailable
		state["status"] = "not ready"
		state[what] = why
	}
	if err := o.db.Ping(ctx); err != nil {
		refuse("database", "does not answer")
	}
	if !o.sessions.Trusted() {
		refuse("feed", "changes are not heard in time; nothing remembered is trusted")
	}
	switch status := o.keeper.Status(); {
	case o.keeper.Policy() == nil:
		refuse("mapping", "no good revision; sign-ins are refused")
	case status.Problem != nil:
		state["mapping"] = "the file is broken; the last good revision is in force"
		switch {
		case status.Partly:
			state["mapping"] = "a fragment is broken; its connection stays on the last good one"
		case status.Managed:
			state["mapping"] = "what was applied is broken here, or cannot be read; the last good revision is in force"
		}
	}
	if o.draining.Load() {
		refuse("shutdown", "in progress")
	}
	answer(w, code, state)
}

func answer(w http.ResponseWriter, code int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // whoever asked is gone
}
