package login_test

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"portcullis/login"
	"portcullis/oidc"
	"portcullis/trace"
)

const (
	objectID  = "0a1b2c3d-0000-4000-8000-000000000002"
	groupPath = "/v1.0/users/" + objectID + "/transitiveMemberOf/microsoft.graph.group"
	claimBase = "http://schemas.microsoft.com/identity/claims/"
)

// entraSAML is a tenant of Microsoft Entra ID whose people sign in over SAML,
// with a person of too many groups; grant is what lets the gate read them.
func entraSAML(t *testing.T, pages http.HandlerFunc) (p *samlIDP, grant *idp, g *gate) {
	t.Helper()
	grant = newIDP(t)
	grant.tenant = tenantID
	grant.handle(groupPath, pages)
	p = newSAMLIDP(t)
	p.idp.MetadataURL.Path = "/" + tenantID + "/"
	p.person.CustomAttributes = p.person.CustomAttributes[1:] // no groups
	p.add(
		attribute("http://schemas.microsoft.com/claims/groups.link", "https://evil.example/steal"),
		attribute(claimBase+"tenantid", tenantID), attribute(claimBase+"objectidentifier", objectID),
	)
	g = newGate(t, p.connection("acme", func(s *login.SAML) {
		s.Graph = &login.Graph{URL: grant.server.URL + "/v1.0", Provider: oidc.Config{
			Issuer: grant.issuer(), ClientID: grant.client.id, ClientSecret: grant.client.secret,
		}}
	}))
	grant.now = g.now
	return p, grant, g
}

// busyPages answers with pages of two groups, and is throttled before each.
func busyPages(t *testing.T, base func() string) http.HandlerFunc {
	t.Helper()
	throttled := map[string]bool{}
	return func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("$skiptoken"))
		if r.Header.Get("Authorization") == "" || r.URL.Query().Get("$select") != "id" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if !throttled[r.URL.RawQuery] {
			throttled[r.URL.RawQuery] = true
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		page := map[string]any{"value": []any{
			map[string]any{"id": "g-" + strconv.Itoa(from)}, map[string]any{"id": "g-" + strconv.Itoa(from+1)},
		}}
		if from < 4 {
			page["@odata.nextLink"] = base() + groupPath + "?" + url.Values{"$select": {"id"}, "$skiptoken": {strconv.Itoa(from + 2)}}.Encode()
		}
		writeJSON(w, http.StatusOK, page)
	}
}

func TestGroupsBeyondTheAssertionComeFromTheDirectory(t *testing.T) {
	var grant *idp
	_, grant, g := entraSAML(t, busyPages(t, func() string { return grant.server.URL }))
	if answer := newBrowser(t).samlSignIn(g, "/.portcullis/sign-in"); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("answer %d\n%s", answer.StatusCode, answer.body)
	}
	a, r := g.people.last(t), g.traces.last(t)
	if want := []string{"g-0", "g-1", "g-2", "g-3", "g-4", "g-5"}; a.GroupsIncomplete || !slices.Equal(a.Groups, want) || a.Subject != objectID {
		t.Errorf("assertion = %+v, want groups %v", a, want)
	}
	if !slices.Contains(r.Notes, trace.Overage) || !slices.ContainsFunc(r.Checks, func(c trace.Check) bool {
		return c.Name == "groups beyond the token" && c.OK
	}) {
		t.Errorf("trace: notes %v, checks %v", r.Notes, r.Checks)
	}
	if grant.count(groupPath) != 6 || grant.requests[0].Get("scope") != grant.server.URL+"/.default" {
		t.Errorf("%d requests for groups, token asked for with %v", grant.count(groupPath), grant.requests)
	}
}

func TestGroupsBeyondTheAssertionStayUnknownWithoutAnAnswer(t *testing.T) {
	fine := func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"value": []any{map[string]any{"id": "g-1"}}})
	}
	for name, tc := range map[string]struct {
		pages  http.HandlerFunc
		person func(*samlIDP)
		grant  func(*idp)
	}{
		"not granted": {pages: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }},
		"throttled for long": {pages: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
		}},
		"away":            {pages: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		"no access token": {pages: fine, grant: func(p *idp) { p.client.secret = "another" }},
		"no object id":    {pages: fine, person: func(p *samlIDP) { p.drop(claimBase + "objectidentifier") }},
		"no tenant":       {pages: fine, person: func(p *samlIDP) { p.drop(claimBase + "tenantid") }},
		"two object ids": {pages: fine, person: func(p *samlIDP) {
			p.drop(claimBase + "objectidentifier")
			p.add(attribute(claimBase+"objectidentifier", objectID, "x"))
		}},
		"somebody of elsewhere": {pages: fine, person: func(p *samlIDP) { p.drop(claimBase + "tenantid"); p.add(attribute(claimBase+"tenantid", "elsewhere")) }},
		"an object id with more": {pages: fine, person: func(p *samlIDP) {
			p.drop(claimBase + "objectidentifier")
			p.add(attribute(claimBase+"objectidentifier", objectID+"/x"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p, grant, g := entraSAML(t, tc.pages)
			if tc.person != nil {
				tc.person(p)
			}
			if tc.grant != nil {
				tc.grant(grant)
			}
			if answer := newBrowser(t).samlSignIn(g, "/.portcullis/sign-in"); answer.StatusCode != http.StatusSeeOther {
				t.Fatalf("answer %d\n%s", answer.StatusCode, answer.body)
			}
			a, r := g.people.last(t), g.traces.last(t)
			if !a.GroupsIncomplete || len(a.Groups) != 0 {
				t.Errorf("assertion = %+v", a)
			}
			if !slices.ContainsFunc(r.Checks, func(c trace.Check) bool { return c.Name == "groups beyond the token" && !c.OK }) {
				t.Errorf("checks = %v", r.Checks)
			}
			if strings.Contains(g.log.String(), "evil.example") {
				t.Error("the endpoint of the assertion was looked at")
			}
		})
	}
}
