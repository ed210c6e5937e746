package config_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// keysRead gives the keys that the package reads: those of every shape, and
// those that shapes have from clientKeys.
func keysRead(t *testing.T) map[string]bool {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]bool)
	texts := func(n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				key, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				out[key] = true
			}
			return true
		})
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Name.Name == "clientKeys" {
					texts(n.Body)
				}
			case *ast.KeyValueExpr:
				if k, ok := n.Key.(*ast.Ident); ok && k.Name == "keys" {
					texts(n.Value)
				}
			}
			return true
		})
	}
	return out
}

// The file says of itself that it has every key, and operators believe it.
func TestFullFileHasEveryKey(t *testing.T) {
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	known := keysRead(t)
	for key := range known {
		if !regexp.MustCompile(`\b` + regexp.QuoteMeta(key) + `\b`).Match(text) {
			t.Errorf("testdata/full.yaml has no %s", key)
		}
	}
	if len(known) < 90 {
		t.Errorf("%d keys, want 90 and more", len(known))
	}
}
