package mapping_test

import (
	"os"
	"strings"
	"testing"
)

// archive is a text archive: a comment and files, each after a line
// "-- name --" (the format of go doc golang.org/x/tools/txtar).
type archive struct {
	comment string
	files   []archived
}

type archived struct{ name, text string }

func readArchive(tb testing.TB, file string) archive {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return parseArchive(string(text))
}

func parseArchive(text string) archive {
	var a archive
	for line := range strings.Lines(text) {
		name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "-- ")
		if name, end := strings.CutSuffix(name, " --"); ok && end {
			a.files = append(a.files, archived{name: name})
			continue
		}
		if !strings.HasSuffix(line, "\n") {
			line += "\n"
		}
		if len(a.files) == 0 {
			a.comment += line
		} else {
			a.files[len(a.files)-1].text += line
		}
	}
	return a
}

func (a archive) String() string {
	var b strings.Builder
	b.WriteString(a.comment)
	for _, f := range a.files {
		b.WriteString("-- " + f.name + " --\n" + f.text)
	}
	return b.String()
}
