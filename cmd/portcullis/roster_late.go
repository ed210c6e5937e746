package main

import (
	"context"
	"time"

	"portcullis/admin"
)

// straggling is how long somebody may be under way in a gate: their sign-in
// found its connection, and begins a session after that was removed or replaced.
const straggling = time.Minute

// straggler is a connection that was removed or has another provider, and when
// the last who were under way in it have arrived.
type straggler struct {
	id       string
	at       time.Time
	replaced bool
	before   string // the issuer of the provider that was replaced; empty if that is not known
}

// replaced gives the connections that have another provider in next, of which
// nobody comes in by the old one once next is in force.
func (r *roster) replaced(ctx context.Context, next *rosterState) (out []straggler) {
	before := r.state.Load()
	for id, m := range next.made {
		if old, ok := before.made[id]; ok && r.ring != nil && anotherProvider(old.draft, m.draft) {
			out = append(out, straggler{id: id, replaced: true, before: r.issuer(ctx, old.draft)})
		}
	}
	return out
}

// gather ends what the last who were under way in a connection have begun. Whom
// its new provider let in since stays, where the two can be told apart.
func (r *roster) gather(ctx context.Context, s straggler) error {
	if !s.replaced {
		return r.made.Empty(ctx, s.id, r.now())
	}
	now := ""
	if m, ok := r.state.Load().made[s.id]; ok {
		now = r.issuer(ctx, m.draft)
	}
	if now == "" || s.before == "" || now == s.before {
		return r.made.SignOut(ctx, s.id, r.now())
	}
	return r.made.SignOutOthers(ctx, s.id, now, r.now())
}

// issuer is what the provider of a connection that is in force calls itself;
// empty while that is not known here.
func (r *roster) issuer(ctx context.Context, d admin.Draft) string {
	switch {
	case d.Protocol == admin.OverOIDC:
		return d.Issuer
	case d.MetadataURL == "" && d.Metadata != "":
		return entityOf(d.Metadata)
	case r.login == nil: // a roster without its rooms
		return ""
	}
	if idp, _ := r.login().Provider(ctx, d.ID); idp != nil {
		return idp.EntityID
	}
	return ""
}
