package mapping_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"portcullis/mapping"
)

// spec is a mapping file as data, from which a test writes the file and, in
// evaluate, says what it means in the plainest way.
type spec struct {
	connections []specConnection
	roles       []specRole
	groups      []specGroup
	rules       []specRule
	exclusive   []specExclusive
	noAccess    bool
	incomplete  string
}

type specExclusive struct {
	id, on string
	roles  []string
}

type specConnection struct {
	id           string
	unrestricted bool
	roles        []string
	where        mapping.Where
}

type specRole struct {
	name            string
	tasks, inherits []string
	privileged      bool
}

type specGroup struct {
	name         string
	unrestricted bool
	where        mapping.Where
}

type specRule struct {
	id, connection string
	selectors      [][2]string // kind, text
	roles, groups  []string
	deny           string // "", "roles" or "login"
	restrict       bool   // to groups, instead of granting
	own            string // expression of the capture that feeds the group own, on groups by regex
	appRoles       []string
	types          []string
	domains        []string
	department     string // of the claim
	when           string // a key of whens
	from, until    int    // hours after the epoch of the tests; 0 is no bound
}

// The alphabets are small, so that names meet.
var (
	connectionIDs = []string{"acme", "client", "other"}
	roleNames     = []string{"r0", "r1", "r2", "r3", "r4", "r5"}
	taskNames     = []string{"t0", "t1", "t2", "gate.users.view"}
	groupNames    = []string{"g0", "g1", "g2"}
	attributes    = map[string]bool{"account": true, "country": false, "product": false} // whether onMissing is none
	values        = []string{"A", "AB", "B", "BA"}
	groupTexts    = []string{
		"A", "a", "AB", "B-1", "B-2", "portal-x", "8bab1c86-8fba-33e5-2089-1d1c80ec267d",
		"8BAB1C86-8FBA-33E5-2089-1D1C80EC267D", "2c9d7a10-0000-4000-8000-00000000a990",
	}
	appRoleTexts = []string{"x", "y", "X"}
	typeTexts    = []string{"Guest", "Member", "guest"}
	domainTexts  = []string{"a.example", "b.example"}
	departments  = []string{"Desk", "desk", "Risk"}
	regexes      = []string{"A.*", "B-(?:1|2)", ".*", "(?i)a+b?", "8bab.*|portal-x"}
	owns         = []string{"(?P<v>A+)(?:B)?", "B-(?P<v>.*)", "(?P<v>.*)", "x*(?P<v>AB|B)"}
	patterns     = []string{"A*", "B-?", "*", "*-x", "p*l-*", "8bab*"}
)

func drawSpec(t *rapid.T) spec {
	some := func(from []string, label string) []string {
		if len(from) == 0 {
			return nil
		}
		return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, len(from), rapid.ID[string]).Draw(t, label)
	}
	s := spec{noAccess: rapid.Bool().Draw(t, "noAccess"), incomplete: rapid.SampledFrom([]string{"deny-login", "last-known", "proceed"}).Draw(t, "incomplete")}
	for i, id := range connectionIDs {
		c := specConnection{id: id, unrestricted: i == 0}
		if !c.unrestricted {
			c.roles = some(roleNames, "ceiling roles")
			if rapid.Bool().Draw(t, "has where") {
				c.where = drawWhere(t)
			}
		}
		s.connections = append(s.connections, c)
	}
	for i, name := range roleNames {
		s.roles = append(s.roles, specRole{
			name: name, tasks: some(taskNames, "tasks"),
			inherits:   some(roleNames[:i], "inherits"),
			privileged: rapid.IntRange(0, 3).Draw(t, "privileged") == 0,
		})
	}
	for i, name := range groupNames {
		g := specGroup{name: name, unrestricted: i == 0}
		if !g.unrestricted {
			g.where = drawWhere(t)
		}
		s.groups = append(s.groups, g)
	}
	for i := range rapid.IntRange(0, 8).Draw(t, "rules") {
		s.rules = append(s.rules, drawRule(t, fmt.Sprintf("rule%d", i), some))
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "constraints") {
		x := specExclusive{id: fmt.Sprintf("x%d", i), on: rapid.SampledFrom([]string{"drop-all", "deny-login", "warn"}).Draw(t, "on")}
		for _, r := range roleNames {
			// The file refuses roles that inherit each other.
			apart := !slices.ContainsFunc(x.roles, func(o string) bool { return s.closure(o)[r] || s.closure(r)[o] })
			if apart && rapid.Bool().Draw(t, "exclusive") {
				x.roles = append(x.roles, r)
			}
		}
		if len(x.roles) > 1 {
			s.exclusive = append(s.exclusive, x)
		}
	}
	return s
}

func drawRule(t *rapid.T, id string, some func([]string, string) []string) specRule {
	r := specRule{id: id, connection: rapid.SampledFrom(append(slices.Clone(connectionIDs), "*")).Draw(t, "connection")}
	for range rapid.IntRange(0, 3).Draw(t, "selectors") {
		kind := rapid.SampledFrom([]string{"id", "name", "scim", "regex"}).Draw(t, "kind")
		from := groupTexts
		switch kind {
		case "name", "scim":
			from = append(slices.Clone(patterns), groupTexts...)
		case "regex":
			from = regexes
		}
		r.selectors = append(r.selectors, [2]string{kind, rapid.SampledFrom(from).Draw(t, "selector")})
	}
	drawConditions(t, &r)
	r.roles = some(roleNames, "rule roles")
	switch rapid.IntRange(0, 6).Draw(t, "effect") {
	case 0:
		r.deny = "login"
		r.roles = nil
	case 1:
		r.deny = "roles"
		r.roles = append(r.roles[:min(len(r.roles), 2)], "r5")
	case 2:
		r.restrict, r.roles = true, nil
		r.groups = append(some(groupNames[1:], "narrow groups"), groupNames[1])
	default:
		r.roles = r.roles[:min(len(r.roles), 3)]
		r.groups = append(some(groupNames, "rule groups"), groupNames[1])
	}
	if r.deny == "" && rapid.IntRange(0, 3).Draw(t, "captures") == 0 {
		r.selectors = nil
		r.own = rapid.SampledFrom(owns).Draw(t, "own")
	}
	return r
}

