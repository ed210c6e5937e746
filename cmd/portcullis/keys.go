package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/count"
	"portcullis/fault"
	"portcullis/keys"
	"portcullis/store"
)

type keyJSON struct {
	ID      string     `json:"id"`
	Purpose string     `json:"purpose"`
	State   string     `json:"state"` // next, signing, published, retired
	Created time.Time  `json:"created"`
	Signs   *time.Time `json:"signs"` // from when on; null: from the beginning
}

func (c *cli) keysCommand() *cobra.Command {
	return group("keys", "The gate's own keys", c.keysList(), c.keysRotate(), c.keysWithdraw())
}

func (c *cli) keysList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the signing keys", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStore(cmd.Context(), func(_ *config.Config, db *store.DB) error {
				list, err := keys.List(cmd.Context(), db.Keys(), c.now())
				if err != nil {
					return err
				}
				wire := make([]keyJSON, len(list))
				rows := make([][]string, len(list))
				for i, k := range list {
					wire[i] = keyJSON{k.ID, k.Purpose, k.State, k.Created, optional(k.Activates)}
					rows[i] = []string{k.ID, k.Purpose, k.State, stamp(k.Created), stamp(k.Activates)}
				}
				if c.json {
					return c.printJSON(wire)
				}
				return c.printTable("ID PURPOSE STATE CREATED SIGNS-FROM", rows)
			})
		},
	}
}

func (c *cli) keysRotate() *cobra.Command {
	var wrapping bool
	var newFile, connection string
	var after, settle time.Duration
	cmd := &cobra.Command{
		Use: "rotate [assertion]", Short: "Make a new key; nobody is signed out", Args: cobra.MaximumNArgs(1),
		Long: `Make a new key for the assertion that the portal receives. It is published at
once and signs after a while, so that portals that keep the key set know it by
then; the former key stays published until everything that it signed is over.

With --connection, make a new key for the private_key_jwt of that connection
instead. A provider that fetches our key set notices nothing if --after is longer
than it keeps it; one that was given the key needs to be given the new one.

With --wrapping, wrap everything in the database with the key of another file
(made if it is missing) and put that key in the place of the key file. Running
gates take it up within seconds. With several machines, lay the new file beside
the key file of each, as KEYFILE.next, before.`,
		Example: "  portcullis keys rotate\n  portcullis keys rotate --connection acme-entra --after 24h\n  portcullis keys rotate --wrapping --new-file new.key",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && args[0] != keys.Assertion:
				return usagef("no key %q; want %q, or --wrapping", args[0], keys.Assertion)
			case connection != "" && (wrapping || len(args) > 0):
				return usagef("--connection is for the key of a connection alone")
			case wrapping && (newFile == "" || len(args) > 0):
				return usagef("want --wrapping --new-file FILE")
			case !wrapping && newFile != "":
				return usagef("--new-file is for --wrapping")
			}
			return c.withStore(cmd.Context(), func(cfg *config.Config, db *store.DB) error {
				if connection != "" {
					if err := clientKey(cfg, connection); err != nil {
						return err
					}
				}
				ring, err := keys.Open(cmd.Context(), keys.Config{Store: db.Keys(), File: cfg.Keys.File, Now: c.now})
				if err != nil {
					return err
				}
				if wrapping {
					return c.rewrap(cmd.Context(), ring, cfg.Keys.File, newFile, settle)
				}
				purpose := keys.Assertion
				if connection != "" {
					purpose = keys.ClientPurpose(connection)
				}
				k, err := ring.Rotate(cmd.Context(), operator(), purpose, after)
				if connection != "" && fault.Is(err, fault.NotFound) {
					err = fault.New(fault.NotFound, "connection %q has no key yet: a gate that runs with private_key_jwt makes the first one", connection)
				}
				if err != nil {
					return err
				}
				if c.json {
					return c.printJSON(keyJSON{k.ID, k.Purpose, "next", k.Created, optional(k.Activates)})
				}
				_, err = fmt.Fprintf(c.out, "%s is published now and signs from %s\n", k.ID, stamp(k.Activates))
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&wrapping, "wrapping", false, "replace the key that wraps what is in the database")
	cmd.Flags().StringVar(&connection, "connection", "", "rotate the key of this connection's private_key_jwt instead")
	cmd.Flags().StringVar(&newFile, "new-file", "", "file of the new wrapping key")
	cmd.Flags().DurationVar(&after, "after", keys.PublishAhead, "how long the new key is published before it signs")
	cmd.Flags().DurationVar(&settle, "settle", 5*time.Second, "how long running gates get to take the new wrapping key up, before what they sealed meanwhile is wrapped, too")
	return cmd
}

// clientKey fails unless the gate proves itself at a connection by a key that
// it made, and says how it does.
func clientKey(cfg *config.Config, id string) error {
	if err := known(cfg, id); err != nil {
		return err
	}
	conn := cfg.Connections[slices.Index(connectionIDs(cfg), id)]
	how := "proves itself by a client secret: it has a key with private_key_jwt: true in the place of the secret"
	switch {
	case conn.SAML != nil:
		how = "is a SAML connection: portcullis connection rollover makes its next key"
	case conn.OIDC == nil:
		how = "has no key: nobody signs in over it"
	case conn.OIDC.KeyJWT:
		return nil
	case conn.OIDC.KeyFile != "":
		how = "proves itself by the key of private_key_file: put the next one at private_key_next_file"
	case conn.OIDC.ClientSecret.Reveal() == "":
		how = "is a public client: it has a key with private_key_jwt: true in the place of public_client"
	}
	return fault.New(fault.Invalid, "connection %q %s", id, how)
}

// rewrap wraps twice: between the two, gates take the new key up.
func (c *cli) rewrap(ctx context.Context, ring *keys.Ring, file, newFile string, settle time.Duration) error {
	changed, err := ring.Rewrap(ctx, operator(), newFile)
	if err != nil {
		return err
	}
	timer := time.NewTimer(settle)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	late, err := ring.Rewrap(ctx, operator(), file)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]any{"wrapped": changed + late, "file": file})
	}
	_, err = fmt.Fprintf(c.out, "wrapped %s with the new key, which is in %s now; the former one is in %s.old\n", count.Of(changed+late, "value", "values"), file, file)
	return err
}

