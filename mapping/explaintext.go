package mapping

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// String is the explanation as plain text for a terminal.
func (e Explanation) String() string {
	var b strings.Builder
	e.verdictText(&b)
	section := func(title string, n int) bool {
		if n > 0 {
			fmt.Fprintf(&b, "\n%s\n", title)
		}
		return n > 0
	}
	for _, part := range []struct {
		title   string
		origins []Origin
	}{{"roles", e.Roles}, {"tasks", e.Tasks}, {"permission groups", e.PermissionGroups}} {
		section(part.title, len(part.origins))
		for _, o := range part.origins {
			fmt.Fprintf(&b, "  %-24s <- %s\n", o.Name, o.from())
		}
	}
	if section("exceptions", len(e.Exceptions)) {
		for _, x := range e.Exceptions {
			fmt.Fprintf(&b, "  %s %s: role %s from %s until %s by %s: %s\n      %s\n", mark(x.Holds), x.ID, x.Role,
				x.From.Format(time.RFC3339), x.Until.Format(time.RFC3339), x.By, x.Reason, x.Why)
		}
	}
	if section("visible data", len(e.Permissions)) {
		for _, line := range e.Permissions {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	if section("taken away", len(e.Removed)) {
		for _, r := range e.Removed {
			fmt.Fprintf(&b, "  %s %s <- %s\n", r.Kind, r.Name, r.By)
		}
	}
	if section("rules", len(e.Rules)) {
		for _, r := range e.Rules {
			fmt.Fprintf(&b, "  %s %s (%s:%d) %s\n      line %d: %s\n", mark(r.Matched), r.ID, r.File, r.Line, r.Effect, r.At, r.Why)
		}
	}
	if section("near misses", len(e.NearMisses)) {
		for _, m := range e.NearMisses {
			fmt.Fprintf(&b, "  %s (%s:%d) %s\n", m.Rule, m.File, m.Line, m.Text)
			if m.Change != "" {
				fmt.Fprintf(&b, "      it would take %s\n", m.Change)
			}
		}
	}
	return b.String()
}

func mark(yes bool) string {
	if yes {
		return "yes"
	}
	return "no "
}

func (e Explanation) verdictText(b *strings.Builder) {
	word := "may come in"
	if !e.Access.Login {
		word = "may not come in"
	}
	fmt.Fprintf(b, "%s %s through %q: %s\n", e.Person, word, e.Connection, e.Verdict)
	if !e.At.IsZero() {
		fmt.Fprintf(b, "at %s\n", e.At.Format(time.RFC3339))
	}
	if !e.Received.IsZero() {
		fmt.Fprintf(b, "by what the identity provider said at %s\n", e.Received.Format(time.RFC3339))
	}
	if !e.Access.Until.IsZero() {
		fmt.Fprintf(b, "to be looked at again at %s, when a rule or an exception begins or ends\n", e.Access.Until.Format(time.RFC3339))
	}
	if len(e.Access.Violations) > 0 {
		fmt.Fprintf(b, "violated constraints: %s\n", strings.Join(e.Access.Violations, ", "))
	}
	if e.Access.Reason != "" {
		fmt.Fprintf(b, "they are told: %s\n", e.Access.Reason)
	}
}

func (o Origin) from() string {
	var by []string
	if len(o.Rules) > 0 {
		by = append(by, "rule "+strings.Join(o.Rules, ", "))
	}
	if len(o.Exceptions) > 0 {
		by = append(by, "exception "+strings.Join(o.Exceptions, ", "))
	}
	text := strings.Join(by, "; ")
	if len(o.Via) > 0 {
		text = "role " + strings.Join(o.Via, ", ") + " <- " + text
	}
	return text
}

type explanationJSON struct {
	File             string          `json:"file"`
	Connection       string          `json:"connection"`
	Person           string          `json:"person"`
	At               time.Time       `json:"at,omitzero"`
	Received         time.Time       `json:"received,omitzero"`
	Login            bool            `json:"login"`
	Reason           string          `json:"reason,omitempty"`
	Verdict          string          `json:"verdict"`
	Roles            []originJSON    `json:"roles"`
	Tasks            []originJSON    `json:"tasks"`
	PermissionGroups []originJSON    `json:"permissionGroups"`
	Permissions      Permissions     `json:"permissions"`
	Removed          []removalJSON   `json:"removed"`
	Rules            []ruleJSON      `json:"rules"`
	Exceptions       []exceptionJSON `json:"exceptions"`
	NearMisses       []missJSON      `json:"nearMisses"`
	Violations       []string        `json:"violations"`
	Until            time.Time       `json:"until,omitzero"`
}

type originJSON struct {
	Name  string   `json:"name"`
	Via   []string `json:"via,omitempty"`
	Rules []string `json:"rules"`

	Exceptions []string `json:"exceptions,omitempty"`
}

type exceptionJSON struct {
	ID     string    `json:"id"`
	Role   string    `json:"role"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Holds  bool      `json:"holds"`
	Why    string    `json:"why"`
}

type removalJSON struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	By   string `json:"by"`
}

type ruleJSON struct {
	ID        string `json:"id"`
	File      string `json:"file"`
	Line      int    `json:"line"`
	Effect    string `json:"effect"`
	Matched   bool   `json:"matched"`
	Condition int    `json:"conditionLine"`
	Why       string `json:"why"`
}

type missJSON struct {
	Rule   string `json:"rule"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Text   string `json:"text"`
	Change string `json:"change,omitempty"`
}

// MarshalJSON gives the explanation for scripts; arrays are never null.
func (e Explanation) MarshalJSON() ([]byte, error) {
	w := explanationJSON{
		File: e.File, Connection: e.Connection, Person: e.Person, At: e.At, Received: e.Received,
		Login: e.Access.Login, Reason: e.Access.Reason, Verdict: e.Verdict, Permissions: e.Access.Permissions,
		Roles: originsJSON(e.Roles), Tasks: originsJSON(e.Tasks), PermissionGroups: originsJSON(e.PermissionGroups),
		Removed: make([]removalJSON, 0, len(e.Removed)), Rules: make([]ruleJSON, 0, len(e.Rules)),
		NearMisses: make([]missJSON, 0, len(e.NearMisses)), Exceptions: make([]exceptionJSON, 0, len(e.Exceptions)),
	}
	w.Violations, w.Until = append([]string{}, e.Access.Violations...), e.Access.Until
	for _, r := range e.Removed {
		w.Removed = append(w.Removed, removalJSON(r))
	}
	for _, r := range e.Rules {
		w.Rules = append(w.Rules, ruleJSON{r.ID, r.File, r.Line, r.Effect, r.Matched, r.At, r.Why})
	}
	for _, x := range e.Exceptions {
		w.Exceptions = append(w.Exceptions, exceptionJSON{x.ID, x.Role, x.By, x.Reason, x.From, x.Until, x.Holds, x.Why})
	}
	for _, m := range e.NearMisses {
		w.NearMisses = append(w.NearMisses, missJSON(m))
	}
	return json.Marshal(w)
}

func originsJSON(origins []Origin) []originJSON {
	out := make([]originJSON, 0, len(origins))
	for _, o := range origins {
		if o.Rules == nil {
			o.Rules = []string{}
		}
		out = append(out, originJSON(o))
	}
	return out
}
