package admin

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/mapping"
)

// Setting is what an administrator chose.
type Setting struct {
	Value   string
	Changed time.Time
	Author  string
}

// Preferences is how somebody wants to read pages. What is empty is
// not chosen.
type Preferences struct {
	Zone    string // of the IANA database
	Dates   string // one of dateForms
	Numbers string // one of numberForms
	// Language is the tag of one of [language.All].
	Language string
}

// Fact is a setting of the configuration, to be shown.
type Fact struct {
	Name  string // what it is, in words
	Value string
	Key   string // in the configuration
}

// SettingStore keeps what administrators chose for everybody, and what people chose
// for themselves.
type SettingStore interface {
	Settings(ctx context.Context) (map[string]Setting, error)
	// SaveSettings takes a choice back where its value is empty.
	SaveSettings(ctx context.Context, values map[string]string, author string, at time.Time, e audit.Event) error
	Preferences(ctx context.Context, person string) (Preferences, error)
	SavePreferences(ctx context.Context, person string, p Preferences) error
}

// word is something that is called as administrators choose.
type word struct {
	Name    string // of the setting
	Default string
	About   string
}

// vocabulary is the words that the operator may choose.
func vocabulary() []word {
	return []word{
		{"organization", "Organization", "What one client is called"},
		{"organizations", "Organizations", "Several of them"},
		{"suborganization", "Sub-organization", "What a part of a client is called"},
		{"suborganizations", "Sub-organizations", "Several of them"},
	}
}

// word gives what something is called here; where that cannot be read, what it
// is called by default.
func (c *Console) word(ctx context.Context, name string) string {
	values, err := c.settings(ctx)
	if s, ok := values[name]; ok && err == nil {
		return s.Value
	}
	for _, w := range vocabulary() {
		if w.Name == name {
			return w.Default
		}
	}
	return name
}

// naming is what the words are just now.
type naming struct {
	mu     sync.Mutex
	at     time.Time
	values map[string]Setting
}

// namingLife is how long a gate may not know of other words.
const namingLife = time.Second

// chosen gives the settings, as of the last second.
func (c *Console) settings(ctx context.Context) (map[string]Setting, error) {
	n, now := &c.looks.naming, c.now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.values != nil && now.Sub(n.at) < namingLife && !now.Before(n.at) {
		return n.values, nil
	}
	values, err := c.store.Settings(ctx)
	if err != nil {
		return nil, err
	}
	n.at, n.values = now, values
	return values, nil
}

// settingRoutes are those of the settings, and of somebody's own account.
func settingRoutes() []Route {
	get, post, put, del := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return []Route{
		{get, "/settings", get, "/settings", mapping.GateConnectionsEdit, "settings", (*Console).showSettings},
		{post, "/settings", put, "/settings", mapping.GateConnectionsEdit, "", (*Console).saveSettings},
		{get, "/account", get, "/account", Self, "account", (*Console).account},
		{post, "/account/preferences", put, "/account/preferences", Self, "", (*Console).savePreferences},
		{post, "/account/sessions/:session/end", del, "/account/sessions/:session", Self, "", (*Console).endOwnSession},
		{post, "/account/sessions/end", del, "/account/sessions", Self, "", (*Console).endOwnSessions},
	}
}

func wordNames() (names []string) {
	for _, w := range vocabulary() {
		names = append(names, w.Name)
	}
	return names
}

// settingJSON is a setting with where it comes from.
type settingJSON struct {
	Name    string     `json:"name"`
	About   string     `json:"about"`
	Value   string     `json:"value"`
	Default string     `json:"default"`
	Changed *time.Time `json:"changed"`
	Author  string     `json:"author,omitempty"`
}

// factJSON is a setting of the configuration.
type factJSON struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Key   string `json:"key"`
}

type settingsView struct {
	Settings []settingJSON `json:"settings"`
	Facts    []factJSON    `json:"configuration"`
}

func (c *Console) showSettings(r *request) (any, error) {
	values, err := c.settings(r.ctx)
	if err != nil {
		return nil, err
	}
	v := &settingsView{Facts: []factJSON{}}
	for _, w := range vocabulary() {
		s := settingJSON{Name: w.Name, About: w.About, Value: w.Default, Default: w.Default}
		if chosen, ok := values[w.Name]; ok {
			s.Value, s.Changed, s.Author = chosen.Value, optional(chosen.Changed), chosen.Author
		}
		v.Settings = append(v.Settings, s)
	}
	for _, f := range c.facts {
		v.Facts = append(v.Facts, factJSON(f))
	}
	return v, nil
}

// maxWord bounds a word, in characters.
const maxWord = 40

func (c *Console) saveSettings(r *request) (any, error) {
	values, detail := make(map[string]string), make(map[string]string)
	for _, w := range vocabulary() {
		value := strings.TrimSpace(r.form.Get(w.Name))
		if utf8.RuneCountInString(value) > maxWord || strings.ContainsFunc(value, func(c rune) bool { return !unicode.IsPrint(c) }) {
			return nil, fault.New(fault.Invalid, "%s: want a name of at most %d characters", w.Name, maxWord)
		}
		if value == w.Default {
			value = ""
		}
		values[w.Name], detail[w.Name] = value, value
	}
	now := c.now()
	err := c.store.SaveSettings(r.ctx, values, r.actor().Name, now, audit.Event{At: now, Action: audit.SettingsChanged, Actor: r.actor(), Subject: "console", Detail: detail})
	if err != nil {
		return nil, err
	}
	c.looks.naming.mu.Lock()
	c.looks.naming.values = nil
	c.looks.naming.mu.Unlock()
	return done{to: "/settings", Done: "settings", Count: 1}, nil
}
