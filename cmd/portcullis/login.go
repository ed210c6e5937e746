package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portcullis/audit"
	"portcullis/config"
	"portcullis/count"
	"portcullis/fault"
	"portcullis/login"
	"portcullis/store"
	"portcullis/trace"
)

func (c *cli) loginCommand() *cobra.Command {
	return group("login", "What happened when somebody signed in, and dry runs", c.loginTrace(), c.loginTraces(), c.loginTest())
}

func (c *cli) loginTrace() *cobra.Command {
	return throughGate(&cobra.Command{
		Use: "trace REF", Short: "Show what happened at one attempt to sign in", Args: cobra.ExactArgs(1),
		Long: `Show what happened at one attempt to sign in: each check with what was wanted
and what came, what the identity provider said, and what the mapping made of
it. REF is the reference on the page that the person saw. Traces are kept for
seven days and hold no tokens or secrets.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				r, err := g.trace(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return c.printTrace(r)
			}
			return c.withStore(cmd.Context(), func(_ *config.Config, db *store.DB) error {
				r, err := db.Traces().FindTrace(cmd.Context(), args[0])
				if fault.Is(err, fault.NotFound) {
					return c.noTrace(cmd.Context(), db.Traces(), args[0], err)
				}
				if err != nil {
					return err
				}
				return c.printTrace(r)
			})
		},
	})
}

// noTrace says why a reference may lead nowhere.
func (c *cli) noTrace(ctx context.Context, s trace.Store, reference string, err error) error {
	lost, failed := s.LostTraces(ctx, c.now().Add(-trace.Keep))
	if failed != nil {
		return failed
	}
	var n int64
	for _, l := range lost {
		n += l.Count
	}
	why := "it is older than seven days, or the reference is not of a sign-in"
	if n > 0 {
		why += fmt.Sprintf(", or it is one of %d that were not kept in a flood", n)
	}
	return fault.Wrap(fault.NotFound, err, "no trace %q: %s", reference, why)
}

func (c *cli) loginTraces() *cobra.Command {
	var q trace.Query
	cmd := &cobra.Command{
		Use: "traces", Short: "List attempts to sign in, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Limit < 1 || q.Limit > 10_000 {
				return usagef("--limit: want 1 to 10000, got %d", q.Limit)
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				list, lost, err := g.traces(cmd.Context(), q)
				if err != nil {
					return err
				}
				return c.sayTraces(list, lost)
			}
			return c.withStore(cmd.Context(), func(cfg *config.Config, db *store.DB) error {
				if err := known(cfg, q.Connection); err != nil {
					return err
				}
				list, err := db.Traces().Traces(cmd.Context(), q)
				if err != nil {
					return err
				}
				lost, err := db.Traces().LostTraces(cmd.Context(), c.now().Add(-trace.Keep))
				if err != nil {
					return err
				}
				if q.Connection != "" {
					lost = slices.DeleteFunc(lost, func(l trace.Loss) bool { return l.Connection != q.Connection })
				}
				return c.sayTraces(list, lost)
			})
		},
	}
	cmd.Flags().StringVar(&q.Connection, "connection", "", "only this connection's")
	cmd.Flags().BoolVar(&q.Failed, "failed", false, "only those where nobody came in")
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "how many")
	return throughGate(cmd)
}

func (c *cli) sayTraces(list []trace.Record, lost []trace.Loss) error {
	for _, l := range lost {
		fmt.Fprintf(c.err, "warning: %s of %q lost in the hour of %s\n", count.Of(l.Count, "trace", "traces"), l.Connection, stamp(l.Hour))
	}
	if c.json {
		return c.printJSON(slices.Concat([]trace.Record{}, list))
	}
	rows := make([][]string, len(list))
	for i, r := range list {
		rows[i] = []string{r.Reference, stamp(r.Finished), r.Connection, string(r.Outcome), failedCheck(r), r.Reason}
	}
	return c.printTable("REFERENCE WHEN CONNECTION OUTCOME CHECK TOLD", rows)
}

// failedCheck names the first check that failed.
func failedCheck(r trace.Record) string {
	for _, check := range r.Checks {
		if !check.OK {
			return check.Name
		}
	}
	return ""
}

// How often the result of a dry run is asked for: in the database, and of a gate
// elsewhere.
const (
	waitEvery    = 300 * time.Millisecond
	waitEveryFar = time.Second
)

func (c *cli) loginTest() *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use: "test --connection ID", Short: "Try a sign-in without signing in", Args: cobra.NoArgs,
		Long: `Try a sign-in without signing in. It prints a link that counts once, for ten
minutes; whoever opens it in a browser goes through the real identity provider.
What came of it stands in the browser and here: what was checked, what the
identity provider said, and what the mapping would grant. No session and no
person is made, and nothing changes but the audit trail, which says so. The
gate must be running. Exit code 1 when the sign-in would be refused.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if connection == "" {
				return usagef("--connection: want the id of a connection")
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				test, err := g.beginTest(cmd.Context(), connection)
				if err != nil {
					return err
				}
				return c.sayTest(cmd.Context(), test.URL, test.Until, waitEveryFar, func(ctx context.Context) (*trace.Record, error) {
					return g.tested(ctx, connection, test.Test)
				})
			}
			return c.withStore(cmd.Context(), func(cfg *config.Config, db *store.DB) error {
				if err := signsIn(cfg, connection); err != nil {
					return err
				}
				by := operator()
				test, path := login.NewTest(connection, by, c.now())
				err := db.Login().InsertTest(cmd.Context(), test, audit.Event{
					At: test.Created, Action: audit.SignInTested, Actor: by, Connection: connection, Reason: "link made",
					Detail: map[string]string{"test": test.ID},
				})
				if err != nil {
					return err
				}
				return c.sayTest(cmd.Context(), login.TestURL(cfg.PublicURL, path), test.Expires, waitEvery, func(ctx context.Context) (*trace.Record, error) {
					_, r, err := db.Login().FindTest(ctx, test.ID)
					return r, err
				})
			})
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "connection to try")
	return throughGate(cmd)
}

// sayTest gives somebody the link of a dry run, and prints what came of it.
func (c *cli) sayTest(ctx context.Context, link string, until time.Time, every time.Duration, find func(context.Context) (*trace.Record, error)) error {
	fmt.Fprintf(c.err, "Open this in a browser, once, until %s:\n", stamp(until))
	fmt.Fprintln(c.out, printable(link))
	r, err := c.awaitTest(ctx, until, every, find)
	if err != nil {
		return err
	}
	if err := c.printTrace(*r); err != nil {
		return err
	}
	if r.Reason != "" {
		return errFound
	}
	return nil
}

// signsIn fails unless people sign in over a connection.
func signsIn(cfg *config.Config, connection string) error {
	if err := known(cfg, connection); err != nil {
		return err
	}
	for _, conn := range cfg.Connections {
		if conn.ID == connection && (conn.OIDC != nil || conn.SAML != nil) {
			return nil
		}
	}
	return fault.New(fault.Invalid, "nobody signs in over %q", connection)
}

// awaitTest waits until somebody has gone through a dry run. The sign-in may
// take as long again as the link is good for.
func (c *cli) awaitTest(ctx context.Context, until time.Time, every time.Duration, find func(context.Context) (*trace.Record, error)) (*trace.Record, error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for c.now().Before(until.Add(login.TestLife)) {
		r, err := find(ctx)
		if r != nil || err != nil {
			return r, err
		}
		select {
		case <-ctx.Done():
			return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "stopped before anybody had gone through")
		case <-tick.C:
		}
	}
	return nil, fault.Wrap(fault.Unavailable, errors.New("expired"), "nobody has gone through the sign-in")
}

