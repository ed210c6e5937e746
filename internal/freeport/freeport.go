// Package freeport gives tests addresses on 127.0.0.1 for programs that open
// their port themselves, later, or again after a restart.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Ports lie below those that systems hand out by themselves (from 32768 on
// Linux, 49152 elsewhere): an outgoing connection or a listener on port 0 would
// sooner or later sit on a port that is only meant for somebody. They lie above
// 10080, the highest one that browsers refuse.
const (
	lowest = 20000
	behind = 32768 // the first one that is not ours
)

// walk is where this process looks next. It begins anywhere, so that processes
// beside each other seldom meet.
var walk = struct {
	sync.Mutex

	next int
	kept []net.PacketConn
}{next: lowest + rand.IntN(behind-lowest)} //nolint:gosec // a place to begin is no secret

// Number is a free port for this process alone: no other call gives it, here or
// in another process, until this process ends. To say so to the others, the
// process holds the UDP port of the same number.
func Number() (int, error) {
	walk.Lock()
	defer walk.Unlock()
	for range behind - lowest {
		port := walk.next
		if walk.next++; walk.next == behind {
			walk.next = lowest
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		mark, err := net.ListenPacket("udp", address) //nolint:noctx // it does not wait: there is nothing to cancel
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", address) //nolint:noctx // it does not wait: there is nothing to cancel
		if err != nil {
			_ = mark.Close()
			continue
		}
		walk.kept = append(walk.kept, mark)
		return port, l.Close()
	}
	return 0, errors.New("freeport: no free port")
}

// Address is a free port as "127.0.0.1:port". See [Number].
func Address(tb testing.TB) string {
	tb.Helper()
	port, err := Number()
	if err != nil {
		tb.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
