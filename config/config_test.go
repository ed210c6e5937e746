package config_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/config"
)

// secretValue is what the tests' variables hold. It must never be seen.
const secretValue = "hunter2-Zq8vXw"

// env is an environment with a secret, a database and an empty variable.
func env(name string) (string, bool) {
	v, ok := map[string]string{
		"SECRET":                  secretValue,
		"PARTNER_SECRET":          secretValue + "-partner",
		"PORTCULLIS_DATABASE":     "postgres://gate:" + secretValue + "@db.example/portcullis",
		"SQLITE":                  "sqlite:state.db",
		"EMPTY":                   "",
		"LINES":                   "one\ntwo",
		"COLLECTOR_AUTHORIZATION": "Bearer " + secretValue,
		"NOT_A_DSN":               secretValue,
	}[name]
	return v, ok
}

// minimal is the smallest file of the contract.
const minimal = `public_url: http://127.0.0.1:8080
upstream: {url: "http://127.0.0.1:3000"}
database: {url: "sqlite:portcullis.db"}
mapping: {file: mapping.yaml}
connections:
  - id: acme-entra
    oidc: {issuer: "https://id.example.com", client_id: gate, client_secret_env: SECRET}
`

// folder makes a folder with files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestMinimalFileGetsEveryDefault(t *testing.T) {
	dir := folder(t, map[string]string{"portcullis.yaml": minimal})
	got, err := config.Load(filepath.Join(dir, "portcullis.yaml"), env)
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		Environment: "prod",
		PublicURL:   mustURL(t, "http://127.0.0.1:8080"),
		Listen:      "127.0.0.1:8080",
		OpsListen:   "127.0.0.1:9090",
		Upstream:    config.Upstream{URL: mustURL(t, "http://127.0.0.1:3000"), Audience: "http://127.0.0.1:3000", AnswerWithin: 2 * time.Minute},
		Database:    config.Database{URL: config.NewSecret("sqlite:" + filepath.Join(dir, "portcullis.db"))},
		Keys:        config.Keys{File: filepath.Join(dir, "gate.key")},
		Mapping:     config.Mapping{File: filepath.Join(dir, "mapping.yaml")},
		Connections: []config.Connection{{
			ID: "acme-entra", Organization: "acme-entra", Provisioning: config.JIT, Link: "externalId",
			OIDC: &config.OIDC{
				Issuer: "https://id.example.com", ClientID: "gate", ClientSecret: config.NewSecret(secretValue),
				Scopes:       []string{"openid", "profile", "email"},
				Claims:       config.Claims{Groups: "groups", Email: "email", Name: "name", Roles: "roles", UserName: "preferred_username"},
				RefreshEvery: 10 * time.Minute,
			},
			SCIM: config.SCIM{Attributes: map[string]string{}, Guard: config.Guard{Percent: 20, People: 10}},
		}},
		Sessions: config.Sessions{Idle: 15 * time.Minute, Absolute: 12 * time.Hour},
		Shutdown: config.Shutdown{Delay: time.Second, Drain: 5 * time.Second},
		Limits:   config.Limits{SCIM: config.Rate{PerSecond: 200}, SignIn: config.Rate{PerSecond: 10}, Headers: 512 << 10},

		SecurityHeaders: config.SecurityHeaders{HSTS: 365 * 24 * time.Hour},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
	if path, ok := got.Database.SQLite(); !ok || path != filepath.Join(dir, "portcullis.db") {
		t.Errorf("SQLite() = %q, %v, want the file beside the configuration", path, ok)
	}
}

