package proxy

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"portcullis/config"
)

// known is a header of each kind that only the gate, or a proxy in front, may
// set.
func known() []string {
	return []string{
		"X-Portcullis-User", "X-Auth-Request-User", "X-Remote-User", "X-Webauth-User", "Remote-User", "X-Forwarded-User", "X-Forwarded-Client-Cert",
		"X-Forwarded-For", "Forwarded", "Forwarded-For", "X-Real-Ip", "X-Original-Url", "X-Rewrite-Url", "X-Client-Ip", "X-Client-Cert", "True-Client-Ip",
		"Client-Ip", "Client-Cert", "Client-Cert-Chain", "Cf-Connecting-Ip", "Fastly-Client-Ip", "X-Cluster-Client-Ip", "X-Scheme", "X-Url-Scheme",
		"Front-End-Https", "X-Ssl-Cert", "Ssl-Client-Cert",
	}
}

// The quick look at a header passes nothing that the thorough one would drop.
func TestAHarmlessHeaderIsNoLookAlike(t *testing.T) {
	names := known()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "name")
		name = strings.ReplaceAll(name, "-", rapid.SampledFrom([]string{"-", "_", ".", "!", "~"}).Draw(t, "sign"))
		if rapid.Bool().Draw(t, "lower") {
			name = strings.ToLower(name)
		}
		if !identityHeader(name) && !forwardingHeader(name) {
			t.Fatalf("%s is none", name)
		}
		if harmless(name) {
			t.Fatalf("%s passes for harmless", name)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[CcFfRrSsTtXx][a-zA-Z_.!~-]{0,20}`).Draw(t, "name")
		if harmless(name) && (identityHeader(name) || forwardingHeader(name)) {
			t.Fatalf("%s passes for harmless", name)
		}
	})
}

// No route can say who somebody is in a header in which proxies say something
// of the request: a portal would read it as that. What follows X-Forwarded- is
// free but for the names in use.
func TestTheConfigurationReservesWhatProxiesSay(t *testing.T) {
	reserved := func(name string) bool {
		_, err := config.Parse("portcullis.yaml", []byte(`public_url: https://portal.example
upstream: {url: "http://127.0.0.1:3000"}
database: {url: "sqlite:portcullis.db"}
mapping: {file: mapping.yaml}
connections: [{id: acme, scim: {enabled: true}}]
routes: [{path: /, headers: {user: `+strconv.Quote(name)+`}}]
`), func(string) (string, bool) { return "", false })
		return err != nil
	}
	if reserved("X-Who") || reserved("Remote-User") || reserved("X-Forwarded-User") || reserved("X-Forwarded-Roles") {
		t.Fatal("names of nothing else, and those of the contract, are reserved")
	}
	names := slices.DeleteFunc(known(), func(name string) bool { return !forwardingHeader(name) || name == "X-Forwarded-User" })
	for _, what := range []string{"By", "Host", "Method", "Path", "Port", "Prefix", "Proto", "Protocol", "Scheme", "Server", "Ssl", "Tls-Client-Cert", "Uri"} {
		names = append(names, "X-Forwarded-"+what)
	}
	for _, name := range names {
		if !reserved(name) || !reserved(strings.ToLower(name)) {
			t.Errorf("a route may call its user %s", name)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(known()).Draw(t, "name") + rapid.StringMatching(`(-[A-Za-z]{1,3})?`).Draw(t, "more")
		if forwardingHeader(name) && !hasPrefix(name, "X-Forwarded") && !reserved(name) {
			t.Fatalf("a route may call its user %s", name)
		}
	})
}

// Headers are judged on every request: that costs the heap nothing.
func TestJudgingAHeaderAllocatesNothing(t *testing.T) {
	for _, name := range []string{
		"Accept", "Cookie", "Content-Type", "Sec-Fetch-Mode", "Traceparent", "Referer", "X-Requested-With", "Client-Id",
		"X-Forwarded-For", "X-Forwarded-User", "X-Forwarded-Client-Cert", "Forwarded", "X-Real-Ip", "X-Scheme", "True-Client-Ip", "Ssl-Client-Cert",
	} {
		n := testing.AllocsPerRun(100, func() {
			if !harmless(name) && !identityHeader(name) {
				forwardingHeader(name)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
