package login_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/login"
	"portcullis/saml"
	"portcullis/store/storetest"
)

// fetched is a connection whose metadata comes from an address.
func (p *samlIDP) fetched(id string) func(*login.Config) {
	return p.connection(id, func(s *login.SAML) {
		s.MetadataFile, s.MetadataURL, s.Poll = "", p.entityID(), 5*time.Millisecond
	})
}

// running runs what works in the background until the test ends.
func (g *gate) running(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.login.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// rekey makes the provider sign with other keys and publish these.
func (p *samlIDP) rekey(name string, extra ...string) {
	k := pairOf(p.t, name)
	p.idp.Key, p.idp.Certificate, p.extra = k.Private, k.Certificate, nil
	for _, name := range extra {
		p.extra = append(p.extra, pairOf(p.t, name).Certificate)
	}
}

func TestAMetadataFileIsReadAnewWhenItChanges(t *testing.T) {
	p := newSAMLIDP(t)
	var file string
	g := newGate(t, p.connection("acme", func(s *login.SAML) { file = s.MetadataFile }))
	come := func() int { return newBrowser(t).samlSignIn(g, "/.portcullis/sign-in/acme").StatusCode }
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := come(); got != http.StatusSeeOther {
		t.Fatalf("sign-in %d", got)
	}
	p.rekey("idp-2")
	if got := come(); got != http.StatusBadRequest {
		t.Errorf("with a key that the file does not have: %d", got)
	}
	write(string(p.metadata()))
	if got := come(); got != http.StatusSeeOther {
		t.Errorf("with the file's new key: %d", got)
	}
	write("<md:Entity")
	if got := come(); got != http.StatusSeeOther {
		t.Errorf("half a file must leave the last good one in force: %d", got)
	}
	if !strings.Contains(g.log.String(), "metadata file cannot be used") {
		t.Error("nobody was told of half a file")
	}
}

func TestWithoutMetadataSignInSaysSo(t *testing.T) {
	p := newSAMLIDP(t)
	g := newGate(t, all(p.connection("acme", func(s *login.SAML) { s.MetadataFile = filepath.Join(t.TempDir(), "none.xml") }), p.fetched("beta")))
	p.down.Store(true)
	for id, words := range map[string]string{"acme": "cannot be read", "beta": "cannot be reached"} {
		g.refused(t, newBrowser(t).get(g.public.String()+"/.portcullis/sign-in/"+id), http.StatusServiceUnavailable, words)
		// The provider's administrator needs ours first.
		answer := newBrowser(t).get(g.public.String() + "/.portcullis/saml/" + id + "/metadata")
		for _, want := range []string{`entityID="` + g.public.String() + "/.portcullis/saml/" + id + `/metadata"`, "/acs", "/slo", "X509Certificate", `AuthnRequestsSigned="true"`} {
			if answer.StatusCode != http.StatusOK || !strings.Contains(answer.body, want) {
				t.Errorf("our metadata: %d without %s", answer.StatusCode, want)
			}
		}
	}
	p.down.Store(false)
	eventually(t, "a sign-in after the return", func() bool {
		return newBrowser(t).get(g.public.String()+"/.portcullis/sign-in/beta").StatusCode == http.StatusSeeOther
	})
}

func TestFetchedMetadata(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		file := filepath.Join(t.TempDir(), "gate.key")
		one := openRooms(t, databaseURL, file)
		p := newSAMLIDP(t)
		g := newGate(t, all(one.use, p.fetched("acme")))
		g.running(t)
		come := func(g *gate) int { return newBrowser(t).samlSignIn(g, "/.portcullis/sign-in/acme").StatusCode }
		stored := func() login.Metadata {
			m, err := one.db.Login().Metadata(t.Context(), "acme")
			if err != nil && !fault.Is(err, fault.NotFound) {
				t.Error(err)
			}
			return m
		}
		if got := come(g); got != http.StatusSeeOther {
			t.Fatalf("sign-in %d", got)
		}

		// A key joins, and takes over: nobody is asked.
		p.extra = []*x509.Certificate{pairOf(t, "idp-2").Certificate}
		g.advance(25 * time.Hour)
		eventually(t, "the second key", func() bool {
			return strings.Contains(string(stored().Accepted), encode64(pairOf(t, "idp-2").Certificate.Raw))
		})
		p.rekey("idp-2", "idp")
		g.skip.Store(0)
		eventually(t, "a sign-in with the second key", func() bool { return come(g) == http.StatusSeeOther })

		// All keys at once: that waits, and the keys of before count.
		p.rekey("idp-3")
		g.advance(50 * time.Hour)
		eventually(t, "metadata that waits", func() bool { return len(stored().Pending) > 0 })
		g.skip.Store(0)
		if got := come(g); got == http.StatusSeeOther {
			t.Error("keys that nobody approved let somebody in")
		}
		md, changes, err := login.ReviewMetadata(stored(), &login.SAML{})
		if err != nil || md.IDP.EntityID != p.entityID() || len(changes) != 3 || !changes[0].NeedsApproval {
			t.Errorf("review = %+v, %v", changes, err)
		}
		by := audit.Actor{Kind: "operator", Name: "ops"}
		if err := login.ApproveMetadata(t.Context(), one.db.Login(), "acme", by, time.Now()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a sign-in after the approval", func() bool { return come(g) == http.StatusSeeOther })
		if err := login.ApproveMetadata(t.Context(), one.db.Login(), "acme", by, time.Now()); !fault.Is(err, fault.NotFound) {
			t.Errorf("approving nothing = %v", err)
		}

		// A gate that starts while the provider's address is away knows it still.
		two := openRooms(t, databaseURL, file)
		away := newGate(t, all(two.use, p.fetched("acme"), func(c *login.Config) {
			c.HTTP = &http.Client{Transport: broken{}}
		}))
		if got := come(away); got != http.StatusSeeOther {
			t.Errorf("after a restart: %d", got)
		}
	})
}

