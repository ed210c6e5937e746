package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestGormsTrapsAreOutOfReach: statements are SQL with placeholders, made in
// tx.rows, tx.row and tx.exec. Of gorm's own verbs only those are used whose
// traps the conformance tests show to be closed (Create, and Updates of named
// columns with a check of the rows that it touched).
func TestGormsTrapsAreOutOfReach(t *testing.T) {
	forbidden := []string{
		"First", "Last", "Take", "Find", "FindInBatches", "FirstOrCreate", "FirstOrInit", "Save", "Delete", "Update", "UpdateColumn", "UpdateColumns",
		"Not", "Or", "Attrs", "Assign", "Pluck", "Preload", "Joins", "Scopes", "AutoMigrate", "Unscoped", "Table", "Begin",
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				verb, ok := n.Fun.(*ast.SelectorExpr)
				if ok && onGorm(verb.X) && slices.Contains(forbidden, verb.Sel.Name) {
					t.Errorf("%s: gorm's %s", set.Position(n.Pos()), verb.Sel.Name)
				}
				if ok && onGorm(verb.X) && verb.Sel.Name == "Where" {
					if text, ok := n.Args[0].(*ast.BasicLit); !ok || !strings.Contains(text.Value, "?") {
						t.Errorf("%s: Where without a condition in SQL and a placeholder", set.Position(n.Pos()))
					}
				}
			case *ast.SelectorExpr:
				if n.Sel.Name == "DeletedAt" || n.Sel.Name == "Model" && isName(n.X, "gorm") {
					t.Errorf("%s: %s hides rows instead of deleting them", set.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
}

// onGorm reports whether a chain of calls begins at a field called g, which
// is what a *gorm.DB is called here.
func onGorm(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CallExpr:
		return onGorm(e.Fun)
	case *ast.SelectorExpr:
		return e.Sel.Name == "g" || onGorm(e.X)
	default:
		return isName(e, "g")
	}
}

func isName(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}
