package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/web"
)

// APIPrefix is the path below which the API is.
const APIPrefix = web.Prefix + "/api/v1"

// Any is the right of whoever has any right at all.
const Any = "any"

// Self is the right of whoever is signed in, for what is their own.
const Self = "self"

// Setup is the right of whoever holds what a setup link opened, and of nobody
// else, whatever they may do.
const Setup = "setup"

// Route is one thing that the console does. It has a page, a counterpart in
// the API, or both; the right is that of both.
type Route struct {
	Method string // of the page: GET, or POST for a form
	Page   string // path below [web.ConsolePrefix]
	Verb   string // method in the API
	API    string // path below [APIPrefix]
	Right  string // one of [mapping.GateTasks], [Any], [Self] or [Setup]

	view  string // template of the page
	serve func(*Console, *request) (any, error)
}

// everybodys reports whether the route's page is one that everybody meets, not
// only administrators: it is there in every language.
func (r *Route) everybodys() bool { return r.Right == Self }

// Routes is the table of everything that the console does for somebody. Beside
// it there are only its files and the way in by a link.
func (c *Console) Routes() []Route {
	get, post := http.MethodGet, http.MethodPost
	routes := []Route{
		{get, "/", get, "/summary", Any, "home", (*Console).home},
		{"", "", get, "/me", Any, "", (*Console).me},
		{"", "", get, "/api-tokens", Any, "", (*Console).apiTokens},
		{"", "", http.MethodDelete, "/api-tokens/:token", Any, "", (*Console).endAPIToken},
		{"", "", get, "/openapi.json", Any, "", (*Console).openAPI},
		{post, "/break-glass/close", "", "", Any, "", (*Console).closeLink},
		{get, "/people", get, "/people", mapping.GateUsersView, "people", (*Console).people},
		{get, "/people.csv", "", "", mapping.GateUsersView, "", (*Console).peopleCSV},
		{get, "/people/:id", get, "/people/:id", mapping.GateUsersView, "person", (*Console).person},
		{get, "/people/:id/why", get, "/people/:id/why", mapping.GateUsersView, "why", (*Console).why},
		{get, "/people/:id/sessions", get, "/people/:id/sessions", mapping.GateUsersView, "sessions", (*Console).sessionsOf},
		{get, "/people/:id/sign-ins", get, "/people/:id/sign-ins", mapping.GateAuditView, "person-sign-ins", (*Console).signInsOf},
		{get, "/people/:id/scim", get, "/people/:id/scim", mapping.GateAuditView, "person-scim", (*Console).requestsAbout},
		{get, "/people/:id/audit", get, "/people/:id/audit", mapping.GateAuditView, "person-audit", (*Console).eventsOf},
		{post, "/people/:id/sessions/:session/end", http.MethodDelete, "/people/:id/sessions/:session", mapping.GateUsersLock, "", (*Console).endSession},
		{get, "/sign-ins", get, "/sign-ins", mapping.GateAuditView, "sign-ins", (*Console).signIns},
		{get, "/sign-ins.csv", "", "", mapping.GateAuditView, "", (*Console).signInsCSV},
		{get, "/sign-ins/:reference", get, "/sign-ins/:reference", mapping.GateAuditView, "sign-in", (*Console).signIn},
		{"", "", get, "/traces", mapping.GateAuditView, "", (*Console).wholeTraces},
		{get, "/provisioning", get, "/provisioning", mapping.GateAuditView, "provisioning", (*Console).provisioning},
		{get, "/provisioning.csv", "", "", mapping.GateAuditView, "", (*Console).provisioningCSV},
		{get, "/mass-losses/:number", get, "/mass-losses/:number", mapping.GateAuditView, "mass-loss", (*Console).massLoss},
		{post, "/mass-losses/:number/undo", post, "/mass-losses/:number/undo", mapping.GateConnectionsEdit, "", (*Console).undo},
		{get, "/audit", get, "/audit", mapping.GateAuditView, "audit", (*Console).audit},
		{get, "/audit.csv", "", "", mapping.GateAuditView, "", (*Console).auditCSV},
		{"", "", get, "/audit/chain", mapping.GateAuditView, "", (*Console).chain},
		{get, "/audit/:number", get, "/audit/:number", mapping.GateAuditView, "event", (*Console).event},
		{get, "/roles", get, "/roles", mapping.GateMappingView, "roles", (*Console).roles},
		{get, "/roles.csv", "", "", mapping.GateMappingView, "", (*Console).rolesCSV},
		{get, "/mapping", get, "/mapping", mapping.GateMappingView, "mapping", (*Console).mapping},
		{get, "/mapping/history", get, "/mapping/history", mapping.GateMappingView, "history", (*Console).history},
		{get, "/mapping/history.csv", "", "", mapping.GateMappingView, "", (*Console).historyCSV},
		{"", "", get, "/mapping/replicas", mapping.GateMappingView, "", (*Console).replicas},
		{get, "/mapping/:revision", get, "/mapping/:revision", mapping.GateMappingView, "revision", (*Console).revision},
		{post, "/mapping/:revision/approve", post, "/mapping/:revision/approve", mapping.GateMappingApprove, "", (*Console).approve},
		{post, "/mapping/:revision/decline", post, "/mapping/:revision/decline", mapping.GateMappingApprove, "", (*Console).decline},
		{post, "/mapping/:revision/withdraw", post, "/mapping/:revision/withdraw", mapping.GateMappingPropose, "", (*Console).withdraw},
		{post, "/mapping/:revision/propose", post, "/mapping/:revision/propose", mapping.GateMappingPropose, "", (*Console).proposeAgain},
		{post, "/mapping/:revision/apply", post, "/mapping/:revision/apply", mapping.GateMappingPropose, "", (*Console).apply},
		{post, "/mapping/:revision/rollback", post, "/mapping/:revision/rollback", mapping.GateMappingPropose, "", (*Console).rollback},
		{get, "/mapping/edit", "", "", mapping.GateMappingPropose, "editor", (*Console).editor},
		{post, "/mapping/edit", "", "", mapping.GateMappingPropose, "editor", (*Console).edit},
		{"", "", post, "/mapping/check", mapping.GateMappingPropose, "", (*Console).checkText},
		{"", "", post, "/mapping/amend", mapping.GateMappingPropose, "", (*Console).amend},
		{"", "", post, "/mapping/propose", mapping.GateMappingPropose, "", (*Console).proposeText},
		{get, "/mapping/coverage", get, "/mapping/coverage", mapping.GateMappingView, "coverage", (*Console).coverage},
		{"", "", post, "/mapping/coverage", mapping.GateMappingPropose, "", (*Console).coverTexts},
		{"", "", post, "/mapping/compare", mapping.GateMappingPropose, "", (*Console).compareTexts},
		{"", "", post, "/mapping/explain", mapping.GateMappingView, "", (*Console).explainAny},
		{get, "/approvals", get, "/approvals", mapping.GateMappingView, "approvals", (*Console).approvals},
		{get, "/approvals.csv", "", "", mapping.GateMappingView, "", (*Console).approvalsCSV},
		{get, "/roles/compare", get, "/roles/compare", mapping.GateMappingView, "compare", (*Console).compareRoles},
		{get, "/permission-groups", get, "/permission-groups", mapping.GateMappingView, "permission-groups", (*Console).attributes},
		{get, "/permission-groups.csv", "", "", mapping.GateMappingView, "", (*Console).groupsCSV},
		{get, "/access", get, "/access", mapping.GateAuditView, "access", (*Console).access},
		{"", "", post, "/access", mapping.GateMappingPropose, "", (*Console).accessBy},
		{get, "/access.csv", "", "", mapping.GateAuditView, "", (*Console).accessCSV},
	}
	routes = append(routes, connectionRoutes()...)
	routes = append(routes, settingRoutes()...)
	routes = append(routes, exceptionRoutes()...)
	routes = append(routes, unitRoutes()...)
	for _, v := range verbs() {
		routes = append(routes,
			Route{get, "/people/:id/" + v.Name, "", "", v.right, "confirm", v.ask},
			Route{post, "/people/:id/" + v.Name, post, "/people/:id/" + v.Name, v.right, "", v.one},
		)
		if v.many {
			routes = append(routes, Route{post, "/people/all/" + v.Name, post, "/people/all/" + v.Name, v.right, "confirm", v.all})
		}
	}
	for i := range routes { // a sheet is the same for a browser and for a script
		if r := &routes[i]; strings.HasSuffix(r.Page, ".csv") {
			r.Verb, r.API = get, r.Page
		}
	}
	return routes
}

