package portcullis_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport says which rooms a room may know, and which libraries are its
// alone. Tests may import what they need. A line here is a decision: see
// docs/design.md.
var mayImport = map[string][]string{
	"fault":                 {},
	"document":              {},
	"count":                 {},
	"mapping":               {"count", "fault"},
	"audit":                 {"fault"},
	"directory":             {"count", "fault", "document", "mapping", "audit"},
	"session":               {"fault", "mapping", "audit", "directory"},
	"keys":                  {"fault", "audit"},
	"revision":              {"count", "fault", "mapping", "audit"},
	"language":              {},
	"language/languagetest": {},
	"web":                   {"fault", "language"},
	"saml":                  {"count", "fault"},
	"outbound":              {"fault"},
	"trace":                 {"fault", "mapping"},
	"oidc":                  {"count", "fault", "outbound", "trace"},
	"graph":                 {"fault", "outbound"},
	"login":                 {"fault", "mapping", "audit", "directory", "session", "outbound", "oidc", "saml", "graph", "trace", "web"},
	"scim":                  {"fault", "document", "audit", "directory", "web"},
	"proxy":                 {"fault", "mapping", "directory", "session", "web"},
	"telemetry":             {"fault", "web"},
	"admin":                 {"count", "fault", "mapping", "audit", "directory", "session", "revision", "scim", "trace", "language", "web"},
	"store":                 {"fault", "mapping", "audit", "directory", "session", "keys", "revision", "login", "scim", "trace", "admin"},
	"store/storetest":       {"store", "internal/freeport"},
	"internal/cpu":          {},
	"internal/freeport":     {},
	"config":                {},
	"demo":                  {},
	"cmd/portcullis":        {"count", "fault", "mapping", "audit", "directory", "session", "keys", "revision", "web", "oidc", "saml", "login", "scim", "proxy", "store", "config", "demo", "trace", "admin", "outbound", "telemetry"},
	"e2e":                   {},
}

// onlyIn keeps a library in the rooms that are its place.
var onlyIn = map[string][]string{
	"gorm.io/":                             {"store"},
	"modernc.org/sqlite":                   {"store"},
	"github.com/jackc/pgx/":                {"store", "store/storetest"},
	"github.com/pressly/goose/":            {"store"},
	"github.com/gin-gonic/gin":             {"web", "proxy", "login", "admin", "cmd/portcullis"},
	"github.com/elimity-com/scim":          {"scim"},
	"github.com/scim2/filter-parser":       {"scim"},
	"github.com/crewjam/saml":              {"saml", "demo"},
	"github.com/russellhaering/goxmldsig":  {"saml"},
	"github.com/beevik/etree":              {"saml"},
	"github.com/go-jose/":                  {"oidc", "keys", "scim", "demo"},
	"golang.org/x/oauth2":                  {"oidc"},
	"github.com/goccy/go-yaml":             {"config", "mapping"},
	"github.com/spf13/cobra":               {"cmd/portcullis"},
	"github.com/prometheus/client_golang/": {"cmd/portcullis"},
	"go.opentelemetry.io/":                 {"telemetry"},
}

// imports gives the imports of a folder's files, tests left out.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == "build" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[dir] = append(found[dir], name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRoomsImportWhatTheTableAllows(t *testing.T) {
	for room, names := range imports(t) {
		allowed, ok := mayImport[room]
		if !ok {
			t.Errorf("room %q is not in the table", room)
		}
		for _, name := range names {
			own, ok := strings.CutPrefix(name, "portcullis/")
			if ok && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s, which the table does not allow", room, own)
			}
		}
	}
}

func TestLibrariesStayInTheirRooms(t *testing.T) {
	for room, names := range imports(t) {
		for _, name := range names {
			for library, rooms := range onlyIn {
				if strings.HasPrefix(name, library) && !slices.Contains(rooms, room) {
					t.Errorf("%s imports %s, whose place is %v", room, name, rooms)
				}
			}
		}
	}
}
