package admin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/directory"
	"portcullis/revision"
	"portcullis/session"
	"portcullis/store/storetest"
	"portcullis/trace"
)

// isText fails where an answer is no page, or holds markup that is not ours.
func isText(t *testing.T, what string, res answer) {
	t.Helper()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: status = %d: %s", what, res.StatusCode, res.text)
	}
	if found := foreign(res.text); found != nil {
		t.Errorf("%s: the page holds %q", what, found)
	}
	if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("%s: policy = %q", what, csp)
	}
}

// Whatever a foreign hand wrote is text to whoever it is about, too: on their
// account, on their own connection, in a dry run, and on links.
func TestHostileWordsAboutOneselfAreText(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	glass := w.open()
	for name, text := range hostile {
		w.ways.list[1] = admin.Connection{
			ID: "acme", Organization: "Acme", Domains: []string{text}, Preset: text, Protocol: admin.OverSAML, SCIM: true, Provisioning: text, Link: text,
			MetadataURL: text, EntityID: text, Made: true, Author: text, Changed: w.now,
		}
		w.ways.draft["acme"] = admin.Draft{ID: "acme", Version: 1, Organization: text, Issuer: "wrong " + text, ClientID: text, MetadataURL: text, Link: text, Domains: []string{text}}
		w.ways.trust = admin.Trust{EntityID: text, Waiting: w.now, Changes: []string{text}, Certificates: []admin.Certificate{{Name: text, Note: text, Ends: w.now}}}
		in, err := w.dir.SignIn(t.Context(), directory.Assertion{
			Connection: "acme", Issuer: "i", Subject: name, UserName: text, Name: text, Email: text, Groups: []string{"Admins", text},
		}, "REFERENCE")
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := w.sessions.Issue(t.Context(), in, session.Client{Address: text, UserAgent: text}, session.Ticket{})
		if err != nil {
			t.Fatal(err)
		}
		one := &somebody{w: w, id: in.Person.ID, cookies: []*http.Cookie{{Name: "__Host-portcullis", Value: token}}}
		w.leaveTraces(one.id, "HOSTILE", text)
		for _, path := range []string{
			"/account", "/own-connections", "/own-connections/acme", "/own-connections/acme/setup", "/own-connections/acme/scim",
			"/own-connections/acme/sign-ins", "/own-connections/acme/sign-ins/HOSTILE", "/people/" + one.id + "/exceptions",
		} {
			isText(t, name+", "+path, one.page(path))
		}
		_, err = w.dir.Except(t.Context(), audit.Actor{Kind: "person", ID: text, Name: text}, one.id, "helper", w.now.Add(time.Hour), "because "+clipped(text, 900))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/people/" + one.id + "/exceptions", "/people/" + one.id + "/why", "/people/" + one.id + "/sessions", "/new-connection"} {
			isText(t, name+", "+path, glass.page(path))
		}
		isText(t, name+", a connection that is refused", glass.form("/connections", "id", text, "organization", text, "domains", text, "protocol", "oidc", "issuer", "wrong "+text))
		isText(t, name+", settings that are refused", glass.form("/connections/acme/settings", "organization", text, "domains", text, "protocol", "oidc", "issuer", "wrong", "version", "1"))
		if name == "script" { // there may be but two
			isText(t, name+", a token", one.form("/own-connections/acme/tokens", "note", clipped(text, 80), "days", "5"))
		}
		isText(t, name+", a setup link", glass.form("/connections/beta/setup-link"))
		isText(t, name+", a link that is none", w.nobody().page("/setup?link="+queryOf(text)))
		isText(t, name+", a link to the console that is none", w.nobody().page("/break-glass?link="+queryOf(text)))
		var test struct{ Test string }
		if got := glass.call(http.MethodPost, "/connections/acme/tests", "", &test); got != http.StatusOK {
			t.Fatalf("%s: a dry run: status = %d", name, got)
		}
		b := trace.Begin(trace.Record{Reference: "TEST" + name, Connection: "acme", Address: text})
		b.Check(text, false, text, text)
		b.Claims(map[string]any{text: []any{text}})
		if err := finish(t.Context(), w.db.Login(), test.Test, b.End(w.now, trace.Refused, text, text)); err != nil {
			t.Fatal(err)
		}
		isText(t, name+", a dry run", glass.page("/connections/acme/tests/"+test.Test))
	}
}

func queryOf(text string) string {
	return strings.NewReplacer("%", "%25", " ", "%20", "\t", "%09", "\r", "%0d", "\n", "%0a", "#", "%23", "&", "%26", "+", "%2b", ";", "%3b", "\"", "%22", "<", "%3c", ">", "%3e").
		Replace(clipped(text, 500))
}

// clipped shortens what may not be long.
func clipped(text string, n int) string {
	return strings.ToValidUTF8(text[:min(n, len(text))], "")
}

// The reasons and names that stand in the mapping's history are text.
func TestHostileHistoryIsText(t *testing.T) {
	w := newManagedWorld(t, storetest.SQLite(t), withData, revision.Approval{})
	l, glass := revision.NewLedger(w.ledger), w.open()
	for name, text := range hostile {
		by := revision.Signer{Actor: audit.Actor{Kind: "break-glass", ID: name, Name: text}}
		texts := []revision.Text{{Name: "mapping.yaml", Body: []byte(withData + "# <script>" + name + "\n")}}
		p, err := l.Propose(t.Context(), by, texts, clipped(text, 1000))
		if err != nil {
			t.Fatal(err)
		}
		s := w.signIn("staff", "ada")
		for _, path := range []string{"/mapping", "/approvals", "/mapping/" + p.Hash, "/mapping/" + p.Hash + "?against=1"} {
			isText(t, name+", "+path, s.page(path))
		}
		if _, _, err := l.Apply(t.Context(), by, texts, clipped(text, 1000)); err != nil {
			t.Fatal(err)
		}
		w.follow()
		s = w.signIn("staff", "ada")
		for _, path := range []string{"/mapping", "/mapping/history", "/access?role=viewer"} {
			isText(t, name+", "+path, s.page(path))
		}
		for _, path := range []string{"/mapping/edit?open=rule:states", "/mapping/edit?open=test:", "/mapping/edit?open=constraint:"} {
			isText(t, name+", "+path, glass.page(path))
		}
		for _, row := range s.sheetAt("/mapping/history.csv") {
			for _, cell := range row {
				if bare := strings.TrimSpace(cell); bare != "" && strings.ContainsRune("=+-@", rune(bare[0])) {
					t.Errorf("%s: the cell %.20q is a formula", name, cell)
				}
			}
		}
	}
}
