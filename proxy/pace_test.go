package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"portcullis/proxy"
)

// slowly is a portal below /public that says when it has come to the end of a
// body: before its answer, at /before, or after it has begun it. What it answers
// it finishes when it is told to, and at /later it reads no sooner.
type slowly struct {
	url  string
	read chan error
	more chan struct{}
}

func newSlowly(t *testing.T) *slowly {
	t.Helper()
	s := &slowly{read: make(chan error, 1), more: make(chan struct{})}
	s.url = portal(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		begin := func() {
			_, _ = io.WriteString(w, "one\n")
			_ = rc.Flush()
		}
		if r.URL.Path == "/public/after" {
			begin()
		}
		if r.URL.Path == "/public/later" {
			select {
			case <-s.more:
			case <-r.Context().Done():
			}
		}
		_, err := io.Copy(io.Discard, r.Body)
		s.read <- err
		if r.URL.Path != "/public/after" {
			begin()
		}
		select {
		case <-s.more:
			_, _ = io.WriteString(w, "two\n")
		case <-r.Context().Done():
		}
	})
	return s
}

// outwaits passes more time than a body may stand still.
func outwaits(t *testing.T) {
	t.Helper()
	g := open(t, record(t).url, impatient)
	for range 2 {
		_, _ = io.Copy(io.Discard, announce(t, g, "POST /x HTTP/1.1\r\nContent-Length: 10"))
	}
}

// poster sends a body, and gives what comes of an answer.
type poster func(path string, body io.ReadCloser) (status int, text *bufio.Reader, err error)

// known is a body whose length is announced.
type known struct{ *strings.Reader }

func (known) Close() error { return nil }

// eachVersion runs a test over HTTP/1.1 and HTTP/2, in front of a portal and
// with nobody signed in.
func eachVersion(t *testing.T, run func(t *testing.T, s *slowly, post poster)) {
	for _, h2 := range []bool{false, true} {
		name := map[bool]string{false: "HTTP/1.1", true: "HTTP/2"}[h2]
		t.Run(name, func(t *testing.T) {
			s := newSlowly(t)
			addr, roots := secure(t, s.url, routes(proxy.Route{Path: "/public", Public: true}), impatient)
			protocols := new(http.Protocols)
			protocols.SetHTTP1(!h2)
			protocols.SetHTTP2(h2)
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "portal.example"}, Protocols: protocols}
			t.Cleanup(transport.CloseIdleConnections)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			t.Cleanup(cancel)
			run(t, s, func(path string, body io.ReadCloser) (int, *bufio.Reader, error) {
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+addr+path, body)
				if err != nil {
					t.Fatal(err)
				}
				if known, ok := body.(known); ok {
					r.ContentLength = known.Size()
				}
				context.AfterFunc(ctx, func() { _ = body.Close() }) // which the transport waits for
				res, err := transport.RoundTrip(r)
				if err != nil {
					return 0, nil, err
				}
				t.Cleanup(func() { _ = res.Body.Close() })
				return res.StatusCode, bufio.NewReader(res.Body), nil
			})
		})
	}
}

// stalled is a body of which one byte comes.
func stalled(t *testing.T) *io.PipeReader {
	t.Helper()
	r, w := io.Pipe()
	go func() { _, _ = io.WriteString(w, "x") }()
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// ended waits until the portal has come to the end of a body.
func (s *slowly) ended(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.read:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the portal still waits")
		return nil
	}
}

// goOn tells the portal to.
func (s *slowly) goOn(t *testing.T) {
	t.Helper()
	select {
	case s.more <- struct{}{}:
	case <-time.After(20 * time.Second):
		t.Fatal("the portal was told that nobody waits for its answer")
	}
}

// TestABodyOfNobodyThatStandsStillHoldsNothing: neither of the gate nor of the
// portal, whether it has begun its answer or not.
func TestABodyOfNobodyThatStandsStillHoldsNothing(t *testing.T) {
	eachVersion(t, func(t *testing.T, s *slowly, post poster) {
		if status, _, err := post("/public/before", stalled(t)); status != http.StatusRequestTimeout {
			t.Fatalf("before the answer: %d, %v, want 408", status, err)
		}
		if err := s.ended(t); err == nil {
			t.Error("the portal got it as if it were whole")
		}
		_, body, err := post("/public/after", stalled(t))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(body); err == nil || string(text) != "one\n" {
			t.Errorf("within the answer: %q, %v, want it cut", text, err)
		}
		if err := s.ended(t); err == nil {
			t.Error("the portal got it as if it were whole")
		}
	})
}

// TestAnAnswerToNobodyMayTakeItsTime: once the body is there, as with everybody.
func TestAnAnswerToNobodyMayTakeItsTime(t *testing.T) {
	eachVersion(t, func(t *testing.T, s *slowly, post poster) {
		whole, w := io.Pipe()
		go func() {
			_, _ = io.WriteString(w, "whole")
			_ = w.Close()
		}()
		for _, sent := range []io.ReadCloser{whole, known{strings.NewReader("whole")}} { // over one connection
			_, body, err := post("/public/before", sent)
			if err != nil || s.ended(t) != nil {
				t.Fatalf("answer: %v", err)
			}
			if line, err := body.ReadString('\n'); line != "one\n" {
				t.Fatalf("read %q, %v", line, err)
			}
			outwaits(t)
			s.goOn(t)
			if rest, err := io.ReadAll(body); err != nil || string(rest) != "two\n" {
				t.Errorf("then %q, %v", rest, err)
			}
		}
	})
}

// TestThePortalMayTakeItsTimeOverABody: what it has not asked for did not stand
// still.
func TestThePortalMayTakeItsTimeOverABody(t *testing.T) {
	eachVersion(t, func(t *testing.T, s *slowly, post poster) {
		large := known{strings.NewReader(strings.Repeat("x", 32<<20))} // more than the connections hold
		answered := make(chan error, 1)
		go func() {
			_, _, err := post("/public/later", large)
			answered <- err
		}()
		outwaits(t)
		s.goOn(t)
		if err := s.ended(t); err != nil {
			t.Errorf("the body broke off: %v", err)
		}
		if err := <-answered; err != nil {
			t.Errorf("answer: %v", err)
		}
	})
}

// TestAWebSocketOfNobodyMayBeSilent: it has no body.
func TestAWebSocketOfNobodyMayBeSilent(t *testing.T) {
	upstream, _ := chatty(t)
	g := open(t, upstream, impatient, routes(proxy.Route{Path: "/public", Public: true}))
	conn, r, res := g.begin(t, "/public/ws", append(upgrade, "Origin: "+g.url)...) //nolint:bodyclose // begin closes it
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answer = %d", res.StatusCode)
	}
	outwaits(t)
	_, _ = io.WriteString(conn, "ping")
	echo := make([]byte, 4)
	if _, err := io.ReadFull(r, echo); err != nil || string(echo) != "ping" {
		t.Errorf("echo = %q, %v", echo, err)
	}
}
