package proxy

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const askedHead = "GET /.portcullis/auth HTTP/1.1\r\nHost: gate.example:8080\r\nX-Original-Uri: /reports/1?a=b\r\nX-Original-Method: GET\r\nCookie: a=b; portcullis=x\r\n\r\n"

// FuzzQuestion holds what is read as a question against net/http: it reads the
// same request, all of the bytes and no others, and lets it in.
func FuzzQuestion(f *testing.F) {
	f.Add(askedHead)
	for _, lines := range []string{
		"Content-Length: 0\r\n", "content-length: 1\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "Upgrade: websocket\r\n", "Expect: 100-continue\r\n",
		"Pragma: no-cache\r\n", "Pragma: no-cache\r\nCache-Control: max-age=0\r\n", "Host: b\r\n", "X : a\r\n", "X_y: a\r\n", "X:\ta \r\n", " folded: a\r\n", "X: a\rb\r\n", "X: a\nb\r\n", "X: \x00\r\n", "X: é\r\n",
		"a: 1\r\nA: 2\r\nA: 3\r\n", ": a\r\n", "X\r\n", "\r\n", "Trailer: X\r\n", "Forwarded: for=a\r\n",
	} {
		f.Add("GET /.portcullis/auth/a%2fb?c HTTP/1.1\r\nHost: b\r\n" + lines + "\r\n")
	}
	for _, head := range []string{
		"", "GET /.portcullis/auth HTTP/1.1\r\n\r\n", "GET /.portcullis/auth HTTP/1.0\r\nHost: b\r\n\r\n", "GET /.portcullis/authx HTTP/1.1\r\nHost: b\r\n\r\n", "POST /.portcullis/auth HTTP/1.1\r\nHost: b\r\n\r\n",
		"GET  /.portcullis/auth HTTP/1.1\r\nHost: b\r\n\r\n", "GET /.portcullis/auth?# HTTP/1.1\r\nHost: b\r\n\r\n", "GET /.portcullis/auth/%zz HTTP/1.1\r\nHost: b\r\n\r\n", "GET http://b/.portcullis/auth HTTP/1.1\r\nHost: b\r\n\r\n",
		askedHead + askedHead, askedHead[:len(askedHead)-2], askedHead + "x", "GET /.portcullis/auth HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET /.portcullis/auth/%3f HTTP/1.1\r\nHost: b/c\r\n\r\n",
	} {
		f.Add(head)
	}
	f.Fuzz(func(t *testing.T, head string) {
		var got http.Request
		if !parseQuestion(head, &got) {
			return
		}
		from := bufio.NewReader(strings.NewReader(head))
		want, err := http.ReadRequest(from)
		if err != nil {
			t.Fatalf("net/http: %v in %q", err, head)
		}
		if from.Buffered() > 0 {
			t.Errorf("%q has more behind it", head)
		}
		same := func(what string, got, want any) {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q: %s differs: %s", head, what, diff)
			}
		}
		same("the header", got.Header, want.Header)
		same("the address", *got.URL, *want.URL)
		same("the rest", []any{got.Method, got.RequestURI, got.Host, got.Proto, got.ProtoMajor, got.ProtoMinor, got.ContentLength, got.Close, len(got.TransferEncoding), len(got.Trailer)},
			[]any{want.Method, want.RequestURI, want.Host, want.Proto, want.ProtoMajor, want.ProtoMinor, want.ContentLength, want.Close, len(want.TransferEncoding), len(want.Trailer)})
		if got.Body != http.NoBody || !isQuestion(want) {
			t.Errorf("%q: body = %v, a question: %v", head, got.Body, isQuestion(want))
		}

		var again http.Request
		again.URL, again.Header = got.URL, make(http.Header)
		if !parseQuestion(head, &again) || again.URL == got.URL || *again.URL != *got.URL {
			t.Errorf("%q: asked again it is at %v", head, again.URL)
		}
	})
}

// FuzzAnswer holds what is written as an answer against net/http's recorder:
// whatever a handler sets, a client reads that, and one answer alone.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "X-Portcullis-User", "ann", "")
	f.Add(401, "Content-Type", "text/plain", "no\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
	f.Add(204, "X-A", "a\r\nX-B: c", "body")
	f.Add(503, "Connection", "close", "<html>")
	f.Add(302, "Content-Length", "7", "")
	f.Add(100, "X a: b\r\n", " v ", "")
	a := &answer{header: make(http.Header)}
	f.Fuzz(func(t *testing.T, status int, name, value, body string) {
		if status < 200 || status > 999 {
			status = 200
		}
		a.begin()
		a.Header()[name] = []string{value}
		a.WriteHeader(status)
		a.Header().Set("X-Late", "1")
		_, wrote := a.Write([]byte(body))
		from := bufio.NewReader(strings.NewReader(string(a.end())))
		res, err := http.ReadResponse(from, httptest.NewRequest(http.MethodGet, "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var got strings.Builder
		if _, err := bufio.NewReader(res.Body).WriteTo(&got); err != nil || from.Buffered() > 0 {
			t.Fatalf("the body: %v, with %d bytes behind it", err, from.Buffered())
		}
		want := body
		if status == http.StatusNoContent || status == http.StatusNotModified {
			want = ""
			if wrote == nil {
				t.Error("a body where none may be")
			}
		}
		if res.StatusCode != status || got.String() != want || res.Header.Get("Date") == "" || res.Header.Get("X-Late") != "" {
			t.Errorf("answer = %d %v %q, want %d and %q", res.StatusCode, res.Header, got.String(), status, want)
		}
		for set := range res.Header {
			if set != "Date" && set != "Content-Length" && set != "Content-Type" && set != "Connection" && set != http.CanonicalHeaderKey(name) {
				t.Errorf("%s was set by nobody", set)
			}
		}
		if a.last != (name == "Connection" && strings.EqualFold(value, "close")) {
			t.Errorf("last = %v with %q: %q", a.last, name, value)
		}
	})
}

// An address that stands for another one is not taken for it, whatever was
// asked before over the connection.
func TestAnAddressIsReadAnewWhereItsTextSaysOtherwise(t *testing.T) {
	ask := func(r *http.Request, target string) {
		t.Helper()
		r.Header = make(http.Header)
		if !parseQuestion("GET "+target+" HTTP/1.1\r\nHost: b\r\n\r\n", r) {
			t.Fatalf("%s is no question", target)
		}
	}
	for _, pair := range [][2]string{
		{"/.portcullis/auth/a%3Fb", "/.portcullis/auth/a?b"}, {"/.portcullis/auth/a%2541", "/.portcullis/auth/a%41"},
	} {
		var before, alone http.Request
		ask(&before, pair[0])
		after := http.Request{URL: before.URL}
		ask(&after, pair[1])
		ask(&alone, pair[1])
		if *after.URL != *alone.URL {
			t.Errorf("%s after %s is at %+v, want %+v", pair[1], pair[0], *after.URL, *alone.URL)
		}
	}
}
