// Package demo is the scenery of "portcullis demo": a sample client portal
// that stands behind the gate, and a sample identity provider for each of
// three client companies: two speak OpenID Connect, one speaks SAML 2.0.
//
// It plays the parts of other people, so it imports nothing of the product:
// what it knows of the gate is what any portal author or identity provider
// knows. [Portal] is also the sample code for portal authors: assertion.go
// and permissions.go are all that a portal written in Go has to have.
//
// It is not for production. [IDP] asks nobody for a password.
//
// Invariants:
//   - The portal shows nothing without a statement that it has verified, and
//     only rows that the statement's permissions allow.
//   - A code of the provider is redeemed once, by the client, with the
//     verifier and the redirect URI that it was made for.
//   - An assertion goes to an address in the gate's own metadata, signed and,
//     when the metadata has a key for it, encrypted.
//   - Pages work without inline script or style, without a foreign host, and
//     without JavaScript but for what is live.
package demo

import (
	"bytes"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

//go:embed assets templates
var files embed.FS

// site is what the portal and the providers share: templates, assets, and
// the headers that every answer carries.
type site struct {
	pages *template.Template
	log   *slog.Logger
	csp   string
}

// newSite parses the embedded templates. They are part of the program, so a
// broken one is a bug that the first test finds, and Must may panic.
func newSite(log *slog.Logger, formAction string) site {
	funcs := template.FuncMap{
		"money": money, "initials": initials, "clock": clock,
		"args": func(action, label string, p Person, look string) button {
			return button{Action: action, Label: label, Person: p.ID, Name: p.Name, Look: look}
		},
	}
	csp := "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
	if formAction != "" {
		csp += "; form-action " + formAction
	}
	return site{
		pages: template.Must(template.New("").Funcs(funcs).ParseFS(files, "templates/*.html")),
		log:   log,
		csp:   csp,
	}
}

// secure sets the headers of every answer. Nothing that a person may see
// once may stay in a cache when they may not see it any more.
func (s site) secure(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", s.csp)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// render writes a whole page or an error, never half of a page.
func (s site) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var b bytes.Buffer
	if err := s.pages.ExecuteTemplate(&b, name, data); err != nil {
		s.log.ErrorContext(r.Context(), "page cannot be rendered", "page", name, "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if _, err := b.WriteTo(w); err != nil {
		s.log.DebugContext(r.Context(), "reader went away", "error", err)
	}
}

// asset serves one embedded file: a style sheet, a script or an icon.
func asset(w http.ResponseWriter, r *http.Request) {
	name := "assets/" + r.PathValue("name")
	if f, err := files.Open(name); err != nil {
		http.NotFound(w, r)
		return
	} else if err := f.Close(); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", "max-age=60")
	http.ServeFileFS(w, r, files, name) //nolint:gosec // embedded files only, and io/fs refuses names that climb
}

// money prints whole units with thin groups of three: 1 250 000.
func money(n int) string {
	digits := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, digits = "−", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u202f') // narrow space that does not break
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// initials gives the one or two letters of an avatar.
func initials(name string) string {
	var b strings.Builder
	words := strings.Fields(name)
	for i, w := range words {
		if i == 0 || i == len(words)-1 {
			r, _ := utf8.DecodeRuneInString(w)
			b.WriteRune(r)
		}
	}
	return strings.ToUpper(b.String())
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }
