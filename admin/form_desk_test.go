package admin

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"golang.org/x/net/html"

	"portcullis/revision"
)

// FieldsOf gives the fields of the form on a page, as a browser would send them.
func FieldsOf(t interface{ Fatalf(string, ...any) }, page string) url.Values {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatalf("the page is no HTML: %v", err)
	}
	out := url.Values{}
	attribute := func(n *html.Node, key string) (string, bool) {
		for _, a := range n.Attr {
			if a.Key == key {
				return a.Val, true
			}
		}
		return "", false
	}
	for n := range root.Descendants() {
		name, _ := attribute(n, "name")
		if n.Type != html.ElementNode || name == "" || name == "viewport" {
			continue
		}
		text, _ := attribute(n, "value")
		_, checked := attribute(n, "checked")
		kind, _ := attribute(n, "type")
		switch n.Data {
		case "input":
			if kind != "checkbox" || checked {
				out.Add(name, strings.NewReplacer("\r", "", "\n", "").Replace(text))
			}
		case "textarea":
			content := ""
			if n.FirstChild != nil {
				content = n.FirstChild.Data
			}
			out.Add(name, strings.ReplaceAll(content, "\n", "\r\n"))
		case "select":
			first, picked := "", ""
			any, found := false, false
			for o := range n.Descendants() {
				if o.Data != "option" {
					continue
				}
				v, has := attribute(o, "value")
				if !has && o.FirstChild != nil {
					v = o.FirstChild.Data
				}
				if !any {
					first, any = v, true
				}
				if _, on := attribute(o, "selected"); on {
					picked, found = v, true
				}
			}
			if !found {
				picked = first
			}
			out.Add(name, picked)
		}
	}
	return out
}

// desk is where somebody fills in forms, without a console around it.
type desk struct{ looks looks }

// opened opens an entry of a text in its form.
func (s *desk) opened(t interface{ Fatalf(string, ...any) }, text, what string) url.Values {
	d := &draft{file: revision.Text{Name: "mapping.yaml", Body: []byte(text)}, text: text}
	f, err := openForm(d, names{}, what)
	if err != nil || f == nil {
		t.Fatalf("%s: %v", what, err)
	}
	rec := httptest.NewRecorder()
	page := s.looks.pages(look{organization: "x"})
	view := &editorView{Form: f, Text: text, Managed: true}
	if err := page.Render(rec, httptest.NewRequest(http.MethodGet, "/", nil), http.StatusOK, "editor", frame{View: view}); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return FieldsOf(t, rec.Body.String())
}

// taken sends a form, and gives the text then and what the page complains of.
func (s *desk) taken(t interface{ Fatalf(string, ...any) }, fields url.Values, do string) (string, string) {
	d := &draft{file: revision.Text{Name: "mapping.yaml"}}
	d.write(fields.Get("text"))
	_, err := takeForm(d, names{}, fields, do == "remove")
	if err == nil {
		return d.text, ""
	}
	problem, err := inPage(err)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return d.text, problem
}
