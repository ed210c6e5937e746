package scim_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/directory"
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

// slow is a directory that takes a while to make somebody.
type slow struct {
	scim.Directory

	clock *clock
}

func (s *slow) Provision(ctx context.Context, by audit.Actor, connection string, r directory.Record) (directory.Person, error) {
	s.clock.turn(20 * time.Second)
	return s.Directory.Provision(ctx, by, connection, r)
}

// TestALongBulkRequestGivesItsTurnBack: RFC 7644, section 3.7: each operation
// has a status of its own, and what was done stays done.
func TestALongBulkRequestGivesItsTurnBack(t *testing.T) {
	t.Parallel()
	d := &slow{}
	r := newRig(t, func(c *scim.Config) { d.Directory, c.Directory = c.Directory, d })
	d.clock = r.clock
	var ops []string
	for _, name := range []string{"ada", "ben", "cleo", "dan", "eve"} {
		ops = append(ops, `{"method":"POST","path":"/Users","bulkId":"`+name+`","data":{"userName":"`+name+`"}}`)
	}
	a := r.want(r.bulk("", ops...), 200)
	if got, want := a.statuses(), []string{"201", "201", "201", "503", "503"}; !slices.Equal(got, want) {
		t.Errorf("statuses = %v, want %v", got, want)
	}
	if last := fmt.Sprint(a.list("Operations")[4]); !strings.Contains(last, "took more than 1m0s: send this operation again") {
		t.Errorf("the last one = %s, want why", last)
	}
	if n := r.want(r.send("GET", "/Users", nil), 200).at("totalResults"); fmt.Sprint(n) != "3" {
		t.Errorf("%v people are there, want those 3", n)
	}
	if got := r.want(r.bulk("", ops[3:]...), 200).statuses(); !slices.Equal(got, []string{"201", "201"}) {
		t.Errorf("what was left, sent again = %v", got)
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
