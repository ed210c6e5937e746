package scim_test

import (
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
)

// TestARevokedTokenIsRefusedWithinASecondEverywhere: the endpoint remembers
// for half a second that a token was good. The process that revokes knows at
// once, another one when it looks again.
func TestARevokedTokenIsRefusedWithinASecondEverywhere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRigOn(t, open())
		elsewhere := scim.NewTokens(scim.TokensConfig{Store: open().Tokens(), Now: r.clock.Now})
		here, there := r.secret, r.token("acme", 0)
		for secret, revoke := range map[string]func(id string) error{
			here:  func(id string) error { return r.tokens.Revoke(t.Context(), audit.Gate(), id) },
			there: func(id string) error { return elsewhere.Revoke(t.Context(), audit.Gate(), id) },
		} {
			r.want(r.sendTo("acme", secret, "GET", "/Users", nil), 200)
			token, err := r.tokens.Verify(t.Context(), "acme", secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := revoke(token.ID); err != nil {
				t.Fatal(err)
			}
			if secret == there {
				r.clock.turn(500 * time.Millisecond)
			}
			r.want(r.sendTo("acme", secret, "GET", "/Users", nil), 401)
		}
	})
}

// TestARememberedTokenOpensNothingElse: neither another connection, nor when
// its time is over, nor when the clock was set back.
func TestARememberedTokenOpensNothingElse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	secret := r.token("acme", 200*time.Millisecond)
	r.want(r.sendTo("acme", secret, "GET", "/Users", nil), 200)
	r.want(r.sendTo("beta", secret, "GET", "/Users", nil), 401)
	other := []byte(secret)
	other[10] ^= 3 // another letter
	r.want(r.sendTo("acme", string(other), "GET", "/Users", nil), 401)
	r.clock.turn(200 * time.Millisecond)
	r.want(r.sendTo("acme", secret, "GET", "/Users", nil), 401)
	r.clock.turn(-time.Hour)
	r.want(r.sendTo("acme", secret, "GET", "/Users", nil), 200) // looked up again: it is good then
}
