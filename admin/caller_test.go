package admin_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
)

// maker is the operator who makes tokens.
var maker = audit.Actor{Kind: "operator", ID: "1", Name: "root"}

// program is a program with an API token of somebody, and no cookie.
func (s *somebody) program(by audit.Actor, scopes ...string) (p *somebody, token string) {
	s.w.t.Helper()
	person, err := s.w.dir.Look(s.w.t.Context(), s.id)
	if err != nil {
		s.w.t.Fatal(err)
	}
	return s.w.token(by, session.APIToken{Person: s.id, Connection: person.Person.Connection, Organization: person.Person.Organization, Scopes: scopes})
}

func (w *world) token(by audit.Actor, t session.APIToken) (p *somebody, id string) {
	w.t.Helper()
	secret, made, err := w.sessions.CreateToken(w.t.Context(), by, t, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return &somebody{w: w, id: t.Person, bearer: []string{"Bearer " + secret}}, made.ID
}

// Every route × tokens of every scope: the API is there for the task that a
// token names, and no page is.
func TestARouteIsThereForTheTokenThatNamesItsRight(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		victim := w.signIn("beta", "victim")
		boss := w.signIn("staff", "boss", tasks()...)
		everything, _ := boss.program(maker, "*")
		role, _ := boss.program(maker, "has-"+mapping.GateUsersView, "account.view")
		service, _ := w.token(maker, session.APIToken{
			Service: "export", Connection: "staff", Organization: "Staff", Groups: tasks(), Scopes: []string{mapping.GateUsersView},
		})
		poor, _ := w.signIn("staff", "poor").program(maker, tasks()...)
		bad := &somebody{w: w, cookies: boss.cookies, bearer: []string{"Bearer pct_" + strings.Repeat("a", 52)}}
		holders := map[string]*somebody{"*": everything, "role": role, "service": service, "poor": poor, "bad": bad}
		for _, task := range mapping.GateTasks() {
			holders[task.Name], _ = boss.program(maker, task.Name)
		}
		for _, route := range w.console.Routes() {
			for _, way := range ways(route, victim.id) {
				for who, s := range holders {
					if who == "bad" && strings.HasPrefix(way[1], "/.portcullis/admin") {
						continue // the cookie counts there
					}
					res := s.send(way[0], way[1], nil, strings.NewReader(""))
					right := who
					if who == "service" {
						right = mapping.GateUsersView
					}
					want := "in"
					switch {
					case !strings.HasPrefix(way[1], admin.APIPrefix), who == "bad":
						want = "401"
					case who == "*" || who == "role" || who == "poor" || route.Right == admin.Self:
						want = "404"
					case route.Right != admin.Any && route.Right != right:
						want = "403"
					}
					got, text := "in", strings.ToLower(res.text)
					switch {
					case res.StatusCode == http.StatusUnauthorized:
						got = "401"
					case res.StatusCode == http.StatusForbidden && strings.Contains(text, "you lack"):
						got = "403"
					case res.StatusCode == http.StatusNotFound && (strings.Contains(text, "nothing here for this token") || strings.Contains(text, "a program has no account")):
						got = "404"
					case res.StatusCode >= 500:
						got = res.Status + res.text
					}
					if got != want {
						t.Errorf("%s %s for %s: %s (%d %s), want %s", way[0], way[1], who, got, res.StatusCode, res.text[:min(len(res.text), 200)], want)
					}
					if header := res.Header.Get("WWW-Authenticate"); who == "bad" && !strings.Contains(header, `error="invalid_token"`) {
						t.Errorf("%s %s: WWW-Authenticate = %q", way[0], way[1], header)
					}
				}
			}
		}
	})
}

