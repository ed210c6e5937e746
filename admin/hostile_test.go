package admin_test

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/trace"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// hostile is what an identity provider may call somebody.
var hostile = map[string]string{
	"script":    `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`,
	"formula":   `=cmd|'/c calc'!A1`,
	"plus":      "+1+1",
	"at":        "@SUM(1)",
	"space":     " \t=1+1",
	"wide":      "\uff1d1+1",
	"rtl":       "\u202eevil\u202c \u2066x",
	"long":      strings.Repeat("long ", 2000),
	"newlines":  "a\r\nb\nc",
	"template":  "{{.}} {{printf \"x\"}}",
	"scheme":    "javascript:alert(1)",
	"quotation": `"; DROP TABLE people; --`,
}

// pagesOf are the screens that show somebody.
func pagesOf(id string) []string {
	return []string{
		"/", "/people", "/people?role=viewer", "/people?sort=email", "/people/" + id, "/people/" + id + "/why", "/people/" + id + "/sessions",
		"/people/" + id + "/sign-ins", "/people/" + id + "/scim", "/people/" + id + "/audit", "/people/" + id + "/lock", "/people/" + id + "/unlock",
		"/audit", "/sign-ins", "/sign-ins/HOSTILE", "/provisioning", "/roles", "/mapping", "/mapping/1",
		"/roles/compare?a=viewer&b=client-admin", "/permission-groups", "/approvals", "/mapping/coverage", "/mapping/edit", "/mapping/edit?person=" + id,
		"/mapping/1?names=yes", "/access?role=viewer", "/access?task=account.view&at=2026-03-01T12:00:00Z", "/people/" + id + "/why?with=%3Cb%3Ex",
		"/organizations", "/organizations?organization=Acme", "/people?organization=Acme", "/people/" + id + "/place",
	}
}

// foreign gives what of a page is markup that is not ours: tags, attributes
// and addresses that no template of ours has.
func foreign(page string) (found []string) {
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return found
		}
		token := z.Token()
		if kind == html.CommentToken {
			found = append(found, token.String())
		}
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		for _, a := range token.Attr {
			ours := a.Val == "" || strings.HasPrefix(a.Val, "/.portcullis/") || strings.HasPrefix(a.Val, "?") || strings.HasPrefix(a.Val, "#")
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "srcdoc",
				(a.Key == "href" || a.Key == "src" || a.Key == "action" || a.Key == "formaction") && !ours:
				found = append(found, token.String())
			}
		}
		if token.Data == "script" && len(token.Attr) != 2 || token.Data == "base" || token.Data == "iframe" || token.Data == "object" {
			found = append(found, token.String())
		}
	}
}

// leaveTraces is an attempt to sign in and a request over SCIM that a foreign
// hand wrote.
func (w *world) leaveTraces(person, reference, text string) {
	w.t.Helper()
	b := trace.Begin(trace.Record{Reference: reference, Connection: "acme", Address: text, Person: person})
	b.Check(text, false, text, text)
	b.Claims(map[string]any{text: text})
	r := b.End(w.now, trace.Refused, text, text)
	if err := w.db.Traces().InsertTraces(w.t.Context(), []trace.Record{r}, nil, trace.Caps{r.Class(): 100}); err != nil {
		w.t.Fatal(err)
	}
	err := w.db.Journal().AppendJournal(w.t.Context(), []scim.Entry{{
		At: w.now, Connection: "acme", Address: text, Method: "PUT", Path: "/Users/" + person + "?x=" + text, Status: 400, Cause: text, Body: text,
	}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// Whatever a foreign hand wrote is text on every screen.
func TestHostileNamesAreText(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		s := w.open()
		for name, text := range hostile {
			victim := w.enter(directory.Assertion{
				Connection: "acme", Issuer: text, Subject: name + text, UserName: text, Name: text, Email: text, Groups: []string{text}, AppRoles: []string{text},
				Claims: map[string]any{"x": text},
			})
			if _, err := w.dir.Lock(t.Context(), audit.Actor{Kind: "person", ID: text, Name: text}, victim.id, text); err != nil {
				t.Fatal(err)
			}
			if u, err := w.dir.AddUnit(t.Context(), root, "Acme", "", text); err == nil {
				w.place(victim, u.ID)
			} else if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			w.leaveTraces(victim.id, "HOSTILE", text)
			for _, path := range pagesOf(victim.id) {
				res := s.page(path)
				if res.StatusCode != http.StatusOK {
					t.Fatalf("%s, %s: status = %d: %s", name, path, res.StatusCode, res.text)
				}
				if found := foreign(res.text); found != nil {
					t.Errorf("%s, %s: the page holds %q", name, path, found)
				}
				if strings.Contains(path, "/scim") && !strings.Contains(res.text, "PUT") {
					t.Errorf("%s: the request about them is not there", path)
				}
				if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "script-src 'self'") {
					t.Errorf("%s: policy = %q", path, csp)
				}
			}
		}
	})
}

