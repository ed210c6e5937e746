//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestProxiesInFront runs the snippets of the guide, with other addresses,
// between the browser and the gate.
func TestProxiesInFront(t *testing.T) {
	guide, err := os.ReadFile("../docs/guides/forward-auth.md")
	if err != nil {
		t.Fatal(err)
	}
	for language, run := range map[string]func(t *testing.T, dir, snippet string){"nginx": runNginx, "caddyfile": runCaddy} {
		t.Run(language, func(t *testing.T) {
			m := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(guide)
			if m == nil {
				t.Fatalf("the guide has no snippet in %s", language)
			}
			dir := t.TempDir()
			front, listen, ops, idp := free(t), free(t), free(t), free(t)
			portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = json.NewEncoder(w).Encode(map[string]string{
					"user": r.Header.Get("X-Portcullis-User"), "roles": r.Header.Get("X-Portcullis-Roles"),
					"assertion": r.Header.Get("X-Portcullis-Assertion"), "cookie": r.Header.Get("Cookie"),
					"credentials": r.Header.Get("Authorization"),
				})
			}))
			t.Cleanup(portal.Close)
			files := map[string]string{
				"mapping.yaml": mapping, "client.secret": secret,
				"portcullis.yaml": fmt.Sprintf(`public_url: http://%[5]s
listen: %[1]s
ops_listen: %[2]s
upstream: {url: %[3]q}
database: {url: "sqlite:portcullis.db"}
mapping: {file: mapping.yaml}
trusted_proxies: [127.0.0.1]
routes: [{path: /public/, public: true}, {path: /admin/, require: {roles: [manager]}}]
connections:
  - id: independent
    organization: Independent
    domains: [alpha.example]
    oidc: {issuer: "http://%[4]s", client_id: portcullis, client_secret_file: client.secret}
`, listen, ops, portal.URL, idp, front),
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			env := []string{
				"E2E_GATE=http://" + front, "E2E_ISSUER=http://" + idp,
				"E2E_SECRET=" + files["client.secret"], "E2E_CONFORM=no", "NODE_NO_WARNINGS=1",
			}
			start(t, dir, nil, gate, "serve")
			start(t, ".", env, "node", "provider.mjs")
			await(t, "http://"+ops+"/readyz")
			await(t, "http://"+idp+"/.well-known/openid-configuration")
			run(t, dir, strings.NewReplacer("127.0.0.1:8000", front, "127.0.0.1:8080", listen,
				"127.0.0.1:3000", strings.TrimPrefix(portal.URL, "http://")).Replace(string(m[1])))
			await(t, "http://"+front+"/public/x")

			strangers(t, "http://"+front)
			story(t, "signin.mjs", env...)
			story(t, "front.mjs", env...)
		})
	}
}

// strangers asks without a session, and with headers that only the gate may
// set.
func strangers(t *testing.T, front string) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, tc := range []struct {
		path   string
		header map[string]string
		code   int
	}{
		{"/public/x", map[string]string{"Authorization": "Basic b2xnYTpvbGdh"}, http.StatusOK}, // between the client and the portal
		{"/public/x", map[string]string{"Authorization": "Bearer pct_of-a-program"}, http.StatusOK},
		{"/deep?a=b", map[string]string{"Accept": "text/html"}, http.StatusFound},
		{"/deep?a=b", map[string]string{"Accept": "application/json"}, http.StatusUnauthorized},
		{"/admin/", map[string]string{"X-Original-URI": "/public/", "X-Forwarded-Uri": "/public/", "X-Original-URL": "http://x/public/"}, http.StatusUnauthorized},
		{"/public/..;/admin/", nil, http.StatusForbidden},
		{"/.portcullis/auth", nil, http.StatusNotFound},
		{"/public/x", map[string]string{"X-Portcullis-User": "boss", "X-Portcullis-Assertion": "e30.e30.", "X-Portcullis-Roles": "manager"}, http.StatusOK},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front+tc.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range tc.header {
			req.Header.Set(k, v)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var told map[string]string
		_ = json.NewDecoder(res.Body).Decode(&told)
		res.Body.Close()
		if res.StatusCode != tc.code {
			t.Errorf("%s %v = %d, want %d", tc.path, tc.header, res.StatusCode, tc.code)
		}
		if want := "/.portcullis/sign-in?return_to=%2Fdeep%3Fa%3Db"; tc.code == http.StatusFound && !strings.HasSuffix(res.Header.Get("Location"), want) {
			t.Errorf("%s leads to %s", tc.path, res.Header.Get("Location"))
		}
		if want := tc.header["Authorization"]; told["credentials"] != want && !strings.Contains(want, "pct_") || strings.Contains(told["credentials"], "pct_") {
			t.Errorf("with %q the portal is told %q", want, told["credentials"])
		}
		if told["user"]+told["assertion"]+told["roles"] != "" {
			t.Errorf("the portal is told that a stranger is %v", told)
		}
	}
}

func runNginx(t *testing.T, dir, snippet string) {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		path = "/usr/sbin/nginx" // not in everybody's PATH
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr warn;
events {}
http {
access_log off;
client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
%[2]s}
`, dir, snippet)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dir, nil, path, "-p", dir, "-c", conf, "-e", "stderr")
}

func runCaddy(t *testing.T, dir, snippet string) {
	t.Helper()
	conf := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(conf, []byte("{\n\tadmin off\n\tauto_https off\n}\n"+snippet), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dir, []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}, "caddy", "run", "--config", conf, "--adapter", "caddyfile")
}
