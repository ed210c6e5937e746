package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// maxSecret bounds a file with a secret, in bytes.
const maxSecret = 64 << 10

// resolve gives the absolute path of a file that the configuration names.
func (r *reader) resolve(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(r.dir, path)
}

// fileName reports whether v can name a file.
func fileName(v string) bool { return visible(v) && !strings.HasSuffix(v, "/") }

// secret reads what the file at fileKey, or the environment variable at
// envKey, holds. It gives an empty Secret where neither is there, and after
// reporting what is wrong. No message shows what either key says: people paste
// secrets where their names belong.
func (s section) secret(fileKey, envKey string) Secret {
	if s.has(fileKey) && s.has(envKey) {
		n := s.values[envKey]
		s.r.problem(n.line, n.col, "%s: want one of %s and %s, got both", s.key(envKey), fileKey, envKey)
		return Secret{}
	}
	if n := s.get(fileKey); n != nil {
		return s.r.secretFile(n, s.key(fileKey))
	}
	n := s.get(envKey)
	if n == nil {
		return Secret{}
	}
	key := s.key(envKey)
	if n.kind != text || !variableShape.MatchString(n.text) {
		s.r.secretly(n, key, "the name of an environment variable")
		return Secret{}
	}
	v, ok := s.r.env(n.text)
	switch {
	case !ok:
		s.r.problem(n.line, n.col, "%s: want an environment variable that is set, got one that is not", key)
	case !oneLine(v):
		s.r.problem(n.line, n.col, "%s: want an environment variable with one line of text, got one that is empty or has several", key)
	default:
		return NewSecret(v)
	}
	return Secret{}
}

// secretFile reads the secret in the file that n names.
func (r *reader) secretFile(n *node, key string) Secret {
	if n.kind != text || !fileName(n.text) {
		r.secretly(n, key, "the path of a file")
		return Secret{}
	}
	path := r.resolve(n.text)
	v, mode, got := readSecret(path)
	if got != "" {
		r.problem(n.line, n.col, "%s: want a file with one line of text, got %s (a relative path starts at the configuration's folder)", key, got)
		return Secret{}
	}
	r.exposed(n, key, mode)
	return NewSecret(v)
}

// keyFile reads the path of a private key, which others read; empty where
// there is none.
func (s section) keyFile(k string) string {
	n := s.get(k)
	if n == nil {
		return ""
	}
	if n.kind != text || !fileName(n.text) {
		s.r.secretly(n, s.key(k), "the path of a file")
		return ""
	}
	path := s.r.resolve(n.text)
	if info, err := os.Stat(path); err == nil {
		s.r.exposed(n, s.key(k), info.Mode())
	}
	return path
}

// exposed warns of a secret that everyone may read.
func (r *reader) exposed(n *node, key string, mode fs.FileMode) {
	if mode.Perm()&0o004 != 0 && runtime.GOOS != "windows" {
		r.warn(n, "%s: everyone on this machine may read the file (mode %04o): 0600 keeps the secret", key, mode.Perm())
	}
}

// readSecret gives the first line of a file, its mode, and what is wrong with
// it. A pipe or a device is refused before it is opened: it could block.
func readSecret(path string) (value string, mode fs.FileMode, got string) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", 0, "the path of one that does not exist"
	case err != nil:
		return "", 0, "one that cannot be reached"
	case !info.Mode().IsRegular():
		return "", 0, "something that is not a regular file"
	}
	f, err := os.Open(path) //nolint:gosec // the operator's configuration names the file
	if err != nil {
		return "", 0, "one that may not be read"
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil || len(b) > maxSecret {
		return "", 0, "one that is too long or cannot be read"
	}
	v := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if !oneLine(v) {
		return "", 0, "one that is empty or has several lines"
	}
	return v, info.Mode(), ""
}

// oneLine reports whether v can be a secret: something, on one line.
func oneLine(v string) bool { return v != "" && !strings.ContainsAny(v, "\n\r\x00") }
