package session

import (
	"sync"
	"time"
)

// statement memoizes the signed statement of one principal.
type statement struct {
	mu    sync.Mutex
	text  string
	until time.Time
}

// Statement gives what sign made, calling it again only when the statement
// is no longer fresh at now: once a session and minute, not once a request.
// sign returns the text and until when it may be handed out.
func (p *Principal) Statement(now time.Time, sign func() (string, time.Time, error)) (string, error) {
	p.statement.mu.Lock()
	defer p.statement.mu.Unlock()
	if now.Before(p.statement.until) {
		return p.statement.text, nil
	}
	text, until, err := sign()
	if err != nil {
		return "", err
	}
	p.statement.text, p.statement.until = text, until
	return text, nil
}
