package store

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"portcullis/directory"
	"portcullis/fault"
)

// A filter becomes SQL by construction: the text is made of constants of this
// file alone, and whatever a client wrote, names included, is an argument.

// fragment is a piece of SQL with its arguments, in their order.
type fragment struct {
	text string
	args []any
}

func sqlf(text string, args ...any) fragment { return fragment{text, args} }

// join puts pieces one behind the other: strings and fragments.
func join(parts ...any) fragment {
	var f fragment
	var text strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			text.WriteString(p)
		case fragment:
			text.WriteString(p.text)
			f.args = append(f.args, p.args...)
		}
	}
	f.text = text.String()
	return f
}

// never and always are the constant conditions, in both dialects.
const (
	never  = "(1 = 0)"
	always = "(1 = 1)"
)

// operand is where the values of an attribute are found.
type operand struct {
	kind   directory.Kind
	value  fragment // one value; may be NULL unless sure
	sure   bool
	unset  bool     // an empty text is no value
	micros bool     // a Time that is stored in microseconds
	from   fragment // of a multi-valued attribute: what stands behind SELECT 1 FROM, ends in a condition
	// narrow gives a condition on an index that whatever meets the operator
	// meets too; an empty one if there is none.
	narrow func(op directory.Op, value any) fragment
}

// table is what filters can name of one table.
type table interface {
	operand(a directory.Attr) (operand, bool)
	// element finds a sub-attribute of one value of a.
	element(a, sub directory.Attr) (operand, bool)
}

// condition translates a filter. What it does not know is fault.Invalid: an
// empty answer would make a client create duplicates.
func (t tx) condition(f directory.Filter, in table) (fragment, error) {
	return t.compile(f, in.operand, in)
}

func (t tx) compile(f directory.Filter, find func(directory.Attr) (operand, bool), in table) (fragment, error) {
	switch f.Op {
	case directory.And, directory.Or:
		return t.compileAll(f, find, in)
	case directory.Not:
		if len(f.All) != 1 {
			return fragment{}, errFilter(f)
		}
		inner, err := t.compile(f.All[0], find, in)
		return join("NOT (", inner, ")"), err
	case directory.Any:
		if len(f.All) != 1 || in == nil {
			return fragment{}, errFilter(f)
		}
		return t.compileAny(f, in)
	default:
		o, ok := find(f.Attr)
		if !ok {
			return fragment{}, errFilter(f)
		}
		return t.compileOne(f, o)
	}
}

func errFilter(f directory.Filter) error {
	return fault.New(fault.Invalid, "cannot filter by %q %s", f.Attr.Name, f.Op)
}

func (t tx) compileAll(f directory.Filter, find func(directory.Attr) (operand, bool), in table) (fragment, error) {
	between, none := " AND ", always
	if f.Op == directory.Or {
		between, none = " OR ", never
	}
	if len(f.All) == 0 {
		return sqlf(none), nil
	}
	parts := []any{"("}
	for i, each := range f.All {
		c, err := t.compile(each, find, in)
		if err != nil {
			return fragment{}, err
		}
		if i > 0 {
			parts = append(parts, between)
		}
		parts = append(parts, c)
	}
	return join(append(parts, ")")...), nil
}

// compileAny is a condition on one and the same value of an attribute.
func (t tx) compileAny(f directory.Filter, in table) (fragment, error) {
	whole := f.Attr
	whole.Sub, whole.Kind, whole.Many = "", directory.Complex, true
	o, ok := in.operand(whole)
	if !ok || o.from.text == "" {
		return fragment{}, errFilter(f)
	}
	inner, err := t.compile(f.All[0], func(sub directory.Attr) (operand, bool) { return in.element(whole, sub) }, nil)
	if err != nil {
		return fragment{}, err
	}
	exists := join("EXISTS (SELECT 1 FROM ", o.from, " AND ", inner, ")")
	for _, c := range conjuncts(f.All[0]) {
		if c.Op != directory.Eq || c.Attr.Name != "value" {
			continue
		}
		value := whole
		value.Sub, value.Kind, value.Prefix = "value", c.Attr.Kind, c.Attr.Prefix
		if v, ok := in.operand(value); ok && v.narrow != nil {
			if n := v.narrow(directory.Eq, c.Value); n.text != "" {
				return join("(", n, " AND ", exists, ")"), nil
			}
		}
	}
	return exists, nil
}

func conjuncts(f directory.Filter) []directory.Filter {
	if f.Op != directory.And {
		return []directory.Filter{f}
	}
	var out []directory.Filter
	for _, each := range f.All {
		out = append(out, conjuncts(each)...)
	}
	return out
}

// compileOne is one comparison. It is never NULL, so that NOT turns it round.
func (t tx) compileOne(f directory.Filter, o operand) (fragment, error) {
	c, ok := t.test(f.Op, o, f.Value)
	if !ok {
		return fragment{}, errFilter(f)
	}
	if o.unset && f.Op != directory.Pr {
		c = join("(", c, " AND ", o.value, " <> '')")
	}
	if !o.sure && c.text != never && c.text != always {
		c = join("coalesce(", c, ", FALSE)")
	}
	if o.from.text != "" {
		c = join("EXISTS (SELECT 1 FROM ", o.from, " AND ", c, ")")
	}
	if o.narrow != nil {
		if n := o.narrow(f.Op, f.Value); n.text != "" {
			return join("(", n, " AND ", c, ")"), nil
		}
	}
	return c, nil
}

