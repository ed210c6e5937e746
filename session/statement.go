package session

import (
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

// maxShelf bounds the statements that are remembered, in bytes: those of about
// ten thousand sessions of the usual size.
const maxShelf = 16 << 20

// shelf is the statements that are remembered, the oldest first.
type shelf struct {
	mu    sync.Mutex
	row   []book
	first int // of row; those before it are gone
	size  int
	limit int
}

type book struct {
	of   *Principal
	size int
}

// put adds a statement of a principal, and forgets those of the principals who
// got theirs first, beyond the limit.
func (s *shelf) put(p *Principal, size int) {
	s.mu.Lock()
	s.row = append(s.row, book{p, size})
	s.size += size
	var gone []*Principal
	for s.size > s.limit && s.first < len(s.row) {
		old := s.row[s.first]
		s.row[s.first] = book{}
		s.first++
		s.size -= old.size
		gone = append(gone, old.of)
	}
	if s.first > len(s.row)/2 {
		s.row = append(make([]book, 0, len(s.row)), s.row[s.first:]...)
		s.first = 0
	}
	s.mu.Unlock()
	for _, old := range gone {
		old.statement.forget()
	}
}

// clear forgets every statement.
func (s *shelf) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.row, s.first, s.size = nil, 0, 0
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
