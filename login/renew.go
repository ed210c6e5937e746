package login

import (
	"context"
	"errors"
	"sync"
	"time"

	"portcullis/oidc"
	"portcullis/session"
)

const (
	renewEvery = 5 * time.Second
	renewers   = 8 // that ask at once
)

// renew asks identity providers whether the sessions that they gave a refresh
// token for still live there, each time it is due. What they have ended ends
// here, too. One that cannot be reached has ended nothing: it is asked again
// in a minute.
func (l *Login) renew(ctx context.Context) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		l.renewDue(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (l *Login) renewDue(ctx context.Context) {
	due, err := l.sessions.TakeDue(ctx)
	if err != nil {
		if ctx.Err() == nil {
			l.log.WarnContext(ctx, "sessions that are due were not asked about", "error", err.Error())
		}
		return
	}
	var wg sync.WaitGroup
	places := make(chan struct{}, renewers)
	for _, d := range due {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			// A token that was exchanged must be kept, whoever stops the gate.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			defer cancel()
			if err := l.renewOne(ctx, d); err != nil {
				l.log.WarnContext(ctx, "refresh token not renewed", "connection", d.Connection, "session", d.Session, "error", err.Error())
			}
		})
	}
	wg.Wait()
}

func (l *Login) renewOne(ctx context.Context, d session.Due) error {
	p, ok := l.provider(d.Connection)
	if !ok {
		return nil
	}
	o, ok := p.protocol.(*openID)
	if !ok {
		return nil
	}
	next, err := o.client.Refresh(ctx, d.Refresh, d.Subject)
	if errors.Is(err, oidc.ErrEnded) {
		l.log.InfoContext(ctx, "identity provider ended a session", "connection", d.Connection, "session", d.Session)
		return l.sessions.Expel(ctx, d, err)
	}
	if err != nil {
		return err
	}
	return l.sessions.Renewed(ctx, d, next, o.refreshEvery)
}
