package main

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A key that leaked is out of use within a second on every gate: not
// published, nothing signed with it, and what it signed not handed out again.
func TestAKeyThatLeakedIsOutOfUseWithinASecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{database: "postgres"})
	w.start(t)
	second := w.replicate(t)
	second.start(t)
	b := w.browser(t)
	b.mustSignIn(t, "ada")
	elsewhere := &browser{world: second, http: b.http} // cookies know no ports
	events, socket := b.stream(t)

	kid := func(b *browser) string {
		_, header := told(t, b.open(t, "/"))
		jws, err := jose.ParseSignedCompact(header.Get("X-Portcullis-Assertion"), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		return jws.Signatures[0].Header.KeyID
	}
	leaked := kid(b)
	if kid(elsewhere) != leaked {
		t.Fatal("two gates sign with two keys")
	}
	w.cli(t, exitUsage, "keys", "withdraw", leaked)
	var out struct{ Withdrawn, Signs string }
	began := time.Now()
	if err := json.Unmarshal([]byte(w.cli(t, exitFine, "keys", "withdraw", leaked, "--reason", "it leaked", "--json")), &out); err != nil || out.Withdrawn != leaked || out.Signs == "" {
		t.Fatalf("keys withdraw = %+v, %v", out, err)
	}
	for _, gate := range []*browser{b, elsewhere} {
		eventually(t, "the key is out of use", patience, func() bool {
			_, set := fetch(gate.public + "/.portcullis/jwks.json")
			return !strings.Contains(set, leaked) && strings.Contains(set, out.Signs) && kid(gate) == out.Signs
		})
	}
	if took := time.Since(began); took > 5*time.Second { // a second, and what a busy machine adds
		t.Errorf("a key that leaked was in use for %v", took)
	}
	_, header := told(t, b.open(t, "/"))
	verified(t, second, header.Get("X-Portcullis-Assertion"))
	select {
	case <-events:
		t.Error("the event stream ended")
	case <-socket:
		t.Error("the WebSocket ended")
	default:
	}
	w.cli(t, exitFound, "keys", "withdraw", leaked, "--reason", "again")
	if trail := w.cli(t, exitFine, "audit", "export"); !strings.Contains(trail, `"key.withdrawn"`) || !strings.Contains(trail, "it leaked") {
		t.Error("the audit trail does not tell of it")
	}
}

// The key of a SAML connection goes with its certificate, on every gate.
func TestASAMLKeyThatLeakedIsShownNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{database: "postgres"})
	w.configure(t, "connections:\n", "connections:\n  - {id: partner, saml: {metadata_file: partner.xml}}\n")
	w.start(t)
	second := w.replicate(t)
	second.start(t)
	maker := &http.Client{Timeout: time.Minute} // a busy machine takes long to make a pair of RSA keys
	certificate := func(gate *world) string {
		t.Helper()
		status, body := fetchBy(maker, gate.public+"/.portcullis/saml/partner/metadata")
		m := regexp.MustCompile(`<ds:X509Certificate>([^<]*)<`).FindAllStringSubmatch(body, -1)
		if status != http.StatusOK || len(m) != 2 || m[0][1] != m[1][1] {
			t.Fatalf("metadata = %d, %s", status, body)
		}
		return m[0][1]
	}
	leaked := certificate(w)
	if certificate(second) != leaked {
		t.Fatal("two gates show two certificates")
	}
	var list []struct{ ID, Purpose string }
	if err := json.Unmarshal([]byte(w.cli(t, exitFine, "keys", "list", "--json")), &list); err != nil || len(list) != 2 || list[1].Purpose != "saml partner" {
		t.Fatalf("keys list = %+v, %v", list, err)
	}
	w.cli(t, exitFine, "keys", "withdraw", list[1].ID, "--reason", "it leaked")
	for _, gate := range []*world{w, second} {
		eventually(t, "the certificate is shown no more", patience, func() bool { return certificate(gate) != leaked })
	}
	if certificate(w) != certificate(second) {
		t.Error("two gates made two new pairs")
	}
}
