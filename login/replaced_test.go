package login_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"portcullis/directory"
	"portcullis/login"
	"portcullis/session"
)

// busyDirectory and busySessions do something else while they are asked.
type busyDirectory struct {
	login.Directory

	meanwhile func()
}

func (d busyDirectory) SignIn(ctx context.Context, a directory.Assertion, reference string) (directory.SignedIn, error) {
	in, err := d.Directory.SignIn(ctx, a, reference)
	d.meanwhile()
	return in, err
}

type busySessions struct {
	login.Sessions

	meanwhile func()
}

func (s busySessions) Issue(ctx context.Context, in directory.SignedIn, client session.Client, t session.Ticket) (string, *session.Principal, error) {
	token, p, err := s.Sessions.Issue(ctx, in, client, t)
	s.meanwhile()
	return token, p, err
}

// moments are when a connection changes while somebody is under way in it.
var moments = []string{"while the provider answers", "while the directory decides", "while the session begins"}

// during makes the gate call meanwhile at a moment that is its own.
func during(moment string, meanwhile func()) func(*login.Config) {
	return func(c *login.Config) {
		switch moment {
		case moments[1]:
			c.Directory = busyDirectory{c.Directory, meanwhile}
		case moments[2]:
			c.Sessions = busySessions{c.Sessions, meanwhile}
		}
	}
}

// changes are what may become of a connection while somebody is under way, and
// whether they come in all the same.
var changes = []struct {
	name   string
	comeIn bool
	change func(login.Connection) []login.Connection
}{
	{"removed", false, func(login.Connection) []login.Connection { return nil }},
	{"another provider", false, func(c login.Connection) []login.Connection {
		c.Version++
		if c.OIDC != nil {
			other := *c.OIDC
			other.Provider.Issuer = "https://new.example"
			c.OIDC = &other
		} else {
			other := *c.SAML
			other.MetadataFile, other.MetadataURL = "", "https://new.example/metadata"
			c.SAML = &other
		}
		return []login.Connection{c}
	}},
	{"another protocol", false, func(c login.Connection) []login.Connection {
		c.Version++
		if c.OIDC != nil {
			c.OIDC, c.SAML = nil, &login.SAML{MetadataURL: "https://new.example/metadata"}
		} else {
			c.OIDC, c.SAML = &login.OIDC{}, nil
		}
		return []login.Connection{c}
	}},
	{"nothing", true, func(c login.Connection) []login.Connection { return []login.Connection{c} }},
	{"another name, and another connection", true, func(c login.Connection) []login.Connection {
		c.Version, c.Organization = c.Version+1, "Acme of before"
		return []login.Connection{{ID: "more", SAML: &login.SAML{MetadataURL: "https://more.example/metadata"}}, c}
	}},
}

// A provider that was replaced while it answered lets nobody in: it decides
// itself for how long, and the sessions of the connection have ended by then.
func TestNobodyComesInByAProviderThatWasReplacedMeanwhile(t *testing.T) {
	const words = "was changed while you signed in"
	for _, tc := range changes {
		for _, moment := range moments {
			t.Run("OIDC/"+tc.name+"/"+moment, func(t *testing.T) {
				p := newIDP(t)
				var g *gate
				var conn login.Connection
				meanwhile := func() { g.login.SetConnections(tc.change(conn)) }
				g = newGate(t, all(func(c *login.Config) { conn = c.Connections[0] }, during(moment, meanwhile)), p)
				b := newBrowser(t)
				back := b.authorize(g, "/.portcullis/sign-in/acme")
				if moment == moments[0] {
					p.answer = func(map[string]any) { meanwhile() }
				}
				g.arrives(t, b, b.get(back), tc.comeIn, words)
				if moment == moments[0] && len(g.people.seen) > 0 != tc.comeIn {
					t.Errorf("%d people were let in", len(g.people.seen))
				}
			})
			if moment == moments[0] {
				continue // nobody is asked while a SAML answer is verified
			}
			t.Run("SAML/"+tc.name+"/"+moment, func(t *testing.T) {
				p := newSAMLIDP(t)
				var g *gate
				var conn login.Connection
				meanwhile := func() { g.login.SetConnections(tc.change(conn)) }
				g = newGate(t, all(p.connection("acme", nil), func(c *login.Config) { conn = c.Connections[0] }, during(moment, meanwhile)))
				b := newBrowser(t)
				g.arrives(t, b, b.samlSignIn(g, "/.portcullis/sign-in/acme"), tc.comeIn, words)
			})
		}
	}
}

// arrives checks that somebody came in, or was told in words why not and has
// no session that lives.
func (g *gate) arrives(t *testing.T, b *browser, answer page, comesIn bool, words string) {
	t.Helper()
	g.sessions.mu.Lock()
	living := len(g.sessions.alive)
	g.sessions.mu.Unlock()
	cookie := b.cookies(g)["portcullis"]
	if comesIn {
		if answer.StatusCode != http.StatusSeeOther || cookie == "" || living != 1 {
			t.Errorf("status %d, cookie %t, %d sessions, want to come in\n%s", answer.StatusCode, cookie != "", living, answer.body)
		}
		return
	}
	if cookie != "" || living != 0 {
		t.Errorf("a cookie: %t, and %d sessions live", cookie != "", living)
	}
	if answer.StatusCode != http.StatusBadRequest || !strings.Contains(answer.body, words) {
		t.Errorf("status %d, want 400 with %q in:\n%s", answer.StatusCode, words, answer.body)
	}
}
