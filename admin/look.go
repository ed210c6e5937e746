package admin

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/count"
	"portcullis/language"
	"portcullis/web"
)

//go:embed pages/*.html own/*.html layout.html parts.html forms.html
var pageFiles embed.FS

// look is what the pages of somebody are written with: what things are called
// here, and how they want to read times and numbers.
//
// The pages that everybody meets are there in every language; those of
// administrators are in English.
type look struct {
	Preferences

	own bool // the pages that everybody meets, in Language

	organization, organizations, suborganization, suborganizations string
}

// looks are the pages, parsed once for each look.
type looks struct {
	naming naming

	mu  sync.Mutex
	set map[look]*web.Pages
}

// maxLooks bounds how many looks are kept parsed.
const maxLooks = 64

// standard is the pages of whoever is not known, in the language of their
// browser if they are own; else those of administrators.
func (c *Console) standard(g *gin.Context, own bool) *web.Pages {
	l := look{own: own, organization: "Organization", organizations: "Organizations", suborganization: "Sub-organization", suborganizations: "Sub-organizations"}
	if own {
		l.Language = web.Language(g.Writer, g.Request).Tag()
	}
	return c.looks.pages(l)
}

// pages are those of a visitor among which the page of a route is.
func (c *Console) pages(r *request, route Route) (*web.Pages, error) {
	ctx, v := r.ctx, r.visitor
	values, err := c.settings(ctx)
	if err != nil {
		return nil, err
	}
	var l look
	into := []*string{&l.organization, &l.organizations, &l.suborganization, &l.suborganizations}
	for i, w := range vocabulary() {
		*into[i] = w.Default
		if s, ok := values[w.Name]; ok {
			*into[i] = s.Value
		}
	}
	if v.who != nil && v.who.PersonID != "" {
		if l.Preferences, err = c.store.Preferences(ctx, v.who.PersonID); err != nil {
			return nil, err
		}
	}
	switch l.own = route.everybodys(); {
	case !l.own:
		l.Language = ""
	case language.Named(l.Language) == nil:
		l.Language = web.BrowserLanguage(r.gin.Writer, r.gin.Request).Tag()
	}
	return c.looks.pages(l), nil
}

// tongue is the language of the look.
func (l look) tongue() *language.Language {
	if t := language.Named(l.Language); t != nil {
		return t
	}
	return language.English()
}

