package web

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
	"portcullis/language"
)

//go:embed layout.html
var layout string

//go:embed pages/*.html
var pageFiles embed.FS

// builtin holds the pages of this package, parsed once for each language.
var builtin = sync.OnceValue(func() map[*language.Language]*Pages {
	fsys, err := fs.Sub(pageFiles, "pages")
	if err != nil {
		panic(err) // impossible: the folder is embedded
	}
	out := make(map[*language.Language]*Pages)
	for _, l := range language.All() {
		if out[l], err = (Look{Layout: layout, Language: l, Else: out[language.English()]}).Pages(fsys); err != nil {
			panic(err) // impossible: the pages are embedded and tested
		}
	}
	return out
})

// Warm parses the pages of this package in every language, so that no visitor
// waits for it.
func Warm() { builtin() }

// Pages is a set of pages in the product's layout. It is safe for concurrent
// use.
type Pages struct {
	byName   map[string]*page
	language *language.Language
	instead  *Pages // where a text cannot be told in language; may be nil
}

type page struct {
	tmpl   *template.Template
	policy string // Content-Security-Policy
	script string // path of its script; empty for none

	english bool // it is there in no other language
}

// NewPages parses the *.html files at the top of fsys. The file sign-in.html
// is the page "sign-in"; it defines the templates "title" and "main", which
// get the data of [Pages.Render].
//
// Forms of a page reach our own origin only. A page whose form ends at an
// identity provider, by way of redirects that nobody can list beforehand,
// defines the template "leaves": Chromium applies form-action to each
// redirect that follows a form, so that page goes without the directive.
//
// A page runs no script. One that defines the template "scripted" has the one
// of ours that sends its form on. One that defines "english" is in English
// whatever the language of the others.
func NewPages(fsys fs.FS) (*Pages, error) { return Look{Layout: layout}.Pages(fsys) }

// Look is a layout other than that of the sign-in pages.
type Look struct {
	// Layout is a template that uses "title" and "main". Its data has Language,
	// Style, Icon and Reference, and Data as it was given to [Pages.Render].
	Layout string
	Funcs  template.FuncMap // further functions of its pages
	Script bool             // its pages run scripts of our own origin, which may ask that origin
	// Language is that of the pages; defaults to English. Pages say a text of their
	// own with the function "t", its values behind it, and tell one that they
	// were given with "tell". Either is escaped like any other value.
	Language *language.Language
	// Else is the same pages in English: they are shown in place of one that was
	// given a text which Language lacks, so that no page is in two languages.
	Else *Pages
}

// errUntold is the error of a page that was given a text that its language
// lacks.
var errUntold = errors.New("a text that its language lacks")

// funcs are the functions of a look's pages.
func (l Look) funcs() template.FuncMap {
	funcs := template.FuncMap{
		"t": l.Language.Say, "sentence": sentence,
		"tell": func(text string) (string, error) {
			told, ok := l.Language.Tell(text)
			if !ok {
				return "", errUntold
			}
			return told, nil
		},
	}
	maps.Copy(funcs, l.Funcs)
	return funcs
}

// Pages parses pages like [NewPages].
func (l Look) Pages(fsys fs.FS) (*Pages, error) {
	names, err := fs.Glob(fsys, "*.html")
	if err != nil {
		return nil, err
	}
	if l.Language == nil {
		l.Language = language.English()
	}
	p := &Pages{byName: make(map[string]*page, len(names)), language: l.Language, instead: l.Else}
	funcs := l.funcs()
	for _, name := range names {
		t, err := template.New("layout").Funcs(funcs).Parse(l.Layout)
		if err != nil {
			return nil, err
		}
		if t, err = t.ParseFS(fsys, name); err != nil {
			return nil, err
		}
		for _, part := range []string{"title", "main"} {
			if t.Lookup(part) == nil {
				return nil, fmt.Errorf("%s: want a template %q", name, part)
			}
		}
		pg := &page{tmpl: t, policy: contentPolicy}
		if l.Script {
			pg.policy += "; script-src 'self'; connect-src 'self'"
		}
		if t.Lookup("leaves") == nil {
			pg.policy += "; form-action 'self'"
		}
		if t.Lookup("scripted") != nil {
			pg.policy += "; script-src 'self'"
			pg.script = submitPath()
		}
		pg.english = t.Lookup("english") != nil
		p.byName[strings.TrimSuffix(path.Base(name), ".html")] = pg
	}
	return p, nil
}

// Page renders one of this package's own pages: "sign-in" ([SignIn]),
// "sign-out" ([SignOut]), "message" ([Message]), "report" ([Report]) and "post"
// ([Post]). What they say is written in English, and shown in the language of
// whoever reads it ([Language]). It fails like [Pages.Render].
func Page(c *gin.Context, status int, name string, data any) error {
	return show(c.Writer, c.Request, status, name, data)
}

// show renders a page of this package in the language of its reader.
func show(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	return builtin()[Language(w, r)].Render(w, r, status, name, data)
}

// Render answers with the page of that name. Nothing is written when the page
// is unknown or data does not fit it: then it fails with an internal error.
func (p *Pages) Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	pg, ok := p.byName[name]
	if !ok {
		return fault.New(fault.Internal, "no page %q", name)
	}
	if pg.english && p.instead != nil {
		return p.instead.Render(w, r, status, name, data)
	}
	var b bytes.Buffer
	err := pg.tmpl.Execute(&b, view{
		Language: p.language.Tag(), Style: stylePath(), Icon: iconPath(), Script: pg.script, Reference: Reference(r.Context()), Data: data,
	})
	if errors.Is(err, errUntold) && p.instead != nil {
		return p.instead.Render(w, r, status, name, data)
	}
	if err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	h := w.Header()
	SetHeaders(h)
	h.Set("Content-Security-Policy", pg.policy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.language.Tag())
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
	return nil
}

// view is what the layout sees.
type view struct {
	Language  string // tag
	Style     string
	Icon      string
	Script    string
	Reference string
	Data      any
}

// SignIn is the page that finds the right identity provider: by e-mail, or by
// choice.
type SignIn struct {
	Message  string   // what went wrong before, one sentence; none if empty
	Action   string   // where the e-mail is posted; no e-mail is asked for if empty
	Email    string   // what was entered before
	ReturnTo string   // a hidden field return_to
	Another  bool     // another account is wanted than the one used last
	Choices  []Choice // identity providers to choose from
}

// Choice is one identity provider of a [SignIn].
type Choice struct {
	Name string
	URL  string
}

// SignOut asks whether to sign out.
type SignOut struct {
	Action   string // where the confirmation is posted
	ReturnTo string // a hidden field return_to
	Name     string // who is signed in
	Cancel   string // where "stay" leads
}

// Report tells of something in detail.
type Report struct {
	Title    string
	Reason   string // what is wrong, in a sentence; none if empty
	Text     string
	Sections []Section // those without rows are left out
}

// Section is one part of a [Report].
type Section struct {
	Title string
	Rows  []Row
}

// Row is a line of a [Section].
type Row struct {
	Name   string
	Values []string
}

// Message says something and offers a way on.
type Message struct {
	Title string
	Text  string
	Link  Link // none if empty
}

// Post is a form that the browser passes on to somebody else, by itself where
// it runs our script.
type Post struct {
	Title  string
	Action string // an absolute URL
	Fields []Field
}

// Field is a hidden field of a [Post].
type Field struct{ Name, Value string }
