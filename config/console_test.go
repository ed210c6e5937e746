package config_test

import (
	"strings"
	"testing"

	"portcullis/config"
)

func TestAStoredConnectionIsReadLikeOneOfAFile(t *testing.T) {
	secrets := map[string]string{"SECRET": "s3cret"}
	others := []config.Connection{{ID: "alpha", Organization: "Alpha", Domains: []string{"alpha.example"}}}
	const head = `"id":"beta","organization":"Beta","domains":["beta.example"]`
	c, err := config.ParseConnection(config.Stored{
		Document: []byte(`{` + head + `,"preset":"entra","oidc":{"issuer":"https://idp.example/t","client_id":"x","client_secret_env":"SECRET"},"scim":{"enabled":true}}`),
		Secrets:  secrets,
	}, others)
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != "beta" || c.OIDC.ClientSecret.Reveal() != "s3cret" || !c.SCIM.Enabled || c.OIDC.Claims.Groups != "groups" || c.Provisioning != config.JIT {
		t.Errorf("connection = %+v", c)
	}
	c, err = config.ParseConnection(config.Stored{Document: []byte("{" + head + `,"saml":{"metadata":"<a>\n\t<b/></a>"}}`)}, others)
	if err != nil || c.SAML.Metadata != "<a>\n\t<b/></a>" {
		t.Errorf("connection = %+v, %v", c.SAML, err)
	}
	for _, tc := range []struct{ document, want string }{
		{`{` + head + `,"oidc":{"issuer":"https://idp.example","client_id":"x","client_secret_file":"/etc/passwd"}}`, "client_secret_file"},
		{`{` + head + `,"oidc":{"issuer":"https://idp.example","client_id":"x","client_secret_env":"HOME"}}`, "want an environment variable that is set"},
		{`{` + head + `,"oidc":{"issuer":"https://idp.example","client_id":"x","private_key_file":"/etc/passwd"}}`, "private_key_file"},
		{`{` + head + `,"oidc":{"issuer":"https://idp.example","client_id":"x","private_key_next_file":"/etc/passwd"}}`, "private_key_next_file"},
		{`{` + head + `,"saml":{"metadata_file":"/etc/passwd"}}`, "metadata_file"},
		{
			`{` + head + `,"saml":{"metadata":"<a/>","graph":{"enabled":true,"issuer":"https://idp.example","client_id":"x","private_key_file":"/etc/passwd"}}}`,
			"saml.graph.private_key_file: unknown key",
		},
		{
			`{` + head + `,"saml":{"metadata":"<a/>","graph":{"enabled":true,"issuer":"https://idp.example","client_id":"x","client_secret_env":"SECRET","url":"https://10.0.0.7/v1.0"}}}`,
			"graph.url",
		},
		{`{` + head + `,"saml":{"metadata_url":"https://idp.example/m","metadata":"<a/>"}}`, "got both"},
		{`{` + head + `,"saml":{"metadata":" "}}`, "want the text"},
		{`{` + head + `,"saml":{"metadata_url":"http://127.0.0.1/m"}}`, "metadata_url"},
		{`{` + head + `,"saml":{"metadata_url":"https://10.0.0.7/m"}}`, "metadata_url"},
		{`{` + head + `,"oidc":{"issuer":"https://localhost","client_id":"x","public_client":true}}`, "gate's own network"},
		{`{` + head + `,"oidc":{"issuer":"https://192.168.0.1","client_id":"x","public_client":true}}`, "gate's own network"},
		{`{` + head + `,"oidc":{"issuer":"https://100.64.0.1","client_id":"x","public_client":true}}`, "gate's own network"},
		{`{` + head + `,"oidc":{"issuer":"https://[::ffff:100.127.255.254]","client_id":"x","public_client":true}}`, "oidc.issuer"},
		{`{` + head + `,"oidc":{"issuer":"https://[fec0::1]","client_id":"x","public_client":true}}`, "gate's own network"},
		{`{` + head + `,"oidc":{"issuer":"https://[fe80::1]","client_id":"x","public_client":true}}`, "oidc.issuer"},
		{`{` + head + `,"saml":{"metadata_url":"https://100.64.0.1/m"}}`, "metadata_url"},
		{`{` + head + `,"oidc":{"issuer":"https://idp.example","client_id":"x","public_client":true,"allow_private_addresses":true}}`, "allow_private_addresses"},
		{`{"id":"beta","organization":"Beta","domains":["alpha.example"],"scim":{"enabled":true}}`, "is of"},
		{`{"id":"Beta!","scim":{"enabled":true}}`, "lower-case"},
		{`{"id":"beta"}`, "oidc"},
		{`[]`, "mapping"},
		{``, ""},
	} {
		_, err := config.ParseConnection(config.Stored{Document: []byte(tc.document), Secrets: secrets}, others)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error = %v, want %q", tc.document, err, tc.want)
		}
	}
	c, err = config.ParseConnection(config.Stored{
		Document: []byte(`{` + head + `,"oidc":{"issuer":"http://127.0.0.1:9","client_id":"x","public_client":true}}`), Private: true,
	}, others)
	if err != nil || c.OIDC.Issuer != "http://127.0.0.1:9" {
		t.Errorf("on loopback: %+v, %v", c, err)
	}
}
