package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis/proxy"
)

// heap is how many bytes live.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// endless is a body of so many bytes, which nobody keeps.
type endless struct{ left int64 }

func (e *endless) Read(b []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), e.left))
	e.left -= int64(n)
	return n, nil
}

// A body of any size passes through a few buffers, in both directions.
func TestLargeBodiesAreNotKept(t *testing.T) {
	const size = 64 << 20
	var most, before int64
	up := portal(t, func(w http.ResponseWriter, r *http.Request) {
		buf, total := make([]byte, 64<<10), int64(0)
		for {
			n, err := r.Body.Read(buf)
			if total += int64(n); total%(16<<20) < int64(n) {
				most = max(most, heap()-before)
			}
			if err == io.EOF {
				break
			} else if err != nil {
				t.Error(err)
				return
			}
		}
		w.Header().Set("Content-Length", strconv.FormatInt(total, 10))
		_, _ = io.Copy(w, &endless{total})
	})
	g := open(t, up)
	before = heap()
	for name, length := range map[string]int64{"sized": size, "chunked": -1} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, g.url+"/upload", &endless{size})
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = length
		r.Header.Set("Cookie", "portcullis="+annToken)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if n != size || err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d of %d bytes came back, status %d, %v", name, n, size, res.StatusCode, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if most > 16<<20 {
		t.Errorf("%d MB on the way cost %d MB", size>>20, most>>20)
	}
}

// An upload reaches the portal while it is under way: nothing waits for its
// end.
func TestUploadsAreStreamed(t *testing.T) {
	lines := make(chan string)
	up := portal(t, func(_ http.ResponseWriter, r *http.Request) {
		for s := bufio.NewScanner(r.Body); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
	})
	g := open(t, up)
	body, w := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/x", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", "portcullis="+annToken)
	done := make(chan error, 1)
	go func() {
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			err = res.Body.Close()
		}
		done <- err
	}()
	for i := range 3 {
		if _, err := fmt.Fprintf(w, "line %d\n", i); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-lines:
			if got != fmt.Sprintf("line %d", i) {
				t.Errorf("the portal read %q", got)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the portal has not seen what was sent")
		}
	}
	_ = w.Close()
	<-lines
	if err := <-done; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// Whatever two servers could frame in two ways is refused, or one request
// arrives and what follows it is never taken for the portal's next.
func TestNoFramingLeavesAQueue(t *testing.T) {
	const second = "GET /smuggled HTTP/1.1\r\nHost: x\r\nX-Portcullis-User: root\r\n\r\n"
	const last = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	cookie := "Cookie: portcullis=" + annToken + "\r\n"
	for name, tc := range map[string]struct{ head, body string }{
		"CL.TE":                           {"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + second},
		"TE.CL":                           {"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(second), second)},
		"TE.TE, obfuscated":               {"Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\nContent-Length: 4\r\n", "0\r\n\r\n" + second},
		"TE with a tab":                   {"Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n", "0\r\n\r\n" + second},
		"TE with a vertical tab":          {"Transfer-Encoding: \x0bchunked\r\nContent-Length: 4\r\n", "0\r\n\r\n" + second},
		"TE folded":                       {"Transfer-Encoding:\r\n chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n" + second},
		"TE behind a folded line":         {"X-A: b\r\n\tTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n" + second},
		"a list of codings":               {"Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n" + second},
		"two equal lengths in a list":     {"Content-Length: 0, 0\r\n", second},
		"two lengths in a list":           {"Content-Length: 0, 58\r\n", second},
		"two lengths":                     {"Content-Length: 0\r\nContent-Length: 58\r\n", second},
		"a length with a sign":            {"Content-Length: +0\r\n", second},
		"a length below zero":             {"Content-Length: -1\r\n", second},
		"a length in hexadecimal":         {"Content-Length: 0x0\r\n", second},
		"a length behind a space":         {"Content-Length : 58\r\n", second},
		"a length named with _":           {"Content_Length: 58\r\n", second},
		"a chunk size with a sign":        {"Transfer-Encoding: chunked\r\n", "+0\r\n\r\n" + second},
		"a chunk size beyond 64 bits":     {"Transfer-Encoding: chunked\r\n", "10000000000000000\r\n" + second},
		"a chunk that ends in LF":         {"Transfer-Encoding: chunked\r\n", "1\nx\n0\n\n" + second},
		"a chunk extension with LF":       {"Transfer-Encoding: chunked\r\n", "0;a\nb\r\n\r\n" + second},
		"a trailer that frames":           {"Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n", "0\r\nContent-Length: 58\r\n\r\n" + second},
		"HTTP/1.0 style, to be kept":      {"Connection: keep-alive, Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + second},
		"Content-Length to be taken away": {"Connection: Content-Length\r\nContent-Length: 4\r\n", "abcd" + second},
	} {
		t.Run(name, func(t *testing.T) {
			tp := record(t)
			g := open(t, tp.url)
			conn := dial(t, g.addr)
			defer conn.Close()
			if _, err := io.WriteString(conn, "POST /a HTTP/1.1\r\nHost: x\r\n"+cookie+tc.head+"\r\n"+tc.body+last); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(conn)
			first := read(t, r, "POST")
			if first.Code >= 500 && first.Code != http.StatusNotImplemented || first.Code < 200 {
				t.Errorf("answer = %d", first.Code)
			}
			// What follows is the next request, of nobody: it has no cookie.
			for {
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					break
				}
				_, err = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode == http.StatusOK {
					t.Errorf("what followed was answered %d, %v", res.StatusCode, err)
				}
			}
			heads := tp.all(t)
			if len(heads) > 1 || first.Code == http.StatusOK && len(heads) == 0 {
				t.Errorf("answer = %d, and the portal saw %q", first.Code, heads)
			}
			for _, head := range heads {
				if !strings.HasPrefix(head, "POST /a HTTP/1.1\r\n") || strings.Contains(head, "smuggled") || strings.Contains(head, "root") {
					t.Errorf("the portal saw %q", head)
				}
				h := header(t, head)
				if len(h["Content-Length"]) > 1 || h.Get("Content-Length") != "" && strings.Contains(head, "\r\nTransfer-Encoding") {
					t.Errorf("the portal has to choose: %q", head)
				}
			}
		})
	}
}

// An upstream that dies within a body, whatever carries it, is never a
// complete answer.
func TestADeathMidStreamIsNoEnd(t *testing.T) {
	up := portal(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	g := open(t, up, routes(proxy.Route{Path: "/", Public: true}))
	for _, target := range []string{"/events", "/x"} {
		if res := g.get(t, target); res.Err == nil {
			t.Errorf("%s: a whole answer of %q", target, res.Text)
		}
	}
}
