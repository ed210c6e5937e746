package mapping

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// Load parses, checks and compiles a mapping file with what it includes, in
// every environment, and runs the tests in it. The file name is for messages
// alone. The error is [Problems]: every mistake at once, each with its place;
// a file with a problem gives no policy, a broken fragment neither.
func Load(file string, text []byte, o Options) (*Policy, error) {
	return load(file, text, o, nil, mode{strict: true, tests: true})
}

// Compile is [Load] without running the tests, for a tool that reports on
// them itself. A policy of Compile is never put in force.
func Compile(file string, text []byte, o Options) (*Policy, error) {
	return load(file, text, o, nil, mode{strict: true})
}

// LoadWith is [Load] for a running gate. What did not change since previous,
// which may be nil, is taken from it. A broken fragment is no error: its
// connection keeps the fragment that is in force in previous, or the one that
// [Options.LastGood] gives, and without either nobody gets in through it.
// [Policy.Fragments] says which. The error, [Problems], is of what all
// connections share, and of a fragment that only a change of that broke.
func LoadWith(previous *Policy, file string, text []byte, o Options) (*Policy, error) {
	return load(file, text, o, previous, mode{tests: true})
}

// mode says how a policy is loaded.
type mode struct {
	strict bool // a broken fragment is an error
	tests  bool // the tests must pass
}

// loader makes one policy.
type loader struct {
	*reader
	mode
	environment string
	expressions *expressions
	root        *record
	others      []*record // of the base, besides root
	old         *Policy   // nil if there was none
	base        *base
}

func load(file string, text []byte, o Options, previous *Policy, m mode) (*Policy, error) {
	if o.Current != nil {
		o.Connections = o.Current()
	}
	src := newSource(file, string(text))
	l := &loader{mode: m, environment: cmp.Or(o.Environment, defaultEnvironment), expressions: newExpressions(), old: previous}
	l.reader = &reader{file: file, options: o, base: src, seen: make(map[string]bool), trees: make(map[*record]parsed)}
	if previous != nil {
		l.previous = previous.records
	}
	l.root = l.reader.root(text)
	var clients []*record
	for _, rec := range l.records[1:] {
		if rec.fragment.text != "" || rec.broken && rec.fragment.at != (pos{}) {
			clients = append(clients, rec)
		} else {
			l.others = append(l.others, rec)
		}
	}
	for _, rec := range append([]*record{l.root}, l.others...) {
		if t, ok := l.trees[rec]; ok {
			src.found, src.more = append(src.found, t.src.found...), src.more+t.src.more
		}
	}
	if err := src.err(); err != nil {
		return nil, l.withBroken(src, clients)
	}
	if err := l.loadBase(src); err != nil {
		return nil, err
	}
	return l.assemble(clients)
}

// withBroken reports the problems of the base together with those of
// fragments that are no YAML, when all problems are wanted.
func (l *loader) withBroken(src *source, clients []*record) error {
	for _, rec := range clients {
		if t, ok := l.trees[rec]; ok && l.strict {
			src.found, src.more = append(src.found, t.src.found...), src.more+t.src.more
		}
	}
	return src.err()
}

// base is what all connections share, compiled for one environment.
type base struct {
	part
	key         string
	environment string
	variables   variables
	roles       []role
	roleNumber  map[string]int
	tasks       []string
	attributes  []Attribute
	patterns    map[string]attributeDecl
	homes       map[string]*connection // without fragments
	everywhere  index                  // the rules of connection "*"
	constraints []constraint
	caps        []Cap
	defaults    defaults
	reach       bitset // of roles that are privileged, or inherit one that is, beyond their own organization
	local       bitset // of roles that are privileged within their own organization, or inherit one
	gate        bitset // of tasks that are the gate's own
	configured  []string
	ceilings    map[string][]name // roles that ceilings list, by connection
	checker     *checker
	decls       map[string]*file // by environment
	siblings    map[string]*base // the same for other environments, as far as tests need it
	testsIn     string           // the environment of tests that name none
}

// part is what the base and a fragment both have. The rules and groups of a
// fragment are numbered after those of the base.
type part struct {
	rules       []rule
	groups      []permissionGroup
	groupNumber map[string]int
	index       index // of a fragment
	tests       []testDecl
	connection  string // of a fragment
}

