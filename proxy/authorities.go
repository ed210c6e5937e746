package proxy

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Authorities are the certificates in a PEM file, by which an upstream's own
// has to be signed. The file may change: new connections are judged by it
// within a second. One that holds nothing usable changes nothing but the log.
// It is safe for concurrent use.
type Authorities struct {
	file string
	now  func() time.Time
	log  *slog.Logger

	mu     sync.Mutex
	pool   *x509.CertPool
	seen   []byte
	looked time.Time
}

// LoadAuthorities reads the file. now is the clock, and log is told of changes.
func LoadAuthorities(file string, now func() time.Time, log *slog.Logger) (*Authorities, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("read the authorities of the upstream: %w", err)
	}
	pool, err := poolOf(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &Authorities{file: file, now: now, log: log, pool: pool, seen: text, looked: now()}, nil
}

func poolOf(text []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("no certificate in it")
	}
	return pool, nil
}

// get gives the authorities, after a look at the file if the last one is a
// while ago.
func (a *Authorities) get() *x509.CertPool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if now.Sub(a.looked) < lookEvery {
		return a.pool
	}
	a.looked = now
	text, err := os.ReadFile(a.file)
	if err == nil && bytes.Equal(text, a.seen) {
		return a.pool
	}
	news := err == nil || a.seen != nil
	a.seen = text
	var pool *x509.CertPool
	if err == nil {
		if pool, err = poolOf(text); err == nil {
			a.pool = pool
			a.log.InfoContext(context.Background(), "authorities of an upstream were replaced", "file", a.file)
			return a.pool
		}
	} else {
		a.seen = nil // once back it is looked at whatever it holds
	}
	if news {
		a.log.ErrorContext(context.Background(), "authorities of an upstream cannot be replaced, the last good ones stay", "file", a.file, "error", err)
	}
	return a.pool
}

// verify lets a connection judge the certificate for name (for the host that
// is dialed, if that is empty) by what the file holds now, in place of crypto/tls, which knows one set for good.
func (a *Authorities) verify(c *tls.Config, name string) {
	c.InsecureSkipVerify = true // VerifyConnection does, also where a session is taken up again
	c.VerifyConnection = func(state tls.ConnectionState) error {
		wanted := cmp.Or(name, state.ServerName)
		if wanted == "" || len(state.PeerCertificates) == 0 { // no name would stand for any
			return errors.New("the upstream has no name, or shows no certificate")
		}
		between := x509.NewCertPool()
		for _, cert := range state.PeerCertificates[1:] {
			between.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: wanted, Roots: a.get(), Intermediates: between, CurrentTime: a.now()})
		return err
	}
}
