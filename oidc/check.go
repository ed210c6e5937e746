package oidc

import (
	"context"
	"net/http"
	"time"

	"portcullis/count"
	"portcullis/fault"
	"portcullis/outbound"
)

// Result is one thing that [Provider.Check] looked at.
type Result struct {
	Name   string // "metadata", "keys" or "clock"
	Detail string // what was found, in words
	Err    error  // nil if it is well
}

// Check reaches the provider and looks at its metadata (that it names the
// issuer it was asked under, too), its signing keys, and how far its clock is
// from ours. It changes nothing that sign-ins see.
func (p *Provider) Check(ctx context.Context) []Result {
	m, header, err := p.fetchMetadata(ctx)
	if err != nil {
		return []Result{{Name: "metadata", Detail: fault.Message(err), Err: err}}
	}
	results := []Result{{Name: "metadata", Detail: "issuer " + p.c.Issuer}}
	keys := Result{Name: "keys"}
	data, _, err := outbound.Get(ctx, p.client, m.keysURL, nil)
	if err == nil {
		set, parseErr := parseKeys(data)
		keys.Detail, err = count.Of(len(set), "signing key", "signing keys"), parseErr
	}
	if keys.Err = outbound.Classify(err, "key set"); keys.Err != nil {
		keys.Detail = fault.Message(keys.Err)
	}
	return append(results, keys, p.checkClock(header))
}

func (p *Provider) checkClock(header http.Header) Result {
	r := Result{Name: "clock"}
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		r.Detail = "the identity provider does not tell its time"
		return r
	}
	skew := p.c.Now().Sub(date).Round(time.Second)
	r.Detail = "apart by " + skew.Abs().String()
	if skew.Abs() > leeway {
		r.Err = fault.New(fault.Invalid, "the clocks are %s apart, at most %s are accepted", skew.Abs(), leeway)
	}
	return r
}