// Mount registers everything on g, a group at the root.
func (c *Console) Mount(g *gin.RouterGroup) {
	for _, r := range c.Routes() {
		if r.Page != "" {
			g.Handle(r.Method, web.ConsolePrefix+r.Page, web.Handle(c.log, c.page(r)))
		}
		if r.API != "" {
			g.Handle(r.Verb, APIPrefix+r.API, web.Handle(c.log, c.api(r)))
		}
	}
	g.GET(web.ConsolePrefix, func(g *gin.Context) { g.Redirect(http.StatusFound, web.ConsolePrefix+"/") })
	g.GET(linkPath, web.Handle(c.log, c.askLink))
	g.POST(linkPath, web.Handle(c.log, c.openLink))
	g.GET(setupPath, web.Handle(c.log, c.askSetup))
	g.POST(setupPath, web.Handle(c.log, c.openSetup))
	g.GET(assetPrefix+"*name", web.Handle(c.log, func(g *gin.Context) error { return web.ServeFile(g.Writer, g.Request, files()...) }))
}

// request is one call of a route by somebody who has its right.
type request struct {
	*visitor
	scope // whose people it is about

	ctx   context.Context //nolint:containedctx // it lives as long as the call
	gin   *gin.Context
	inAPI bool
	own   bool // it is about the visitor's own connections, see owned

	order
}

