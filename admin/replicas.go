package admin

import "time"

// replicaJSON is a gate that runs on the database.
type replicaJSON struct {
	ID      string     `json:"id"`
	State   string     `json:"state"` // "current", "behind" or "gone"
	Hash    string     `json:"hash"`  // of the mapping that it runs; empty for none
	Since   *time.Time `json:"since"`
	Seen    time.Time  `json:"seen"`
	Problem string     `json:"problem,omitempty"` // why it does not run what it should
}

type replicasView struct {
	Replicas []replicaJSON `json:"replicas"` // by id
}

// replicas are the gates, and which mapping each runs.
func (c *Console) replicas(r *request) (any, error) {
	_, head, err := c.ledger.InForce(r.ctx)
	if err != nil {
		return nil, err
	}
	found, err := c.ledger.Replicas(r.ctx)
	v := &replicasView{Replicas: make([]replicaJSON, len(found))}
	for i, x := range found {
		v.Replicas[i] = replicaJSON{x.ID, x.State(head, c.now()), x.Hash, optional(x.Since), x.Seen, x.Problem}
	}
	return v, err
}
