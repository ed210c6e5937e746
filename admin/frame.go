package admin

import (
	"embed"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"portcullis/count"
	"portcullis/mapping"
	"portcullis/web"
)

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

// frame is what the layout sees.
type frame struct {
	Nav    []navGroup
	Name   string // of the visitor; empty where nobody is known yet
	Glass  bool   // by a one-time link
	Setup  bool   // by a setup link
	People bool   // the visitor may see some, which their account menu says
	Until  time.Time
	Notice string // what was done
	View   any
}

// navGroup is what of the navigation belongs together.
type navGroup struct {
	Title string // empty for the first page
	Links []navLink
}

type navLink struct {
	Title, Path string
	Here        bool
}

// frame puts a page in its surroundings: what the visitor may go to.
func (c *Console) frame(r *request, view any) frame {
	f := frame{View: view, Name: r.actor().Name, Notice: notice(r.gin.Request.URL.Query())}
	if r.link != nil {
		f.Glass, f.Setup, f.Until = r.link.Connection == "", r.link.Connection != "", r.link.Expires
	}
	if f.Setup {
		return f // there is nowhere else to go
	}
	_, f.People = r.within(mapping.GateUsersView)
	at := strings.TrimPrefix(r.gin.Request.URL.Path, web.ConsolePrefix)
	for _, l := range []struct{ group, title, path, right string }{
		{"", "Home", "/", Any},
		{"People", "People", "/people", mapping.GateUsersView},
		{"People", c.word(r.ctx, "organizations"), "/organizations", mapping.GateUsersView},
		{"People", "Sign-ins", "/sign-ins", mapping.GateAuditView},
		{"People", "Provisioning", "/provisioning", mapping.GateAuditView},
		{"Rights", "Roles", "/roles", mapping.GateMappingView},
		{"Rights", "Data", "/permission-groups", mapping.GateMappingView},
		{"Rights", "Mapping", "/mapping", mapping.GateMappingView},
		{"Rights", "Approvals", "/approvals", mapping.GateMappingView},
		{"Rights", "Access", "/access", mapping.GateAuditView},
		{"Connections", "Connections", everyones.path, mapping.GateConnectionsEdit},
		{"Connections", "My connections", ones.path, mapping.GateConnectionsOwn},
		{"Connections", "Tokens", "/tokens", mapping.GateTokensEdit},
		{"Gate", "Audit", "/audit", mapping.GateAuditView},
		{"Gate", "Settings", "/settings", mapping.GateConnectionsEdit},
	} {
		if l.right != Any {
			if _, ok := r.within(l.right); !ok || l.path == ones.path && !r.belongs() {
				continue
			}
		} else if len(r.tasks) == 0 {
			continue
		}
		if n := len(f.Nav); n == 0 || f.Nav[n-1].Title != l.group {
			f.Nav = append(f.Nav, navGroup{Title: l.group})
		}
		in := &f.Nav[len(f.Nav)-1]
		in.Links = append(in.Links, navLink{l.title, web.ConsolePrefix + l.path, at == l.path || l.path != "/" && strings.HasPrefix(at, l.path+"/")})
	}
	if len(r.tasks) == 0 {
		f.Nav = []navGroup{{"", []navLink{{"My account", web.ConsolePrefix + "/account", at == "/account"}}}}
	}
	return f
}

// notice says what was done, in words of ours alone: anybody can write a link.
func notice(q url.Values) string {
	words := map[string]string{
		"lock": "locked", "unlock": "unlocked", "deactivate": "deactivated", "reactivate": "reactivated", "delete": "deleted",
		"sign-out": "signed out", "undo": "restored", "place": "moved",
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
	case connectionNotices()[what] != "":
		return connectionNotices()[what] + endedWords(number("ended"))
	case unitNotices()[what] != "":
		return unitNotices()[what] + endedWords(number("ended"))
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
		text := count.People(number("count")) + " " + words[what] + "." + endedWords(number("ended"))
		if n := number("left"); n > 0 {
			text += " " + count.People(n) + " left as they were: their identity provider, or who you are, forbids it."
		}
		return text
	}
}

// endedWords says how many sessions ended, if any did.
func endedWords(n int) string {
	if n == 0 {
		return ""
	}
	return " " + count.Sessions(n) + " ended."
}

// unitNotices says what was done to an organization or to a part of one.
func unitNotices() map[string]string {
	return map[string]string{
		"unit-added": "Added.", "unit-renamed": "Renamed.", "unit-moved": "Moved, with everybody below it.", "unit-removed": "Removed.",
		"unit-frozen": "Frozen, with everybody below it.", "unit-unfrozen": "Unfrozen: its people can sign in again.",
		"organization-frozen": "Frozen: nobody of it comes in.", "organization-unfrozen": "Unfrozen: its people can sign in again.",
	}
}

// revisionWords says what was done to a revision of the mapping.
func revisionWords(what string) string {
	return map[string]string{
		"propose": "Proposed. Below stands who gains and who loses, and what is to be done next.", "decline": "Declined: whoever proposed it reads the reason.",
		"withdraw": "Withdrawn.", "apply": "In force, in every gate within a second.", "rollback": "Back in force, in every gate within a second.",
	}[what]
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
