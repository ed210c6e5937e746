package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portcullis/audit"
	"portcullis/config"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
)

// The exit codes of the contract.
const (
	exitFine   = 0
	exitFound  = 1
	exitUsage  = 2
	exitBroken = 3
)

// errFound ends a command that did its work and found something; what it
// found is printed already.
var errFound = errors.New("the check found something")

// usageError is the caller's mistake on the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// cli is one call of the command line.
type cli struct {
	in         io.Reader
	out, err   io.Writer
	configFile string
	gate       farGate
	json       bool
	now        func() time.Time
	signer     func() revision.Signer // whoever runs it, for what needs two people
	terminal   func(io.Writer) bool   // whether a person is looking; nil: nobody is
}

// run is the whole program, for main and for tests.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	c := &cli{
		in: in, out: out, err: errs, signer: systemSigner, terminal: isTerminal,
		now: time.Now,
	}
	c.gate.lookup = os.LookupEnv //nolint:forbidigo // where a gate is elsewhere there is no configuration
	return c.execute(ctx, args)
}

func (c *cli) execute(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	err := root.ExecuteContext(ctx)
	return c.exit(err)
}

// exit prints an error once and gives its exit code.
func (c *cli) exit(err error) int {
	if err == nil {
		return exitFine
	}
	if errors.Is(err, errFound) {
		return exitFound
	}
	if problems, ok := errors.AsType[config.Problems](err); ok {
		fmt.Fprintln(c.err, problems)
		return exitFound
	}
	if problems, ok := errors.AsType[mapping.Problems](err); ok {
		wire := problemsWire(problems, "error")
		if c.json {
			if err := c.printJSON(wire); err != nil {
				return exitBroken
			}
			return exitFound
		}
		for _, p := range wire {
			c.say(c.err, p)
		}
		return exitFound
	}
	fmt.Fprintln(c.err, "portcullis:", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Conflict, fault.Invalid, fault.Forbidden:
		return exitFound
	default:
		return exitBroken
	}
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "portcullis",
		Short: "The gate in front of a client portal",
		Long: `Portcullis signs people in through their company's identity provider, takes
SCIM 2.0 pushes from it, maps its groups to roles and permission groups, and
hands the portal behind it a signed statement of who is there, what they may
do and which data they may see.

Commands work on the database that the configuration names. With --gate, or
PORTCULLIS_GATE, those that administer work through the API of a gate that runs
elsewhere instead, as the owner of an API token, which is read from
PORTCULLIS_TOKEN or from --token-file.`,
		SilenceErrors: true, SilenceUsage: true,
		Args:              cobra.NoArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return c.gate.fits(cmd) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVarP(&c.configFile, "config", "c", "portcullis.yaml", "configuration file")
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON instead of a table")
	root.PersistentFlags().StringVar(&c.gate.address, "gate", "", "work through the API of the gate at this address, as in https://portal.example.com")
	root.PersistentFlags().StringVar(&c.gate.tokenFile, "token-file", "", "file that holds the API token for --gate; the default is PORTCULLIS_TOKEN")
	root.PersistentFlags().StringVar(&c.gate.caFile, "ca-file", "", "PEM file of the authorities to trust for --gate instead of the system's")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(c.serveCommand(), c.demoCommand(), c.checkCommand(), c.mappingCommand(), c.tokenCommand(), c.scimCommand(),
		c.userCommand(), c.adminCommand(), c.organizationCommand(), c.keysCommand(), c.apiTokenCommand(), c.backupCommand(), c.restoreCommand(),
		c.loginCommand(), c.connectionCommand(), c.auditCommand(), c.doctorCommand(), c.versionCommand())
	usageErrors(root)
	return root
}

// usageErrors makes wrong arguments, and commands that are not there, exit
// with the code for wrong usage, and a command say which arguments it wants.
func usageErrors(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			switch {
			case err == nil:
				return nil
			case cmd.HasSubCommands():
				return usageError{err}
			}
			return usageError{fmt.Errorf("%w; usage: %s", err, cmd.UseLine())}
		}
	}
	for _, sub := range cmd.Commands() {
		usageErrors(sub)
	}
}

