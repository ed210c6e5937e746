package scim_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"portcullis/scim"
)

// TestASlowBodyHoldsNothing: whoever announces a body and lets it trickle is
// told so and cut off, while others are served.
func TestASlowBodyHoldsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *scim.Config) { c.BodyWithin = 50 * time.Millisecond })
	server := httptest.NewServer(r.handler)
	t.Cleanup(server.Close)
	for _, tc := range []struct{ name, head, want string }{
		{"scim", "POST /scim/v2/acme/Users HTTP/1.1\r\nContent-Type: application/scim+json\r\nAuthorization: Bearer " + r.secret, "scim:api:messages:2.0:Error"},
		{"token", "POST /scim/v2/acme/oauth/token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded", `"error":"invalid_request"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.WriteString(conn, tc.head+"\r\nHost: gate.example\r\nContent-Length: 100\r\n\r\n{"); err != nil {
				t.Fatal(err)
			}
			other, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/scim/v2/acme/Users", nil)
			if err != nil {
				t.Fatal(err)
			}
			other.Header.Set("Authorization", "Bearer "+r.secret)
			res, err := http.DefaultClient.Do(other)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("somebody else meanwhile: %v, %v", res, err)
			}
			res.Body.Close()
			text, err := io.ReadAll(conn)
			if err != nil {
				t.Fatalf("the connection is held: %q, %v", text, err)
			}
			if head, body, _ := strings.Cut(string(text), "\r\n\r\n"); !strings.HasPrefix(head, "HTTP/1.1 408 ") || !strings.Contains(body, tc.want) {
				t.Errorf("answer = %q, want 408 with %s", text, tc.want)
			}
		})
	}
}

// TestALongListIsCutOff: a list that takes too long ends, and only lists do.
func TestALongListIsCutOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *scim.Config) { c.ListWithin = time.Nanosecond })
	id := r.want(r.send("POST", "/Users", map[string]any{"userName": "ann"}), 201).at("id")
	r.want(r.send("GET", "/Users", nil), 503)
	r.want(r.send("GET", fmt.Sprint("/Users/", id), nil), 200)
}
