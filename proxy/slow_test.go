package proxy_test

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/proxy"
)

// TestABodyThatDoesNotComeHoldsNothing: a stranger who announces a body and
// sends none gets no connection for as long as they like.
func TestABodyThatDoesNotComeHoldsNothing(t *testing.T) {
	g := open(t, record(t).url, routes(proxy.Route{Path: "/public", Public: true}), impatient, func(c *proxy.Config) {
		c.Mount = append(c.Mount, func(own *gin.RouterGroup) {
			own.POST("/.portcullis/form", func(c *gin.Context) {
				_, err := io.ReadAll(c.Request.Body)
				c.String(http.StatusOK, "%v", err)
			})
		})
	})
	for _, head := range []string{
		"POST /x HTTP/1.1\r\nContent-Length: 10",
		"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked",
		"POST //x HTTP/1.1\r\nContent-Length: 10",
		"POST /.portcullis/form HTTP/1.1\r\nContent-Length: 10",
		"POST /public/x HTTP/1.1\r\nContent-Length: 10",
	} {
		if text, err := io.ReadAll(announce(t, g, head)); err != nil {
			t.Errorf("%q holds its connection: %q, %v", head, text, err)
		}
	}
}

func impatient(c *proxy.Config) { c.BodyWithin = 50 * time.Millisecond }

// announce sends the head of a request, and nothing of its body.
func announce(t *testing.T, g *gate, head string) io.Reader {
	t.Helper()
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, head+"\r\nHost: "+g.addr+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestABodyForThePortalMayTakeItsTime: who is admitted may be slow.
func TestABodyForThePortalMayTakeItsTime(t *testing.T) {
	began := make(chan struct{}, 1)
	got := make(chan string, 1)
	up := portal(t, func(_ http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- string(body)
	})
	g := open(t, up, impatient)
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/upload", r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", "portcullis="+annToken)
	status := make(chan int, 1)
	go func() {
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		_ = res.Body.Close()
		status <- res.StatusCode
	}()
	_, _ = io.WriteString(w, "slow")
	<-began
	_, _ = io.Copy(io.Discard, announce(t, g, "POST /x HTTP/1.1\r\nContent-Length: 10")) // longer than others may take
	_, _ = io.WriteString(w, "ly")
	_ = w.Close()
	if body, code := <-got, <-status; code != http.StatusOK || body != "slowly" {
		t.Errorf("answer = %d, the portal got %q", code, body)
	}
}
