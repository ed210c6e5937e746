package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/count"
	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/store"
)

type shiftJSON struct {
	Name   string `json:"name"`
	Before int    `json:"before"`
	Now    int    `json:"now"`
	Gain   int    `json:"gain"`
	Lose   int    `json:"lose"`
}

type changeJSON struct {
	Person       string   `json:"person"`
	Connection   string   `json:"connection"`
	Admitted     bool     `json:"admitted"`
	Refused      bool     `json:"refused"`
	Reason       string   `json:"reason,omitempty"`
	RolesGained  []string `json:"rolesGained"`
	RolesLost    []string `json:"rolesLost"`
	TasksGained  []string `json:"tasksGained"`
	TasksLost    []string `json:"tasksLost"`
	GroupsGained []string `json:"permissionGroupsGained"`
	GroupsLost   []string `json:"permissionGroupsLost"`
	Data         bool     `json:"otherData"`
	Privileged   bool     `json:"privileged"`
	Everything   bool     `json:"unrestricted"`
}

func changeWire(x mapping.Change) changeJSON {
	w := changeJSON(x)
	for _, names := range []*[]string{&w.RolesGained, &w.RolesLost, &w.TasksGained, &w.TasksLost, &w.GroupsGained, &w.GroupsLost} {
		*names = list(*names)
	}
	return w
}

func shiftsWire(shifts []mapping.Shift) []shiftJSON {
	out := make([]shiftJSON, len(shifts))
	for i, s := range shifts {
		out[i] = shiftJSON(s)
	}
	return out
}

type capJSON struct {
	ID       string `json:"id"`
	Role     string `json:"role"`
	MaxUsers int    `json:"maxUsers"`
	People   int    `json:"people"`
	Exceeded bool   `json:"exceeded"`
}

func capsWire(caps []mapping.CapUse) []capJSON {
	out := make([]capJSON, len(caps))
	for i, x := range caps {
		out[i] = capJSON{ID: x.ID, Role: x.Role, MaxUsers: x.MaxUsers, People: x.People, Exceeded: x.Exceeded()}
	}
	return out
}

func (c *cli) mappingDiff() *cobra.Command {
	var fail string
	var o mapping.Options
	cmd := &cobra.Command{
		Use: "diff OLD NEW", Short: "Say whose access another mapping file changes", Args: cobra.ExactArgs(2),
		Long: `Say whose access another mapping file changes: everybody in the directory is held
against both files as they are now.

Exit code 1 when somebody is touched, so that a pipeline can ask for a look;
with --fail-on only for what it names: lose, refused, or the flags privileged,
unrestricted, people>5% and cap.`,
		Example: `  git show main:mapping.yaml > old.yaml && portcullis mapping diff old.yaml mapping.yaml --fail-on privileged,refused`,
		RunE: func(cmd *cobra.Command, args []string) error {
			reasons, err := failOn(fail)
			if err != nil {
				return err
			}
			say := func(diff *mapping.Difference) error {
				if err := c.sayDiff(diff); err != nil {
					return err
				}
				if fails(diff, reasons) {
					return errFound
				}
				return nil
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				diff, bound, err := g.diff(cmd.Context(), args[0], args[1], o.Environment)
				if err != nil {
					return err
				}
				c.sayBound(bound)
				if diff.More > 0 && len(diff.Changes) == 0 {
					fmt.Fprintln(c.err, "note: who it is, is for whoever has the task gate.users.view")
				}
				return say(diff)
			}
			return c.withDirectory(cmd.Context(), func(cfg *config.Config, _ *store.DB, d *directory.Directory) error {
				cfg.Environment = cmp.Or(o.Environment, cfg.Environment)
				// The old file is not held against the connections of today.
				old, err := mappingFile(args[0], mapping.Options{Environment: cfg.Environment})
				if err != nil {
					return err
				}
				updated, err := mappingFile(args[1], mappingOptions(cfg))
				if err != nil {
					return err
				}
				now := c.now()
				diff := mapping.Diff(old.policy, updated.policy, now, facts(cmd.Context(), d, time.Time{}, &err))
				if err != nil {
					return err
				}
				return say(diff)
			})
		},
	}
	cmd.Flags().StringVar(&fail, "fail-on", "", "exit 1 only for these, separated by commas")
	environmentFlag(cmd, &o)
	return throughGate(cmd)
}

