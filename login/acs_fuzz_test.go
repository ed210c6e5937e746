package login_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"portcullis/web"
)

// FuzzACSForm alters the form that a good identity provider has the browser
// post, in any of its octets. Whoever comes in is who the provider signed for,
// once; a form that says the same lets them in; whatever else comes is the
// fault of the request, shows a page, and leaves nothing behind.
func FuzzACSForm(f *testing.F) {
	f.Add(uint(0), uint(0), "", false)
	f.Add(uint(0), uint(0), "SAMLResponse=x&", false)
	f.Add(uint(1<<20), uint(0), "&RelayState=https://evil.example/", false)
	f.Add(uint(1<<20), uint(0), "&SAMLRequest=x", false)
	f.Add(uint(0), uint(12), "samlresponse", false)
	f.Add(uint(0), uint(1<<20), "RelayState=x", false)
	f.Add(uint(40), uint(1), "%2f", false)
	f.Add(uint(60), uint(0), "%0d%0a", false)
	f.Add(uint(200), uint(3), "AAA", false)
	f.Add(uint(300), uint(0), ";", false)
	f.Add(uint(0), uint(0), "", true)
	f.Add(uint(0), uint(1), "", true)
	f.Fuzz(func(t *testing.T, at, cut uint, text string, begunThere bool) {
		p := newSAMLIDP(t)
		g := newGate(t, p.connection("acme", nil))
		b := newBrowser(t)
		action, form := b.samlForm(g, "/.portcullis/sign-in/acme?return_to=/deep")
		if begunThere { // which this connection does not allow
			form = p.unsolicited(g.public.String()+"/.portcullis/saml/acme/metadata", "/deep")
		}
		good := form.Encode()
		from := min(at, uint(len(good)))
		body := good[:from] + text + good[min(from+min(cut, uint(len(good))), uint(len(good))):]
		answer := b.send(http.MethodPost, action, body)
		values, err := url.ParseQuery(body)
		same := err == nil && !begunThere && slices.Equal(values["SAMLResponse"], form["SAMLResponse"]) && slices.Equal(values["RelayState"], form["RelayState"])
		if answer.StatusCode == http.StatusSeeOther {
			a := g.people.last(t)
			if a.Subject != "alice-1" || a.Connection != "acme" || !slices.Equal(a.Groups, []string{"g-1", "g-2"}) || begunThere {
				t.Fatalf("let in: %+v", a)
			}
			if answer.Header.Get("Location") != "/deep" || len(g.sessions.tokens()) != 1 {
				t.Fatalf("led to %q with %d sessions", answer.Header.Get("Location"), len(g.sessions.tokens()))
			}
			if again := b.send(http.MethodPost, action, body); again.StatusCode == http.StatusSeeOther || len(g.sessions.tokens()) != 1 {
				t.Fatalf("a second time: %d", again.StatusCode)
			}
			return
		}
		if same {
			t.Fatalf("a good form was refused with %d:\n%s", answer.StatusCode, answer.body)
		}
		if answer.StatusCode < 400 || answer.StatusCode >= 500 || answer.Header.Get(web.ReferenceHeader) == "" {
			t.Fatalf("status %d:\n%s", answer.StatusCode, answer.body)
		}
		if len(g.sessions.tokens()) != 0 || b.cookies(g)["portcullis"] != "" {
			t.Fatal("a session was made")
		}
	})
}