func (c *cli) keysWithdraw() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "withdraw KEY", Short: "Take a key that leaked out of use, at once and for good", Args: cobra.ExactArgs(1),
		Long: `Take a signing key out of use: running gates publish it no more and sign
nothing with it within a second, and what it signed is not handed out any more.
Where it was the key that signs, the one that waits takes its place, or a new
one. Nobody is signed out. Portals refuse what it signed as soon as they read
the key set again.

The key of a SAML connection goes with its certificate, and is used to decrypt no
more. Unless it only waited, nobody signs in there until the identity provider has
our new metadata. Strike the former certificate out there, too: what the thief
signs is believed until then.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usagef("want --reason TEXT: it stands in the audit trail")
			}
			return c.withStore(cmd.Context(), func(cfg *config.Config, db *store.DB) error {
				ring, err := keys.Open(cmd.Context(), keys.Config{Store: db.Keys(), File: cfg.Keys.File, Now: c.now})
				if err != nil {
					return err
				}
				purpose, replacement, err := ring.Withdraw(cmd.Context(), operator(), args[0], reason, makePair(cfg.PublicURL))
				if err != nil {
					return err
				}
				if connection, of := strings.CutPrefix(purpose, "saml "); of {
					fmt.Fprintf(c.err, "give the provider our metadata anew, and strike the former certificate out there: %s/.portcullis/saml/%s/metadata\n", cfg.PublicURL, connection)
				}
				if c.json {
					return c.printJSON(map[string]string{"withdrawn": args[0], "signs": replacement})
				}
				text := args[0] + " is withdrawn; the key that signs stays\n"
				if replacement != "" {
					text = args[0] + " is withdrawn; " + replacement + " signs from now on\n"
				}
				_, err = fmt.Fprint(c.out, text)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	return cmd
}
