package proxy

import (
	"net/http"
	"strings"

	"portcullis/fault"
	"portcullis/session"
	"portcullis/web"
)

// ownPrefixes begin the secrets that are the gate's: API tokens, which let a
// program in, and those of SCIM, which open nothing here. None of them ever
// reaches the portal.
var ownPrefixes = [...]string{session.TokenPrefix, "pcs_", "pcc_", "pca_"} //nolint:gochecknoglobals // an array that nothing writes

// ownBearer gives the first bearer token of a request that is the gate's own
// kind (RFC 6750, section 2.1). Others are between the client and the portal.
func ownBearer(h http.Header) (secret string, ours bool) {
	for _, line := range h["Authorization"] {
		scheme, rest, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			continue
		}
		rest = strings.TrimSpace(rest)
		for _, p := range ownPrefixes {
			if hasPrefix(rest, p) {
				return rest, true
			}
		}
	}
	return "", false
}

func isBearer(r *http.Request) bool {
	_, ours := ownBearer(r.Header)
	return ours
}

// bearer gives whom an API token stands for. Whoever names a token is judged
// by it alone: a cookie beside it does not count.
func (p *Proxy) bearer(j *journey, secret string) (*session.Principal, error) {
	err := fault.New(fault.Unauthenticated, "the token is not good here")
	if len(j.in.Header["Authorization"]) == 1 && strings.HasPrefix(secret, session.TokenPrefix) {
		var who *session.Principal
		if who, err = p.sessions.VerifyToken(j.ctx, secret); err == nil {
			return who, nil
		}
	}
	if !fault.Is(err, fault.Unauthenticated) {
		return nil, err
	}
	return nil, &web.Failure{
		Err: err, Header: http.Header{"Www-Authenticate": {`Bearer realm="portal", error="invalid_token"`}}, // RFC 6750, section 3
		Advice: "Use a token that is live, or sign in with a browser.",
	}
}
