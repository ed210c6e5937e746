package admin_test

import (
	"encoding/json"
	"html"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"portcullis/directory"
	"portcullis/language"
	"portcullis/language/languagetest"
	"portcullis/mapping"
	"portcullis/store/storetest"
	"portcullis/trace"
	"portcullis/web"
)

// asks is a navigation of a browser that asks for a language.
func asks(tag string) http.Header {
	h := navigates.Clone()
	h.Set("Accept-Language", tag)
	return h
}

// What of the account's page is in nobody's language.
var plainData = []string{
	"Portcullis", "Name of ben", "ben@staff.example", "staff", "Firefox", "Linux", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140", "Staff", "01/31/2026 2:05 PM",
}

func TestTheAccountIsWhollyInTheLanguageOfItsOwner(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s, _ := w.signIn("staff", "ben", mapping.GateUsersView, mapping.GateAuditView, mapping.GateMappingView, mapping.GateConnectionsEdit, mapping.GateTokensEdit), w.signIn("staff", "ben")
	w.leaveAttempt(s.id, "your account was deleted by "+"Name of ben")
	english := s.send(http.MethodGet, web.ConsolePrefix+"/account", asks("en"), nil)
	for _, l := range language.All() {
		if got := s.call(http.MethodPut, "/account/preferences", `{"language":"`+l.Tag()+`","dates":"words","zone":"UTC"}`, nil); got != http.StatusOK {
			t.Fatalf("choosing %s: %d", l.Name(), got)
		}
		res := s.send(http.MethodGet, web.ConsolePrefix+"/account?done=own-sessions&ended=2", asks("es"), nil)
		if got := res.Header.Get("Content-Language"); got != l.Tag() || res.Header.Get("Vary") != "" || !strings.Contains(res.text, `<html lang="`+l.Tag()+`">`) {
			t.Errorf("%s: Content-Language = %q, Vary = %q", l.Name(), got, res.Header.Get("Vary"))
		}
		if !strings.Contains(res.text, `<option value="`+l.Tag()+`" lang="`+l.Tag()+`" selected>`+l.Name()+`</option>`) {
			t.Errorf("%s is not shown as chosen", l.Name())
		}
		if got, want := res.Header.Get("Content-Security-Policy"), english.Header.Get("Content-Security-Policy"); got != want {
			t.Errorf("%s: policy = %q, want %q", l.Name(), got, want)
		}
		if l == language.English() {
			continue
		}
		reader := languagetest.Read(t, l.Tag())
		dates := regexp.MustCompile(`\b1\.? \S+ 2026 12:00|31\.? \S+ 2026 14:05`).FindAllString(res.text, -1)
		if rest := reader.Rest(t, res.text, append(append(dates, plainData...), l.Name(), res.Header.Get(web.ReferenceHeader))...); rest != nil {
			t.Errorf("%s: %q is left", l.Name(), rest)
		}
		for _, path := range []string{"/", "/people", "/settings"} { // in English, for now
			if page := s.send(http.MethodGet, web.ConsolePrefix+path, asks(l.Tag()), nil); page.Header.Get("Content-Language") != "en" || !strings.Contains(page.text, `<html lang="en">`) || strings.Contains(page.text, "data-words") {
				t.Errorf("%s: Content-Language = %q", path, page.Header.Get("Content-Language"))
			}
		}
		// Anybody can write a link, to a notice that is of administrators alone.
		if page := s.send(http.MethodGet, web.ConsolePrefix+"/account?done=lock&count=1", asks(l.Tag()), nil); page.Header.Get("Content-Language") != "en" || !strings.Contains(page.text, "<h1>My account</h1>") {
			t.Errorf("a page with a text that has no translation is in %q", page.Header.Get("Content-Language"))
		}
	}
	if page := s.send(http.MethodGet, web.ConsolePrefix+"/account", asks("en"), nil).text; !strings.Contains(page, "31 janv. 2026 14:05") {
		t.Error("a month is not in the language of its reader")
	}
	for _, body := range []string{`{"language":"tlh"}`, `{"language":"DE"}`, `{"language":"de-CH"}`} {
		if got := s.call(http.MethodPut, "/account/preferences", body, nil); got != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", body, got)
		}
	}
	var account struct {
		Preferences struct{ Language, Dates string }
	}
	s.call(http.MethodGet, "/account", "", &account)
	if account.Preferences.Language != "fr" || account.Preferences.Dates != "words" {
		t.Errorf("preferences = %+v", account.Preferences)
	}
	s.form("/account/preferences", "language", "") // automatic again
	if res := s.send(http.MethodGet, web.ConsolePrefix+"/account", asks("de-AT"), nil); res.Header.Get("Content-Language") != "de" || res.Header.Get("Vary") != "Accept-Language" {
		t.Errorf("of the browser: Content-Language = %q, Vary = %q", res.Header.Get("Content-Language"), res.Header.Get("Vary"))
	}
}

