package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is what the build recorded of itself.
func version() (number, revision string) {
	number, revision = "devel", "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return number, revision
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		number = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return number, revision
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			number, revision := version()
			if c.json {
				return c.printJSON(map[string]string{"version": number, "revision": revision, "go": runtime.Version()})
			}
			_, err := fmt.Fprintf(c.out, "portcullis %s (%s, %s)\n", number, revision, runtime.Version())
			return err
		},
	}
}
