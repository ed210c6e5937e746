package main

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"portcullis/admin"
	"portcullis/config"
	"portcullis/login"
	"portcullis/mapping"
	"portcullis/scim"
)

// adopt puts connections in force in every room of a gate that runs.
func (g *gate) adopt(counts *metrics) func(context.Context, *rosterState) error {
	return func(ctx context.Context, next *rosterState) error {
		cfg := next.cfg
		if err := g.dir.SetConnections(ctx, connections(cfg)); err != nil {
			return err
		}
		providers, err := g.roster.loginConnections(ctx, cfg)
		if err != nil {
			return err
		}
		g.login.SetConnections(providers)
		cut := g.proxy.SetNetworks(next.networks())
		g.scim.SetConnections(g.roster.scimConnections(cfg))
		counts.setConnections(connectionIDs(cfg))
		if g.keeper.Status().Problem != nil { // it may have named a connection that was not there
			_ = g.keeper.Load(ctx) // reported by the keeper, and by /readyz
		}
		g.log.InfoContext(ctx, "connections in force", "connections", len(cfg.Connections), "cut_by_networks", cut)
		return nil
	}
}

// networks are where the people of each connection may come from. They hold for
// one that is not in force, too: whoever came in by it before is still there.
func (s *rosterState) networks() map[string][]netip.Prefix {
	out := make(map[string][]netip.Prefix)
	for _, conn := range s.all {
		if !conn.Shadowed {
			out[conn.ID] = conn.Addresses
		}
	}
	return out
}

// networksOf reads the networks of a connection that is not in force. What
// cannot be read lets nobody in.
func networksOf(d admin.Draft) (out []netip.Prefix) {
	for _, text := range d.Addresses {
		if a, err := netip.ParseAddr(text); err == nil {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		} else if p, err := netip.ParsePrefix(text); err == nil {
			out = append(out, p)
		}
	}
	if len(out) == 0 && len(d.Addresses) > 0 {
		out = append(out, netip.PrefixFrom(netip.IPv6Unspecified(), netip.IPv6Unspecified().BitLen()))
	}
	return out
}

// versionOf tells two states of a connection apart; the file's do not change.
func (r *roster) versionOf(id string) int64 {
	for _, conn := range r.file.Connections {
		if conn.ID == id {
			return 0
		}
	}
	return r.judged[id]
}

func (r *roster) loginConnections(ctx context.Context, cfg *config.Config) ([]login.Connection, error) {
	out, err := loginConnections(ctx, cfg, r.ring)
	for i := range out {
		out[i].Version = r.versionOf(out[i].ID)
	}
	return out, err
}

func (r *roster) scimConnections(cfg *config.Config) (out []scim.Connection) {
	for _, conn := range cfg.Connections {
		if conn.SCIM.Enabled {
			out = append(out, scim.Connection{ID: conn.ID, Version: r.versionOf(conn.ID), Attributes: conn.SCIM.Attributes})
		}
	}
	return out
}

// mappingOptions is what a mapping is checked against, at any time.
func (r *roster) mappingOptions() mapping.Options {
	o := mappingOptions(r.file)
	o.Current = r.ids
	return o
}

// configurationFacts are settings of the configuration that the console shows.
func configurationFacts(cfg *config.Config) []admin.Fact {
	database := "PostgreSQL"
	if file, ok := cfg.Database.SQLite(); ok {
		database = "SQLite, " + file
	}
	keptIn := "the database"
	if !cfg.Mapping.Managed {
		keptIn = cfg.Mapping.File
	}
	most := "any number"
	if cfg.Sessions.Max > 0 {
		most = strconv.Itoa(cfg.Sessions.Max)
	}
	clock := func(d time.Duration) string { return d.String() }
	return []admin.Fact{
		{Name: "Address of the gate", Value: cfg.PublicURL.String(), Key: "public_url"},
		{Name: "The portal behind it", Value: cfg.Upstream.URL.String(), Key: "upstream.url"},
		{Name: "Environment of the mapping", Value: cfg.Environment, Key: "environment"},
		{Name: "The mapping is kept in", Value: keptIn, Key: "mapping"},
		{Name: "Database", Value: database, Key: "database.url"},
		{Name: "A session ends without a request after", Value: clock(cfg.Sessions.Idle), Key: "sessions.idle"},
		{Name: "A session ends at the latest after", Value: clock(cfg.Sessions.Absolute), Key: "sessions.absolute"},
		{Name: "Sessions of one person at a time", Value: most, Key: "sessions.max"},
	}
}
