package scim

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"portcullis/directory"
)

// strand is what one resource type has of a list of all types.
type strand struct {
	lister

	query directory.Query
	total int
	done  bool                           // by cursor: all of it was shown
	page  directory.Page[map[string]any] // what was read
	room  int                            // how much of that there is room for
	shown int                            // how much of that is on the page
}

// braid is a list of all types (RFC 7644, section 3.4.2.1): users and groups
// in the one order that was asked for.
type braid struct {
	strands [2]*strand // in the order in which they follow each other
	sortBy  []string   // path of the attribute that both have; empty: the one type follows the other
	kind    directory.Kind
	desc    bool
}

// listAll lists resources of all types. Without sortBy users come first; an
// attribute that one type alone has puts the other where resources without a
// value belong (RFC 7644, section 3.4.2.3).
func (c *call) listAll() error {
	p, err := c.page()
	if err != nil {
		return err
	}
	b, err := c.braid(p)
	if err != nil {
		return err
	}
	if p.cursor == nil {
		err = b.seek(p.start-1, p.count)
	} else {
		err = b.resume(p, c.order())
	}
	if err != nil {
		return err
	}
	resources, err := b.read(p.count)
	if err != nil {
		return err
	}
	total := b.strands[0].total + b.strands[1].total
	if p.cursor == nil {
		return c.answerList(resources, total, p.start)
	}
	next, err := b.places(c.order())
	if err != nil {
		return err
	}
	return c.answerPage(p, resources, total, next)
}

// order is how the places of a cursor are listed: by type, however the list
// is sorted.
func (c *call) order() [2]*resourceType { return [2]*resourceType{c.site.user, c.site.group} }

func (c *call) braid(p page) (*braid, error) {
	users, groups := &strand{lister: c.users()}, &strand{lister: c.groups()}
	for s, other := range map[*strand]*resourceType{users: c.site.group, groups: c.site.user} {
		var err error
		if s.show, err = s.t.project(c.query); err != nil {
			return nil, err
		}
		if s.query, err = c.pageQuery(s.lister, p, other); err != nil {
			return nil, err
		}
	}
	b := &braid{strands: [2]*strand{users, groups}, desc: p.descending}
	switch {
	case users.query.Sort != nil && groups.query.Sort != nil:
		attr := users.query.Sort.Attr
		b.kind = attr.Kind
		_, path := c.site.user.splitURN(p.sortBy)
		b.sortBy = strings.Split(path, ".")
	case users.query.Sort != nil && p.descending, groups.query.Sort != nil && !p.descending:
		slices.Reverse(b.strands[:])
	}
	return b, nil
}

// before reports whether a comes before b; a is of the strand that wins ties.
func (b *braid) before(one, two map[string]any) bool {
	x, hasX := b.key(one)
	y, hasY := b.key(two)
	switch {
	case !hasX || !hasY:
		return hasX == hasY || hasX != b.desc
	case b.desc:
		return compareKeys(b.kind, x, y) >= 0
	default:
		return compareKeys(b.kind, x, y) <= 0
	}
}

// key is the value that a resource is sorted by.
func (b *braid) key(doc map[string]any) (string, bool) {
	var v any = doc
	for _, name := range b.sortBy {
		m, _ := v.(map[string]any)
		v, _ = member(m, name)
	}
	s, _ := v.(string)
	return s, s != ""
}

// compareKeys compares as the store does: by code points, of a time by the
// moment.
func compareKeys(kind directory.Kind, x, y string) int {
	switch kind {
	case directory.Time:
		one, _ := time.Parse(time.RFC3339, x)
		two, _ := time.Parse(time.RFC3339, y)
		return one.Compare(two)
	case directory.Folded:
		return cmp.Compare(strings.ToLower(x), strings.ToLower(y))
	default:
		return cmp.Compare(x, y)
	}
}