func (s *looks) pages(l look) *web.Pages {
	var english *web.Pages
	if l.tongue() != language.English() {
		in := l
		in.Language = language.English().Tag()
		english = s.pages(in)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.set[l]; p != nil {
		return p
	}
	p, err := l.parse(english)
	if err != nil {
		panic(err) // impossible: the pages are embedded and tested
	}
	if s.set == nil || len(s.set) >= maxLooks {
		s.set = make(map[look]*web.Pages)
	}
	s.set[l] = p
	return p
}

// parse makes the pages of a look; english are the same in English.
func (l look) parse(english *web.Pages) (*web.Pages, error) {
	folder, parts := "pages", []string{"layout.html", "parts.html", "forms.html"}
	if l.own {
		folder, parts = "own", parts[:1]
	}
	var layout strings.Builder
	for _, name := range parts {
		text, err := pageFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		layout.Write(text)
	}
	pages, err := fs.Sub(pageFiles, folder)
	if err != nil {
		return nil, err
	}
	t := l.tongue()
	return web.Look{Layout: layout.String(), Script: true, Language: t, Else: english, Funcs: template.FuncMap{
		"css": func() string { return files()[0].Path() }, "js": func() string { return files()[1].Path() },
		"when": l.when, "day": l.day, "number": l.number, "short": short, "clip": clip, "path": url.PathEscape,
		"list": func(s ...string) []string { return s }, "lines": sourceLines, "count": count.Of[int], "flag": flagInWords, "ticks": ticks, "limits": limits, "word": wordOf, "pick": picked, "entry": entryInWords,
		"join": strings.Join, "people": count.People[int], "sessions": count.Sessions[int], "tests": count.Tests[int], "days": count.Days[int], "base": func() string { return web.ConsolePrefix },
		"organization": func() string { return t.Say(l.organization) }, "organizations": func() string { return l.organizations },
		"script": l.script, "languages": language.All, "example": l.example, "reason": l.reason, "device": l.device,
		"suborganization": func() string { return l.suborganization }, "suborganizations": func() string { return l.suborganizations },
		"lower": strings.ToLower, "a": oneOf, "selectors": selectorKinds,
	}}.Pages(pages)
}

// dateForm is a way to write a day.
type dateForm struct{ Name, layout, clock string }

func dateForms() []dateForm {
	return []dateForm{
		{"iso", "2006-01-02", "15:04"},
		{"dmy", "02.01.2006", "15:04"},
		{"dmy-slash", "02/01/2006", "15:04"},
		{"mdy", "01/02/2006", "3:04 PM"},
		{"words", "2 Jan 2006", "15:04"},
	}
}

// numberForm is a way to write a large number.
type numberForm struct{ Name, Example, mark string }

func numberForms() []numberForm {
	return []numberForm{{"space", "1 234 567", "\u202f"}, {"comma", "1,234,567", ","}, {"dot", "1.234.567", "."}, {"plain", "1234567", ""}}
}

func (l look) date() dateForm {
	for _, f := range dateForms() {
		if f.Name == l.Dates {
			return f
		}
	}
	return dateForms()[0]
}

// write writes a day in a form, with the name of its month in the language of the
// look.
func (l look) write(form dateForm, at time.Time) string {
	if form.Name != "words" {
		return at.Format(form.layout)
	}
	return l.tongue().Say("%d %s %d", at.Day(), l.tongue().Say(at.Format("Jan")), at.Year())
}

// example shows what a form looks like.
func (l look) example(form dateForm) string {
	at := time.Date(2026, time.January, 31, 14, 5, 0, 0, time.UTC)
	return l.write(form, at) + " " + at.Format(form.clock)
}

// reason tells why a sign-in failed, in the language of the look; nothing where
// it has no words for it.
func (l look) reason(english string) string {
	told, _ := l.tongue().Tell(english)
	return clip(told)
}

// device tells what [session.Client.Device] makes of a browser's claim, in the
// language of the look.
func (l look) device(english string) string {
	browser, system, both := strings.Cut(english, " on ")
	switch t := l.tongue(); {
	case both && browser == "a browser":
		return t.Say("a browser on %s", system)
	case both:
		return t.Say("%s on %s", browser, system)
	default:
		return t.Say(english)
	}
}

// script gives what the script of the pages says, as a JSON object; nothing in
// English, which it says by itself.
func (l look) script() (string, error) {
	if l.tongue() == language.English() {
		return "", nil
	}
	words := make(map[string]string)
	for _, text := range scriptTexts() {
		words[text] = l.tongue().Say(text)
	}
	out, err := json.Marshal(words)
	return string(out), err
}

// scriptTexts is what console.js says on the pages that everybody meets.
func scriptTexts() []string {
	return []string{
		"Go to", "Go to a page, or find a person", "Find “%s” among people", "Keys", "Search on this page", "Ctrl K or ⌘ K", "This list", "Esc", "Close",
		"Everything can be reached with Tab and Enter.",
	}
}

// timeOf reads what a page may hold as a time.
func timeOf(t any) time.Time {
	switch t := t.(type) {
	case time.Time:
		return t
	case *time.Time:
		if t != nil {
			return *t
		}
	}
	return time.Time{}
}

// when shows a time in the zone that its reader chose. Where they chose none, a
// script puts it into that of their browser.
func (l look) when(t any) template.HTML {
	at := timeOf(t)
	if at.IsZero() {
		return "–"
	}
	at = at.UTC()
	form, shown, fixed := l.date(), at, ""
	if l.Zone != "" {
		if zone, err := time.LoadLocation(l.Zone); err == nil {
			shown, fixed = at.In(zone), " data-fixed"
		}
	} else if l.Dates != "" {
		fixed = " data-fixed"
	}
	text := l.write(form, shown) + " " + shown.Format(form.clock)
	if l.Zone == "" {
		text += " UTC"
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s UTC"%s>%s</time>`, //nolint:gosec // digits and what stands here
		at.Format(time.RFC3339), at.Format("2006-01-02 15:04:05"), fixed, text))
}

// day shows the day of a time, in UTC.
func (l look) day(t any) string {
	at := timeOf(t)
	if at.IsZero() {
		return "–"
	}
	return l.write(l.date(), at.UTC())
}

// number shows a count.
func (l look) number(n int) string {
	mark, text := numberForms()[0].mark, strconv.Itoa(n)
	for _, f := range numberForms() {
		if f.Name == l.Numbers {
			mark = f.mark
		}
	}
	if mark == "" || n < 10_000 && l.Numbers == "" || n < 0 {
		return text
	}
	var b strings.Builder
	for i, c := range text {
		if i > 0 && (len(text)-i)%3 == 0 {
			b.WriteString(mark)
		}
		b.WriteRune(c)
	}
	return b.String()
}