// group is a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("want one of: %s", strings.Join(names(cmd.Commands()), ", "))
			}
			return fmt.Errorf("unknown command %q; want one of: %s", args[0], strings.Join(names(cmd.Commands()), ", "))
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(subs...)
	return cmd
}

func names(cmds []*cobra.Command) []string {
	out := make([]string, len(cmds))
	for i, cmd := range cmds {
		out[i] = cmd.Name()
	}
	return out
}

// loadConfig reads the configuration file and prints its warnings.
func (c *cli) loadConfig() (*config.Config, error) {
	cfg, err := config.Load(c.configFile, os.LookupEnv) //nolint:forbidigo // package config asks through this function alone
	if err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(c.err, "warning:", w)
	}
	return cfg, nil
}

// openStore opens the database that the configuration names. Only a gate
// brings a schema up to date: one that runs may be of another version.
func openStore(ctx context.Context, cfg *config.Config) (*store.DB, error) {
	return store.Open(ctx, store.Config{URL: cfg.Database.URL.Reveal(), AsIs: true})
}

// withStore runs f on the configuration, with the connections that were made
// in the console, and its database.
func (c *cli) withStore(ctx context.Context, f func(*config.Config, *store.DB) error) error {
	return c.withRoster(ctx, func(r *roster, db *store.DB) error { return f(r.cfg(), db) })
}

// withRoster is withStore for what needs to know which connections were made.
func (c *cli) withRoster(ctx context.Context, f func(*roster, *store.DB) error) (err error) {
	if c.gate.named() != "" {
		return errHere
	}
	cfg, err := c.loadConfig()
	if err != nil {
		return err
	}
	db, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	r := newRoster(cfg, db, nil, slog.New(slog.DiscardHandler), c.now)
	if err := r.Refresh(ctx); err != nil {
		return err
	}
	return f(r, db)
}

// reach is the roster for commands that work without a database: where that is
// not there, or cannot be read, it is the configuration's.
func (c *cli) reach(ctx context.Context, cfg *config.Config) *roster {
	alone := newRoster(cfg, nil, nil, slog.New(slog.DiscardHandler), c.now)
	if path, ok := cfg.Database.SQLite(); ok {
		if _, err := os.Stat(path); err != nil {
			return alone
		}
	}
	db, err := openStore(ctx, cfg)
	if err != nil {
		return alone
	}
	defer db.Close()
	r := newRoster(cfg, db, nil, slog.New(slog.DiscardHandler), c.now)
	if err := r.Refresh(ctx); err != nil {
		return alone
	}
	return r
}

// connections gives the directory's view of the configured connections.
func connections(cfg *config.Config) []directory.Connection {
	out := make([]directory.Connection, len(cfg.Connections))
	for i, conn := range cfg.Connections {
		out[i] = directory.Connection{
			ID: conn.ID, Organization: conn.Organization, Domains: conn.Domains,
			Provisioning: directory.Provisioning(conn.Provisioning), Link: conn.Link,
			Units: directory.UnitSource{Attribute: conn.SubOrganization.Attribute, Claim: conn.SubOrganization.Claim},
			Guard: directory.Guard{Percent: conn.SCIM.Guard.Percent, People: conn.SCIM.Guard.People},
		}
	}
	return out
}

func connectionIDs(cfg *config.Config) []string {
	ids := make([]string, len(cfg.Connections))
	for i, conn := range cfg.Connections {
		ids[i] = conn.ID
	}
	return ids
}

// mappingOptions is what a mapping is checked against.
func mappingOptions(cfg *config.Config) mapping.Options {
	return mapping.Options{Connections: connectionIDs(cfg), Environment: cfg.Environment}
}

// operator is whoever runs the command line, for the audit trail.
func operator() audit.Actor {
	a := audit.Actor{Kind: "operator", Name: "command line"}
	if u, err := user.Current(); err == nil {
		a.ID, a.Name = u.Uid, u.Username
	}
	return a
}