func TestFullFileIsUnderstood(t *testing.T) {
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t, map[string]string{"portcullis.yaml": string(text), "secrets/acme": "from-a-file\n", "secrets/next": "from-another-file\n"})
	got, err := config.Load(filepath.Join(dir, "portcullis.yaml"), env)
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		Environment: "uat",
		PublicURL:   mustURL(t, "https://portal.example.com"),
		Listen:      "0.0.0.0:8443",
		OpsListen:   "127.0.0.1:9091",
		Upstream:    config.Upstream{URL: mustURL(t, "http://portal.internal:3000"), Audience: "portal", AnswerWithin: 5 * time.Minute, Health: "/healthz"},
		Database:    config.Database{URL: config.NewSecret("postgres://gate:" + secretValue + "@db.example/portcullis")},
		Keys:        config.Keys{File: "/var/lib/portcullis/gate.key"},
		Mapping:     config.Mapping{File: filepath.Join(dir, "mapping.yaml")},
		Sessions:    config.Sessions{Idle: 30 * time.Minute, Absolute: 8 * time.Hour, Max: 5},
		Traces: config.Traces{
			Endpoint: mustURL(t, "http://127.0.0.1:4318"), Sample: 0.1, Authorization: config.NewSecret("Bearer " + secretValue),
		},
		Shutdown: config.Shutdown{Delay: 10 * time.Second, Drain: 30 * time.Second},
		Routes: []config.Route{
			{Path: "/assets/", Public: true},
			{Path: "/assets/internal/"},
			{Path: "/reports/", Require: config.Require{Tasks: []string{"report.view"}}},
			{Path: "/admin/", Require: config.Require{Roles: []string{"user-admin"}, Tasks: []string{"users.view"}}},
			{Path: "/payments/", Require: config.Require{ACR: []string{"mfa"}, MaxAge: 5 * time.Minute}},
			{Path: "/vault/", Require: config.Require{ACR: []string{"gold", "platinum"}}},
			{Path: "/orders/", Methods: []string{"GET"}, Require: config.Require{Tasks: []string{"order.view"}}},
			{Path: "/orders/", Require: config.Require{
				Tasks: []string{"order.edit"}, Connections: []string{"acme-entra"}, Organizations: []string{"Acme"},
				Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
			}},
			{Path: "/", Hosts: []string{"status.example.com"}, Public: true},
			{
				Path: "/git/", EncodedSlash: true, Semicolon: true, MaxBody: 2 << 30,
				Headers: config.Headers{User: "Remote-User", Email: "Remote-Email", Name: "Remote-Name", Roles: "Remote-Groups", Assertion: "X-JWT-Assertion"},
				Upstream: &config.Upstream{
					URL: mustURL(t, "https://git.internal"), Audience: "git", AnswerWithin: 2 * time.Minute,
					TLS: &config.UpstreamTLS{
						CAFile: filepath.Join(dir, "tls/ca.pem"), ServerName: "git.example.com",
						CertFile: filepath.Join(dir, "tls/gate.pem"), KeyFile: filepath.Join(dir, "tls/gate.key"),
					},
				},
			},
		},
		TrustedProxies: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32"),
		},
		ForwardAuth: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")},
		Limits: config.Limits{
			SCIM: config.Rate{PerSecond: 100}, SignIn: config.Rate{PerSecond: 0.5}, PerAddress: config.Rate{PerSecond: 100},
			PerAccount: config.Rate{PerSecond: 50}, PerConnection: config.Rate{PerSecond: 2000}, Body: 100 << 20, Headers: 64 << 10,
		},
		TLS:             &config.TLS{CertFile: filepath.Join(dir, "tls/portal.pem"), KeyFile: filepath.Join(dir, "tls/portal.key")},
		SecurityHeaders: config.SecurityHeaders{HSTS: 180 * 24 * time.Hour, Portal: true},
		Connections: []config.Connection{
			{
				ID: "acme-entra", Organization: "Acme", Domains: []string{"acme.example", "acme-funds.example"},
				Addresses:    []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
				Provisioning: config.BySCIM, Link: "userName", Preset: "entra",
				SubOrganization: config.SubOrganization{Attribute: "division", Claim: "division"},
				OIDC: &config.OIDC{
					Issuer: "https://login.example.com/tenant/v2.0", ClientID: "portal", ClientSecret: config.NewSecret("from-a-file"),
					SecretExpires: time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC),
					NextSecret:    config.NewSecret("from-another-file"), Refresh: true, RefreshEvery: 5 * time.Minute, AllowPrivate: true, Contexts: true,
					Graph:  &config.Graph{URL: "https://graph.microsoft.us/v1.0"},
					Scopes: []string{"openid", "profile", "email"},
					Claims: config.Claims{Groups: "groups", Email: "mail", Name: "displayName", Roles: "roles", UserName: "upn"},
				},
				SCIM: config.SCIM{Enabled: true, Attributes: map[string]string{"tag": "string", "vip": "boolean"}, Guard: config.Guard{Percent: 30, People: 50}},
			},
			{
				ID: "partner", Organization: "partner", Domains: []string{"partner.example"}, Provisioning: config.JIT, Link: "externalId",
				OIDC: &config.OIDC{
					Issuer: "https://id.partner.example", ClientID: "4711", ClientSecret: config.NewSecret(secretValue + "-partner"),
					Scopes:       []string{"openid", "profile", "email"},
					Claims:       config.Claims{Groups: "groups", Email: "email", Name: "name", Roles: "roles", UserName: "preferred_username"},
					RefreshEvery: 10 * time.Minute,
				},
				SCIM: config.SCIM{Attributes: map[string]string{}, Guard: config.Guard{Percent: 20, People: 10}},
			},
			keyed(dir),
			federated(dir),
		},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
	if _, ok := got.Database.SQLite(); ok {
		t.Error("SQLite() says yes to a PostgreSQL URL")
	}
}

