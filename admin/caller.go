package admin

import (
	"context"
	"net/http"
	"strings"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/session"
	"portcullis/web"
)

// caller finds out who calls the API. Whoever names a token is judged by it
// alone, as at the portal: a cookie beside it does not count. No other site can
// make a browser send one.
func (c *Console) caller(r *http.Request) (*visitor, error) {
	secret, named := bearer(r.Header["Authorization"])
	if !named {
		return c.visitor(r)
	}
	who, err := c.sessions.VerifyToken(r.Context(), secret)
	if fault.Is(err, fault.Unauthenticated) {
		return nil, &web.Failure{
			Err: err, Header: http.Header{"Www-Authenticate": {`Bearer realm="api", error="invalid_token"`}}, // RFC 6750, section 3
			Advice: "Use an API token that is live.",
		}
	}
	if err != nil {
		return nil, err
	}
	return c.signedIn(who, web.ClientAddress(r)), nil
}

// bearer gives the token of a call (RFC 6750, section 2.1). Two of them are
// none that is good; what a proxy in front asks of browsers is no token.
func bearer(lines []string) (secret string, named bool) {
	for _, line := range lines {
		scheme, rest, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			continue
		}
		if named || len(lines) > 1 {
			return "", true
		}
		secret, named = strings.TrimSpace(rest), true
	}
	return secret, named
}

// makerOf gives the operator who made the API token of a caller; nobody for
// whoever has none. It fails with fault.Forbidden where the trail does not say.
func (c *Console) makerOf(ctx context.Context, who *session.Principal) (id string, err error) {
	if who == nil || !who.Token {
		return "", nil
	}
	q := EventQuery{Action: string(audit.TokenCreated), Connections: []string{who.Connection}, Limit: pageSize}
	for {
		events, err := c.store.Events(ctx, q)
		if err != nil {
			return "", err
		}
		for _, e := range events {
			if e.Subject == who.SessionID && e.Actor.ID != "" {
				return e.Actor.ID, nil
			}
		}
		if len(events) < q.Limit {
			return "", fault.New(fault.Forbidden, "nobody knows who made this token, so it cannot take part in what two people must do")
		}
		q.Before = events[len(events)-1].Seq
	}
}
