package mapping

import (
	"fmt"
	"slices"
	"strings"
)

// RuleTrace says of one rule whether it matched, and at which condition.
type RuleTrace struct {
	ID      string
	Line    int    // of the rule
	Effect  string // what it does when it matches
	Matched bool
	At      int    // line of the condition that decided
	Why     string // in words
}

// trace looks at one rule the plain way, without the index. The two must
// agree; a property test holds them together.
func (p *Policy) trace(r *rule, f *Facts) RuleTrace {
	t := RuleTrace{ID: r.id.text, Line: r.at.line, Effect: p.effect(r), At: r.connection.at.line}
	switch {
	case p.connections[f.Connection] == nil:
		t.Why = fmt.Sprintf("connection %q is not in the file", f.Connection)
	case r.connection.text != "*" && r.connection.text != f.Connection:
		t.Why = fmt.Sprintf("is for connection %q, they come through %q", r.connection.text, f.Connection)
	case f.GroupsIncomplete && !p.canProceed(f):
		t.Why = "groups are incomplete, so no rule is looked at (incompleteGroups)"
	case len(r.groups) == 0:
		t.Matched = true
		t.Why = "everybody of connection " + f.Connection
	default:
		p.traceGroups(&t, r, f)
	}
	return t
}

func (p *Policy) traceGroups(t *RuleTrace, r *rule, f *Facts) {
	for _, s := range r.groups {
		if g, how := p.selected(s, f); how != "" {
			t.Matched, t.At = true, s.at.line
			t.Why = fmt.Sprintf("%s group %s is %s%s", how, quote(g), s, labelled(s))
			return
		}
	}
	t.At = r.groups[0].at.line
	onAsserted := slices.ContainsFunc(r.groups, func(s selector) bool { return s.kind != bySCIM })
	if f.GroupsIncomplete && p.defaults.incomplete == incompleteProceed && r.effect != effectGrant && onAsserted {
		t.Matched = true
		t.Why = "groups are incomplete, so a deny that tests them counts as matched (incompleteGroups: proceed)"
		return
	}
	wanted := make([]string, 0, len(r.groups))
	for _, s := range r.groups {
		wanted = append(wanted, s.String()+labelled(s))
	}
	if len(wanted) > 5 {
		wanted = append(wanted[:5], fmt.Sprintf("%d more", len(wanted)-5))
	}
	t.Why = "no group of theirs is " + list(wanted)
}

func labelled(s selector) string {
	if s.label == "" {
		return ""
	}
	return " (" + s.label + ")"
}

// selected gives the first group that a selector selects, and how it is known.
func (p *Policy) selected(s selector, f *Facts) (group, how string) {
	if s.kind == bySCIM {
		for _, g := range f.Pushed {
			for _, text := range []string{g.Name, g.ExternalID} {
				if text != "" && s.selects(text) {
					return text, "pushed"
				}
			}
		}
		return "", ""
	}
	for _, g := range f.Groups {
		if s.selects(g) {
			return g, "asserted"
		}
	}
	if f.GroupsIncomplete && p.defaults.incomplete == incompleteLastKnown {
		for _, g := range f.LastKnownGroups {
			if s.selects(g) {
				return g, "last known"
			}
		}
	}
	return "", ""
}

// selects reports whether the text of a group is what the selector asks for.
func (s selector) selects(group string) bool {
	switch {
	case s.glob():
		return globMatch(s.text, group)
	case s.kind != byName && isGUID(s.text):
		return strings.EqualFold(s.text, group)
	default:
		return s.text == group
	}
}

// effect says in words what a rule does.
func (p *Policy) effect(r *rule) string {
	switch r.effect {
	case effectDenyLogin:
		return "deny login"
	case effectDenyRoles:
		return "deny roles " + strings.Join(distinct(r.roles), ", ")
	default:
		parts := make([]string, 0, 2)
		if len(r.roles) > 0 {
			parts = append(parts, "roles "+strings.Join(distinct(r.roles), ", "))
		}
		if len(r.ruleDecl.permission) > 0 {
			parts = append(parts, "permission groups "+strings.Join(distinct(r.ruleDecl.permission), ", "))
		}
		return "grant " + strings.Join(parts, " and ")
	}
}

// NearMiss is a rule that almost matched, and what would have to change.
type NearMiss struct {
	Rule string
	Line int // of the condition
	Text string
}

// maxNearMisses bounds what is said of one rule.
const maxNearMisses = 3

// nearMisses looks for the usual reasons why a rule that should match does
// not.
func (p *Policy) nearMisses(r *rule, f *Facts) []NearMiss {
	var misses []NearMiss
	add := func(s selector, format string, args ...any) {
		if len(misses) < maxNearMisses {
			misses = append(misses, NearMiss{r.id.text, s.at.line, fmt.Sprintf(format, args...)})
		}
	}
	elsewhere := r.connection.text != "*" && r.connection.text != f.Connection
	for _, s := range r.groups {
		if group, how := p.selected(s, f); elsewhere && how != "" {
			add(s, "%s group %s is what the rule asks for, but on connection %q; they come through %q", how, quote(group), r.connection.text, f.Connection)
		}
		if !elsewhere {
			p.nearSelector(s, f, add)
		}
	}
	return misses
}

func (p *Policy) nearSelector(s selector, f *Facts, add func(selector, string, ...any)) {
	pushed := make([]string, 0, 2*len(f.Pushed))
	for _, g := range f.Pushed {
		pushed = append(pushed, g.Name, g.ExternalID)
	}
	here, there, are, other := f.Groups, pushed, "asserted at sign-in", "pushed over SCIM"
	if s.kind == bySCIM {
		here, there, are, other = there, here, other, are
	}
	for _, g := range here {
		switch {
		case g == "":
		case strings.EqualFold(strings.TrimSpace(g), strings.TrimSpace(s.text)),
			s.glob() && globMatch(strings.ToLower(s.text), strings.ToLower(strings.TrimSpace(g))):
			add(s, "group %s is %s; the rule asks for %s: upper and lower case or spaces differ", quote(g), are, s)
		case s.kind == byID && s.label != "" && strings.EqualFold(g, s.label):
			add(s, "group %s arrives by its name; the rule asks for %s: its display name arrives where the id is expected", quote(g), s)
		}
	}
	for _, g := range there {
		if g != "" && s.selects(g) {
			add(s, "group %s is %s only; the rule asks for %s, which sees groups that are %s", quote(g), other, s, are)
		}
	}
	if s.kind == bySCIM {
		return
	}
	for _, g := range f.Pushed {
		if s.kind == byName && s.selects(g.Name) && slices.Contains(f.Groups, g.ExternalID) {
			add(s, "group %s arrives by its id %s; the rule asks for %s: an id arrives where the display name is expected", quote(g.Name), quote(g.ExternalID), s)
		}
	}
	if f.GroupsIncomplete {
		add(s, "groups are incomplete: %s may be among those that the identity provider left out", s)
	}
}
