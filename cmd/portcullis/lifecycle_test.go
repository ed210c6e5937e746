package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// becomes waits until somebody who is signed in has these roles.
func (b *browser) becomes(t *testing.T, what string, roles ...string) {
	t.Helper()
	took := eventually(t, what, patience, func() bool {
		status, who := b.whoami(t)
		return status == http.StatusOK && cmp.Equal(who.Roles, roles)
	})
	t.Logf("%s: after %s", what, took)
}

func (p *pusher) patch(t *testing.T, want int, path, ops string) {
	t.Helper()
	p.must(t, want, http.MethodPatch, path, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":`+ops+`}`)
}

func groupJSONOf(name, member string) string {
	return `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"` + name + `","members":[{"value":"` + member + `"}]}`
}

// Somebody signs in, is pushed afterwards, is renamed, gains and loses rights
// by pushed groups, and comes back under the same name after a deletion: each
// step is seen by the session that is open.
func TestALifeOverSCIM(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, terrain{database: database})
			w.start(t)
			p := w.pusher(t)
			b := w.browser(t)
			b.mustSignIn(t, "ben")
			b.becomes(t, "signed in before being pushed", "viewer")

			group := p.must(t, http.StatusCreated, http.MethodPost, "/Groups", groupJSONOf("Pushed-Managers", "alpha-ben"))
			if _, who := b.whoami(t); !cmp.Equal(who.Roles, []string{"viewer"}) {
				t.Errorf("roles = %v, want viewer: nobody is in the group yet", who.Roles)
			}
			id := p.user(t, "ben")
			b.becomes(t, "the person joins the group that was pushed before", "manager", "viewer")
			var people []userJSON
			if err := json.Unmarshal([]byte(w.cli(t, exitFine, "user", "list", "--json")), &people); err != nil {
				t.Fatal(err)
			}
			if len(people) != 1 || people[0].ID != id {
				t.Errorf("people = %+v, want one: who signed in and who was pushed", people)
			}

			p.patch(t, http.StatusOK, "/Users/"+id, `[{"op":"replace","value":{"userName":"renamed@alpha.example","displayName":"Renamed"}}]`)
			eventually(t, "the new name is shown", patience, func() bool {
				status, who := b.whoami(t)
				return status == http.StatusOK && who.Name == "Renamed"
			})

			p.patch(t, http.StatusNoContent, "/Groups/"+group, `[{"op":"replace","path":"displayName","value":"Others"}]`)
			b.becomes(t, "the group has a name that no rule knows", "viewer")
			p.patch(t, http.StatusNoContent, "/Groups/"+group, `[{"op":"replace","path":"displayName","value":"Pushed-Managers"}]`)
			b.becomes(t, "the group has its name again", "manager", "viewer")
			p.must(t, http.StatusNoContent, http.MethodDelete, "/Groups/"+group, "")
			b.becomes(t, "the group is deleted", "viewer")

			losing(t, b, "deletion", func() { p.must(t, http.StatusNoContent, http.MethodDelete, "/Users/"+id, "") })
			again := p.must(t, http.StatusCreated, http.MethodPost, "/Users", userJSONOf("alpha-ben", "renamed@alpha.example"))
			if again == id {
				t.Errorf("the id %s is used again", id)
			}
			b.mustSignIn(t, "ben")
			b.becomes(t, "created again under the same name", "viewer")
		})
	}
}

// Two clients may have somebody of the same name: neither can touch the
// other's.
func TestOneUserNameAtTwoConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	text, err := os.ReadFile(filepath.Join(w.dir, "portcullis.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "portcullis.yaml", string(text)+`  - {id: beta, oidc: {issuer: "http://`+w.idpAddress+`", client_id: portcullis, client_secret_file: idp.secret}, scim: {enabled: true}}`+"\n")
	w.start(t)
	alpha := w.pusher(t)
	beta := &pusher{
		base: w.public + "/scim/v2/beta", http: alpha.http,
		token: strings.TrimSpace(w.cli(t, exitFine, "token", "create", "--connection", "beta")),
	}
	mine, theirs := alpha.user(t, "ada"), beta.user(t, "ada")
	b := w.browser(t)
	if s := b.signIn(t, "ada", "/.portcullis/sign-in/alpha"); s.status != http.StatusOK {
		t.Fatalf("sign-in = %d at %s", s.status, s.url)
	}
	beta.active(t, theirs, "False")
	beta.must(t, http.StatusNotFound, http.MethodDelete, "/Users/"+mine, "")
	beta.must(t, http.StatusNoContent, http.MethodDelete, "/Users/"+theirs, "")
	if status, _ := b.whoami(t); status != http.StatusOK {
		t.Errorf("whoami = %d, want 200: it was the other client's person who went", status)
	}
	alpha.active(t, mine, "False")
	eventually(t, "the own client's deactivation is seen", patience, func() bool {
		status, _ := b.whoami(t)
		return status == http.StatusUnauthorized
	})
}

// A client's access token works until the client is revoked, and no longer,
// whichever gate is asked.
func TestARevokedClientIsOutOnEveryReplica(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, terrain{database: database})
			w.start(t)
			second := w.replicate(t)
			second.start(t)
			var client tokenJSON
			if err := json.Unmarshal([]byte(w.cli(t, exitFine, "token", "create", "--connection", "alpha", "--oauth", "--json")), &client); err != nil {
				t.Fatal(err)
			}
			res, err := quick.PostForm(client.Endpoint, url.Values{
				"grant_type": {"client_credentials"}, "client_id": {client.ID}, "client_secret": {client.Secret}, "scope": {"scim"},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			raw, err := io.ReadAll(res.Body)
			var granted struct {
				Token string `json:"access_token"`
			}
			if err != nil || json.Unmarshal(raw, &granted) != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("token endpoint = %d %s, %v", res.StatusCode, raw, err)
			}
			one := &pusher{w.public + "/scim/v2/alpha", granted.Token, quick}
			two := &pusher{second.public + "/scim/v2/alpha", granted.Token, quick}
			one.user(t, "ada")
			two.must(t, http.StatusOK, http.MethodGet, "/Users?count=0", "")
			w.cli(t, exitFine, "token", "revoke", client.ID)
			took := eventually(t, "both gates refuse its token", patience, func() bool {
				first, _, _ := one.try(http.MethodGet, "/Users", "")
				second, _, _ := two.try(http.MethodGet, "/Users", "")
				return first == http.StatusUnauthorized && second == http.StatusUnauthorized
			})
			t.Logf("refused everywhere %s after it was revoked", took)
		})
	}
}
