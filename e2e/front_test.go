//go:build e2e

package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"portcullis/internal/freeport"
)

// TestProxiesInFront runs the snippets of the guide, with other addresses,
// between the browser and the gate.
func TestProxiesInFront(t *testing.T) {
	guide, err := os.ReadFile("../docs/guides/forward-auth.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]func(t *testing.T, dir string, snippets []string){
		"nginx": runNginx, "Caddy": runCaddy, "Traefik": runTraefik, "Envoy": runEnvoy,
	} {
		t.Run(name, func(t *testing.T) {
			snippets := snippetsOf(t, string(guide), name)
			dir := t.TempDir()
			front := freeport.Address(t)
			portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Upgrade") != "" {
					switchProtocols(t, w)
					return
				}
				_ = json.NewEncoder(w).Encode(map[string]string{
					"user": r.Header.Get("X-Portcullis-User"), "roles": r.Header.Get("X-Portcullis-Roles"),
					"assertion": r.Header.Get("X-Portcullis-Assertion"), "cookie": r.Header.Get("Cookie"),
					"credentials": r.Header.Get("Authorization"), "forged": forged(r.Header),
					"asked": r.Method + " " + r.RequestURI,
				})
			}))
			t.Cleanup(portal.Close)
			listen, env := gateBehind(t, dir, front, portal.URL, `forward_auth: [127.0.0.1]
routes: [{path: /public/, public: true}, {path: /admin/, require: {roles: [manager]}}, {path: /methods/, methods: [GET], public: true}, {path: /near/, require: {addresses: [127.0.0.9/32]}}]`)
			for port, addr := range map[string]string{"8000": front, "8080": listen, "3000": strings.TrimPrefix(portal.URL, "http://")} {
				_, actual, _ := strings.Cut(addr, ":")
				here := strings.NewReplacer("127.0.0.1:"+port, addr, "port_value: "+port, "port_value: "+actual)
				for i := range snippets {
					snippets[i] = here.Replace(snippets[i])
				}
			}
			run(t, dir, snippets)
			await(t, "http://"+front+"/public/x")

			strangers(t, "http://"+front)
			story(t, "signin.mjs", env...)
			story(t, "front.mjs", env...)
		})
	}
}

// gateBehind starts a gate that trusts what stands in front of it, with an
// identity provider. It gives where the gate listens, and what stories need.
func gateBehind(t *testing.T, dir, front, portal, more string) (listen string, env []string) {
	t.Helper()
	listen, ops, idp := freeport.Address(t), freeport.Address(t), freeport.Address(t)
	write(t, dir, "mapping.yaml", mapping)
	write(t, dir, "client.secret", secret)
	write(t, dir, "portcullis.yaml", fmt.Sprintf(`public_url: http://%s
listen: %s
ops_listen: %s
upstream: {url: %q}
database: {url: "sqlite:portcullis.db"}
mapping: {file: mapping.yaml}
trusted_proxies: [127.0.0.1]
%s
connections:
  - id: independent
    organization: Independent
    domains: [alpha.example]
    oidc: {issuer: "http://%s", client_id: portcullis, client_secret_file: client.secret}
`, front, listen, ops, portal, more, idp))
	env = []string{"E2E_GATE=http://" + front, "E2E_ISSUER=http://" + idp, "E2E_SECRET=" + secret, "E2E_CONFORM=no", "NODE_NO_WARNINGS=1"}
	start(t, dir, nil, gate, "serve")
	start(t, ".", env, "node", "provider.mjs")
	await(t, "http://"+ops+"/readyz")
	await(t, "http://"+idp+"/.well-known/openid-configuration")
	return listen, env
}

// switchProtocols opens a WebSocket for the key of RFC 6455, section 1.3, and
// closes it.
func switchProtocols(t *testing.T, w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
}

