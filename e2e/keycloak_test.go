//go:build interop

package e2e

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/internal/freeport"
)

// TestKeycloak signs in and out at Keycloak over OpenID Connect and over SAML,
// at a gate each. The folder KEYCLOAK holds Keycloak; "make interop" fetches it.
func TestKeycloak(t *testing.T) {
	home := os.Getenv("KEYCLOAK")
	if home == "" {
		t.Fatal("no Keycloak: want its folder in KEYCLOAK, as make interop does")
	}
	idp := freeport.Address(t)
	realm := "http://" + idp + "/realms/portal"
	openID := prepare(t, idp, overOpenID(realm))
	federated := prepare(t, idp, `saml: {metadata_url: "`+realm+`/protocol/saml/descriptor"}`)
	for _, d := range []*deployment{openID, federated} {
		d.serve(t)
		d.env = append(d.env, "E2E_PROVIDER=keycloak", "E2E_ISSUER="+realm)
	}
	signing, encryption := certificates(t, fetch(t, federated.public+"/.portcullis/saml/independent/metadata"))

	// It writes into its own folder, so it gets a copy.
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(home)); err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile("keycloak/realm.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "data", "import"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("@SECRET@", secret, "@OPENID@", openID.public, "@SAML@", federated.public,
		"@SIGNING@", signing, "@ENCRYPTION@", encryption).Replace(string(template))
	if err := os.WriteFile(filepath.Join(dir, "data", "import", "portal-realm.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(idp, ":")
	start(t, dir, nil, "bash", filepath.Join(dir, "bin", "kc.sh"), "start-dev", "--http-host="+host, "--http-port="+port, "--import-realm")
	awaitFor(t, 5*time.Minute, realm+"/.well-known/openid-configuration")

	t.Run("OpenID Connect", func(t *testing.T) { story(t, "federated.mjs", openID.env...) })
	t.Run("SAML", func(t *testing.T) { story(t, "federated.mjs", append(federated.env, "E2E_NAME=Independent")...) })
}

// certificates gives those of the gate's metadata, as Keycloak wants them.
func certificates(t *testing.T, metadata string) (signing, encryption string) {
	t.Helper()
	var m struct {
		Keys []struct {
			Use         string `xml:"use,attr"`
			Certificate string `xml:"KeyInfo>X509Data>X509Certificate"`
		} `xml:"SPSSODescriptor>KeyDescriptor"`
	}
	if err := xml.Unmarshal([]byte(metadata), &m); err != nil {
		t.Fatal(err)
	}
	for _, k := range m.Keys {
		c := strings.Join(strings.Fields(k.Certificate), "")
		if k.Use != "encryption" && signing == "" {
			signing = c
		}
		if k.Use != "signing" && encryption == "" {
			encryption = c
		}
	}
	if signing == "" || encryption == "" {
		t.Fatalf("no certificates in\n%s", metadata)
	}
	return signing, encryption
}
