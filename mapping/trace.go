package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// RuleTrace says of one rule whether it matched, and at which condition.
type RuleTrace struct {
	ID      string
	File    string
	Line    int    // of the rule
	Effect  string // what it does when it matches
	Matched bool
	At      int    // line of the condition that decided
	Why     string // in words

	Elsewhere bool // it is for another connection
}

// finding is what came of one condition.
type finding struct {
	holds bool
	at    pos
	why   string
}

// trace looks at one rule the plain way, without the index. The two must
// agree; a property test holds them together.
func (p *Policy) trace(r *rule, f *Facts, at time.Time) RuleTrace {
	t := RuleTrace{ID: r.id.text, File: r.at.file(), Line: r.at.line, Effect: p.effect(r), At: r.connection.at.line}
	c := p.connections[f.Connection]
	switch {
	case c == nil:
		t.Why = fmt.Sprintf("connection %q is not in the file", f.Connection)
		return t
	case r.connection.text != "*" && r.connection.text != f.Connection:
		t.Elsewhere = true
		t.Why = fmt.Sprintf("is for connection %q, they come through %q", r.connection.text, f.Connection)
		return t
	case c.closed:
		t.Why = "the fragment of the connection is broken, so no rule is looked at"
		return t
	case f.GroupsIncomplete && !p.canProceed(f):
		t.Why = "groups are incomplete, so no rule is looked at (incompleteGroups)"
		return t
	}
	findings := p.findings(r, f, at)
	t.Matched = true
	why := make([]string, 0, len(findings))
	for i, x := range findings {
		if i == 0 || !x.holds {
			t.At = x.at.line
		}
		if !x.holds {
			t.Matched, t.Why = false, x.why
			return t
		}
		why = append(why, x.why)
	}
	t.Why = strings.Join(why, "; ")
	if len(why) == 0 {
		t.Why = "everybody of connection " + f.Connection
	}
	return t
}

