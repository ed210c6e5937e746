package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"portcullis/config"
)

// FuzzParse states what holds for every file: it is either a checked
// configuration or problems inside the text, and neither shows a secret.
func FuzzParse(f *testing.F) {
	f.Add(minimal)
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			f.Add(archive(string(text))["portcullis.yaml"])
		}
	}
	if text, err := os.ReadFile("testdata/full.yaml"); err == nil {
		f.Add(string(text))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, secretValue) {
			return // the law is about a secret that the file does not hold
		}
		judge(t, filepath.Join(dir, "portcullis.yaml"), text)
	})
}

// TestDamagedFileIsJudged holds the law of FuzzParse against the full example
// with each of its lines taken out, cut off or shifted.
func TestDamagedFileIsJudged(t *testing.T) {
	b, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t, map[string]string{"secrets/acme": secretValue})
	lines := strings.SplitAfter(string(b), "\n")
	for i, line := range lines {
		for _, instead := range []string{"", line[:len(line)/2] + "\n", " " + line, strings.Replace(line, ": ", ": [", 1), line + line} {
			text := strings.Join(lines[:i], "") + instead + strings.Join(lines[i+1:], "")
			judge(t, filepath.Join(dir, "portcullis.yaml"), text)
		}
	}
}

// judge parses text and checks what holds for every file.
func judge(t *testing.T, path, text string) {
	t.Helper()
	c, err := config.Parse(path, []byte(text), env)
	if err != nil {
		problems, ok := errors.AsType[config.Problems](err)
		if !ok || len(problems) == 0 || c != nil {
			t.Fatalf("Parse = %v, %v, want problems alone", c, err)
		}
		inside(t, text, problems)
		return
	}
	inside(t, text, c.Warnings)
	if strings.Contains(dump(c), secretValue) {
		t.Error("the configuration shows a secret")
	}
	usable(t, c)
}

// inside checks positions, order and messages.
func inside(t *testing.T, text string, problems []config.Problem) {
	t.Helper()
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(text, "\ufeff")), "\n")
	for _, p := range problems {
		if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > utf8.RuneCountInString(lines[p.Line-1])+1 {
			t.Errorf("%s is outside the text", p)
		}
		if strings.Contains(p.Message, secretValue) || strings.ContainsAny(p.Message, "\n\r\x1b") || p.Message == "" {
			t.Errorf("message %q shows a secret, breaks the line or is empty", p.Message)
		}
	}
	if !slices.IsSortedFunc(problems, func(a, b config.Problem) int { return a.Line - b.Line }) {
		t.Errorf("not in the order of the file: %v", problems)
	}
}

// usable checks what the rooms rely on.
func usable(t *testing.T, c *config.Config) {
	t.Helper()
	switch {
	case c.PublicURL == nil, c.PublicURL.Host == "", c.Upstream.URL == nil, c.Upstream.Audience == "", c.Listen == "",
		c.Database.URL.IsZero(), !filepath.IsAbs(c.Keys.File), filepath.IsAbs(c.Mapping.File) == c.Mapping.Managed, c.Environment == "",
		len(c.Connections) == 0, c.Sessions.Idle <= 0, c.Sessions.Idle > c.Sessions.Absolute,
		c.Limits.SCIM.PerSecond <= 0, c.Limits.SignIn.PerSecond <= 0:
		t.Errorf("not filled in: %+v", c)
	}
	for _, r := range c.Routes {
		if !strings.HasPrefix(r.Path, "/") || r.Public && !r.Require.IsZero() {
			t.Errorf("route %+v", r)
		}
	}
	ids := map[string]bool{}
	for _, cn := range c.Connections {
		if ids[cn.ID] || cn.ID == "" || cn.Organization == "" || cn.Link == "" || cn.SCIM.Attributes == nil {
			t.Errorf("connection %+v", cn)
		}
		ids[cn.ID] = true
		if cn.OIDC == nil && cn.SAML == nil && !cn.SCIM.Enabled || cn.OIDC != nil && cn.SAML != nil {
			t.Errorf("connection %q is for nothing", cn.ID)
		}
		if o := cn.OIDC; o != nil && (o.Issuer == "" || o.ClientID == "" || o.ClientSecret.IsZero() && o.KeyFile == "" || !slices.Contains(o.Scopes, "openid")) {
			t.Errorf("connection %q: %+v", cn.ID, o)
		}
	}
}
