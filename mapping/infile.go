package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Report is what came of the tests in a file.
type Report struct {
	Ran      int
	Failures []Failure
}

// Failed is the number of tests with at least one failure.
func (r Report) Failed() int {
	tests := make(map[string]bool)
	for _, f := range r.Failures {
		tests[f.path] = true
	}
	return len(tests)
}

// Failure is one expectation that was not met.
type Failure struct {
	Test         string // its name
	File         string
	Line, Column int // of the expectation
	Expected     string
	Got          string
	Look         string // the rule to look at, in words

	path string // which test
	at   pos
}

func (f Failure) message() string {
	text := fmt.Sprintf("test %q: expected %s; got %s", f.Test, f.Expected, f.Got)
	if f.Look != "" {
		text += "; look at " + f.Look
	}
	return text
}

// String gives line:col, in File, the test's name, what was expected and what came.
func (f Failure) String() string { return fmt.Sprintf("%d:%d: %s", f.Line, f.Column, f.message()) }

// Test runs the tests of the file: those of the base against the base alone,
// those of a fragment against the base and that fragment. A loaded policy has
// passed them; it is here so that a tool can say how many there are.
func (p *Policy) Test() Report {
	r := p.test()
	for _, u := range p.fragments {
		if u.good != nil {
			f := u.good.test()
			r.Ran += f.Ran
			r.Failures = append(r.Failures, f.Failures...)
		}
	}
	return r
}

func (p *base) test() Report { return runTests(p.tests, p.testsIn, "", p.testPolicies()) }

// inEnvironment gives the policy that tests of an environment are held
// against, and the tests as they are there.
type inEnvironment func(environment string) (*Policy, []testDecl)

func (p *base) testPolicies() inEnvironment {
	policies := make(map[string]*Policy)
	return func(env string) (*Policy, []testDecl) {
		b := p.in(env)
		if policies[env] == nil {
			policies[env] = newPolicy(b)
		}
		return policies[env], b.tests
	}
}

// eachTest goes through tests, each with the policy of its environment, and
// with what variables stand for there.
func eachTest(tests []testDecl, environment string, in inEnvironment, f func(*Policy, *testDecl)) {
	for i := range tests {
		policy, there := in(cmp.Or(tests[i].env.text, environment))
		f(policy, &there[i])
	}
}

func runTests(tests []testDecl, environment, of string, in inEnvironment) Report {
	r := Report{}
	eachTest(tests, environment, in, func(p *Policy, t *testDecl) {
		c := trial{policy: p, test: t, path: of + strconv.Itoa(r.Ran)}
		c.run()
		r.Ran++
		r.Failures = append(r.Failures, c.failures...)
	})
	return r
}

// trial is one test while it runs.
type trial struct {
	policy   *Policy
	test     *testDecl
	access   Access
	path     string
	failures []Failure
}

func (c *trial) run() {
	t, p := c.test, c.policy
	c.access = p.Evaluate(&t.given, t.at)
	if t.login != nil && *t.login != c.access.Login {
		c.fail(t.name.at, "login: "+allowOrDeny(*t.login), "login: "+c.loginInWords(), c.lookForLogin())
	}
	c.list("roles", t.roles, c.access.Roles, func(r *rule) []string {
		var all []string
		for _, n := range r.grants {
			all = append(all, names(p.roles[n].closure, func(i int) string { return p.roles[i].decl.Name })...)
		}
		return all
	})
	c.list("permissionGroups", t.permissions, c.access.PermissionGroups, func(r *rule) []string {
		if r.effect != effectGrant {
			return nil
		}
		return r.groupNames()
	})
	c.list("because", t.because, c.access.Rules, func(r *rule) []string { return []string{r.id.text} })
	c.list("violations", t.violations, c.access.Violations, func(*rule) []string { return nil })
	for _, r := range t.can {
		if !c.visible(r) {
			c.fail(r.at, "they can see "+r.String(), "they cannot", c.lookForData())
		}
	}
	for _, r := range t.cannot {
		if c.visible(r) {
			c.fail(r.at, "they cannot see "+r.String(), "they can", c.lookForRow(r))
		}
	}
}

// rules are those that the person of the test is held against, and the
// others of the base.
func (c *trial) rules() []*rule {
	return c.policy.rulesFor(c.policy.connections[c.test.given.Connection])
}

func (c *trial) visible(r row) bool {
	return c.access.Login && c.access.Permissions.Allows(r.data())
}

func (c *trial) fail(at pos, expected, got, look string) {
	c.failures = append(c.failures, Failure{
		Test: c.test.name.text, File: at.file(), Line: at.line, Column: at.col,
		Expected: expected, Got: got, Look: look, path: c.path, at: at,
	})
}

