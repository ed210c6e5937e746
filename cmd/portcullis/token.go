package main

import (
	"context"
	"fmt"
	"os"
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
	Kind       string     `json:"kind"` // bearer, or of an OAuth client: client-secret, client-key
	Note       string     `json:"note"`
	State      string     `json:"state"`
	Created    time.Time  `json:"created"`
	Expires    *time.Time `json:"expires"`
	LastUsed   *time.Time `json:"lastUsed"`
	Revoked    *time.Time `json:"revoked"`
	Secret     string     `json:"secret,omitempty"`   // by create alone
	Endpoint   string     `json:"tokenUrl,omitempty"` // likewise, of a client
}

func tokenWire(t scim.Token, now time.Time) tokenJSON {
	kind := "bearer"
	switch {
	case t.PublicKey != "":
		kind = "client-key"
	case t.Client:
		kind = "client-secret"
	}
	return tokenJSON{
		ID: t.ID, Connection: t.Connection, Kind: kind, Note: t.Note, State: tokenState(t.Revoked, t.Live(now)), Created: t.Created,
		Expires: optional(t.Expires), LastUsed: optional(t.LastUsed), Revoked: optional(t.Revoked),
	}
}

// tokenState says in a word whether a token is good.
func tokenState(revoked time.Time, live bool) string {
	switch {
	case !revoked.IsZero():
		return "revoked"
	case !live:
		return "expired"
	default:
		return "live"
	}
}

func (c *cli) tokenCommand() *cobra.Command {
	return group("token", "SCIM tokens and OAuth clients of a connection", c.tokenCreate(), c.tokenList(), c.tokenRevoke())
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

// newToken is what token create is asked for.
type newToken struct {
	connection, note, keyFile string
	life                      time.Duration
	client                    bool
}

func (c *cli) tokenCreate() *cobra.Command {
	var n newToken
	cmd := &cobra.Command{
		Use: "create --connection ID", Short: "Make a token or an OAuth client and print its secret, once", Args: cobra.NoArgs,
		Long: "Make a bearer token and print its secret, once.\n\n" +
			"With --oauth, make an OAuth client instead: its client_id goes to standard error, its secret alone to standard output.\n" +
			"With --public-key, the client signs assertions (private_key_jwt) and has no secret: its client_id goes to standard output.",
		Example: "  portcullis token create --connection acme-entra --expires 8760h\n" +
			"  portcullis token create --connection acme-entra --oauth\n" +
			"  portcullis token create --connection acme-entra --public-key client.jwk",
		RunE: func(cmd *cobra.Command, _ []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				token, base, err := g.createToken(cmd.Context(), n)
				if err != nil {
					return err
				}
				if c.json {
					return c.printJSON(token)
				}
				return c.sayToken(token, base)
			}
			return c.withStore(cmd.Context(), func(cfg *config.Config, db *store.DB) error {
				return c.createToken(cmd.Context(), cfg, db, n)
			})
		},
	}
	cmd.Flags().StringVar(&n.connection, "connection", "", "connection that the token opens")
	cmd.Flags().StringVar(&n.note, "note", "", "what it is for")
	cmd.Flags().DurationVar(&n.life, "expires", 0, "how long it is good, as in 8760h; 0 means until it is revoked")
	cmd.Flags().BoolVar(&n.client, "oauth", false, "make an OAuth client, which gets its tokens for client credentials")
	cmd.Flags().StringVar(&n.keyFile, "public-key", "", "make an OAuth client that signs with the private key of this one (a JWK or PEM file)")
	return throughGate(cmd)
}

func (c *cli) createToken(ctx context.Context, cfg *config.Config, db *store.DB, n newToken) error {
	if err := scimConnection(cfg, n.connection); err != nil {
		return err
	}
	base := cfg.PublicURL.JoinPath(scim.Prefix, n.connection).String()
	tokens := newTokens(db)
	var secret string
	var token scim.Token
	var err error
	if n.client || n.keyFile != "" {
		var key []byte
		if n.keyFile != "" {
			if key, err = os.ReadFile(n.keyFile); err != nil {
				return usagef("--public-key: %v", err)
			}
		}
		secret, token, err = tokens.CreateClient(ctx, operator(), n.connection, n.note, n.life, key)
	} else {
		secret, token, err = tokens.Create(ctx, operator(), n.connection, n.note, n.life)
	}
	if err != nil {
		return err
	}
	wire := tokenWire(token, token.Created)
	wire.Secret = secret
	if token.Client {
		wire.Endpoint = base + scim.TokenPath
	}
	if c.json {
		return c.printJSON(wire)
	}
	switch {
	case token.PublicKey != "":
		fmt.Fprintf(c.err, "client for %s, which signs with its key; token URL %s\n", base, base+scim.TokenPath)
		_, err = fmt.Fprintln(c.out, token.ID)
		return err
	case token.Client:
		fmt.Fprintf(c.err, "client_id %s for %s; token URL %s (the secret is shown this once)\n", token.ID, base, base+scim.TokenPath)
	default:
		return c.sayToken(wire, base)
	}
	_, err = fmt.Fprintln(c.out, secret)
	return err
}

// sayToken gives the secret of a bearer token.
func (c *cli) sayToken(t tokenJSON, base string) error {
	fmt.Fprintf(c.err, "token %s for %s (the secret is shown this once)\n", t.ID, base)
	_, err := fmt.Fprintln(c.out, t.Secret)
	return err
}

func (c *cli) tokenList() *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use: "list", Short: "List tokens and OAuth clients", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				wire, err := g.tokens(cmd.Context(), connection)
				if err != nil {
					return err
				}
				return c.sayTokens(wire)
			}
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
				for i, t := range list {
					wire[i] = tokenWire(t, now)
				}
				return c.sayTokens(wire)
			})
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "only this connection's")
	return throughGate(cmd)
}

func (c *cli) sayTokens(wire []tokenJSON) error {
	if c.json {
		return c.printJSON(wire)
	}
	rows := make([][]string, len(wire))
	for i, w := range wire {
		rows[i] = []string{w.ID, w.Connection, w.State, stamp(w.Created), stampOf(w.Expires), stampOf(w.LastUsed), w.Kind, w.Note}
	}
	return c.printTable("ID CONNECTION STATE CREATED EXPIRES LAST-USED KIND NOTE", rows)
}

func (c *cli) tokenRevoke() *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "Make a token, or a client with all its access tokens, worthless at once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				if err := g.revokeToken(cmd.Context(), connection, args[0]); err != nil {
					return err
				}
				fmt.Fprintln(c.err, "revoked", args[0])
				return nil
			}
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
	return throughGate(cmd)
}
