package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portcullis/admin"
	"portcullis/fault"
	"portcullis/session"
)

// The variables that say where a gate runs, and as whom commands work there.
const (
	gateVariable  = "PORTCULLIS_GATE"
	tokenVariable = "PORTCULLIS_TOKEN"
)

// farGate is what the command line says of a gate that runs elsewhere. The
// token is no option: everybody on a machine sees those.
type farGate struct {
	address, tokenFile, caFile string
	lookup                     func(string) (string, bool) // of the environment; nil: there is none
}

// named is the address of the gate; empty if commands work on the database.
func (e *farGate) named() string {
	if e.address != "" || e.lookup == nil {
		return e.address
	}
	address, _ := e.lookup(gateVariable)
	return address
}

// through marks a command that works through a gate, too.
const through = "through a gate"

// throughGate makes a command one that works through a gate, too.
func throughGate(cmd *cobra.Command) *cobra.Command {
	cmd.Annotations = map[string]string{through: "yes"}
	return cmd
}

var errHere = usagef("this works on the database of a gate, and not through its API: without --gate and %s, where the gate runs", gateVariable)

// fits refuses a command that was told to work through a gate and cannot.
// Those that need no database do not mind the variable.
func (e *farGate) fits(cmd *cobra.Command) error {
	if cmd.Annotations[through] != "" || e.address == "" && e.tokenFile == "" && e.caFile == "" {
		return nil
	}
	return usagef("%s does not work through a gate: without --gate, where the gate runs", cmd.CommandPath())
}

// remote is a gate that runs elsewhere, as its API shows it. It is safe for
// concurrent use.
type remote struct {
	base  string // of its API
	token string
	http  *http.Client
}

// Bounds of a call, so that a gate that hangs does not hang a script. Giving
// back what thousands of people lost is what takes longest.
const (
	dialPatience = 10 * time.Second
	callPatience = 5 * time.Minute
	maxCall      = 64 << 20 // bytes of an answer
)

// remote gives the gate that commands work through; nil if they work on the
// database.
func (c *cli) remote() (*remote, error) {
	address := c.gate.named()
	if address == "" {
		return nil, nil //nolint:nilnil // there is none, and that is no mistake
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return nil, usagef("--gate: want the public address of a gate, as in https://portal.example.com")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, usagef("--gate: want https, for the token goes there; http is for loopback alone")
	}
	token, err := c.gate.token()
	if err != nil {
		return nil, err
	}
	trust, err := authorities(c.gate.caFile)
	if err != nil {
		return nil, err
	}
	return &remote{
		base: u.Scheme + "://" + u.Host + admin.APIPrefix, token: token,
		http: &http.Client{
			Timeout: callPatience,
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: dialPatience}).DialContext, TLSHandshakeTimeout: dialPatience,
				TLSClientConfig: &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
			},
			// Whoever could redirect would be given the token.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// token reads the API token; the file that is named counts before the
// variable.
func (e *farGate) token() (string, error) {
	text, from := "", tokenVariable
	if e.lookup != nil {
		text, _ = e.lookup(tokenVariable)
	}
	if e.tokenFile != "" {
		from = "--token-file"
		body, err := os.ReadFile(e.tokenFile)
		if err != nil {
			return "", usagef("--token-file: %v", err)
		}
		text = string(body)
	}
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", usagef("want an API token in %s or in the file that --token-file names", tokenVariable)
	case !strings.HasPrefix(text, session.TokenPrefix) || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", usagef("%s: want an API token, which begins with %s", from, session.TokenPrefix)
	default:
		return text, nil
	}
}

// authorities reads the certificates of a file; nil stands for the system's.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // crypto/tls takes nil for the system's
	}
	text, err := os.ReadFile(file) //nolint:gosec // whoever calls names the file
	if err != nil {
		return nil, usagef("--ca-file: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, usagef("--ca-file: %s holds no certificate in PEM", file)
	}
	return pool, nil
}

// place is a path of the API. What is between its slashes stays there.
func place(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String()
}

// get asks; into takes the answer.
func (g *remote) get(ctx context.Context, path string, query url.Values, into any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return g.call(ctx, http.MethodGet, path, nil, into)
}

// call asks for something or has it done. It fails with the fault that the
// gate names, in its words.
func (g *remote) call(ctx context.Context, method, path string, body, into any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, g.base+path, content)
	if err != nil {
		return usagef("%w", err)
	}
	req.Header.Set("Authorization", "Bearer "+g.token)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := g.http.Do(req)
	if err != nil {
		return fmt.Errorf("the gate does not answer: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxCall+1))
	switch {
	case err != nil:
		return fmt.Errorf("the answer of the gate breaks off: %w", err)
	case len(text) > maxCall:
		return errors.New("the answer of the gate is too long")
	case res.StatusCode != http.StatusOK:
		return refusal(res, text)
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("the answer of the gate is not what its API says: %w", err)
	}
	return nil
}

// refusal is what a gate said instead of an answer (RFC 9457).
func refusal(res *http.Response, text []byte) error {
	var problem struct{ Detail, Reference string }
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || kind != "application/problem+json" || json.Unmarshal(text, &problem) != nil || problem.Detail == "" {
		return fmt.Errorf("there is no gate's API at that address: it answers %s", res.Status)
	}
	words := printable(problem.Detail)
	if problem.Reference != "" {
		words += " (reference " + printable(problem.Reference) + ")"
	}
	return fault.New(kindOf(res.StatusCode), "%s", words)
}

// kindOf is the fault behind a status of the API.
func kindOf(status int) fault.Kind {
	switch status {
	case http.StatusNotFound:
		return fault.NotFound
	case http.StatusConflict:
		return fault.Conflict
	case http.StatusBadRequest:
		return fault.Invalid
	case http.StatusUnauthorized:
		return fault.Unauthenticated
	case http.StatusForbidden:
		return fault.Forbidden
	case http.StatusRequestEntityTooLarge:
		return fault.TooLarge
	case http.StatusServiceUnavailable:
		return fault.Unavailable
	default:
		return fault.Internal
	}
}

// order is what is to be done, and why.
type order struct {
	Reason string `json:"reason,omitempty"`
}

// doneJSON is what came of it.
type doneJSON struct {
	Ended int `json:"sessionsEnded"`
	Count int `json:"count"`
	Left  int `json:"left"`
}
