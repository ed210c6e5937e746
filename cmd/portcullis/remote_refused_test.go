package main

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/internal/freeport"
)

// Where a gate and a token are said, and what is refused.
func TestAGateElsewhereIsNamedSafely(t *testing.T) {
	t.Parallel()
	d := newDistance(t)
	file := filepath.Join(d.away, "token")
	if err := os.WriteFile(file, []byte(d.secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var followed bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		followed = followed || r.URL.Path == "/taken"
		http.Redirect(w, r, "/taken", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(elsewhere.Close)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+d.secret || r.URL.Path != "/.portcullis/api/v1/connections" {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = w.Write([]byte(`{"connections":[]}`))
	}))
	t.Cleanup(secure.Close)
	ca := filepath.Join(d.away, "ca.pem")
	if err := os.WriteFile(ca, pemOf(secure.Certificate().Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		code int
		errs string
		env  []string
		args []string
	}{
		{"a file and an option", 0, "", nil, []string{"user", "list", "--gate", d.public, "--token-file", file}},
		{"variables", 0, "", []string{"PORTCULLIS_GATE=" + d.public + "/", "PORTCULLIS_TOKEN=" + d.secret}, []string{"user", "list"}},
		{"the file counts before the variable", 0, "", []string{"PORTCULLIS_GATE=" + d.public, "PORTCULLIS_TOKEN=pct_bad"}, []string{"user", "list", "--token-file", file}},
		{"no token", 2, "want an API token", nil, []string{"user", "list", "--gate", d.public}},
		{"no API token", 2, "begins with pct_", []string{"PORTCULLIS_TOKEN=pcs_x"}, []string{"user", "list", "--gate", d.public}},
		{"a token that is none", 3, "not good here", []string{"PORTCULLIS_TOKEN=pct_x"}, []string{"user", "list", "--gate", d.public}},
		{"no https", 2, "want https", nil, []string{"user", "list", "--gate", "http://portal.example.com", "--token-file", file}},
		{"no address", 2, "want the public address", nil, []string{"user", "list", "--gate", "portal", "--token-file", file}},
		{"nobody there", 3, "does not answer", nil, []string{"user", "list", "--gate", "http://" + freeport.Address(t), "--token-file", file}},
		{"no gate there", 3, "no gate's API", nil, []string{"user", "list", "--gate", elsewhere.URL, "--token-file", file}},
		{"an authority that is not known", 3, "certificate", nil, []string{"connection", "list", "--gate", secure.URL, "--token-file", file}},
		{"an authority of one's own", 0, "", nil, []string{"connection", "list", "--gate", secure.URL, "--token-file", file, "--ca-file", ca}},
		{"no authority in a file", 2, "no certificate", nil, []string{"connection", "list", "--gate", secure.URL, "--token-file", file, "--ca-file", file}},
		{"a command that cannot", 2, "does not work through a gate", nil, []string{"keys", "rotate", "--gate", d.public, "--token-file", file}},
		{"one that cannot, by a variable", 2, "and not through its API", []string{"PORTCULLIS_GATE=" + d.public}, []string{"keys", "list"}},
		{"one that need not", 0, "", []string{"PORTCULLIS_GATE=" + d.public}, []string{"version"}},
		{"more than a gate gives", 2, "at most 1000", nil, []string{"mapping", "history", "--limit", "1001", "--gate", d.public, "--token-file", file}},
		{"a reason that the gate wants", 1, "reference ", nil, []string{"user", "lock", "alpha-ben", "--gate", d.public, "--token-file", file}},
		{"a token without an end", 2, "whole days", nil, []string{"token", "create", "--connection", "alpha", "--gate", d.public, "--token-file", file}},
		{"a file, put in force", 2, "propose FILE first", nil, []string{"mapping", "apply", file, "--gate", d.public, "--token-file", file}},
	} {
		cmd := program(t.Context(), d.away, tc.args...)
		cmd.Env = append(os.Environ(), tc.env...)
		code, out, errs := runProgram(t, cmd)
		if code != tc.code || !strings.Contains(errs, tc.errs) {
			t.Errorf("%s: exit code %d, want %d; stderr %q, want %q\n%s", tc.name, code, tc.code, errs, tc.errs, out)
		}
		if strings.Contains(out+errs, d.secret) {
			t.Errorf("%s: the token is printed", tc.name)
		}
	}
	if followed {
		t.Error("a redirect was followed, with the token")
	}
	if strings.Contains(d.log.String(), d.secret) {
		t.Error("the log of the gate holds the token")
	}
}

// A revoked token is worth nothing within a second, and a portal's token never
// administers.
func TestATokenThatIsRevokedAdministersNoMore(t *testing.T) {
	t.Parallel()
	d := newDistance(t)
	if code, _, errs := d.call(true, "user", "list"); code != exitFine {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	var list []struct{ ID string }
	if err := json.Unmarshal([]byte(d.cli(t, exitFine, "api-token", "list", "--json")), &list); err != nil || len(list) != 1 {
		t.Fatalf("tokens: %v %v", list, err)
	}
	d.cli(t, exitFine, "api-token", "revoke", list[0].ID)
	eventually(t, "the token is refused", patience, func() bool {
		status, _, _ := d.program(t, d.secret, "/.portcullis/api/v1/me")
		return status == http.StatusUnauthorized
	})
	_, d.secret = d.apiToken(t, "--user", "ada@alpha.example", "--scope", "*")
	if code, _, errs := d.call(true, "user", "list"); code != exitFound || !strings.Contains(errs, "nothing here for this token") {
		t.Errorf("a token for everything of the portal: exit code %d, %s", code, errs)
	}
	if status, _, body := d.program(t, d.secret, "/.portcullis/whoami"); status != http.StatusOK || strings.Contains(body, "gate.") {
		t.Errorf("whoami of that token = %d %s, want none of the gate's tasks", status, body)
	}
}

func pemOf(certificate []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
}
