package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
)

// Options says what a file is checked against.
type Options struct {
	Connections []string // ids that the configuration knows; nil means: do not check against it
}

// Policy is a mapping file that was read, checked, compiled and tested. It is
// immutable and safe for concurrent use.
type Policy struct {
	file, hash  string
	roles       []role
	tasks       []string
	groups      []permissionGroup
	attributes  []Attribute
	rules       []rule
	connections map[string]*connection
	everywhere  index // the rules of connection "*"
	defaults    defaults
	tests       []testDecl
	warnings    []Problem
	src         *source // while it loads
	reach       bitset  // of roles that are privileged, or inherit one that is
	gate        bitset  // of tasks that are the gate's own
	scratch     sync.Pool
}

// Role is a named list of tasks.
type Role struct {
	Name       string
	Tasks      []string // its own; not those of the roles that it inherits
	Inherits   []string
	Privileged bool
}

// Attribute is a dimension on which data can be limited.
type Attribute struct {
	Name        string
	Pattern     string // as written; empty means any value
	MissingNone bool   // onMissing: none
}

type role struct {
	decl    Role
	tasks   []int
	closure bitset // itself and whatever it inherits
}

type permissionGroup struct {
	name         string
	unrestricted bool
	where        Where
}

// connection is one way in, and the most that it can give.
type connection struct {
	id           string
	unrestricted bool
	roles        bitset // within the ceiling
	allOf        []Where
	index        index
}

type rule struct {
	ruleDecl
	grants     []int // roles
	permission []int
	denied     bitset
}

// Load parses, checks and compiles a mapping file and runs the tests in it.
// The file name is for messages alone. The error is [Problems]: every mistake
// at once, each with its place; a file with a problem gives no policy.
func Load(file string, text []byte, o Options) (*Policy, error) {
	p, src, err := load(file, text, o)
	if err != nil {
		return nil, err
	}
	for _, failure := range p.Test().Failures {
		src.fail(failure.at, "%s", failure.message())
	}
	if err := src.err(); err != nil {
		return nil, err
	}
	p.src = nil // the text is needed no more
	return p, nil
}

// Compile is [Load] without running the tests, for a tool that reports on
// them itself. A policy of Compile is never put in force.
func Compile(file string, text []byte, o Options) (*Policy, error) {
	p, _, err := load(file, text, o)
	return p, err
}

func load(file string, text []byte, o Options) (*Policy, *source, error) {
	src := newSource(file, string(text))
	root := parseYAML(src, string(text))
	if root == nil {
		return nil, nil, src.err()
	}
	f := decoder{src}.file(root)
	c := &checker{source: src}
	c.check(f, o)
	if err := src.err(); err != nil {
		return nil, nil, err
	}
	p := compile(f, src)
	sum := sha256.Sum256(text)
	p.hash = hex.EncodeToString(sum[:])
	p.warnings = p.lint(f, o)
	return p, src, nil
}

// Hash is the SHA-256 of the file's text, in hexadecimal: equal hashes mean
// equal policies.
func (p *Policy) Hash() string { return p.hash }

// File is the name that the policy was loaded under.
func (p *Policy) File() string { return p.file }

// Warnings is what is allowed but deserves a look, in the order of the file.
func (p *Policy) Warnings() []Problem { return slices.Clone(p.warnings) }

// Roles lists the roles by name.
func (p *Policy) Roles() []Role {
	roles := make([]Role, len(p.roles))
	for i, r := range p.roles {
		roles[i] = r.decl
		roles[i].Tasks = slices.Clone(r.decl.Tasks)
		roles[i].Inherits = slices.Clone(r.decl.Inherits)
	}
	return roles
}

// Tasks lists the tasks of all roles.
func (p *Policy) Tasks() []string { return slices.Clone(p.tasks) }

// Attributes lists the attributes by name.
func (p *Policy) Attributes() []Attribute { return slices.Clone(p.attributes) }

// PermissionGroups lists the names of the permission groups.
func (p *Policy) PermissionGroups() []string {
	names := make([]string, len(p.groups))
	for i, g := range p.groups {
		names[i] = g.name
	}
	return names
}

// Rules lists the ids of the rules.
func (p *Policy) Rules() []string {
	ids := make([]string, len(p.rules))
	for i, r := range p.rules {
		ids[i] = r.id.text
	}
	return ids
}

// Connections lists the ids of the connections. Nobody gets in through any
// other.
func (p *Policy) Connections() []string {
	ids := make([]string, 0, len(p.connections))
	for id := range p.connections {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
