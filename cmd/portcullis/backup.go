package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"portcullis/audit"
	"portcullis/config"
	"portcullis/count"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
)

func (c *cli) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Copy the SQLite database to a new file, under a running gate", Args: cobra.ExactArgs(1),
		Long: `Copy the SQLite database, as it is at one moment, to a new file that its owner
alone may read. The gate goes on meanwhile. What is sealed in the copy opens
with the key file alone: keep that apart from it. PostgreSQL is backed up with
pg_dump.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withStore(cmd.Context(), func(_ *config.Config, db *store.DB) error {
				if err := db.Backup(cmd.Context(), args[0]); err != nil {
					return err
				}
				fmt.Fprintln(c.err, "written:", args[0])
				return nil
			})
		},
	}
}

func (c *cli) restoreCommand() *cobra.Command {
	var mark, believe, force bool
	cmd := &cobra.Command{
		Use: "restore {FILE | --mark}", Short: "Put a backup in place, and believe nothing of it that may have ended since", Args: cobra.MaximumNArgs(1),
		Long: `Put a backup in the place of the SQLite database; what was there is kept beside
it, as .before-restore. Stop the gate first. On PostgreSQL, restore with
pg_restore while no gate runs, and call restore --mark.

No session, no sign-in under way and no API token of the backup counts: they
may have been ended since. Whoever was pushed over SCIM stays out until their
identity provider names them (ask it for a full synchronisation), or until
portcullis connection confirm. Locks, freezes and revocations of SCIM tokens
that were made after the backup are gone: make them again.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if mark == (len(args) == 1) {
				return usagef("want a FILE, or --mark")
			}
			if mark {
				return c.withStore(cmd.Context(), func(_ *config.Config, db *store.DB) error { return c.distrust(cmd.Context(), db, believe) })
			}
			cfg, err := c.loadConfig()
			if err != nil {
				return err
			}
			path, ok := cfg.Database.SQLite()
			if !ok {
				return usagef("the database is PostgreSQL: restore it with pg_restore, then call portcullis restore --mark")
			}
			return c.restore(cmd.Context(), args[0], path, believe, force)
		},
	}
	cmd.Flags().BoolVar(&mark, "mark", false, "the database has been restored by other means: only take from it what may have ended")
	cmd.Flags().BoolVar(&believe, "believe-people", false, "nobody was deprovisioned since the backup: let pushed people in at once")
	cmd.Flags().BoolVar(&force, "force", false, "although the gate seems to run")
	return cmd
}

// restore works on a copy beside the database, and puts it in place when it is
// safe to be opened.
func (c *cli) restore(ctx context.Context, file, path string, believe, force bool) (err error) {
	if _, err := os.Stat(path + "-wal"); err == nil && !force {
		return fault.New(fault.Conflict, "%s is in use, or was not closed: stop the gate first; after a crash, start and stop it once, or use --force", path)
	}
	fresh := path + ".restoring"
	if err := copyFile(file, fresh); err != nil {
		return fault.Wrap(fault.Invalid, err, "%s cannot be read", file)
	}
	defer func() {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if gone := os.Remove(fresh + suffix); !errors.Is(gone, fs.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
	}()
	db, err := store.Open(ctx, store.Config{URL: "sqlite:" + fresh})
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%s is not a backup of this program: %s", file, fault.Message(err))
	}
	if err := errors.Join(c.distrust(ctx, db, believe), db.Close()); err != nil {
		return err
	}
	if err := os.Rename(path, path+".before-restore"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, suffix := range []string{"-wal", "-shm"} { // of the database that was there
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(fresh, path)
}

func copyFile(from, to string) error {
	in, err := os.Open(from) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // beside the database
	if err == nil {
		_, err = io.Copy(out, in)
		err = errors.Join(err, out.Sync(), out.Close())
	}
	return errors.Join(err, in.Close())
}

func (c *cli) distrust(ctx context.Context, db *store.DB, believe bool) error {
	r, err := db.Distrust(ctx, believe, c.now().UTC(), operator(), func(r store.Restored) audit.Event {
		return audit.Event{Detail: map[string]string{
			"sessions_ended": strconv.Itoa(r.Sessions), "api_tokens_revoked": strconv.Itoa(r.APITokens), "people_unconfirmed": strconv.Itoa(r.People),
		}}
	})
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]int{
			"sessionsEnded": r.Sessions, "attemptsForgotten": r.Attempts, "apiTokensRevoked": r.APITokens, "peopleUnconfirmed": r.People,
		})
	}
	_, err = fmt.Fprintf(c.out, "%s ended, %s under way forgotten, %s revoked, %s out until they are confirmed\n",
		count.Sessions(r.Sessions), count.Of(r.Attempts, "sign-in", "sign-ins"), count.Of(r.APITokens, "API token", "API tokens"), count.Of(r.People, "person stays", "people stay"))
	return err
}

func (c *cli) connectionConfirm() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "confirm ID", Short: "Let the people of a connection in again who wait since a restore", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDirectory(cmd.Context(), func(cfg *config.Config, _ *store.DB, d *directory.Directory) error {
				if !slices.Contains(connectionIDs(cfg), args[0]) {
					return known(cfg, args[0])
				}
				n, err := d.ConfirmConnection(cmd.Context(), operator(), args[0], reason)
				if err != nil {
					return err
				}
				if c.json {
					return c.printJSON(map[string]any{"connection": args[0], "confirmed": n})
				}
				_, err = fmt.Fprintf(c.out, "confirm: %s, %s\n", args[0], count.People(n))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	return cmd
}

func examineUnconfirmed(ctx context.Context, db *store.DB) (found []diagnosis) {
	people, err := directory.New(directory.Config{Store: db.Directory()}).Unconfirmed(ctx)
	if err != nil {
		return []diagnosis{{"restore", "broken", fault.Message(err)}}
	}
	for id, n := range people {
		found = append(found, diagnosis{"restore " + id, "warning", fmt.Sprintf(
			"%s out until their identity provider confirms them: ask it for a full synchronisation, or use portcullis connection confirm %s", count.Of(n, "person stays", "people stay"), id)})
	}
	return found
}

// unconfirmed counts the people who wait since a restore.
type unconfirmed struct {
	dir  *directory.Directory
	desc *prometheus.Desc
}

func newUnconfirmed(db *store.DB) *unconfirmed {
	return &unconfirmed{directory.New(directory.Config{Store: db.Directory()}), prometheus.NewDesc("portcullis_unconfirmed_people",
		"People who stay out since a restore until their identity provider confirms them, by connection.", []string{"connection"}, nil)}
}

func (u *unconfirmed) Describe(ch chan<- *prometheus.Desc) { ch <- u.desc }

func (u *unconfirmed) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	people, err := u.dir.Unconfirmed(ctx)
	if err != nil {
		return // /readyz tells of a database that is away
	}
	for connection, n := range people {
		ch <- prometheus.MustNewConstMetric(u.desc, prometheus.GaugeValue, float64(n), connection)
	}
}
