package config_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"portcullis/config"
)

// holder is somebody's struct: fmt cannot call methods on its hidden field.
type holder struct {
	Shown  config.Secret
	hidden config.Secret
}

func TestSecretIsShownByNothing(t *testing.T) {
	s := config.NewSecret(secretValue)
	h := holder{Shown: s, hidden: s}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%10.3s", "%T"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", &s)
		fmt.Fprintf(&out, verb+"\n", h)
		fmt.Fprintf(&out, verb+"\n", &h)
		fmt.Fprintf(&out, verb+"\n", []config.Secret{s})
		fmt.Fprintf(&out, verb+"\n", map[string]any{"k": h})
	}
	out.WriteString(fmt.Sprint(s, h) + s.GoString() + s.String())
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, xml.Marshal, yaml.Marshal} {
		for _, v := range []any{s, &s, h} {
			b, err := marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(b)
		}
	}
	var log bytes.Buffer
	for _, l := range []*slog.Logger{slog.New(slog.NewTextHandler(&log, nil)), slog.New(slog.NewJSONHandler(&log, nil))} {
		l.InfoContext(t.Context(), "secret", "secret", s, "pointer", &s, "holder", h)
	}
	all := out.String() + log.String()
	for _, leak := range []string{secretValue, fmt.Sprintf("%x", secretValue), fmt.Sprintf("%X", secretValue), secretValue[:3] + "\n"} {
		if strings.Contains(all, leak) {
			t.Errorf("%q is shown in\n%s", leak, all)
		}
	}
	if got, want := fmt.Sprintf("%v %#v %q", s, s, s), "[redacted] [redacted] [redacted]"; got != want {
		t.Errorf("formatted = %q, want %q", got, want)
	}
}

func TestSecretKeepsItsValue(t *testing.T) {
	var zero config.Secret
	s := config.NewSecret(secretValue)
	if s.Reveal() != secretValue || zero.Reveal() != "" {
		t.Errorf("Reveal = %q and %q, want the value and nothing", s.Reveal(), zero.Reveal())
	}
	if s.IsZero() || !zero.IsZero() || !config.NewSecret("").IsZero() {
		t.Error("IsZero is wrong about the empty value")
	}
	if !s.Equal(config.NewSecret(secretValue)) || s.Equal(zero) || !zero.Equal(config.NewSecret("")) {
		t.Error("Equal does not compare values")
	}
}

// dump is what a careless line of code would write of a configuration.
func dump(c *config.Config) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%v %+v %#v\n", c, c, c)
	for _, cn := range c.Connections {
		fmt.Fprintf(&b, "%+v %#v %+v %#v\n", cn, cn, cn.OIDC, cn.OIDC)
	}
	enc := json.NewEncoder(&b)
	if err := enc.Encode(c); err != nil {
		b.WriteString(err.Error())
	}
	slog.New(slog.NewTextHandler(&b, nil)).Info("configuration", "config", c, "database", c.Database, "connections", c.Connections)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("configuration", "config", c)
	return b.String()
}

func TestConfigurationShowsNoSecret(t *testing.T) {
	c, err := config.Parse("portcullis.yaml", []byte(with("database: {url_env: PORTCULLIS_DATABASE}")+"keys: {file: k}\n"), env)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(c.Database.URL.Reveal(), secretValue) {
		t.Fatal("the database has no password: the test shows nothing")
	}
	if all := dump(c); strings.Contains(all, secretValue) || !strings.Contains(all, "[redacted]") {
		t.Errorf("the configuration shows a secret: %s", all)
	}
}
