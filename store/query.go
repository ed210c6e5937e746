package store

import (
	"crypto/rand"
	"strings"

	"portcullis/directory"
	"portcullis/fault"
)

// newID gives 130 random bits as text, for rows whose id is the store's.
func newID() string { return strings.ToLower(rand.Text()) }

// column is where an attribute of a filter is stored.
type column struct {
	name string
	fold bool   // stored in lower case
	sub  string // instead of name: a condition with one placeholder
}

// where is a condition with its arguments.
type where struct {
	text []string
	args []any
}

func (w *where) add(text string, args ...any) {
	w.text = append(w.text, text)
	w.args = append(w.args, args...)
}

func (w *where) String() string {
	if len(w.text) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.text, " AND ")
}

// condition translates a query. An attribute that it does not know is
// fault.Invalid: an empty answer would make a client create duplicates.
func condition(q directory.Query, columns map[string]column) (*where, error) {
	w := &where{}
	if q.Connection != "" {
		w.add("connection = ?", q.Connection)
	}
	if q.Filter == nil {
		return w, nil
	}
	return w, w.filter(*q.Filter, columns)
}

func (w *where) filter(f directory.Filter, columns map[string]column) error {
	if f.Op == directory.And {
		for _, each := range f.All {
			if err := w.filter(each, columns); err != nil {
				return err
			}
		}
		return nil
	}
	c, ok := columns[f.Attr]
	if !ok || f.Op != directory.Eq {
		return fault.New(fault.Invalid, "cannot filter by %q", f.Attr)
	}
	if err := storable(f.Value); err != nil {
		return err // before lower case hides it
	}
	value := f.Value
	if c.fold {
		value = strings.ToLower(value)
	}
	if c.sub != "" {
		w.add(c.sub, value)
		return nil
	}
	w.add(c.name+" = ?", value)
	return nil
}

// page reads one page of a table and counts all that meets the condition.
func (t tx) page(out any, table string, w *where, q directory.Query) (total int, err error) {
	if err := t.rows(&total, "SELECT count(*) FROM "+table+w.String(), w.args...); err != nil {
		return 0, err
	}
	if q.Limit <= 0 || total <= q.Offset {
		return total, nil
	}
	return total, t.rows(out, "SELECT * FROM "+table+w.String()+" ORDER BY seq LIMIT ? OFFSET ?", append(w.args, q.Limit, q.Offset)...)
}
