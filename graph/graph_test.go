package graph_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"portcullis/fault"
	"portcullis/graph"
)

const oid = "0a1b2c3d-0000-4000-8000-000000000002"

// directory is a stand-in that answers as Microsoft Graph documents it: pages
// that link to the next one, throttling, tokens that end.
type directory struct {
	*httptest.Server

	mu     sync.Mutex
	groups int
	script []int  // statuses that are answered first
	wait   string // Retry-After with each of them
	next   string // the link of every page instead
	asked  []string
	tokens []string
}

func newDirectory(t *testing.T, groups int) *directory {
	t.Helper()
	d := &directory{groups: groups}
	d.Server = httptest.NewServer(http.HandlerFunc(d.serve))
	t.Cleanup(d.Close)
	return d
}

func (d *directory) client(t *testing.T, limit time.Duration) *graph.Client {
	t.Helper()
	n := 0
	c := graph.New(graph.Config{URL: d.URL + "/v1.0", Limit: limit, Token: func(_ context.Context, scope string) (string, time.Time, error) {
		if scope != d.URL+"/.default" {
			t.Errorf("scope = %q", scope)
		}
		n++
		return "token-" + strconv.Itoa(n), time.Now().Add(time.Hour), nil
	}})
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func (d *directory) serve(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, r.URL.String())
	d.tokens = append(d.tokens, r.Header.Get("Authorization"))
	if len(d.script) > 0 {
		status := d.script[0]
		d.script = d.script[1:]
		if d.wait != "" {
			w.Header().Set("Retry-After", d.wait)
		}
		w.WriteHeader(status)
		return
	}
	query := r.URL.Query()
	if r.URL.Path != "/v1.0/users/"+oid+"/transitiveMemberOf/microsoft.graph.group" || query.Get("$select") != "id" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	size, _ := strconv.Atoi(query.Get("$top"))
	from, _ := strconv.Atoi(query.Get("$skiptoken"))
	_, _ = fmt.Fprint(w, `{"@odata.context":"x","value":[`)
	until := min(from+size, d.groups)
	for i := from; i < until; i++ {
		if i > from {
			_, _ = fmt.Fprint(w, ",")
		}
		_, _ = fmt.Fprintf(w, `{"@odata.type":"#microsoft.graph.group","id":"g-%d"}`, i)
	}
	_, _ = fmt.Fprint(w, `]`)
	link := ""
	if until < d.groups {
		link = fmt.Sprintf("%s%s?$select=id&$top=%d&$skiptoken=%d", d.URL, r.URL.Path, size, until)
	}
	if d.next != "" {
		link = d.next
	}
	if link != "" {
		_, _ = fmt.Fprintf(w, `,"@odata.nextLink":%q`, link)
	}
	_, _ = fmt.Fprint(w, `}`)
}

func TestEveryPageIsRead(t *testing.T) {
	for _, n := range []int{0, 1, 999, 1000, 2500} {
		d := newDirectory(t, n)
		groups, err := d.client(t, 0).Groups(t.Context(), oid)
		if err != nil || len(groups) != n || len(slices.Compact(slices.Sorted(slices.Values(groups)))) != n {
			t.Errorf("%d groups: got %d, %v", n, len(groups), err)
		}
		if want := max(1, (n+998)/999); len(d.asked) != want {
			t.Errorf("%d groups: %d requests, want %d", n, len(d.asked), want)
		}
	}
}

func TestThrottlingIsWaitedOut(t *testing.T) {
	d := newDirectory(t, 1500)
	d.script, d.wait = []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}, "0"
	groups, err := d.client(t, 0).Groups(t.Context(), oid)
	if err != nil || len(groups) != 1500 {
		t.Errorf("got %d groups, %v", len(groups), err)
	}
}

func TestOneTokenServesUntilItIsRefused(t *testing.T) {
	d := newDirectory(t, 1500)
	c := d.client(t, 0)
	for range 2 {
		if _, err := c.Groups(t.Context(), oid); err != nil {
			t.Fatal(err)
		}
	}
	d.script = []int{http.StatusUnauthorized}
	if _, err := c.Groups(t.Context(), oid); err != nil {
		t.Fatal(err)
	}
	want := []string{"1", "1", "1", "1", "1", "2", "2"}
	for i, token := range d.tokens {
		if i >= len(want) || token != "Bearer token-"+want[i] {
			t.Fatalf("tokens = %v, want those of %v", d.tokens, want)
		}
	}
	d.script = []int{http.StatusUnauthorized, http.StatusUnauthorized}
	if _, err := c.Groups(t.Context(), oid); !fault.Is(err, fault.Invalid) {
		t.Errorf("refused twice: %v", err)
	}
}

func TestWhatIsNotWholeIsAnError(t *testing.T) {
	for _, tc := range []struct {
		name  string
		kind  fault.Kind
		asked int
		spoil func(*directory)
	}{
		{"throttled for long", fault.Unavailable, 1, func(d *directory) { d.script, d.wait = []int{429}, "60" }},
		{"throttled for ever", fault.Unavailable, 4, func(d *directory) { d.script, d.wait = []int{429, 429, 429, 429, 429}, "0" }},
		{"throttled until a day", fault.Unavailable, 1, func(d *directory) { d.script, d.wait = []int{429}, "Fri, 31 Dec 2100 23:59:59 GMT" }},
		{"broken", fault.Unavailable, 1, func(d *directory) { d.script = []int{500} }},
		{"not granted", fault.Invalid, 1, func(d *directory) { d.script = []int{403} }},
		{"nobody", fault.Invalid, 1, func(d *directory) { d.script = []int{404} }},
		{"the next page elsewhere", fault.Invalid, 1, func(d *directory) { d.next = "https://evil.example/v1.0/next" }},
		{"the next page with a user", fault.Invalid, 1, func(d *directory) { d.next = "http://a:b@" + d.Listener.Addr().String() + "/" }},
		{"the next page that is none", fault.Invalid, 1, func(d *directory) { d.next = ":" }},
		{"pages for ever", fault.Invalid, 20, func(d *directory) {
			d.next = d.URL + "/v1.0/users/" + oid + "/transitiveMemberOf/microsoft.graph.group?$select=id&$top=1"
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDirectory(t, 3)
			tc.spoil(d)
			groups, err := d.client(t, 0).Groups(t.Context(), oid)
			if !fault.Is(err, tc.kind) || groups != nil {
				t.Errorf("Groups = %v, %v, want %v", groups, err, tc.kind)
			}
			if len(d.asked) != tc.asked {
				t.Errorf("%d requests, want %d", len(d.asked), tc.asked)
			}
		})
	}
}

func TestAQuestionIsBoundedInTime(t *testing.T) {
	d := newDirectory(t, 3)
	d.script, d.wait = []int{429, 429}, "1"
	if _, err := d.client(t, 50*time.Millisecond).Groups(t.Context(), oid); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Groups = %v, want unavailable", err)
	}
	if len(d.asked) != 1 {
		t.Errorf("%d requests, want 1: there is no time for the wait", len(d.asked))
	}
}

func TestAnObjectIDIsNeverAPath(t *testing.T) {
	d := newDirectory(t, 3)
	for _, id := range []string{"", ".", "..", "a/b", "a%2fb", "a?b", "me#", "ä"} {
		if _, err := d.client(t, 0).Groups(t.Context(), id); !fault.Is(err, fault.Invalid) {
			t.Errorf("Groups(%q) = %v, want invalid", id, err)
		}
	}
	if len(d.asked) != 0 {
		t.Errorf("asked for %v", d.asked)
	}
}
