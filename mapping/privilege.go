package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// PrivilegedChanges says in words, sorted, what updated changes of who may
// hold privileged roles and how far connections reach, against old, which may
// be nil. A role counts as privileged here when it is marked so or has a task
// of the gate itself (gate.…), or inherits a role that does.
//
// Everything is listed that may raise what somebody holds of those: rules that
// grant them, the marks of roles (privileged, assignableBy, scope), their tasks
// and what they inherit, denials and constraints that stand in the way,
// ceilings, and the default for incomplete groups. So are changes of these that
// only take away, but for a new denial: whoever shuts a door need not ask. What
// is left out, such as notes, tests, data and ordinary roles, cannot raise it.
func PrivilegedChanges(old, updated *Policy) []string {
	var w watch
	for i, p := range []*Policy{old, updated} {
		if p != nil {
			w[i] = newPowers(p)
		}
	}
	out := slices.Concat(w.roles(), w.rules(), w.constraints(), w.ceilings())
	now := updated.defaults.incomplete
	if old != nil && old.defaults.incomplete != now && now != incompleteDeny && !w[1].privileged.empty() {
		out = append(out, "changed: defaults.incompleteGroups")
	}
	return sortedSet(out)
}

// watch is the powers of the policy before, nil if there was none, and after.
type watch [2]*powers

// powers is what decides in one policy who may hold privileged roles.
type powers struct {
	*Policy
	privileged bitset // roles that are, or inherit one that is
	inner      bitset // those, and what they inherit
	counted    bitset // roles whose grant can violate a constraint that takes another, privileged one away
	capable    map[string]bool
	anywhere   bool // any connection is capable
}

func newPowers(p *Policy) *powers {
	w := &powers{Policy: p, capable: make(map[string]bool)}
	n := len(p.roles)
	w.privileged, w.inner, w.counted = newBitset(n), newBitset(n), newBitset(n)
	named := newBitset(n)
	for i := range p.roles {
		r := &p.roles[i]
		if r.decl.Privileged || slices.ContainsFunc(r.tasks, p.gate.has) {
			named.set(i)
		}
	}
	for i := range p.roles {
		if p.roles[i].closure.meets(named) {
			w.privileged.set(i)
			w.inner.add(p.roles[i].closure)
		}
	}
	apart := newBitset(n) // roles without which somebody may keep another that is privileged
	for i := range p.constraints {
		c := &p.constraints[i]
		if !w.guards(c) || c.violation == violationWarn {
			continue
		}
		for one := range c.exclusive.all() {
			others := slices.Clone(c.exclusive)
			others.clear(one)
			if c.violation == violationDenyLogin || others.meets(w.inner) {
				apart.set(one)
			}
		}
	}
	for i := range p.roles {
		if p.roles[i].closure.meets(apart) {
			w.counted.set(i)
		}
	}
	for id, c := range p.connections {
		w.capable[id] = c.unrestricted && !w.privileged.empty() || c.roles.meets(w.privileged)
		w.anywhere = w.anywhere || w.capable[id]
	}
	return w
}

// guards reports whether a constraint can take a privileged role away, or
// speaks of one.
func (w *powers) guards(c *constraint) bool {
	return c.exclusive.meets(w.inner) || c.violation == violationDenyLogin && !w.privileged.empty()
}

// part of what decides, as it stands in one policy.
type power struct {
	content string // all that has an effect
	what    string // in words, after its name
	matters bool
	takes   bool // that it appears can raise nothing
}

// changes compares parts by name.
func changes(before, after map[string]power) (out []string) {
	for id, a := range after {
		b, known := before[id]
		switch {
		case !known && a.matters && !a.takes:
			out = append(out, "new: "+id+a.what)
		case known && a.content != b.content && (a.matters || b.matters):
			what := a.what
			if what == "" {
				what = b.what
			}
			out = append(out, "changed: "+id+what)
		}
	}
	for id, b := range before {
		if _, still := after[id]; !still && b.matters {
			out = append(out, "gone: "+id+b.what)
		}
	}
	return out
}

func (w watch) each(of func(*powers) map[string]power) []string {
	var parts [2]map[string]power
	for i, side := range w {
		if side != nil {
			parts[i] = of(side)
		}
	}
	return changes(parts[0], parts[1])
}

