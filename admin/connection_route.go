package admin

import (
	"net/http"
	"strings"

	"portcullis/mapping"
)

// serving is what does the work of a route.
type serving = func(*Console, *request) (any, error)

// connectionRoutes are those about connections: once for the gate's
// administrators, once for whoever may see to their own, and once for whoever
// holds a setup link.
func connectionRoutes() []Route {
	get, post, put, del := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	edit, tokens, own := mapping.GateConnectionsEdit, mapping.GateTokensEdit, mapping.GateConnectionsOwn
	const one = "/connections/:connection"
	routes := []Route{
		{get, "/connections.csv", "", "", edit, "", (*Console).fleetCSV},
		{get, "/new-connection", "", "", edit, "connection-new", (*Console).newConnection},
		{post, "/connections", post, "/connections", edit, "connection-new", (*Console).createConnection},
		{get, one + "/settings", get, one + "/settings", edit, "connection-settings", (*Console).connectionSettings},
		{post, one + "/settings", put, one + "/settings", edit, "connection-settings", (*Console).changeConnection},
		{get, one + "/remove", "", "", edit, "connection-remove", (*Console).askRemove},
		{post, one + "/remove", del, one, edit, "", (*Console).removeConnection},
		{post, one + "/setup-link", post, one + "/setup-link", edit, "setup-link", (*Console).makeSetupLink},
		{get, "/tokens", get, "/tokens", tokens, "tokens", (*Console).allTokens},
		{get, "/tokens.csv", "", "", tokens, "", (*Console).tokensCSV},
		{post, theirs.path + "/close", "", "", Setup, "setup-closed", (*Console).closeSetup},
	}
	for _, r := range cornerRoutes(theirs.path, Setup, Setup, Setup, func(f serving) serving { return f }) {
		if r.Page != theirs.path { // there is one connection, and no list
			r.Verb, r.API = "", "" // the API is for programs and for whoever is signed in
			routes = append(routes, r)
		}
	}
	routes = append(routes, cornerRoutes(everyones.path, edit, tokens, mapping.GateAuditView, func(f serving) serving { return f })...)
	return append(routes, cornerRoutes(ones.path, own, own, own, func(f serving) serving {
		return func(c *Console, r *request) (any, error) {
			r.own = true
			return f(c, r)
		}
	})...)
}

// cornerRoutes are those of one of the two corners, with the rights to see to
// connections, to their tokens, and to who signed in.
func cornerRoutes(at, see, tokens, traces string, in func(serving) serving) []Route {
	get, post, put, del := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	one := at + "/:connection"
	return []Route{
		{get, at, get, at, see, "connections", in((*Console).fleet)},
		{get, one, get, one, see, "connection", in((*Console).connectionOverview)},
		{get, one + "/setup", get, one + "/setup", see, "connection-setup", in((*Console).connectionSetup)},
		{post, one + "/provider", put, one + "/provider", see, "connection-setup", in((*Console).changeProvider)},
		{get, one + "/scim", get, one + "/scim", see, "connection-scim", in((*Console).connectionSCIM)},
		{post, one + "/tokens", post, one + "/tokens", tokens, "token", in((*Console).createToken)},
		{post, one + "/tokens/:token/revoke", del, one + "/tokens/:token", tokens, "", in((*Console).revokeToken)},
		{post, one + "/rollover", post, one + "/rollover", see, "", in((*Console).rollover)},
		{post, one + "/metadata/approve", post, one + "/metadata/approve", see, "", in((*Console).approveMetadata)},
		{post, one + "/tests", post, one + "/tests", see, "connection-test", in((*Console).beginTest)},
		{get, one + "/tests/:test", get, one + "/tests/:test", see, "connection-test", in((*Console).testResult)},
		{get, one + "/sign-ins", get, one + "/sign-ins", traces, "connection-sign-ins", in((*Console).connectionSignIns)},
		{get, one + "/sign-ins/:reference", get, one + "/sign-ins/:reference", traces, "sign-in", in((*Console).connectionSignIn)},
	}
}

// membersOf are the members of what a script sends to a route; nil are those
// of an order about people.
func membersOf(route *Route) []string {
	_, after, _ := strings.Cut(route.API, ":connection")
	switch {
	case route.API == "/connections":
		return append(settingNames(), providerNames()...)
	case route.API == "/settings":
		return wordNames()
	case strings.HasPrefix(route.API, "/organizations/"):
		return []string{"organization"}
	case route.API == "/sub-organizations":
		return []string{"organization", "below", "name"}
	case strings.HasPrefix(route.API, "/sub-organizations/"):
		return []string{"below", "name"}
	case route.API == "/account/preferences":
		return []string{"zone", "dates", "numbers", "language"}
	case after == "/settings":
		return append(settingNames(), "version")
	case after == "/provider":
		return append(providerNames(), "version")
	case after == "/metadata/approve":
		return []string{"waiting"}
	case after == "/tokens":
		return []string{"note", "days"}
	case strings.HasSuffix(route.API, "/connections/:connection"): // to remove it
		return []string{"shadowed"}
	case strings.Contains(route.API, "/:connection"), strings.HasPrefix(route.API, "/account/"):
		return []string{}
	default:
		return nil
	}
}
