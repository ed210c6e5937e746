package login

import (
	"context"
	"sync"

	"portcullis/fault"
	"portcullis/saml"
	"portcullis/trace"
)

// ways are the connections of a moment. Nothing changes them.
type ways struct {
	providers []*provider // in their order
	byID      map[string]*provider
}

// providers are the connections of now.
func (l *Login) providers() []*provider { return l.ways.Load().providers }

// offered are the providers that somebody may choose from: those whose
// connection the mapping names, for nobody comes in by another. One that is
// being set up is reached by its own address until then. Where the mapping names
// none, all are offered: an empty list would say less than a refusal.
func (l *Login) offered() []*provider {
	all := l.providers()
	if l.named == nil {
		return all
	}
	var out []*provider
	for _, p := range all {
		if l.named(p.conn.ID) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return all
	}
	return out
}

func (l *Login) provider(id string) (*provider, bool) {
	p, ok := l.ways.Load().byID[id]
	return p, ok
}

// SetConnections puts other connections in the place of those that were, from
// the next request on. One whose ID and Version are as before stays as it is,
// with what is known of its identity provider. Somebody who is under way at a
// connection that is gone does not come in.
func (l *Login) SetConnections(connections []Connection) {
	l.setting.Lock()
	defer l.setting.Unlock()
	old, next := l.ways.Load(), &ways{byID: make(map[string]*provider)}
	for _, conn := range connections {
		var p *provider
		if old != nil {
			p = old.byID[conn.ID]
		}
		if p == nil || p.conn.Version != conn.Version {
			p = newProvider(conn, &l.config)
		}
		next.providers = append(next.providers, p)
		next.byID[conn.ID] = p
	}
	l.ways.Store(next)
	select {
	case l.changed <- struct{}{}:
	default: // whoever waits looks at the newest anyway
	}
}

// inForce fails unless p is what the people of its connection sign in with
// now. A provider answers when it likes: one that was broken into does so after
// an administrator has named another.
func (l *Login) inForce(b *trace.Builder, p *provider) error {
	if now, ok := l.provider(p.conn.ID); ok && now.is(p) {
		return nil
	}
	b.Check("in force", false, "the identity provider that the connection has now", "one that was removed or replaced meanwhile")
	return fault.New(fault.Invalid, "the way in of your organization was changed while you signed in")
}

// attend keeps what is known of the providers of now fresh, and leaves those
// that are gone.
func (l *Login) attend(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	running := make(map[*provider]context.CancelFunc)
	defer func() {
		for _, stop := range running {
			stop()
		}
	}()
	for {
		now := make(map[*provider]bool)
		for _, p := range l.providers() {
			now[p] = true
			if running[p] != nil {
				continue
			}
			within, stop := context.WithCancel(ctx)
			running[p] = stop
			wg.Go(func() { p.protocol.run(within) })
		}
		for p, stop := range running {
			if !now[p] {
				stop()
				delete(running, p)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-l.changed:
		}
	}
}

// Provider gives what is known of the SAML identity provider of a connection,
// without asking it; nil for nothing.
func (l *Login) Provider(ctx context.Context, connection string) (*saml.IdentityProvider, error) {
	p, ok := l.provider(connection)
	if !ok {
		return nil, nil
	}
	f, ok := p.protocol.(*federated)
	if !ok {
		return nil, nil
	}
	if f.c.MetadataURL == "" {
		md, err := f.source.get(ctx)
		if err != nil {
			return nil, err
		}
		return &md.IDP, nil
	}
	md := f.source.current.Load()
	if md == nil {
		return nil, nil
	}
	return &md.IDP, nil
}