// findings looks at the conditions of a rule in their order, time last.
func (p *Policy) findings(r *rule, f *Facts, at time.Time) []finding {
	var out []finding
	if len(r.groups) > 0 {
		out = append(out, p.findGroups(r, f))
	}
	one := func(what string, wanted []name, have []string, holds bool) {
		if len(wanted) == 0 {
			return
		}
		x := finding{holds: holds, at: wanted[0].at}
		for _, w := range wanted {
			if holds && slices.Contains(have, w.text) {
				x.at, x.why = w.at, what+" is "+quote(w.text)
				break
			}
		}
		if !holds {
			x.why = fmt.Sprintf("%s is %s", what, quotedOr(have, "none"))
			x.why += "; the rule asks for " + quotedOr(texts(wanted), "")
		}
		out = append(out, x)
	}
	one("app role", r.appRoles, f.AppRoles, anyOf(r.appRoles, f.AppRoles))
	domain := "verified e-mail domain"
	if !f.EmailVerified && f.Email != "" {
		domain = "e-mail domain that nobody vouches for"
	}
	one(domain, r.domains, nonEmpty(domainOf(f.Email)), inDomain(r.domains, f))
	one("user type", r.userTypes, nonEmpty(f.UserType), isOne(r.userTypes, f.UserType))
	for i := range r.claims {
		out = append(out, r.claims[i].find(f.AllClaims()))
	}
	if r.when != nil {
		out = append(out, p.findWhen(r, f))
	}
	if r.valid.set() {
		out = append(out, r.valid.find(at))
	}
	return out
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// quotedOr lists words in quotes, the first few of them.
func quotedOr(words []string, none string) string {
	if len(words) == 0 {
		return none
	}
	quoted := make([]string, 0, len(words))
	for _, w := range words {
		quoted = append(quoted, quote(clip(w)))
	}
	if len(quoted) > 5 {
		quoted = append(quoted[:5], fmt.Sprintf("%d more", len(quoted)-5))
	}
	return list(quoted)
}

func (c *claimDecl) find(claims map[string]any) finding {
	value, has := claims[c.name.text]
	wanted := make([]string, 0, len(c.values))
	for _, v := range c.values {
		wanted = append(wanted, v.String())
	}
	switch {
	case c.holds(claims):
		return finding{true, c.name.at, fmt.Sprintf("claim %s is %s", c.name.text, shownValue(value))}
	case !has:
		return finding{false, c.name.at, fmt.Sprintf("claim %s is not there; the rule asks for %s", c.name.text, list(wanted))}
	default:
		return finding{false, c.name.at, fmt.Sprintf("claim %s is %s; the rule asks for %s", c.name.text, shownValue(value), list(wanted))}
	}
}

func (p *Policy) findWhen(r *rule, f *Facts) finding {
	s := &scratch{}
	result, err := p.condition(s, r, f)
	switch {
	case errors.Is(err, errIncomplete):
		return finding{r.effect != effectGrant, r.when.at, "groups are incomplete, so what when says of them is unknown: a grant does not apply, a deny or restrict does"}
	case err != nil && r.effect == effectGrant:
		return finding{false, r.when.at, fmt.Sprintf("when cannot be evaluated (%s), so a grant does not apply", clip(err.Error()))}
	case err != nil:
		return finding{true, r.when.at, fmt.Sprintf("when cannot be evaluated (%s), so a deny or restrict applies", clip(err.Error()))}
	default:
		return finding{result, r.when.at, fmt.Sprintf("when is %v: %s", result, clip(r.when.text))}
	}
}

func (w window) find(at time.Time) finding {
	switch {
	case at.Before(w.from):
		return finding{false, w.fromAt, "is not valid before " + w.from.Format(time.RFC3339)}
	case !w.holds(at):
		return finding{false, w.untilAt, "expired at " + w.until.Format(time.RFC3339)}
	case w.until.IsZero():
		return finding{true, w.fromAt, "valid from " + w.from.Format(time.RFC3339)}
	default:
		return finding{true, w.untilAt, "valid until " + w.until.Format(time.RFC3339)}
	}
}

func (p *Policy) findGroups(r *rule, f *Facts) finding {
	for _, s := range r.groups {
		if g, how := p.selected(s, f); how != "" {
			return finding{true, s.at, fmt.Sprintf("%s group %s is %s%s", how, quote(g), s, labelled(s))}
		}
	}
	at := r.groups[0].at
	onAsserted := slices.ContainsFunc(r.groups, func(s selector) bool { return s.kind != bySCIM })
	if f.GroupsIncomplete && p.defaults.incomplete == incompleteProceed && r.effect != effectGrant && onAsserted {
		what := "deny"
		if r.effect == effectRestrict {
			what = "restrict"
		}
		return finding{true, at, "groups are incomplete, so a " + what + " that tests them counts as matched (incompleteGroups: proceed)"}
	}
	wanted := make([]string, 0, len(r.groups))
	for _, s := range r.groups {
		wanted = append(wanted, s.String()+labelled(s))
	}
	if len(wanted) > 5 {
		wanted = append(wanted[:5], fmt.Sprintf("%d more", len(wanted)-5))
	}
	return finding{false, at, "no group of theirs is " + list(wanted)}
}

func labelled(s selector) string {
	if s.label == "" {
		return ""
	}
	return " (" + s.label + ")"
}

// selected gives the first group that a selector selects, and how it is known.
func (p *base) selected(s selector, f *Facts) (group, how string) {
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
	for _, g := range p.lastKnown(f) {
		if s.selects(g) {
			return g, "last known"
		}
	}
	return "", ""
}

// selects reports whether the text of a group is what the selector asks for.
func (s selector) selects(group string) bool {
	switch {
	case s.re != nil:
		return s.re.MatchString(group)
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
	case effectRestrict:
		return "restrict to permission groups " + strings.Join(r.groupNames(), ", ")
	default:
		parts := make([]string, 0, 2)
		if len(r.roles) > 0 {
			parts = append(parts, "roles "+strings.Join(distinct(r.roles), ", "))
		}
		if len(r.ruleDecl.permission) > 0 {
			parts = append(parts, "permission groups "+strings.Join(r.groupNames(), ", "))
		}
		return "grant " + strings.Join(parts, " and ")
	}
}

// Narrow leaves out the rules that are for other connections, and how near they
// came: they say who else the mapping is about, and what it asks of them.
func (e *Explanation) Narrow() {
	elsewhere := make(map[string]bool)
	for i := range e.Rules {
		elsewhere[e.Rules[i].ID] = e.Rules[i].Elsewhere
	}
	e.Rules = slices.DeleteFunc(e.Rules, func(t RuleTrace) bool { return t.Elsewhere })
	e.NearMisses = slices.DeleteFunc(e.NearMisses, func(m NearMiss) bool { return elsewhere[m.Rule] })
}
