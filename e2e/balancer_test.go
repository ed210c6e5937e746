//go:build e2e

package e2e

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"portcullis/internal/freeport"
)

// TestBalancerInFront holds, in a browser, that a page's script gets nothing
// of the signed statement through a balancer that the gate trusts and that
// hands everything on.
func TestBalancerInFront(t *testing.T) {
	for name, more := range map[string]string{"nobody said who asks": "", "nobody asks": "forward_auth: []"} {
		t.Run(name, func(t *testing.T) {
			front := freeport.Address(t)
			portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				_, _ = io.WriteString(w, r.Header.Get("X-Portcullis-Assertion"))
			}))
			t.Cleanup(portal.Close)
			listen, env := gateBehind(t, t.TempDir(), front, portal.URL, more)
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", front)
			if err != nil {
				t.Fatal(err)
			}
			balancer := http.Server{ReadHeaderTimeout: time.Minute, Handler: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(&url.URL{Scheme: "http", Host: listen})
				r.Out.Host = r.In.Host
				r.SetXForwarded()
			}}}
			served := make(chan struct{})
			go func() {
				defer close(served)
				_ = balancer.Serve(l)
			}()
			t.Cleanup(func() {
				_ = balancer.Close()
				<-served
			})
			story(t, "balancer.mjs", env...)
		})
	}
}
