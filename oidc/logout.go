package oidc

import (
	"context"
	"errors"
	"time"

	"portcullis/outbound"
)

// logoutEvent is the member of events that makes a token a logout token.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// Logout is what a verified logout token says (OpenID Connect Back-Channel
// Logout 1.0, section 2.4). One of Subject and Session is not empty.
type Logout struct {
	Subject string
	Session string // sid
	ID      string // jti
	Expires time.Time
}

// VerifyLogout checks a logout token (section 2.6). That it counts once is up
// to the caller. It fails with fault.Invalid, and with fault.Unavailable if
// the keys of the provider cannot be had.
func (p *Provider) VerifyLogout(ctx context.Context, raw string) (Logout, error) {
	m, err := p.metadata(ctx)
	if err != nil {
		return Logout{}, err
	}
	claims, _, err := p.open(ctx, m, raw, logoutToken)
	if err != nil {
		return Logout{}, err
	}
	return p.readLogout(claims)
}

func (p *Provider) readLogout(claims map[string]any) (l Logout, err error) {
	events, _ := claims["events"].(map[string]any)
	event, isLogout := events[logoutEvent].(map[string]any)
	switch {
	case !isLogout || event == nil:
		return l, refuseLogout("it is no logout token")
	case hasMember(claims, "nonce"): // an ID token has one: neither passes for the other
		return l, refuseLogout("a logout token must not hold a nonce")
	}
	if err := p.checkIssued(claims); err != nil {
		return l, err
	}
	for _, f := range []struct {
		name     string
		required bool
		into     *string
	}{{"jti", true, &l.ID}, {"sub", false, &l.Subject}, {"sid", false, &l.Session}} {
		if !hasMember(claims, f.name) && !f.required {
			continue
		}
		if *f.into, err = Subject(claims[f.name]); err != nil {
			return Logout{}, refuseLogout("its logout token holds a " + f.name + " that is not a name")
		}
	}
	if l.Subject == "" && l.Session == "" {
		return Logout{}, refuseLogout("its logout token names no session")
	}
	exp, _ := instant(claims["exp"])
	l.Expires = exp.Add(leeway)
	return l, nil
}

func hasMember(claims map[string]any, name string) bool { _, ok := claims[name]; return ok }

func refuseLogout(why string) error { return outbound.Refuse(errors.New("logout token"), why) }