// roles compares the marks of every role, and of those that count the tasks
// and what they inherit.
func (w watch) roles() (out []string) {
	before := w[0].byName()
	for name, i := range w[1].byName() {
		a := w[1].roles[i].decl
		j, known := before[name]
		if !known {
			if marks(a) != "" || w[1].privileged.has(i) {
				out = append(out, "new: role "+name+marks(a))
			}
			continue
		}
		delete(before, name)
		b := w[0].roles[j].decl
		privileged := w[0].privileged.has(j) || w[1].privileged.has(i)
		inner := privileged || w[0].inner.has(j) || w[1].inner.has(i) || w[0].counted.has(j) || w[1].counted.has(i)
		switch {
		case a.Privileged != b.Privileged || a.Organization != b.Organization || !slices.Equal(a.AssignableBy, b.AssignableBy):
			out = append(out, "changed: role "+name+marks(a))
		case privileged && !slices.Equal(a.Tasks, b.Tasks):
			out = append(out, "changed: the tasks of role "+name)
		case inner && !slices.Equal(a.Inherits, b.Inherits):
			out = append(out, "changed: what role "+name+" inherits")
		}
	}
	for name, j := range before {
		if b := w[0].roles[j].decl; marks(b) != "" || w[0].privileged.has(j) {
			out = append(out, "gone: role "+name+marks(b))
		}
	}
	return out
}

// byName gives the numbers of the roles.
func (w *powers) byName() map[string]int {
	if w == nil {
		return map[string]int{}
	}
	return maps.Clone(w.roleNumber)
}

// marks says how a role is marked.
func marks(r Role) string {
	var words []string
	if r.Privileged {
		words = append(words, "privileged")
	}
	if r.Organization {
		words = append(words, "scope organization")
	}
	if len(r.AssignableBy) > 0 {
		words = append(words, "assignableBy "+strings.Join(r.AssignableBy, " and "))
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, ", ")
}

// rules compares those that may decide who holds privileged roles. A rule is
// known by its id and its connection, in whichever file it stands.
func (w watch) rules() []string {
	return w.each(func(p *powers) map[string]power {
		out := make(map[string]power)
		for _, part := range p.parts() {
			for i := range part.rules {
				r := &part.rules[i]
				out[fmt.Sprintf("rule %s of connection %s", r.id.text, r.connection.text)] = p.rule(r)
			}
		}
		return out
	})
}

// rule says how a rule decides who holds privileged roles. Where a connection
// can give none, denials and constraints decide nothing of that.
func (w *powers) rule(r *rule) power {
	x := power{content: content(r)}
	capable := w.anywhere
	if r.connection.text != "*" {
		capable = w.capable[r.connection.text]
	}
	switch r.effect {
	case effectGrant:
		var granted []string
		counts := false
		for _, n := range r.grants {
			if w.privileged.has(n) {
				granted = append(granted, w.roles[n].decl.Name)
			}
			counts = counts || w.counted.has(n)
		}
		switch {
		case len(granted) > 0:
			x.matters, x.what = true, " grants privileged role "+strings.Join(granted, " and ")
		case counts && capable:
			x.matters, x.takes, x.what = true, true, " grants a role that a constraint keeps apart"
		}
	case effectDenyLogin:
		x.matters, x.takes, x.what = capable, true, " denies login"
	case effectDenyRoles:
		x.takes, x.what = true, " denies a role that privileged ones hang on"
		for i := range w.roles {
			if !w.roles[i].closure.meets(r.denied) {
				continue
			}
			x.matters = x.matters || capable && (w.privileged.has(i) || w.counted.has(i))
			x.takes = x.takes && !w.counted.has(i) // it may undo a violation
		}
	case effectRestrict:
	}
	return x
}

