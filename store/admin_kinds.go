package store

// What a list of people is narrowed by, beside words, is a matter of their kind:
// people_kinds holds each that is there. However many or few people a filter
// leaves, and wherever they stand in an order, the first of a page are among the
// first of each kind, which an index gives at once. A kind that nobody is of any
// more stays, and costs a look.

// maxKinds is how many kinds a page is put together of; there are so many of one
// filter where clients or sub-organizations are in the tens of thousands. Beyond,
// people are met in the order of the list.
const maxKinds = 10_000

// fewKinds is how many kinds are read without asking before which of them come
// first.
const fewKinds = 64

// kindColumns are those of people_kinds beside its key.
const kindColumns = "organization, connection, provisioned, state, never, unit"

// sameKind is the condition that a row k of people_kinds is that of a row p.
const sameKind = `k.organization = p.organization AND k.connection = p.connection AND k.unit = p.unit
	AND k.state = p.state AND k.never = p.never AND k.provisioned = p.provisioned`

// kinds gives the ids of the kinds that meet a condition; more if they are too
// many.
func (t tx) kinds(where fragment) (ids []int64, more bool, err error) {
	query := join("SELECT id FROM people_kinds WHERE ", where, sqlf(" LIMIT ?", maxKinds+1))
	err = t.rows(&ids, query.text, query.args...)
	return ids, len(ids) > maxKinds, err
}

// nearest narrows kinds down to those whose first one is among the first of
// all: nobody of another one is on the page.
func (t tx) nearest(kinds []int64, where fragment, o pageOrder, limit int) ([]int64, error) {
	if len(kinds) <= fewKinds {
		return kinds, nil
	}
	query := join("SELECT kind FROM (", t.firstOf(kinds, where, o, 1), ") firsts ORDER BY place"+o.way+", seq"+o.way, sqlf(" LIMIT ?", limit))
	kinds = nil
	err := t.rows(&kinds, query.text, query.args...)
	return kinds, err
}

// firstOf is the first of each of some kinds who are on the list and meet a
// condition, with their place in the order.
func (t tx) firstOf(kinds []int64, where fragment, o pageOrder, limit int) fragment {
	first := func(columns, kind string) fragment {
		return join("(SELECT "+columns+" FROM people_list WHERE kind = "+kind+" AND "+settled+" AND ", where, o.by, sqlf(" LIMIT ?", limit), ")")
	}
	if t.dialect == "postgres" {
		return join(sqlf("SELECT k.id AS kind, p.seq, p.place FROM unnest(CAST(? AS bigint[])) k (id) CROSS JOIN LATERAL ", kinds), first("seq, "+o.value+" AS place", "k.id"), " p")
	}
	return join(sqlf("SELECT p.kind, p.seq, "+o.value+" AS place FROM json_each(?) k CROSS JOIN people_list p ON p.seq IN ", numerals(kinds)), first("seq", "k.value"))
}
