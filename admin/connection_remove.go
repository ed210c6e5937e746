package admin

import (
	"slices"

	"portcullis/fault"
)

// removeView asks before a connection is removed.
type removeView struct {
	spot
}

// toRemove finds the connection that is to be removed: of two with one id the
// one that was made in the console, which is not in force. Nobody came in by
// that, so that it takes no more than to see to connections.
func (c *Console) toRemove(r *request) (Connection, error) {
	all, id := c.reachable(r), r.param("connection")
	if i := slices.IndexFunc(all, func(conn Connection) bool { return conn.ID == id && conn.Shadowed }); i >= 0 {
		return all[i], nil
	}
	conn, err := c.connection(r)
	if err == nil && !conn.Made {
		err = fault.New(fault.Conflict, "connection %q stands in the gate’s configuration, and is removed there", conn.ID)
	}
	return conn, err
}

func (c *Console) askRemove(r *request) (any, error) {
	conn, err := c.toRemove(r)
	if err != nil {
		return nil, err
	}
	list, err := c.fleetOf(r, []Connection{conn})
	if err != nil {
		return nil, err
	}
	return &removeView{spot: c.spot(r, conn, list[0], "settings")}, nil
}

func (c *Console) removeConnection(r *request) (any, error) {
	conn, err := c.toRemove(r)
	switch {
	case err != nil:
	case !conn.Shadowed && r.form.Get("shadowed") == "yes":
		// Another gate answered before, with another configuration.
		err = fault.New(fault.Conflict, "connection %q is in force at this gate, whose configuration does not have it yet: start every gate with the new configuration first", conn.ID)
	case !conn.Shadowed:
		err = c.entrusted(r, conn)
	}
	if err != nil {
		return nil, err
	}
	why, err := r.reason(true)
	if err != nil {
		return nil, err
	}
	d := done{to: everyones.path, Done: "connection-removed", Count: 1}
	if conn.Shadowed {
		d.Done = "shadow-removed"
	}
	d.Ended, err = c.ways.Remove(r.ctx, r.actor(), conn.ID, why)
	return d, err
}
