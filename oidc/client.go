package oidc

import (
	"context"
	"net/url"
	"time"

	"portcullis/outbound"
)

// ClientToken gets an access token for our client itself (RFC 6749, section
// 4.4), to ask other services of the provider with. It fails like
// [Provider.Redeem].
func (p *Provider) ClientToken(ctx context.Context, scope string) (token string, expires time.Time, err error) {
	m, err := p.metadata(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	asked := p.c.Now()
	answer, err := p.ask(ctx, m, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}})
	if err != nil {
		return "", time.Time{}, notAccepted(err)
	}
	token, ok := answer["access_token"].(string)
	if !ok || token == "" || len(token) > maxToken {
		return "", time.Time{}, outbound.Refuse(nil, "it holds no access token")
	}
	lives, _ := answer["expires_in"].(float64)
	return token, asked.Add(time.Duration(min(max(lives, 0), maxLifetime.Seconds())) * time.Second), nil
}
