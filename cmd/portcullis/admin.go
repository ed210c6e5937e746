package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/config"
	"portcullis/store"
)

func (c *cli) adminCommand() *cobra.Command {
	return group("admin", "The console of administrators", c.adminBootstrap())
}

func (c *cli) adminBootstrap() *cobra.Command {
	return &cobra.Command{
		Use: "bootstrap", Short: "Print a link that opens the console once, with every right", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`Print a link that opens the console once, with every right but that of the second
person of an approval. It can be opened for %.0f minutes; what it opens lasts %.0f
minutes. Both are written into the audit trail.

It is for the first administrator, until the mapping gives somebody a gate.… task,
and for the day on which nobody can sign in.`, admin.LinkLife.Minutes(), admin.VisitLife.Minutes()),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStore(cmd.Context(), func(cfg *config.Config, db *store.DB) error {
				link, err := c.consoleLink(cmd.Context(), cfg, db, operator())
				if err != nil {
					return err
				}
				if c.json {
					return c.printJSON(map[string]string{"link": link})
				}
				_, err = fmt.Fprintln(c.out, link)
				return err
			})
		},
	}
}

func (c *cli) consoleLink(ctx context.Context, cfg *config.Config, db *store.DB, by audit.Actor) (string, error) {
	return admin.Links{Store: db.Admin(), PublicURL: cfg.PublicURL, Now: c.now}.Make(ctx, by)
}
