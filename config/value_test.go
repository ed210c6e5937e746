package config_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/config"
)

// with is the minimal file with a line replaced, or added where it has none
// that starts so.
func with(line string) string {
	key, _, _ := strings.Cut(line, ":")
	var out strings.Builder
	found, dropping := false, false
	for l := range strings.Lines(minimal) {
		if !strings.HasPrefix(l, " ") {
			dropping = strings.HasPrefix(l, key+":")
		}
		if !dropping {
			out.WriteString(l)
		} else if !found {
			out.WriteString(line + "\n")
			found = true
		}
	}
	if !found {
		out.WriteString(line + "\n")
	}
	return out.String()
}

func TestAcceptedValues(t *testing.T) {
	for _, tc := range []struct {
		line string
		get  func(*config.Config) any
		want any
	}{
		{"public_url: HTTPS://Portal.Example.COM:443/", publicURL, "https://portal.example.com"},
		{"public_url: http://localhost:80", publicURL, "http://localhost"},
		{"public_url: http://127.8.9.10:8080", publicURL, "http://127.8.9.10:8080"},
		{"public_url: http://[::1]:8080/", publicURL, "http://[::1]:8080"},
		{"public_url: https://[2001:db8::1]", publicURL, "https://[2001:db8::1]"},
		{"upstream: {url: 'http://my_portal:3000/'}", func(c *config.Config) any { return c.Upstream.Audience }, "http://my_portal:3000"},
		{"listen: :8080", func(c *config.Config) any { return c.Listen }, ":8080"},
		{"listen: localhost:0", func(c *config.Config) any { return c.Listen }, "localhost:0"},
		{"listen: '[::1]:8443'", func(c *config.Config) any { return c.Listen }, "[::1]:8443"},
		{"listen: 10.0.0.1:9090", func(c *config.Config) any { return c.OpsListen }, "127.0.0.1:9090"},
		{"ops_listen: off", func(c *config.Config) any { return c.OpsListen }, ""},
		{"database: {url: 'sqlite:/var/lib/gate/../state.db'}", dsn, "sqlite:/var/lib/state.db"},
		{"database: {url_env: SQLITE}", dsn, "sqlite:/etc/gate/state.db"},
		{"database: {url: 'sqlite:a/b.db'}", dsn, "sqlite:/etc/gate/a/b.db"},
		{"mapping: {file: ../maps/m.yaml}", func(c *config.Config) any { return c.Mapping.File }, "/etc/maps/m.yaml"},
		{"keys: {file: k}", func(c *config.Config) any { return c.Keys.File }, "/etc/gate/k"},
		{"sessions: {idle: 1s, absolute: 30d}", sessions, config.Sessions{Idle: time.Second, Absolute: 720 * time.Hour}},
		{"sessions: {idle: 1h30m, absolute: 1d2h3m4s}", sessions, config.Sessions{Idle: 90 * time.Minute, Absolute: 26*time.Hour + 184*time.Second}},
		{"sessions: {max: 3}", sessions, config.Sessions{Idle: 15 * time.Minute, Absolute: 12 * time.Hour, Max: 3}},
		{"sessions: {max: 0}", sessions, config.Sessions{Idle: 15 * time.Minute, Absolute: 12 * time.Hour}},
		{"sessions: {idle: 12h}", sessions, config.Sessions{Idle: 12 * time.Hour, Absolute: 12 * time.Hour}},
		{"shutdown: {delay: 0s, drain: 1h}", func(c *config.Config) any { return c.Shutdown }, config.Shutdown{Drain: time.Hour}},
		{"limits: {scim: 6000/m}", func(c *config.Config) any { return c.Limits.SCIM }, config.Rate{PerSecond: 100}},
		{"trusted_proxies: ['::1', 10.1.0.0/16]", func(c *config.Config) any { return c.TrustedProxies[0].String() + " " + c.TrustedProxies[1].String() }, "::1/128 10.1.0.0/16"},
		{"trusted_proxies: ['::1', 10.1.0.0/16]\nforward_auth: [10.1.2.3, 10.1.0.0/16]", asking, "[10.1.2.3/32 10.1.0.0/16], 0 warnings"},
		{"trusted_proxies: ['::1']\nforward_auth: []", asking, "[], 0 warnings"},
		{"trusted_proxies: ['::1']", asking, "nobody said, 1 warnings"},
		{"trusted_proxies: []", asking, "nobody said, 0 warnings"},
		{"routes: [{path: /}]", routes, []config.Route{{Path: "/"}}},
		{"routes: [{path: /scim/, public: true}, {path: /ä b/c, public: false}]", routes, []config.Route{{Path: "/scim/", Public: true}, {Path: "/ä b/c"}}},
		{"routes: [{path: /, public: true, hosts: ['A.example', '127.0.0.1:81', 'b.example:80']}]", func(c *config.Config) any { return c.Routes[0].Hosts }, []string{"a.example", "127.0.0.1:81", "b.example"}},
		{"routes: [{path: /a, methods: [GET]}, {path: /a/, methods: [POST]}, {path: /a}]", func(c *config.Config) any { return len(c.Routes) }, 3},
		{"routes: [{path: /, max_body: 12MB}]", func(c *config.Config) any { return c.Routes[0].MaxBody }, int64(12 << 20)},
		{"telemetry: {traces: {endpoint: 'https://otel.example/otlp', sample: 0.25, authorization_env: SECRET}}", func(c *config.Config) any {
			return []any{c.Traces.Endpoint.String(), c.Traces.Sample, c.Traces.Authorization.Reveal()}
		}, []any{"https://otel.example/otlp", 0.25, secretValue}},
		{"telemetry: {traces: {endpoint: 'http://127.0.0.1:4318'}}", func(c *config.Config) any { return c.Traces.Sample }, 1.0},
		{"security_headers: {hsts: off}", func(c *config.Config) any { return c.SecurityHeaders }, config.SecurityHeaders{}},
		{"limits: {headers: 8KB, body: 3GB}", func(c *config.Config) any { return [2]int64{c.Limits.Headers, c.Limits.Body} }, [2]int64{8 << 10, 3 << 30}},
		{"environment: |-\n  uat", func(c *config.Config) any { return c.Environment }, "uat"},
		{"environment: UAT_2", func(c *config.Config) any { return c.Environment }, "UAT_2"},
		{connection("oidc: {issuer: 'http://LOCALHOST:9/a/', client_id: 'a b', client_secret_env: SECRET}"), func(c *config.Config) any { return c.Connections[0].OIDC.Issuer }, "http://LOCALHOST:9/a/"},
		{connection("oidc: {issuer: 'https://a.example', client_id: x, client_secret_env: SECRET, scopes: []}"), func(c *config.Config) any { return c.Connections[0].OIDC.Scopes }, []string{"openid"}},
		{connection("oidc: {issuer: 'https://a.example', client_id: x, client_secret_env: SECRET, scopes: [email, openid]}"), func(c *config.Config) any { return c.Connections[0].OIDC.Scopes }, []string{"email", "openid"}},
		{connection("link: EXTERNALID, scim: {enabled: true}"), func(c *config.Config) any { return c.Connections[0].Link }, "externalId"},
		{connection("link: Badge, scim: {enabled: true, attributes: {badge: string}}"), func(c *config.Config) any { return c.Connections[0].Link }, "badge"},
		{connection("scim: {enabled: true}"), func(c *config.Config) any { return c.Connections[0].OIDC == nil }, true},
	} {
		c, err := config.Parse("/etc/gate/portcullis.yaml", []byte(with(tc.line)), env)
		if err != nil {
			t.Errorf("%s: %v", tc.line, err)
			continue
		}
		if diff := cmp.Diff(tc.want, tc.get(c)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.line, diff)
		}
	}
}

