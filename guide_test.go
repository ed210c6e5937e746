package portcullis_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/mapping"
)

const guide = "docs/mapping.md"

// example is one mapping of the guide, with the files that it includes.
type example struct {
	heading string
	root    string
	files   map[string]string
	facts   string // that are explained
	answer  string
}

func (e *example) options(environment string) mapping.Options {
	return mapping.Options{
		Environment: environment,
		Read: func(name string) ([]byte, error) {
			text, ok := e.files[name]
			if !ok {
				return nil, fs.ErrNotExist
			}
			return []byte(text), nil
		},
		Glob: func(pattern string) ([]string, error) {
			var names []string
			for name := range e.files {
				if ok, err := path.Match(pattern, name); err != nil || ok {
					names = append(names, name)
				}
			}
			return names, nil
		},
	}
}

// examples reads the guide: a yaml block that begins with version is a file,
// one that begins with "# name.yaml" has that name, and belongs to the
// "# mapping.yaml" before it. Facts and their explanation follow in blocks of
// json and text.
func examples(t *testing.T) []example {
	t.Helper()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	var out []example
	heading := ""
	for _, m := range regexp.MustCompile("(?ms)^##+ ([^\n]*)$|^```([a-z]+)\n(.*?)^```").FindAllStringSubmatch(string(text), -1) {
		named := regexp.MustCompile(`^# (\S+\.yaml)\n`).FindStringSubmatch(m[3])
		switch {
		case m[2] == "":
			heading = m[1]
		case m[2] == "yaml" && named != nil && named[1] != "mapping.yaml":
			out[len(out)-1].files[named[1]] = m[3]
		case m[2] == "yaml":
			out = append(out, example{heading: heading, root: m[3], files: map[string]string{}})
		case m[2] == "json":
			out[len(out)-1].facts = m[3]
		case m[2] == "text":
			out[len(out)-1].answer = m[3]
		}
	}
	return out
}

// TestTheExamplesOfTheGuideWork: each loads as it stands, in every
// environment, and has tests of its own.
func TestTheExamplesOfTheGuideWork(t *testing.T) {
	for _, e := range examples(t) {
		t.Run(e.heading, func(t *testing.T) {
			p, err := mapping.Load("mapping.yaml", []byte(e.root), e.options(""))
			if err != nil {
				t.Fatal(err)
			}
			if ran := p.Test().Ran; ran < 2 {
				t.Errorf("%d tests, want at least two", ran)
			}
			for _, env := range p.Environments() {
				if _, err := mapping.Load("mapping.yaml", []byte(e.root), e.options(env)); err != nil {
					t.Errorf("in environment %s: %v", env, err)
				}
			}
			if len(p.Fragments()) != len(e.files) {
				t.Errorf("fragments %v, want one for each of %d files", p.Fragments(), len(e.files))
			}
		})
	}
}

// TestTheTestsInTheGuideTest: without any one of its rules or constraints, an
// example does not pass its own tests.
func TestTheTestsInTheGuideTest(t *testing.T) {
	for _, e := range examples(t) {
		p, err := mapping.Load("mapping.yaml", []byte(e.root), e.options(""))
		if err != nil {
			t.Fatal(err)
		}
		for _, rule := range p.Rules() {
			without := e
			without.files = map[string]string{}
			removed := 0
			remove := func(name, text string) string {
				out, err := mapping.Edit(name, []byte(text), mapping.Remove("rules"+mapping.Entry("id", rule)))
				if err != nil {
					return text
				}
				removed++
				return string(out)
			}
			without.root = remove("mapping.yaml", e.root)
			for name, text := range e.files {
				without.files[name] = remove(name, text)
			}
			if removed != 1 {
				t.Errorf("%s: rule %s was removed %d times", e.heading, rule, removed)
			}
			if _, err := mapping.Load("mapping.yaml", []byte(without.root), without.options("")); err == nil {
				t.Errorf("%s: the tests pass without rule %s", e.heading, rule)
			}
		}
	}
}

// TestTheGuideHasTheCommonJobs: none of them goes away, and none has no
// example.
func TestTheGuideHasTheCommonJobs(t *testing.T) {
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	_, jobs, _ := strings.Cut(string(text), "\n## Common jobs\n")
	jobs, _, _ = strings.Cut(jobs, "\n## ")
	var told []string
	for _, m := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(jobs, -1) {
		told = append(told, m[1])
	}
	if len(told) < 13 {
		t.Errorf("jobs: %q, want 13 and more", told)
	}
	for _, job := range told {
		if !slices.ContainsFunc(examples(t), func(e example) bool { return e.heading == job }) {
			t.Errorf("%s has no example", job)
		}
	}
}

