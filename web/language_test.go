package web_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
	"portcullis/language"
	"portcullis/language/languagetest"
	"portcullis/web"
)

// in is a navigation of a browser that asks for a language.
func in(tag string) *http.Request {
	r := navigation("/x")
	r.Header.Set("Accept-Language", tag)
	return r
}

// everyPage is each page as the product fills it in, and what of it is nobody's
// language.
func everyPage() map[string]func(*gin.Context) error {
	page := func(name string, data any) func(*gin.Context) error {
		return func(c *gin.Context) error { return web.Page(c, http.StatusOK, name, data) }
	}
	return map[string]func(*gin.Context) error{
		"sign-in": page("sign-in", web.SignIn{
			Message: "No organization is known for this e-mail address. Check it, or choose your organization below.", Action: "/go", Email: "a@b.example",
			Choices: []web.Choice{{Name: "Acme", URL: "/acme"}},
		}),
		"picker":   page("sign-in", web.SignIn{Choices: []web.Choice{{Name: "Acme", URL: "/acme"}}}),
		"sign-out": page("sign-out", web.SignOut{Action: "/out", Name: "Acme", Cancel: "/"}),
		"message": page("message", web.Message{
			Title: "You are signed out here", Link: web.Link{Text: "Sign in again", URL: "/"},
			Text: "Your identity provider did not end all of its own sessions. Close the browser, above all on a shared computer.",
		}),
		"post": page("post", web.Post{Title: "Going to your identity provider", Action: "https://idp.example"}),
		"error with ways on": func(*gin.Context) error {
			return &web.Failure{
				Err:    fault.New(fault.Forbidden, "you may not open this page: you lack %s", "the role “Acme” and the task “Acme”"),
				Advice: "Sign in again to go on.", Link: web.Link{Text: "Sign in again", URL: "/"}, Other: web.Link{Text: "Use another account", URL: "/"},
			}
		},
		"plain error": func(*gin.Context) error { return errors.New("secret detail") },
	}
}

func TestAPageIsWhollyInOneLanguage(t *testing.T) {
	for name, page := range everyPage() {
		english, _ := serve(t, in("en"), page)
		if got := english.Header.Get("Content-Language"); got != "en" || !strings.Contains(english.Text, `<html lang="en">`) {
			t.Errorf("%s: Content-Language = %q", name, got)
		}
		for _, l := range language.All()[1:] {
			res, _ := serve(t, in(l.Tag()), page)
			ref := res.Header.Get(web.ReferenceHeader)
			if rest := languagetest.Read(t, l.Tag()).Rest(t, res.Text, "Acme", ref); rest != nil {
				t.Errorf("%s in %s: %q is left", name, l.Name(), rest)
			}
			if got := res.Header.Get("Content-Language"); got != l.Tag() {
				t.Errorf("%s: Content-Language = %q, want %q", name, got, l.Tag())
			}
			for _, h := range []string{"Content-Security-Policy", "Cache-Control", "X-Content-Type-Options"} {
				if got, want := res.Header.Get(h), english.Header.Get(h); got != want {
					t.Errorf("%s in %s: %s = %q, want %q", name, l.Name(), h, got, want)
				}
			}
			if res.Header.Get("Vary") != "Accept-Language" || res.Code != english.Code {
				t.Errorf("%s in %s: Vary = %q, status %d", name, l.Name(), res.Header.Get("Vary"), res.Code)
			}
		}
	}
}

// Every text of the catalogue makes an error page that is whole, with the advice
// of each status.
func TestAnErrorIsToldWholly(t *testing.T) {
	value := regexp.MustCompile(`%[sqvdw]`)
	statuses := []int{400, 401, 403, 404, 405, 409, 412, 413, 429, 500, 502, 503, 504}
	for _, l := range language.All()[1:] {
		reader, n := languagetest.Read(t, l.Tag()), 0
		for text := range languagetest.Texts(t, l.Tag()) {
			if text == "%d %s %d" || strings.HasPrefix(text, "%s on ") {
				continue // said, not told
			}
			made := strings.ReplaceAll(strings.ReplaceAll(text, "%w", "your network"), "%d", "12")
			n++
			err := &web.Failure{Err: fault.New(fault.Invalid, "%s", value.ReplaceAllString(made, "Acme")), Status: statuses[n%len(statuses)]}
			res, _ := serve(t, in(l.Tag()), func(*gin.Context) error { return err })
			if rest := reader.Rest(t, res.Text, "Acme", res.Header.Get(web.ReferenceHeader)); rest != nil {
				t.Errorf("%q in %s: %q is left", text, l.Name(), rest)
			}
		}
	}
}

