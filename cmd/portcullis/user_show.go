package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
)

func (c *cli) userShow() *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use: "show USER", Short: "Show a person, what they may do, and why", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				look, err := g.look(cmd.Context(), connection, args[0])
				if err != nil {
					return err
				}
				return c.sayUser(look)
			}
			return c.withDirectory(cmd.Context(), func(cfg *config.Config, db *store.DB, d *directory.Directory) error {
				p, err := find(cmd.Context(), d, connection, args[0])
				if err != nil {
					return err
				}
				return c.show(cmd.Context(), cfg, db, d, p.ID)
			})
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "connection that the person belongs to")
	return throughGate(cmd)
}

// userLook is a person with all that is shown of them.
type userLook struct {
	user             userJSON
	asserted, pushed []string // groups
	sessions         []sessionJSON
	access           json.RawMessage // empty while no mapping is known
	why              string          // the same in words
	mapping          error           // what is wrong with it
}

func (c *cli) show(ctx context.Context, cfg *config.Config, db *store.DB, d *directory.Directory, id string) error {
	s, err := d.Look(ctx, id)
	if err != nil {
		return err
	}
	sessions, err := newSessions(cfg, db).Of(ctx, id)
	if err != nil {
		return err
	}
	policy, mappingErr := revision.Peek(ctx, revision.Config{Store: db.Revisions(), File: cfg.Mapping.File, Options: mappingOptions(cfg)})
	look := &userLook{
		user: userWire(s.Person), asserted: s.Assertion.Groups, pushed: make([]string, len(s.Pushed)), sessions: sessionsWire(sessions), mapping: mappingErr,
	}
	for i, g := range s.Pushed {
		look.pushed[i] = g.Name
	}
	look.user.Subject = s.Assertion.Subject
	one := []userJSON{look.user}
	if err := tellPlaces(ctx, d, one); err != nil {
		return err
	}
	look.user = one[0]
	if policy != nil {
		facts, now := s.Facts(), c.now()
		if look.access, err = json.Marshal(policy.Explain(&facts, now)); err != nil {
			return err
		}
		look.why = explainStanding(&s, policy, now)
	}
	return c.sayUser(look)
}

func (c *cli) sayUser(look *userLook) error {
	wire := &look.user
	if c.json {
		out := map[string]any{"user": wire, "asserted": list(look.asserted), "pushed": list(look.pushed), "sessions": look.sessions}
		if len(look.access) > 0 {
			out["access"] = look.access
		}
		return c.printJSON(out)
	}
	rows := [][]string{
		{"id", wire.ID},
		{"userName", wire.UserName},
		{"name", wire.Name},
		{"e-mail", wire.Email},
		{"organization", wire.Organization},
		{"sub-organization", cmp.Or(wire.UnitName, "(not placed)")},
		{"connection", wire.Connection},
		{"subject", wire.Subject},
		{"externalId", wire.ExternalID},
		{"state", wire.inWords()},
		{"frozen with", wire.Frozen},
		{"source", wire.Source},
		{"created", stamp(wire.Created)},
		{"last active", stampOf(wire.LastActive)},
		{"groups asserted", fmt.Sprint(look.asserted)},
		{"groups pushed", fmt.Sprint(look.pushed)},
		{"sessions", strconv.Itoa(len(look.sessions))},
	}
	rows = slices.DeleteFunc(rows, func(row []string) bool {
		return row[0] == "sub-organization" && wire.Unit == "" || row[0] == "frozen with" && wire.Frozen == ""
	})
	if err := c.printTable("WHAT IS", rows); err != nil {
		return err
	}
	switch {
	case look.why == "":
		fmt.Fprintln(c.err, "the mapping is broken, so access cannot be shown:")
		return look.mapping
	case look.mapping != nil:
		fmt.Fprintf(c.err, "warning: the mapping is broken; this is by the revision that was in force last:\n%v\n", look.mapping)
	}
	_, err := fmt.Fprintf(c.out, "\n%s", look.why)
	return err
}

// explainStanding says what somebody may do and why, beginning with what
// bars them whatever the mapping grants.
func explainStanding(s *directory.Standing, policy *mapping.Policy, now time.Time) string {
	facts := s.Facts()
	text := policy.Explain(&facts, now).String()
	if s.Bar() != nil {
		text = explainBarred(s.Person.UserName, string(s.Person.State()), s.Organization.Disabled, s.PartFrozen, text)
	}
	return text
}

// explainBarred says of somebody what bars them, before what they may do.
func explainBarred(userName, state string, frozen, partFrozen bool, text string) string {
	switch {
	case frozen:
		state = "of a frozen organization"
	case partFrozen:
		state = "of a frozen sub-organization"
	}
	return fmt.Sprintf("%s is %s and may not come in. Without that:\n\n%s", userName, state, text)
}
