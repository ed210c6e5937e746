package admin

import (
	"encoding/hex"

	"portcullis/audit"
)

// chainPart bounds how many events one call verifies, and so how long it takes.
const chainPart = 5000

// chainView is what was found of a part of the trail.
type chainView struct {
	Sealed   int64    `json:"sealed"`         // events of this part that are in the chain
	Unsealed int64    `json:"unsealed"`       // that are not yet
	Head     string   `json:"head,omitempty"` // the chain's last hash as far as this part goes
	Broken   []string `json:"broken"`         // each break in words
	Next     string   `json:"next,omitempty"` // what "after" is to be for the next part
}

// chain verifies a part of the trail. Of several who ask, a gate serves one
// after the other: it has better things to do.
func (c *Console) chain(r *request) (any, error) {
	select {
	case c.verifying <- struct{}{}:
		defer func() { <-c.verifying }()
	case <-r.ctx.Done():
		return nil, r.ctx.Err()
	}
	found, next, err := audit.VerifyPart(r.ctx, c.trail, r.query("after"), chainPart)
	if err != nil {
		return nil, err
	}
	v := &chainView{Sealed: found.Sealed, Unsealed: found.Unsealed, Broken: list(found.Broken), Next: next}
	if found.Head != [32]byte{} {
		v.Head = hex.EncodeToString(found.Head[:])
	}
	return v, nil
}