// snippetsOf gives the configurations in the section of a guide.
func snippetsOf(t *testing.T, guide, section string) []string {
	t.Helper()
	_, text, _ := strings.Cut(guide, "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	var out []string
	for _, m := range regexp.MustCompile("(?s)```[a-z]+\n(.*?)```").FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	if out == nil {
		t.Fatalf("the guide has no snippet for %s", section)
	}
	return out
}

// forged is what of the headers a portal could take for identity besides the
// one value of each that the gate sets: second values, and names with other
// signs, which many servers read as "-".
func forged(h http.Header) string {
	var out []string
	for name, lines := range h {
		dashed := regexp.MustCompile(`[^a-z0-9]`).ReplaceAllString(strings.ToLower(name), "-")
		what, ok := strings.CutPrefix(dashed, "x-portcullis-")
		if ok && slices.Contains([]string{"user", "email", "name", "roles", "assertion"}, what) &&
			(len(lines) > 1 || http.CanonicalHeaderKey(dashed) != name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// strangers asks without a session, and with headers that only the gate may
// set.
func strangers(t *testing.T, front string) {
	t.Helper()
	const near, far = "127.0.0.9", "127.0.0.8" // the route /near/ is for the first alone
	for _, tc := range []struct {
		method, path string
		from         string
		header       map[string]string
		code         int
	}{
		{path: "/public/x", header: map[string]string{"Authorization": "Basic b2xnYTpvbGdh"}, code: http.StatusOK}, // between the client and the portal
		{path: "/public/x", header: map[string]string{"Authorization": "Bearer pct_of-a-program"}, code: http.StatusOK},
		{path: "/public/a%20b?q=%2F&q=a+b", code: http.StatusOK},
		{path: "/deep?a=b", header: map[string]string{"Accept": "text/html"}, code: http.StatusFound},
		{path: "/deep?a=b", header: map[string]string{"Accept": "application/json"}, code: http.StatusUnauthorized},
		{method: http.MethodPost, path: "/deep?a=b", header: map[string]string{"Accept": "text/html"}, code: http.StatusUnauthorized},
		{path: "/admin/", header: map[string]string{"X-Original-URI": "/public/", "X-Forwarded-Uri": "/public/", "X-Original-URL": "http://x/public/"}, code: http.StatusUnauthorized},
		{path: "/public/..;/admin/", code: http.StatusForbidden},
		{path: "/.portcullis/auth", code: http.StatusNotFound},
		{path: "/.portcullis/auth/public/x", code: http.StatusNotFound},
		{path: "/methods/x", code: http.StatusOK},
		{method: http.MethodPost, path: "/methods/x", code: http.StatusUnauthorized},
		{method: http.MethodPost, path: "/methods/x", header: map[string]string{"X-Original-Method": "GET", "X-Forwarded-Method": "GET"}, code: http.StatusUnauthorized},
		{path: "/methods/x", header: map[string]string{"X-HTTP-Method-Override": "DELETE"}, code: http.StatusUnauthorized},
		{path: "/near/", from: near, code: http.StatusUnauthorized},
		{path: "/near/", from: far, code: http.StatusForbidden},
		{path: "/near/", from: far, header: map[string]string{"X-Forwarded-For": near, "X-Real-IP": near, "Forwarded": "for=" + near}, code: http.StatusForbidden},
		{path: "/public/x", header: map[string]string{
			"X-Portcullis-User": "boss", "X-Portcullis-Assertion": "e30.e30.", "x-portcullis-roles": "manager",
			"X_Portcullis_User": "boss", "X-Portcullis_Assertion": "e30.e30.", "x_portcullis-roles": "manager", "X.Portcullis.User": "boss", "X-Portcullis!Name": "boss",
		}, code: http.StatusOK},
	} {
		told, code, location := asStranger(t, front, tc.method, tc.path, tc.from, tc.header)
		// Envoy hands on the gate's own word; Traefik refuses as the portal would.
		refused := tc.code >= http.StatusForbidden && (code == http.StatusBadRequest || code == http.StatusForbidden)
		if code != tc.code && !refused {
			t.Errorf("%s %s %v from %q = %d, want %d", tc.method, tc.path, tc.header, tc.from, code, tc.code)
			continue
		}
		if want := "/.portcullis/sign-in?return_to=%2Fdeep%3Fa%3Db"; tc.code == http.StatusFound && strings.TrimPrefix(location, front) != want {
			t.Errorf("%s leads to %s", tc.path, location)
		}
		if want := tc.header["Authorization"]; told["credentials"] != want && !strings.Contains(want, "pct_") || strings.Contains(told["credentials"], "pct_") {
			t.Errorf("with %q the portal is told %q", want, told["credentials"])
		}
		if told["user"]+told["assertion"]+told["roles"]+told["forged"] != "" {
			t.Errorf("the portal is told that a stranger is %v", told)
		}
		if want := "GET " + tc.path; tc.code == http.StatusOK && told["asked"] != want {
			t.Errorf("%s arrives as %s", want, told["asked"])
		}
	}
}

// asStranger asks from an address on loopback, and gives what the portal was
// told, the status and where a redirect leads. It follows no redirect and sends header names in the letters given.
func asStranger(t *testing.T, front, method, path, from string, header map[string]string) (told map[string]string, code int, location string) {
	t.Helper()
	dialer := net.Dialer{}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(t.Context(), cmp.Or(method, http.MethodGet), front+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = []string{v}
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_ = json.NewDecoder(res.Body).Decode(&told)
	return told, res.StatusCode, res.Header.Get("Location")
}

func runNginx(t *testing.T, dir string, snippets []string) {
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
`, dir, snippets[0])
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dir, nil, path, "-p", dir, "-c", conf, "-e", "stderr")
}

func runCaddy(t *testing.T, dir string, snippets []string) {
	t.Helper()
	conf := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(conf, []byte("{\n\tadmin off\n\tauto_https off\n}\n"+snippets[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dir, []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}, "caddy", "run", "--config", conf, "--adapter", "caddyfile")
}

func runTraefik(t *testing.T, dir string, snippets []string) {
	t.Helper()
	write(t, dir, "traefik.yaml", "global: {checkNewVersion: false, sendAnonymousUsage: false}\n"+snippets[0])
	write(t, dir, "routes.yaml", snippets[1])
	start(t, dir, nil, packaged(t, "bin/traefik"), "--configFile=traefik.yaml")
}

func runEnvoy(t *testing.T, dir string, snippets []string) {
	t.Helper()
	write(t, dir, "envoy.yaml", snippets[0])
	start(t, dir, nil, packaged(t, "envoy/_bin/envoy"), "-c", "envoy.yaml", "--concurrency", "1", "--use-dynamic-base-id", "-l", "warn")
}

// packaged is the path of a program of the Python packages that "make e2e"
// installs.
func packaged(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../build/fronts", path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: make build/fronts", err)
	}
	return path
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
