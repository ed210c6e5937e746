package scim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"portcullis/store"
	"portcullis/store/storetest"
)

// A sequence is what one client does, request by request. The files in
// testdata/sequences are one client or one topic each:
//
//	## what the sequence shows
//	POST /Users?attributes=id
//	If-Match: W/"1"
//	{"userName": "ada"}
//	=> 201
//	id -> ada
//	meta/location ~ /Users/$ada$
//
// The first line of a step is the request; headers and a JSON body may follow,
// or a body of any kind behind "raw ". "=>" gives the statuses that are right.
// Then come conditions on the answer, one a line, until a line is empty. A path
// goes into objects by name without regard to case, and into lists by number or
// by the value of a member:
//
//	emails/type=work/value = "a@example.com"    is that JSON value
//	emails len 1                                has so many elements
//	Resources has {"userName": "ada"}           one element has these members
//	title absent                                is not there
//	title present                               is there
//	detail ~ case                               its text matches the expression
//	id -> ada                                   is remembered: $ada stands for it
//	header ETag ~ ^W/                           of a header
//
// Each sequence has a connection of its own, so that names are free.
type sequence struct {
	name  string
	steps []step
}

type step struct {
	line         int
	method, path string
	headers      []string
	body         string
	status       []int
	conditions   []string
}

func TestSequences(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/sequences/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob = %v, %v, want the sequences", files, err)
	}
	type group struct {
		name string
		of   []sequence
	}
	var groups []group
	var connections []string
	for _, file := range files {
		g := group{strings.TrimSuffix(filepath.Base(file), ".txt"), readSequences(t, file)}
		groups = append(groups, g)
		for i := range g.of {
			connections = append(connections, fmt.Sprintf("%s-%d", g.name, i))
		}
	}
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRigWith(t, open(), connections)
		for _, g := range groups {
			t.Run(g.name, func(t *testing.T) {
				for i, s := range g.of {
					connection := fmt.Sprintf("%s-%d", g.name, i)
					secret := r.in(t).token(connection, 0)
					t.Run(s.name, func(t *testing.T) { s.run(t, r.in(t), connection, secret) })
				}
			})
		}
	})
}

func (s sequence) run(t *testing.T, r *rig, connection, secret string) {
	t.Helper()
	names := map[string]string{"base": "https://gate.example/base/scim/v2/" + connection}
	fill := func(text string) string {
		for _, name := range slices.Backward(slices.Sorted(maps.Keys(names))) { // the longer first
			text = strings.ReplaceAll(text, "$"+name, names[name])
		}
		return text
	}
	for _, step := range s.steps {
		var body any
		if step.body != "" {
			body = fill(step.body)
		}
		headers := make([]string, len(step.headers))
		for i, h := range step.headers {
			headers[i] = fill(h)
		}
		path := fill(step.path)
		if at, query, ok := strings.Cut(path, "?"); ok {
			path = at + "?" + strings.NewReplacer(" ", "%20", `"`, "%22", "[", "%5B", "]", "%5D", "+", "%2B").Replace(query)
		}
		a := r.sendTo(connection, secret, step.method, path, body, headers...)
		if !slices.Contains(step.status, a.status) {
			t.Fatalf("line %d: %s %s = %d %s, want %v", step.line, step.method, path, a.status, a.raw, step.status)
		}
		for _, c := range step.conditions {
			if wrong := a.meets(fill(c), names); wrong != "" {
				t.Errorf("line %d: %s %s: %s: %s\n%s", step.line, step.method, path, c, wrong, a.raw)
			}
		}
		r.clock.turn(1e9) // nothing happens at once
	}
}

var condition = regexp.MustCompile(`^(\S+) (=|len|has|lacks|absent|present|~|->)(?: (.*))?$`)

// meets gives what is wrong about an answer.
func (a answer) meets(text string, names map[string]string) string {
	if rest, ok := strings.CutPrefix(text, "header "); ok {
		name, want, _ := strings.Cut(rest, " ~ ")
		if got := a.header.Get(name); !regexp.MustCompile(want).MatchString(got) {
			return fmt.Sprintf("got %q", got)
		}
		return ""
	}
	m := condition.FindStringSubmatch(text)
	if m == nil {
		return "is no condition"
	}
	got, ok := follow(a.doc, m[1])
	list, _ := got.([]any)
	var want any
	if m[2] == "=" || m[2] == "has" || m[2] == "lacks" {
		if err := json.Unmarshal([]byte(m[3]), &want); err != nil {
			return err.Error()
		}
	}
	has := slices.ContainsFunc(list, func(e any) bool { return within(want, e) })
	switch m[2] {
	case "->":
		names[m[3]] = fmt.Sprint(got)
	case "len":
		ok = strconv.Itoa(len(list)) == m[3]
	case "absent":
		ok = !ok
	case "~":
		ok = ok && regexp.MustCompile(m[3]).MatchString(fmt.Sprint(got))
	case "=":
		ok = ok && reflect.DeepEqual(got, want)
	case "has":
		ok = has
	case "lacks":
		ok = !has
	}
	if !ok {
		return fmt.Sprintf("got %v", got)
	}
	return ""
}

// within reports whether got has all members of want, or is it.
func within(want, got any) bool {
	w, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(want, got)
	}
	g, _ := got.(map[string]any)
	for k, v := range w {
		if !within(v, g[k]) {
			return false
		}
	}
	return g != nil
}

// follow goes along a path into an answer.
func follow(v any, path string) (any, bool) {
	for part := range strings.SplitSeq(path, "/") {
		switch at := v.(type) {
		case map[string]any:
			found := false
			for k, e := range at {
				if strings.EqualFold(k, part) {
					v, found = e, true
				}
			}
			if !found {
				return nil, false
			}
		case []any:
			name, value, named := strings.Cut(part, "=")
			i := slices.IndexFunc(at, func(e any) bool {
				m, _ := e.(map[string]any)
				return named && fmt.Sprint(m[name]) == value
			})
			if n, err := strconv.Atoi(part); err == nil && n < len(at) {
				i = n
			}
			if i < 0 {
				return nil, false
			}
			v = at[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// readSequences reads a file of sequences.
func readSequences(t *testing.T, file string) (all []sequence) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	answered := false
	var s *step
	for i, line := range strings.Split(string(raw), "\n") {
		line = strings.TrimSpace(line)
		method, rest, _ := strings.Cut(line, " ")
		title, isTitle := strings.CutPrefix(line, "## ")
		statuses, isAnswer := strings.CutPrefix(line, "=> ")
		switch {
		case line == "":
			s = nil
		case isTitle:
			all = append(all, sequence{name: title})
		case s == nil && strings.HasPrefix(line, "# "):
		case s == nil && slices.Contains(methods, method):
			own := &all[len(all)-1].steps
			*own = append(*own, step{line: i + 1, method: method, path: rest})
			s, answered = &(*own)[len(*own)-1], false
		case s == nil:
			t.Fatalf("%s:%d: want a request, got %q", file, i+1, line)
		case isAnswer:
			for field := range strings.FieldsSeq(statuses) {
				n, err := strconv.Atoi(field)
				if err != nil {
					t.Fatalf("%s:%d: %v", file, i+1, err)
				}
				s.status = append(s.status, n)
			}
			answered = true
		case answered:
			s.conditions = append(s.conditions, line)
		case s.body == "" && regexp.MustCompile(`^[A-Z][A-Za-z-]*: `).MatchString(line):
			name, value, _ := strings.Cut(line, ": ")
			s.headers = append(s.headers, name, value)
		default:
			s.body += strings.TrimPrefix(line, "raw ") + "\n"
		}
	}
	return all
}
