package demo

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// adminPage is what the company's administrator sees.
type adminPage struct {
	Company, Domain, Slug string
	PortalURL, SCIMBase   string
	People                []personView
	Groups                []groupView
	LetBarredIn           bool
	Protocol              string
	SignedIn              string // at a SAML provider, in this browser
	Log                   []exchange
	About                 entry // whom Explanation is about
	Explains              bool
	Explanation           string
	Problem               string
	Done                  string
}

// button is one of the buttons on a person's card.
type button struct {
	Action, Label, Person, Name, Look string
}

// personView is a person's card. Suggest is the group that the card offers
// first: one that the person is not in.
type personView struct {
	entry

	Suggest string
}

type groupView struct {
	Name    string
	Members int
	Pushed  bool
}

// admin shows the directory, what was pushed last, and what the gate makes
// of the person whom the last change was about.
func (d *IDP) admin(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	pg := adminPage{
		Company: d.c.Company, Domain: d.c.Domain, Slug: d.slug, PortalURL: d.c.PortalURL, SCIMBase: d.c.SCIM.BaseURL,
		Log: d.dir.scim.exchanges(), Explains: d.c.Explain != nil,
	}
	d.mu.Lock()
	pg.Done, pg.Problem, d.done, d.problem = d.done, d.problem, "", ""
	d.mu.Unlock()
	d.dir.mu.Lock()
	pg.LetBarredIn = d.dir.letBarredIn
	d.dir.mu.Unlock()
	pg.Protocol = d.protocol()
	if person, _ := d.session(r); d.saml != nil && person != "" {
		if e, ok := d.dir.person(person); ok {
			pg.SignedIn = e.Name
		}
	}
	members := map[string]int{}
	for _, e := range d.dir.people() {
		v := personView{entry: e}
		for _, g := range e.Groups {
			members[g]++
		}
		for _, t := range slices.Backward(d.dir.groups()) {
			if !slices.Contains(e.Groups, t.Name) && t.Name != "Leavers" {
				v.Suggest = t.Name
			}
		}
		pg.People = append(pg.People, v)
	}
	for _, t := range d.dir.groups() {
		pg.Groups = append(pg.Groups, groupView{Name: t.Name, Members: members[t.Name], Pushed: t.scimID != ""})
	}
	if e, ok := d.dir.person(q.Get("person")); ok {
		pg.About = e
		pg.Explanation = d.explain(r.Context(), e.ID)
	}
	d.render(w, r, http.StatusOK, "idp-admin", pg)
}

func (d *IDP) explain(ctx context.Context, person string) string {
	if d.c.Explain == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	text, err := d.c.Explain(ctx, d.Subject(person))
	if err != nil {
		return "The gate gives no explanation: " + err.Error()
	}
	return text
}

// changePerson is a button on a person's card.
func (d *IDP) changePerson(w http.ResponseWriter, r *http.Request) {
	d.dir.changing.Lock()
	defer d.dir.changing.Unlock()
	e, ok := d.dir.person(r.PathValue("person"))
	if !ok {
		d.message(w, r, http.StatusNotFound, "There is nobody with that name", "The directory has changed. Go back and reload it.")
		return
	}
	done, err := d.act(r.Context(), e, r.PathValue("action"), r.PostFormValue("group"))
	d.after(w, r, e.ID, e.Name+" "+done, err)
}

// act does what a button says, and says in words what was done.
func (d *IDP) act(ctx context.Context, e entry, action, group string) (string, error) {
	known := e.scimID != ""
	switch action {
	case "push", "restore":
		return "is pushed to the gate.", d.dir.pushPerson(ctx, e)
	case "move":
		return "is now in " + group + " alone.", d.dir.move(ctx, e, group)
	case "add":
		return "is now in " + group + " too.", d.dir.join(ctx, e, group)
	case "remove":
		return "is no longer in " + group + ".", d.dir.leave(ctx, e, group)
	}
	if !known {
		return "", errors.New("the gate does not have " + e.Name + "; push them first")
	}
	switch action {
	case "deactivate":
		return "is deactivated.", d.dir.setActive(ctx, e, false)
	case "reactivate":
		return "is active again.", d.dir.setActive(ctx, e, true)
	case "delete":
		return "is deleted.", d.dir.remove(ctx, e)
	}
	return "", errors.New("there is no such action")
}

func (d *IDP) createGroup(w http.ResponseWriter, r *http.Request) {
	d.dir.changing.Lock()
	defer d.dir.changing.Unlock()
	name := strings.TrimSpace(r.PostFormValue("name"))
	d.after(w, r, "", "There is now a group "+name+". Put somebody into it.", d.dir.createGroup(r.Context(), name))
}

func (d *IDP) renameGroup(w http.ResponseWriter, r *http.Request) {
	d.dir.changing.Lock()
	defer d.dir.changing.Unlock()
	from, to := r.PostFormValue("group"), strings.TrimSpace(r.PostFormValue("name"))
	d.after(w, r, "", from+" is now called "+to+".", d.dir.renameGroup(r.Context(), from, to))
}

func (d *IDP) pushAll(w http.ResponseWriter, r *http.Request) {
	d.after(w, r, "", "Everything is pushed to the gate.", d.PushAll(r.Context()))
}

// barredSignIn says whether the provider itself turns away whom the
// directory has barred. While it does not, one sees the gate do it.
func (d *IDP) barredSignIn(w http.ResponseWriter, r *http.Request) {
	on := r.PostFormValue("allow") == "on"
	d.dir.setLetBarredIn(on)
	done := d.c.Company + " turns away whom it has deactivated or deleted."
	if on {
		done = d.c.Company + " still signs in whom it has deactivated or deleted, so that the gate has to refuse them."
	}
	d.after(w, r, "", done, nil)
}

// after goes back to the page, which then says once what happened.
func (d *IDP) after(w http.ResponseWriter, r *http.Request, person, done string, err error) {
	d.mu.Lock()
	if err != nil {
		d.done, d.problem = "", err.Error()
		d.log.WarnContext(r.Context(), "directory change not done", "error", err)
	} else {
		d.done, d.problem = done, ""
	}
	d.mu.Unlock()
	to := "/admin"
	if person != "" {
		to += "?" + url.Values{"person": {person}}.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
