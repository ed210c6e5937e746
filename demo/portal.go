package demo

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// PortalConfig is what a portal behind the gate has to know of the gate.
type PortalConfig struct {
	PublicURL string // required: of the gate, and the issuer of its assertions
	Audience  string // required: this portal, as the gate names it
	JWKSURL   string // defaults to PublicURL + /.portcullis/jwks.json

	HTTP *http.Client     // fetches the keys; defaults to one with a timeout of 5 s
	Now  func() time.Time // defaults to time.Now
	Log  *slog.Logger     // defaults to discarding

	// Tick paces the live page until ctx ends; it defaults to once a second.
	Tick func(ctx context.Context) <-chan time.Time
}

// Portal is a sample client portal: accounts, products and recipients of two
// client companies, of which it shows each person what the gate's statement
// allows. It is an [http.Handler], safe for concurrent use.
type Portal struct {
	site
	verifier verifier
	now      func() time.Time
	tick     func(ctx context.Context) <-chan time.Time
	rows     []row
	mux      http.Handler

	mu       sync.Mutex
	approved map[string]string // who approved a row's payment, by the row's ID
}

// NewPortal makes a portal. It asks for the gate's keys when the first
// request comes, so it may be made before the gate is up.
func NewPortal(c PortalConfig) *Portal {
	if c.JWKSURL == "" {
		c.JWKSURL = strings.TrimSuffix(c.PublicURL, "/") + "/.portcullis/jwks.json"
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{Timeout: 5 * time.Second}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Tick == nil {
		c.Tick = everySecond
	}
	p := &Portal{
		// No form-action: signing out ends in a redirect to an identity
		// provider, and browsers hold form-action against redirects too.
		site:     newSite(c.Log, ""),
		verifier: verifier{issuer: c.PublicURL, audience: c.Audience, jwksURL: c.JWKSURL, http: c.HTTP, now: c.Now},
		now:      c.Now,
		tick:     c.Tick,
		rows:     sampleRows(),
		approved: map[string]string{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/{name}", asset)
	mux.HandleFunc("GET /{$}", p.as(p.overview))
	mux.HandleFunc("GET /accounts", p.as(p.accounts))
	mux.HandleFunc("POST /accounts/{id}/approve", p.as(p.approve))
	mux.HandleFunc("GET /products", p.as(p.products))
	mux.HandleFunc("GET /recipients", p.as(p.recipients))
	mux.HandleFunc("GET /reports", p.as(p.reports))
	mux.HandleFunc("GET /live", p.as(p.live))
	mux.HandleFunc("GET /live/events", p.as(p.events))
	mux.HandleFunc("/", p.as(p.missing))
	csrf := http.NewCrossOriginProtection()
	if u, err := url.Parse(c.PublicURL); err == nil {
		// Behind the gate the Host may be ours, the Origin is the gate's.
		if err := csrf.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			c.Log.Warn("public URL gives no origin", "public_url", c.PublicURL, "error", err)
		}
	}
	p.mux = csrf.Handler(mux)
	return p
}

// ServeHTTP answers 401 to whatever carries no valid assertion, except that
// /assets/ is for everybody.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.secure(w)
	p.mux.ServeHTTP(w, r)
}

// as lets a request through to a handler as the person that the gate
// vouches for.
func (p *Portal) as(handle func(http.ResponseWriter, *http.Request, statement)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := p.verifier.verify(r)
		if err != nil {
			p.log.InfoContext(r.Context(), "request refused", "path", r.URL.Path, "error", err)
			p.message(w, r, http.StatusUnauthorized, "Please come in through the gate",
				"This portal shows nothing to a request that does not carry the gate's signed statement.")
			return
		}
		handle(w, r, who)
	}
}

// visible gives the rows that a person may see, and is the only way to rows.
func (p *Portal) visible(who statement) []holding {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []holding
	for _, r := range p.rows {
		if who.Permissions.visible(r.attributes()) {
			out = append(out, holding{row: r, ApprovedBy: p.approved[r.ID]})
		}
	}
	return out
}

// approve releases a payment. Offering the button to approvers alone is
// courtesy; this check is the rule.
func (p *Portal) approve(w http.ResponseWriter, r *http.Request, who statement) {
	if !who.may("payment.approve") {
		p.message(w, r, http.StatusForbidden, "You may not approve payments",
			"None of your roles has the task payment.approve.")
		return
	}
	rows := p.visible(who)
	i := slices.IndexFunc(rows, func(h holding) bool { return h.ID == r.PathValue("id") })
	if i < 0 || rows[i].Payment == 0 {
		p.missing(w, r, who)
		return
	}
	p.mu.Lock()
	if p.approved[rows[i].ID] == "" {
		p.approved[rows[i].ID] = who.Name
	}
	p.mu.Unlock()
	http.Redirect(w, r, "/accounts#"+rows[i].ID, http.StatusSeeOther)
}

func (p *Portal) missing(w http.ResponseWriter, r *http.Request, _ statement) {
	p.message(w, r, http.StatusNotFound, "There is nothing here",
		"The page or the row does not exist, or it is not among the data that you may see.")
}

func (p *Portal) overview(w http.ResponseWriter, r *http.Request, who statement) {
	pg := p.page(r, who, "Overview")
	statement, err := json.MarshalIndent(map[string]any{
		"sub": who.Subject, "connection": who.Connection, "organization": who.Organization, "email": who.Email,
		"name": who.Name, "roles": who.Roles, "tasks": who.Tasks, "permissions": who.Permissions,
		"exp": who.Expires.UTC().Format(time.RFC3339),
	}, "", "  ")
	if err != nil {
		p.log.ErrorContext(r.Context(), "statement cannot be shown", "error", err)
	}
	pg.Statement = string(statement)
	p.render(w, r, http.StatusOK, "portal-overview", pg)
}

func (p *Portal) accounts(w http.ResponseWriter, r *http.Request, who statement) {
	p.render(w, r, http.StatusOK, "portal-accounts", p.page(r, who, "Accounts"))
}

func (p *Portal) products(w http.ResponseWriter, r *http.Request, who statement) {
	pg := p.page(r, who, "Products")
	pg.Groups = group(pg.Rows, func(h holding) (string, string) { return h.Product, h.ProductName() })
	p.render(w, r, http.StatusOK, "portal-groups", pg)
}

func (p *Portal) recipients(w http.ResponseWriter, r *http.Request, who statement) {
	pg := p.page(r, who, "Recipients")
	pg.Groups = group(pg.Rows, func(h holding) (string, string) { return h.Recipient, "" })
	p.render(w, r, http.StatusOK, "portal-groups", pg)
}

func (p *Portal) reports(w http.ResponseWriter, r *http.Request, who statement) {
	if !who.may("report.view") {
		p.message(w, r, http.StatusForbidden, "You may not read reports",
			"None of your roles has the task report.view.")
		return
	}
	pg := p.page(r, who, "Reports")
	pg.Groups = group(pg.Rows, func(h holding) (string, string) { return h.Currency, "" })
	p.render(w, r, http.StatusOK, "portal-reports", pg)
}

func (p *Portal) message(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	p.render(w, r, status, "message", message{Title: title, Text: text, Link: "/", Label: "To the overview", Style: "portal"})
}
