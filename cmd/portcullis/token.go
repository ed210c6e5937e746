package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/scim"
	"portcullis/store"
)

type tokenJSON struct {
	ID         string     `json:"id"`
	Connection string     `json:"connection"`
	Note       string     `json:"note"`
	State      string     `json:"state"`
	Created    time.Time  `json:"created"`
	Expires    *time.Time `json:"expires"`
	LastUsed   *time.Time `json:"lastUsed"`
	Revoked    *time.Time `json:"revoked"`
	Secret     string     `json:"secret,omitempty"` // by create alone
}

func tokenWire(t scim.Token, now time.Time) tokenJSON {
	state := "live"
	switch {
	case !t.Revoked.IsZero():
		state = "revoked"
	case !t.Live(now):
		state = "expired"
	}
	return tokenJSON{
		ID: t.ID, Connection: t.Connection, Note: t.Note, State: state, Created: t.Created,
		Expires: optional(t.Expires), LastUsed: optional(t.LastUsed), Revoked: optional(t.Revoked),
	}
}

func (c *cli) tokenCommand() *cobra.Command {
	return group("token", "SCIM tokens of a connection", c.tokenCreate(), c.tokenList(), c.tokenRevoke())
}

// scimConnection checks a connection named on the command line.
func scimConnection(cfg *config.Config, id string) error {
	if id == "" {
		return usagef("want --connection ID, one of: %v", connectionIDs(cfg))
	}
	i := slices.IndexFunc(cfg.Connections, func(conn config.Connection) bool { return conn.ID == id })
	if i < 0 {
		return usagef("no connection %q; want one of: %v", id, connectionIDs(cfg))
	}
	if !cfg.Connections[i].SCIM.Enabled {
		return usagef("connection %q has no SCIM: want scim: {enabled: true} in the configuration", id)
	}
	return nil
}

// known refuses a connection that is not in the configuration: an empty list
// must not hide a slip of the pen. Of one that was taken out, what is left is
// listed.
func known(cfg *config.Config, connection string) error {
	if ids := connectionIDs(cfg); connection != "" && !slices.Contains(ids, connection) {
		return usagef("no connection %q; want one of: %v", connection, ids)
	}
	return nil
}

func newTokens(db *store.DB) *scim.Tokens {
	return scim.NewTokens(scim.TokensConfig{Store: db.Tokens()})
}

func (c *cli) tokenCreate() *cobra.Command {
	var connection, note string
	var life time.Duration
	cmd := &cobra.Command{
		Use: "create --connection ID", Short: "Make a token and print its secret, once", Args: cobra.NoArgs,
		Example: "  portcullis token create --connection acme-entra --expires 8760h",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStore(cmd.Context(), func(cfg *config.Config, db *store.DB) error {
				if err := scimConnection(cfg, connection); err != nil {
					return err
				}
				secret, token, err := newTokens(db).Create(cmd.Context(), operator(), connection, note, life)
				if err != nil {
					return err
				}
				if c.json {
					wire := tokenWire(token, token.Created)
					wire.Secret = secret
					return c.printJSON(wire)
				}
				fmt.Fprintf(c.err, "token %s for %s/scim/v2/%s (the secret is shown this once)\n", token.ID, cfg.PublicURL, connection)
				_, err = fmt.Fprintln(c.out, secret)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "connection that the token opens")
	cmd.Flags().StringVar(&note, "note", "", "what it is for")
	cmd.Flags().DurationVar(&life, "expires", 0, "how long it is good, as in 8760h; 0 means until it is revoked")
	return cmd
}

func (c *cli) tokenList() *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use: "list", Short: "List tokens", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStore(cmd.Context(), func(cfg *config.Config, db *store.DB) error {
				list, err := newTokens(db).List(cmd.Context(), connection)
				if err == nil && len(list) == 0 {
					err = known(cfg, connection)
				}
				if err != nil {
					return err
				}
				now := c.now()
				wire := make([]tokenJSON, len(list))
				rows := make([][]string, len(list))
				for i, t := range list {
					w := tokenWire(t, now)
					wire[i] = w
					rows[i] = []string{w.ID, w.Connection, w.State, stamp(t.Created), stamp(t.Expires), stamp(t.LastUsed), w.Note}
				}
				if c.json {
					return c.printJSON(wire)
				}
				return c.printTable("ID CONNECTION STATE CREATED EXPIRES LAST-USED NOTE", rows)
			})
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "only this connection's")
	return cmd
}

func (c *cli) tokenRevoke() *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "Make a token worthless at once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withStore(cmd.Context(), func(_ *config.Config, db *store.DB) error {
				tokens := newTokens(db)
				list, err := tokens.List(cmd.Context(), connection)
				if err != nil {
					return err
				}
				if connection != "" && !slices.ContainsFunc(list, func(t scim.Token) bool { return t.ID == args[0] }) {
					return usagef("connection %q has no token %q", connection, args[0])
				}
				if err := tokens.Revoke(cmd.Context(), operator(), args[0]); err != nil {
					return err
				}
				fmt.Fprintln(c.err, "revoked", args[0])
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "connection that the token belongs to; checked if given")
	return cmd
}
