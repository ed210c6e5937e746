package proxy

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

// wire is a connection in a time of its own, over which a body comes.
type wire struct {
	http.ResponseWriter

	now      time.Time
	deadline time.Time
	every    time.Duration // that pieces come
	piece    int
}

func (w *wire) SetReadDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

func (w *wire) Read(p []byte) (int, error) {
	w.now = w.now.Add(w.every)
	if !w.deadline.IsZero() && w.now.After(w.deadline) {
		w.now = w.deadline
		return 0, os.ErrDeadlineExceeded
	}
	return min(w.piece, len(p)), nil
}

func (w *wire) Close() error { return nil }

// TestTheBodyOfAStrangerMayBeSlowButNotStandStill: what comes at a pace goes on
// and on, and what does not has come to an end soon after it fell behind.
func TestTheBodyOfAStrangerMayBeSlowButNotStandStill(t *testing.T) {
	const patience, size = time.Minute, 1 << 15
	for name, tc := range map[string]struct {
		piece  int
		every  time.Duration
		portal time.Duration // that it takes over each piece
		ends   time.Duration // at the latest; 0 for never
	}{
		"a fast line":              {size, time.Millisecond, 0, 0},
		"a slow line":              {slowest, time.Second, 0, 0},
		"large pieces, seldom":     {size, patience - time.Second, 0, 0},
		"a slow portal":            {slowest, time.Second, time.Hour, 0},
		"nothing":                  {0, 2 * patience, 0, patience},
		"a byte a second":          {1, time.Second, 0, patience + time.Second},
		"half of what it has to":   {slowest / 2, time.Second, 0, 2*patience + time.Second},
		"a byte before each bound": {1, patience - time.Second, 0, patience + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Unix(1e9, 0)
			c := &wire{ResponseWriter: httptest.NewRecorder(), now: began, every: tc.every, piece: tc.piece}
			b := &paced{ReadCloser: c, proxy: &Proxy{patience: patience, now: func() time.Time { return c.now }}, w: &writer{ResponseWriter: c}, left: patience}
			buf, err := make([]byte, size), error(nil)
			for i := 0; err == nil && i < 20_000; i++ {
				_, err = b.Read(buf)
				c.now = c.now.Add(tc.portal)
			}
			if tc.ends == 0 && err != nil {
				t.Errorf("it ended after %v: %v", c.now.Sub(began), err)
			}
			if tc.ends > 0 && (!errors.Is(err, os.ErrDeadlineExceeded) || c.now.Sub(began) > tc.ends) {
				t.Errorf("it ended after %v: %v, want it within %v", c.now.Sub(began), err, tc.ends)
			}
		})
	}
	t.Run("what came fast stands still", func(t *testing.T) {
		c := &wire{ResponseWriter: httptest.NewRecorder(), piece: size}
		b := &paced{ReadCloser: c, proxy: &Proxy{patience: patience, now: func() time.Time { return c.now }}, w: &writer{ResponseWriter: c}, left: patience}
		for range 1000 {
			_, _ = b.Read(make([]byte, size))
		}
		began := c.now
		c.every = time.Hour
		if _, err := b.Read(make([]byte, size)); !errors.Is(err, os.ErrDeadlineExceeded) || c.now.Sub(began) > patience {
			t.Errorf("it ended after %v: %v", c.now.Sub(began), err)
		}
	})
}

// TestARequestThatIsOverMovesNoDeadline: it would be that of the next one of the
// connection.
func TestARequestThatIsOverMovesNoDeadline(t *testing.T) {
	c := &wire{ResponseWriter: httptest.NewRecorder(), piece: 1}
	w := &writer{ResponseWriter: c}
	b := &paced{ReadCloser: c, proxy: &Proxy{patience: time.Minute, now: func() time.Time { return c.now }}, w: w, left: time.Minute}
	w.left()
	if _, err := b.Read(make([]byte, 1)); err != nil || !c.deadline.IsZero() {
		t.Errorf("read %v, deadline %v", err, c.deadline)
	}
}