func allowOrDeny(allow bool) string {
	if allow {
		return "allow"
	}
	return "deny"
}

func (c *trial) loginInWords() string {
	if c.access.Reason == "" {
		return allowOrDeny(c.access.Login)
	}
	return allowOrDeny(c.access.Login) + " (" + c.access.Reason + ")"
}

// list compares a list with what came, and points at the rules that give what
// is missing or gave what is too much.
func (c *trial) list(what string, want *expected, got []string, gives func(*rule) []string) {
	if want == nil {
		return
	}
	wanted := distinct(want.names)
	if slices.Equal(wanted, got) {
		return
	}
	var look []string
	for _, r := range c.rules() {
		for _, g := range gives(r) {
			missing := slices.Contains(wanted, g) && !slices.Contains(got, g)
			extra := !slices.Contains(wanted, g) && slices.Contains(got, g)
			matched := slices.Contains(c.access.Rules, r.id.text)
			if missing || extra && matched {
				look = append(look, c.describe(r))
				break
			}
		}
	}
	if !c.access.Login {
		look = append(look, c.lookForLogin())
	}
	c.fail(want.at, what+": ["+strings.Join(wanted, ", ")+"]", "["+strings.Join(got, ", ")+"]", someOf(look))
}

// someOf names the first few rules.
func someOf(look []string) string {
	look = slices.DeleteFunc(look, func(s string) bool { return s == "" })
	if len(look) > 3 {
		look = append(look[:3:3], fmt.Sprintf("%d more", len(look)-3))
	}
	return strings.Join(look, "; ")
}

// describe names a rule with what became of it.
func (c *trial) describe(r *rule) string {
	t := c.policy.trace(r, &c.test.given, c.test.at)
	if t.Matched {
		return fmt.Sprintf("rule %s (line %d), which matched: %s", t.ID, t.Line, t.Why)
	}
	text := fmt.Sprintf("rule %s (line %d), which did not match: %s", t.ID, t.Line, t.Why)
	if misses := c.policy.nearMisses(r, &c.test.given, c.test.at); len(misses) > 0 {
		text += "; " + misses[0].Text
	}
	return text
}

func (c *trial) lookForLogin() string {
	p := c.policy
	s := p.borrow()
	defer p.giveBack(s)
	p.run(s, &c.test.given, c.test.at)
	if s.verdict == deniedByRule {
		return c.describe(p.rule(s.connection, s.refusedBy))
	}
	if s.verdict != allowed {
		return p.verdictInWords(s)
	}
	for i := range s.rules.all() {
		if r := p.rule(s.connection, i); r.effect == effectGrant {
			return c.describe(r)
		}
	}
	return ""
}

func (c *trial) lookForData() string {
	if !c.access.Login {
		return c.lookForLogin()
	}
	if len(c.access.PermissionGroups) == 0 {
		return "the rules " + strings.Join(c.access.Rules, ", ") + ", which give no permission group"
	}
	text := "permission groups " + strings.Join(c.access.PermissionGroups, ", ")
	if len(c.access.Permissions.AllOf) > 0 {
		text += ", and what narrows them: " + c.narrowedBy()
	}
	return text
}

// narrowedBy names the ceiling and the rules that restrict.
func (c *trial) narrowedBy() string {
	var by []string
	if len(c.policy.connections[c.test.given.Connection].allOf) > 0 {
		by = append(by, "the ceiling of connection "+c.test.given.Connection)
	}
	for _, r := range c.rules() {
		if r.effect == effectRestrict && slices.Contains(c.access.Rules, r.id.text) {
			by = append(by, c.describe(r))
		}
	}
	return someOf(by)
}

// lookForRow finds the permission group that shows a row, and its rule.
func (c *trial) lookForRow(r row) string {
	p, data := c.policy, r.data()
	s := p.borrow()
	defer p.giveBack(s)
	p.run(s, &c.test.given, c.test.at)
	for i := range s.rules.all() {
		rule := p.rule(s.connection, i)
		if rule.effect != effectGrant {
			continue
		}
		for _, g := range rule.permission {
			if group := p.group(s.connection, g); group.unrestricted || group.where.Allows(data) {
				return fmt.Sprintf("permission group %s of %s", group.name, c.describe(rule))
			}
		}
		for _, call := range rule.calls {
			for _, in := range s.instances {
				if in.group == call.group && in.where.Allows(data) {
					return fmt.Sprintf("permission group %s of %s", p.group(s.connection, in.group).name, c.describe(rule))
				}
			}
		}
	}
	return ""
}

// String is the row as it stands in the file.
func (r row) String() string {
	parts := make([]string, 0, len(r.values))
	for _, v := range r.values {
		parts = append(parts, v.attribute.text+": "+v.value.text)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
