package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"portcullis/internal/freeport"
)

// TestDemo runs "portcullis demo" and does what it tells people to try,
// without a browser. Package e2e does it in one.
func TestDemo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	listen := freeport.Address(t)
	p := program(ctx, t.TempDir(), "demo", "--listen", listen)
	log := &syncBuffer{}
	p.Stderr = log
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	out := bufio.NewReader(stdout)
	for !strings.Contains(text.String(), "Ctrl-C") {
		line, err := out.ReadString('\n')
		text.WriteString(line)
		if err != nil {
			t.Fatalf("the demo ended: %v\n%s%s", err, &text, log)
		}
	}
	pick := func(re string) string {
		t.Helper()
		m := regexp.MustCompile(re).FindStringSubmatch(text.String())
		if m == nil {
			t.Fatalf("the demo does not say %s:\n%s", re, &text)
		}
		return m[1]
	}
	alpha, files := pick(`Alpha's directory, as its IT +(http://\S+)/admin`), pick(`to change while it runs: (\S+)`)
	w := &world{public: pick(`The portal, behind the gate +(http://\S+)`), log: log}
	if w.public != "http://"+listen {
		t.Errorf("the demo is at %s, want %s", w.public, listen)
	}

	ada := w.browser(t)
	s := ada.open(t, "/accounts")
	if s.url.Path != "/.portcullis/sign-in" || !strings.Contains(s.body, "Alpha") || !strings.Contains(s.body, "Beta") {
		t.Fatalf("the first page is %s:\n%s", s.url, s.body)
	}
	signIn := func(b *browser, company, person string) screen {
		return b.press(t, b.open(t, "/.portcullis/sign-in/"+company+"?return_to=/accounts"), map[string][]string{"person": {person}})
	}
	if s = signIn(ada, "alpha", "ada"); s.url.Path != "/accounts" || !strings.Contains(s.body, "ALP0003") || strings.Contains(s.body, "BET0001") {
		t.Errorf("Ada sees at %s:\n%s", s.url, s.body)
	}
	if s = signIn(w.browser(t), "alpha", "ben"); !strings.Contains(s.body, "ALP0001") || strings.Contains(s.body, "ALP0002") {
		t.Errorf("Ben sees at %s:\n%s", s.url, s.body)
	}
	if s = signIn(w.browser(t), "beta", "eve"); !strings.Contains(s.body, "BET0003") || strings.Contains(s.body, "ALP0001") {
		t.Errorf("Eve sees at %s:\n%s", s.url, s.body)
	}
	ines := w.browser(t)
	if s = signIn(ines, "gamma", "ines"); !strings.Contains(s.body, "SAMLResponse") {
		t.Fatalf("Gamma answers at %s:\n%s", s.url, s.body)
	}
	if s = ines.press(t, s, nil); s.url.Path != "/accounts" || !strings.Contains(s.body, "GAM0002") || strings.Contains(s.body, "ALP0001") {
		t.Errorf("Ines sees at %s:\n%s", s.url, s.body)
	}
	if s = signIn(w.browser(t), "alpha", "dan"); s.status != http.StatusForbidden {
		t.Errorf("Dan is answered %d at %s, want 403", s.status, s.url)
	}
	press := func(path, field, value string) {
		t.Helper()
		res, err := quick.Post(alpha+path, "application/x-www-form-urlencoded", strings.NewReader(field+"="+value))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || strings.Contains(string(body), `id="problem"`) {
			t.Fatalf("POST %s = %d, %v\n%s", path, res.StatusCode, err, body)
		}
	}
	press("/admin/people/ada/deactivate", "", "")
	eventually(t, "Ada is out", patience, func() bool {
		status, _ := ada.whoami(t)
		return status == http.StatusUnauthorized
	})
	if s = signIn(ada, "alpha", "ada"); s.status != http.StatusForbidden {
		t.Errorf("Ada is answered %d while she is deactivated, want 403", s.status)
	}
	press("/admin/people/ada/reactivate", "", "")
	if s = signIn(ada, "alpha", "ada"); s.url.Path != "/accounts" {
		t.Errorf("Ada ends at %s after she is active again", s.url)
	}
	press("/admin/groups", "name", "Accounts-BET0001")
	press("/admin/people/ben/add", "group", "Accounts-BET0001")
	if s = signIn(w.browser(t), "alpha", "ben"); !strings.Contains(s.body, "ALP0001") || strings.Contains(s.body, "BET0001") {
		t.Errorf("Ben in a group of Beta's account sees at %s:\n%s", s.url, s.body)
	}
	_, explained := fetch(alpha + "/admin?person=ben")
	if !strings.Contains(explained, "ceiling") {
		t.Errorf("the explanation of Ben does not speak of the ceiling:\n%s", explained)
	}

	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Error(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("the demo after Ctrl-C: %v\n%s", err, log)
	}
	if _, err := os.Stat(files); !os.IsNotExist(err) {
		t.Errorf("the demo leaves its files in %s behind: %v", files, err)
	}
	if strings.Contains(log.String(), "level=ERROR") || strings.Contains(log.String(), "level=WARN") {
		t.Errorf("the demo complains:\n%s", log)
	}
}