// printTrace shows a record.
func (c *cli) printTrace(r trace.Record) error {
	if c.json {
		return c.printJSON(r)
	}
	skew := ""
	if r.Measured {
		skew = fmt.Sprintf("ours is %s ahead", r.Skew)
		if r.Skew < 0 {
			skew = fmt.Sprintf("ours is %s behind", -r.Skew)
		}
	}
	rows := [][]string{
		{"reference", r.Reference},
		{"begun as", r.Start},
		{"connection", r.Connection + " (" + r.Protocol + ")"},
		{"started", stamp(r.Started)},
		{"finished", stamp(r.Finished)},
		{"address", r.Address},
		{"outcome", string(r.Outcome)},
		{"told", r.Reason},
		{"cause", r.Cause},
		{"person", r.Person},
		{"asked for", r.Demand},
		{"signed by", r.Key},
		{"clock", skew},
	}
	for _, n := range r.Notes {
		rows = append(rows, []string{"note", string(n)})
	}
	rows = slices.DeleteFunc(rows, func(row []string) bool { return row[1] == "" })
	if err := c.printTable("WHAT IS", rows); err != nil {
		return err
	}
	rows = nil
	for _, check := range r.Checks {
		mark := "ok"
		if !check.OK {
			mark = "FAILED"
		}
		rows = append(rows, []string{mark, check.Name, check.Want, check.Got})
	}
	if err := c.printPart("RESULT CHECK WANTED GOT", rows); err != nil {
		return err
	}
	if err := c.printPart("CLAIM VALUE", fieldRows(r.Claims)); err != nil {
		return err
	}
	if err := c.printPart("FACT VALUE", fieldRows(r.Facts)); err != nil {
		return err
	}
	return c.printPart("MAPPING RESULT", decisionRows(r.Decision))
}

// printPart is a table with an empty line before it, and nothing without rows.
func (c *cli) printPart(header string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(c.out)
	return c.printTable(header, rows)
}

func fieldRows(fields []trace.Field) (rows [][]string) {
	for _, f := range fields {
		text := strings.Join(f.Values, ", ")
		if f.More > 0 {
			text += fmt.Sprintf(" … and %d more", f.More)
		}
		rows = append(rows, []string{f.Name, text})
	}
	return rows
}

func decisionRows(d *trace.Decision) (rows [][]string) {
	if d == nil {
		return nil
	}
	verdict := "refused: "
	if d.Login {
		verdict = "lets in: "
	}
	rows = [][]string{{"decision", verdict + d.Verdict}, {"told", d.Reason}}
	for _, list := range []struct {
		name   string
		values []string
	}{{"role", d.Roles}, {"task", d.Tasks}, {"permission group", d.PermissionGroups}, {"data", d.Permissions}, {"rule", d.Rules}, {"almost", d.NearMisses}} {
		for _, v := range list.values {
			rows = append(rows, []string{list.name, v})
		}
	}
	return slices.DeleteFunc(rows, func(row []string) bool { return row[1] == "" })
}
