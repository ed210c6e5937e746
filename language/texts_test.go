package language_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis/directory"
	"portcullis/language"
	"portcullis/trace"
)

// spoken are the files whose texts stand on pages that everybody meets, and the
// functions in them that make such texts; none named: all of them.
var spoken = map[string][]string{
	"web/*.go":                  nil,
	"proxy/*.go":                nil,
	"login/*.go":                nil,
	"session/manager.go":        nil,
	"session/demand.go":         {"Unmet"},
	"session/device.go":         {"Device"},
	"session/provider.go":       {"EndNamed"},
	"session/list.go":           {"EndOf", "endExcess"},
	"directory/signin.go":       nil,
	"directory/standing.go":     nil,
	"directory/life.go":         {"SignOut"},
	"directory/provision.go":    {"absorb"},
	"directory/organization.go": {"Freeze"},
	"mapping/access.go":         {"reason"},
	"outbound/outbound.go":      nil,
	"oidc/client.go":            nil,
	"oidc/code.go":              nil,
	"oidc/endpoint.go":          nil,
	"oidc/keys.go":              nil,
	"oidc/provider.go":          nil,
	"oidc/refresh.go":           nil,
	"oidc/token.go":             nil,
	"saml/logout_read.go":       {"refuseLogout"},
	"saml/response.go":          nil,
	"admin/account.go":          nil,
	"admin/link.go":             nil,
	"admin/setup.go":            {"openSetup"},
	"admin/route.go":            nil,
	"admin/visitor.go":          nil,
	"admin/look.go":             {"scriptTexts"},
	"admin/frame.go":            {"frame"},
}

// returning are the functions whose every text is for people.
var returning = []string{"advice", "ambiguous", "Unmet", "Device", "reason", "scriptTexts", "refuse"}

// silent are functions of those files whose texts stand on no page, or on one
// that is in English: the report of a test sign-in.
var silent = []string{"reportPage", "section", "probe"}

// elsewhere are texts that are put together, or written down in a place that
// says more to the log than to people.
func elsewhere() []string {
	texts := []string{
		// Why a session ended, as it is stored.
		string(directory.Locked), string(directory.Deactivated), "this gate was restored from a backup",
		"your organization signs in somewhere else now", "your organization's way in was removed",
		// Kinds of tokens in refusals, and what joins what somebody lacks.
		"ID token", "logout token", "%w and %w",
		// What was done in one's own account.
		"Saved.", "The session has ended.", "All other sessions have ended.",
		"All other sessions have ended. 1 session ended.", "All other sessions have ended. %d sessions ended.",
		"%d %s %d",                      // a date
		"Organization", "Organizations", // unless they are called something else
	}
	for _, o := range []trace.Outcome{trace.SignedIn, trace.Refused, trace.Failed, trace.Abandoned, trace.Tested} {
		texts = append(texts, string(o))
	}
	for m := time.January; m <= time.December; m++ {
		texts = append(texts, m.String()[:3])
	}
	return texts
}

// TestACatalogueIsWhole: every text of the pages that everybody meets is there in
// every language, and no translation is left of a text that is gone.
func TestACatalogueIsWhole(t *testing.T) {
	want := make(map[string]string)
	for text, where := range collected(t) {
		want[loose(text)] = fmt.Sprintf("%q of %s", text, where)
	}
	if len(want) < 200 {
		t.Fatalf("only %d texts are found", len(want))
	}
	for _, l := range language.All()[1:] {
		have := make(map[string]bool)
		for text := range catalogue(t, l.Tag()) {
			have[loose(text)] = true
			if _, ok := want[loose(text)]; !ok {
				t.Errorf("%s: %q is said nowhere", l.Tag(), text)
			}
		}
		for text, where := range want {
			if !have[text] {
				t.Errorf("%s lacks %s", l.Tag(), where)
			}
		}
	}
}

// TestATextIsFoundAgain: every message that code makes is told in every language,
// with its values in it.
func TestATextIsFoundAgain(t *testing.T) {
	value := regexp.MustCompile(`%[sqvdw]`)
	for _, l := range language.All()[1:] {
		for text := range catalogue(t, l.Tag()) {
			if !strings.Contains(text, "%") || strings.HasPrefix(text, "%s on ") || strings.HasPrefix(text, "%d ") {
				continue
			}
			n := 0
			made := value.ReplaceAllStringFunc(text, func(verb string) string {
				switch n++; verb {
				case "%w":
					return []string{"your network", "ID token"}[n%2]
				case "%d":
					return strconv.Itoa(4711 + n)
				default:
					return fmt.Sprintf("Value %d", n)
				}
			})
			told, ok := l.Tell(made)
			if !ok || told == made || strings.Contains(told, "%") || strings.Contains(told, "your network") || strings.Contains(told, "ID token") {
				t.Errorf("%s: Tell(%q) = %q, %v", l.Tag(), made, told, ok)
			}
			for i := 1; i <= n; i++ {
				if v := fmt.Sprintf("Value %d", i); strings.Contains(made, v) && !strings.Contains(told, v) {
					t.Errorf("%s: Tell(%q) = %q, which lacks %s", l.Tag(), made, told, v)
				}
			}
		}
	}
}

