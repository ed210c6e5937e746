package session_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/session"
)

// crowd is a store of as many sessions as anybody asks for, each of a person of
// their own in some groups.
type crowd struct {
	*memory

	groups []string
	asked  atomic.Int64
}

func newCrowd(groups int) *crowd {
	c := &crowd{memory: newMemory()}
	for i := range groups {
		c.groups = append(c.groups, fmt.Sprint("group-", i))
	}
	return c
}

func (c *crowd) FindSession(_ context.Context, hash []byte) (session.Row, directory.Standing, error) {
	c.asked.Add(1)
	id, now := strconv.FormatUint(binary.LittleEndian.Uint64(hash), 36), time.Now()
	in := says("ada-" + id)
	in.Groups = append(in.Groups, c.groups...)
	return session.Row{ID: id, Person: "p-" + id, Connection: "alpha", TokenHash: hash, Created: now, LastSeen: now, Expires: now.Add(12 * time.Hour)},
		directory.Standing{
			Person:       directory.Person{ID: "p-" + id, Connection: "alpha", Organization: "Alpha", IDPActive: true},
			Organization: directory.Organization{Name: "Alpha"}, Assertion: in,
		}, nil
}

// begin runs a manager in front of the crowd that has seen n sessions, and gives
// some of those that it remembers.
func (c *crowd) begin(tb testing.TB, n int) (m *session.Manager, tokens []string) {
	tb.Helper()
	policy := policyOf(tb, rules)
	m = session.New(session.Config{Store: c, Sealer: plain{}, Policy: func() *mapping.Policy { return policy }, Foreign: nobodyForeign})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		must(tb, m.Run(ctx))
	}()
	tb.Cleanup(func() { cancel(); <-done })
	soon(tb, "the feed is read", m.Trusted)
	token := func(i int) string { return fmt.Sprintf("token-%026d", i) }
	for i := range n {
		if _, err := m.Verify(tb.Context(), token(i)); err != nil {
			tb.Fatal(err)
		}
	}
	for i := 1; len(tokens) < 1000 && i <= n; i++ {
		before := c.asked.Load()
		if _, err := m.Verify(tb.Context(), token(n-i)); err == nil && c.asked.Load() == before {
			tokens = append(tokens, token(n-i))
		}
	}
	return m, tokens
}

// A request whose session is known asks the store nothing, and costs the same
// however many sessions there are and in however many groups anybody is.
func TestAKnownSessionAsksNothing(t *testing.T) {
	for _, groups := range []int{0, 1000} {
		c := newCrowd(groups)
		m, tokens := c.begin(t, 2000)
		before := c.asked.Load()
		allocs := testing.AllocsPerRun(100, func() {
			p, err := m.Verify(t.Context(), tokens[0])
			if err != nil {
				t.Fatal(err)
			}
			_, cancel := m.Watch(t.Context(), p, "192.0.2.7")
			cancel()
		})
		if asked := c.asked.Load() - before; asked != 0 {
			t.Errorf("%d groups: the store was asked %d times", groups, asked)
		}
		if allocs > 12 {
			t.Errorf("%d groups: %g allocations, want a dozen at most", groups, allocs)
		}
	}
}

// BenchmarkWarm is what a request costs whose session is known, by how many
// sessions the gate remembers and in how many groups each of them is: processor time, the median of many batches.
// flat is that as a multiple of one session and no group in the same run.
func BenchmarkWarm(b *testing.B) {
	const batch = 1000
	first := 0.0
	for _, tc := range []struct{ sessions, groups int }{{1, 0}, {1, 1000}, {1000, 0}, {100_000, 0}, {1_000_000, 0}} {
		b.Run(fmt.Sprintf("sessions=%d/groups=%d", tc.sessions, tc.groups), func(b *testing.B) {
			m, tokens := newCrowd(tc.groups).begin(b, tc.sessions)
			b.ReportAllocs()
			var each []float64
			for b.Loop() {
				before := processor(b)
				for i := range batch {
					p, err := m.Verify(b.Context(), tokens[i%len(tokens)])
					if err != nil {
						b.Fatal(err)
					}
					_, cancel := m.Watch(b.Context(), p, "192.0.2.7")
					cancel()
				}
				each = append(each, float64(processor(b)-before)/batch)
			}
			slices.Sort(each)
			took := each[len(each)/2]
			if first == 0 {
				first = took
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(took, "cpu-ns/req")
			b.ReportMetric(took/first, "flat")
		})
	}
}

// processor is the processor time that the process has used.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
