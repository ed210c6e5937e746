package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

const (
	maxWhen = 2_000 // characters of an expression
	// whenCost bounds the steps of one evaluation: enough to look at a
	// thousand groups a few times, and over in a millisecond or two.
	whenCost = 100_000
)

// expression is a condition in CEL. Many rules may share the program of one
// text.
type expression struct {
	text string
	at   pos
	*program
}

// program is a compiled expression. It is safe for concurrent use.
type program struct {
	cel    cel.Program
	groups bool // it looks at groups
}

// expressions keeps what is compiled while a policy loads: one text is
// compiled once, for all rules and environments.
type expressions struct {
	programs map[string]*program
	regexps  map[string]*regexp.Regexp
}

func newExpressions() *expressions {
	return &expressions{make(map[string]*program), make(map[string]*regexp.Regexp)}
}

const userTypeName = "portcullis.User"

// userField is one field of the variable user.
type userField struct {
	kind *types.Type
	get  func(*Facts) any
	set  func(*Facts) bool
}

func textField(get func(*Facts) string) userField {
	return userField{types.StringType, func(f *Facts) any { return get(f) }, func(f *Facts) bool { return get(f) != "" }}
}

// userFields is what an expression can ask of user.
func userFields() map[string]userField {
	return map[string]userField{
		"connection":    textField(func(f *Facts) string { return f.Connection }),
		"subject":       textField(func(f *Facts) string { return f.Subject }),
		"userName":      textField(func(f *Facts) string { return f.UserName }),
		"email":         textField(func(f *Facts) string { return f.Email }),
		"name":          textField(func(f *Facts) string { return f.Name }),
		"userType":      textField(func(f *Facts) string { return f.UserType }),
		"emailVerified": {types.BoolType, func(f *Facts) any { return f.EmailVerified }, func(f *Facts) bool { return f.EmailVerified }},
		"appRoles":      {types.NewListType(types.StringType), func(f *Facts) any { return f.AppRoles }, func(f *Facts) bool { return len(f.AppRoles) > 0 }},
		"attributes": {
			types.NewMapType(types.StringType, types.DynType),
			func(f *Facts) any { return present(f.Attributes) },
			func(f *Facts) bool { return len(f.Attributes) > 0 },
		},
	}
}

// language is the CEL environment with the names of the fields of user.
type language struct {
	env    *cel.Env
	fields []string
}

// celLanguage is made once, when the first expression is compiled: it takes
// milliseconds, and most files have no expression.
var celLanguage = sync.OnceValues(func() (*language, error) {
	fields := userFields()
	env, err := cel.NewEnv(
		cel.OptionalTypes(),
		func(e *cel.Env) (*cel.Env, error) {
			// After the library, which wants a provider of its own kind.
			e, err := cel.CustomTypeAdapter(claimAdapter{e.CELTypeAdapter()})(e)
			if err != nil {
				return nil, err
			}
			return cel.CustomTypeProvider(userProvider{e.CELTypeProvider(), fields})(e)
		},
		cel.Variable("user", types.NewObjectType(userTypeName)),
		cel.Variable("claims", types.NewMapType(types.StringType, types.DynType)),
		cel.Variable("groups", types.NewListType(types.StringType)),
		cel.ParserExpressionSizeLimit(4*maxWhen),
		cel.ParserRecursionLimit(50),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateComprehensionNestingLimit(2)),
	)
	if err != nil {
		return nil, err
	}
	return &language{env, slices.Sorted(maps.Keys(fields))}, nil
})

// userProvider tells CEL the type of user.
type userProvider struct {
	types.Provider
	fields map[string]userField
}

// FindStructType knows user besides the standard types.
func (p userProvider) FindStructType(name string) (*types.Type, bool) {
	if name == userTypeName {
		return types.NewTypeTypeWithParam(types.NewObjectType(userTypeName)), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames lists the fields of user.
func (p userProvider) FindStructFieldNames(name string) ([]string, bool) {
	if name == userTypeName {
		return slices.Sorted(maps.Keys(p.fields)), true
	}
	return p.Provider.FindStructFieldNames(name)
}

// FindStructFieldType gives the type of a field of user and how to read it.
func (p userProvider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if name != userTypeName {
		return p.Provider.FindStructFieldType(name, field)
	}
	f, ok := p.fields[field]
	if !ok {
		return nil, false
	}
	return &types.FieldType{
		Type: f.kind,
		IsSet: func(target any) bool {
			who, ok := target.(*Facts)
			return ok && f.set(who)
		},
		GetFrom: func(target any) (any, error) {
			who, ok := target.(*Facts)
			if !ok {
				return nil, errors.New("not a user")
			}
			return f.get(who), nil
		},
	}, true
}

// claimAdapter reads claims as JSON decoders give them.
type claimAdapter struct{ types.Adapter }

// NativeToValue turns a value of Go into one of CEL.
func (a claimAdapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return types.NewErr("%v", err)
		}
		return types.Double(f)
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	default:
		return a.Adapter.NativeToValue(value)
	}
}

