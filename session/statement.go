package session

import (
	"slices"
	"sync"
	"time"
)

// statement memoizes the signed statements of one principal, one for each
// audience: a handful.
type statement struct {
	mu   sync.Mutex
	kept []kept
}

type kept struct {
	audience, text string
	until          time.Time
}

// Statement gives what sign made for an audience, calling it again only when
// that is no longer fresh at now: once a session, audience and minute, not
// once a request. sign returns the text and until when it may be handed out.
//
// Statements are many times larger than what else is remembered of a session,
// so that there is a bound of its own on them: those that were made first are
// forgotten first, and made again when they are asked for.
func (p *Principal) Statement(now time.Time, audience string, sign func() (string, time.Time, error)) (string, error) {
	text, added, err := p.statement.give(now, audience, sign)
	if added && p.shelf != nil {
		p.shelf.put(p, len(text))
	}
	return text, err
}

// give is Statement; added says that it is the first for its audience.
func (s *statement) give(now time.Time, audience string, sign func() (string, time.Time, error)) (text string, added bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := 0
	for i < len(s.kept) && s.kept[i].audience != audience {
		i++
	}
	if i < len(s.kept) && now.Before(s.kept[i].until) {
		return s.kept[i].text, false, nil
	}
	text, until, err := sign()
	if err != nil {
		return "", false, err
	}
	k := kept{audience, text, until}
	if i < len(s.kept) {
		s.kept[i] = k
		return text, false, nil
	}
	s.kept = append(s.kept, k)
	return text, true, nil
}

func (s *statement) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = nil
}

// What is remembered of sessions that were used lately: so many principals, and
// so many bytes of their statements.
const (
	maxShelf = 16 << 20
	maxHot   = 6144
)

// shelf is the principals that were used lately and their statements, the
// oldest first.
type shelf struct {
	mu    sync.Mutex
	row   []book
	first int // of row; those before it are gone
	size  int // of the statements, in bytes
	hot   int // principals
}

// book is a principal, or a statement of it.
type book struct {
	of   *Principal
	size int // of the statement; 0 for the principal
}

func newShelf() *shelf { return new(shelf) }

// put adds a principal, or a statement of one, and forgets those that came
// first, beyond the limits.
func (s *shelf) put(p *Principal, size int) {
	s.mu.Lock()
	s.row = append(s.row, book{p, size})
	s.count(size, 1)
	var gone []*Principal
	for (s.size > maxShelf || s.hot > maxHot) && s.first < len(s.row) {
		old := s.row[s.first]
		s.row[s.first] = book{}
		s.first++
		s.count(old.size, -1)
		gone = append(gone, old.of)
	}
	if s.first > len(s.row)/2 {
		s.row = append(make([]book, 0, len(s.row)), s.row[s.first:]...)
		s.first = 0
	}
	s.mu.Unlock()
	for _, old := range gone {
		old.statement.forget()
		if old.of != nil {
			old.of.hot.CompareAndSwap(old, nil)
		}
	}
}

func (s *shelf) count(size, by int) {
	if s.size += by * size; size == 0 {
		s.hot += by
	}
}

// clear takes the statements off it; principals stay.
func (s *shelf) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.row = slices.DeleteFunc(s.row[s.first:], func(b book) bool { return b.size > 0 })
	s.first, s.size = 0, 0
}

// ForgetStatements makes every statement be signed anew when it is asked for
// next: the key that signed them is not good any more. One that is being made
// right now is waited for.
func (m *Manager) ForgetStatements() {
	m.shelf.clear()
	for _, p := range m.cache.principals() {
		p.statement.forget()
	}
}
