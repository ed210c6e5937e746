package oidc

import (
	"context"
	"errors"
	"net/url"

	"portcullis/fault"
	"portcullis/outbound"
)

// ErrEnded says that the provider has ended the session that a refresh token
// belongs to. It is a fault.Forbidden.
var ErrEnded = fault.Personal(fault.Forbidden, "your identity provider ended your session", "their identity provider ended their session")

// Refresh asks whether the session of a refresh token still lives at the
// provider (RFC 6749, section 6) and gives the token to ask with next time.
// An ID token that comes along must be about the same subject (OpenID Connect
// Core 1.0, section 12.2). It fails with [ErrEnded] if the session does not
// live, and with any other fault if that cannot be known.
func (p *Provider) Refresh(ctx context.Context, refresh, subject string) (next string, err error) {
	m, err := p.metadata(ctx)
	if err != nil {
		return "", err
	}
	answer, err := p.ask(ctx, m, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
	if e, ok := errors.AsType[tokenError](err); ok && e.code == "invalid_grant" {
		return "", ErrEnded
	}
	if err != nil {
		return "", notAccepted(err)
	}
	if raw, ok := answer["id_token"].(string); ok && raw != "" {
		claims, _, err := p.open(ctx, m, raw, idToken)
		if err != nil {
			return "", err
		}
		if err := p.checkCommon(claims); err != nil {
			return "", err
		}
		if claims["sub"] != subject {
			return "", ErrEnded
		}
	}
	next, ok := answer["refresh_token"].(string)
	switch {
	case answer["refresh_token"] == nil || next == "":
		return refresh, nil // it goes on being good
	case !ok || len(next) > maxToken:
		return "", outbound.Refuse(nil, "its refresh token is not one")
	}
	return next, nil
}