func (r *request) param(name string) string { return r.gin.Param(name) }
func (r *request) query(name string) string { return r.gin.Query(name) }

// number reads a parameter of the path that is one.
func (r *request) number(name string) (int64, error) {
	n, err := strconv.ParseInt(r.param(name), 10, 64)
	if err != nil || n < 1 {
		return 0, errNowhere
	}
	return n, nil
}

var errNowhere = fault.New(fault.NotFound, "there is no such page")

// admit finds out who asks, and whether they may. Whoever has no right at all
// finds no console.
func (c *Console) admit(g *gin.Context, route Route, inAPI bool) (*request, error) {
	right := route.Right
	if right == Setup {
		v, err := c.setupVisitor(g.Request)
		if err != nil {
			return nil, err
		}
		return &request{visitor: v, ctx: g.Request.Context(), gin: g, own: true}, nil
	}
	v, err := c.visitor(g.Request)
	if inAPI {
		v, err = c.caller(g.Request)
	}
	if err != nil {
		return nil, err
	}
	if v.who != nil && v.who.Token {
		switch {
		case right == Self:
			return nil, fault.New(fault.NotFound, "a program has no account of its own")
		case len(v.tasks) == 0:
			return nil, fault.New(fault.NotFound, "there is nothing here for this token: none of its scopes is a task of the gate that its owner has")
		}
	}
	r := &request{visitor: v, ctx: g.Request.Context(), gin: g, inAPI: inAPI}
	if right == Self && v.who != nil {
		return r, nil
	}
	if len(v.tasks) == 0 || right == Self {
		return nil, errNowhere
	}
	if right != Any && !v.may(right) {
		return nil, fault.New(fault.Forbidden, "you may not do this: you lack the task %q", right)
	}
	if right != Any {
		of, everybody := v.reach(right)
		if !everybody && of.organization == "" {
			return nil, errNowhere
		}
		if !everybody && (!local(right) || route.whole()) {
			return nil, fault.New(fault.Forbidden, "you may not do this: your task %q is for your own organization", right)
		}
		r.scope = of
	}
	if right == mapping.GateMappingPropose || right == mapping.GateMappingApprove {
		if v.maker, err = c.makerOf(r.ctx, v.who); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// whole reports whether a route is about all of a client or of the gate, and so
// not for whoever has its right for their own organization alone.
func (r *Route) whole() bool {
	switch cmp.Or(r.Page, r.API) {
	case "/organizations/freeze", "/organizations/unfreeze", "/audit/chain":
		return true
	default:
		return false
	}
}

// local reports whether a right can be for one organization: what is about
// people can, what is about the gate cannot.
func local(right string) bool {
	switch right {
	case mapping.GateMappingView, mapping.GateMappingPropose, mapping.GateMappingApprove, mapping.GateConnectionsEdit, mapping.GateTokensEdit:
		return false
	default:
		return true
	}
}

// done is what came of something that was to be done. A browser goes on to a
// page, which says it in words; a script gets it as it is.
type done struct {
	to    string
	with  string // organization that the page is about
	Done  string `json:"done"`
	Ended int    `json:"sessionsEnded"`
	Count int    `json:"count,omitempty"`
	Left  int    `json:"left,omitempty"` // people of several of whom it could not be done
	ID    string `json:"id,omitempty"`   // of what was made
}

// file is an answer that is neither page nor JSON. It is written as it comes.
type file func(io.Writer) error

// refused is the page that an order came from, given back with what is wrong
// with the order. The answer has the status of that.
type refused struct {
	view any
	err  error
}

func (c *Console) page(route Route) func(*gin.Context) error {
	return func(g *gin.Context) error {
		r, err := c.hear(g, route, false)
		if fault.Is(err, fault.Unauthenticated) && route.Right != Setup && g.Request.Method == http.MethodGet && web.WantsPage(g.Request) {
			web.SetHeaders(g.Writer.Header())
			g.Redirect(http.StatusFound, web.Prefix+"/sign-in?return_to="+url.QueryEscape(g.Request.URL.RequestURI()))
			return nil
		}
		if err != nil {
			return err
		}
		defer c.watch(r)()
		out, err := route.serve(c, r)
		if err != nil {
			return err
		}
		switch out := out.(type) {
		case done:
			web.SetHeaders(g.Writer.Header())
			g.Redirect(http.StatusSeeOther, out.location())
			return nil
		case file:
			return out(g.Writer)
		default:
			status := http.StatusOK
			if form, ok := out.(refused); ok {
				out, status = form.view, web.Status(form.err)
			}
			pages, err := c.pages(r, route)
			if err != nil {
				return err
			}
			return pages.Render(g.Writer, g.Request, status, route.view, c.frame(r, out))
		}
	}
}

func (c *Console) api(route Route) func(*gin.Context) error {
	return func(g *gin.Context) error {
		r, err := c.hear(g, route, true)
		if err != nil {
			return err
		}
		defer c.watch(r)()
		out, err := route.serve(c, r)
		if err != nil {
			return err
		}
		if out, ok := out.(file); ok {
			return out(g.Writer)
		}
		body, err := json.Marshal(out)
		if err != nil {
			return err
		}
		web.SetHeaders(g.Writer.Header())
		g.Data(http.StatusOK, "application/json", append(body, '\n'))
		return nil
	}
}

// watch lets a call end with the session that it is made in.
func (c *Console) watch(r *request) context.CancelFunc {
	if r.who == nil {
		return func() {}
	}
	ctx, cancel := c.sessions.Watch(r.ctx, r.who, r.address)
	r.ctx = ctx
	return cancel
}
