package admin

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"portcullis/web"
)

//go:embed pages/*.html layout.html parts.html forms.html
var pageFiles embed.FS

// look is what the pages of somebody are written with: what things are called
// here, and how they want to read times and numbers.
type look struct {
	Preferences

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

// standard is the look of whoever is not known.
func (c *Console) standard() *web.Pages {
	l := look{organization: "Organization", organizations: "Organizations", suborganization: "Sub-organization", suborganizations: "Sub-organizations"}
	return c.looks.pages(l)
}

// pages are those of a visitor.
func (c *Console) pages(ctx context.Context, v *visitor) (*web.Pages, error) {
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
	return c.looks.pages(l), nil
}

func (s *looks) pages(l look) *web.Pages {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.set[l]; p != nil {
		return p
	}
	p, err := l.parse()
	if err != nil {
		panic(err) // impossible: the pages are embedded and tested
	}
	if s.set == nil || len(s.set) >= maxLooks {
		s.set = make(map[look]*web.Pages)
	}
	s.set[l] = p
	return p
}

// parse makes the pages of a look.
func (l look) parse() (*web.Pages, error) {
	layout, err := pageFiles.ReadFile("layout.html")
	if err != nil {
		return nil, err
	}
	parts, err := pageFiles.ReadFile("parts.html")
	if err != nil {
		return nil, err
	}
	forms, err := pageFiles.ReadFile("forms.html")
	if err != nil {
		return nil, err
	}
	pages, err := fs.Sub(pageFiles, "pages")
	if err != nil {
		return nil, err
	}
	return web.Look{Layout: string(layout) + string(parts) + string(forms), Script: true, Funcs: template.FuncMap{
		"css": func() string { return files()[0].Path() }, "js": func() string { return files()[1].Path() },
		"when": l.when, "day": l.day, "number": l.number, "short": short, "clip": clip, "path": url.PathEscape,
		"list": func(s ...string) []string { return s }, "lines": sourceLines, "count": countOf, "flag": flagInWords, "ticks": ticks, "pick": picked,
		"join": strings.Join, "people": peopleInWords, "sessions": sessionsInWords, "base": func() string { return web.ConsolePrefix },
		"organization": func() string { return l.organization }, "organizations": func() string { return l.organizations },
		"suborganization": func() string { return l.suborganization }, "suborganizations": func() string { return l.suborganizations },
		"lower": strings.ToLower, "a": oneOf, "selectors": selectorKinds,
	}}.Pages(pages)
}

// dateForm is a way to write a day.
type dateForm struct{ Name, Example, layout, clock string }

func dateForms() []dateForm {
	return []dateForm{
		{"iso", "2026-01-31 14:05", "2006-01-02", "15:04"},
		{"dmy", "31.01.2026 14:05", "02.01.2006", "15:04"},
		{"dmy-slash", "31/01/2026 14:05", "02/01/2006", "15:04"},
		{"mdy", "01/31/2026 2:05 PM", "01/02/2006", "3:04 PM"},
		{"words", "31 Jan 2026 14:05", "2 Jan 2006", "15:04"},
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
	text := shown.Format(form.layout + " " + form.clock)
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
	return at.UTC().Format(l.date().layout)
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
