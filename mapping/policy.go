package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"sync"
)

// Options says what a file is checked against, and where the files that it
// includes come from.
type Options struct {
	// Connections are the ids that the configuration knows; nil means: do not
	// check against it.
	Connections []string
	// Current gives the Connections of the moment in which a file is read. It
	// is for whoever keeps options while connections come and go; nil leaves
	// Connections as they are.
	Current func() []string
	// Environment decides what ${…} stands for. It defaults to prod.
	Environment string
	// Read gives the text of an included file. Its name is relative to the
	// folder of the root file, with slashes, and never leads out of it (a
	// symbolic link might: os.Root is the reader to use). nil refuses include.
	Read func(name string) ([]byte, error)
	// Glob lists the files that a pattern of package path meets, as names for
	// Read. nil refuses patterns.
	Glob func(pattern string) ([]string, error)
	// LastGood gives the text of a fragment that was in force before, for
	// [LoadWith] to fall back on when the previous policy has none: after a
	// restart. It may be nil.
	LastGood func(connection string) (file string, text []byte, ok bool)
}

// Policy is a mapping file, with what it includes, that was read, checked,
// compiled and tested. It is immutable and safe for concurrent use.
type Policy struct {
	*base
	file, hash  string
	root        *record
	records     map[string]*record
	connections map[string]*connection // with their fragments
	fragments   []*unit                // in the order of their connections
	scratch     sync.Pool
	manyRules   int // the most that one person is held against
	manyGroups  int
}

// Role is a named list of tasks.
type Role struct {
	Name         string
	Tasks        []string // its own; not those of the roles that it inherits
	Inherits     []string
	Privileged   bool
	AssignableBy []string // roles whose holders may hand it out
	Organization bool     // scope: organization: its holder manages their own organization alone
}

// Attribute is a dimension on which data can be limited.
type Attribute struct {
	Name        string
	Pattern     string // as written; empty means any value
	MissingNone bool   // onMissing: none
}

// Cap is a limit on how many people may hold a role. Evaluation looks at one
// person and cannot count: whoever sees all people holds them against it, as
// [Policy.Diff] and [Policy.Coverage] do.
type Cap struct {
	ID       string
	Role     string
	MaxUsers int
}

// File is one file that a policy is made of.
type File struct {
	Name       string // relative to the folder of the root file
	Connection string // of which it is a fragment; empty if it is none
	Hash       string // SHA-256 of Text, in hexadecimal
	Text       string
}

// Fragment is the file of one connection, which stands and falls alone.
type Fragment struct {
	Connection string
	File       string // that is in force; empty when Closed
	Hash       string // of the text in force
	Text       string // in force: what [Options.LastGood] gives back after a restart
	// Problems says why the file as it is now is not in force. An older text
	// of it is, or, when there is none, nobody gets in through the connection.
	Problems Problems
	Closed   bool
	Tests    int // how many stand in it, and pass
}

type role struct {
	decl    Role
	at      pos
	tasks   []int
	closure bitset // itself and whatever it inherits
}

// connection is one way in, and the most that it can give.
type connection struct {
	id           string
	at           pos
	unrestricted bool
	roles        bitset // within the ceiling
	listed       bitset // roles of scope organization that the ceiling names
	allOf        []Where
	index        index
	fragment     *part // nil without one
	closed       bool  // its fragment is broken and no older one is known
}

// Hash tells revisions apart: equal hashes mean equal policies. Of a single
// file it is the SHA-256 of the text, in hexadecimal.
func (p *Policy) Hash() string { return p.hash }

// File is the name that the policy was loaded under.
func (p *Policy) File() string { return p.file }

// Environment is what ${…} was compiled for.
func (p *Policy) Environment() string { return p.environment }

// Environments lists those that vars name; none without vars. All of them
// were checked.
func (p *Policy) Environments() []string { return slices.Clone(p.variables.environments) }

// Files lists what the policy was read from, by name, as it was at loading:
// the text of a broken fragment is that of the file, not that in force.
func (p *Policy) Files() []File {
	files := make([]File, 0, len(p.records))
	for _, rec := range p.records {
		files = append(files, File{rec.name, rec.fragment.text, hex.EncodeToString(rec.hash[:]), rec.content})
	}
	slices.SortFunc(files, func(a, b File) int { return compare(a.Name, b.Name) })
	return files
}

