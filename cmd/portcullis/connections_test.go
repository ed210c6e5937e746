package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/config"
	"portcullis/keys"
	"portcullis/login"
	"portcullis/oidc"
	"portcullis/saml"
	"portcullis/store"
)

// TestEveryKeyOfAConnectionReachesSignIn holds that nothing which the file
// says of a provider gets lost on the way.
func TestEveryKeyOfAConnectionReachesSignIn(t *testing.T) {
	dir := t.TempDir()
	pair, err := saml.NewKeyPair("federation.example", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate.Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gate.pem", "next.pem"} {
		writeKey(t, filepath.Join(dir, name))
	}
	cfg, err := config.Parse(filepath.Join(dir, "portcullis.yaml"), []byte(`public_url: http://127.0.0.1:8080
upstream: {url: "http://127.0.0.1:3000"}
database: {url: "sqlite:gate.db"}
mapping: {file: mapping.yaml}
connections:
  - id: one
    preset: adfs
    oidc: {issuer: "https://id.example.com", client_id: gate, client_secret_env: ONE, client_secret_next_env: TWO, refresh: true, refresh_every: 5m,
           allow_private_addresses: true, graph: {enabled: true, url: "https://graph.example/v1.0"}}
  - id: two
    oidc: {issuer: "https://id.example.com", client_id: gate, private_key_jwt: true}
  - id: three
    saml: {metadata_url: "https://id.example.com/m", metadata_signer_file: ca.pem, provider_entity_id: "urn:p", entity_id: "urn:gate", binding: post,
           sign_requests: false, allow_idp_initiated: true, allow_sha1: true, force_authn: true, authn_context: [mfa], allow_private_addresses: true,
           subject: uid, attributes: {groups: g, email: [m1, m2], name: n, roles: r, user_name: u},
           graph: {enabled: true, url: "https://graph.example/v1.0", issuer: "https://id.example.com/t", client_id: reader, client_secret_env: THREE}}
  - {id: four, oidc: {issuer: "https://id.example.com", client_id: gate, private_key_file: gate.pem, private_key_next_file: next.pem}}
`), func(name string) (string, bool) { return "secret " + name, true })
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Config{URL: cfg.Database.URL.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	ring, err := keys.Open(t.Context(), keys.Config{Store: db.Keys(), File: cfg.Keys.File, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := loginConnections(t.Context(), cfg, ring)
	if err != nil || len(got) != 4 {
		t.Fatalf("loginConnections = %v, %v", got, err)
	}
	three := got[2].SAML
	pairs, err := three.Keys(t.Context())
	if err != nil || len(pairs) != 1 || pairs[0].Certificate.Subject.CommonName != "127.0.0.1" {
		t.Errorf("Keys = %v, %v", pairs, err)
	}
	if len(three.Signers) != 1 || !three.Signers[0].Equal(pair.Certificate) {
		t.Errorf("signers = %v", three.Signers)
	}
	three.Keys, three.Signers = nil, nil
	if diff := cmp.Diff(&login.SAML{
		MetadataURL: "https://id.example.com/m", Provider: "urn:p", EntityID: "urn:gate", Binding: saml.BindingPOST, Unsigned: true,
		AllowIDPInitiated: true, AllowSHA1: true, ForceAuthn: true, AuthnContexts: []string{"mfa"}, AllowPrivate: true, Subject: "uid",
		Attributes: login.Attributes{
			Groups: []string{"g"}, Email: []string{"m1", "m2"}, Name: []string{"n"}, Roles: []string{"r"}, UserName: []string{"u"},
			Subject: config.PresetOf("").Attributes.Subject,
		},
		Graph: &login.Graph{URL: "https://graph.example/v1.0", Provider: oidc.Config{
			Issuer: "https://id.example.com/t", ClientID: "reader", ClientSecret: "secret THREE", AllowPrivate: true,
		}},
	}, three); diff != "" {
		t.Errorf("SAML (-want +got):\n%s", diff)
	}
	four := got[3].OIDC
	if first, second := four.Provider.Signer, four.Provider.NextSigner; first == nil || second == nil || strings.Count(string(four.JWKS()), `"kid"`) != 2 {
		t.Errorf("keys of the operator's: %v, %v, %s", first, second, four.JWKS())
	}
	one, two := got[0].OIDC, got[1].OIDC
	p := one.Provider
	if p.ClientSecret != "secret ONE" || p.NextSecret != "secret TWO" || !p.Offline || !p.AllowPrivate || p.Signer != nil {
		t.Errorf("provider = %+v", p)
	}
	if one.RefreshEvery != 5*time.Minute || one.GraphURL != "https://graph.example/v1.0" || one.Claims.Groups != "group" || one.Claims.UserName != "upn" || one.JWKS != nil {
		t.Errorf("connection = %+v", one)
	}
	if p := two.Provider; p.Signer == nil || p.ClientSecret != "" || p.Offline || p.AllowPrivate || two.GraphURL != "" || !strings.Contains(string(two.JWKS()), `"kty":"EC"`) {
		t.Errorf("connection = %+v", two)
	}
}

// writeKey makes a private key in PEM.
func writeKey(t *testing.T, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
