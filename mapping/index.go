package mapping

// index finds the rules that a group, an application role, a domain or a type
// of user makes match, without looking at the others. A rule hangs on one of
// its conditions; what else it asks for is looked at when it is found.
type index struct {
	always   []int32 // rules that hang on nothing
	asserted groupIndex
	pushed   groupIndex
	appRoles map[string][]int32
	domains  map[string][]int32 // in lower case
	types    map[string][]int32
	// onAsserted holds the deny and restrict rules that test asserted groups:
	// when those are incomplete and the file says proceed, they count as
	// matched.
	onAsserted []int32
}

// groupIndex finds rules by the text of a group. Most groups of a person are
// in no rule, so the lengths and the first bytes are looked at before any
// table is.
type groupIndex struct {
	used    bool // there is anything to find
	exact   map[string][]int32
	lengths bytes256                     // of the keys of exact, modulo 256
	guid    map[[guidLength]byte][]int32 // in lower case
	globs   globs
}

// bytes256 is a set of bytes.
type bytes256 [4]uint64

func (b *bytes256) set(c byte)      { b[c>>6] |= 1 << (c & 63) }
func (b *bytes256) has(c byte) bool { return b[c>>6]&(1<<(c&63)) != 0 }

func (x *index) add(r *rule, number int32) {
	hang := func(on *map[string][]int32, texts []name) {
		if *on == nil {
			*on = make(map[string][]int32)
		}
		for _, t := range texts {
			(*on)[t.text] = append((*on)[t.text], number)
		}
	}
	switch {
	case len(r.groups) > 0:
		x.addGroups(r, number)
	case len(r.appRoles) > 0:
		hang(&x.appRoles, r.appRoles)
	case len(r.domains) > 0:
		hang(&x.domains, r.domains)
	case len(r.userTypes) > 0:
		hang(&x.types, r.userTypes)
	default:
		x.always = append(x.always, number)
	}
}

func (x *index) addGroups(r *rule, number int32) {
	onAsserted := false
	for _, s := range r.groups {
		g := &x.asserted
		if s.kind == bySCIM {
			g = &x.pushed
		} else {
			onAsserted = true
		}
		g.add(s, number)
	}
	if onAsserted && r.effect != effectGrant {
		x.onAsserted = append(x.onAsserted, number)
	}
}

func (g *groupIndex) add(s selector, number int32) {
	g.used = true
	switch {
	case s.re != nil:
		g.globs.addRegexp(s.re, number)
	case s.glob():
		g.globs.add(s.text, number)
	case s.kind != byName && isGUID(s.text):
		if g.guid == nil {
			g.guid = make(map[[guidLength]byte][]int32)
		}
		key := foldGUID(s.text)
		g.guid[key] = append(g.guid[key], number)
	default:
		if g.exact == nil {
			g.exact = make(map[string][]int32)
		}
		g.exact[s.text] = append(g.exact[s.text], number)
		g.lengths.set(byte(len(s.text))) //nolint:gosec // the length modulo 256 is what is meant
	}
}

// match marks the rules that one group makes match.
func (g *groupIndex) match(group string, hit bitset) {
	if g.lengths.has(byte(len(group))) { //nolint:gosec // the length modulo 256 is what is meant
		for _, r := range g.exact[group] {
			hit.set(int(r))
		}
	}
	if len(group) == guidLength && len(g.guid) > 0 {
		// What is no GUID is no key, so there is no need to look twice.
		for _, r := range g.guid[foldGUID(group)] {
			hit.set(int(r))
		}
	}
	g.globs.match(group, hit)
}

const guidLength = 36

// isGUID reports whether s has the form of a GUID (RFC 9562, section 4).
func isGUID(s string) bool {
	if len(s) != guidLength {
		return false
	}
	for i := range len(s) {
		switch c := lower(s[i]); i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

// foldGUID is the lower case of a text that is as long as a GUID.
func foldGUID(s string) [guidLength]byte {
	var key [guidLength]byte
	copy(key[:], s)
	for i, c := range key {
		key[i] = lower(c)
	}
	return key
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
