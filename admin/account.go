package admin

import (
	"slices"
	"time"

	"portcullis/fault"
	"portcullis/language"
)

// accountView is somebody's own account.
type accountView struct {
	Name         string          `json:"name"`
	Email        string          `json:"email"`
	Organization string          `json:"organization"`
	Connection   string          `json:"connection"`
	Sessions     []sessionJSON   `json:"sessions"`
	SignIns      []signInJSON    `json:"signIns"`
	Chosen       preferencesJSON `json:"preferences"`
	Dates        []dateForm      `json:"-"`
	Numbers      []numberForm    `json:"-"`
	Zones        []string        `json:"-"`
	Others       int             `json:"-"` // sessions beside this one
}

// preferencesJSON is how somebody wants to read pages.
type preferencesJSON struct {
	Zone    string `json:"zone"`
	Dates   string `json:"dates"`
	Numbers string `json:"numbers"`

	Language string `json:"language"`
}

// ownSignIns is how many of their own sign-ins somebody sees.
const ownSignIns = 20

func (c *Console) account(r *request) (any, error) {
	person := r.who.PersonID
	v := &accountView{
		Name: r.who.Name, Email: r.who.Email, Organization: r.who.Organization, Connection: r.who.Connection, Sessions: []sessionJSON{},
		SignIns: []signInJSON{}, Dates: dateForms(), Numbers: numberForms(), Zones: zones(),
	}
	rows, err := c.sessions.Of(r.ctx, person)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		own := row.ID == r.who.SessionID
		v.Sessions = append(v.Sessions, sessionWire(row, own))
		if !own {
			v.Others++
		}
	}
	attempts, err := c.store.SignIns(r.ctx, SignInQuery{Person: person, Limit: ownSignIns})
	if err != nil {
		return nil, err
	}
	for _, a := range attempts {
		v.SignIns = append(v.SignIns, signInWire(a))
	}
	p, err := c.store.Preferences(r.ctx, person)
	v.Chosen = preferencesJSON(p)
	return v, err
}

// zones are offered; any other of the IANA database can be written.
func zones() []string {
	return []string{
		"UTC", "Europe/London", "Europe/Dublin", "Europe/Lisbon", "Europe/Berlin", "Europe/Paris", "Europe/Madrid", "Europe/Rome", "Europe/Zurich",
		"Europe/Vienna", "Europe/Amsterdam", "Europe/Brussels", "Europe/Luxembourg", "Europe/Stockholm", "Europe/Copenhagen", "Europe/Oslo",
		"Europe/Helsinki", "Europe/Warsaw", "Europe/Prague", "Europe/Athens", "Europe/Istanbul", "America/New_York", "America/Chicago", "America/Denver",
		"America/Los_Angeles", "America/Toronto", "America/Sao_Paulo", "Africa/Johannesburg", "Asia/Dubai", "Asia/Kolkata", "Asia/Singapore",
		"Asia/Hong_Kong", "Asia/Shanghai", "Asia/Tokyo", "Asia/Seoul", "Australia/Sydney", "Pacific/Auckland",
	}
}

func (c *Console) savePreferences(r *request) (any, error) {
	p := Preferences{Zone: r.form.Get("zone"), Dates: r.form.Get("dates"), Numbers: r.form.Get("numbers"), Language: r.form.Get("language")}
	if _, err := time.LoadLocation(p.Zone); p.Zone != "" && (err != nil || len(p.Zone) > 64 || p.Zone == "Local") {
		return nil, fault.New(fault.Invalid, "zone: want a time zone such as Europe/Berlin")
	}
	if p.Dates != "" && !slices.ContainsFunc(dateForms(), func(f dateForm) bool { return f.Name == p.Dates }) {
		return nil, fault.New(fault.Invalid, "dates: want one of those that are offered")
	}
	if p.Numbers != "" && !slices.ContainsFunc(numberForms(), func(f numberForm) bool { return f.Name == p.Numbers }) {
		return nil, fault.New(fault.Invalid, "numbers: want one of those that are offered")
	}
	if p.Language != "" && language.Named(p.Language) == nil {
		return nil, fault.New(fault.Invalid, "language: want one of those that are offered")
	}
	return done{to: "/account", Done: "preferences", Count: 1}, c.store.SavePreferences(r.ctx, r.who.PersonID, p)
}

func (c *Console) endOwnSession(r *request) (any, error) {
	err := c.sessions.EndOf(r.ctx, r.who.PersonID, r.param("session"), r.actor(), "")
	return done{to: "/account", Done: "session", Ended: 1}, err
}

// endOwnSessions ends every session of whoever asks but the one that they ask
// in.
func (c *Console) endOwnSessions(r *request) (any, error) {
	rows, err := c.sessions.Of(r.ctx, r.who.PersonID)
	if err != nil {
		return nil, err
	}
	out := done{to: "/account", Done: "own-sessions"}
	for _, row := range rows {
		if row.ID == r.who.SessionID {
			continue
		}
		err := c.sessions.EndOf(r.ctx, r.who.PersonID, row.ID, r.actor(), "")
		if err != nil && !fault.Is(err, fault.NotFound) { // it ended by itself meanwhile
			return nil, err
		}
		if err == nil {
			out.Ended++
		}
	}
	return out, nil
}
