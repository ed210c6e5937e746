package trace

import (
	"context"
	"slices"
	"sync"
	"time"

	"portcullis/mapping"
)

const maxChecks = 100

// Builder collects a record while an attempt runs. It is safe for concurrent
// use, and each of its methods does nothing on nil: whoever checks something
// need not ask whether anybody listens.
type Builder struct {
	mu     sync.Mutex
	record Record
	budget int // bytes of foreign values that may still be kept
}

// maxForeign bounds what a record keeps of claims, facts and grants, in bytes.
const maxForeign = 16 << 10

// Begin gives a Builder whose record starts like this one.
func Begin(r Record) *Builder {
	b := &Builder{record: r, budget: maxForeign}
	b.record.Address = clean(r.Address, maxWord)
	return b
}

type builderKey struct{}

// With gives a context that carries b.
func With(ctx context.Context, b *Builder) context.Context {
	return context.WithValue(ctx, builderKey{}, b)
}

// Of gives the builder that ctx carries; nil if it carries none.
func Of(ctx context.Context) *Builder {
	b, _ := ctx.Value(builderKey{}).(*Builder)
	return b
}

// change runs f on the record, if there is one.
func (b *Builder) change(f func(*Record)) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.record)
}

// Check adds what was looked at. want and got may be of foreign origin, but
// never a secret: see [Builder.Secret]. It gives ok.
func (b *Builder) Check(name string, ok bool, want, got string) bool {
	b.change(func(r *Record) {
		if len(r.Checks) < maxChecks {
			r.Checks = append(r.Checks, Check{Name: clean(name, maxWord), OK: ok, Want: value(want), Got: value(got)})
		}
	})
	return ok
}

// Secret adds a comparison of values that nobody may read. It gives ok.
func (b *Builder) Secret(name string, ok bool) bool {
	got := "the same"
	if !ok {
		got = "another one, or none"
	}
	return b.Check(name, ok, "the value that we sent", got)
}

// Start notes which request began the attempt, when, and what it asks for.
func (b *Builder) Start(reference string, at time.Time, demand string) {
	b.change(func(r *Record) { r.Start, r.Started, r.Demand = reference, at, clean(demand, maxValue) })
}

// Key notes what a signature matched, in words: never the key itself.
func (b *Builder) Key(text string) {
	b.change(func(r *Record) { r.Key = clean(text, maxValue) })
}

// Clock measures how far our clock is ahead: issued is when the identity
// provider made what arrives now.
func (b *Builder) Clock(now, issued time.Time) {
	b.change(func(r *Record) { r.Skew, r.Measured = now.Sub(issued).Round(time.Millisecond), true })
}

// Person notes whom the answer led to.
func (b *Builder) Person(id string) {
	b.change(func(r *Record) { r.Person = clean(id, maxWord) })
}

// Note adds something for an administrator to look at, once.
func (b *Builder) Note(n Note) {
	b.change(func(r *Record) {
		if !slices.Contains(r.Notes, n) {
			r.Notes = append(r.Notes, n)
		}
	})
}

// Claims keeps what the identity provider said.
func (b *Builder) Claims(claims map[string]any) {
	b.change(func(r *Record) {
		b.budget = maxForeign
		r.Claims = redact(claims, &b.budget)
	})
}

// Facts keeps what the gate read out of it.
func (b *Builder) Facts(f *mapping.Facts) {
	b.change(func(r *Record) { r.Facts = facts(f, &b.budget) })
}

// Decide keeps what the mapping made of the facts.
func (b *Builder) Decide(e *mapping.Explanation) {
	b.change(func(r *Record) { r.Decision = Decide(e) })
}

// End completes the record and gives it. reason is what the person is told,
// cause what the log says; both are empty for somebody who is in.
func (b *Builder) End(at time.Time, o Outcome, reason, cause string) Record {
	var out Record
	b.change(func(r *Record) {
		r.Finished, r.Outcome, r.Reason, r.Cause = at, o, clean(reason, maxCause), clean(cause, maxCause)
		if r.Started.IsZero() {
			r.Started = at
		}
		out = *r
		out.Checks, out.Notes = slices.Clone(r.Checks), slices.Clone(r.Notes)
	})
	return out
}

func facts(f *mapping.Facts, budget *int) []Field {
	out := []Field{{Name: "subject", Values: one(f.Subject)}}
	for _, v := range []Field{
		{Name: "userName", Values: one(f.UserName)},
		{Name: "name", Values: one(f.Name)},
		{Name: "e-mail", Values: one(f.Email)},
		{Name: "user type", Values: one(f.UserType)},
		{Name: "groups", Values: f.Groups},
		{Name: "last known groups", Values: f.LastKnownGroups},
		{Name: "app roles", Values: f.AppRoles},
		{Name: "pushed groups", Values: names(f.Pushed)},
	} {
		if len(v.Values) > 0 {
			out = append(out, v)
		}
	}
	if f.Email != "" {
		out = append(out, Field{Name: "e-mail verified", Values: one(yesNo(f.EmailVerified))})
	}
	if f.GroupsIncomplete {
		out = append(out, Field{Name: "groups incomplete", Values: one("yes")})
	}
	for i := range out {
		out[i].Values, out[i].More = bounded(out[i].Values, budget)
	}
	return out
}

// Decide is what a record keeps of an explanation: rules that almost matched
// only where they would have helped. It gives nil for nil.
func Decide(e *mapping.Explanation) *Decision {
	if e == nil {
		return nil
	}
	budget := maxForeign
	d := &Decision{
		Login: e.Access.Login, Verdict: clean(e.Verdict, maxCause), Reason: clean(e.Access.Reason, maxCause),
		Roles: e.Access.Roles, Tasks: e.Access.Tasks, PermissionGroups: e.Access.PermissionGroups,
		Permissions: e.Permissions, Rules: e.Access.Rules,
	}
	for _, m := range e.NearMisses {
		if d.Login {
			break
		}
		d.NearMisses = append(d.NearMisses, "rule "+m.Rule+": "+m.Text)
	}
	for _, list := range []*[]string{&d.Roles, &d.Tasks, &d.PermissionGroups, &d.Permissions, &d.Rules, &d.NearMisses} {
		kept, more := bounded(*list, &budget)
		if more > 0 {
			kept = append(kept, moreText(more))
		}
		*list = kept
	}
	return d
}

func names(groups []mapping.Group) []string {
	out := make([]string, len(groups))
	for i, g := range groups {
		out[i] = g.Name
	}
	return out
}

func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
