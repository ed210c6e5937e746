package oidc_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/fault"
	"portcullis/oidc"
)

func TestNobodyWaitsForAProviderLongerThanTheyStay(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	now := time.Now()
	p := oidc.New(oidc.Config{Issuer: server.URL, ClientID: "portal", Now: func() time.Time { return now }})
	if _, err := p.AuthURL(t.Context(), oidc.Request{}); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("a provider that is down: %v", err)
	}
	// The clock stands still: a discovery would have to wait for a second.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.AuthURL(ctx, oidc.Request{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("whoever left: %v", err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the provider was asked %d times, want once", n)
	}
}