// federated is the SAML connection of the full file.
func keyed(dir string) config.Connection {
	return config.Connection{
		ID: "keyed", Organization: "keyed", Provisioning: config.JIT, Link: "externalId",
		OIDC: &config.OIDC{
			Issuer: "https://id.keyed.example", ClientID: "gate",
			KeyFile: filepath.Join(dir, "keyed.pem"), NextKeyFile: filepath.Join(dir, "keyed-next.pem"),
			Scopes:       []string{"openid", "profile", "email"},
			Claims:       config.PresetOf("").Claims,
			RefreshEvery: 10 * time.Minute,
		},
		SCIM: config.SCIM{Attributes: map[string]string{}, Guard: config.Guard{Percent: 20, People: 10}},
	}
}

func federated(dir string) config.Connection {
	const ws = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
	return config.Connection{
		ID: "federated", Organization: "federated", Domains: []string{"federated.example"}, Provisioning: config.JIT, Link: "externalId", Preset: "adfs",
		SAML: &config.SAML{
			MetadataFile: filepath.Join(dir, "federated.xml"), MetadataSigner: filepath.Join(dir, "federation.pem"),
			ProviderEntityID: "https://id.federated.example", EntityID: "urn:portal", Binding: config.ByPOST,
			AllowIDPInitiated: true, ForceAuthn: true, AllowPrivate: true,
			AuthnContext: []string{"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"}, Subject: "employeeNumber",
			Attributes: config.Attributes{
				Groups: []string{"memberOf"}, Email: []string{"mail", "email"}, Name: []string{ws + "name"},
				Roles: []string{"http://schemas.microsoft.com/ws/2008/06/identity/claims/role"}, UserName: []string{ws + "upn"},
			},
			Graph: &config.Graph{URL: "https://graph.microsoft.us/v1.0", Client: &config.Client{
				Issuer: "https://login.example.com/tenant/v2.0", ID: "reader", KeyFile: filepath.Join(dir, "reader.pem"),
			}},
		},
		SCIM: config.SCIM{Attributes: map[string]string{}, Guard: config.Guard{Percent: 20, People: 10}},
	}
}

// TestSAMLHasDefaults holds the contract's short form of a SAML connection.
func TestSAMLHasDefaults(t *testing.T) {
	text := strings.Replace(minimal, `oidc: {issuer: "https://id.example.com", client_id: gate, client_secret_env: SECRET}`,
		`saml: {metadata_url: "https://id.example.com/metadata?appid=1"}`, 1)
	got, err := config.Parse("portcullis.yaml", []byte(text), env)
	if err != nil {
		t.Fatal(err)
	}
	want := &config.SAML{
		MetadataURL: "https://id.example.com/metadata?appid=1", SignRequests: true, Attributes: config.PresetOf("").Attributes,
	}
	if diff := cmp.Diff(want, got.Connections[0].SAML); diff != "" || got.Connections[0].OIDC != nil {
		t.Errorf("SAML (-want +got):\n%s", diff)
	}
	first := want.Attributes.Groups
	if len(first) != 4 || first[0] != "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups" || first[1] != "groups" {
		t.Errorf("groups are read from %q", first)
	}
}

func TestFileThatCannotBeReadIsNoProblemOfItsText(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "portcullis.yaml"), env)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load = %v, want fs.ErrNotExist", err)
	}
	if _, err = config.Load(t.TempDir(), env); err == nil {
		t.Error("Load of a folder gives no error")
	}
	if _, ok := errors.AsType[config.Problems](err); ok {
		t.Errorf("Load of a folder = %v, want another error than Problems", err)
	}
}

func TestTheMappingMayBeManagedByTheDatabase(t *testing.T) {
	five, half := 5.0, 0.5
	for _, tc := range []struct {
		text string
		want config.Mapping
	}{
		{"{managed: database}", config.Mapping{Managed: true}},
		{"{managed: database, approval: {when: [always]}}", config.Mapping{Managed: true, Approval: config.Approval{Always: true}}},
		{"{managed: database, approval: {when: [privileged, \"people>5%\"]}}", config.Mapping{Managed: true, Approval: config.Approval{Privileged: true, PeopleOver: &five}}},
		{"{managed: database, approval: {when: [people>5%, people>0.5%]}}", config.Mapping{Managed: true, Approval: config.Approval{PeopleOver: &half}}},
	} {
		got, err := config.Parse("portcullis.yaml", []byte(strings.Replace(minimal, "{file: mapping.yaml}", tc.text, 1)), env)
		if err != nil {
			t.Errorf("%s: %v", tc.text, err)
		} else if diff := cmp.Diff(tc.want, got.Mapping); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.text, diff)
		}
	}
}
