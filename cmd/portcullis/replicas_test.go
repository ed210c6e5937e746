package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Three gates on one PostgreSQL under load, in the states of a long day: all
// well, without notifications, one cut off, the database crashed. In each, what
// one gate is told holds at every gate within a second.
func TestThreeReplicas(t *testing.T) {
	f := newFleet(t, terrain{}, 3)
	all := f.gates[0].seated(t, f.server.URL(), 3*revocations+60)
	take := func(n int) (some []seat) {
		some, all = all[:n], all[n:]
		return some
	}
	living := take(20)
	p := f.pushers(t)
	answers := f.load(t, living)

	holdsBound(t, "notified", f.revoke(t, p, take(revocations), f.gates...))
	if bad := answers(); len(bad) != 1 || bad[http.StatusOK] == 0 {
		t.Errorf("answers to those who are in: %v, want 200 alone", bad)
	}

	for _, g := range f.gates {
		g.relay.deafen()
	}
	eventually(t, "nobody is notified", patience, func() bool { return strings.Count(f.log.String(), "not listening for changes") >= len(f.gates) })
	holdsBound(t, "polling only", f.revoke(t, p, take(revocations), f.gates...))

	t.Run("one cut off", func(t *testing.T) { f.oneCutOff(t, p, living, take(revocations/2)) })
	t.Run("database crashed", func(t *testing.T) { f.crashed(t, p, living, take(20)) })
	t.Logf("answers to those who are in: %v", answers())
}

// oneCutOff cuts the last gate off from the database: it refuses within a
// second, and the others do not notice.
func (f *fleet) oneCutOff(t *testing.T, p []*pusher, living, people []seat) {
	last, others := f.gates[len(f.gates)-1], f.gates[:len(f.gates)-1]
	stream := living[0].watch(t, last)
	last.relay.cut()
	cut := time.Now()
	lived := time.Duration(0)
	eventually(t, "the gate that is cut off refuses", patience, func() bool {
		asked := time.Now()
		status := living[0].ask(quick, last.public+"/.portcullis/whoami")
		if status == http.StatusOK {
			lived = max(lived, asked.Sub(cut))
		}
		return status == http.StatusServiceUnavailable && time.Since(cut) > time.Second
	})
	t.Logf("cut off: requests were answered for %s, streams for %s", lived, endWithin(t, cut, patience, stream))
	if lived > time.Second {
		t.Errorf("a gate that is cut off answered for %s, want a second at most", lived)
	}
	if status, state := last.ready(t); status != http.StatusServiceUnavailable || state["database"] == "fine" || state["feed"] == "fine" {
		t.Errorf("readyz of the gate that is cut off = %d %v, want 503 that names database and feed", status, state)
	}
	holdsBound(t, "one cut off", f.revoke(t, p[:len(others)], people, others...))
	for _, s := range people {
		if status := s.ask(quick, last.public+"/.portcullis/whoami"); status != http.StatusServiceUnavailable {
			t.Errorf("the gate that is cut off answers %d", status)
			break
		}
	}
	last.relay.mend(t)
	f.recovers(t, []*gateway{last}, living, people)
}

// crashed has the database crash and come back while people are deactivated.
func (f *fleet) crashed(t *testing.T, p []*pusher, living, people []seat) {
	for _, s := range people[:len(people)/2] {
		p[0].must(t, http.StatusOK, http.MethodPatch, "/Users/"+s.person, off)
	}
	began := time.Now()
	f.server.Restart(t)
	t.Logf("the database was away for %s", time.Since(began))
	for i, s := range people[len(people)/2:] {
		eventually(t, "a push is taken again", patience, func() bool {
			status, _, err := p[i%len(p)].try(http.MethodPatch, "/Users/"+s.person, off)
			return err == nil && status == http.StatusOK
		})
	}
	f.recovers(t, f.gates, living, people)
}

// recovers waits until gates know again who is in, and holds that those who
// are out stay so.
func (f *fleet) recovers(t *testing.T, gates []*gateway, in, out []seat) {
	t.Helper()
	for _, g := range gates {
		took := eventually(t, "the gate is ready again", time.Minute, func() bool {
			status, _ := g.ready(t)
			return status == http.StatusOK
		})
		t.Logf("ready again after %s", took)
		for _, s := range in {
			if status := s.ask(quick, g.public+"/.portcullis/whoami"); status != http.StatusOK {
				t.Errorf("somebody who is in gets %d", status)
			}
		}
		for _, s := range out {
			if status := s.ask(quick, g.public+"/.portcullis/whoami"); status != http.StatusUnauthorized {
				t.Errorf("somebody who is out gets %d", status)
			}
		}
	}
}

// One of three gates is killed in the middle of pushes to all of them: what any
// of them answered is so afterwards, and nobody who was put out is in.
func TestKillOneOfThreeInAPushBurst(t *testing.T) {
	f := newFleet(t, terrain{}, 3)
	people := f.gates[0].seated(t, f.server.URL(), 60)
	fates := newFates(60)
	out := make(chan seat, len(people))
	p := f.pushers(t)
	stop := fates.push(append(p, p...)...)
	go func() {
		defer close(out)
		for i, s := range people {
			if status, _, err := p[i%len(p)].try(http.MethodPatch, "/Users/"+s.person, off); err == nil && status == http.StatusOK {
				out <- s
			}
		}
	}()
	fates.await(t)
	f.gates[0].process.end(t, syscall.SIGKILL)
	var put []seat
	for s := range out {
		put = append(put, s)
	}
	stop()
	f.gates[0].process = f.gates[0].spawn(t)
	f.recovers(t, f.gates, nil, put)
	fates.hold(t, f.gates[0].world)
	if len(put) < len(people)/3 {
		t.Errorf("%d of %d were put out, want most of them", len(put), len(people))
	}
}