// TestTheExplanationInTheGuideIsGiven: people compare what they see with it.
func TestTheExplanationInTheGuideIsGiven(t *testing.T) {
	explained := 0
	for _, e := range examples(t) {
		if e.facts == "" {
			continue
		}
		explained++
		p, err := mapping.Load("mapping.yaml", []byte(e.root), e.options(""))
		if err != nil {
			t.Fatal(err)
		}
		facts, err := mapping.LoadFacts([]byte(e.facts))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e.answer, fmt.Sprint(p.Explain(&facts, time.Time{}))); diff != "" {
			t.Errorf("explain (-guide +got):\n%s", diff)
		}
	}
	if explained == 0 {
		t.Error("nothing is explained")
	}
}

// everyPlace has a key that nobody knows in each mapping of the language. The
// messages name those that are known.
const everyPlace = `
qqqqqqqqqq: 1
version: 1
include: [fragment.yaml]
connections: {x: {qqqqqqqqqq: 1, ceiling: {qqqqqqqqqq: 1, roles: []}}}
roles: {x: {qqqqqqqqqq: 1}}
attributes: {x: {qqqqqqqqqq: 1}, y: {}}
permissionGroups: {x: {qqqqqqqqqq: 1, where: {y: {qqqqqqqqqq: 1}}}}
defaults: {qqqqqqqqqq: 1}
constraints: [{qqqqqqqqqq: 1, id: x}]
rules:
  - qqqqqqqqqq: 1
    id: x
    match: {qqqqqqqqqq: 1, connection: x, groups: [{qqqqqqqqqq: 1, id: x}], when: user.qqqqqqqqqq == ''}
    valid: {qqqqqqqqqq: 1, from: 2026-12-01T00:00:00Z}
    grant: {qqqqqqqqqq: 1}
    restrict: {qqqqqqqqqq: 1, permissionGroups: [x]}
    deny: {qqqqqqqqqq: 1}
tests: [{qqqqqqqqqq: 1, name: x, given: {qqqqqqqqqq: 1, connection: x, pushed: [{qqqqqqqqqq: 1}]}, expect: {qqqqqqqqqq: 1}}]
`

// knownKeys asks the language for its keys.
func knownKeys(t *testing.T) map[string][]string {
	t.Helper()
	known := make(map[string][]string)
	ask := func(text, fragment, file string) {
		_, err := mapping.Load("mapping.yaml", []byte(text), mapping.Options{
			Read: func(string) ([]byte, error) { return []byte(fragment), nil },
		})
		for line := range strings.SplitSeq(fmt.Sprint(err), "\n") {
			var place, keys string
			if m := regexp.MustCompile(`unknown key "qqqqqqqqqq" in (.*); want (.*)$`).FindStringSubmatch(line); m != nil {
				place, keys = regexp.MustCompile(`\[\d+\]`).ReplaceAllString(m[1], "[]"), m[2]
			} else if m := regexp.MustCompile(`user has no field "qqqqqqqqqq"; want (.*)$`).FindStringSubmatch(line); m != nil {
				place, keys = "user", m[1]
			} else {
				continue
			}
			if place == "the file" {
				place = file
			}
			known[place] = strings.Split(strings.ReplaceAll(keys, " or ", ", "), ", ")
		}
	}
	ask(everyPlace, "version: 1\n", "the file")
	ask("version: 1\ninclude: [fragment.yaml]\nconnections: [x]\n", "connection: x\nqqqqqqqqqq: 1\n", "a fragment")
	for place := range known {
		slices.Sort(known[place])
	}
	return known
}

// TestTheReferenceIsTheLanguage: the guide has every key that the language
// knows, where it is known, and no other.
func TestTheReferenceIsTheLanguage(t *testing.T) {
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	_, reference, _ := strings.Cut(string(text), "\n## Reference\n")
	told := make(map[string][]string)
	for _, section := range strings.Split(reference, "\n### ")[1:] {
		place, rows, _ := strings.Cut(section, "\n")
		for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| .+ \\|$").FindAllStringSubmatch(rows, -1) {
			told[place] = append(told[place], m[1])
		}
		slices.Sort(told[place])
	}
	known := knownKeys(t)
	if len(known) < 20 {
		t.Errorf("the language gave %d places, want 20 and more", len(known))
	}
	if diff := cmp.Diff(known, told); diff != "" {
		t.Errorf("the reference (-language +guide):\n%s", diff)
	}
}
