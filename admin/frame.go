package admin

import (
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"strings"
	"sync"
	"time"

	"portcullis/mapping"
	"portcullis/web"
)

//go:embed pages/*.html layout.html
var pageFiles embed.FS

//go:embed assets/console.css assets/console.js
var assetFiles embed.FS

const assetPrefix = web.ConsolePrefix + "/assets/"

// files are what pages load beside what all of the gate's pages do.
var files = sync.OnceValue(func() []*web.File {
	var out []*web.File
	for _, f := range [][2]string{{"console.css", "text/css; charset=utf-8"}, {"console.js", "text/javascript; charset=utf-8"}} {
		body, err := assetFiles.ReadFile("assets/" + f[0])
		if err != nil {
			panic(err) // impossible: the file is embedded
		}
		out = append(out, web.NewFile(assetPrefix, f[0], f[1], body))
	}
	return out
})

// set holds the pages, parsed once.
var set = sync.OnceValue(func() *web.Pages {
	layout, err := pageFiles.ReadFile("layout.html")
	if err != nil {
		panic(err) // impossible: the file is embedded
	}
	pages, err := fs.Sub(pageFiles, "pages")
	if err != nil {
		panic(err) // impossible: the folder is embedded
	}
	p, err := web.Look{Layout: string(layout), Script: true, Funcs: template.FuncMap{
		"css": func() string { return files()[0].Path() }, "js": func() string { return files()[1].Path() },
		"when": when, "short": short, "clip": clip, "path": url.PathEscape, "list": func(s ...string) []string { return s },
		"lines": sourceLines, "count": countOf, "flag": flagInWords, "ticks": ticks, "pick": picked,
		"join": strings.Join, "people": peopleInWords, "sessions": sessionsInWords, "base": func() string { return web.ConsolePrefix },
	}}.Pages(pages)
	if err != nil {
		panic(err) // impossible: the pages are embedded and tested
	}
	return p
})

func (*Console) pages() *web.Pages { return set() }

// frame is what the layout sees.
type frame struct {
	Nav    []navLink
	Name   string // of the visitor; empty where nobody is known yet
	Glass  bool   // by a one-time link
	Until  time.Time
	Notice string // what was done
	View   any
}

type navLink struct {
	Title, Path string
	Here        bool
}

// frame puts a page in its surroundings: what the visitor may go to.
func (c *Console) frame(r *request, view any) frame {
	f := frame{View: view, Name: r.actor().Name, Notice: notice(r.gin.Request.URL.Query())}
	if r.link != nil {
		f.Glass, f.Until = true, r.link.Expires
	}
	at := strings.TrimPrefix(r.gin.Request.URL.Path, web.ConsolePrefix)
	for _, l := range []struct{ title, path, right string }{
		{"Home", "/", Any},
		{"People", "/people", mapping.GateUsersView},
		{"Sign-ins", "/sign-ins", mapping.GateAuditView},
		{"Provisioning", "/provisioning", mapping.GateAuditView},
		{"Roles", "/roles", mapping.GateMappingView},
		{"Data", "/permission-groups", mapping.GateMappingView},
		{"Mapping", "/mapping", mapping.GateMappingView},
		{"Approvals", "/approvals", mapping.GateMappingView},
		{"Access", "/access", mapping.GateAuditView},
		{"Audit", "/audit", mapping.GateAuditView},
	} {
		if l.right != Any {
			if _, ok := r.within(l.right); !ok {
				continue
			}
		}
		f.Nav = append(f.Nav, navLink{l.title, web.ConsolePrefix + l.path, at == l.path || l.path != "/" && strings.HasPrefix(at, l.path+"/")})
	}
	return f
}

// notice says what was done, in words of ours alone: anybody can write a link.
func notice(q url.Values) string {
	words := map[string]string{
		"lock": "locked", "unlock": "unlocked", "deactivate": "deactivated", "reactivate": "reactivated", "delete": "deleted",
		"sign-out": "signed out", "undo": "restored",
	}
	number := func(name string) (n int) {
		if text := q.Get(name); len(text) <= 6 {
			_, _ = fmt.Sscanf(text, "%d", &n) // zero otherwise
		}
		return max(n, 0)
	}
	switch what := q.Get("done"); {
	case what == "session":
		return "The session has ended."
	case what == "except":
		return "Granted: they have it already."
	case what == "unexcept":
		return "Taken back."
	case what == "approve":
		return "Approved. It comes into force when somebody applies it."
	case revisionWords(what) != "":
		return revisionWords(what)
	case words[what] == "":
		return ""
	case what == "undo":
		return fmt.Sprintf("%d restored, %d left as they are: the list says why.", number("count"), number("left"))
	default:
		text := peopleInWords(number("count")) + " " + words[what] + "."
		if n := number("ended"); n > 0 {
			text += " " + sessionsInWords(n) + " ended."
		}
		if n := number("left"); n > 0 {
			text += " " + peopleInWords(n) + " left as they were: their identity provider, or who you are, forbids it."
		}
		return text
	}
}

// revisionWords says what was done to a revision of the mapping.
func revisionWords(what string) string {
	return map[string]string{
		"propose": "Proposed. Below stands who gains and who loses, and what is to be done next.", "decline": "Declined: whoever proposed it reads the reason.",
		"withdraw": "Withdrawn.", "apply": "In force, in every gate within a second.", "rollback": "Back in force, in every gate within a second.",
	}[what]
}

func peopleInWords(n int) string { return countOf(n, "person", "people") }

func sessionsInWords(n int) string { return countOf(n, "session", "sessions") }

func countOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// when shows a time; a script puts it into the reader's own zone.
func when(t any) template.HTML {
	var at time.Time
	switch t := t.(type) {
	case time.Time:
		at = t
	case *time.Time:
		if t != nil {
			at = *t
		}
	}
	if at.IsZero() {
		return "–"
	}
	at = at.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s UTC">%s UTC</time>`, //nolint:gosec // digits and what stands here
		at.Format(time.RFC3339), at.Format("2006-01-02 15:04:05"), at.Format("2006-01-02 15:04")))
}

// short is the beginning of a hash.
func short(hash string) string { return hash[:min(len(hash), 12)] }

// maxShown bounds a foreign text in a list, in characters.
const maxShown = 120

// clip shortens a foreign text for a list.
func clip(text string) string {
	if len(text) <= maxShown {
		return text
	}
	if runes := []rune(text); len(runes) > maxShown {
		return string(runes[:maxShown]) + "…"
	}
	return text
}
