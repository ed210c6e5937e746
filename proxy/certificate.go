package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery is how often, at most, the files of a [Certificate] are read.
const lookEvery = time.Second

// Certificate is a certificate and its key, in two PEM files that may change:
// within a second of it the new pair is used. Two files that do not belong
// together, as in the middle of a change, or that hold nothing usable, change
// nothing but the log. It is safe for concurrent use.
type Certificate struct {
	certFile, keyFile string
	now               func() time.Time
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	looked  time.Time
	seen    [2][]byte // what the files held when they were last looked at
}

// LoadCertificate reads the two files. now is the clock, and log is told of
// changes.
func LoadCertificate(certFile, keyFile string, now func() time.Time, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, now: now, log: log}
	texts, err := c.read()
	if err != nil {
		return nil, err
	}
	pair, err := pairOf(texts)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", certFile, keyFile, err)
	}
	c.current, c.seen, c.looked = pair, texts, now()
	return c, nil
}

func (c *Certificate) read() (texts [2][]byte, err error) {
	if texts[0], err = os.ReadFile(c.certFile); err == nil {
		texts[1], err = os.ReadFile(c.keyFile)
	}
	if err != nil {
		return texts, fmt.Errorf("read the certificate: %w", err)
	}
	return texts, nil
}

func pairOf(texts [2][]byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(texts[0], texts[1])
	if err != nil {
		return nil, err
	}
	if pair.Leaf == nil {
		return nil, errors.New("no certificate in it")
	}
	return &pair, nil
}

// Expires is when the certificate in use ends.
func (c *Certificate) Expires() time.Time { return c.get(context.Background()).Leaf.NotAfter }

// Server makes the TLS of a listener with the certificate: TLS 1.2 and later.
func (c *Certificate) Server() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(hello.Context()), nil },
	}
}

// Client makes the TLS with which the gate shows the certificate to an
// upstream that asks for one; c may be nil. The upstream's own must be for
// serverName, and by one of roots, or by the system's if that is nil.
func (c *Certificate) Client(serverName string, roots *Authorities) *tls.Config {
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName}
	if roots != nil {
		roots.verify(out, serverName)
	}
	if c != nil {
		out.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.get(info.Context()), nil }
	}
	return out
}

// get gives the certificate in use, after a look at the files if the last one
// is a while ago.
func (c *Certificate) get(ctx context.Context) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.looked) < lookEvery {
		return c.current
	}
	c.looked = now
	texts, err := c.read()
	if err == nil && bytes.Equal(texts[0], c.seen[0]) && bytes.Equal(texts[1], c.seen[1]) {
		return c.current
	}
	news := err == nil || c.seen[0] != nil
	c.seen = texts
	if err == nil {
		var pair *tls.Certificate
		if pair, err = pairOf(texts); err == nil {
			c.current = pair
			c.log.InfoContext(ctx, "certificate was replaced", "file", c.certFile, "expires", pair.Leaf.NotAfter)
			return c.current
		}
	} else {
		c.seen = [2][]byte{} // once back they are looked at whatever they hold
	}
	if news {
		c.log.ErrorContext(ctx, "certificate cannot be replaced, the last good one stays", "file", c.certFile, "error", err)
	}
	return c.current
}