// connection is a connections line with one connection that has rest.
func connection(rest string) string { return "connections: [{id: a, " + rest + "}]" }

func asking(c *config.Config) any {
	if c.ForwardAuth == nil {
		return fmt.Sprintf("nobody said, %d warnings", len(c.Warnings))
	}
	return fmt.Sprintf("%v, %d warnings", c.ForwardAuth, len(c.Warnings))
}

func publicURL(c *config.Config) any { return c.PublicURL.String() }
func dsn(c *config.Config) any       { return c.Database.URL.Reveal() }
func sessions(c *config.Config) any  { return c.Sessions }
func routes(c *config.Config) any    { return c.Routes }

func TestRefusedValues(t *testing.T) {
	for _, line := range []string{
		"public_url: http://[::ffff:127.0.0.1]:8080",
		"public_url: http://localhost.:8080",
		"public_url: http://127.0.0.1.example.com",
		"public_url: https://portal.example.com.",
		"public_url: https://a..b",
		"public_url: https://0x7f.1",
		"public_url: https://portal.example.com:0",
		"public_url: https://portal.example.com:99999",
		"public_url: https://portal.example.com/x",
		"public_url: https://portal.example.com?",
		"public_url: 'https://portal.example.com#'",
		"public_url: //portal.example.com",
		"public_url: 'https://[fe80::1%25eth0]'",
		"listen: 127.0.0.1:http",
		"listen: 127.0.0.1:080",
		"listen: 127.0.0.1:65536",
		"listen: 'a b:80'",
		"ops_listen: ''",
		"database: {url: 'sqlite::memory:'}",
		"database: {url: 'sqlite:x?mode=ro'}",
		"database: {url: 'sqlite:'}",
		"database: {url: sqlite}",
		"database: {url: 'postgres:x'}",
		"database: {url: ''}",
		"database: {url_env: ''}",
		"sessions: {idle: 0s}",
		"sessions: {idle: -1m}",
		"sessions: {idle: 1m1h}",
		"sessions: {idle: 1.5h}",
		"sessions: {idle: 999999999999999999h}",
		"sessions: {idle: ''}",
		"limits: {scim: /s}",
		"limits: {scim: 99999999999/s}",
		"limits: {scim: off}",
		"shutdown: {delay: 6m}",
		"shutdown: {drain: 0s}",
		"shutdown: {delay: 5}",
		"trusted_proxies: ['::/0']",
		"trusted_proxies: [0.0.0.0]",
		"trusted_proxies: ['fe80::1%eth0']",
		"trusted_proxies: ['::ffff:10.0.0.0/104']",
		"forward_auth: [127.0.0.1]",
		"forward_auth: 127.0.0.1",
		"forward_auth:",
		"trusted_proxies: [10.0.0.0/8]\nforward_auth: [10.0.0.1, 10.0.0.0/7]",
		"trusted_proxies: [10.0.0.0/8]\nforward_auth: ['::1']",
		"routes: [{path: /a/.}]",
		"routes: [{path: /, public: true, hosts: ['https://a.example']}]",
		"routes: [{path: /, public: true, hosts: ['a.example/']}]",
		"routes: [{path: /, public: true, hosts: ['*.example']}]",
		"routes: [{path: /, public: true, hosts: ['a@b.example']}]",
		"routes: [{path: /, methods: [TRACE]}]",
		"routes: [{path: /, methods: [get]}]",
		"routes: [{path: /, methods: [GET, GET]}]",
		"routes: [{path: /, headers: {user: X-Forwarded-For}}]",
		"routes: [{path: /, headers: {user: X-Portcullis-Email}}]",
		"routes: [{path: /, headers: {user: Authorization}}]",
		"routes: [{path: /, headers: {user: REMOTE_USER}}]",
		"routes: [{path: /, max_body: 0MB}]",
		"routes: [{path: /, max_body: '100'}]",
		"routes: [{path: /, upstream: {url: 'http://a.example', answer_within: 0s}}]",
		"routes: [{path: /, upstream: {url: 'http://a.example', health: 'healthz'}}]",
		"limits: {headers: 1KB}",
		"limits: {requests_per_account: 0/s}",
		"security_headers: {hsts: 800d}",
		"telemetry: {}",
		"telemetry: {traces: {}}",
		"telemetry: {traces: {endpoint: 'grpc://127.0.0.1:4317'}}",
		"telemetry: {traces: {endpoint: 'http://127.0.0.1:4318/v1/traces'}}",
		"telemetry: {traces: {endpoint: 'http://127.0.0.1:4318', sample: 0}}",
		"telemetry: {traces: {endpoint: 'http://127.0.0.1:4318', sample: 1.5}}",
		"telemetry: {traces: {endpoint: 'http://127.0.0.1:4318', sample: all}}",
		"telemetry: {traces: {endpoint: 'http://127.0.0.1:4318', authorization: x}}",
		"telemetry: {metrics: {}}",
		"routes: [{path: /a/..}]",
		`routes: [{path: "/a\\b"}]`,
		`routes: [{path: "/a\u0000"}]`,
		"routes: [{path: //}]",
		"routes: [{path: /.portcullis}]",
		"routes: [{path: /scim/v2/acme/, public: true}]",
		connection("oidc: {issuer: 'https://a.example', client_id: x, client_secret_file: 12}"),
		connection("oidc: {issuer: 'https://a.example', client_id: x, client_secret_file: /dev/zero}"),
		strings.Repeat("unknown", 20) + ": x",
		connection("link: tag, scim: {enabled: true, attributes: {tag: boolean}}"),
		connection("domains: [''], scim: {enabled: true}"),
		connection("scim: {enabled: true, attributes: {meta: string}}"),
		"connections: [{id: '" + strings.Repeat("a", 64) + "', scim: {enabled: true}}]",
	} {
		_, err := config.Parse("portcullis.yaml", []byte(with(line)), env)
		if problems, ok := errors.AsType[config.Problems](err); !ok || len(problems) != 1 || strings.Contains(problems[0].Message, "want YAML") {
			t.Errorf("%s: %v, want one problem of the value", line, err)
		}
	}
}