// content is everything of a rule that has an effect, the same however it is
// written.
func content(r *rule) string {
	var b strings.Builder
	part := func(what string, texts []string) { fmt.Fprintf(&b, "%s %q\n", what, sortedSet(texts)) }
	groups := make([]string, len(r.groups))
	for i, s := range r.groups {
		text := s.text
		if (s.kind == byID || s.kind == bySCIM) && isGUID(text) {
			text = strings.ToLower(text)
		}
		groups[i] = s.kind.String() + " " + text
	}
	part("groups", groups)
	part("appRoles", texts(r.appRoles))
	part("emailDomain", texts(r.domains))
	part("userType", texts(r.userTypes))
	claims := make([]string, len(r.claims))
	for i, c := range r.claims {
		values := make([]string, len(c.values))
		for j, v := range c.values {
			values[j] = v.String()
		}
		claims[i] = fmt.Sprintf("%s %q", c.name.text, sortedSet(values))
	}
	part("claims", claims)
	if r.when != nil {
		fmt.Fprintf(&b, "when %q\n", r.when.text)
	}
	fmt.Fprintf(&b, "valid %s %s\neffect %d\n", r.valid.from.UTC().Format(time.RFC3339Nano), r.valid.until.UTC().Format(time.RFC3339Nano), r.effect)
	part("roles", texts(r.roles))
	calls := make([]string, len(r.ruleDecl.permission))
	for i, c := range r.ruleDecl.permission {
		args := make([]string, len(c.args))
		for j, a := range c.args {
			args[j] = fmt.Sprintf("%q %q", a.param.text, a.value.text)
		}
		calls[i] = fmt.Sprintf("%q %q", c.group.text, sortedSet(args))
	}
	part("permissionGroups", calls)
	return b.String()
}

func (w watch) constraints() []string {
	return w.each(func(p *powers) map[string]power {
		out := make(map[string]power)
		for i := range p.constraints {
			c := &p.constraints[i]
			roles := names(c.exclusive, func(i int) string { return p.roles[i].decl.Name })
			out["constraint "+c.id] = power{
				content: fmt.Sprintf("exclusive %q %d", roles, c.violation), what: " keeps " + strings.Join(roles, " and ") + " apart",
				matters: p.guards(c), takes: !c.exclusive.meets(p.inner),
			}
		}
		for _, c := range p.caps {
			out["constraint "+c.ID] = power{
				content: fmt.Sprintf("cap %q %d", c.Role, c.MaxUsers), what: " limits role " + c.Role, matters: p.privileged.has(p.roleNumber[c.Role]),
			}
		}
		return out
	})
}

// ceilings compares the most that each connection can give, and whether it is
// closed, because its fragment is broken.
func (w watch) ceilings() []string {
	out := w.each(func(p *powers) map[string]power {
		out := make(map[string]power, len(p.connections))
		for id, c := range p.connections {
			where, err := json.Marshal(c.allOf)
			if err != nil {
				where = []byte(err.Error()) // impossible: it is strings alone
			}
			out["ceiling of connection "+id] = power{
				content: fmt.Sprintf("%t %q %s", c.unrestricted, distinct(p.ceilings[id]), where), matters: true,
			}
		}
		return out
	})
	for id, c := range w[1].connections {
		if w[0] == nil || c.closed || !w[1].capable[id] {
			continue
		}
		if was := w[0].connections[id]; was != nil && was.closed {
			out = append(out, "opened: connection "+id+", whose fragment was broken")
		}
	}
	return out
}

// Assignment is a role that somebody may hand out.
type Assignment struct {
	Role string
	// Organization limits it to people of the holder's own organization and of
	// those below it.
	Organization bool
}

// Assignable lists by name the roles that a holder of some roles may hand out:
// those that are assignableBy one of them, for people of their own
// organization alone where each of these has scope: organization. What a role
// inherits is handed out with it, so a role is in the list only when the
// holder may hand out, or holds, every privileged one of these as well. The
// roles held are those of an [Access], with what they inherit.
func (p *Policy) Assignable(held []string) []Assignment {
	by := make(map[string]Role, len(held))
	for _, name := range held {
		if i, ok := p.roleNumber[name]; ok {
			by[name] = p.roles[i].decl
		}
	}
	may := make(map[string]Assignment)
	for i := range p.roles {
		r := &p.roles[i].decl
		for _, name := range r.AssignableBy {
			holder, ok := by[name]
			if !ok {
				continue
			}
			a, known := may[r.Name]
			may[r.Name] = Assignment{Role: r.Name, Organization: holder.Organization && (!known || a.Organization)}
		}
	}
	var out []Assignment
	for _, name := range slices.Sorted(maps.Keys(may)) {
		whole := true
		for i := range p.roles[p.roleNumber[name]].closure.all() {
			r := &p.roles[i].decl
			_, handed := may[r.Name]
			_, holds := by[r.Name]
			whole = whole && (!r.Privileged || handed || holds)
		}
		if whole {
			out = append(out, may[name])
		}
	}
	return out
}
