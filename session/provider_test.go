package session_test

import (
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/session"
)

// ticketed signs somebody in at a provider that names its session.
func (r *replica) ticketed(subject string, ticket session.Ticket) string {
	r.t.Helper()
	in, err := r.dir.SignIn(r.t.Context(), says(subject), "ref")
	must(r.t, err)
	ticket.Issuer = "https://idp.example"
	token, _, err := r.Issue(r.t.Context(), in, session.Client{}, ticket)
	must(r.t, err)
	return token
}

func TestWhatTheProviderEndsIsOverOnEveryReplica(t *testing.T) {
	both(t, func(t *testing.T, a, b *replica) {
		ended := a.ticketed("ada", session.Ticket{Subject: "sub-ada", Session: "sid-1"})
		other := a.ticketed("ada", session.Ticket{Subject: "sub-ada", Session: "sid-2"})
		here, there, stays := a.watch(ended), b.watch(ended), b.watch(other)
		idp := audit.Actor{Kind: "idp", Name: "alpha"}
		n, err := a.EndNamed(t.Context(), session.Named{Connection: "alpha", Issuer: "https://idp.example", Session: "sid-1"}, session.Request{Hash: []byte("request")}, idp, "ref")
		if n != 1 || err != nil {
			t.Fatalf("EndNamed = %d, %v, want 1", n, err)
		}
		const words = "you were signed out: your identity provider ended your session"
		a.refused(ended, fault.Unauthenticated, words)
		cut(t, "EndNamed, where it was ended", here)
		cut(t, "EndNamed", there)
		b.refused(ended, fault.Unauthenticated, words)
		if stays.Err() != nil {
			t.Error("another session of the same person was cut")
		}
		for _, n := range []session.Named{{Connection: "alpha", Issuer: "i"}, {Connection: "alpha", Subject: "s"}, {Issuer: "i", Subject: "s"}} {
			if _, err := a.EndNamed(t.Context(), n, session.Request{Hash: []byte("request")}, idp, ""); !fault.Is(err, fault.Invalid) {
				t.Errorf("EndNamed(%+v) = %v, want invalid: it would end too much", n, err)
			}
		}
	})
}

func TestARefreshTokenIsSealedAndAskedForWhenDue(t *testing.T) {
	both(t, func(t *testing.T, a, b *replica) {
		const secret = "refresh-token-of-ada"
		token := a.ticketed("ada", session.Ticket{Subject: "sub-ada", Refresh: secret, RefreshEvery: time.Nanosecond})
		a.ticketed("ben", session.Ticket{Subject: "sub-ben", Refresh: "x", RefreshEvery: time.Hour})
		due, err := b.TakeDue(t.Context())
		must(t, err)
		if len(due) != 1 || due[0].Refresh != secret || due[0].Subject != "sub-ada" || due[0].Connection != "alpha" {
			t.Fatalf("TakeDue = %+v, want the one of ada", due)
		}
		if again, err := a.TakeDue(t.Context()); err != nil || len(again) != 0 {
			t.Errorf("TakeDue on the other replica = %+v, %v, want none", again, err)
		}
		must(t, b.Renewed(t.Context(), due[0], "next", time.Nanosecond))
		due, err = a.TakeDue(t.Context())
		must(t, err)
		if len(due) != 1 || due[0].Refresh != "next" {
			t.Fatalf("TakeDue after Renewed = %+v", due)
		}
		stream := b.watch(token)
		must(t, a.Expel(t.Context(), due[0], fault.New(fault.Forbidden, "it is over there")))
		a.refused(token, fault.Unauthenticated, "you were signed out: it is over there")
		cut(t, "Expel", stream)
		if due, err := a.TakeDue(t.Context()); err != nil || len(due) != 0 {
			t.Errorf("TakeDue after Expel = %+v, %v, want none", due, err)
		}
	})
}

func TestTicketsComeBackAtSignOutWithoutTheRefreshToken(t *testing.T) {
	both(t, func(t *testing.T, a, _ *replica) {
		token := a.ticketed("ada", session.Ticket{Subject: "sub", Session: "sid", IDToken: "t", Refresh: "secret", RefreshEvery: time.Hour})
		got, _, err := a.End(t.Context(), token, operator)
		if want := (session.Ticket{Issuer: "https://idp.example", Subject: "sub", Session: "sid", IDToken: "t"}); got != want || err != nil {
			t.Errorf("End = %+v, %v, want %+v", got, err, want)
		}
	})
}
