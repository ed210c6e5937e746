package proxy_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/proxy"
)

// issue makes a certificate for a name that is its own authority.
func issue(tb testing.TB, name string) (cert, key []byte) {
	tb.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		tb.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

// pair is a certificate in two files.
type pair struct{ cert, key string }

func newPair(tb testing.TB, name string) (pair, *x509.CertPool) {
	tb.Helper()
	dir := tb.TempDir()
	p := pair{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	cert, key := issue(tb, name)
	p.write(tb, cert, key)
	return p, trust(cert)
}

func (p pair) write(tb testing.TB, cert, key []byte) {
	tb.Helper()
	for file, text := range map[string][]byte{p.cert: cert, p.key: key} {
		if text == nil {
			continue
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

func trust(cert []byte) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return pool
}

// A new pair is used within a second. Half of one, or none, changes nothing.
func TestACertificateIsReplaced(t *testing.T) {
	files, _ := newPair(t, "one.example")
	now, log := time.Now(), &syncBuffer{}
	c, err := proxy.LoadCertificate(files.cert, files.key, func() time.Time { return now }, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	conf := c.Server()
	serves := func(want string) {
		t.Helper()
		now = now.Add(time.Second)
		for range 3 {
			got, err := conf.GetCertificate(&tls.ClientHelloInfo{})
			if err != nil || got.Leaf.DNSNames[0] != want {
				t.Fatalf("serves %v, %v, want %s", got.Leaf.DNSNames, err, want)
			}
		}
	}
	serves("one.example")
	cert, key := issue(t, "two.example")
	files.write(t, cert, nil) // in the middle of a change
	serves("one.example")
	serves("one.example")
	if n := strings.Count(log.String(), "cannot be replaced"); n != 1 {
		t.Errorf("the log tells of one bad pair %d times", n)
	}
	files.write(t, nil, key)
	serves("two.example")
	files.write(t, []byte("nonsense"), nil)
	serves("two.example")
	if err := os.Remove(files.key); err != nil {
		t.Fatal(err)
	}
	serves("two.example")
	cert, key = issue(t, "three.example")
	files.write(t, cert, key)
	serves("three.example")
	if left := time.Until(c.Expires()); left < 30*time.Minute || left > time.Hour {
		t.Errorf("expires in %v", left)
	}
	if _, err := proxy.LoadCertificate(files.cert, files.cert, time.Now, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a pair without a key is taken at start")
	}
}

// secure runs a gate that speaks TLS.
func secure(t *testing.T, upstream string, change ...func(*proxy.Config)) (addr string, roots *x509.CertPool) {
	t.Helper()
	files, roots := newPair(t, "portal.example")
	c, err := proxy.LoadCertificate(files.cert, files.key, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	conf := proxy.Config{PublicURL: parse(t, "https://portal.example"), Upstream: proxy.Upstream{URL: parse(t, upstream)}, Sessions: signedIn, Keys: &pen{}}
	for _, f := range change {
		f(&conf)
	}
	p := proxy.New(conf)
	t.Cleanup(p.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := proxy.Server(l.Addr().String(), p, slog.New(slog.DiscardHandler))
	srv.TLSConfig = c.Server()
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return l.Addr().String(), roots
}

func TestTheListenerSpeaksTLS(t *testing.T) {
	tp := record(t)
	addr, roots := secure(t, tp.url)
	for _, h2 := range []bool{true, false} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!h2)
		protocols.SetHTTP2(h2)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "portal.example"}, Protocols: protocols}
		for target, want := range map[string]int{"/a%20b?c;d": 200, "/a%2Fb": 400, "/.portcullis/jwks.json": 200} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr+target, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header["Cookie"] = []string{"__Host-portcullis=" + annToken, "theme=dark"}
			r.Header.Set("X-Portcullis-User", "root")
			res, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != want || (res.ProtoMajor == 2) != h2 {
				t.Errorf("%s = %d over %s", target, res.StatusCode, res.Proto)
			}
			if head := tp.head(t); head != "" && (!strings.HasPrefix(head, "GET "+target+" HTTP/1.1\r\n") || strings.Contains(head, "root") ||
				strings.Contains(head, annToken) || !strings.Contains(head, "theme=dark") || !strings.Contains(head, "X-Forwarded-Proto: https\r\n")) {
				t.Errorf("the portal saw %q", head)
			}
		}
		transport.CloseIdleConnections()
	}
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, ServerName: "portal.example", MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	if err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 is spoken")
	}
}

// Over HTTP/2 a stream ends with the session, too.
func TestAStreamOverHTTP2EndsWithTheSession(t *testing.T) {
	people := newPeople()
	people.enter(annToken, ann())
	up := portal(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "data: 1\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	addr, roots := secure(t, up, func(c *proxy.Config) { c.Sessions = people })
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "portal.example"}, Protocols: protocols}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", "__Host-portcullis="+annToken)
	res, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body := bufio.NewReader(res.Body)
	if line, err := body.ReadString('\n'); line != "data: 1\n" || err != nil {
		t.Fatalf("read %q, %v", line, err)
	}
	people.leave(annToken)
	if _, err := body.ReadByte(); err == nil || err == io.EOF {
		t.Errorf("the stream ended with %v, want it cut", err)
	}
}

