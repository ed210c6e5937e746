package mapping

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// expiresSoon is how long before its end a grant is worth a word.
const expiresSoon = 14 * 24 * time.Hour

// Warnings is what is allowed but deserves a look, in the order of the files.
// What depends on the time is in [Policy.WarningsAt] alone.
func (p *Policy) Warnings() []Problem { return p.WarningsAt(time.Time{}) }

// WarningsAt is [Policy.Warnings] with what is worth a word at a time: grants
// that end within two weeks, and rules that are over.
func (p *Policy) WarningsAt(at time.Time) []Problem {
	l := &linter{policy: p, at: at, granted: newBitset(len(p.roles)), used: make(map[string]bool)}
	l.connections()
	for _, part := range p.parts() {
		for i := range part.rules {
			r := &part.rules[i]
			l.uses(part, r)
			l.rule(r)
		}
	}
	for i := range p.roles {
		l.gateTasks(&p.roles[i])
		if !l.granted.has(i) {
			l.warn(p.roles[i].at, "no rule grants role %q", p.roles[i].decl.Name)
		}
	}
	for _, part := range p.parts() {
		l.groups(part)
	}
	return sortProblems(l.found)
}

// linter finds what is allowed and yet seldom meant.
type linter struct {
	faults
	policy  *Policy
	at      time.Time
	granted bitset
	used    map[string]bool // permission groups, after their connection
}

func (l *linter) warn(at pos, format string, args ...any) {
	if len(l.found) < maxProblems && at.in != nil {
		l.found = append(l.found, placed{l.problem(at, fmt.Sprintf(format, args...)), at.in.order})
	}
}

// uses notes the permission groups that a rule names: the part's own, or those
// of the base.
func (l *linter) uses(part *part, r *rule) {
	for _, c := range r.ruleDecl.permission {
		of := part.connection
		if _, own := part.groupNumber[c.group.text]; !own {
			of = ""
		}
		l.used[of+"\x00"+c.group.text] = true
	}
}

func (l *linter) rule(r *rule) {
	p := l.policy
	if len(r.domains) > 0 && r.effect != effectGrant {
		l.warn(r.domains[0].at, "rule %q takes rights away by e-mail domain: it does not reach people whose address nobody vouches for", r.id.text)
	}
	if r.when != nil && readsEmail.MatchString(r.when.text) && !strings.Contains(r.when.text, "emailVerified") {
		l.warn(r.when.at, "rule %q looks at user.email and not at user.emailVerified: people may be able to write any address there", r.id.text)
	}
	l.time(r)
	if r.effect != effectGrant {
		return
	}
	if r.connection.text == "*" {
		l.warn(r.connection.at, `rule %q grants on every connection ("*"): whoever runs one of them decides who gets it`, r.id.text)
	}
	for _, n := range r.grants {
		l.granted.add(p.roles[n].closure)
		if p.reach.has(n) || p.local.has(n) {
			l.privileged(r, p.roles[n].decl.Name)
		}
	}
	if c := p.connections[r.connection.text]; c != nil && !c.unrestricted {
		for _, n := range r.grants {
			if !p.roles[n].closure.meets(c.roles) {
				l.warn(placeOf(r, p.roles[n].decl.Name), "rule %q grants role %q, which is above the ceiling of connection %q", r.id.text, p.roles[n].decl.Name, c.id)
				continue
			}
			l.below(r, c, n)
		}
	}
}

// below warns of rights in the gate that a role inherits from roles which the
// ceiling of the rule's connection keeps: whoever gets the rest has no console.
func (l *linter) below(r *rule, c *connection, role int) {
	roles := l.policy.roles
	for i := range roles[role].closure.all() {
		if lost := l.ownTasks(i); len(lost) > 0 && !c.roles.has(i) {
			l.warn(placeOf(r, roles[role].decl.Name), "rule %q grants role %q without %s: the ceiling of connection %q does not let role %q through",
				r.id.text, roles[role].decl.Name, strings.Join(lost, ", "), c.id, roles[i].decl.Name)
		}
	}
}

// voided warns of rights in the gate that a ceiling takes from a role which it
// lets through.
func (l *linter) voided(c *connection, listed []name) {
	roles, told := l.policy.roles, newBitset(len(l.policy.roles))
	for _, n := range listed {
		for i := range roles[l.policy.roleNumber[n.text]].closure.all() {
			lost := l.ownTasks(i)
			if len(lost) == 0 || !c.roles.has(i) || c.listed.has(i) || told.has(i) {
				continue
			}
			told.set(i)
			why := "it has no scope: organization"
			if roles[i].decl.Organization {
				why = "it is not listed itself"
			}
			l.warn(n.at, "the ceiling of connection %q takes %s from role %q: %s", c.id, strings.Join(lost, ", "), roles[i].decl.Name, why)
		}
	}
}

