package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/store"
)

// wanted is what somebody is to have; all that is named.
type wanted struct {
	task, role string
	row        map[string]string
}

func (w *wanted) empty() bool { return w.task == "" && w.role == "" && len(w.row) == 0 }

// known refuses names that the mapping does not have: a slip of the pen would
// be answered with nobody.
func (w *wanted) known(p *mapping.Policy) error {
	roles, attributes := make([]string, 0), make([]string, 0)
	for _, r := range p.Roles() {
		roles = append(roles, r.Name)
	}
	for _, a := range p.Attributes() {
		attributes = append(attributes, a.Name)
	}
	check := func(kind, name string, names []string) error {
		if name == "" || slices.Contains(names, name) {
			return nil
		}
		return usagef("the mapping has no %s %q; want one of %v", kind, name, names)
	}
	if err := check("role", w.role, roles); err != nil {
		return err
	}
	if err := check("task", w.task, p.Tasks()); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(w.row)) {
		if err := check("attribute", name, attributes); err != nil {
			return err
		}
	}
	return nil
}

// whoJSON is somebody who has what was asked for.
type whoJSON struct {
	ID           string     `json:"id"`
	UserName     string     `json:"userName"`
	Name         string     `json:"name"`
	Organization string     `json:"organization"`
	Connection   string     `json:"connection"`
	Roles        []string   `json:"roles"`
	Tasks        []string   `json:"tasks"`
	Rules        []string   `json:"rules"`            // that gave it
	Only         []string   `json:"onlyIf,omitempty"` // of --row: what else the row must meet, one alternative each
	Data         []dataJSON `json:"data,omitempty"`   // of --row: each permission group that shows it, and by which rules
	SignedIn     *time.Time `json:"signedIn"`         // when the facts of the sign-in were received; null if never
}

// dataJSON is one way in which somebody may see a row.
type dataJSON struct {
	PermissionGroup string   `json:"permissionGroup"`
	Parameters      string   `json:"parameters,omitempty"`
	Rules           []string `json:"rules"`
	Only            string   `json:"onlyIf,omitempty"` // what else the row must meet
}