// TestAReasonIsToldWithWhatItIsTheReasonOf: a text that ends in another one is
// told as both are, whichever the other is: the first is not taken for a name that
// the other begins with.
func TestAReasonIsToldWithWhatItIsTheReasonOf(t *testing.T) {
	value := regexp.MustCompile(`%[sqvd]`)
	for _, l := range language.All()[1:] {
		texts, told := catalogue(t, l.Tag()), 0
		for outer := range texts {
			opening, ok := strings.CutSuffix(outer, "%w")
			if !ok || strings.Contains(opening, "%") {
				continue
			}
			for inner := range texts {
				made := value.ReplaceAllString(inner, "4711")
				want, ok := l.Tell(made)
				if !ok || strings.Contains(inner, "%w") {
					continue
				}
				told++
				if got, ok := l.Tell(opening + made); !ok || got != strings.Replace(texts[outer], "%w", want, 1) {
					t.Errorf("%s: Tell(%q) = %q, %v", l.Tag(), opening+made, got, ok)
				}
			}
		}
		if told < 500 {
			t.Errorf("%s: only %d reasons are told", l.Tag(), told)
		}
	}
}

// catalogue reads the texts of a language as they are written.
func catalogue(t *testing.T, tag string) map[string]string {
	t.Helper()
	var f struct{ Texts map[string]string }
	if err := json.Unmarshal([]byte(read(t, "catalogues/"+tag+".json")), &f); err != nil {
		t.Fatal(err)
	}
	return f.Texts
}

// loose makes one of all ways to write a value: that a part is a text of its own
// is for the catalogue to say.
func loose(text string) string { return regexp.MustCompile(`%[sqvdw]`).ReplaceAllString(text, "%") }

// collected are all texts of the pages that everybody meets, with where each
// stands.
func collected(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for pattern, funcs := range spoken {
		files, err := filepath.Glob("../" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				fromCode(t, file, funcs, found)
			}
		}
	}
	for _, text := range elsewhere() {
		found[text] = "elsewhere"
	}
	for _, pattern := range []string{"../web/layout.html", "../web/pages/*.html", "../admin/layout.html", "../admin/own/*.html"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			for _, m := range asked.FindAllStringSubmatch(read(t, file), -1) {
				found[m[1]] = file
			}
		}
	}
	return found
}

// asked is a text that a template says.
var asked = regexp.MustCompile(`{{[^}]*?\bt "([^"]+)"`)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func fromCode(t *testing.T, file string, funcs []string, found map[string]string) {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	add := func(e ast.Expr) {
		if s, ok := literal(e); ok && strings.Trim(s, "%s ./") != "" && strings.TrimSpace(s) == s {
			found[s] = set.Position(e.Pos()).String()
		}
	}
	for _, d := range parsed.Decls {
		f, isFunc := d.(*ast.FuncDecl)
		if isFunc && slices.Contains(silent, f.Name.Name) {
			continue
		}
		if len(funcs) > 0 && (!isFunc || !slices.Contains(funcs, f.Name.Name)) {
			continue
		}
		ast.Inspect(d, func(n ast.Node) bool { return visit(n, add) })
		if isFunc && slices.Contains(returning, f.Name.Name) {
			ast.Inspect(f.Body, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok {
					if _, ok := literal(e); ok {
						add(e)
						return false
					}
				}
				return true
			})
		}
	}
}

// visit finds what of a node is a text for people.
func visit(n ast.Node, add func(ast.Expr)) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		switch name := called(n); {
		case (name == "fault.New" || name == "fault.Personal") && !internal(n.Args[0]):
			add(n.Args[1])
		case name == "fault.Wrap" && !internal(n.Args[0]):
			add(n.Args[2])
		case name == "outbound.Refuse" || name == "Refuse" || strings.HasSuffix(name, ".send") || name == "tooMany" || name == "checkHash":
			add(n.Args[len(n.Args)-1])
		case strings.HasSuffix(name, ".EndSession") || strings.HasSuffix(name, ".EndSessions") || strings.HasSuffix(name, ".EndSessionsOf"), strings.HasSuffix(name, ".EndNamed"), strings.HasSuffix(name, ".EndExcess"):
			for _, a := range n.Args {
				add(a)
			}
		}
	case *ast.KeyValueExpr:
		if k, ok := n.Key.(*ast.Ident); ok && slices.Contains([]string{"Advice", "Text", "Title", "Message"}, k.Name) {
			add(n.Value)
		}
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			switch left := left.(type) {
			case *ast.SelectorExpr:
				if slices.Contains([]string{"Message", "What"}, left.Sel.Name) {
					add(n.Rhs[i])
				}
			case *ast.Ident:
				if slices.Contains([]string{"told", "reason"}, left.Name) {
					add(n.Rhs[min(i, len(n.Rhs)-1)])
				}
			}
			if len(n.Lhs) == 2 && len(n.Rhs) == 2 {
				add(n.Rhs[1])
			}
		}
	case *ast.ValueSpec:
		if n.Names[0].Name == "refusal" || n.Names[0].Name == "text" {
			for _, v := range n.Values {
				add(v)
			}
		}
	case *ast.CompositeLit:
		if n.Type == nil && len(n.Elts) == 4 { // a line of the navigation
			add(n.Elts[0])
			add(n.Elts[1])
		}
	}
	return true
}

func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
		return "." + f.Sel.Name
	default:
		return ""
	}
}

func internal(kind ast.Expr) bool {
	s, ok := kind.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "Internal"
}

// literal is the text of an expression, with "%s" for what is put into it.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		a, left := literal(e.X)
		b, right := literal(e.Y)
		if e.Op != token.ADD || !left && !right {
			return "", false
		}
		if !left {
			a = "%s"
		}
		if !right {
			b = "%s"
		}
		return a + b, true
	default:
		return "", false
	}
}