// The reasons to fail beside the flags of a difference.
const (
	onLose    = "lose"
	onRefused = "refused"
)

func failOn(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	known := []string{
		onLose, onRefused, string(mapping.FlagPrivileged), string(mapping.FlagEverything), string(mapping.FlagManyPeople), string(mapping.FlagCap),
	}
	reasons := strings.Split(text, ",")
	for i := range reasons {
		if reasons[i] = strings.TrimSpace(reasons[i]); !slices.Contains(known, reasons[i]) {
			return nil, usagef("--fail-on: want some of %v, got %q", known, reasons[i])
		}
	}
	return reasons, nil
}

func fails(d *mapping.Difference, reasons []string) bool {
	if reasons == nil {
		return d.Touched > 0 || len(d.Flags()) > 0
	}
	return slices.Contains(reasons, onLose) && d.Lose > 0 || slices.Contains(reasons, onRefused) && d.Refused > 0 ||
		slices.ContainsFunc(d.Flags(), func(f mapping.Flag) bool { return slices.Contains(reasons, string(f)) })
}

func (c *cli) sayDiff(d *mapping.Difference) error {
	if c.json {
		flags, changes := []mapping.Flag{}, make([]changeJSON, len(d.Changes))
		for i, x := range d.Changes {
			changes[i] = changeWire(x)
		}
		return c.printJSON(map[string]any{
			"people": d.People, "touched": d.Touched, "gain": d.Gain, "lose": d.Lose, "admitted": d.Admitted, "refused": d.Refused,
			"otherData": d.Data, "privileged": d.Privileged, "unrestricted": d.Everything, "flags": append(flags, d.Flags()...),
			"roles": shiftsWire(d.Roles), "permissionGroups": shiftsWire(d.Groups), "caps": capsWire(d.Caps), "changes": changes, "more": d.More,
		})
	}
	if _, err := fmt.Fprint(c.out, d); err != nil || len(d.Changes) == 0 {
		return err
	}
	fmt.Fprintln(c.out)
	rows := make([][]string, len(d.Changes))
	for i, x := range d.Changes {
		rows[i] = []string{x.Person, x.Connection, strings.Join(changeInWords(x), "; ")}
	}
	if err := c.printTable("PERSON CONNECTION CHANGE", rows); err != nil {
		return err
	}
	if d.More > 0 {
		fmt.Fprintf(c.out, "and %d more\n", d.More)
	}
	return nil
}

func changeInWords(x mapping.Change) (words []string) {
	for _, part := range []struct {
		text  string
		names []string
	}{
		{"+role", x.RolesGained},
		{"-role", x.RolesLost},
		{"+task", x.TasksGained},
		{"-task", x.TasksLost},
		{"+permission group", x.GroupsGained},
		{"-permission group", x.GroupsLost},
	} {
		if len(part.names) > 0 {
			words = append(words, part.text+" "+strings.Join(part.names, ", "))
		}
	}
	for _, part := range []struct {
		text string
		when bool
	}{
		{"may sign in now", x.Admitted},
		{"may no longer sign in, and is told: " + x.Reason, x.Refused},
		{"sees other data", x.Data},
		{"gains a privileged role", x.Privileged},
		{"sees everything", x.Everything},
	} {
		if part.when {
			words = append(words, part.text)
		}
	}
	return words
}

type placeJSON struct {
	Name       string `json:"name"`
	Connection string `json:"connection,omitempty"`
	File       string `json:"file"`
	Line       int    `json:"line"`
	Column     int    `json:"column"`
}

