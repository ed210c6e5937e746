package main

import (
	"context"
	"net/http"
	"time"

	"portcullis/admin"
	"portcullis/fault"
	"portcullis/trace"
)

// inForce gives the connections of a gate elsewhere that are in force; only is
// one of them, or empty.
func (g *remote) inForce(ctx context.Context, only string) ([]connectionJSON, error) {
	all, err := g.connections(ctx)
	if err != nil {
		return nil, err
	}
	var out []connectionJSON
	var ids []string
	for _, conn := range all {
		if !conn.InForce {
			continue
		}
		if ids = append(ids, conn.ID); only == "" || conn.ID == only {
			out = append(out, conn)
		}
	}
	return out, knownThere(only, ids)
}

// saml is samlConnection for a gate elsewhere.
func (g *remote) saml(ctx context.Context, id string) error {
	list, err := g.inForce(ctx, id)
	if err == nil && list[0].Protocol != admin.OverSAML {
		err = noSAML(id)
	}
	return err
}

// metadata gives what SAML identity providers of a gate elsewhere publish.
func (g *remote) metadata(ctx context.Context, only string) ([]metadataJSON, error) {
	connections, err := g.inForce(ctx, only)
	if err != nil {
		return nil, err
	}
	list := []metadataJSON{}
	for _, conn := range connections {
		if conn.Protocol != admin.OverSAML {
			if only != "" {
				return nil, noSAML(only)
			}
			continue
		}
		var look struct {
			Metadata struct {
				Source, EntityID              string
				Accepted, Waiting, ValidUntil *time.Time
				Changes                       []string
			}
		}
		if err := g.get(ctx, place("connections", conn.ID), nil, &look); err != nil {
			return nil, err
		}
		m := look.Metadata
		switch {
		case m.Source != "":
			list = append(list, metadataJSON{conn.ID, m.Source, m.EntityID, m.Accepted, m.Waiting, m.Changes, m.ValidUntil})
		case only != "": // nobody has said yet where it is
			return nil, noSAML(only)
		}
	}
	return list, nil
}

// approveMetadata puts in force what waits.
func (g *remote) approveMetadata(ctx context.Context, connection string) error {
	if err := g.saml(ctx, connection); err != nil {
		return err
	}
	return g.call(ctx, http.MethodPost, place("connections", connection, "metadata", "approve"), order{}, nil)
}

// rollover makes our next key, and gives the address of our metadata.
func (g *remote) rollover(ctx context.Context, connection string) (metadata string, err error) {
	if err := g.saml(ctx, connection); err != nil {
		return "", err
	}
	if err := g.call(ctx, http.MethodPost, place("connections", connection, "rollover"), order{}, nil); err != nil {
		return "", err
	}
	var setup struct {
		Values []struct{ Name, Value string }
	}
	if err := g.get(ctx, place("connections", connection, "setup"), nil, &setup); err != nil {
		return "", err
	}
	for _, v := range setup.Values {
		if v.Name == admin.OurMetadata {
			metadata = v.Value
		}
	}
	return metadata, nil
}

// farTest is a dry run of a sign-in at a gate elsewhere.
type farTest struct {
	Test, URL string
	Until     time.Time
	SignIn    *trace.Record // nil before anything has come of it
}

// beginTest begins one.
func (g *remote) beginTest(ctx context.Context, connection string) (t farTest, err error) {
	list, err := g.inForce(ctx, connection)
	if err != nil {
		return t, err
	}
	if list[0].Protocol == "" {
		return t, fault.New(fault.Invalid, "nobody signs in over %q", connection)
	}
	err = g.call(ctx, http.MethodPost, place("connections", connection, "tests"), order{}, &t)
	return t, err
}

// tested gives what came of it; nil while nothing has.
func (g *remote) tested(ctx context.Context, connection, test string) (*trace.Record, error) {
	var t farTest
	err := g.get(ctx, place("connections", connection, "tests", test), nil, &t)
	return t.SignIn, err
}