// baseKey tells bases apart. Equal keys mean equal bases.
func (l *loader) baseKey() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %v %q\n", l.file, l.environment, l.options.Connections == nil, l.options.Connections)
	for _, rec := range append([]*record{l.root}, l.others...) {
		h.Write([]byte(rec.key()))
	}
	return string(h.Sum(nil))
}

func (l *loader) loadBase(src *source) error {
	key := l.baseKey()
	if l.old != nil && l.old.key == key {
		l.base = l.old.base
		return nil
	}
	files := append([]*record{l.root}, l.others...)
	var decls []varDecl
	for _, rec := range files {
		root := l.tree(rec).root
		for _, f := range root.fields {
			if f.key.text == "vars" {
				decls = append(decls, decoder{source: src}.vars(f.value)...)
			}
		}
	}
	vars := newVariables(src, decls, l.environment)
	if err := src.err(); err != nil {
		return err
	}
	b := &base{
		key: key, environment: l.environment, variables: vars, configured: l.options.Connections,
		decls: make(map[string]*file), siblings: make(map[string]*base),
	}
	b.testsIn = l.environment
	if vars.values[defaultEnvironment] != nil {
		b.testsIn = defaultEnvironment
	}
	checkers := make(map[string]*checker)
	everywhere(src, b, func(src *source, env string) bool {
		f, changed := l.decodeBase(src, files, vars, env)
		c := &checker{source: src, environments: vars.environments}
		c.checkBase(f, l.options)
		b.decls[env], checkers[env] = f, c
		return changed
	})
	if err := src.err(); err != nil {
		return err
	}
	b.checker = checkers[l.environment]
	b.compile(b.decls[l.environment])
	for env, c := range checkers {
		if env != l.environment && b.needs(env) {
			b.siblings[env] = b.sibling(env, c)
		}
	}
	l.base = b
	if l.tests {
		for _, failure := range b.test().Failures {
			src.fail(failure.at, "%s", failure.message())
		}
	}
	return src.err()
}

// everywhere reads something for the environment of the policy and then, if
// variables made a difference, for each of the others. Problems that only
// another environment has say which.
func everywhere(src *source, b *base, read func(*source, string) bool) {
	if changed := read(src, b.environment); !changed {
		for _, env := range b.variables.environments {
			if b.decls != nil && b.decls[env] == nil {
				b.decls[env] = b.decls[b.environment]
			}
		}
		return
	}
	for _, env := range b.variables.environments {
		if env == b.environment {
			continue
		}
		other := &source{src.text, &faults{}}
		read(other, env)
		src.merge(other.faults, env)
	}
}

// needs reports whether anything in the base differs in another environment.
func (p *base) needs(env string) bool { return p.decls[env] != p.decls[p.environment] }

func (p *base) sibling(env string, c *checker) *base {
	s := &base{
		key: p.key + env, environment: env, variables: p.variables, configured: p.configured,
		checker: c, decls: p.decls, testsIn: env,
	}
	s.compile(p.decls[env])
	return s
}

// in is the base compiled for an environment.
func (p *base) in(env string) *base {
	if s := p.siblings[env]; s != nil {
		return s
	}
	return p
}

// decodeBase reads what the files of the base declare in one environment, and
// reports whether a variable was put in anywhere.
func (l *loader) decodeBase(src *source, files []*record, vars variables, env string) (*file, bool) {
	all := &file{}
	changed := false
	for i, rec := range files {
		tree := l.tree(rec)
		d := decoder{source: &source{tree.src.text, src.faults}, variables: vars.names, programs: l.expressions}
		root := expandFile(tree.root, vars.values[env])
		changed = changed || root != tree.root
		where := includedFile
		if i == 0 {
			where = rootFile
		}
		all.add(src, d.file(root, where, len(l.root.includes) > 0))
	}
	if len(l.root.includes) > 0 && len(all.connections) == 0 && len(src.found) == 0 {
		src.fail(l.tree(l.root).root.at, "connections is missing, here and in what the file includes")
	}
	return all, changed
}

// expandFile expands everything but vars and include.
func expandFile(root *node, values map[string]string) *node {
	if root.kind != kindMap || len(values) == 0 {
		return root
	}
	fields := slices.Clone(root.fields)
	changed := false
	for i, f := range fields {
		if f.key.text == "vars" || f.key.text == "include" {
			continue
		}
		fields[i].value = expand(f.value, values)
		changed = changed || fields[i].value != f.value
	}
	if !changed {
		return root
	}
	return &node{kind: kindMap, at: root.at, fields: fields}
}

func compare(a, b string) int { return strings.Compare(a, b) }
