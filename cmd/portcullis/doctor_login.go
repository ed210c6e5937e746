package main

import (
	"context"
	"fmt"
	"time"

	"portcullis/config"
	"portcullis/count"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/trace"
)

const (
	day        = 24 * time.Hour
	maxRecent  = 200 // traces of a connection that are looked at
	uneasySkew = 30 * time.Second
)

// examineConnections looks at what will bring trouble in signing in: at the
// configuration, and at what recent sign-ins brought. db may be nil.
func examineConnections(ctx context.Context, cfg *config.Config, db *store.DB, now time.Time) (found []diagnosis) {
	for _, conn := range cfg.Connections {
		if conn.OIDC == nil && conn.SAML == nil {
			continue
		}
		what := "sign-in " + conn.ID
		if conn.OIDC != nil {
			if d, ok := expiry(what, "client secret", conn.OIDC.SecretExpires, now); ok {
				found = append(found, d)
			}
		}
		if conn.SAML != nil && conn.SAML.Graph != nil {
			if d, ok := expiry(what, "client secret of graph", conn.SAML.Graph.Client.SecretExpires, now); ok {
				found = append(found, d)
			}
		}
		if conn.Link == "userName" {
			found = append(found, diagnosis{
				what, "warning",
				"link: userName is an e-mail address at most identity providers, and those change hands: externalId does not",
			})
		}
		found = append(found, examineMetadata(ctx, cfg, db, conn, now)...)
		if db == nil {
			continue
		}
		recent, err := db.Traces().Traces(ctx, trace.Query{Connection: conn.ID, Limit: maxRecent})
		if err != nil {
			found = append(found, diagnosis{what, "broken", fault.Message(err)})
			continue
		}
		found = append(found, examineTraces(what, recent)...)
	}
	return found
}

// expiry judges when something ends: it says so from sixty days before. The
// zero time is not known.
func expiry(what, thing string, at, now time.Time) (diagnosis, bool) {
	left := at.Sub(now)
	switch {
	case at.IsZero():
		return diagnosis{}, false
	case left <= 0:
		return diagnosis{what, "broken", fmt.Sprintf("the %s expired on %s", thing, at.Format(time.DateOnly))}, true
	}
	for _, days := range []int{1, 7, 14, 30, 60} {
		if left <= time.Duration(days)*day {
			return diagnosis{what, "warning", fmt.Sprintf("the %s expires on %s, within %s", thing, at.Format(time.DateOnly), count.Days(days))}, true
		}
	}
	return diagnosis{what, "fine", fmt.Sprintf("the %s expires on %s", thing, at.Format(time.DateOnly))}, true
}

// examineTraces reads the habits of an identity provider out of its answers.
// That somebody has no groups is no habit; that nobody has any is one.
func examineTraces(what string, recent []trace.Record) (found []diagnosis) {
	seen, answers := make(map[trace.Note]int), 0
	var skew time.Duration
	for i := range recent {
		r := &recent[i]
		if len(r.Facts) > 0 {
			answers++
		}
		for _, n := range r.Notes {
			seen[n]++
		}
		if r.Measured && r.Skew.Abs() > skew.Abs() {
			skew = r.Skew
		}
	}
	for _, n := range []trace.Note{trace.NoGroups, trace.Overage, trace.SHA1, trace.TransientNameID, trace.EmailAsKey, trace.StaleMetadata} {
		if c := seen[n]; c > 0 && (n != trace.NoGroups || c == answers) {
			found = append(found, diagnosis{what, "warning", fmt.Sprintf("%s, in %d of the last %s", n, c, count.Of(answers, "answer", "answers"))})
		}
	}
	if skew.Abs() > uneasySkew {
		found = append(found, diagnosis{what, "warning", fmt.Sprintf("the clocks were %s apart at a sign-in; more than a minute is refused", skew.Abs())})
	}
	return found
}
