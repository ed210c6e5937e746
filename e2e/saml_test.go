//go:build e2e

package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"portcullis/internal/freeport"
)

// simpleSAML is where Debian puts SimpleSAMLphp.
const simpleSAML = "/usr/share/simplesamlphp/www"

// keyPair makes an RSA key and a certificate for it, as PEM.
func keyPair(t *testing.T) (key, certificate string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// simple is SimpleSAMLphp before the gate.
type simple struct {
	*deployment
	home string
}

// deploySimple starts both, and makes each known to the other by metadata.
func deploySimple(t *testing.T, settings map[string]any) *simple {
	t.Helper()
	if _, err := os.Stat(simpleSAML); err != nil {
		t.Fatal("no SimpleSAMLphp: want the packages simplesamlphp php-cli php-xml php-mbstring php-curl php-sqlite3")
	}
	idp := freeport.Address(t)
	s := &simple{prepare(t, idp, "saml: {metadata_file: idp.xml}"), t.TempDir()}
	for _, name := range []string{"config", "cert", "log", "data", "tmp", "metadata"} {
		if err := os.Mkdir(filepath.Join(s.home, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"config.php": "config", "authsources.php": "config", "saml20-idp-hosted.php": "metadata"} {
		text, err := os.ReadFile(filepath.Join("simplesamlphp", name))
		if err != nil {
			t.Fatal(err)
		}
		s.put(t, filepath.Join(to, name), string(text))
	}
	for _, name := range []string{"old", "new"} {
		key, certificate := keyPair(t)
		s.put(t, "cert/"+name+".key", key)
		s.put(t, "cert/"+name+".crt", certificate)
	}
	settings["privatekey"], settings["certificate"] = "old.key", "old.crt"
	s.configure(t, settings)
	start(t, s.home, []string{"E2E_DIR=" + s.home, "E2E_ISSUER=" + s.idp, "SIMPLESAMLPHP_CONFIG_DIR=" + filepath.Join(s.home, "config")},
		"php", "-q", "-S", idp, "-t", simpleSAML)
	s.learn(t)
	s.serve(t)
	s.put(t, "gate.xml", fetch(t, s.public+"/.portcullis/saml/independent/metadata"))
	s.env = append(s.env, "E2E_PROVIDER=simplesamlphp")
	return s
}

func (s *simple) put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.home, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// configure says what the provider does from the next request on.
func (s *simple) configure(t *testing.T, settings map[string]any) {
	t.Helper()
	b, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	s.put(t, "idp.json", string(b))
}

// learn gives the gate the provider's metadata.
func (s *simple) learn(t *testing.T) {
	t.Helper()
	s.write(t, "idp.xml", fetch(t, s.idp+"/saml2/idp/metadata.php"))
}

// lastTrace is what the gate's operator is told of the last sign-in.
func (d *deployment) lastTrace(t *testing.T) string {
	t.Helper()
	tell := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), gate, append([]string{"login"}, args...)...)
		cmd.Dir, cmd.Stderr = d.dir, os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	list := tell("traces", "--limit", "1")
	reference := regexp.MustCompile(`\b[A-Z2-7]{12}\b`).FindString(list)
	if reference == "" {
		t.Fatalf("no sign-in in\n%s", list)
	}
	return tell("trace", reference)
}

// TestSimpleSAMLphp signs in and out at SimpleSAMLphp, with what it signs and
// encrypts.
func TestSimpleSAMLphp(t *testing.T) {
	for name, settings := range map[string]map[string]any{
		"signed assertion":               {"saml20.sign.response": false},
		"signed answer, encrypted":       {"saml20.sign.assertion": false, "assertion.encryption": true},
		"all signed, encrypted, by POST": {"assertion.encryption": true, "SingleSignOnServiceBinding": bindingPOST, "SingleLogoutServiceBinding": bindingPOST},
	} {
		t.Run(name, func(t *testing.T) {
			s := deploySimple(t, settings)
			story(t, "federated.mjs", s.env...)
			_, encrypted := settings["assertion.encryption"]
			if trace := s.lastTrace(t); strings.Contains(trace, "decryption") != encrypted {
				t.Errorf("the trace of a sign-in that is encrypted: %v\n%s", encrypted, trace)
			}
		})
	}
}

const bindingPOST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"

// TestSimpleSAMLphpChangesItsKey: the next key is announced, then used, then
// the old one is gone; the gate only gets the metadata, and nobody is refused.
func TestSimpleSAMLphpChangesItsKey(t *testing.T) {
	s := deploySimple(t, map[string]any{"assertion.encryption": true})
	brief := append(s.env, "E2E_BRIEF=yes")
	story(t, "federated.mjs", brief...)

	announced := map[string]any{
		"assertion.encryption": true, "privatekey": "old.key", "certificate": "old.crt", "new_privatekey": "new.key", "new_certificate": "new.crt",
	}
	s.configure(t, announced)
	s.learn(t)
	story(t, "federated.mjs", brief...)

	s.configure(t, map[string]any{"assertion.encryption": true, "privatekey": "new.key", "certificate": "new.crt"})
	story(t, "federated.mjs", brief...)

	s.learn(t)
	story(t, "federated.mjs", brief...)

	// A key that the metadata does not have any more is refused.
	s.configure(t, map[string]any{"assertion.encryption": true, "privatekey": "old.key", "certificate": "old.crt"})
	story(t, "federated.mjs", append(brief, "E2E_REFUSED=yes")...)
}

// TestSAMLIdP signs in and out at saml-idp, which signs answer and assertion
// and whose metadata the gate fetches.
func TestSAMLIdP(t *testing.T) {
	idp := freeport.Address(t)
	_, port, err := net.SplitHostPort(idp)
	if err != nil {
		t.Fatal(err)
	}
	d := prepare(t, idp, `saml: {metadata_url: "http://`+idp+`/metadata"}`)
	key, certificate := keyPair(t)
	d.write(t, "idp.key", key)
	d.write(t, "idp.crt", certificate)
	d.write(t, "people.cjs", samlIDPPeople)
	us := d.public + "/.portcullis/saml/independent/"
	bin, err := filepath.Abs("node_modules/saml-idp/bin/run.js")
	if err != nil {
		t.Fatal(err)
	}
	start(t, d.dir, []string{"HOST=", "PORT="}, "node", bin, "--host", "127.0.0.1", "--port", port, "--issuer", "urn:independent:idp",
		"--acsUrl", us+"acs", "--sloUrl", us+"slo", "--audience", us+"metadata",
		"--cert", "idp.crt", "--key", "idp.key", "--configFile", filepath.Join(d.dir, "people.cjs"))
	await(t, d.idp+"/metadata")
	d.serve(t)
	story(t, "federated.mjs", append(d.env, "E2E_PROVIDER=saml-idp")...)
}

// samlIDPPeople is whom saml-idp knows; its page changes who they are.
const samlIDPPeople = `
module.exports = {
  user: { userName: "ada", nameIdFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    displayName: "Independent ada", email: "ada@alpha.example", groups: "Portfolio-Managers,Canteen" },
  metadata: [
    { id: "displayName", displayName: "Name", multiValue: false },
    { id: "email", displayName: "E-mail", multiValue: false },
    { id: "groups", displayName: "Groups", multiValue: true },
  ],
};
`
