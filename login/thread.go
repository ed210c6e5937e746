package login

import (
	"context"
	"encoding/base32"
	"strings"
)

// Thread ties the request with which somebody comes back from an identity
// provider to the one that sent them there. It is safe for concurrent use.
type Thread interface {
	// Mark names the request of ctx in [MarkSize] bytes; nil if nobody follows
	// it.
	Mark(ctx context.Context) []byte
	// Follow says that the request of ctx goes on where the marked one ended.
	Follow(ctx context.Context, mark []byte)
}

// MarkSize is how many bytes a mark has.
const MarkSize = 24

const (
	stateLength  = 26 // of rand.Text
	markedLength = stateLength + 39
)

// marking writes marks in the letters of a state.
var marking = base32.StdEncoding.WithPadding(base32.NoPadding) //nolint:gochecknoglobals // an encoding that nothing writes

// marked puts the mark of the request of ctx behind a state. What counts of the
// state is the hash of it all, so that nobody else's mark is followed; and the
// two together fit into the 80 bytes of a RelayState.
func (l *Login) marked(ctx context.Context, state string) string {
	if l.thread == nil {
		return state
	}
	if mark := l.thread.Mark(ctx); len(mark) == MarkSize {
		state += marking.EncodeToString(mark)
	}
	return state
}

// follow ties the request of ctx to the one that made the state, which has
// been found to be ours.
func (l *Login) follow(ctx context.Context, state string) {
	if l.thread == nil || len(state) != markedLength {
		return
	}
	if mark, err := marking.DecodeString(state[stateLength:]); err == nil {
		l.thread.Follow(ctx, mark)
	}
}

// isState tells the states that we make from what others write.
func isState(s string) bool {
	return (len(s) == stateLength || len(s) == markedLength) &&
		!strings.ContainsFunc(s, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '2' || r > '7') })
}
