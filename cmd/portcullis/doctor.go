package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/count"
	"portcullis/fault"
	"portcullis/keys"
	"portcullis/login"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
)

// diagnosis is one thing that doctor looked at.
type diagnosis struct {
	What   string `json:"what"`
	Status string `json:"status"` // "fine", "warning" or "broken"
	Detail string `json:"detail"`
}

func (c *cli) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Reach the database, each identity provider and the upstream", Args: cobra.NoArgs,
		Long: `Reach the database, each identity provider and the upstream, and look at the
mapping file, keys, clocks and tokens. Exit code 1 when something is broken.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(c.configFile, os.LookupEnv) //nolint:forbidigo // package config asks through this function alone
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
			defer cancel()
			made := c.reach(ctx, cfg)
			cfg = made.cfg()
			found := []diagnosis{{"configuration", "fine", c.configFile}}
			for _, w := range cfg.Warnings {
				found = append(found, diagnosis{"configuration", "warning", w.String()})
			}
			found = append(found, examineMapping(cfg, made.mappingOptions(), c.now())...)
			found = append(found, examineStore(ctx, cfg, c.now())...)
			found = append(found, examineLogin(ctx, cfg, c.now())...)
			found = append(found, examineUpstreams(ctx, cfg, c.now())...)
			found = append(found, examineTLS(cfg, c.now())...)
			return c.diagnose(found)
		},
	}
}

func (c *cli) diagnose(found []diagnosis) error {
	broken := false
	rows := make([][]string, len(found))
	for i, d := range found {
		broken = broken || d.Status == "broken"
		rows[i] = []string{d.Status, d.What, d.Detail}
	}
	var err error
	if c.json {
		err = c.printJSON(found)
	} else {
		err = c.printTable("STATUS WHAT DETAIL", rows)
	}
	if err == nil && broken {
		return errFound
	}
	return err
}

func examineMapping(cfg *config.Config, o mapping.Options, now time.Time) []diagnosis {
	if cfg.Mapping.Managed {
		return nil // it is in the database
	}
	problems, policy, err := checkMapping(cfg.Mapping.File, o, now)
	if err != nil {
		return []diagnosis{{"mapping", "broken", err.Error()}}
	}
	var found []diagnosis
	for _, p := range problems {
		status := "broken"
		if p.Level == "warning" {
			status = "warning"
		}
		found = append(found, diagnosis{"mapping", status, fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)})
	}
	if policy != nil {
		texts, err := revision.ReadFile(cfg.Mapping.File)
		if err != nil {
			return append(found, diagnosis{"mapping", "broken", err.Error()})
		}
		found = append(found, diagnosis{"mapping", "fine", fmt.Sprintf("%s, %s, revision %.12s", cfg.Mapping.File, count.Tests(policy.Test().Ran), revision.Hash(texts))})
	}
	return found
}

func examineStore(ctx context.Context, cfg *config.Config, now time.Time) []diagnosis {
	if path, ok := cfg.Database.SQLite(); ok {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return append(examineConnections(ctx, cfg, nil, now), diagnosis{"database", "warning", path + " is not there yet: portcullis serve makes it"})
		}
	}
	db, err := openStore(ctx, cfg)
	if err != nil {
		return append(examineConnections(ctx, cfg, nil, now), diagnosis{"database", "broken", fault.Message(err)})
	}
	defer db.Close()
	found := []diagnosis{{"database", "fine", "reached, schema up to date"}}
	if _, err := keys.Open(ctx, keys.Config{Store: db.Keys(), File: cfg.Keys.File}); err != nil {
		found = append(found, diagnosis{"keys", "broken", err.Error()})
	} else {
		found = append(found, diagnosis{"keys", "fine", cfg.Keys.File})
	}
	found = append(found, examineRevisions(ctx, cfg, db, now)...)
	found = append(found, examineConnections(ctx, cfg, db, now)...)
	found = append(found, examineMassLosses(ctx, cfg, db)...)
	found = append(found, examineUnconfirmed(ctx, db)...)
	return append(found, examineTokens(ctx, cfg, db, now)...)
}

// soon is how long before its end something is worth a warning.
const soon = 30 * 24 * time.Hour

func examineTokens(ctx context.Context, cfg *config.Config, db *store.DB, now time.Time) (found []diagnosis) {
	for _, conn := range cfg.Connections {
		if !conn.SCIM.Enabled {
			continue
		}
		what := "scim " + conn.ID
		list, err := newTokens(db).List(ctx, conn.ID)
		if err != nil {
			found = append(found, diagnosis{what, "broken", fault.Message(err)})
			continue
		}
		live := 0
		for _, t := range list {
			if !t.Live(now) {
				continue
			}
			live++
			if !t.Expires.IsZero() && t.Expires.Sub(now) < soon {
				found = append(found, diagnosis{what, "warning", fmt.Sprintf("token %s expires %s", t.ID, stamp(t.Expires))})
			}
		}
		if live == 0 {
			found = append(found, diagnosis{what, "warning", "no live token: make one with portcullis token create --connection " + conn.ID})
		} else {
			found = append(found, diagnosis{what, "fine", count.Of(live, "live token", "live tokens")})
		}
	}
	return found
}

func examineLogin(ctx context.Context, cfg *config.Config, now time.Time) (found []diagnosis) {
	providers, err := loginConnections(ctx, cfg, nil)
	if err != nil {
		return []diagnosis{{"sign-in", "broken", fault.Message(err)}}
	}
	l := login.New(login.Config{PublicURL: cfg.PublicURL, Connections: providers})
	for _, r := range l.Check(ctx) {
		d := diagnosis{"sign-in " + r.Connection, "fine", r.Name + ": " + r.Detail}
		if ends, ok := expiry(d.What, r.Detail, r.Expires, now); ok {
			d = ends
		}
		if r.Warning {
			d.Status = "warning"
		}
		if r.Err != nil {
			d.Status, d.Detail = "broken", r.Name+": "+r.Err.Error() // an operator may see the cause
		}
		found = append(found, d)
	}
	return found
}
