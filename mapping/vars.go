package mapping

import (
	"maps"
	"slices"
	"strings"
)

const defaultEnvironment = "prod"

// variables is what a file says about its environments.
type variables struct {
	values       map[string]map[string]string // by environment and variable
	names        []string
	environments []string // sorted; empty when there are no variables
}

// varDecl is one variable with a value for each environment.
type varDecl struct {
	name   name
	values []varValue
}

type varValue struct {
	environment name
	value       string
}

func (d decoder) vars(n *node) []varDecl {
	var decls []varDecl
	d.named(n, "vars", "{variable: {environment: value}}", func(id name, v *node, path string) {
		if holeName(id.text) != id.text {
			d.fail(id.at, "%s: a variable is written with letters, digits and _ alone, and begins with a letter", path)
			return
		}
		decl := varDecl{name: id}
		d.named(v, path, "{environment: value}", func(environment name, v *node, path string) {
			if v.kind != kindString && v.kind != kindNull {
				d.fail(v.at, "%s is %s; want a string", path, v.kind)
			}
			if strings.Contains(v.text, "${") {
				d.fail(v.at, "%s: a value cannot hold ${…} itself", path)
			}
			decl.values = append(decl.values, varValue{environment, v.text})
		})
		if v.kind == kindMap && len(v.fields) == 0 {
			d.fail(v.at, "%s has no value; want one for each environment: {prod: …, uat: …}", path)
		}
		decls = append(decls, decl)
	})
	return decls
}

// newVariables puts the declarations of all files together, and holds the
// environment that was asked for against them.
func newVariables(src *source, decls []varDecl, environment string) variables {
	v := variables{values: make(map[string]map[string]string)}
	first := make(map[string]pos)
	for _, d := range decls {
		if at, ok := first[d.name.text]; ok {
			src.fail(d.name.at, "variable %q stands %s already", d.name.text, at.from(d.name.at))
			continue
		}
		first[d.name.text] = d.name.at
		v.names = append(v.names, d.name.text)
		for _, value := range d.values {
			env := value.environment.text
			if v.values[env] == nil {
				v.values[env] = make(map[string]string)
			}
			v.values[env][d.name.text] = value.value
		}
	}
	v.environments = slices.Sorted(maps.Keys(v.values))
	slices.Sort(v.names)
	for _, d := range decls {
		for _, env := range v.environments {
			if _, ok := v.values[env][d.name.text]; !ok && len(d.values) > 0 {
				src.fail(d.name.at, "variable %q has no value for environment %q; want one for each of %s", d.name.text, clip(env), clip(list(v.environments)))
			}
		}
	}
	if len(v.environments) > 0 && v.values[environment] == nil {
		_, hint := src.suggest(environment, v.environments)
		if hint == "" {
			hint = "; want " + list(v.environments)
		}
		src.fail(decls[0].name.at, "environment %q has no variables%s", clip(environment), clip(hint))
	}
	return v
}

// expand puts the values of variables into the strings of a tree. Trees and
// branches without variables are shared, not copied. What is no variable stays
// as it is, for the captures of a rule and the parameters of a permission
// group.
func expand(n *node, values map[string]string) *node {
	switch n.kind {
	case kindString:
		if text := substitute(n.text, values); text != n.text {
			return &node{kind: kindString, at: n.at, text: text, raw: n.text}
		}
	case kindList:
		items := n.items
		for i, item := range n.items {
			if e := expand(item, values); e != item {
				if &items[0] == &n.items[0] {
					items = slices.Clone(items)
				}
				items[i] = e
			}
		}
		if len(items) > 0 && &items[0] != &n.items[0] {
			return &node{kind: kindList, at: n.at, items: items}
		}
	case kindMap:
		fields := n.fields
		for i, f := range n.fields {
			if e := expand(f.value, values); e != f.value {
				if &fields[0] == &n.fields[0] {
					fields = slices.Clone(fields)
				}
				fields[i].value = e
			}
		}
		if len(fields) > 0 && &fields[0] != &n.fields[0] {
			return &node{kind: kindMap, at: n.at, fields: fields}
		}
	default:
	}
	return n
}

// segment is a part of a string: text as it stands, or a hole ${name}.
type segment struct {
	text string
	hole bool
}

// segments cuts a string at its holes. Text that only looks like one is text.
func segments(s string) []segment {
	var out []segment
	text := func(t string) {
		if t == "" {
			return
		}
		if n := len(out); n > 0 && !out[n-1].hole {
			out[n-1].text += t
			return
		}
		out = append(out, segment{text: t})
	}
	for {
		before, after, found := strings.Cut(s, "${")
		text(before)
		if !found {
			return out
		}
		if id := holeName(after); id != "" && strings.HasPrefix(after[len(id):], "}") {
			out = append(out, segment{id, true})
			s = after[len(id)+1:]
			continue
		}
		text("${")
		s = after
	}
}

// holeName is the name of a variable or parameter that s begins with.
func holeName(s string) string {
	for i := range len(s) {
		c := lower(s[i])
		if (c < 'a' || c > 'z') && c != '_' && (i == 0 || c < '0' || c > '9') {
			return s[:i]
		}
	}
	return s
}

func substitute(s string, values map[string]string) string {
	if !strings.Contains(s, "${") {
		return s
	}
	var b strings.Builder
	for _, part := range segments(s) {
		value, known := values[part.text]
		switch {
		case part.hole && known:
			b.WriteString(value)
		case part.hole:
			b.WriteString("${" + part.text + "}")
		default:
			b.WriteString(part.text)
		}
	}
	return b.String()
}

// holes gives the names that a string has in ${…}, each once.
func holes(s string) []string {
	if !strings.Contains(s, "${") {
		return nil
	}
	var names []string
	for _, part := range segments(s) {
		if part.hole && !slices.Contains(names, part.text) {
			names = append(names, part.text)
		}
	}
	return names
}

// noHoles notes a problem when a string holds ${…} where nothing can fill it.
func (d decoder) noHoles(n *node, path string) bool {
	if d.holes || !strings.Contains(n.text, "${") {
		return true
	}
	unknown := holes(n.text)
	if len(unknown) == 0 {
		d.fail(n.at, "%s: ${ is the beginning of a variable; want ${name}", path)
		return false
	}
	_, hint := d.suggest(unknown[0], d.variables)
	switch {
	case hint == "" && len(d.variables) == 0:
		hint = "; there is none: declare it under vars"
	case hint == "" && len(d.variables) <= 12:
		hint = "; want " + list(d.variables)
	}
	d.fail(n.at, "%s: unknown variable %q%s", path, clip(unknown[0]), hint)
	return false
}