// test compares one value. It reports false where the operator or the type of
// the wanted value does not go with the attribute.
func (t tx) test(op directory.Op, o operand, want any) (fragment, bool) {
	text := o.kind == directory.Folded || o.kind == directory.Exact
	if op == directory.Pr {
		if text {
			return join(o.value, " <> ''"), true
		}
		return join(o.value, " IS NOT NULL"), true
	}
	switch w := want.(type) {
	case string:
		if !text || storable(w) != nil { // asked before lower case hides it
			return fragment{}, false
		}
		if o.kind == directory.Folded {
			w = strings.ToLower(w)
		}
		return t.testText(op, o, w)
	case bool:
		if o.kind != directory.Boolean || op != directory.Eq {
			return fragment{}, false
		}
		if w {
			return o.value, true
		}
		return join("NOT ", o.value), true
	case float64:
		sign, ok := order[op]
		if !ok || o.kind != directory.Number || math.IsNaN(w) || math.IsInf(w, 0) {
			return fragment{}, false
		}
		if t.dialect == "postgres" {
			return join(o.value, sign, sqlf("CAST(? AS numeric)", strconv.FormatFloat(w, 'f', -1, 64))), true
		}
		return join(o.value, sign, sqlf("?", w)), true
	case time.Time:
		return testTime(op, o, w)
	default:
		return fragment{}, false
	}
}

var order = map[directory.Op]string{ //nolint:gochecknoglobals // a constant
	directory.Eq: " = ", directory.Gt: " > ", directory.Ge: " >= ", directory.Lt: " < ", directory.Le: " <= ",
}

func (t tx) testText(op directory.Op, o operand, want string) (fragment, bool) {
	length := utf8.RuneCountInString(want)
	switch op {
	case directory.Eq:
		return join(o.value, sqlf(" = ?", want)), true
	case directory.Gt, directory.Ge, directory.Lt, directory.Le:
		return join(t.bytewise(o.value), order[op], sqlf("?", want)), true
	case directory.Co, directory.Sw, directory.Ew:
		if length == 0 { // every value has it, an empty one too
			return join(o.value, " IS NOT NULL"), true
		}
	default:
		return fragment{}, false
	}
	switch {
	case op == directory.Sw && o.sure:
		return t.prefixed(o.value, want), true // a range, for the index
	case op == directory.Sw:
		return join("substr(", o.value, sqlf(", 1, ?) = ?", length, want)), true
	case t.dialect == "postgres" && op == directory.Co:
		return join("strpos(", o.value, sqlf(", ?) > 0", want)), true
	case t.dialect == "postgres":
		return join("right(", o.value, sqlf(", ?) = ?", length, want)), true
	case op == directory.Co:
		return join("instr(", o.value, sqlf(", ?) > 0", want)), true
	default:
		return join("substr(", o.value, sqlf(", ?) = ?", -length, want)), true
	}
}

// bytewise makes PostgreSQL order text by code points, as SQLite and Go do.
func (t tx) bytewise(value fragment) fragment {
	if t.dialect == "postgres" {
		return join("(", value, ` COLLATE "C")`)
	}
	return value
}

// prefixed is the range of the texts that start with want.
func (t tx) prefixed(value fragment, want string) fragment {
	value = t.bytewise(value)
	if end := after(want); end != "" {
		return join("(", value, sqlf(" >= ?", want), " AND ", value, sqlf(" < ?", end), ")")
	}
	return join("(", value, sqlf(" >= ?", want), ")")
}

// after is the least text that is greater than all that start with prefix;
// empty if there is none.
func after(prefix string) string {
	runes := []rune(prefix)
	for i := len(runes) - 1; i >= 0; i-- {
		switch runes[i] {
		case utf8.MaxRune:
			continue
		case 0xD7FF: // what follows up to U+E000 is no character
			runes[i] = 0xE000
		default:
			runes[i]++
		}
		return string(runes[:i+1])
	}
	return ""
}

func testTime(op directory.Op, o operand, want time.Time) (fragment, bool) {
	sign, ok := order[op]
	if !ok || o.kind != directory.Time {
		return fragment{}, false
	}
	if !o.micros { // RFC 3339 in UTC without a Z orders as text
		return join(o.value, sign, sqlf("?", strings.TrimSuffix(want.UTC().Format(time.RFC3339Nano), "Z"))), true
	}
	us := want.UnixMicro()
	if !time.UnixMicro(us).Equal(want) { // between two that can be stored; UnixMicro rounds down
		switch op {
		case directory.Eq:
			return sqlf(never), true
		case directory.Ge:
			sign = order[directory.Gt]
		case directory.Lt:
			sign = order[directory.Le]
		default:
		}
	}
	return join(o.value, sign, sqlf("?", us)), true
}