// The gate knows its upstream, and the upstream the gate.
func TestAnUpstreamOverTLS(t *testing.T) {
	server, _ := newPair(t, "portal.internal")
	client, clientRoots := newPair(t, "gate.internal")
	load := func(p pair) *proxy.Certificate {
		c, err := proxy.LoadCertificate(p.cert, p.key, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	authorities := func(p pair) *proxy.Authorities {
		a, err := proxy.LoadAuthorities(p.cert, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	serverRoots := authorities(server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].DNSNames[0])
		}),
	}
	srv.TLSConfig = load(server).Server()
	srv.TLSConfig.ClientAuth, srv.TLSConfig.ClientCAs = tls.RequireAndVerifyClientCert, clientRoots
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	for name, tc := range map[string]struct {
		conf *tls.Config
		want int
	}{
		"both known":              {load(client).Client("portal.internal", serverRoots), 200},
		"another name":            {load(client).Client("other.internal", serverRoots), 502},
		"the address as the name": {load(client).Client("", serverRoots), 502},
		"another authority":       {load(client).Client("portal.internal", authorities(client)), 502},
		"the system's":            {load(client).Client("portal.internal", nil), 502},
		"no certificate of ours":  {(*proxy.Certificate)(nil).Client("portal.internal", serverRoots), 502},
	} {
		g := open(t, record(t).url, routes(proxy.Route{Path: "/", Upstream: &proxy.Upstream{URL: parse(t, "https://"+l.Addr().String()), TLS: tc.conf}}))
		if res := g.get(t, "/x", "ann"); res.Code != tc.want || tc.want == 200 && res.Text != "gate.internal" {
			t.Errorf("%s = %d %q", name, res.Code, res.Text)
		}
	}
}

// The authorities of an upstream are read again: new connections are judged by
// what the file holds, and half a file changes nothing.
func TestTheAuthoritiesOfAnUpstreamAreReplaced(t *testing.T) {
	one, oneKey := issue(t, "portal.internal")
	two, _ := issue(t, "portal.internal")
	own, err := tls.X509KeyPair(one, oneKey)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12},
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	now, log := time.Now(), &syncBuffer{}
	files := pair{filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "unused")}
	files.write(t, two, nil)
	a, err := proxy.LoadAuthorities(files.cert, func() time.Time { return now }, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	var none *proxy.Certificate
	conf := none.Client("portal.internal", a)
	trusts := func(what string, want bool) {
		t.Helper()
		now = now.Add(time.Second)
		conn, err := (&tls.Dialer{Config: conf}).DialContext(t.Context(), "tcp", l.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: %v, want trust %v", what, err, want)
		}
	}
	trusts("another authority", false)
	files.write(t, append(one, two...), nil)
	trusts("both", true)
	files.write(t, []byte("-----BEGIN CERT"), nil)
	trusts("half a file", true)
	trusts("half a file, still", true)
	if n := strings.Count(log.String(), "cannot be replaced"); n != 1 {
		t.Errorf("the log tells of one bad file %d times", n)
	}
	files.write(t, two, nil)
	trusts("withdrawn", false)
	if err := os.Remove(files.cert); err != nil {
		t.Fatal(err)
	}
	trusts("gone", false)
	files.write(t, one, nil)
	trusts("back", true)
	files.write(t, []byte("nonsense"), nil)
	if _, err := proxy.LoadAuthorities(files.cert, time.Now, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file without a certificate is taken at start")
	}
}
