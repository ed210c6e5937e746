package login

import "context"

// Sweep is what the background does each minute.
func (l *Login) Sweep(ctx context.Context) error { return l.sweep(ctx) }
