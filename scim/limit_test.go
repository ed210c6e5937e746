package scim_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestGuessesHoldLittleMemory: however long the names of connections are that a
// stranger makes up.
func TestGuessesHoldLittleMemory(t *testing.T) {
	r := newRig(t)
	heap := func() int {
		runtime.GC()
		runtime.GC() // what pools held goes with the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	const requests, size = 2000, 8000
	for i := range requests {
		req := httptest.NewRequest(http.MethodPost, "/scim/v2/"+strconv.Itoa(i)+strings.Repeat("x", size)+"/oauth/token",
			strings.NewReader("grant_type=client_credentials&client_id=a&client_secret=b"))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, req)
		if w.Code != http.StatusUnauthorized {
			t.Fatalf("status = %d %s, want 401", w.Code, w.Body)
		}
	}
	if held := heap() - before; held > requests*size/4 {
		t.Errorf("%d requests of strangers hold %d bytes", requests, held)
	}
	runtime.KeepAlive(r)
}

// TestGuessingTellsNothingOfConnections: too many guesses at one that does not
// exist are none at another, as it is with those that exist.
func TestGuessingTellsNothingOfConnections(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	guess := func(connection string) int { return r.grant(connection, credentials("a", "b")).status }
	for _, connection := range []string{"nobody", "acme"} {
		for range 50 {
			if status := guess(connection); status != http.StatusUnauthorized {
				t.Fatalf("guess at %s = %d, want 401", connection, status)
			}
		}
		if status := guess(connection); status != http.StatusTooManyRequests {
			t.Errorf("one guess too many at %s = %d, want 429", connection, status)
		}
	}
	for _, connection := range []string{"nobody-else", "beta"} {
		if status := guess(connection); status != http.StatusUnauthorized {
			t.Errorf("first guess at %s = %d, want 401", connection, status)
		}
	}
}
