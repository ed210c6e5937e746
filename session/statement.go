package session

import (
	"sync"
	"time"
)

// statement memoizes the signed statement of one principal.
type statement struct {
	mu      sync.Mutex
	text    string
	until   time.Time
	shelved bool // the shelf knows of it
}

// Statement gives what sign made, calling it again only when the statement
// is no longer fresh at now: once a session and minute, not once a request.
// sign returns the text and until when it may be handed out.
//
// Statements are many times larger than what else is remembered of a session,
// so that there is a bound of its own on them: those that were made first are
// forgotten first, and made again when they are asked for.
func (p *Principal) Statement(now time.Time, sign func() (string, time.Time, error)) (string, error) {
	text, shelve, err := p.remembered(now, sign)
	if shelve && p.shelf != nil {
		p.shelf.put(p, len(text))
	}
	return text, err
}

func (p *Principal) remembered(now time.Time, sign func() (string, time.Time, error)) (text string, shelve bool, err error) {
	p.statement.mu.Lock()
	defer p.statement.mu.Unlock()
	if now.Before(p.statement.until) {
		return p.statement.text, false, nil
	}
	text, until, err := sign()
	if err != nil {
		return "", false, err
	}
	shelve = !p.statement.shelved
	p.statement.text, p.statement.until, p.statement.shelved = text, until, true
	return text, shelve, nil
}

func (p *Principal) forgetStatement() {
	p.statement.mu.Lock()
	defer p.statement.mu.Unlock()
	p.statement.text, p.statement.until, p.statement.shelved = "", time.Time{}, false
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

// put adds the statement of a principal and forgets the oldest ones beyond
// the limit.
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
		old.forgetStatement()
	}
}
