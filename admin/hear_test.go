package admin_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/mapping"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/web"
)

// slow is a body that takes its time: something happens before it comes.
type slow struct {
	io.Reader

	meanwhile func()
}

func (s *slow) Read(b []byte) (int, error) {
	if s.meanwhile != nil {
		s.meanwhile()
		s.meanwhile = nil
	}
	return s.Reader.Read(b)
}

// Whoever's time is over when the body has come does nothing, on whatever
// route; of a stranger no byte is read.
func TestWhoAsksIsJudgedOnceTheBodyIsThere(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	var tasks []string
	for _, task := range mapping.GateTasks() {
		tasks = append(tasks, task.Name)
	}
	began, mate := w.now, w.signIn("acme", "mate")
	all, link, manager := w.signIn("staff", "ada", tasks...), w.open(), w.signIn("acme", "manager", "Admins")
	it, orders := w.setup(all, "acme"), 0
	for _, route := range w.console.Routes() {
		who := map[string]*somebody{"somebody": all, "a link": link, "a manager": manager}
		if route.Right == admin.Setup {
			who = map[string]*somebody{"a setup link": it}
		}
		for _, way := range ways(route, mate.id) {
			if way[0] == http.MethodGet {
				continue
			}
			orders++
			header := navigates.Clone()
			if strings.HasPrefix(way[1], web.ConsolePrefix) {
				header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			for name, s := range who {
				res := s.send(way[0], way[1], header, &slow{strings.NewReader(""), func() { w.now = began.Add(100 * time.Hour) }})
				late := w.now != began
				if w.now = began; late && res.StatusCode != http.StatusUnauthorized {
					t.Errorf("%s %s by %s, whose time was over: %d %.200s", way[0], way[1], name, res.StatusCode, res.text)
				}
				if !late && name != "a manager" && name != "a link" {
					t.Errorf("%s %s by %s is not read: %d", way[0], way[1], name, res.StatusCode)
				}
			}
			res := w.nobody().send(way[0], way[1], header, &slow{strings.NewReader(""), func() { t.Errorf("%s %s: what a stranger sends is read", way[0], way[1]) }})
			if res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s %s by nobody: %d, want 401", way[0], way[1], res.StatusCode)
			}
		}
	}
	if orders < 60 {
		t.Errorf("only %d ways to do something", orders)
	}
}

// Whoever is moved while their order comes has the reach that they have then.
func TestAManagerWhoIsMovedMeanwhileReachesNobodyOutside(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		unit := w.unit("", "Branch")
		for name, order := range map[string]func(by, about *somebody, body io.Reader) answer{
			"a call": func(by, about *somebody, body io.Reader) answer {
				return by.send(http.MethodPost, admin.APIPrefix+"/people/"+about.id+"/lock", nil, body)
			},
			"a form": func(by, about *somebody, body io.Reader) answer {
				header := navigates.Clone()
				header.Set("Content-Type", "application/x-www-form-urlencoded")
				return by.send(http.MethodPost, web.ConsolePrefix+"/people/"+about.id+"/lock", header, body)
			},
		} {
			manager, mate := w.signIn("acme", "manager of "+name, "Admins"), w.signIn("acme", "mate of "+name)
			text := map[string]string{"a call": `{"reason":"x"}`, "a form": "reason=x&confirmed=yes"}[name]
			if res := order(manager, mate, &slow{strings.NewReader(text), func() { w.place(manager, unit) }}); res.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d %.200s, want 404", name, res.StatusCode, res.text)
			}
			p, err := w.dir.Look(t.Context(), mate.id)
			if err != nil {
				t.Fatal(err)
			}
			if p.Person.Locked != nil {
				t.Errorf("%s: a manager of one part locked somebody outside of it", name)
			}
		}
	})
}

// What ends a setup link ends what is on its way over it.
func TestAFreezeMeanwhileLeavesASetupLinkNoToken(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		it := w.setup(w.signIn("staff", "ada", mapping.GateConnectionsEdit, mapping.GateTokensEdit), "acme")
		header := navigates.Clone()
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		res := it.send(http.MethodPost, web.ConsolePrefix+"/setup/acme/tokens", header, &slow{strings.NewReader("note=push"), func() {
			if _, err := w.dir.Freeze(t.Context(), root, "Acme", "broken into"); err != nil {
				t.Fatal(err)
			}
		}})
		if res.StatusCode != http.StatusUnauthorized || strings.Contains(res.text, "pcs_") {
			t.Errorf("a token by a link that the freeze ended: %d %.200s, want 401", res.StatusCode, res.text)
		}
	})
}
