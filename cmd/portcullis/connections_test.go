package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/config"
	"portcullis/keys"
	"portcullis/store"
)

// TestEveryKeyOfAConnectionReachesSignIn holds that nothing which the file
// says of a provider gets lost on the way.
func TestEveryKeyOfAConnectionReachesSignIn(t *testing.T) {
	dir := t.TempDir()
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
	if err != nil || len(got) != 2 {
		t.Fatalf("loginConnections = %v, %v", got, err)
	}
	one, two := got[0].OIDC, got[1].OIDC
	p := one.Provider
	if p.ClientSecret != "secret ONE" || p.NextSecret != "secret TWO" || !p.Offline || !p.AllowPrivate || p.Signer != nil {
		t.Errorf("provider = %+v", p)
	}
	if one.RefreshEvery != 5*time.Minute || one.GraphURL != "https://graph.example/v1.0" || one.Claims.Groups != "group" || one.Claims.UserName != "upn" || one.JWKS != nil {
		t.Errorf("connection = %+v", one)
	}
	if p := two.Provider; p.Signer == nil || p.ClientSecret != "" || p.Offline || p.AllowPrivate || two.GraphURL != "" || !strings.Contains(string(two.JWKS), `"kty":"EC"`) {
		t.Errorf("connection = %+v", two)
	}
}
