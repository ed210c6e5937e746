// Package graph asks Microsoft Graph for the groups of a person of Microsoft
// Entra ID. A token names at most 200 of them, and an assertion 150; beyond
// that it only says that there are more.
//
// The sign is used and never the endpoint in it: that one belongs to whoever
// wrote the token. An answer is whole or none, and none is an error: nobody
// may take what could not be read for having no groups.
package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"portcullis/fault"
	"portcullis/outbound"
)

const (
	defaultLimit = 10 * time.Second // of one question, whatever it takes
	pageSize     = 999              // the most that Graph gives at once
	maxPages     = 20
	maxWaits     = 3               // answers of 429 or 503 that are waited out
	longestWait  = 5 * time.Second // one that asks for more is given up
	maxID        = 255             // bytes
	spare        = time.Minute     // a token is renewed so long before its end
)

// Token gives an access token of our client for a scope, and when it ends.
type Token func(ctx context.Context, scope string) (token string, expires time.Time, err error)

// Config is what a Client needs.
type Config struct {
	URL   string           // required; of the service's version, such as https://graph.microsoft.com/v1.0
	Token Token            // required
	Limit time.Duration    // of one question, waits included; defaults to 10 s
	HTTP  *http.Client     // transport and time limit, for tests; defaults to a guarded client of 5 s
	Now   func() time.Time // defaults to time.Now
}

// Client is safe for concurrent use.
type Client struct {
	c    Config
	base *url.URL
	http *http.Client

	mu      sync.Mutex
	token   string
	expires time.Time
}

// New makes a Client. It reaches nobody.
func New(c Config) *Client {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Limit <= 0 {
		c.Limit = defaultLimit
	}
	base, err := url.Parse(c.URL)
	if err != nil {
		base = &url.URL{} // no request gets anywhere
	}
	return &Client{c: c, base: base, http: outbound.New(outbound.Config{Host: base.Hostname(), Base: c.HTTP})}
}

// Groups gives the ids of every group that the person with that object id is
// in, through other groups, too. It fails with fault.Unavailable when Graph
// cannot be reached or is too busy, and with fault.Invalid for whatever else
// keeps it from giving all of them.
func (c *Client) Groups(ctx context.Context, oid string) ([]string, error) {
	if !objectID(oid) {
		return nil, fault.New(fault.Invalid, "the person has no object id")
	}
	ctx, cancel := context.WithTimeout(ctx, c.c.Limit)
	defer cancel()
	target := c.base.JoinPath("users", oid, "transitiveMemberOf", "microsoft.graph.group")
	target.RawQuery = "$select=id&$top=" + strconv.Itoa(pageSize)
	var groups []string
	for range maxPages {
		page, err := c.page(ctx, target)
		if err != nil {
			return nil, err
		}
		for _, g := range page.Value {
			if g.ID == "" || len(g.ID) > maxID {
				return nil, outbound.Refuse(errors.New("graph"), "it lists a group without an id")
			}
			groups = append(groups, g.ID)
		}
		if page.Next == "" {
			return groups, nil
		}
		if target, err = c.next(page.Next); err != nil {
			return nil, err
		}
	}
	return nil, outbound.Refuse(fmt.Errorf("graph: more than %d pages", maxPages), "it lists too many groups")
}

// objectID says whether an id can be a segment of a path, and nothing else.
func objectID(s string) bool {
	return s != "" && len(s) <= maxID && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-'
	})
}

// page is one page of the answer.
type page struct {
	Value []struct {
		ID string `json:"id"`
	} `json:"value"`
	Next string `json:"@odata.nextLink"`
}

// next judges the link to the next page, which gets our access token: it leads
// to the same place or nowhere.
func (c *Client) next(link string) (*url.URL, error) {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != c.base.Scheme || !strings.EqualFold(u.Host, c.base.Host) || u.User != nil {
		return nil, outbound.Refuse(errors.New("graph: next page"), "it leads to another host")
	}
	return u, nil
}

// page fetches one page, with a new token if the one at hand is refused, and
// waiting when Graph asks for it.
func (c *Client) page(ctx context.Context, target *url.URL) (p page, err error) {
	renewed := false
	for waits := 0; ; {
		token, err := c.access(ctx)
		if err != nil {
			return p, err
		}
		body, header, err := outbound.Get(ctx, c.http, target.String(), http.Header{"Authorization": {"Bearer " + token}})
		status, isStatus := errors.AsType[outbound.Status](err)
		switch {
		case err == nil:
			if err := json.Unmarshal(body, &p); err != nil || p.Value == nil {
				return p, outbound.Refuse(errors.New("graph: page"), "it is no list of groups")
			}
			return p, nil
		case isStatus && status == http.StatusUnauthorized && !renewed:
			renewed = true
			c.forget(token)
		case isStatus && (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) && waits < maxWaits:
			waits++
			if err := c.wait(ctx, header); err != nil {
				return p, err
			}
		case isStatus && (status == http.StatusTooManyRequests || status >= http.StatusInternalServerError):
			return p, busy(err)
		default:
			return p, outbound.Classify(err, "graph")
		}
	}
}

func busy(cause error) error {
	return fault.Wrap(fault.Unavailable, fmt.Errorf("graph: %w", cause), "the directory of the identity provider is too busy")
}

// wait does what Retry-After asks for, within bounds (RFC 9110, section
// 10.2.3).
func (c *Client) wait(ctx context.Context, header http.Header) error {
	d := time.Second
	if text := header.Get("Retry-After"); text != "" {
		if at, err := http.ParseTime(text); err == nil {
			d = at.Sub(c.c.Now())
		} else if n, err := strconv.Atoi(text); err == nil && n >= 0 {
			d = time.Duration(min(n, 3600)) * time.Second
		}
	}
	if end, ok := ctx.Deadline(); d > longestWait || ok && time.Until(end) < d {
		return busy(fmt.Errorf("asks to wait for %s", d))
	}
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return outbound.Classify(ctx.Err(), "graph")
	}
}

// access gives the token at hand, or a new one.
func (c *Client) access(ctx context.Context) (string, error) {
	c.mu.Lock()
	token, expires := c.token, c.expires
	c.mu.Unlock()
	if token != "" && c.c.Now().Add(spare).Before(expires) {
		return token, nil
	}
	// The resource is the origin, in each of the clouds.
	token, expires, err := c.c.Token(ctx, c.base.Scheme+"://"+c.base.Host+"/.default")
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token, c.expires = token, expires
	return token, nil
}

// forget drops a token that is refused, unless there is a newer one.
func (c *Client) forget(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == token {
		c.token = ""
	}
}

// CloseIdleConnections ends the connections that nobody uses.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }
