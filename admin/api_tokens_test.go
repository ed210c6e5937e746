package admin_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/mapping"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
)

// tokenOf makes an API token with scopes; of no person it is a service's.
func (w *world) tokenOf(person, connection, organization string, scopes ...string) (id string, program *somebody) {
	w.t.Helper()
	t := session.APIToken{Person: person, Connection: connection, Organization: organization, Scopes: scopes, Note: "n"}
	if person == "" {
		t.Service, t.Groups = "nightly", []string{mapping.GateUsersView}
	}
	w.now = w.now.Add(time.Second)
	secret, made, err := w.sessions.CreateToken(w.t.Context(), audit.Actor{Kind: "operator", ID: "1", Name: "root"}, t, 24*time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	return made.ID, &somebody{w: w, id: person, bearer: []string{"Bearer " + secret}}
}

// idsOf lists the tokens that somebody sees, page by page.
func idsOf(t *testing.T, s *somebody, limit string) (ids []string, everyone bool) {
	t.Helper()
	for after := ""; ; {
		var v struct {
			Tokens   []struct{ ID, State string }
			Next     string
			Everyone bool
		}
		if status := s.call(http.MethodGet, "/api-tokens?limit="+limit+"&after="+after, "", &v); status != http.StatusOK {
			t.Fatalf("status = %d", status)
		}
		for _, x := range v.Tokens {
			ids = append(ids, x.ID)
		}
		if after = v.Next; after == "" {
			return ids, v.Everyone
		}
	}
}

// Whoever may not see to tokens sees and ends their own, and a program those
// of whom it stands for.
func TestAPITokensAreOnesOwnOrEverybodys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		ada := w.signIn("staff", "ada", mapping.GateUsersView)
		boss := w.signIn("staff", "boss", mapping.GateTokensEdit)
		manager := w.signIn("acme", "manager", "Admins") // of tokens, too, but for Acme alone
		adas, program := w.tokenOf(ada.id, "staff", "Staff", mapping.GateUsersView)
		second, _ := w.tokenOf(ada.id, "staff", "Staff", "viewer")
		his, _ := w.tokenOf(manager.id, "acme", "Acme", "viewer")
		nightly, service := w.tokenOf("", "staff", "Staff", mapping.GateUsersView)
		all := []string{adas, second, his, nightly}
		for _, tc := range []struct {
			name string
			who  *somebody
			want []string
			all  bool
		}{
			{"ada", ada, all[:2], false},
			{"her program", program, all[:2], false},
			{"a manager", manager, all[2:3], false},
			{"a service", service, all[3:], false},
			{"who sees to tokens", boss, all, true},
			{"who has a link", w.open(), all, true},
		} {
			for _, limit := range []string{"1", "3", "1000"} {
				if got, everyone := idsOf(t, tc.who, limit); !slices.Equal(got, tc.want) || everyone != tc.all {
					t.Errorf("%s, %s at a time: %v, all: %v, want %v", tc.name, limit, got, everyone, tc.want)
				}
			}
			for _, id := range all {
				if slices.Contains(tc.want, id) {
					continue
				}
				res := tc.who.send(http.MethodDelete, "/.portcullis/api/v1/api-tokens/"+id, nil, strings.NewReader(""))
				if res.StatusCode != http.StatusNotFound || !strings.Contains(strings.ToLower(res.text), "no such token") {
					t.Errorf("%s ends the token of another: %d %s", tc.name, res.StatusCode, res.text)
				}
			}
		}
		if status := ada.call(http.MethodGet, "/api-tokens?after=x", "", nil); status != http.StatusBadRequest {
			t.Errorf("after nothing: status = %d, want 400", status)
		}
		if status := program.call(http.MethodPost, "/api-tokens", `{}`, nil); status != http.StatusNotFound {
			t.Errorf("a token makes another: status = %d, want 404", status)
		}
		if status := program.call(http.MethodDelete, "/api-tokens/"+adas, `{"reason": "lost"}`, nil); status != http.StatusOK {
			t.Errorf("a program ends its own token: status = %d", status)
		}
		if status := program.call(http.MethodGet, "/me", "", nil); status != http.StatusUnauthorized {
			t.Errorf("a revoked token: status = %d, want 401", status)
		}
		var v struct{ Tokens []struct{ State string } }
		if boss.call(http.MethodGet, "/api-tokens", "", &v); len(v.Tokens) != 4 || v.Tokens[0].State != "revoked" || v.Tokens[1].State != "live" {
			t.Errorf("tokens = %+v, want the first revoked", v)
		}
		if w.now = w.now.Add(25 * time.Hour); boss.call(http.MethodDelete, "/api-tokens/"+his, "", nil) == http.StatusOK {
			t.Error("the session outlived its day") // so that what follows is asked anew
		}
		if w.signIn("staff", "boss", mapping.GateTokensEdit).call(http.MethodGet, "/api-tokens", "", &v); v.Tokens[1].State != "expired" {
			t.Errorf("tokens = %+v, want the second expired", v)
		}
	})
}
