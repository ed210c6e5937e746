package mapping

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"portcullis/count"
)

// NearMiss is a rule that almost matched, and what would have to change.
type NearMiss struct {
	Rule   string
	File   string
	Line   int    // of the condition
	Text   string // what came close
	Change string // what would make the rule match
}

// maxNearMisses bounds what is said of one rule.
const maxNearMisses = 3

// misses collects the near misses of one rule.
type misses struct {
	rule *rule
	list []NearMiss
}

func (m *misses) add(at pos, change, format string, args ...any) {
	if len(m.list) < maxNearMisses {
		m.list = append(m.list, NearMiss{m.rule.id.text, m.rule.at.file(), at.line, fmt.Sprintf(format, args...), change})
	}
}

// nearMisses looks for the usual reasons why a rule that should match does
// not.
func (p *Policy) nearMisses(r *rule, f *Facts, at time.Time) []NearMiss {
	m := &misses{rule: r}
	if r.connection.text != "*" && r.connection.text != f.Connection {
		for _, s := range r.groups {
			if group, how := p.selected(s, f); how != "" {
				m.add(s.at, fmt.Sprintf("a rule for connection %q that asks for the same group", f.Connection),
					"%s group %s is what the rule asks for, but on connection %q; they come through %q", how, quote(group), r.connection.text, f.Connection)
			}
		}
		return m.list
	}
	c := p.connections[f.Connection]
	if c == nil || c.closed {
		return nil
	}
	if f.GroupsIncomplete && !p.canProceed(f) {
		p.nearGroups(m, f)
		return m.list
	}
	failing := 0
	for _, x := range p.findings(r, f, at) {
		if !x.holds {
			failing++
		}
	}
	p.nearGroups(m, f)
	p.nearAppRoles(m, f)
	p.nearOthers(m, f)
	if failing == 1 {
		p.nearTime(m, at)
	}
	return m.list
}

// nearTime says that only the time is wrong.
func (p *Policy) nearTime(m *misses, at time.Time) {
	w := m.rule.valid
	switch {
	case !w.set() || w.holds(at):
	case at.Before(w.from):
		m.add(w.fromAt, "an earlier from, or to wait", "everything else matches, but the rule is not valid before %s, %s from then", w.from.Format(time.RFC3339), span(w.from.Sub(at)))
	default:
		m.add(w.untilAt, "a later until", "everything else matches, but the rule expired at %s, %s before", w.until.Format(time.RFC3339), span(at.Sub(w.until)))
	}
}

// span is a duration as people say it.
func span(d time.Duration) string {
	switch days := int(d / (24 * time.Hour)); {
	case d < time.Minute:
		return "less than a minute"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case days < 1:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	default:
		return count.Days(days)
	}
}

func (p *Policy) nearGroups(m *misses, f *Facts) {
	for _, s := range m.rule.groups {
		if _, how := p.selected(s, f); how != "" {
			return // this condition holds
		}
	}
	for _, s := range m.rule.groups {
		p.nearSelector(m, s, f)
	}
}

func (p *Policy) nearSelector(m *misses, s selector, f *Facts) {
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
		case s.loosely(g):
			m.add(s.at, "the group's name as it arrives: "+quote(g), "group %s is %s; the rule asks for %s: upper and lower case or spaces differ", quote(g), are, s)
		case s.kind == byID && s.label != "" && strings.EqualFold(g, s.label):
			m.add(s.at, "{name: "+g+"} instead of the id, or ids from the identity provider", "group %s arrives by its name; the rule asks for %s: its display name arrives where the id is expected", quote(g), s)
		default:
			p.nearEnvironment(m, s, g)
		}
	}
	for _, g := range there {
		if g != "" && s.selects(g) {
			change := "{scim: " + s.text + "} instead"
			if s.kind == bySCIM {
				change = "{name: " + s.text + "} instead"
			}
			m.add(s.at, change, "group %s is %s only; the rule asks for %s, which sees groups that are %s", quote(g), other, s, are)
		}
	}
	if s.kind == bySCIM {
		return
	}
	for _, g := range f.Pushed {
		if s.kind == byName && s.selects(g.Name) && slices.Contains(f.Groups, g.ExternalID) {
			m.add(s.at, "{id: "+g.ExternalID+"} instead of the name", "group %s arrives by its id %s; the rule asks for %s: an id arrives where the display name is expected", quote(g.Name), quote(g.ExternalID), s)
		}
	}
	if f.GroupsIncomplete {
		m.add(s.at, "all groups from the identity provider", "groups are incomplete: %s may be among those that the identity provider left out", s)
	}
}

