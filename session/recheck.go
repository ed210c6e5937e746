package session

import (
	"context"
	"sync"
	"time"
)

// recheckLimit is how long streams may go on that were not checked after a
// change; recheckers is how many are checked at once.
const (
	recheckLimit = 500 * time.Millisecond
	recheckers   = 8
)

// rechecks are the people whose streams wait to be checked.
type rechecks struct {
	mu     *sync.Mutex
	people map[string]struct{} // "" is everybody
	ready  chan struct{}
}

func newRechecks() rechecks {
	return rechecks{mu: new(sync.Mutex), people: make(map[string]struct{}), ready: make(chan struct{}, 1)}
}

func (r rechecks) add(person string) {
	r.mu.Lock()
	r.people[person] = struct{}{}
	r.mu.Unlock()
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

func (r rechecks) take() (people []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for person := range r.people {
		people = append(people, person)
	}
	clear(r.people)
	return people
}

// recheckAll checks streams as changes come.
func (m *Manager) recheckAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.rechecks.ready:
			m.recheck(ctx, m.rechecks.take())
		}
	}
}

// PolicyChanged tells that another mapping is in force: requests see it at
// once by themselves, streams are checked here.
func (m *Manager) PolicyChanged(ctx context.Context) { m.recheck(ctx, []string{""}) }

// recheck cuts the streams of people whose access has become different, and
// those that could not be checked in time. A stream comes back with the new
// rights.
func (m *Manager) recheck(ctx context.Context, people []string) {
	ctx, cancel := context.WithTimeout(ctx, recheckLimit)
	defer cancel()
	var running sync.WaitGroup
	slots := make(chan struct{}, recheckers)
	for _, s := range m.cache.open(people...) {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			e, err := m.reload(ctx, s.principal, false)
			if err != nil || !sameAccess(e.access, &s.principal.Access) {
				m.cache.cutStream(s)
				return
			}
			m.cache.confirm(s, e)
		})
	}
	running.Wait()
}
