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
func (p *Principal) Statement(now time.Time, audience string, sign func() (string, time.Time, error)) (string, error) {
	p.statement.mu.Lock()
	defer p.statement.mu.Unlock()
	list := p.statement.kept
	i := 0
	for i < len(list) && list[i].audience != audience {
		i++
	}
	if i < len(list) && now.Before(list[i].until) {
		return list[i].text, nil
	}
	text, until, err := sign()
	if err != nil {
		return "", err
	}
	if k := (kept{audience, text, until}); i < len(list) {
		list[i] = k
	} else {
		p.statement.kept = append(list, k)
	}
	return text, nil
}
