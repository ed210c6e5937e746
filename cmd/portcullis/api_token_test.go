package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// program asks with a token, and nothing else.
func (w *world) program(t *testing.T, secret, target string, header ...string) (status int, h http.Header, body string) {
	t.Helper()
	status, h, body, err := w.tryProgram(t, secret, target, header...)
	if err != nil {
		t.Fatal(err)
	}
	return status, h, body
}

// tryProgram is program for a request that may be cut in the middle.
func (w *world) tryProgram(t *testing.T, secret, target string, header ...string) (status int, h http.Header, body string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.public+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := (&http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, string(b), err
}

// programStream opens the event stream of the portal; gone is closed when it ends.
func (w *world) programStream(t *testing.T, secret string) (gone chan struct{}) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.public+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "bearer "+secret)
	res, err := (&http.Client{Transport: &http.Transport{}}).Do(req) //nolint:bodyclose // closed by the goroutine below
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("stream of a program: %v, %v", res, err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	gone = make(chan struct{})
	go func() {
		defer close(gone)
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
	}()
	return gone
}

func (w *world) apiToken(t *testing.T, args ...string) (id, secret string) {
	t.Helper()
	var made struct{ ID, Secret string }
	if err := json.Unmarshal([]byte(w.cli(t, exitFine, append([]string{"api-token", "create", "--json"}, args...)...)), &made); err != nil {
		t.Fatal(err)
	}
	return made.ID, made.Secret
}

// A token whose scopes its owner does not have is made, and what is missing is
// named: it may be there before the mapping is.
func TestScopesThatNobodyHasAreNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.start(t)
	w.browser(t).mustSignIn(t, "ada")
	create := func(args ...string) (out, errs string) {
		t.Helper()
		var o, e bytes.Buffer
		args = append(append([]string{"api-token", "create"}, args...), "-c", filepath.Join(w.dir, "portcullis.yaml"))
		if got := run(t.Context(), args, strings.NewReader(""), &o, &e); got != exitFine {
			t.Fatalf("%v: exit code %d: %s", args, got, &e)
		}
		return o.String(), e.String()
	}
	ada := []string{"--user", "ada@alpha.example"}
	service := []string{"--service", "nightly", "--connection", "alpha"}
	for _, tc := range []struct {
		owner  []string
		scopes []string
		want   string // of the warning; empty for none
	}{
		{ada, []string{"account.view", "manager", "*"}, ""},
		{ada, []string{"account.view", "gate.users.view", "boss"}, "does not have gate.users.view, boss:"},
		{append(service, "--group", "Portfolio-Managers"), []string{"report.view"}, ""},
		{append(service, "--group", "Accounts-Nightly"), []string{"viewer", "report.view"}, "does not have report.view:"},
		{service, []string{"viewer"}, "opens nothing for now: "},
	} {
		args := slices.Clone(tc.owner)
		for _, s := range tc.scopes {
			args = append(args, "--scope", s)
		}
		for _, more := range [][]string{nil, {"--json"}} {
			out, errs := create(append(args, more...)...)
			if warned := strings.Contains(errs, "warning: "); warned != (tc.want != "") || !strings.Contains(errs, tc.want) || !strings.Contains(out, "pct_") || strings.Contains(out, "warning") {
				t.Errorf("%v: %s%s, want a warning with %q", args, out, errs, tc.want)
			}
		}
	}
	// One that is locked has a token, too, and is told what it is good for.
	w.cli(t, exitFine, "user", "lock", "ada@alpha.example")
	if _, errs := create(append(ada, "--scope", "account.view")...); !strings.Contains(errs, "opens nothing for now: this account is locked") {
		t.Errorf("of somebody who is locked: %s", errs)
	}
}

const invalidToken = `Bearer realm="portal", error="invalid_token"`

func TestAProgramComesInAsItsPersonAndDiesWithThem(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database})
			w.start(t)
			w.cli(t, exitFound, "api-token", "create", "--user", "ada@alpha.example", "--scope", "*") // unknown yet
			b := w.browser(t)
			b.mustSignIn(t, "ada")
			id, secret := w.apiToken(t, "--user", "ada@alpha.example", "--scope", "account.view", "--note", "export")
			status, _, body := w.program(t, secret, "/data?x=1", "X-Portcullis-User", "eve")
			var seen struct {
				Path   string
				Header http.Header
			}
			if err := json.Unmarshal([]byte(body), &seen); err != nil || status != http.StatusOK || seen.Path != "/data?x=1" {
				t.Fatalf("program = %d %s, %v", status, body, err)
			}
			if seen.Header.Get("Authorization") != "" || seen.Header.Get("X-Portcullis-User") != "alpha-ada" {
				t.Errorf("the portal saw %v", seen.Header)
			}
			std, own := verified(t, w, seen.Header.Get("X-Portcullis-Assertion"))
			tasks, _ := json.Marshal([]any{own["tasks"], own["roles"], own["sid"]})
			if std.Subject != "alpha-ada" || string(tasks) != `[["account.view"],[],"`+id+`"]` {
				t.Errorf("assertion of %q: %s, want the scope alone", std.Subject, tasks)
			}
			if status, _, _ := w.program(t, secret, "/reports"); status != http.StatusForbidden {
				t.Errorf("a page beyond the scopes = %d, want 403", status)
			}
			if status, _, _ := w.program(t, secret, "/.portcullis/auth"); status != http.StatusForbidden { // it would not get in everywhere
				t.Errorf("forward-auth = %d, want 403", status)
			}
			elsewhere(t, w, secret)

			gone := w.programStream(t, secret)
			w.cli(t, exitFine, "user", "lock", "ada@alpha.example")
			dead(t, w, secret, gone, "lock")
			w.cli(t, exitFine, "user", "unlock", "ada@alpha.example")
			gone = w.programStream(t, secret)
			w.cli(t, exitFine, "organization", "freeze", "Alpha")
			dead(t, w, secret, gone, "freeze")
			w.cli(t, exitFine, "organization", "unfreeze", "Alpha")
			gone = w.programStream(t, secret)
			w.cli(t, exitFine, "api-token", "revoke", id)
			dead(t, w, secret, gone, "revoke")
			if status, _, _ := w.program(t, secret, "/.portcullis/auth"); status != http.StatusUnauthorized {
				t.Errorf("forward-auth after revoke = %d, want 401", status)
			}
			w.cli(t, exitFine, "api-token", "revoke", id)
			w.cli(t, exitFound, "api-token", "revoke", "t-nobody")
			if list := w.cli(t, exitFine, "api-token", "list"); !strings.Contains(list, "revoked") || strings.Contains(list, secret) {
				t.Errorf("api-token list says %q", list)
			}
			if strings.Contains(w.log.String(), secret) || strings.Contains(w.cli(t, exitFine, "audit", "export"), secret) {
				t.Error("the log or the trail holds the secret")
			}
		})
	}
}