// The parser recurses and its time grows with the square of some inputs: what
// could end the process is refused before it is called.
func TestFileThatWouldHurtTheParserIsRefused(t *testing.T) {
	const n = 100_000
	for name, text := range map[string]string{
		"brackets":  strings.Repeat("[", n),
		"braces":    strings.Repeat("{a: ", n),
		"items":     strings.Repeat("- ", n),
		"keys":      strings.Repeat("? ", n),
		"values":    strings.Repeat("a: ", n),
		"staircase": staircase(300),
		"few items": strings.Repeat("- ", 20_000),
		"few keys":  strings.Repeat("? ", 20_000),
		"few lists": strings.Repeat("[", 20_000),
		"documents": minimal + "---\n",
		"many keys": strings.Repeat("a: b\n", n),
		"too long":  minimal + strings.Repeat("#\n", 1<<19),
		"anchors":   strings.Repeat("&a ", n),
		"tags":      strings.Repeat("!a ", n),
		"binary":    "public_url: \xff\xfe",
		"nul":       "public_url: \x00",
		"escape":    "# \x1b[2J",
	} {
		_, err := config.Parse("portcullis.yaml", []byte(text), env)
		if _, ok := errors.AsType[config.Problems](err); !ok {
			t.Errorf("%s: Parse = %v, want problems", name, err)
		}
	}
}

