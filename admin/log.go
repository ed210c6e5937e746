package admin

import (
	"net/url"
	"slices"
	"strconv"

	"portcullis/fault"
)

// connectionsOf are the connections whose records a visitor may see; nil is
// all of them, and what belongs to none. Of two with one id the records are of
// the one that is in force, and not of who made the other.
func (c *Console) connectionsOf(r *request) []string {
	if r.organization == "" {
		return nil
	}
	ids := []string{}
	for _, conn := range c.connections() {
		if conn.Organization == r.organization && !conn.Shadowed {
			ids = append(ids, conn.ID)
		}
	}
	return ids
}

// chosen narrows the connections of a visitor to the one that is asked for.
func (c *Console) chosen(r *request) []string {
	all, want := c.connectionsOf(r), r.query("connection")
	switch {
	case want == "":
		return all
	case all == nil || slices.Contains(all, want):
		return []string{want}
	default:
		return []string{}
	}
}

// before reads from where a page of a log goes on.
func (r *request) before() (int64, error) {
	text := r.query("before")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, fault.New(fault.Invalid, "before: want a number from 1")
	}
	return n, nil
}

// maxPage is how many rows a script gets at most.
const maxPage = 1000

// size reads how many rows a script wants; a page has as many as it has.
func (r *request) size() (int, error) {
	text := r.query("limit")
	if text == "" || !r.inAPI {
		return pageSize, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		return 0, fault.New(fault.Invalid, "limit: want 1 to %d", maxPage)
	}
	return n, nil
}

// logFilter is what a log is asked, as it stands in its URL.
type logFilter struct {
	Action, Connection, Person, From, To string
	Failed                               bool
	Choices                              []string // of connections
}

func (c *Console) logFilter(r *request) logFilter {
	f := logFilter{
		Action: r.query("action"), Connection: r.query("connection"), Person: r.query("person"), From: r.query("from"), To: r.query("to"),
		Failed: r.query("failed") == "yes",
	}
	for _, conn := range c.connections() {
		if r.organization == "" || r.organization == conn.Organization && !conn.Shadowed {
			f.Choices = append(f.Choices, conn.ID)
		}
	}
	return f
}

// Query puts a filter back into a URL, behind the row with a number.
func (f logFilter) Query(before int64) string {
	v := url.Values{}
	for name, value := range map[string]string{"action": f.Action, "connection": f.Connection, "person": f.Person, "from": f.From, "to": f.To} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if f.Failed {
		v.Set("failed", "yes")
	}
	if before > 0 {
		v.Set("before", strconv.FormatInt(before, 10))
	}
	return "?" + v.Encode()
}