func TestALinksPageIsWhollyInTheLanguageOfTheBrowser(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	for _, l := range language.All()[1:] {
		res := w.nobody().send(http.MethodGet, web.ConsolePrefix+"/break-glass?link=x", asks(l.Tag()), nil)
		if rest := languagetest.Read(t, l.Tag()).Rest(t, res.text, "Portcullis", res.Header.Get(web.ReferenceHeader)); rest != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d, %q is left", l.Name(), res.StatusCode, rest)
		}
		if res.Header.Get("Content-Language") != l.Tag() || res.Header.Get("Vary") != "Accept-Language" {
			t.Errorf("%s: %v", l.Name(), res.Header)
		}
	}
}

// What a setup link opens is in English, so the pages before and behind it are,
// whatever the browser asks for.
func TestASetupLinkIsInOneLanguage(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	it := w.setup(w.signIn("staff", "ada", mapping.GateConnectionsEdit), "acme")
	for _, l := range language.All()[1:] {
		english := func(what string, res answer, text string) {
			t.Helper()
			if res.StatusCode != http.StatusOK || res.Header.Get("Content-Language") != "en" || !strings.Contains(res.text, `<html lang="en">`) || !strings.Contains(res.text, text) {
				t.Errorf("%s for %s: %d in %q, want English", what, l.Name(), res.StatusCode, res.Header.Get("Content-Language"))
			}
		}
		english("the link", w.nobody().send(http.MethodGet, web.ConsolePrefix+"/setup?link=x", asks(l.Tag()), nil), "Set up your connection")
		english("the steps", it.send(http.MethodGet, web.ConsolePrefix+"/setup/acme/setup", asks(l.Tag()), nil), "steps")
	}
	h := asks("de")
	h.Set("Sec-Fetch-Site", "same-origin")
	h.Set("Content-Type", "application/x-www-form-urlencoded")
	if res := it.send(http.MethodPost, web.ConsolePrefix+"/setup/close", h, strings.NewReader("")); res.Header.Get("Content-Language") != "en" || !strings.Contains(res.text, "Thank you") {
		t.Errorf("the end: %d in %q, want it in English", res.StatusCode, res.Header.Get("Content-Language"))
	}
}

func TestAHostileNameInAnotherLanguage(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	for name, text := range hostile {
		s := w.enter(directory.Assertion{Connection: "staff", Issuer: "https://idp.example", Subject: name, UserName: text, Name: text, Email: text, Groups: []string{mapping.GateUsersView}})
		w.leaveAttempt(s.id, "your account was deleted by "+text)
		for _, l := range language.All() {
			res := s.send(http.MethodGet, web.ConsolePrefix+"/account", asks(l.Tag()), nil)
			if found := foreign(res.text); found != nil || res.Header.Get("Content-Language") != l.Tag() {
				t.Errorf("%.40q in %s: %q", text, l.Name(), found)
			}
		}
	}
}

// leaveAttempt is a sign-in that failed.
func (w *world) leaveAttempt(person, reason string) {
	w.t.Helper()
	r := trace.Begin(trace.Record{Reference: "AT" + person, Connection: "staff", Address: "192.0.2.7", Person: person}).End(w.now, trace.Refused, reason, reason)
	if err := w.db.Traces().InsertTraces(w.t.Context(), []trace.Record{r}, nil, trace.Caps{r.Class(): 100}); err != nil {
		w.t.Fatal(err)
	}
}

// What the script says on pages in other languages is what it is given words for.
func TestTheScriptsWordsAreGiven(t *testing.T) {
	script, err := os.ReadFile("assets/console.js")
	if err != nil {
		t.Fatal(err)
	}
	var says []string
	for _, m := range regexp.MustCompile(`say\("([^"]+)"`).FindAllStringSubmatch(string(script), -1) {
		says = append(says, m[1])
	}
	slices.Sort(says)
	w := newWorld(t, storetest.SQLite(t))
	page := w.signIn("staff", "ben", mapping.GateUsersView).send(http.MethodGet, web.ConsolePrefix+"/account", asks("de"), nil).text
	m := regexp.MustCompile(`data-words="([^"]+)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no words are given:\n%s", page)
	}
	words := make(map[string]string)
	if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &words); err != nil {
		t.Fatal(err)
	}
	given := slices.Sorted(maps.Keys(words))
	if says = slices.Compact(says); !slices.Equal(says, given) {
		t.Errorf("the script says %q, and is given %q", says, given)
	}
}
