package mapping_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis/mapping"
)

const (
	benchRules  = 1000
	benchGroups = 200
)

func guid(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n) }

// benchSpec is a file of the size that large companies have: most groups by
// id, some by name, some by pattern, over four connections.
func benchSpec() spec {
	s := spec{incomplete: "deny-login"}
	for _, id := range []string{"acme", "client", "third", "fourth"} {
		s.connections = append(s.connections, specConnection{id: id, unrestricted: true})
	}
	for i := range 30 {
		r := specRole{name: fmt.Sprintf("role%02d", i), tasks: []string{fmt.Sprintf("task%d", i), fmt.Sprintf("task%d", i+1)}}
		if i > 0 && i%3 == 0 {
			r.inherits = []string{fmt.Sprintf("role%02d", i-1)}
		}
		s.roles = append(s.roles, r)
	}
	for i := range 50 {
		s.groups = append(s.groups, specGroup{name: fmt.Sprintf("group%02d", i), where: mapping.Where{"account": {In: []string{strconv.Itoa(i)}}}})
	}
	for i := range benchRules {
		r := specRule{id: fmt.Sprintf("rule%04d", i), connection: s.connections[i%4].id, roles: []string{s.roles[i%30].name}, groups: []string{s.groups[i%50].name}}
		switch i / 4 % 10 {
		case 0:
			r.selectors = [][2]string{{"name", fmt.Sprintf("SG-%d-*", i)}}
		case 1, 2:
			r.selectors = [][2]string{{"name", fmt.Sprintf("SG-%d", i)}}
		case 3:
			r.selectors = [][2]string{{"scim", fmt.Sprintf("Pushed %d", i)}}
		default:
			r.selectors = [][2]string{{"id", guid(i)}, {"id", guid(i + 5000)}}
		}
		s.rules = append(s.rules, r)
	}
	return s
}

// benchFacts is somebody in 200 groups, of which a rule names about one in
// fifteen.
func benchFacts() mapping.Facts {
	f := mapping.Facts{Connection: "acme"}
	for i := range benchGroups {
		switch {
		case i%15 == 0:
			f.Groups = append(f.Groups, strings.ToUpper(guid(i*4)))
		case i%2 == 0:
			f.Groups = append(f.Groups, fmt.Sprintf("SG-%d-somewhere", i+9000))
		default:
			f.Groups = append(f.Groups, guid(i+100_000))
		}
	}
	return f
}

func benchPolicy(tb testing.TB) *mapping.Policy {
	tb.Helper()
	return load(tb, benchSpec().yaml())
}

// linear is the floor: every rule against every group, with string
// comparisons alone and no more of the meaning than that.
func linear(s spec, f *mapping.Facts) int {
	matched := 0
	for _, r := range s.rules {
		if r.connection != f.Connection {
			continue
		}
	groups:
		for _, g := range f.Groups {
			for _, sel := range r.selectors {
				prefix, glob := strings.CutSuffix(sel[1], "*")
				if sel[0] != "scim" && (strings.EqualFold(sel[1], g) || glob && strings.HasPrefix(g, prefix)) {
					matched++
					break groups
				}
			}
		}
	}
	return matched
}

// BenchmarkEvaluate reports how many times faster the index is than a linear
// scan of the same rules in the same run.
func BenchmarkEvaluate(b *testing.B) {
	s, p, f := benchSpec(), benchPolicy(b), benchFacts()
	if got := len(p.Evaluate(&f, time.Time{}).Rules); got != linear(s, &f) || got == 0 {
		b.Fatalf("%d rules matched, the linear scan says %d", got, linear(s, &f))
	}
	const scans = 200
	start := time.Now()
	for range scans {
		linear(s, &f)
	}
	scan := time.Since(start) / scans
	b.ReportAllocs()
	var a mapping.Access
	for b.Loop() {
		p.EvaluateInto(&a, &f, time.Time{})
	}
	each := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(scan)/float64(each), "x_linear")
}

// BenchmarkLoad reads 1,000 rules.
func BenchmarkLoad(b *testing.B) {
	text := []byte(benchSpec().yaml())
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := mapping.Load("bench.yaml", text, mapping.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoad10000 reads the most rules that a file may have.
func BenchmarkLoad10000(b *testing.B) {
	s := benchSpec()
	rules := s.rules
	s.rules = nil
	for i := range 10_000 {
		r := rules[i%len(rules)]
		r.id = fmt.Sprint("r", i)
		s.rules = append(s.rules, r)
	}
	text := []byte(s.yaml())
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := mapping.Load("bench.yaml", text, mapping.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
