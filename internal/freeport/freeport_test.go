package freeport

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestMain lets the test binary be another process that wants ports.
func TestMain(m *testing.M) {
	n, err := strconv.Atoi(os.Getenv("FREEPORT_FROM"))
	if err != nil {
		os.Exit(m.Run())
	}
	walk.next = n
	port, err := Number()
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString(strconv.Itoa(port))
}

func TestAPortIsGivenOnce(t *testing.T) {
	given := map[int]bool{}
	for range 200 {
		port, err := Number()
		if err != nil {
			t.Fatal(err)
		}
		if given[port] || port < lowest || port >= behind {
			t.Fatalf("port %d is given twice, or not one of ours", port)
		}
		given[port] = true
	}
}

func TestAnotherProcessGetsAnotherPort(t *testing.T) {
	port, err := Number()
	if err != nil {
		t.Fatal(err)
	}
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), "FREEPORT_FROM="+strconv.Itoa(port))
	out, err := other.Output()
	if got := strings.TrimSpace(string(out)); err != nil || got == strconv.Itoa(port) {
		t.Errorf("another process that begins there gets %q, %v", got, err)
	}
}

func TestAPortInUseIsPassedOver(t *testing.T) {
	first := lowest
	for !listens(t, first) {
		first++
	}
	walk.next = first
	if port, err := Number(); err != nil || port == first {
		t.Errorf("port %d, %v: somebody listens on %d", port, err, first)
	}
}

// listens takes a port until the test ends, if it can.
func listens(t *testing.T, port int) bool {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err == nil {
		t.Cleanup(func() { _ = l.Close() })
	}
	return err == nil
}

func TestAnAddressCanBeListenedOnAgainAndAgain(t *testing.T) {
	address := Address(t)
	for range 3 {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
