package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/config"
	"portcullis/demo"
	"portcullis/store"
)

// published is the metadata of a new SAML identity provider, where it publishes
// it, if that is asked for.
func published(t *testing.T) (address string, text []byte) {
	t.Helper()
	var idp http.Handler
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { idp.ServeHTTP(w, r) }))
	t.Cleanup(s.Close)
	company := demo.Companies()[0]
	idp = demo.NewIDP(demo.IDPConfig{
		Issuer: s.URL, Company: company.Name, Domain: company.Domain, People: company.People, Groups: company.Groups,
		SAML: demo.SAMLConfig{MetadataURL: "http://127.0.0.1:1/"},
	})
	address = s.URL + "/saml/metadata"
	_, body := fetch(address)
	return address, []byte(body)
}

// database opens that of the gate.
func (d *distance) database() *store.DB {
	d.t.Helper()
	cfg, err := config.Load(filepath.Join(d.dir, "portcullis.yaml"), os.LookupEnv)
	if err != nil {
		d.t.Fatal(err)
	}
	db, err := store.Open(d.t.Context(), store.Config{URL: cfg.Database.URL.Reveal()})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = db.Close() })
	return db
}

// await puts other metadata where it waits for somebody's approval.
func (d *distance) await(connection string, text []byte) {
	d.t.Helper()
	db := d.database()
	m, err := db.Login().Metadata(d.t.Context(), connection)
	if err != nil {
		d.t.Fatal(err)
	}
	m.Pending, m.PendingAt = text, time.Now().UTC()
	if err := db.Login().SaveMetadata(d.t.Context(), m); err != nil {
		d.t.Fatal(err)
	}
}

// make makes a connection in the console.
func (d *distance) make(members map[string]any) {
	d.t.Helper()
	body, err := json.Marshal(members)
	if err != nil {
		d.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.public+"/.portcullis/api/v1/connections", bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+d.secret)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		d.t.Fatalf("making a connection: %s %s", res.Status, text)
	}
}

// What SAML providers publish is told and approved, and our keys there are made,
// through a gate as where it runs.
func TestSAMLConnectionsAreSeenToThroughAGate(t *testing.T) {
	t.Parallel()
	address, _ := published(t)
	_, other := published(t)
	_, third := published(t)
	d := newDistance(t,
		"  - {id: gamma, organization: Gamma, saml: {metadata_url: \""+address+"\"}}\n",
		"  - {id: delta, organization: Delta, saml: {metadata_file: delta.xml}}\n")
	d.write(t, "delta.xml", string(other))
	d.make(map[string]any{"id": "omega", "organization": "Omega", "protocol": "saml", "metadata": string(third)})
	d.make(map[string]any{"id": "empty", "organization": "Empty", "protocol": "saml", "scim": true})
	known := func(far bool) bool {
		_, out, _ := d.call(far, "connection", "metadata", "--json")
		return strings.Count(out, `"entity_id": "http`) == 3
	}
	eventually(t, "the metadata is known", patience, func() bool {
		_, _ = fetch(d.public + "/.portcullis/sign-in/delta") // a file is read when somebody comes
		return known(false) && known(true)
	})
	d.twoWays(exitFine, "connection", "metadata")
	if out := d.both(exitFine, "connection", "metadata", "--connection", "gamma", "--json"); !strings.Contains(out, `"valid_until"`) || strings.Contains(out, "delta") {
		t.Errorf("of one connection: %s, want how long it is good", out)
	}
	for _, args := range [][]string{{"metadata"}, {"metadata", "approve"}, {"rollover"}} {
		args = append([]string{"connection"}, args...)
		d.both(exitUsage, append(args, "--connection", "nowhere")...)
		d.both(exitFound, append(args, "--connection", "alpha")...)
		d.both(exitFound, append(args, "--connection", "empty")...)
	}
	d.both(exitUsage, "connection", "metadata", "approve")
	d.both(exitFound, "connection", "metadata", "approve", "--connection", "gamma")
	d.both(exitUsage, "connection", "rollover")

	for _, far := range []bool{true, false} {
		_, next := published(t)
		d.await("gamma", next)
		if out := d.both(exitFine, "connection", "metadata"); !strings.Contains(out, ` from "http`) {
			t.Errorf("what waits: %s", out)
		}
		d.both(exitFine, "connection", "metadata", "--json")
		if code, out, errs := d.call(far, "connection", "metadata", "approve", "--connection", "gamma"); code != exitFine || out != "" || !strings.Contains(errs, "approved") {
			t.Errorf("approve, from afar = %t: exit code %d, %s%s", far, code, out, errs)
		}
		if out := d.both(exitFine, "connection", "metadata"); strings.Contains(out, ` from "http`) {
			t.Errorf("what waits once it was approved, from afar = %t: %s", far, out)
		}
	}

	maker := &http.Client{Timeout: time.Minute} // a busy machine takes long to make a pair of RSA keys
	for connection, far := range map[string]bool{"gamma": true, "delta": false} {
		if status, _ := fetchBy(maker, d.public+"/.portcullis/saml/"+connection+"/metadata"); status != http.StatusOK {
			t.Fatalf("our metadata at %s: %d", connection, status)
		}
		code, out, errs := d.call(far, "connection", "rollover", "--connection", connection)
		if want := "anew: " + d.public + "/.portcullis/saml/" + connection + "/metadata\n"; code != exitFine || out != "" || !strings.HasSuffix(errs, want) {
			t.Errorf("rollover of %s, from afar = %t: exit code %d, %s%s, want %s", connection, far, code, out, errs, want)
		}
		d.both(exitFound, "connection", "rollover", "--connection", connection) // one waits
	}
}