// loosely reports whether a group is the selector's but for case and spaces.
func (s selector) loosely(group string) bool {
	trimmed := strings.TrimSpace(group)
	switch {
	case s.re != nil:
		return trimmed != group && s.re.MatchString(trimmed) ||
			s.re.MatchString(strings.ToUpper(trimmed)) || s.re.MatchString(strings.ToLower(trimmed))
	case s.glob():
		return globMatch(strings.ToLower(s.text), strings.ToLower(trimmed))
	default:
		return strings.EqualFold(trimmed, strings.TrimSpace(s.text))
	}
}

// nearEnvironment finds a group that the rule asks for elsewhere.
func (p *Policy) nearEnvironment(m *misses, s selector, group string) {
	if env := p.otherEnvironment(s.raw, func(text string) bool {
		other := s
		if other.text = text; s.re != nil {
			return false // compiled for this environment alone
		}
		return other.selects(group)
	}); env != "" {
		m.add(s.at, fmt.Sprintf("the group of environment %q, or a deployment with environment %q", p.environment, env),
			"group %s is what the rule asks for in environment %q; this is %q, where it asks for %s", quote(group), env, p.environment, s)
	}
}

// otherEnvironment is the first environment in which a text with variables is
// what is looked for; empty if there is none.
func (p *base) otherEnvironment(raw string, fits func(string) bool) string {
	if raw == "" {
		return ""
	}
	for _, env := range p.variables.environments {
		if env != p.environment && fits(substitute(raw, p.variables.values[env])) {
			return env
		}
	}
	return ""
}

func (p *Policy) nearAppRoles(m *misses, f *Facts) {
	wanted := m.rule.appRoles
	if anyOf(wanted, f.AppRoles) {
		return
	}
	for _, w := range wanted {
		for _, have := range f.AppRoles {
			if strings.EqualFold(strings.TrimSpace(have), w.text) {
				m.add(w.at, "the role as it arrives: "+quote(have), "app role %s differs from %s in upper and lower case or spaces", quote(have), quote(w.text))
				continue
			}
			env := p.otherEnvironment(w.raw, func(text string) bool { return text == have })
			if env != "" {
				m.add(w.at, fmt.Sprintf("the app role of environment %q, or a deployment with environment %q", p.environment, env),
					"app role %s is what the rule asks for in environment %q; this is %q, where it asks for %s", quote(have), env, p.environment, quote(w.text))
			}
		}
		for _, g := range f.Groups {
			if g == w.text {
				m.add(w.at, "groups: [{name: "+g+"}] instead, or an app role of that name", "%s arrives as a group; the rule asks for an app role", quote(g))
			}
		}
	}
}

func (p *Policy) nearOthers(m *misses, f *Facts) {
	r := m.rule
	if len(r.domains) > 0 && !f.EmailVerified && isOne(r.domains, domainOf(f.Email)) {
		m.add(r.domains[0].at, "an identity provider that vouches for e-mail addresses (email_verified)", "the domain of %s is what the rule asks for, but nobody vouches for the address", quote(f.Email))
	}
	for _, t := range r.userTypes {
		if t.text != f.UserType && strings.EqualFold(t.text, strings.TrimSpace(f.UserType)) {
			m.add(t.at, "userType as it arrives: "+quote(f.UserType), "user type %s differs from %s in upper and lower case or spaces", quote(f.UserType), quote(t.text))
		}
	}
	for i := range r.claims {
		c, claims := &r.claims[i], f.AllClaims()
		if c.holds(claims) {
			continue
		}
		for _, key := range sortedKeys(claims) {
			if key != c.name.text && strings.EqualFold(key, c.name.text) {
				m.add(c.name.at, "the claim as it arrives: "+quote(key), "claim %s arrives as %s", quote(c.name.text), quote(key))
			}
		}
		if text, ok := claims[c.name.text].(string); ok {
			for _, v := range c.values {
				if v.kind == kindString && strings.EqualFold(strings.TrimSpace(text), v.text) {
					m.add(c.name.at, "the value as it arrives: "+quote(text), "claim %s is %s; upper and lower case or spaces differ", c.name.text, quote(text))
				}
			}
		}
	}
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