func drawConditions(t *rapid.T, r *specRule) {
	maybe := func(label string) bool { return rapid.IntRange(0, 5).Draw(t, label) == 0 }
	if maybe("app role?") {
		r.appRoles = []string{rapid.SampledFrom(appRoleTexts).Draw(t, "app role")}
	}
	if maybe("type?") {
		r.types = []string{rapid.SampledFrom(typeTexts).Draw(t, "type")}
	}
	if maybe("domain?") {
		r.domains = []string{rapid.SampledFrom(domainTexts).Draw(t, "domain")}
	}
	if maybe("department?") {
		r.department = rapid.SampledFrom(departments).Draw(t, "department")
	}
	if maybe("when?") {
		r.when = rapid.SampledFrom(slices.Sorted(maps.Keys(whens))).Draw(t, "when")
	}
	if maybe("from?") {
		r.from = rapid.IntRange(1, 5).Draw(t, "from")
	}
	if maybe("until?") {
		r.until = rapid.IntRange(r.from+1, 8).Draw(t, "until")
	}
}

// whens are expressions with what they mean in Go: true, false, or that they
// cannot be evaluated.
var whens = map[string]func(*mapping.Facts, []string) (bool, bool){
	"'A' in groups":            func(_ *mapping.Facts, groups []string) (bool, bool) { return slices.Contains(groups, "A"), true },
	"user.userType == 'Guest'": func(f *mapping.Facts, _ []string) (bool, bool) { return f.UserType == "Guest", true },
	"claims.level > 2.0": func(f *mapping.Facts, _ []string) (bool, bool) {
		l, ok := f.Claims["level"].(float64)
		return l > 2, ok
	},
	"claims.?level.orValue(0.0) == 3.0": func(f *mapping.Facts, _ []string) (bool, bool) { return f.Claims["level"] == 3.0, true },
	"user.emailVerified && 1 / 0 == 1":  func(f *mapping.Facts, _ []string) (bool, bool) { return false, !f.EmailVerified },
	"groups.exists(g, g.startsWith('B'))": func(_ *mapping.Facts, groups []string) (bool, bool) {
		return slices.ContainsFunc(groups, func(g string) bool { return strings.HasPrefix(g, "B") }), true
	},
}

// hour is a time of the tests.
func hour(n int) time.Time { return time.Date(2026, 12, 1, n, 0, 0, 0, time.UTC) }

func drawWhere(t *rapid.T) mapping.Where {
	w := mapping.Where{"country": {Any: true}}
	for _, attribute := range []string{"account", "country", "product"} {
		list := rapid.SliceOfNDistinct(rapid.SampledFrom(values), 1, 3, rapid.ID[string]).Draw(t, "values")
		switch rapid.IntRange(0, 4).Draw(t, "form") {
		case 0:
			w[attribute] = mapping.Constraint{In: list}
		case 1:
			w[attribute] = mapping.Constraint{Not: list}
		case 2:
			w[attribute] = mapping.Constraint{Prefix: list[0]}
		case 3:
			w[attribute] = mapping.Constraint{Any: true}
		}
	}
	return w
}

// drawFacts draws a person, mostly of a known connection.
func drawFacts(t *rapid.T) mapping.Facts {
	texts := rapid.SliceOfN(rapid.SampledFrom(groupTexts), 0, 4)
	f := mapping.Facts{
		Connection:       rapid.SampledFrom(append(slices.Clone(connectionIDs), "stranger")).Draw(t, "through"),
		Groups:           texts.Draw(t, "asserted"),
		GroupsIncomplete: rapid.IntRange(0, 3).Draw(t, "incomplete groups") == 0,
	}
	for _, g := range texts.Draw(t, "pushed") {
		if rapid.Bool().Draw(t, "by id") {
			f.Pushed = append(f.Pushed, mapping.Group{ExternalID: g, Name: "B-1"})
		} else {
			f.Pushed = append(f.Pushed, mapping.Group{Name: g})
		}
	}
	f.AppRoles = rapid.SliceOfN(rapid.SampledFrom(appRoleTexts), 0, 2).Draw(t, "app roles")
	f.UserType = rapid.SampledFrom(append([]string{""}, typeTexts...)).Draw(t, "user type")
	if domain := rapid.SampledFrom(append([]string{""}, domainTexts...)).Draw(t, "e-mail"); domain != "" {
		f.Email, f.EmailVerified = "eve@"+strings.ToUpper(domain), rapid.Bool().Draw(t, "verified")
	}
	f.Claims = map[string]any{}
	switch rapid.IntRange(0, 3).Draw(t, "claims") {
	case 0:
		f.Claims["level"] = float64(rapid.IntRange(1, 4).Draw(t, "level"))
	case 1:
		f.Claims["department"] = rapid.SampledFrom(departments).Draw(t, "their department")
	case 2:
		f.Claims["department"] = []any{rapid.SampledFrom(departments).Draw(t, "their department"), "Other", 7.0}
		f.Claims["level"] = "high"
	}
	if rapid.Bool().Draw(t, "has last known") {
		f.LastKnownGroups = append([]string{}, texts.Draw(t, "last known")...)
	}
	return f
}
