package login

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"portcullis/fault"
)

// Result is one thing that [Login.Check] looked at.
type Result struct {
	Connection string
	Name       string // "metadata", "keys" or "clock"
	Detail     string // what was found, in words
	Err        error  // nil if it is well
}

// Check reaches each identity provider and looks at its metadata (that it
// names the issuer of the connection, too), its signing keys, and how far its
// clock is from ours. It changes nothing that sign-ins see.
func (l *Login) Check(ctx context.Context) []Result {
	var results []Result
	for _, p := range l.providers {
		results = append(results, p.check(ctx)...)
	}
	return results
}

func (p *provider) check(ctx context.Context) []Result {
	id := p.conn.ID
	m, header, err := p.fetchMetadata(ctx)
	if err != nil {
		return []Result{{Connection: id, Name: "metadata", Detail: fault.Message(err), Err: err}}
	}
	results := []Result{{Connection: id, Name: "metadata", Detail: "issuer " + p.conn.Issuer}}
	keys := Result{Connection: id, Name: "keys"}
	data, _, err := get(ctx, p.client, m.keysURL, nil)
	if err == nil {
		set, parseErr := parseKeys(data)
		keys.Detail, err = fmt.Sprintf("%d signing keys", len(set)), parseErr
	}
	if keys.Err = classify(err, "key set"); keys.Err != nil {
		keys.Detail = fault.Message(keys.Err)
	}
	return append(results, keys, p.checkClock(header))
}

func (p *provider) checkClock(header http.Header) Result {
	r := Result{Connection: p.conn.ID, Name: "clock"}
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		r.Detail = "the identity provider does not tell its time"
		return r
	}
	skew := p.now().Sub(date).Round(time.Second)
	r.Detail = "apart by " + skew.Abs().String()
	if skew.Abs() > leeway {
		r.Err = fault.New(fault.Invalid, "the clocks are %s apart, at most %s are accepted", skew.Abs(), leeway)
	}
	return r
}
