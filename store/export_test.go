package store

import (
	"strings"
	"testing"
)

// Fill runs statements in which BYTES stands for the dialect's type of bytes.
func Fill(t *testing.T, db *DB, statements []string) {
	t.Helper()
	kind := "BLOB"
	if db.dialect == "postgres" {
		kind = "BYTEA"
	}
	for _, s := range statements {
		if err := db.g.Exec(strings.ReplaceAll(s, "BYTES", kind)).Error; err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}