func (c *cli) mappingWho() *cobra.Command {
	var w wanted
	var at moment
	var o mapping.Options
	cmd := &cobra.Command{
		Use: "who [FILE] (--task TASK | --role ROLE | --row ATTRIBUTE=VALUE,…) [--at TIME]", Args: cobra.MaximumNArgs(1),
		Short: "List who may do or see something, or could at a time, and by which rules",
		Long: `List who may do or see something, or could at a time, and by which rules. With
several flags, who has all of it. Whoever is locked, deactivated or of a
suspended organization is left out.

--row means every row with these values: whoever may see one of them is listed,
and beside them what else such a row must meet.

The answer is by FILE; without one by the mapping in force, or with --at by the
revision that was in force then. The facts are those of then: groups that were
pushed, state, and the newest sign-in until then. People who were deleted since
are not in the answer: their past went with them.`,
		Example: `  portcullis mapping who --row account=ABC0001,country=US --at 2026-03-31T17:00:00+02:00
  portcullis mapping who --role admin --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if w.empty() {
				return usagef("want one of --task, --role and --row")
			}
			return c.withDirectory(cmd.Context(), func(cfg *config.Config, db *store.DB, d *directory.Directory) error {
				cfg.Environment = cmp.Or(o.Environment, cfg.Environment)
				src, err := c.mappingOf(cmd.Context(), cfg, db, args, at.Time)
				if err != nil {
					return err
				}
				if err := w.known(src.policy); err != nil {
					return err
				}
				found, err := who(cmd.Context(), d, src.policy, w, at.Time, at.or(c.now()))
				if err != nil {
					return err
				}
				return c.sayWho(found, src, at.or(c.now()))
			})
		},
	}
	cmd.Flags().StringVar(&w.task, "task", "", "who may do this")
	cmd.Flags().StringVar(&w.role, "role", "", "who has this role, granted or inherited")
	cmd.Flags().StringToStringVar(&w.row, "row", nil, "who may see rows with these values")
	cmd.Flags().Var(&at, "at", "answer as of then: a time like 2026-01-31T15:04:05Z, or a day, which begins at 00:00 UTC")
	environmentFlag(cmd, &o)
	return cmd
}

// who reads everybody and keeps those who have what is wanted. facts is the
// time of the facts, zero for now; at is the time of the evaluation.
func who(ctx context.Context, d *directory.Directory, p *mapping.Policy, w wanted, facts, at time.Time) ([]whoJSON, error) {
	found := []whoJSON{}
	why := make(map[string][]string)
	err := d.Standings(ctx, facts, func(s directory.Standing) error {
		access, err := s.Admit(p, at)
		if fault.Is(err, fault.Forbidden) {
			return nil
		}
		if err != nil {
			return err
		}
		narrower, sees := sight(access.Permissions, w.row)
		if w.role != "" && !slices.Contains(access.Roles, w.role) || w.task != "" && !slices.Contains(access.Tasks, w.task) ||
			len(w.row) > 0 && !sees {
			return nil
		}
		reasons := w.reasons(why, p, &s, &access, at)
		found = append(found, whoJSON{
			ID: s.Person.ID, UserName: s.Person.UserName, Name: s.Person.Name, Organization: s.Person.Organization, Connection: s.Person.Connection,
			Roles: list(access.Roles), Tasks: list(access.Tasks), Rules: reasons.rules, Data: reasons.data, SignedIn: optional(s.Assertion.Received),
		})
		if len(w.row) > 0 {
			found[len(found)-1].Only = narrower
		}
		return nil
	})
	return found, err
}

// reasons is why somebody has what is wanted.
type reasons struct {
	rules []string
	data  []dataJSON
}

// reasons says why somebody has what is wanted. Roles and tasks are explained
// once for all who meet the same rules; data is not, since a rule may give
// each of them other accounts.
func (w *wanted) reasons(known map[string][]string, p *mapping.Policy, s *directory.Standing, a *mapping.Access, at time.Time) (r reasons) {
	f := s.Facts()
	if w.role != "" || w.task != "" {
		key := fmt.Sprintf("%q %q %q", s.Person.Connection, a.Rules, a.Roles)
		rules, ok := known[key]
		if !ok {
			if len(known) == maxReasons {
				clear(known)
			}
			rules = w.rules(p.Explain(&f, at))
			known[key] = rules
		}
		r.rules = list(rules)
	}
	if len(w.row) > 0 {
		r.data = w.data(p.Sights(&f, at), a.Permissions.AllOf)
	}
	for _, d := range r.data {
		r.rules = append(r.rules, d.Rules...)
	}
	slices.Sort(r.rules)
	r.rules = list(slices.Compact(r.rules))
	return r
}

// data lists what shows the row.
func (w *wanted) data(sights []mapping.Sight, narrower []mapping.Where) (out []dataJSON) {
	for _, d := range sights {
		if rest, ok := within(append([]mapping.Where{d.Where}, narrower...), w.row); ok {
			out = append(out, dataJSON{d.PermissionGroup, d.Parameters, d.Rules, rest})
		}
	}
	return out
}

// maxReasons bounds the explanations that are kept for the next person.
const maxReasons = 1000

func list(names []string) []string { return append([]string{}, names...) }

// rules are those that gave the role or the task.
func (w *wanted) rules(e mapping.Explanation) []string {
	var out []string
	take := func(origins []mapping.Origin, name string) {
		for _, o := range origins {
			if o.Name == name {
				out = append(out, o.Rules...)
			}
		}
	}
	if w.role != "" {
		take(e.Roles, w.role)
	}
	if w.task != "" {
		take(e.Tasks, w.task)
	}
	return out
}

func (c *cli) sayWho(found []whoJSON, src *source, at time.Time) error {
	if c.json {
		return c.printJSON(map[string]any{"at": at.UTC(), "mapping": src.wire(), "people": found})
	}
	rows := make([][]string, len(found))
	for i, p := range found {
		signedIn := time.Time{}
		if p.SignedIn != nil {
			signedIn = *p.SignedIn
		}
		rows[i] = []string{
			p.UserName, p.Name, p.Organization, p.Connection, strings.Join(p.Roles, ", "), strings.Join(p.Rules, ", "),
			strings.Join(p.Only, " or "), stamp(signedIn), p.ID,
		}
	}
	if err := c.printTable("USERNAME NAME ORGANIZATION CONNECTION ROLES RULES ONLY-IF SIGNED-IN ID", rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.out, "%d people at %s, by %s\n", len(found), stamp(at), src)
	return err
}
