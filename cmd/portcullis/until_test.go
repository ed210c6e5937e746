package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAGrantEndsOnTimeInALiveSession: a rule is over at its until, for whoever
// is inside: requests are refused with the reason, and streams end. Nothing
// but time passes, so no change record wakes anybody.
func TestAGrantEndsOnTimeInALiveSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.start(t)
	b := w.browser(t)
	b.mustSignIn(t, "ada")
	until := time.Now().Add(6 * time.Second).UTC().Truncate(time.Millisecond)
	managers := "match: {connection: alpha, groups: [{name: Portfolio-Managers}]}"
	w.write(t, "mapping.yaml", strings.Replace(worldMapping, managers, managers+"\n    valid: {until: "+until.Format(time.RFC3339Nano)+"}", 1))
	eventually(t, "the edited file is in force", patience, func() bool {
		return strings.Count(w.cli(t, exitFine, "mapping", "history", "--json"), `"hash"`) == 2
	})
	events, socket := b.stream(t)
	if status, who := b.whoami(t); status != http.StatusOK || len(who.Tasks) != 2 {
		t.Fatalf("whoami before the end = %d %v, want what Ada may do", status, who.Tasks)
	}
	for _, stream := range []<-chan time.Time{events, socket} {
		select {
		case at := <-stream:
			if at.Before(until) {
				t.Errorf("a stream ended %s before the grant did", until.Sub(at))
			}
			t.Logf("a stream ended %s after the grant", at.Sub(until))
		case <-time.After(time.Until(until) + patience):
			t.Fatalf("a stream is still open %s after the grant ended", patience)
		}
	}
	s := b.script(t, "/.portcullis/whoami")
	if s.status != http.StatusUnauthorized || !strings.Contains(s.body, "none of your groups gives access") {
		t.Errorf("whoami afterwards = %d %s, want 401 with the reason", s.status, s.body)
	}
	if s := b.open(t, "/"); s.url.Path != "/authorize" {
		t.Errorf("opening / led to %s (%d), want the identity provider", s.url, s.status)
	}
}