// ownTasks lists the tasks of a role, itself, that are rights in the gate.
func (l *linter) ownTasks(role int) (out []string) {
	for _, t := range l.policy.roles[role].decl.Tasks {
		if slices.Contains(gateTaskNames(), t) {
			out = append(out, t)
		}
	}
	return out
}

// gateTasks warns of rights in the gate that it does not have: whoever holds
// the role could do nothing with them.
func (l *linter) gateTasks(r *role) {
	known := gateTaskNames()
	for _, t := range r.decl.Tasks {
		if !strings.HasPrefix(t, gateTask) || slices.Contains(known, t) {
			continue
		}
		meant, hint := l.suggest(t, known)
		if meant == "" {
			hint = "; want one of " + list(known)
		}
		l.warn(r.at, "role %q has task %q, which the gate does not know%s", r.decl.Name, clip(t), hint)
	}
}

// placeOf finds where a rule names a role.
func placeOf(r *rule, role string) pos {
	for _, n := range r.roles {
		if n.text == role {
			return n.at
		}
	}
	return r.at
}

var readsEmail = regexp.MustCompile(`\buser\s*\.\s*\??\s*email\b`)

func (l *linter) time(r *rule) {
	if l.at.IsZero() || r.valid.until.IsZero() {
		return
	}
	switch left := r.valid.until.Sub(l.at); {
	case left <= 0:
		l.warn(r.valid.untilAt, "rule %q expired %s ago", r.id.text, span(-left))
	case left <= expiresSoon && r.effect == effectGrant && r.valid.holds(l.at):
		l.warn(r.valid.untilAt, "rule %q grants for %s more", r.id.text, span(left))
	}
}

// privileged warns of grants of a role that is or inherits a privileged one.
func (l *linter) privileged(r *rule, role string) {
	for _, s := range r.groups {
		if s.glob() || s.re != nil {
			l.warn(s.at, "rule %q grants privileged role %q to every group that is called %q", r.id.text, role, s.text)
		}
	}
	for _, t := range r.userTypes {
		if strings.EqualFold(t.text, "Guest") {
			l.warn(t.at, "rule %q grants privileged role %q to guests", r.id.text, role)
		}
	}
	if r.conditions() == 0 && len(r.claims) == 0 && r.when == nil {
		l.warn(r.id.at, "rule %q grants privileged role %q to everybody of connection %q", r.id.text, role, r.connection.text)
	}
}

func (l *linter) groups(part *part) {
	for i := range part.groups {
		g := &part.groups[i]
		if !l.used[part.connection+"\x00"+g.name] {
			l.warn(g.at, "no rule uses permission group %q", g.name)
		}
		if g.unrestricted {
			continue
		}
		mentioned := make(map[string]bool, len(g.limits))
		for _, m := range g.limits {
			mentioned[m.attribute.text] = true
		}
		for _, a := range l.policy.attributes {
			if a.MissingNone && !mentioned[a.Name] && !l.restrictsOnly(g.name) {
				l.warn(g.at, "permission group %q shows no row: it does not mention %s, which is onMissing: none", g.name, a.Name)
			}
		}
	}
}

// restrictsOnly reports whether a group is used to restrict and for nothing
// else: there, what is not mentioned is free.
func (l *linter) restrictsOnly(group string) bool {
	found := false
	for _, part := range l.policy.parts() {
		for i := range part.rules {
			r := &part.rules[i]
			for _, c := range r.ruleDecl.permission {
				if c.group.text != group {
					continue
				}
				if r.effect == effectGrant {
					return false
				}
				found = true
			}
		}
	}
	return found
}

func (l *linter) connections() {
	p := l.policy
	var missing []string
	for _, id := range p.configured {
		if p.connections[id] == nil {
			missing = append(missing, id)
		}
	}
	first := pos{}
	for _, c := range p.homes {
		if first.in == nil || c.at.line < first.line || c.at.line == first.line && c.at.col < first.col {
			first = c.at
		}
	}
	if len(missing) > 0 {
		l.warn(first, "nobody can sign in through %s: the gate has it and this file does not", strings.Join(missing, ", "))
	}
	for _, c := range p.homes {
		l.voided(c, p.ceilings[c.id])
		for _, n := range p.ceilings[c.id] {
			if i := p.roleNumber[n.text]; p.reach.has(i) || p.local.has(i) && !c.covers(p.base, i) {
				l.warn(n.at, "the ceiling of connection %q lists privileged role %q, which no ceiling lets through", c.id, n.text)
			}
		}
	}
}