func (c *cli) mappingCoverage() *cobra.Command {
	var alone bool
	var o mapping.Options
	cmd := &cobra.Command{
		Use: "coverage FILE", Short: "List what of a mapping file is not in use", Args: cobra.ExactArgs(1),
		Long: `List what of a mapping file is not in use: rules that no test hits or nobody
meets, groups that nobody has, roles that nothing grants, and so on, by its tests
and by the people of the directory. --tests-only looks at the file alone, and so
does a call without a configuration file.

The exit code is 0 whatever is found, save for a limit on a role that is exceeded.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil && !alone {
				coverage, bound, err := g.coverage(cmd.Context(), args[0], o.Environment)
				if err != nil {
					return err
				}
				c.sayBound(bound)
				return c.sayCoverage(coverage, true)
			}
			if !alone && c.unconfigured(cmd) {
				alone = true
				fmt.Fprintf(c.err, "note: there is no %s, so this is by the tests in the file, and by nobody\n", c.configFile)
			}
			if alone {
				src, err := mappingFile(args[0], o)
				if err != nil {
					return err
				}
				return c.sayCoverage(src.policy.Coverage(c.now(), nil), false)
			}
			return c.withDirectory(cmd.Context(), func(cfg *config.Config, _ *store.DB, d *directory.Directory) error {
				cfg.Environment = cmp.Or(o.Environment, cfg.Environment)
				src, err := mappingFile(args[0], mappingOptions(cfg))
				if err != nil {
					return err
				}
				coverage := src.policy.Coverage(c.now(), facts(cmd.Context(), d, time.Time{}, &err))
				if err != nil {
					return err
				}
				return c.sayCoverage(coverage, true)
			})
		},
	}
	cmd.Flags().BoolVar(&alone, "tests-only", false, "look at the tests in the file, and at nobody")
	environmentFlag(cmd, &o)
	return throughGate(cmd)
}

// unconfigured reports whether nobody named a configuration file and there is
// none where it is looked for.
func (c *cli) unconfigured(cmd *cobra.Command) bool {
	if cmd.Flags().Changed("config") {
		return false
	}
	_, err := os.Stat(c.configFile)
	return errors.Is(err, fs.ErrNotExist)
}

func (c *cli) sayCoverage(x mapping.Coverage, people bool) error {
	lists := []struct {
		key, text string
		places    []mapping.Place
		people    bool
	}{
		{"untested", "no test hits this rule", x.Untested, false},
		{"overruled", "a deny always takes what this rule grants", x.Overruled, false},
		{"ungranted", "no rule grants this role", x.Ungranted, false},
		{"unused", "no rule uses this permission group", x.UnusedGroup, false},
		{"unhit", "this rule hits nobody", x.Unhit, true},
		{"unseen", "nobody has this group", x.Unseen, true},
	}
	out, rows := map[string]any{}, [][]string{}
	if people {
		out["people"], out["caps"] = x.People, capsWire(x.Caps)
	}
	for _, l := range lists {
		if l.people && !people {
			continue
		}
		places := make([]placeJSON, len(l.places))
		for i, p := range l.places {
			places[i] = placeJSON(p)
			rows = append(rows, []string{p.File + ":" + strconv.Itoa(p.Line), p.Name, l.text})
		}
		out[l.key] = places
	}
	exceeded := slices.ContainsFunc(x.Caps, mapping.CapUse.Exceeded)
	for _, use := range x.Caps {
		if use.Exceeded() {
			rows = append(rows, []string{"", use.ID, fmt.Sprintf("%s with role %s, at most %d may have it", count.People(use.People), use.Role, use.MaxUsers)})
		}
	}
	var err error
	switch {
	case c.json:
		err = c.printJSON(out)
	case len(rows) == 0:
		_, err = fmt.Fprintln(c.out, "everything is in use")
	default:
		err = c.printTable("PLACE NAME FINDING", rows)
	}
	if err == nil && exceeded {
		return errFound
	}
	return err
}

func (c *cli) mappingSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of mapping files, for editors", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := c.out.Write(append(mapping.Schema(), '\n'))
			return err
		},
	}
}

// sayBound says of whom an answer of a gate is, where it is not of everybody.
func (c *cli) sayBound(bound bool) {
	if bound {
		fmt.Fprintln(c.err, "note: this is of the people whom you may see, and of nobody else")
	}
}
