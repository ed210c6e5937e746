package login

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
	idpTimeout   = 5 * time.Second // one request to an identity provider, body included
	maxAnswer    = 1 << 20         // bytes of one answer of an identity provider
	maxRedirects = 3
)

// errAnswer marks errors that mean: the identity provider did answer, and
// the answer is not usable.
var errAnswer = errors.New("unusable answer")

// statusError is an HTTP status that is not the wanted one.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

func (statusError) Unwrap() error { return errAnswer }

// classify makes a fault of an error in talking to the identity provider:
// Unavailable while it cannot be reached, Invalid for whatever it answered.
// what names the step, for the log.
func classify(err error, what string) error {
	if _, ok := errors.AsType[*fault.Error](err); ok || err == nil {
		return err
	}
	err = fmt.Errorf("%s: %w", what, withoutURL(err))
	if unreachable(err) {
		return fault.Wrap(fault.Unavailable, err, "the identity provider cannot be reached")
	}
	return refuse(err, "it is not usable")
}

// refuse is the fault for an answer that is not accepted. why is shown to the
// person, cause is for the log.
func refuse(cause error, why string) error {
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
	if errors.Is(err, errAnswer) {
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

// newClient makes the client for one identity provider. base is nil, or
// gives the transport and a time limit of its own.
func newClient(issuer *url.URL, base *http.Client) *http.Client {
	c := &http.Client{Timeout: idpTimeout, CheckRedirect: checkRedirect}
	g := guard{host: issuer.Hostname()}
	transport := http.RoundTripper(&http.Transport{
		DialContext:            g.dial,
		TLSHandshakeTimeout:    idpTimeout,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConnsPerHost:    8,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	})
	if base != nil {
		if base.Transport != nil {
			transport = base.Transport
		}
		if base.Timeout > 0 {
			c.Timeout = base.Timeout
		}
	}
	c.Transport = bounded{transport}
	return c
}

// checkRedirect follows a few redirects of a GET to the same origin: an
// identity provider vouches for its own answers, not for another host's, and
// a redirected POST would send the code a second time.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: too many redirects", errAnswer)
	case first.Method != http.MethodGet:
		return fmt.Errorf("%w: redirected %s", errAnswer, first.Method)
	case req.URL.Scheme != first.URL.Scheme || !strings.EqualFold(req.URL.Host, first.URL.Host):
		return fmt.Errorf("%w: redirected to another host", errAnswer)
	}
	return nil
}

// bounded fails answers over maxAnswer, after decompression.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	res.Body = &boundedBody{ReadCloser: res.Body, left: maxAnswer}
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
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%w: more than %d bytes", errAnswer, maxAnswer)
	}
	return n, err
}

// get fetches a document. It fails with a statusError unless the status is
// 200.
func get(ctx context.Context, c *http.Client, target string, header http.Header) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Accept", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return nil, nil, withoutURL(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, res.Header, statusError(res.StatusCode)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, res.Header, fmt.Errorf("body: %w", err)
	}
	return body, res.Header, nil
}

// guard keeps an identity provider from pointing the gate into the
// operator's own network: its metadata may name any host, but an address that
// is not a public one is dialled only if the issuer, which the operator named,
// has an address of the same sort.
type guard struct{ host string }

// sort of a network address: empty for a public one.
type sort string

const (
	public   sort = ""
	loopback sort = "loopback"
	private  sort = "private"
	special  sort = "special" // link-local (cloud metadata), multicast, reserved
)

func sortOf(a netip.Addr) sort {
	a = a.Unmap()
	switch {
	case a.IsLoopback():
		return loopback
	case a.IsPrivate(), within(a, "100.64.0.0/10"):
		return private
	case !a.IsGlobalUnicast(), within(a,
		"0.0.0.0/8", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", // RFC 6890
		"64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"): // they carry an IPv4 address
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

func (g guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	d := net.Dialer{Timeout: idpTimeout}
	if !strings.EqualFold(host, g.host) {
		// Judged after resolution, on the address that is dialled.
		d.ControlContext = func(ctx context.Context, _, address string, _ syscall.RawConn) error {
			return g.judge(ctx, address)
		}
	}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return conn, nil
}

func (g guard) judge(ctx context.Context, address string) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", errAnswer, err)
	}
	want := sortOf(target.Addr())
	if want == public {
		return nil
	}
	if want != special {
		own, err := net.DefaultResolver.LookupNetIP(ctx, "ip", g.host)
		if err != nil {
			return fmt.Errorf("issuer: %w", err)
		}
		for _, a := range own {
			if sortOf(a) == want {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: metadata names a %s address", errAnswer, want)
}
