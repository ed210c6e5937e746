package main

import (
	"os"
	"strings"

	"portcullis/config"
	"portcullis/revision"
)

// systemSigner is whoever runs the command line, as the operating system
// knows them. Nobody names themselves: an option or a variable would let one
// person sign as two.
func systemSigner() revision.Signer {
	s := revision.Signer{Actor: operator()}
	if text, err := os.ReadFile("/proc/self/loginuid"); err == nil {
		s.Login = loginID(string(text))
	}
	return s
}

// loginID reads what Linux says of the login that a process descends from. It
// survives sudo and su; nobody can change it back.
func loginID(text string) string {
	const unset = "4294967295" // -1: no login, as in a container or a service
	id := strings.TrimSpace(text)
	if id == unset {
		return ""
	}
	return id
}

// replica is what a gate is called among those on the same database.
func replica(cfg *config.Config) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + " " + cfg.Listen
}