// Fragments lists the connections that have a file of their own.
func (p *Policy) Fragments() []Fragment {
	out := make([]Fragment, 0, len(p.fragments))
	for _, u := range p.fragments {
		f := Fragment{Connection: u.connection, Problems: slices.Clone(u.problems), Closed: u.good == nil}
		if u.good != nil {
			rec := u.good.rec
			f.File, f.Hash, f.Text, f.Tests = rec.file, hex.EncodeToString(rec.hash[:]), rec.content, len(u.good.tests)
		}
		out = append(out, f)
	}
	return out
}

// Includes reports whether a file of that name, relative to the folder of the
// root file, is or would be part of the policy.
func (p *Policy) Includes(name string) bool {
	for _, rec := range p.records {
		for _, include := range rec.includes {
			pattern := path.Join(path.Dir(rec.name), include.text)
			if ok, err := path.Match(pattern, name); pattern == name || ok && err == nil {
				return true
			}
		}
	}
	return false
}

// Roles lists the roles by name.
func (p *Policy) Roles() []Role {
	roles := make([]Role, len(p.roles))
	for i, r := range p.roles {
		roles[i] = r.decl
		roles[i].Tasks = slices.Clone(r.decl.Tasks)
		roles[i].Inherits = slices.Clone(r.decl.Inherits)
		roles[i].AssignableBy = slices.Clone(r.decl.AssignableBy)
	}
	return roles
}

// Tasks lists the tasks of all roles.
func (p *Policy) Tasks() []string { return slices.Clone(p.tasks) }

// Attributes lists the attributes by name.
func (p *Policy) Attributes() []Attribute { return slices.Clone(p.attributes) }

// Caps lists the limits on how many people may hold a role.
func (p *Policy) Caps() []Cap { return slices.Clone(p.caps) }

// PermissionGroups lists the names of the permission groups, those of
// fragments included.
func (p *Policy) PermissionGroups() []string {
	var names []string
	for _, part := range p.parts() {
		for _, g := range part.groups {
			names = append(names, g.name)
		}
	}
	return append([]string{}, sortedSet(names)...)
}

// Rules lists the ids of the rules, those of fragments included.
func (p *Policy) Rules() []string {
	var ids []string
	for _, part := range p.parts() {
		for _, r := range part.rules {
			ids = append(ids, r.id.text)
		}
	}
	return append([]string{}, sortedSet(ids)...)
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

// parts is the base and every fragment in force.
func (p *Policy) parts() []*part {
	parts := []*part{&p.part}
	for _, u := range p.fragments {
		if u.good != nil {
			parts = append(parts, &u.good.part)
		}
	}
	return parts
}

// rule finds a rule by the number that the scratch of a person of connection
// c has for it: those of the base come first, then those of its fragment.
func (p *Policy) rule(c *connection, i int) *rule {
	if i < len(p.rules) {
		return &p.rules[i]
	}
	return &c.fragment.rules[i-len(p.rules)]
}

// group finds a permission group likewise.
func (p *Policy) group(c *connection, i int) *permissionGroup {
	if i < len(p.groups) {
		return &p.groups[i]
	}
	return &c.fragment.groups[i-len(p.groups)]
}

// rulesFor gives every rule that people of connection c are held against, and
// those of other connections in the base.
func (p *Policy) rulesFor(c *connection) []*rule {
	rules := make([]*rule, 0, len(p.rules))
	for i := range p.rules {
		rules = append(rules, &p.rules[i])
	}
	if c != nil && c.fragment != nil {
		for i := range c.fragment.rules {
			rules = append(rules, &c.fragment.rules[i])
		}
		slices.SortFunc(rules, func(a, b *rule) int { return compare(a.id.text, b.id.text) })
	}
	return rules
}

// hashOf is the hash of a policy made of several files.
func hashOf(root *record, others []*record) string {
	if len(others) == 0 {
		return hex.EncodeToString(root.hash[:])
	}
	h := sha256.New()
	h.Write(root.hash[:])
	keys := make([]string, 0, len(others))
	for _, rec := range others {
		keys = append(keys, rec.key())
	}
	slices.Sort(keys)
	for _, key := range keys {
		h.Write([]byte(key))
	}
	return hex.EncodeToString(h.Sum(nil))
}