func TestATokenIsJudgedAlone(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	boss := w.signIn("staff", "boss", tasks()...)
	plain := w.signIn("acme", "plain")
	p, id := boss.program(maker, mapping.GateUsersView)
	secret := p.bearer[0]
	for name, c := range map[string]struct {
		cookies []*http.Cookie
		bearer  []string
		want    int
	}{
		"alone":                         {nil, []string{secret}, 200},
		"in small letters":              {nil, []string{"bearer" + strings.TrimPrefix(secret, "Bearer")}, 200},
		"beside a cookie with less":     {plain.cookies, []string{secret}, 200},
		"that is bad, beside a cookie":  {boss.cookies, []string{secret + "x"}, 401},
		"that is empty, beside one":     {boss.cookies, []string{"Bearer"}, 401},
		"of somebody else's, likewise":  {boss.cookies, []string{"Bearer eyJ.foreign"}, 401},
		"twice":                         {boss.cookies, []string{secret, secret}, 401},
		"behind a proxy's word":         {boss.cookies, []string{"Basic YTpi", secret}, 401},
		"none, but a proxy's, a cookie": {boss.cookies, []string{"Basic YTpi"}, 200},
		"in the session's cookie":       {[]*http.Cookie{{Name: "__Host-portcullis", Value: strings.TrimPrefix(secret, "Bearer ")}}, nil, 401},
		"that is a session's secret":    {nil, []string{"Bearer " + boss.cookies[0].Value}, 401},
	} {
		s := &somebody{w: w, cookies: c.cookies, bearer: c.bearer}
		if got := s.call(http.MethodGet, "/people", "", nil); got != c.want {
			t.Errorf("a token %s: status = %d, want %d", name, got, c.want)
		}
	}
	// The rights are those of the token, whatever the cookie has.
	both := &somebody{w: w, cookies: boss.cookies, bearer: p.bearer}
	if got := both.call(http.MethodGet, "/audit", "", nil); got != http.StatusForbidden {
		t.Errorf("what the cookie alone may: status = %d, want 403", got)
	}
	var me struct{ Kind, ID, Name, Token string }
	if p.call(http.MethodGet, "/me", "", &me); me.Kind != "person" || me.ID != boss.id || me.Token != id || me.Name != "Name of boss by API token "+id {
		t.Errorf("me = %+v", me)
	}
	if err := w.sessions.RevokeToken(t.Context(), maker, id, ""); err != nil {
		t.Fatal(err)
	}
	if got := p.call(http.MethodGet, "/people", "", nil); got != http.StatusUnauthorized {
		t.Errorf("after it was revoked: status = %d, want 401", got)
	}
}

// A token reaches as far as its owner, and the trail names both.
func TestATokenReachesAsFarAsItsOwner(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		boss := w.signIn("staff", "boss", tasks()...)
		manager := w.signIn("acme", "manager", "Admins")
		ben, eve := w.signIn("acme", "ben"), w.signIn("beta", "eve")
		far, id := boss.program(maker, mapping.GateUsersView, mapping.GateUsersLock)
		near, _ := manager.program(maker, mapping.GateUsersView, mapping.GateUsersLock)
		for range 2 { // also out of the cache
			if got := far.call(http.MethodGet, "/people/"+eve.id, "", nil); got != 200 {
				t.Errorf("of the gate's administrator: status = %d, want 200", got)
			}
			if got := near.call(http.MethodGet, "/people/"+eve.id, "", nil); got != http.StatusNotFound {
				t.Errorf("of a client's manager, elsewhere: status = %d, want 404", got)
			}
		}
		if got := near.call(http.MethodPost, "/people/"+ben.id+"/lock", `{"reason":"x"}`, nil); got != 200 {
			t.Errorf("of a client's manager, at home: status = %d, want 200", got)
		}
		if got := near.call(http.MethodPost, "/people/"+manager.id+"/lock", `{"reason":"x"}`, nil); got != http.StatusConflict {
			t.Errorf("locking its owner: status = %d, want 409", got)
		}
		if got := far.call(http.MethodPost, "/people/"+eve.id+"/lock", `{"reason":"because"}`, nil); got != 200 {
			t.Errorf("lock: status = %d", got)
		}
		e := w.events(admin.EventQuery{Action: "person.locked", Limit: 1})[0]
		if e.Actor.Kind != "person" || e.Actor.ID != boss.id || !strings.Contains(e.Actor.Name, "Name of boss") || !strings.Contains(e.Actor.Name, id) {
			t.Errorf("actor = %+v, want the person and the token", e.Actor)
		}
		// Whoever loses a right loses it in every token.
		w.signIn("staff", "boss")
		if got := far.call(http.MethodGet, "/people", "", nil); got != http.StatusNotFound {
			t.Errorf("after its owner lost every right: status = %d, want 404", got)
		}
		if got := w.signIn("staff", "boss", tasks()...).call(http.MethodPost, "/people/"+manager.id+"/lock", `{"reason":"x"}`, nil); got != 200 {
			t.Fatalf("lock: status = %d", got)
		}
		if got := near.call(http.MethodGet, "/people", "", nil); got != http.StatusUnauthorized {
			t.Errorf("of somebody who is locked: status = %d, want 401", got)
		}
	})
}