// No cell of an export is a formula to a spreadsheet.
func TestExportsHoldNoFormula(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		s := w.open()
		for name, text := range hostile {
			victim := w.enter(directory.Assertion{Connection: "acme", Issuer: "i", Subject: name, UserName: text, Name: text, Email: text})
			if err := w.dir.Unlock(t.Context(), audit.Actor{Kind: "person", Name: text}, victim.id, text); err != nil {
				t.Fatal(err)
			}
			if _, err := w.dir.Lock(t.Context(), audit.Actor{Kind: "person", Name: text}, victim.id, text); err != nil {
				t.Fatal(err)
			}
			w.enter(directory.Assertion{Connection: "acme", Issuer: "i", Subject: name + " too", UserName: "2" + text, Name: text, Email: text})
			w.leaveTraces(victim.id, name, text)
		}
		for _, path := range []string{"/people.csv", "/people.csv?role=viewer", "/people.csv?state=locked", "/audit.csv", "/access.csv?role=viewer", "/sign-ins.csv", "/provisioning.csv"} {
			res := s.page(path)
			if got := res.Header.Get("Content-Disposition"); res.StatusCode != http.StatusOK || !strings.HasPrefix(got, "attachment") {
				t.Errorf("%s: status = %d, disposition = %q", path, res.StatusCode, got)
			}
			rows, err := csv.NewReader(strings.NewReader(res.text)).ReadAll()
			if err != nil || len(rows) < len(hostile)+1 {
				t.Fatalf("%s: %d rows, %v", path, len(rows), err)
			}
			for _, row := range rows {
				for _, cell := range row {
					bare := strings.TrimLeft(cell, " \t\r\n")
					if bare != "" && strings.ContainsRune("=+-@\uff1d", []rune(bare)[0]) {
						t.Errorf("%s: cell %q", path, cell)
					}
				}
			}
		}
	})
}

// What was done is said in our words alone: a link is not ours.
func TestANoticeIsOurs(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.open()
	for _, query := range []string{"done=<b>x</b>", "done=lock&count=99999999999", "done=lock&count=-5", "done=x&count=1", "done=lock&left=abc"} {
		if res := s.page("/people?" + query); strings.Contains(res.text, "<b>") || strings.Contains(res.text, "99999999999") || strings.Contains(res.text, "-5 people") {
			t.Errorf("%s: %s", query, res.text)
		}
	}
}

func TestWrongQuestionsAreRefused(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.open()
	for _, query := range []string{
		"/people?state=x", "/people?sort=seq", "/people?source=x", "/people?after=x", "/people?q=" + strings.Repeat("a", 300), "/audit?before=x",
		"/audit?from=x", "/sign-ins?before=-1",
	} {
		if got := s.call(http.MethodGet, query, "", nil); got != http.StatusBadRequest {
			t.Errorf("%s: status = %d, want 400", query, got)
		}
	}
	if got := s.call(http.MethodGet, "/audit/0", "", nil); got != http.StatusNotFound {
		t.Errorf("event 0: status = %d", got)
	}
}
