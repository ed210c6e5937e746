package proxy

import (
	"net/http"
	"net/url"
	"time"

	"portcullis/fault"
	"portcullis/session"
	"portcullis/web"
)

// forParameter names the page that a sign-in is for, where it is not the one
// to return to: the sign-in asks the identity provider for what that page
// demands.
const forParameter = "for"

// demand joins what the rules ask of a sign-in. Where two rules name classes
// both are asked for; each is checked on its own.
func (a access) demand() (d session.Demand) {
	for _, r := range a.needs {
		d.ACR = append(d.ACR, r.Demand.ACR...)
		if age := r.Demand.MaxAge; age > 0 && (d.MaxAge == 0 || age < d.MaxAge) {
			d.MaxAge = age
		}
	}
	return d
}

// unmet says what the sign-in of somebody lacks for what the rules ask, and
// "" if it lacks nothing.
func (a access) unmet(who *session.Principal, now time.Time) string {
	for _, r := range a.needs {
		if why := who.Unmet(r.Demand, now); why != "" {
			return why
		}
	}
	return ""
}

// Demand is what a local path and query asks of a sign-in, for package login.
// A path that is not one asks for nothing.
func (p *Proxy) Demand(page string) session.Demand {
	u, err := url.ParseRequestURI(page)
	if err != nil {
		return session.Demand{}
	}
	path, host := p.demandedAt(u)
	g := new(passage)
	if err := p.pass(g, path, host, http.MethodGet); err != nil {
		return session.Demand{}
	}
	return p.accessTo(&target{passage: g, method: http.MethodGet}).demand()
}

// stepUp sends somebody back to their identity provider, since their sign-in
// lacks what the page asks for. A script reads where a person can do that.
func (p *Proxy) stepUp(t *target, who *session.Principal, demand session.Demand, why string) verdict {
	begin := signInPath + "/" + url.PathEscape(who.Connection)
	back := begin + "?return_to=" + url.QueryEscape(t.path+t.query)
	begin += "?" + forParameter + "=" + url.QueryEscape(t.path)
	members := map[string]any{"sign_in": p.originAt(t.host) + begin, "error": "insufficient_user_authentication"} // RFC 9470, section 3
	if len(demand.ACR) > 0 {
		members["acr_values"] = demand.ACR
	}
	if demand.MaxAge > 0 {
		members["max_age"] = int64(demand.MaxAge.Seconds())
	}
	return verdict{signIn: back, err: &web.Failure{
		Err: fault.New(fault.Unauthenticated, "%s", why), Link: web.Link{Text: "Sign in again", URL: begin}, Members: members,
		Advice: "Sign in again to go on.",
	}}
}

// navigates reports whether a browser asks for a page, so that it can follow
// a redirect and come back.
func navigates(r *http.Request) bool {
	return r.Header.Get("Upgrade") == "" && web.WantsPage(r) && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}