func TestAPageThatCannotBeToldWholeIsInEnglish(t *testing.T) {
	res, _ := serve(t, in("de"), func(*gin.Context) error { return fault.New(fault.Forbidden, "a text that no catalogue has") })
	for _, want := range []string{`<html lang="en">`, "A text that no catalogue has.", "Go to the first page", "If you need this"} {
		if !strings.Contains(res.Text, want) {
			t.Errorf("the page lacks %q:\n%s", want, res.Text)
		}
	}
	if res.Header.Get("Content-Language") != "en" || res.Header.Get("Vary") != "Accept-Language" || res.Code != http.StatusForbidden {
		t.Errorf("status %d, header %v", res.Code, res.Header)
	}
}

// What a test of a connection found is told in the words of the trace.
func TestAReportIsInEnglish(t *testing.T) {
	res, _ := serve(t, in("de"), func(c *gin.Context) error {
		return web.Page(c, http.StatusOK, "report", web.Report{Title: "This sign-in would succeed", Text: "It was a test."})
	})
	if res.Header.Get("Content-Language") != "en" || !strings.Contains(res.Text, `<html lang="en">`) || !strings.Contains(res.Text, "Reference <code>") {
		t.Errorf("%v %s", res.Header, res.Text)
	}
}

func TestNoTranslationLetsAValueThrough(t *testing.T) {
	const name = `<script>alert(1)</script>" onload="x`
	pages := map[string]func(*gin.Context) error{
		"sign-out": func(c *gin.Context) error { return web.Page(c, 200, "sign-out", web.SignOut{Action: "/", Name: name}) },
		"choice": func(c *gin.Context) error {
			return web.Page(c, 200, "sign-in", web.SignIn{Choices: []web.Choice{{Name: name, URL: "javascript:alert(1)"}}})
		},
		"fault":  func(*gin.Context) error { return fault.New(fault.Forbidden, "your account was deleted by %s", name) },
		"quoted": func(*gin.Context) error { return fault.New(fault.NotFound, "no connection %q", name) },
		"reason": func(*gin.Context) error { return fault.New(fault.Forbidden, "%s", name) },
	}
	for _, l := range language.All() {
		for what, page := range pages {
			res, _ := serve(t, in(l.Tag()), page)
			if strings.Contains(res.Text, "<script>") || strings.Contains(res.Text, `" onload="`) || strings.Contains(res.Text, `"javascript:`) {
				t.Errorf("%s in %s: %s", what, l.Name(), res.Text)
			}
			if what != "reason" && res.Header.Get("Content-Language") != l.Tag() {
				t.Errorf("%s is not in %s", what, l.Name())
			}
		}
	}
}

func TestAProblemDocumentStaysEnglish(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	r.Header.Set("Accept-Language", "de")
	res, _ := serve(t, r, func(*gin.Context) error { return fault.New(fault.NotFound, "there is no such page") })
	if !strings.Contains(res.Text, `"detail":"There is no such page."`) || res.Header.Get("Content-Language") != "" {
		t.Errorf("%v %s", res.Header, res.Text)
	}
}

// chosen is somebody who chose a language.
type chosen string

func (c chosen) Language() string { return string(c) }

func TestWhatSomebodyChoseBeatsTheirBrowser(t *testing.T) {
	for _, tc := range []struct {
		chose chosen
		want  string
		vary  string
	}{
		{"fr", "fr", ""}, {"en", "en", ""}, {"", "de", "Accept-Language"}, {"tlh", "de", "Accept-Language"},
	} {
		t.Run(strconv.Quote(string(tc.chose)), func(t *testing.T) {
			w, r := httptest.NewRecorder(), in("de")
			v := new(web.Visit)
			v.Begin(r, nil)
			v.ReadBy(tc.chose)
			web.Fail(w, r.WithContext(v), slog.New(slog.DiscardHandler), fault.New(fault.NotFound, "there is no such page"))
			if got := w.Header().Get("Content-Language"); got != tc.want || w.Header().Get("Vary") != tc.vary {
				t.Errorf("Content-Language = %q, want %q; Vary = %q, want %q", got, tc.want, w.Header().Get("Vary"), tc.vary)
			}
		})
	}
}
