package proxy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The quick look at a header passes nothing that the thorough one would drop.
func TestAHarmlessHeaderIsNoLookAlike(t *testing.T) {
	names := []string{
		"X-Portcullis-User", "X-Auth-Request-User", "X-Remote-User", "X-Webauth-User", "Remote-User", "X-Forwarded-User", "X-Forwarded-Client-Cert",
		"X-Forwarded-For", "Forwarded", "Forwarded-For", "X-Real-Ip", "X-Original-Url", "X-Rewrite-Url", "X-Client-Ip", "X-Client-Cert", "True-Client-Ip",
		"Client-Ip", "Client-Cert", "Client-Cert-Chain", "Cf-Connecting-Ip", "Fastly-Client-Ip", "X-Cluster-Client-Ip", "X-Scheme", "X-Url-Scheme",
		"Front-End-Https", "X-Ssl-Cert", "Ssl-Client-Cert",
	}
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
