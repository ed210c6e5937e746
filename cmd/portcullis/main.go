// Command portcullis is the gate in front of a client portal.
//
// Exit codes: 0 fine, 1 the check found something, 2 wrong usage, 3 could not
// run.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	runtime.MemProfileRate = 0 // nothing reads that profile; keeping it takes more than a megabyte
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