// Behind a token there are two who may be one: whose it is, and who made it.
func TestTokensAreNoSecondPersonForWhoeverMadeThem(t *testing.T) {
	w := newManagedWorld(t, storetest.SQLite(t), rules(), revision.Approval{Always: true})
	propose, approve := w.signIn("staff", "proposer", mapping.GateMappingPropose), w.signIn("staff", "approver", mapping.GateMappingApprove)
	author, _ := propose.program(maker, mapping.GateMappingPropose)
	var rev struct {
		Hash     string
		Proposal struct{ By string }
	}
	body := strings.Replace(rules(), "- {id: everybody", "- {id: all", 1)
	if got := author.call(http.MethodPost, "/mapping/propose", jsonOf(t, map[string]string{"text": body, "reason": "x"}), &rev); got != 200 {
		t.Fatalf("propose: status = %d", got)
	}
	if !strings.HasPrefix(rev.Proposal.By, "Name of proposer by API token t-") {
		t.Errorf("proposed by %q", rev.Proposal.By)
	}
	same, _ := approve.program(maker, mapping.GateMappingApprove)
	service, _ := w.token(audit.Actor{Kind: "operator", ID: "3"}, session.APIToken{
		Service: "bot", Connection: "staff", Organization: "Staff", Groups: []string{mapping.GateMappingApprove}, Scopes: []string{mapping.GateMappingApprove},
	})
	nobodys, _ := approve.program(audit.Actor{Kind: "operator"}, mapping.GateMappingApprove)
	for who, s := range map[string]*somebody{"another token of the same maker": same, "a service": service, "a token of an unknown maker": nobodys} {
		if got := s.call(http.MethodPost, "/mapping/"+rev.Hash+"/approve", "{}", nil); got != http.StatusForbidden {
			t.Errorf("approved by %s: status = %d, want 403", who, got)
		}
	}
	other, _ := approve.program(audit.Actor{Kind: "operator", ID: "2", Name: "other"}, mapping.GateMappingApprove)
	if got := other.call(http.MethodPost, "/mapping/"+rev.Hash+"/approve", "{}", nil); got != 200 {
		t.Errorf("approved by a token that somebody else made: status = %d, want 200", got)
	}
}

// The document says which ways in there are, and that a token has no account.
func TestTheDocumentDescribesTokens(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	var d struct {
		Security []map[string][]string
		Paths    map[string]map[string]struct {
			Right    string `json:"x-right"`
			Security []map[string][]string
		}
		Components struct {
			SecuritySchemes map[string]struct{ Type, Scheme, Name string }
		}
	}
	w.signIn("staff", "ada", tasks()...).call(http.MethodGet, "/openapi.json", "", &d)
	if s := d.Components.SecuritySchemes["token"]; s.Type != "http" || s.Scheme != "bearer" {
		t.Errorf("scheme = %+v", s)
	}
	ways := func(list []map[string][]string) (names []string) {
		for _, one := range list {
			for name := range one {
				names = append(names, name)
			}
		}
		return names
	}
	if got := ways(d.Security); !slices.Equal(got, []string{"session", "token"}) {
		t.Errorf("security = %v", got)
	}
	for path, methods := range d.Paths {
		for method, op := range methods {
			if got, want := slices.Contains(ways(op.Security), "session") && len(op.Security) == 1, op.Right == admin.Self; got != want {
				t.Errorf("%s %s: for sessions alone = %v, want %v", method, path, got, want)
			}
		}
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
