package portcullis_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"portcullis/mapping"
)

// pages gives every page that people read, by its name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names := []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md"}
	err := filepath.WalkDir("docs", func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".md") {
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string, len(names))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(text)
	}
	return out
}

// anchors gives the headings of a page as links to them end.
func anchors(page string) map[string]bool {
	out := map[string]bool{"": true}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		out[strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return out
}

// TestLinksInThePagesLead: to files and to headings that are there.
func TestLinksInThePagesLead(t *testing.T) {
	all, links := pages(t), 0
	for name, text := range all {
		for _, m := range regexp.MustCompile(`\]\(([^)\s]*[.#/][^)\s]*)\)`).FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(m[1], "https://") {
				continue
			}
			links++
			file, heading, _ := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if heading != "" && !anchors(all[target])[heading] {
				t.Errorf("%s: %s has no heading %s", name, target, heading)
			}
		}
	}
	if links < 60 {
		t.Errorf("%d links, want 60 and more", links)
	}
}

// TestEveryPageIsReachedFromTheFirst: what nobody links to nobody reads.
func TestEveryPageIsReachedFromTheFirst(t *testing.T) {
	first := pages(t)["README.md"]
	for name := range pages(t) {
		if strings.HasPrefix(name, "docs/") && !strings.Contains(first, "]("+name+")") {
			t.Errorf("README.md does not lead to %s", name)
		}
	}
}

// spelt gives the names that a page writes in backquotes, where `a.b.c`, `.d`
// in one line stands for a.b.c and a.b.d.
func spelt(page, prefix string) []string {
	var out []string
	for line := range strings.Lines(page) {
		last := ""
		for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(line, -1) {
			switch name := m[1]; {
			case strings.HasPrefix(name, prefix):
				last = name
			case strings.HasPrefix(name, ".") && last != "":
				last = last[:strings.LastIndexByte(last, '.')] + name
			default:
				continue
			}
			out = append(out, last)
		}
	}
	return out
}

// TestEveryTaskOfTheGateIsExplained: those who give it and those who get it.
func TestEveryTaskOfTheGateIsExplained(t *testing.T) {
	all := pages(t)
	_, rights, _ := strings.Cut(all["docs/guides/admin.md"], "\n| task |")
	rights, _, _ = strings.Cut(rights, "\n\n")
	_, language, _ := strings.Cut(all[guide], "\n### roles.x\n")
	language, _, _ = strings.Cut(language, "\n### ")
	for name, page := range map[string]string{"docs/guides/admin.md": rights, guide: language} {
		told := spelt(page, "gate.")
		for _, task := range mapping.GateTasks() {
			if !slices.Contains(told, task.Name) {
				t.Errorf("%s does not explain %s", name, task.Name)
			}
		}
	}
}

// sources gives the code of a room, without its tests.
func sources(t *testing.T, room string) string {
	t.Helper()
	names, err := filepath.Glob(room + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	return out.String()
}

// rows gives what the first cells of a page's tables name in backquotes.
func rows(page string) []string {
	var out []string
	for _, row := range regexp.MustCompile("(?m)^\\| ([^|]*`[^|]*) \\|").FindAllStringSubmatch(page, -1) {
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			out = append(out, m[1])
		}
	}
	return out
}

// TestEveryCheckOfASignInIsExplained: an administrator looks up what the trace
// says has failed.
func TestEveryCheckOfASignInIsExplained(t *testing.T) {
	made := make(map[string]bool)
	for _, room := range []string{"login", "oidc", "saml"} {
		call := regexp.MustCompile(`(?:\.(?:Check|Secret|want|step|signature|answers|issued|issuer)\(|traceResult\(\w+, |const check = )"([a-z -]+)"`)
		for _, m := range call.FindAllStringSubmatch(sources(t, room), -1) {
			made[m[1]] = true
		}
	}
	told := rows(pages(t)["docs/guides/sign-in.md"])
	for check := range made {
		if check != "typ" && !slices.Contains(told, check) { // typ is of logout tokens
			t.Errorf("docs/guides/sign-in.md does not explain the check %q", check)
		}
	}
	for _, check := range told {
		if !made[check] {
			t.Errorf("docs/guides/sign-in.md explains the check %q, which nobody makes", check)
		}
	}
	if len(made) < 40 {
		t.Errorf("%d checks, want 40 and more", len(made))
	}
}

// TestEveryKindOfSCIMErrorIsExplained: the keyword is what an identity provider
// shows its administrator.
func TestEveryKindOfSCIMErrorIsExplained(t *testing.T) {
	told := rows(pages(t)["docs/guides/scim-generic.md"])
	kinds := regexp.MustCompile(`(?m)^\t(?:type|oauth)[A-Z]\w+ +=? *"([A-Za-z_]+)"`).FindAllStringSubmatch(sources(t, "scim"), -1)
	for _, m := range kinds {
		found := slices.ContainsFunc(told, func(cell string) bool { return cell == m[1] })
		if page := pages(t)["docs/guides/scim-generic.md"]; !found && !strings.Contains(page, "`"+m[1]+"`") {
			t.Errorf("docs/guides/scim-generic.md does not explain %s", m[1])
		}
	}
	if len(kinds) < 10 {
		t.Errorf("%d kinds, want 10 and more", len(kinds))
	}
}