// seek finds how many resources of each type stand before a place in the
// list. Where they are woven into each other it looks for the one division of
// that many, in logarithmically many steps.
func (b *braid) seek(skip, count int) error {
	if err := b.count(); err != nil {
		return err
	}
	one, two := b.strands[0], b.strands[1]
	skip = min(skip, one.total+two.total)
	low, high := max(0, skip-two.total), min(skip, one.total)
	if len(b.sortBy) == 0 {
		low = high
	}
	for low < high && count > 0 {
		mid := (low + high) / 2
		first, err := one.at(mid)
		if err != nil {
			return err
		}
		second, err := two.at(skip - mid - 1)
		if err != nil {
			return err
		}
		if b.before(first, second) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	one.query.Offset, two.query.Offset = low, skip-low
	return nil
}

// count counts the resources of each type.
func (b *braid) count() error {
	for _, s := range b.strands {
		q := s.query
		q.Offset, q.Limit = 0, 0
		found, err := s.find(q)
		if err != nil {
			return err
		}
		s.total, s.done = found.Total, found.Total == 0
	}
	return nil
}

// at gives one resource of a strand; nothing if it is gone meanwhile.
func (s *strand) at(offset int) (map[string]any, error) {
	q := s.query
	q.Offset, q.Limit = offset, 1
	found, err := s.find(q)
	if err != nil || len(found.Items) == 0 {
		return nil, err
	}
	return found.Items[0], nil
}

// resume goes on behind the places of a cursor.
func (b *braid) resume(p page, order [2]*resourceType) error {
	if p.cursor.after == nil {
		return b.count()
	}
	if len(p.cursor.types) != len(order) {
		return errCursor()
	}
	for i, t := range order {
		place, s := p.cursor.types[i], b.of(t)
		if s.done = place.Done; !place.Start {
			s.query.After = place.cursor()
		}
	}
	return nil
}

// of gives the strand of a type.
func (b *braid) of(t *resourceType) *strand {
	if b.strands[0].t == t {
		return b.strands[0]
	}
	return b.strands[1]
}

// read reads the page and gives its resources as they are shown. It may be
// shorter than was asked for: what follows comes with the next one.
func (b *braid) read(count int) ([]any, error) {
	need := count
	for _, s := range b.strands {
		if s.done || need == 0 && len(b.sortBy) == 0 {
			continue
		}
		s.query.Limit = need
		var err error
		if s.page, err = s.find(s.query); err != nil {
			return nil, err
		}
		s.done = len(s.page.Items) == 0
		if len(b.sortBy) == 0 {
			need -= len(s.page.Items)
		}
	}
	woven := b.weave(count)
	for _, s := range b.strands {
		items := s.page.Items[:s.shown]
		var err error
		if s.room, err = s.fill(items, s.show); err != nil {
			return nil, err
		}
		s.shown = 0
	}
	resources := []any{} // never null
	for _, s := range woven {
		if s.shown == s.room {
			break
		}
		resources = append(resources, s.show.apply(s.page.Items[s.shown]))
		s.shown++
	}
	return resources, nil
}

// weave says of which strand each resource of the page is, and counts them.
func (b *braid) weave(count int) (of []*strand) {
	one, two := b.strands[0], b.strands[1]
	for len(of) < count {
		next := one
		switch left, right := one.shown < len(one.page.Items), two.shown < len(two.page.Items); {
		case !left && !right:
			return of
		case !left:
			next = two
		case right && len(b.sortBy) > 0 && !b.before(one.page.Items[one.shown], two.page.Items[two.shown]):
			next = two
		}
		next.shown++
		of = append(of, next)
	}
	return of
}

// places are behind what is shown; nil: nothing follows.
func (b *braid) places(order [2]*resourceType) (*wireCursor, error) {
	next := &wireCursor{}
	done := true
	for _, t := range order {
		place, err := b.of(t).place()
		if err != nil {
			return nil, err
		}
		done = done && place.Done
		next.Types = append(next.Types, place)
	}
	if done {
		return nil, nil //nolint:nilnil // there is no next page, and that is no fault
	}
	return next, nil
}

// place is behind what is shown of a strand.
func (s *strand) place() (wirePlace, error) {
	next := s.page.Next
	switch {
	case s.done:
		return wirePlace{Done: true}, nil
	case s.shown == 0 && s.query.After == nil:
		return wirePlace{Start: true}, nil
	case s.shown == 0:
		return placeOf(s.query.After), nil
	case s.shown < len(s.page.Items):
		q := s.query
		q.Limit = s.shown
		found, err := s.find(q)
		if err != nil {
			return wirePlace{}, err
		}
		next = found.Next
	}
	if next == nil {
		return wirePlace{Done: true}, nil
	}
	return placeOf(next), nil
}
