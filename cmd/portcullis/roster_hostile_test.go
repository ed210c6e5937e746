package main

import (
	"log/slog"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/config"
	"portcullis/fault"
	"portcullis/keys"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
)

// rosterOver is the roster of a gate with a configuration, without its rooms.
func rosterOver(t *testing.T, db *store.DB, keyFile string, connections ...config.Connection) *roster {
	t.Helper()
	ring, err := keys.Open(t.Context(), keys.Config{Store: db.Keys(), File: keyFile, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{PublicURL: &url.URL{Scheme: "https", Host: "gate.example"}, Connections: connections}
	return newRoster(cfg, db, ring, slog.New(slog.DiscardHandler), time.Now)
}

// Whoever may change the provider, and was never shown the client secret, does
// not get it by naming an issuer of their own.
func TestTheSecretOfOneIssuerIsNotSentToAnother(t *testing.T) {
	r := rosterOver(t, storetest.SQLite(t), filepath.Join(t.TempDir(), "gate.key"))
	d := admin.Draft{
		ID: "omega", Organization: "Omega", Protocol: admin.OverOIDC, Provisioning: "jit", Issuer: "https://idp.example", ClientID: "gate", ClientSecret: "s", NextSecret: "n",
	}
	save := func(change func(*admin.Draft)) error {
		next, err := r.Draft("omega")
		if err != nil {
			t.Fatal(err)
		}
		change(&next)
		_, err = r.Save(t.Context(), audit.Gate(), next)
		return err
	}
	if _, err := r.Save(t.Context(), audit.Gate(), d); err != nil {
		t.Fatal(err)
	}
	if err := save(func(d *admin.Draft) { d.ClientID = "other" }); err != nil {
		t.Errorf("the same issuer, with the secret that there is: %v", err)
	}
	if err := save(func(d *admin.Draft) { d.Issuer = "https://evil.example" }); !fault.Is(err, fault.Invalid) {
		t.Errorf("another issuer, with the secret that there is: %v, want invalid", err)
	}
	if err := save(func(d *admin.Draft) { d.Issuer, d.ClientSecret = "https://evil.example", "theirs" }); err != nil {
		t.Errorf("another issuer, with a secret of its own: %v", err)
	}
	if got := r.state.Load().made["omega"].secrets; len(got) != 1 || got[secretName] != "theirs" {
		t.Errorf("secrets = %v, want the new one alone", got)
	}
}

// A connection of the configuration counts before one of the console, also
// before one that was removed: its tokens live on when a gate starts.
func TestARemovedConnectionEmptiesNoneOfTheConfiguration(t *testing.T) {
	db, keyFile := storetest.SQLite(t), filepath.Join(t.TempDir(), "gate.key")
	r := rosterOver(t, db, keyFile)
	if _, err := r.Save(t.Context(), audit.Gate(), admin.Draft{ID: "omega", Organization: "Omega", SCIM: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Remove(t.Context(), audit.Gate(), "omega", "gone"); err != nil {
		t.Fatal(err)
	}
	tokens := scim.NewTokens(scim.TokensConfig{Store: db.Tokens()})
	for _, inFile := range []bool{true, false} {
		secret, _, err := tokens.Create(t.Context(), audit.Gate(), "omega", "", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		var file []config.Connection
		if inFile {
			file = append(file, config.Connection{ID: "omega", Organization: "Omega", SCIM: config.SCIM{Enabled: true}})
		}
		if err := rosterOver(t, db, keyFile, file...).Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := tokens.Verify(t.Context(), "omega", secret); (err == nil) != inFile {
			t.Errorf("in the configuration: %t, the token: %v", inFile, err)
		}
	}
}

// While gates are restarted one after the other with a configuration that has a
// connection, the one that was made in the console is removed at a new gate: at
// an old one it goes on, nothing of the connection ends, and whoever started
// anew follows the configuration.
func TestAShadowIsRemovedWhileGatesAreReplaced(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db, keyFile := open(), filepath.Join(t.TempDir(), "gate.key")
		old := rosterOver(t, db, keyFile)
		d := admin.Draft{ID: "omega", Organization: "Omega", SCIM: true, Protocol: admin.OverOIDC, Issuer: "https://idp.example", ClientID: "gate", ClientSecret: "s"}
		if _, err := old.Save(t.Context(), audit.Gate(), d); err != nil {
			t.Fatal(err)
		}
		tokens := scim.NewTokens(scim.TokensConfig{Store: db.Tokens()})
		secret, _, err := tokens.Create(t.Context(), audit.Gate(), "omega", "", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		file := config.Connection{ID: "omega", Organization: "Omega", SCIM: config.SCIM{Enabled: true}}
		replaced := rosterOver(t, db, keyFile, file)
		for _, step := range []func() error{
			func() error { return replaced.Refresh(t.Context()) },
			func() error {
				_, err := replaced.Remove(t.Context(), audit.Gate(), "omega", "it stands in the configuration")
				return err
			},
			func() error { return old.follow(t.Context()) },
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		inForce := func(r *roster) (n int) {
			for _, conn := range r.cfg().Connections {
				if conn.ID == "omega" {
					n++
				}
			}
			return n
		}
		check := func(when string) {
			t.Helper()
			if _, err := tokens.Verify(t.Context(), "omega", secret); err != nil {
				t.Errorf("%s: the token: %v", when, err)
			}
			if inForce(old) != 1 || inForce(replaced) != 1 {
				t.Errorf("%s: in force %d times at the old gate and %d times at the new one, want once", when, inForce(old), inForce(replaced))
			}
		}
		check("removed")
		if m := old.state.Load().made["omega"]; m.secrets[secretName] != "s" {
			t.Errorf("the old gate knows the secrets %v", m.secrets)
		}
		if _, err := old.Save(t.Context(), audit.Gate(), admin.Draft{ID: "psi", Organization: "Psi", SCIM: true}); err != nil {
			t.Fatal(err)
		}
		if err := replaced.follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		check("after another change")
		if _, err := old.Remove(t.Context(), audit.Gate(), "omega", "again"); !fault.Is(err, fault.NotFound) {
			t.Errorf("removing it again at the old gate: %v", err)
		}
		check("removed again")
		for _, started := range []*roster{rosterOver(t, db, keyFile, file), rosterOver(t, db, keyFile)} {
			if err := started.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := len(started.state.Load().made); n != 1 || inForce(started) != len(started.file.Connections) {
				t.Errorf("a gate that starts has %d made connections, and omega %d times", n, inForce(started))
			}
			check("after a start")
		}
	})
}

// Whoever was under way while a connection was removed, and arrives after it
// was emptied, has nothing a minute later.
func TestWhoArrivesAfterTheRemovalGoesToo(t *testing.T) {
	db := storetest.SQLite(t)
	r := rosterOver(t, db, filepath.Join(t.TempDir(), "gate.key"))
	now := time.Now()
	r.now = func() time.Time { return now }
	if _, err := r.Save(t.Context(), audit.Gate(), admin.Draft{ID: "omega", Organization: "Omega", SCIM: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Remove(t.Context(), audit.Gate(), "omega", "gone"); err != nil {
		t.Fatal(err)
	}
	tokens := scim.NewTokens(scim.TokensConfig{Store: db.Tokens()})
	secret, _, err := tokens.Create(t.Context(), audit.Gate(), "omega", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		passed time.Duration
		good   bool
	}{{straggling - time.Second, true}, {time.Second, false}} {
		now = now.Add(step.passed)
		if err := r.follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := tokens.Verify(t.Context(), "omega", secret); (err == nil) != step.good {
			t.Errorf("after another %s: %v, want it good: %t", step.passed, err, step.good)
		}
	}
	if len(r.late) != 0 {
		t.Errorf("late = %v", r.late)
	}
}