// broken is a network that is away.
type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("away") }

func TestDoctorLooksAtProviders(t *testing.T) {
	p := newSAMLIDP(t)
	p.extra = []*x509.Certificate{pairOf(t, "idp-2").Certificate}
	c := login.Config{PublicURL: newGate(t, p.connection("x", nil)).public}
	all(p.connection("acme", func(s *login.SAML) { s.AllowSHA1 = true }),
		p.connection("beta", func(s *login.SAML) { s.MetadataFile, s.MetadataURL = "", p.entityID() }),
		p.connection("gamma", func(s *login.SAML) { s.MetadataFile = "none.xml" }))(&c)
	found := map[string][]login.Result{}
	for _, r := range login.New(c).Check(t.Context()) {
		found[r.Connection+" "+r.Name] = append(found[r.Connection+" "+r.Name], r)
	}
	for _, id := range []string{"acme", "beta"} {
		if list := found[id+" metadata"]; len(list) == 0 || list[0].Err != nil || !strings.Contains(list[0].Detail, p.entityID()) {
			t.Errorf("%s: %+v", id, list)
		}
		if list := found[id+" metadata"]; len(list) != 2 || list[1].Expires.IsZero() || list[1].Detail != "metadata's validity" { // doctor puts "the" before it
			t.Errorf("%s: validity %+v", id, list)
		}
		if list := found[id+" certificate"]; len(list) != 2 || list[0].Expires.IsZero() {
			t.Errorf("%s: certificates %+v", id, list)
		}
	}
	if list := found["acme signatures"]; len(list) != 1 || !list[0].Warning {
		t.Errorf("SHA-1: %+v", list)
	}
	if list := found["gamma metadata"]; len(list) != 1 || list[0].Err == nil {
		t.Errorf("no file: %+v", list)
	}
}

func TestOurKeysRollOver(t *testing.T) {
	p := newSAMLIDP(t)
	current := []saml.KeyPair{pairOf(t, "gate")}
	g := newGate(t, p.connection("acme", func(s *login.SAML) {
		s.Keys = func(context.Context) ([]saml.KeyPair, error) { return current, nil }
	}))
	b := newBrowser(t)
	action, form := b.samlForm(g, "/.portcullis/sign-in/acme") // encrypted for the old key
	current = []saml.KeyPair{pairOf(t, "gate-2"), pairOf(t, "gate")}
	shown := newBrowser(t).get(g.public.String() + "/.portcullis/saml/acme/metadata").body
	for _, name := range []string{"gate", "gate-2"} {
		if n := strings.Count(shown, encode64(pairOf(t, name).Certificate.Raw)); n != 2 {
			t.Errorf("%s is shown %d times, want for signatures and for encryption", name, n)
		}
	}
	if answer := b.do(http.MethodPost, action, form); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("encrypted for the old key: %d\n%s", answer.StatusCode, answer.body)
	}
	if answer := newBrowser(t).samlSignIn(g, "/.portcullis/sign-in/acme"); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("encrypted for the new key: %d\n%s", answer.StatusCode, answer.body)
	}
}
