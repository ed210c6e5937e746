package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
)

func (c *cli) mappingCommand() *cobra.Command {
	return group("mapping", "The mapping: check, test, explain, and its revisions", c.mappingCheck(), c.mappingTest(), c.mappingExplain(),
		c.mappingPropose(), c.mappingApprove(), c.mappingApply(), c.mappingRollback(), c.mappingHistory(), c.mappingShow())
}

func (c *cli) mappingCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: "Check a mapping file and run the tests in it", Args: cobra.ExactArgs(1),
		Long: "Check a mapping file and run the tests in it. It needs no configuration and no database.",
		RunE: func(_ *cobra.Command, args []string) error {
			found, _, err := checkMapping(args[0], mapping.Options{})
			if err != nil {
				return err
			}
			return c.report(found)
		},
	}
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
	return &cobra.Command{
		Use: "test FILE", Short: "Run the tests in a mapping file", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			policy, err := mapping.Compile(args[0], text, revision.Disk(args[0], mapping.Options{}))
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
				_, err = fmt.Fprintf(c.out, "%d tests ran, %d failed\n", report.Ran, report.Failed())
			}
			if err == nil && len(report.Failures) > 0 {
				return errFound
			}
			return err
		},
	}
}

func (c *cli) mappingExplain() *cobra.Command {
	var facts, person, connection string
	cmd := &cobra.Command{
		Use: "explain FILE (--facts FILE|- | --user USER)", Short: "Say what somebody may do under a mapping file, and why", Args: cobra.ExactArgs(1),
		Long: `Say what somebody may do under a mapping file, and why.

--facts reads them as JSON, with the keys of "given" in a mapping file's tests;
--user takes them from the directory that the configuration names.`,
		Example: `  echo '{"connection": "entra", "groups": ["SG-Readers"]}' | portcullis mapping explain mapping.yaml --facts -
  portcullis mapping explain mapping.yaml --user ada@acme.example`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (facts == "") == (person == "") {
				return usagef("want one of --facts and --user")
			}
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			policy, err := mapping.Load(args[0], text, revision.Disk(args[0], mapping.Options{}))
			if err != nil {
				return err
			}
			f, err := c.facts(cmd.Context(), facts, connection, person)
			if err != nil {
				return err
			}
			explanation := policy.Explain(&f, c.now())
			if c.json {
				text, err := json.Marshal(explanation)
				if err != nil {
					return err
				}
				return c.printJSON(json.RawMessage(text))
			}
			_, err = fmt.Fprint(c.out, explanation)
			return err
		},
	}
	cmd.Flags().StringVar(&facts, "facts", "", "JSON file with the facts, - for standard input")
	cmd.Flags().StringVar(&person, "user", "", "somebody in the directory: id, userName, e-mail or subject")
	cmd.Flags().StringVar(&connection, "connection", "", "connection that --user belongs to")
	return cmd
}

// facts reads the facts of a call of explain.
func (c *cli) facts(ctx context.Context, file, connection, person string) (f mapping.Facts, err error) {
	if person != "" {
		err = c.withDirectory(ctx, func(_ *config.Config, _ *store.DB, d *directory.Directory) error {
			p, err := find(ctx, d, connection, person)
			if err != nil {
				return err
			}
			s, err := d.Look(ctx, p.ID)
			f = s.Facts()
			return err
		})
		return f, err
	}
	var text []byte
	if file == "-" {
		text, err = io.ReadAll(io.LimitReader(c.in, maxFacts+1))
	} else {
		text, err = os.ReadFile(file) //nolint:gosec // the operator names the file
	}
	if err == nil && len(text) > maxFacts {
		err = errors.New("the facts are larger than 4 MiB")
	}
	if err != nil {
		return f, err
	}
	return mapping.LoadFacts(text)
}

const maxFacts = 4 << 20
