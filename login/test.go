package login

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/trace"
	"portcullis/web"
)

// Test is a dry run: somebody goes through the real identity provider, and
// what the gate would make of them is shown. It makes no session and no
// person. Whoever holds its link may open it, once, in one browser.
type Test struct {
	ID         string
	LinkHash   []byte // SHA-256 of the link's secret, 32 bytes; unique
	Connection string
	Operator   string // who asked for it
	OperatorID string // their id in the audit trail
	Created    time.Time
	Expires    time.Time // of the link
	Opened     time.Time // when somebody opened the link; zero: nobody has
}

const (
	// TestLife is how long the link of a dry run may be opened.
	TestLife = 10 * time.Minute
	testKept = 24 * time.Hour // after that
	testPath = web.Prefix + "/test-sign-in/"
)

// NewTest makes a dry run and the path of its link, which holds 128 random
// bits and is kept by nobody.
func NewTest(connection string, by audit.Actor, now time.Time) (t Test, path string) {
	secret := rand.Text()
	now = now.UTC()
	return Test{
		ID: strings.ToLower(rand.Text()), LinkHash: digest(secret), Connection: connection, Operator: by.Name, OperatorID: by.ID,
		Created: now, Expires: now.Add(TestLife),
	}, testPath + secret
}

// startTest opens the link of a dry run. Programs that look at links before
// people do, as messengers have them, do not use it up.
func (l *Login) startTest(c *gin.Context) error {
	if err := l.limit.debt(web.ClientAddress(c.Request)); err != nil {
		return err
	}
	if !web.WantsPage(c.Request) {
		return fault.New(fault.NotFound, "this link is for a browser")
	}
	t, err := l.store.OpenTest(c.Request.Context(), digest(c.Param("link")), l.now().UTC())
	if fault.Is(err, fault.NotFound) {
		l.limit.failed(web.ClientAddress(c.Request))
		return &web.Failure{
			Err:    fault.Wrap(fault.NotFound, err, "this link was opened already, or it has expired"),
			Advice: "Ask whoever gave it to you for a new one.",
		}
	}
	if err != nil {
		return fmt.Errorf("test: %w", err)
	}
	return l.startAt(c, t.Connection, wish{returnTo: "/", test: t.ID, another: true})
}

// finishTest decides about whoever came back from a dry run, undoes it, and
// shows what it was.
func (l *Login) finishTest(c *gin.Context, p *provider, b *trace.Builder, a Attempt, who arrival, err error) error {
	var in directory.SignedIn
	if err == nil {
		if err = l.meets(b, a, who); err == nil {
			in, err = l.directory.Rehearse(c.Request.Context(), who.assertion)
			b.Check("access", err == nil, "a person who may enter", outcomeOf(err))
		}
		told(b, who.assertion, in)
		if in.Standing.Person.ID != "" {
			if e := l.directory.Explain(in.Standing); e != nil {
				b.Decide(e)
			}
		}
	}
	r, failed := l.reportTest(c, p, b, a.Test, err)
	if failed != nil {
		return failed
	}
	c.Header("Cache-Control", "no-store")
	return web.Page(c, http.StatusOK, "report", reportPage(r))
}

// reportTest ends a dry run and hands its result to whoever waits for it.
func (l *Login) reportTest(c *gin.Context, p *provider, b *trace.Builder, id string, err error) (trace.Record, error) {
	r := l.ended(b, trace.Tested, err)
	ctx := c.Request.Context()
	failed := l.store.FinishTest(ctx, id, r, audit.Event{
		At: r.Finished, Action: audit.SignInTested, Actor: audit.Gate(), Connection: p.conn.ID, Reference: r.Reference,
		Reason: r.Reason, Detail: map[string]string{"test": id},
	})
	if failed != nil {
		return r, fmt.Errorf("test: %w", failed)
	}
	if l.traces != nil {
		l.traces.Put(r, nil)
	}
	l.log.InfoContext(ctx, "sign-in tested", "reference", r.Reference, "connection", p.conn.ID, "outcome", outcomeOf(err))
	return r, nil
}

// reportPage shows a dry run to whoever made it, who may be of a client: which
// rules almost matched is told in the console, since they may be about others.
func reportPage(r trace.Record) web.Report {
	page := web.Report{
		Title: "This sign-in would succeed",
		Text:  "It was a test: you are not signed in, and nothing has changed.",
	}
	if r.Reason != "" {
		page.Title, page.Reason = "This sign-in would be refused", r.Reason
	}
	checks := web.Section{Title: "Checks"}
	for _, c := range r.Checks {
		mark := "passed"
		if !c.OK {
			mark = fmt.Sprintf("failed: wanted %s, got %s", c.Want, c.Got)
		}
		checks.Rows = append(checks.Rows, web.Row{Name: c.Name, Values: []string{mark}})
	}
	page.Sections = []web.Section{checks, section("What the identity provider said", r.Claims), section("What the gate read out of it", r.Facts)}
	if d := r.Decision; d != nil {
		grants := web.Section{Title: "What the mapping grants", Rows: []web.Row{{Name: "decision", Values: []string{d.Verdict}}}}
		for _, row := range []web.Row{
			{Name: "roles", Values: d.Roles},
			{Name: "tasks", Values: d.Tasks},
			{Name: "data", Values: d.Permissions},
			{Name: "rules", Values: d.Rules},
		} {
			if len(row.Values) > 0 {
				grants.Rows = append(grants.Rows, row)
			}
		}
		page.Sections = append(page.Sections, grants)
	}
	return page
}

func section(title string, fields []trace.Field) web.Section {
	s := web.Section{Title: title}
	for _, f := range fields {
		values := f.Values
		if f.More > 0 {
			values = append(slices.Clip(values), fmt.Sprintf("… and %d more", f.More))
		}
		s.Rows = append(s.Rows, web.Row{Name: f.Name, Values: values})
	}
	return s
}

// TestURL is the whole link of a dry run.
func TestURL(public *url.URL, path string) string { return origin(public) + path }
