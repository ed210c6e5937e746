package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/mapping"
	"portcullis/revision"
)

type problemJSON struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Level   string `json:"level"` // "error" or "warning"
	Message string `json:"message"`
	Excerpt string `json:"excerpt,omitempty"` // the line and, below it, a caret
}

// checkCommand looks at the configuration and at the mapping file it names.
func (c *cli) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Check the configuration and the mapping file", Args: cobra.NoArgs,
		Long: `Check the configuration and the mapping file. No database is needed; where there
is one, the mapping may name the connections that were made in the console.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			found := []problemJSON{}
			cfg, err := config.Load(c.configFile, os.LookupEnv) //nolint:forbidigo // package config asks through this function alone
			problems, ok := errors.AsType[config.Problems](err)
			if err != nil && !ok {
				return err
			}
			for _, p := range problems {
				found = append(found, problemJSON{p.File, p.Line, p.Column, "error", p.Message, ""})
			}
			if cfg == nil {
				return c.report(found)
			}
			for _, p := range cfg.Warnings {
				found = append(found, problemJSON{p.File, p.Line, p.Column, "warning", p.Message, ""})
			}
			if cfg.Mapping.Managed {
				return c.report(found) // what the database holds was checked when it was applied; doctor looks at it
			}
			more, policy, err := checkMapping(cfg.Mapping.File, mappingOptions(cfg), c.now())
			if err == nil && policy == nil { // it may name connections of the console
				more, _, err = checkMapping(cfg.Mapping.File, c.reach(cmd.Context(), cfg).mappingOptions(), c.now())
			}
			if err != nil {
				return err
			}
			return c.report(append(found, more...))
		},
	}
}

// checkMapping loads a mapping file and gives what is wrong with it, and what
// will be soon. The error is for a file that cannot be read.
func checkMapping(file string, o mapping.Options, now time.Time) ([]problemJSON, *mapping.Policy, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, nil, err
	}
	policy, err := mapping.Load(file, text, revision.Disk(file, o))
	var found []problemJSON
	problems, ok := errors.AsType[mapping.Problems](err)
	if err != nil && !ok {
		return nil, nil, err
	}
	found = append(found, problemsWire(problems, "error")...)
	if policy != nil {
		found = append(found, problemsWire(policy.WarningsAt(now), "warning")...)
	}
	return found, policy, nil
}

func problemsWire(problems mapping.Problems, level string) []problemJSON {
	out := make([]problemJSON, len(problems))
	for i, p := range problems {
		out[i] = problemJSON{p.File, p.Line, p.Column, level, p.Message, p.Excerpt}
	}
	return out
}

// say prints a problem as file:line:col: message; on a terminal with the line
// and a caret below it.
func (c *cli) say(w io.Writer, p problemJSON) {
	level := ""
	if p.Level == "warning" {
		level = "warning: "
	}
	fmt.Fprintf(w, "%s:%d:%d: %s%s\n", p.File, p.Line, p.Column, level, p.Message)
	if p.Excerpt == "" || c.terminal == nil || !c.terminal(w) {
		return
	}
	for line := range strings.SplitSeq(p.Excerpt, "\n") {
		fmt.Fprintln(w, "    "+printable(strings.ReplaceAll(line, "\t", " ")))
	}
}

// isTerminal reports whether a person is looking.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// report prints what a check found. Warnings alone exit 0.
func (c *cli) report(found []problemJSON) error {
	errs := 0
	for _, p := range found {
		if p.Level == "error" {
			errs++
		}
	}
	if c.json {
		if err := c.printJSON(append([]problemJSON{}, found...)); err != nil { // [] and not null
			return err
		}
	} else {
		for _, p := range found {
			c.say(c.out, p)
		}
		if errs == 0 {
			fmt.Fprintln(c.err, "fine")
		}
	}
	if errs > 0 {
		return errFound
	}
	return nil
}
