package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"portcullis/internal/freeport"
)

// Server is a PostgreSQL server of one test alone, which the test may stop.
type Server struct {
	dir, program string
	attr         *syscall.SysProcAttr
	port         int
	durable      bool // what is committed waits for the disk, as in a deployment
	running      *exec.Cmd
}

// NewServer starts a server that ends with the test.
func NewServer(tb testing.TB) *Server {
	tb.Helper()
	s, err := makeServer(false)
	if errors.Is(err, errAbsent) && os.Getenv("CI") != "true" { //nolint:forbidigo // tests have no configuration
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.remove)
	return s
}

// URL is the address of a database on the server.
func (s *Server) URL() string {
	return fmt.Sprintf("postgres://portcullis@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}

// Restart stops the server at once, as a crash does, and starts it again: it
// recovers from its log.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	s.stop(syscall.SIGQUIT) // PostgreSQL's immediate shutdown
	if err := s.start(); err != nil {
		tb.Fatal(err)
	}
}

// makeServer makes and starts a server in a folder of its own.
func makeServer(durable bool) (s *Server, err error) {
	initdb, err := program("initdb")
	if err != nil {
		return nil, err
	}
	s = &Server{durable: durable}
	if s.program, err = program("postgres"); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "portcullis-postgres-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.remove()
		}
	}()
	if s.attr, err = ordinaryUser(s.dir); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, initdb, "-D", s.data(), "-U", "portcullis", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C") //nolint:gosec // a program of PostgreSQL's, found above
	cmd.SysProcAttr, cmd.Dir = s.attr, s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if s.port, err = freeport.Number(); err != nil {
		return nil, err
	}
	return s, s.start()
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) start() error {
	s.running = exec.CommandContext(context.Background(), s.program, "-D", s.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-k", s.dir, //nolint:gosec // a program of PostgreSQL's
		"-c", "max_connections=300", "-c", "shared_buffers=64MB")
	if !s.durable { // the default is to wait for the disk
		s.running.Args = append(s.running.Args, "-c", "fsync=off")
	}
	s.running.SysProcAttr, s.running.Dir = s.attr, s.dir
	if err := s.running.Start(); err != nil {
		s.running = nil
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return await(ctx, s.URL())
}

func (s *Server) stop(how syscall.Signal) {
	if s.running == nil {
		return
	}
	_ = s.running.Process.Signal(how)
	_ = s.running.Wait()
	s.running = nil
}

// remove ends the server and its folder.
func (s *Server) remove() {
	s.stop(syscall.SIGINT) // PostgreSQL's fast shutdown
	_ = os.RemoveAll(s.dir)
}