// when reads a condition in CEL and compiles it.
func (d decoder) when(n *node, path string) *expression {
	t, ok := d.text(n, path)
	if !ok {
		return nil
	}
	if length := utf8.RuneCountInString(t.text); length > maxWhen {
		d.fail(t.at, "%s has %d characters; want at most %d", path, length, maxWhen)
		return nil
	}
	p := d.programs.programs[t.text]
	if p == nil {
		if p = d.compileWhen(t, path); p == nil {
			return nil
		}
		d.programs.programs[t.text] = p
	}
	return &expression{t.text, t.at, p}
}

func (d decoder) compileWhen(t name, path string) (p *program) {
	defer func() {
		// The text may be anything; whatever it does to the library, the gate
		// goes on.
		if r := recover(); r != nil {
			d.fail(t.at, "%s cannot be read as CEL", path)
			p = nil
		}
	}()
	l, err := celLanguage()
	if err != nil {
		d.fail(t.at, "%s: CEL is not available: %v", path, err)
		return nil
	}
	checked, issues := l.env.Compile(t.text)
	if issues != nil && issues.Err() != nil {
		for i, e := range issues.Errors() {
			if i == 3 {
				break // the first explain the others
			}
			d.fail(d.inside(t, e.Location.Line(), e.Location.Column()), "%s: %s", path, d.celMessage(l, e.Message))
		}
		return nil
	}
	if !checked.OutputType().IsExactType(types.BoolType) {
		d.fail(t.at, "%s gives %s; want true or false, as from ==, in or matches", path, checked.OutputType())
		return nil
	}
	p = &program{}
	for _, r := range checked.NativeRep().ReferenceMap() {
		p.groups = p.groups || r.Name == "groups"
	}
	if p.cel, err = l.env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostTracking(sizes{}), cel.CostLimit(whenCost)); err != nil {
		d.fail(t.at, "%s: %s", path, clip(err.Error()))
		return nil
	}
	return p
}

// sizes charges for putting texts and lists together. The library does so only
// where it knows the types while it compiles, and those of claims it does not.
type sizes struct{}

// CallCost is the cost of one + in steps; nil leaves others to the library.
func (sizes) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	if function != operators.Add {
		return nil
	}
	steps := uint64(1)
	for _, a := range args {
		if s, ok := a.(traits.Sizer); ok {
			if n, ok := s.Size().(types.Int); ok && n > 0 {
				steps += uint64(n) / 10
			}
		}
	}
	return &steps
}

// inside is a place in an expression, when it stands in the file as it is.
func (d decoder) inside(t name, line, column int) pos {
	at := t.at
	if at.in == nil || at.line < 1 || at.line > len(at.in.lines) || line != 1 || t.raw != "" {
		return at
	}
	runes := []rune(at.in.lines[at.line-1])
	if at.col < 1 || at.col > len(runes) {
		return at
	}
	rest := string(runes[at.col-1:])
	if i := strings.Index(rest, t.text); i >= 0 && i <= 1 {
		at.col += i + column
	}
	return at
}

var (
	celUndeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	celUndefined  = regexp.MustCompile(`^undefined field '([^']*)'`)
)

// celMessage says what is wrong with an expression in our words where the
// mistake is a name.
func (d decoder) celMessage(l *language, message string) string {
	if m := celUndeclared.FindStringSubmatch(message); m != nil {
		known := []string{"claims", "groups", "user"}
		if _, hint := d.suggest(m[1], known); hint != "" {
			return fmt.Sprintf("unknown name %q%s", clip(m[1]), hint)
		}
		return fmt.Sprintf("unknown name %q; want %s", clip(m[1]), list(known))
	}
	if m := celUndefined.FindStringSubmatch(message); m != nil {
		_, hint := d.suggest(m[1], l.fields)
		if hint == "" {
			hint = "; want " + list(l.fields)
		}
		return fmt.Sprintf("user has no field %q%s", clip(m[1]), hint)
	}
	message, _, _ = strings.Cut(message, "\n")
	return "not CEL: " + clip(strings.TrimPrefix(message, "Syntax error: "))
}

// celFacts gives an expression its variables.
type celFacts struct {
	facts  *Facts
	groups []string

	claims map[string]any // see said
	asked  bool
}

// said are the claims, read once for all rules.
func (c *celFacts) said(f *Facts) map[string]any {
	if !c.asked {
		c.claims, c.asked = f.AllClaims(), true
	}
	return c.claims
}

var _ interpreter.Activation = (*celFacts)(nil)

// ResolveName gives the value of a variable.
func (c *celFacts) ResolveName(name string) (any, bool) {
	switch name {
	case "user":
		return c.facts, true
	case "claims":
		return present(c.said(c.facts)), true
	case "groups":
		if c.groups == nil {
			return []string{}, true
		}
		return c.groups, true
	default:
		return nil, false
	}
}

// Parent is nil: there is nothing beyond the facts.
func (c *celFacts) Parent() interpreter.Activation { return nil }

func present(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// run evaluates the expression. The error says why it could not: a claim that
// is not there, a value of another type, too many steps.
func (p *program) run(c *celFacts) (bool, error) {
	out, _, err := p.cel.Eval(c)
	if err != nil {
		return false, err
	}
	value, ok := out.Value().(bool)
	if !ok {
		return false, errors.New("the result is not true or false")
	}
	return value, nil
}
