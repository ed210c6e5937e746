// Package outbound is how the gate reaches identity providers: the HTTP client
// for metadata, keys, tokens, and directories, and the faults of what they
// answer.
//
// The client trusts nobody it talks to. Every request ends within seconds,
// every answer is bounded, a redirect leads to the same origin or nowhere, and
// no name resolves into the operator's own network unless the operator said
// so: what an identity provider publishes would otherwise point the gate at
// its neighbours.
//
// The package knows no protocol and keeps no state but idle connections.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"portcullis/fault"
)

const (
	defaultTimeout = 5 * time.Second
	defaultAnswer  = 1 << 20
	maxRedirects   = 3
)

// ErrAnswer marks errors that mean: the identity provider did answer, and
// the answer is not usable.
var ErrAnswer = errors.New("unusable answer")

// Status is an HTTP status that is not the wanted one, as an error. It is an
// [ErrAnswer].
type Status int

// Error gives the status in digits.
func (e Status) Error() string { return fmt.Sprintf("status %d", int(e)) }

// Unwrap gives ErrAnswer.
func (Status) Unwrap() error { return ErrAnswer }

// Classify makes a fault of an error in talking to the identity provider:
// Unavailable while it cannot be reached, Invalid for whatever it answered. A
// fault stays what it is, and nil stays nil. what names the step, for the log.
// No URL gets into the text: one may hold what no log should.
func Classify(err error, what string) error {
	if _, ok := errors.AsType[*fault.Error](err); ok || err == nil {
		return err
	}
	err = fmt.Errorf("%s: %w", what, withoutURL(err))
	if unreachable(err) {
		return fault.Wrap(fault.Unavailable, err, "the identity provider cannot be reached")
	}
	return Refuse(err, "it is not usable")
}

// Refuse is the fault for an answer that is not accepted. why is shown to the
// person, cause is for the log.
func Refuse(cause error, why string) error {
	const text = "the answer of the identity provider was refused: %s"
	if cause == nil {
		return fault.New(fault.Invalid, text, why)
	}
	return fault.Wrap(fault.Invalid, cause, text, why)
}

// withoutURL takes the request's URL out of an error of net/http, since it
// may carry parameters that no log should hold.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func unreachable(err error) bool {
	if errors.Is(err, ErrAnswer) {
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) {
		return true
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return true
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}

// Config says whom a client talks to.
type Config struct {
	// Host is the one that the operator named, without a port. An address that
	// is not public is dialled only if Host itself is written as an address of
	// the same sort; localhost counts as one.
	Host string
	// AllowPrivate lets any name resolve into private networks and loopback.
	// Link-local, multicast and reserved addresses are never dialled.
	AllowPrivate bool
	Timeout      time.Duration // of one request, body included; defaults to 5 s
	MaxAnswer    int64         // bytes of one answer, decompressed; defaults to 1 MiB
	// Base gives the transport and the time limit instead, for tests; no
	// address is judged then. It may be nil.
	Base *http.Client
}

// New makes a client, which is safe for concurrent use.
func New(c Config) *http.Client {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.MaxAnswer <= 0 {
		c.MaxAnswer = defaultAnswer
	}
	g := guard{named: named(c.Host), private: c.AllowPrivate, timeout: c.Timeout}
	transport := http.RoundTripper(&http.Transport{
		DialContext:            g.dial,
		TLSHandshakeTimeout:    c.Timeout,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConnsPerHost:    8,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	})
	if c.Base != nil {
		if c.Base.Transport != nil {
			transport = c.Base.Transport
		}
		if c.Base.Timeout > 0 {
			c.Timeout = c.Base.Timeout
		}
	}
	return &http.Client{Timeout: c.Timeout, CheckRedirect: checkRedirect, Transport: bounded{detour{transport}, c.MaxAnswer}}
}

// checkRedirect follows a few redirects of a GET to the same origin: an
// identity provider vouches for its own answers, not for another host's, and
// a redirected POST would send the code a second time.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: too many redirects", ErrAnswer)
	case first.Method != http.MethodGet:
		return fmt.Errorf("%w: redirected %s", ErrAnswer, first.Method)
	case req.URL.Scheme != first.URL.Scheme || !strings.EqualFold(req.URL.Host, first.URL.Host):
		return fmt.Errorf("%w: redirected to another host", ErrAnswer)
	}
	return nil
}

// bounded fails answers over a size, after decompression.
type bounded struct {
	next  http.RoundTripper
	limit int64
}

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	res.Body = &boundedBody{ReadCloser: res.Body, left: b.limit, limit: b.limit}
	return res, nil
}

// CloseIdleConnections hands on what http.Client asks for.
func (b bounded) CloseIdleConnections() {
	if c, ok := b.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type boundedBody struct {
	io.ReadCloser
	left, limit int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrAnswer, b.limit)
	}
	return n, err
}

// Get fetches a document, of JSON unless header says what else in Accept, and
// gives the header of the answer even where it fails after that came. It fails
// with a [Status] unless the status is 200.
func Get(ctx context.Context, c *http.Client, target string, header http.Header) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	req.Header.Set("Accept", "application/json")
	maps.Copy(req.Header, header)
	res, err := c.Do(req)
	if err != nil {
		return nil, nil, withoutURL(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, res.Header, Status(res.StatusCode)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, res.Header, fmt.Errorf("body: %w", err)
	}
	return body, res.Header, nil
}

// Post sends a form and gives the body and the status of the answer, whatever
// it is. No redirect is followed.
func Post(ctx context.Context, c *http.Client, target string, form url.Values, header http.Header) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrAnswer, withoutURL(err))
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return nil, 0, withoutURL(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, res.StatusCode, fmt.Errorf("body: %w", err)
	}
	return body, res.StatusCode, nil
}

// guard keeps an identity provider from pointing the gate into the
// operator's own network. Every address is judged after resolution, as it is
// dialled.
type guard struct {
	named   sort // of the host that the operator wrote as an address
	private bool
	timeout time.Duration
}

// sort of a network address: empty for a public one.
type sort string

const (
	public   sort = ""
	loopback sort = "loopback"
	private  sort = "private"
	special  sort = "special" // link-local, cloud metadata, multicast, reserved
)

func sortOf(a netip.Addr) sort {
	a = a.Unmap()
	switch {
	case a.IsLoopback():
		return loopback
	case within(a, "168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::/32"): // clouds tell machines their secrets there, too
		return special
	case a.IsPrivate(), within(a, "100.64.0.0/10", "fec0::/10"): // RFC 6598, RFC 3879
		return private
	case !a.IsGlobalUnicast(), within(a,
		"0.0.0.0/8", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", // RFC 6890
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"): // they carry an IPv4 address
		return special
	default:
		return public
	}
}

func within(a netip.Addr, prefixes ...string) bool {
	for _, p := range prefixes {
		if netip.MustParsePrefix(p).Contains(a) {
			return true
		}
	}
	return false
}

// named is the sort of a host that is written as an address. A name says
// nothing: whoever owns it decides where it leads.
func named(host string) sort {
	if strings.EqualFold(host, "localhost") {
		return loopback
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return public
	}
	return sortOf(a)
}

func (g guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: g.timeout, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return g.judge(address)
	}}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return conn, nil
}

func (g guard) judge(address string) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	switch s := sortOf(target.Addr()); {
	case s == public, s != special && (s == g.named || g.private):
		return nil
	default:
		return fmt.Errorf("%w: it leads to a %s address", ErrAnswer, s)
	}
}
