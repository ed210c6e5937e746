package mapping

import (
	"crypto/sha256"
	"maps"
	"slices"
)

// unit is the fragment of one connection as a policy has it.
type unit struct {
	connection string
	good       *fragment // that is in force; nil if there is none
	problems   Problems  // why the file as it is is not
}

// fragment is a file of one connection, compiled against one base. It is
// immutable.
type fragment struct {
	part
	rec      *record
	base     *base
	siblings map[string]*fragment // for tests that name another environment
}

// assemble puts the fragments and the base together.
func (l *loader) assemble(clients []*record) (*Policy, error) {
	p := newPolicy(l.base)
	p.file, p.root = l.file, l.root
	p.records = make(map[string]*record, len(l.records))
	for _, rec := range l.records {
		p.records[rec.name] = rec
	}
	byConnection := make(map[string][]*record)
	for _, rec := range clients {
		byConnection[rec.fragment.text] = append(byConnection[rec.fragment.text], rec)
	}
	all := &faults{}
	for _, id := range slices.Sorted(maps.Keys(byConnection)) {
		u, broken, mine := l.unit(id, byConnection[id])
		if broken != nil && (l.strict || mine) {
			all.found, all.more = append(all.found, broken.found...), all.more+broken.more
			continue
		}
		p.attach(u)
	}
	if err := all.err(); err != nil {
		return nil, err
	}
	p.hash = p.sum()
	return p, nil
}

// sum is the hash of what is in force.
func (p *Policy) sum() string {
	var others []*record
	for _, rec := range p.records {
		if rec != p.root && rec.fragment.text == "" && !rec.broken {
			others = append(others, rec)
		}
	}
	for _, u := range p.fragments {
		if u.good != nil {
			others = append(others, u.good.rec)
		}
	}
	return hashOf(p.root, others)
}

// Replace gives the policy with another text of one fragment, or with one
// more, without reading any file: to check, preview, approve and roll back one
// client alone. The name is that of the file, relative to the folder of the
// root file. The error is [Problems]; p stays as it is.
func (p *Policy) Replace(name string, text []byte) (*Policy, error) {
	l := &loader{
		reader: &reader{file: p.file, trees: make(map[*record]parsed)},
		mode:   mode{strict: true, tests: true}, expressions: newExpressions(), base: p.base,
	}
	rec := l.lastGood(name, l.beside(name), text)
	src := l.tree(rec).src
	if len(src.found) == 0 && rec.fragment.text == "" {
		src.fail(src.at(1, 1), "connection is missing: it makes a file the fragment of one")
	}
	for _, other := range p.records {
		if other.fragment.text == rec.fragment.text && other.name != name && rec.fragment.text != "" {
			src.fail(rec.fragment.at, "connection %q has a fragment already: %s; want one file for each", clip(rec.fragment.text), other.file)
		}
	}
	if old := p.records[name]; old != nil && old.fragment.text != rec.fragment.text && len(src.found) == 0 {
		src.fail(rec.fragment.at, "connection is %q; want %q, of which the file is a fragment", clip(rec.fragment.text), clip(old.fragment.text))
	}
	f, faults := l.fragment(rec)
	if err := faults.err(); err != nil {
		return nil, err
	}
	q := newPolicy(p.base)
	q.file, q.root, q.records = p.file, p.root, maps.Clone(p.records)
	q.records[name] = rec
	units := slices.DeleteFunc(slices.Clone(p.fragments), func(u *unit) bool { return u.connection == f.connection })
	units = append(units, &unit{connection: f.connection, good: f})
	slices.SortFunc(units, func(a, b *unit) int { return compare(a.connection, b.connection) })
	for _, u := range units {
		q.attach(u)
	}
	q.hash = q.sum()
	return q, nil
}

// newPolicy is a policy of the base alone.
func newPolicy(b *base) *Policy {
	p := &Policy{base: b, connections: maps.Clone(b.homes), manyRules: len(b.rules), manyGroups: len(b.groups)}
	p.scratch.New = func() any { return p.newScratch() }
	return p
}

// attach gives a connection its fragment, or closes it.
func (p *Policy) attach(u *unit) {
	p.fragments = append(p.fragments, u)
	home := p.connections[u.connection]
	if home == nil {
		return // it names no connection of the base; nobody comes through it
	}
	c := *home
	if c.closed = u.good == nil; !c.closed {
		c.fragment = &u.good.part
		p.manyRules = max(p.manyRules, len(p.rules)+len(c.fragment.rules))
		p.manyGroups = max(p.manyGroups, len(p.groups)+len(c.fragment.groups))
	}
	p.connections[u.connection] = &c
}

