package directory

// Op is an operator of a [Filter].
type Op string

// The operators that the store understands. And of nothing is true, Or of
// nothing is false. Any holds where one value of a multi-valued attribute
// meets the whole condition.
const (
	And Op = "and"
	Or  Op = "or"
	Not Op = "not"
	Any Op = "any"
	Pr  Op = "pr" // has a value; an empty text is none
	Eq  Op = "eq"
	Co  Op = "co"
	Sw  Op = "sw"
	Ew  Op = "ew"
	Gt  Op = "gt"
	Ge  Op = "ge"
	Lt  Op = "lt"
	Le  Op = "le"
)

// Kind is how the values of an attribute compare.
type Kind int

// Folded text compares without regard to case, and Exact with it; both order
// by code points. Complex values have no order and no equality: only Pr.
const (
	Folded Kind = iota
	Exact
	Boolean
	Number
	Time
	Complex
)

// Attr names an attribute of a stored resource, by the spelling of its
// schema. Within [Any] only Name and Kind are used: the name of a
// sub-attribute.
//
// Of people the store knows id, userName, externalId, displayName, active,
// emails, groups and meta in columns, and "email", the one address that the
// gate uses; everything else is looked up in [Person.Attributes]. Of groups it
// knows id, externalId, displayName, members and meta, and nothing else.
type Attr struct {
	Extension string // URN of the extension that it stands in; empty: the core
	Name      string
	Sub       string // sub-attribute; empty: the attribute itself
	Kind      Kind
	Many      bool   // multi-valued
	Prefix    string // put before the value: makes a location of an identifier
}

// Filter is a condition on stored resources. The zero value is not one.
type Filter struct {
	Op    Op
	Attr  Attr
	Value any      // string (Folded, Exact), bool, float64 or time.Time, by Attr.Kind
	All   []Filter // of And, Or; one of Not and Any
}

// Sort is an order of stored resources. Resources without a value come last,
// and first if it is descending (RFC 7644, section 3.4.2.3); those with the
// same value are in the order of creation.
type Sort struct {
	Attr       Attr
	Descending bool
}

// Cursor is a place in a list: behind the resource with that number. Value is
// what the list is sorted by, in the store's own words.
type Cursor struct {
	Seq   int64
	Value string
	None  bool // it has no value
}

// Query asks for a page of people or groups of one connection, in the order
// of creation unless Sort says otherwise.
type Query struct {
	Connection string  // required, except for the command line's list of everybody
	Pushed     bool    // only those who came over SCIM
	Brief      bool    // of people no more than ID, IDPActive, Attributes, Version, Created and Modified
	Filter     *Filter // nil: all
	Sort       *Sort   // nil: by creation
	Offset     int
	Limit      int     // 0: none, count only
	After      *Cursor // start behind it, without an Offset and without a total
}

// Page is what a [Query] finds.
type Page[T any] struct {
	Items []T
	Total int     // of all that match; 0 with [Query.After], which does not count
	Next  *Cursor // behind the last item, nil if nothing follows
}
