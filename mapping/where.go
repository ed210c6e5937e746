package mapping

// where reads constraints on attributes: of a permission group or of a
// ceiling.
func (d decoder) where(n *node, path string) []limit {
	var limits []limit
	d.named(n, path, "{attribute: [value]}", func(attribute name, v *node, path string) {
		if l, ok := d.limit(v, path); ok {
			l.attribute = attribute
			limits = append(limits, l)
		}
	})
	if n.kind == kindMap && len(n.fields) == 0 {
		d.fail(n.at, "%s is empty; want at least one attribute", path)
	}
	return limits
}

// limit reads one constraint: a list, "*", {prefix: …} or {not: […]}.
func (d decoder) limit(n *node, path string) (limit, bool) {
	switch n.kind {
	case kindList:
		values := d.values(n, path)
		return limit{constraint: Constraint{In: texts(values)}, values: values}, len(values) > 0
	case kindMap:
		return d.limitForm(n, path)
	case kindString:
		if n.text == "*" {
			return limit{constraint: Constraint{Any: true}}, true
		}
		fallthrough
	default:
		hint := `want a list of values, "*", {prefix: …} or {not: […]}`
		if n.text != "" {
			hint = "write [" + clip(n.text) + "]"
		}
		d.fail(n.at, "%s is %s on its own; %s", path, n.kind, hint)
		return limit{}, false
	}
}

func (d decoder) limitForm(n *node, path string) (limit, bool) {
	var l limit
	ok := d.mapping(n, path, keys{known: map[string]func(*node){
		"prefix": func(n *node) {
			l.prefix, _ = d.text(n, join(path, "prefix"))
			l.constraint.Prefix = l.prefix.text
		},
		"not": func(n *node) {
			l.values = d.values(n, join(path, "not"))
			l.constraint.Not = texts(l.values)
		},
	}})
	if ok && len(n.fields) != 1 {
		d.fail(n.at, "%s has %d keys; want either {prefix: …} or {not: […]}", path, len(n.fields))
		return l, false
	}
	return l, ok && l.constraint.form() != formIn
}

// values reads the values of a list, which must hold at least one.
func (d decoder) values(n *node, path string) []name {
	values := d.strings(n, path)
	if n.kind == kindList && len(n.items) == 0 {
		d.fail(n.at, `%s is an empty list; want at least one value, or "*" for any`, path)
	}
	for i, v := range values {
		if v.text == "*" {
			d.fail(v.at, `%s[%d] is "*" inside a list; write "*" without the brackets for any value`, path, i)
		}
	}
	return values
}
