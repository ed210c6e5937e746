package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/count"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
)

func (c *cli) mappingCommand() *cobra.Command {
	return group("mapping", "The mapping: check, test, explain, and its revisions", c.mappingCheck(), c.mappingTest(), c.mappingExplain(), c.mappingWho(),
		c.mappingDiff(), c.mappingCoverage(), c.mappingSchema(),
		c.mappingPropose(), c.mappingApprove(), c.mappingApply(), c.mappingRollback(), c.mappingHistory(), c.mappingShow())
}

func (c *cli) mappingCheck() *cobra.Command {
	var o mapping.Options
	cmd := &cobra.Command{
		Use: "check FILE", Short: "Check a mapping file and run the tests in it", Args: cobra.ExactArgs(1),
		Long: `Check a mapping file and run the tests in it, as a gate does before it puts one
in force. It needs no configuration and no database.`,
		RunE: func(_ *cobra.Command, args []string) error {
			found, _, err := checkMapping(args[0], o, c.now())
			if err != nil {
				return err
			}
			return c.report(found)
		},
	}
	environmentFlag(cmd, &o)
	return cmd
}

// environmentFlag makes a command look at the file as a gate of an environment
// does.
func environmentFlag(cmd *cobra.Command, o *mapping.Options) {
	cmd.Flags().StringVar(&o.Environment, "env", "", "for a gate of this environment (default: the configuration's, or prod)")
}