// unit finds what is in force for one connection. mine reports that its file
// is as good as it was, and that the base broke it.
func (l *loader) unit(id string, recs []*record) (u *unit, broken *faults, mine bool) {
	u = &unit{connection: id}
	var before *fragment
	if l.old != nil {
		for _, o := range l.old.fragments {
			if o.connection == id {
				before = o.good
			}
		}
	}
	rec := recs[0]
	if len(recs) == 1 && before != nil && before.rec == rec && before.base == l.base {
		u.good = before
		return u, nil, false
	}
	f, faults := l.fragment(rec)
	for _, other := range recs[1:] {
		src := l.tree(other).src
		src.fail(other.fragment.at, "connection %q has a fragment already: %s; want one file for each", clip(id), rec.file)
		faults.found = append(faults.found, src.found...)
	}
	if len(faults.found) == 0 {
		u.good = f
		return u, nil, false
	}
	u.problems = faults.list()
	if l.strict {
		return u, faults, false
	}
	switch {
	case before == nil:
	case before.rec.hash == rec.hash && len(recs) == 1:
		return u, faults, true
	case before.base == l.base:
		u.good = before
	default:
		u.good = l.again(before.rec)
	}
	if u.good == nil && l.options.LastGood != nil {
		if file, text, ok := l.options.LastGood(id); ok {
			u.good = l.again(l.lastGood(file, file, text))
		}
	}
	return u, faults, false
}

// again compiles a text that was in force once; nil if it does not fit the
// base any more.
func (l *loader) again(rec *record) *fragment {
	if f, faults := l.fragment(rec); len(faults.found) == 0 {
		return f
	}
	return nil
}

// lastGood is the record of a text that no file has.
func (l *loader) lastGood(name, file string, text []byte) *record {
	rec := &record{name: name, file: file, content: string(text), hash: sha256.Sum256(text)}
	t := l.parse(rec)
	l.trees[rec] = t
	if rec.broken = t.root == nil; rec.broken || t.root.kind != kindMap {
		return rec
	}
	for _, f := range t.root.fields {
		if f.key.text == "connection" {
			rec.fragment.text, rec.fragment.at = f.value.text, f.value.at
		}
	}
	return rec
}

// fragment reads, checks, compiles and tests one file, against the base alone:
// what other fragments say cannot matter.
func (l *loader) fragment(rec *record) (*fragment, *faults) {
	tree := l.tree(rec)
	src := &source{tree.src.text, &faults{found: slices.Clone(tree.src.found), more: tree.src.more}}
	if rec.broken || len(src.found) > 0 {
		return nil, src.faults
	}
	b := l.base
	if _, ok := b.checker.connections.find(rec.fragment.text); !ok {
		c := *b.checker
		c.source = src
		c.known(&c.connections, rec.fragment)
	}
	decls := make(map[string]*file)
	read := func(src *source, env string) bool {
		root := expandFile(tree.root, b.variables.values[env])
		d := decoder{source: src, variables: b.variables.names, programs: l.expressions, fragment: &rec.fragment}
		decls[env] = d.file(root, fragmentFile, false)
		c := &checker{source: src}
		c.tables(decls[env], b.checker)
		c.checkUnit(decls[env])
		return root != tree.root
	}
	view := &base{environment: b.environment, variables: b.variables}
	everywhere(src, view, read)
	if len(src.found) > 0 {
		return nil, src.faults
	}
	f := compileFragment(b, rec, decls[b.environment])
	for env, sibling := range b.siblings {
		decl := decls[env]
		if decl == nil {
			decl = decls[b.environment]
		}
		f.siblings[env] = compileFragment(sibling, rec, decl)
	}
	for env, decl := range decls {
		// The base has no variables in use, the fragment has.
		if env != b.environment && f.siblings[env] == nil {
			f.siblings[env] = compileFragment(b, rec, decl)
		}
	}
	if l.tests {
		for _, failure := range f.test().Failures {
			src.fail(failure.at, "%s", failure.message())
		}
	}
	return f, src.faults
}

func compileFragment(b *base, rec *record, decl *file) *fragment {
	f := &fragment{rec: rec, base: b, siblings: make(map[string]*fragment)}
	f.connection = rec.fragment.text
	f.tests = decl.tests
	b.compilePart(&f.part, decl, len(b.groups))
	for i := range f.rules {
		f.index.add(&f.rules[i], int32(len(b.rules)+i)) //nolint:gosec // at most maxRules each
	}
	return f
}

func (f *fragment) test() Report {
	return runTests(f.tests, f.base.testsIn, f.rec.name, f.testPolicies())
}

// testPolicies gives policies of the base and this fragment alone.
func (f *fragment) testPolicies() inEnvironment {
	policies := make(map[string]*Policy)
	return func(env string) (*Policy, []testDecl) {
		there := f
		if s := f.siblings[env]; s != nil {
			there = s
		}
		if policies[env] == nil {
			policies[env] = newPolicy(there.base)
			policies[env].attach(&unit{connection: f.connection, good: there})
		}
		return policies[env], there.tests
	}
}