// elsewhere holds that tokens of one kind are worth nothing as another.
func elsewhere(t *testing.T, w *world, secret string) {
	t.Helper()
	if status, _, _ := w.program(t, secret, "/scim/v2/alpha/Users"); status != http.StatusUnauthorized {
		t.Errorf("API token at SCIM = %d, want 401", status)
	}
	if status, _, body := w.program(t, secret, "/.portcullis/sign-in"); strings.Contains(body, "signed in") {
		t.Errorf("API token at the sign-in = %d %s", status, body)
	}
	for name, bad := range map[string]string{
		"SCIM token": w.pusher(t).token, "made-up token": "pct_" + strings.Repeat("a", 52), "prefix alone": "pct_", "upper case": strings.ToUpper(secret),
	} {
		if status, h, _ := w.program(t, bad, "/", "Accept", "text/html", "Sec-Fetch-Mode", "navigate"); status != http.StatusUnauthorized || h.Get("WWW-Authenticate") != invalidToken {
			t.Errorf("%s at the portal = %d %v, want 401 that names the scheme, and no redirect", name, status, h)
		}
		_, _, body := w.program(t, bad, "/public/")
		if strings.Contains(body, bad) {
			t.Errorf("%s reached the portal on a public path", name)
		}
	}
	if status, _, _ := w.program(t, secret, "/", "Authorization", "Bearer other"); status != http.StatusUnauthorized {
		t.Errorf("two Authorization headers = %d, want 401", status)
	}
	if status, _, body := w.program(t, "eyJ.foreign", "/public/"); status != http.StatusOK || !strings.Contains(body, "eyJ.foreign") {
		t.Errorf("somebody else's bearer token on a public path = %d %s, want it handed on", status, body)
	}
	cookie, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.public+"/.portcullis/whoami", nil)
	if err != nil {
		t.Fatal(err)
	}
	cookie.AddCookie(&http.Cookie{Name: "portcullis", Value: secret})
	res, err := quick.Do(cookie)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("API token in the session cookie = %d, want 401", res.StatusCode)
	}
}

// dead waits until a token opens nothing and its stream has ended.
func dead(t *testing.T, w *world, secret string, gone <-chan struct{}, what string) {
	t.Helper()
	began := time.Now()
	eventually(t, "the token is refused after "+what, patience, func() bool {
		status, h, _, err := w.tryProgram(t, secret, "/")
		return err == nil && status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == invalidToken
	})
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatalf("%s: the stream of the token goes on", what)
	}
	t.Logf("%s: token and stream dead after %s", what, time.Since(began))
}

func TestAServiceComesInWithItsOwnGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.start(t)
	_, secret := w.apiToken(t, "--service", "nightly", "--connection", "alpha", "--group", "Portfolio-Managers", "--scope", "*", "--expires", "1h")
	status, _, body := w.program(t, secret, "/.portcullis/whoami")
	if status != http.StatusOK || !strings.Contains(body, `"subject":"service:nightly"`) || !strings.Contains(body, `"roles":["manager","viewer"]`) {
		t.Errorf("whoami of a service = %d %s", status, body)
	}
	_, stranger := w.apiToken(t, "--service", "nightly", "--connection", "alpha", "--scope", "*")
	if status, _, _ := w.program(t, stranger, "/"); status != http.StatusUnauthorized && status != http.StatusForbidden {
		t.Errorf("a service without groups = %d, want to be refused", status)
	}
	for _, args := range [][]string{
		{"--scope", "*"},
		{"--service", "x", "--scope", "*"},
		{"--service", "x", "--connection", "alpha"},
		{"--user", "ada", "--service", "x", "--scope", "*"},
		{"--user", "ada", "--group", "g", "--scope", "*"},
		{"--service", "x", "--connection", "alpha", "--scope", "*", "--expires", "0s"},
	} {
		w.cli(t, exitUsage, append([]string{"api-token", "create"}, args...)...)
	}
	w.cli(t, exitFound, "api-token", "create", "--service", "x", "--connection", "alpha", "--scope", "*", "--expires", "9000h")
}