func staircase(steps int) string {
	var b strings.Builder
	for i := range steps {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestByteOrderMarkAndLineEndsAreNoMistake(t *testing.T) {
	text := "\ufeff" + strings.ReplaceAll(minimal, "\n", "\r\n")
	if _, err := config.Parse("portcullis.yaml", []byte(text), env); err != nil {
		t.Error(err)
	}
}

func TestSecretFileLosesOneLineEndAlone(t *testing.T) {
	for text, want := range map[string]string{"a": "a", "a\n": "a", "a\r\n": "a", " a ": " a ", "a b\n": "a b"} {
		dir := folder(t, map[string]string{"s": text, "portcullis.yaml": strings.Replace(minimal, "client_secret_env: SECRET", "client_secret_file: s", 1)})
		c, err := config.Load(filepath.Join(dir, "portcullis.yaml"), env)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := c.Connections[0].OIDC.ClientSecret.Reveal(); got != want {
			t.Errorf("%q: secret = %q, want %q", text, got, want)
		}
	}
}

func TestSecretFileIsBounded(t *testing.T) {
	dir := folder(t, map[string]string{
		"s":               strings.Repeat("x", 64<<10+1),
		"portcullis.yaml": strings.Replace(minimal, "client_secret_env: SECRET", "client_secret_file: s", 1),
	})
	if _, err := config.Load(filepath.Join(dir, "portcullis.yaml"), env); err == nil {
		t.Error("a secret of 64 KiB is accepted")
	}
}