type failureJSON struct {
	Test     string `json:"test"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
	Look     string `json:"look,omitempty"`
}

func (c *cli) mappingTest() *cobra.Command {
	var o mapping.Options
	cmd := &cobra.Command{
		Use: "test FILE", Short: "Run the tests in a mapping file", Args: cobra.ExactArgs(1),
		Long: `Run the tests in a mapping file. A test runs in the environment that it names
(env: uat), and in prod without one, whatever --env is: with it the file is what
a gate of that environment has in force.`,
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			policy, err := mapping.Compile(args[0], text, revision.Disk(args[0], o))
			if err != nil {
				return err
			}
			report := policy.Test()
			if c.json {
				failures := make([]failureJSON, len(report.Failures))
				for i, f := range report.Failures {
					failures[i] = failureJSON{f.Test, f.Line, f.Column, f.Expected, f.Got, f.Look}
				}
				err = c.printJSON(map[string]any{"ran": report.Ran, "failed": report.Failed(), "failures": failures})
			} else {
				for _, f := range report.Failures {
					fmt.Fprintf(c.out, "%s:%s\n", args[0], f)
				}
				_, err = fmt.Fprintf(c.out, "%s ran, %d failed\n", count.Tests(report.Ran), report.Failed())
			}
			if err == nil && len(report.Failures) > 0 {
				return errFound
			}
			return err
		},
	}
	environmentFlag(cmd, &o)
	return cmd
}

// question is what explain is asked.
type question struct {
	facts, person, connection string
	at                        moment
}

func (c *cli) mappingExplain() *cobra.Command {
	var q question
	var o mapping.Options
	cmd := &cobra.Command{
		Use: "explain [FILE] (--facts FILE|- | --user USER) [--at TIME]", Short: "Say what somebody may do, and why", Args: cobra.MaximumNArgs(1),
		Long: `Say what somebody may do, and why.

--facts reads them as JSON, with the keys of "given" in a mapping file's tests;
--user takes them from the directory that the configuration names, with --at as
it was then: groups, state and the newest sign-in until then. A person who was
deleted since has no past any more.

The answer is by FILE; without one by the mapping in force, or with --at by the
revision that was in force then.`,
		Example: `  echo '{"connection": "entra", "groups": ["SG-Readers"]}' | portcullis mapping explain mapping.yaml --facts -
  portcullis mapping explain mapping.yaml --user ada@acme.example
  portcullis mapping explain --user ada@acme.example --at 2026-03-31T17:00:00+02:00`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (q.facts == "") == (q.person == "") {
				return usagef("want one of --facts and --user")
			}
			if q.facts != "" && len(args) == 1 { // needs neither configuration nor database
				src, err := mappingFile(args[0], o)
				if err != nil {
					return err
				}
				f, err := c.readFacts(q.facts)
				if err != nil {
					return err
				}
				return c.explain(&f, nil, src, q.at.or(c.now()))
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				return c.explainFar(cmd.Context(), g, q, args, o.Environment)
			}
			return c.withDirectory(cmd.Context(), func(cfg *config.Config, db *store.DB, d *directory.Directory) error {
				cfg.Environment = cmp.Or(o.Environment, cfg.Environment)
				src, err := c.mappingOf(cmd.Context(), cfg, db, args, q.at.Time)
				if err != nil {
					return err
				}
				if q.facts != "" {
					f, err := c.readFacts(q.facts)
					if err != nil {
						return err
					}
					return c.explain(&f, nil, src, q.at.or(c.now()))
				}
				p, err := find(cmd.Context(), d, q.connection, q.person)
				if err != nil {
					return err
				}
				s, err := d.LookAt(cmd.Context(), p.ID, q.at.Time)
				if fault.Is(err, fault.NotFound) {
					return fault.New(fault.NotFound, "%s was not here yet at %s", printable(p.UserName), stamp(q.at.Time))
				}
				if err != nil {
					return err
				}
				f := s.Facts()
				return c.explain(&f, &s, src, q.at.or(c.now()))
			})
		},
	}
	cmd.Flags().StringVar(&q.facts, "facts", "", "JSON file with the facts, - for standard input")
	cmd.Flags().StringVar(&q.person, "user", "", "somebody in the directory: id, userName, e-mail or subject")
	cmd.Flags().StringVar(&q.connection, "connection", "", "connection that --user belongs to")
	cmd.Flags().Var(&q.at, "at", "answer as of then: a time like 2026-01-31T15:04:05Z, or a day, which begins at 00:00 UTC")
	environmentFlag(cmd, &o)
	return throughGate(cmd)
}

// explainFar is explain through a gate.
func (c *cli) explainFar(ctx context.Context, g *remote, q question, files []string, environment string) error {
	var facts []byte
	if q.facts != "" {
		var err error
		if facts, err = c.readFactsText(q.facts); err != nil {
			return err
		}
		if _, err := mapping.LoadFacts(facts); err != nil {
			return err
		}
	}
	e, err := g.explain(ctx, q, facts, files, environment)
	if err != nil {
		return err
	}
	return c.sayExplained(e)
}

// explain prints why; s is nil where the facts are nobody's.
func (c *cli) explain(f *mapping.Facts, s *directory.Standing, src *source, at time.Time) error {
	explanation := src.policy.Explain(f, at)
	text, err := json.Marshal(explanation)
	if err != nil {
		return err
	}
	e := &explained{text: explanation.String(), explanation: text, src: src}
	if s != nil {
		e.text, e.id, e.state = explainStanding(s, src.policy, at), s.Person.ID, string(s.Person.State())
		if bar := s.Bar(); bar != nil {
			e.barred = fault.ToOthers(bar)
		}
	}
	return c.sayExplained(e)
}

func (c *cli) sayExplained(e *explained) error {
	if !c.json {
		_, err := fmt.Fprintf(c.out, "%s\nby %s\n", strings.TrimRight(e.text, "\n"), e.src)
		return err
	}
	var out map[string]any
	if err := json.Unmarshal(e.explanation, &out); err != nil {
		return err
	}
	out["mapping"] = e.src.wire()
	if e.id != "" {
		out["id"], out["state"] = e.id, e.state
		if e.barred != "" {
			out["barred"] = e.barred
		}
	}
	return c.printJSON(out)
}

// readFacts reads the facts of a call of explain.
func (c *cli) readFacts(file string) (mapping.Facts, error) {
	text, err := c.readFactsText(file)
	if err != nil {
		return mapping.Facts{}, err
	}
	return mapping.LoadFacts(text)
}

func (c *cli) readFactsText(file string) (text []byte, err error) {
	if file == "-" {
		text, err = io.ReadAll(io.LimitReader(c.in, maxFacts+1))
	} else {
		text, err = os.ReadFile(file) //nolint:gosec // the operator names the file
	}
	if err == nil && len(text) > maxFacts {
		err = errors.New("the facts are larger than 4 MiB")
	}
	return text, err
}

const maxFacts = 4 << 20
