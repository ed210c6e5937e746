package admin

import (
	"cmp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/web"
)

// settingNames are what the gate's administrators decide of a connection.
func settingNames() []string {
	return append([]string{"id", "organization", "domains", "preset", "protocol", "provisioning", "link", "scim"}, readingNames()...)
}

// providerNames are what stands at the identity provider.
func providerNames() []string {
	return []string{
		"issuer", "clientId", "authentication", "clientSecret", "nextSecret", "dropNext", "secretExpires", "metadataUrl", "metadata",
	}
}

// settings takes what is sent of [settingNames] into a draft.
func (r *request) settings(d *Draft) {
	f := r.form
	d.Organization, d.Preset, d.Protocol = strings.TrimSpace(f.Get("organization")), f.Get("preset"), f.Get("protocol")
	d.Domains = nil
	for _, text := range f["domains"] {
		d.Domains = append(d.Domains, strings.FieldsFunc(strings.ToLower(text), func(c rune) bool { return strings.ContainsRune(", ;\t\r\n", c) })...)
	}
	d.Provisioning, d.Link, d.SCIM = f.Get("provisioning"), f.Get("link"), f.Get("scim") == "yes"
	r.reading(d)
}

// provider takes what is sent of [providerNames] into a draft.
func (r *request) provider(d *Draft) {
	f := r.form
	d.Issuer, d.ClientID, d.Authentication = strings.TrimSpace(f.Get("issuer")), strings.TrimSpace(f.Get("clientId")), f.Get("authentication")
	d.ClientSecret, d.NextSecret = strings.TrimSpace(f.Get("clientSecret")), strings.TrimSpace(f.Get("nextSecret"))
	d.DropNext, d.SecretExpires = f.Get("dropNext") == "yes", f.Get("secretExpires")
	d.MetadataURL, d.Metadata = strings.TrimSpace(f.Get("metadataUrl")), f.Get("metadata")
}

// version checks which state was changed: that of d.
func (r *request) version(d Draft) error {
	text := r.form.Get("version")
	if text == "" && r.inAPI {
		return nil // whatever it is now
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return fault.New(fault.Invalid, "version: want the number of the state that was changed")
	}
	if n != d.Version { // the rest of d is of that state
		return fault.New(fault.Conflict, "somebody else changed this connection meanwhile: look at it again")
	}
	return nil
}

// draftView is a form about a connection.
type draftView struct {
	spot

	Draft   Draft   `json:"-"`
	Refused refusal `json:"-"`
	Closed  string  `json:"-"` // why the visitor may not change it; empty if they may
	Makers  []maker

	From    string `json:"-"` // where the visitor comes from
	KeptOut bool   `json:"-"` // the networks would keep them out, which they have to say that they want
	Placing string `json:"-"` // why they may not change where people are; empty if they may
	Staying string `json:"-"` // why they may not change whose people they are; empty if they may
}

// Readables are what can have a name of its own.
func (*draftView) Readables() []Readable { return Readables() }

func (c *Console) newConnection(r *request) (any, error) {
	return c.newForm(r, Draft{Protocol: OverOIDC, Provisioning: "jit", SCIM: true}, nil), nil
}

func (c *Console) newForm(r *request, d Draft, no refusal) *draftView {
	v := &draftView{Makers: makers(), Draft: d, Refused: no, From: r.address, spot: spot{Base: base(r)}}
	if err := c.divides(r, Reading{}, Reading{UnitClaim: "any"}); err != nil {
		v.Placing = fault.Message(err)
	}
	return v
}

// save puts a draft in force. What is wrong with it stands in the form that is
// given back, where somebody looks at one; fields are those that it has.
func (c *Console) save(r *request, d Draft, saved done, fields []string, form func(refusal) (any, error)) (any, error) {
	ended, err := c.ways.Save(r.ctx, r.actor(), d)
	switch {
	case err == nil:
		saved.Count, saved.Ended = 1, ended
		return saved, nil
	case r.inAPI || !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Conflict):
		return nil, err
	default:
		return form(refusalOf(err, fields))
	}
}

func (c *Console) createConnection(r *request) (any, error) {
	d := Draft{ID: strings.TrimSpace(r.form.Get("id"))}
	r.settings(&d)
	r.provider(&d)
	if err := c.joins(r, d.ID, cmp.Or(d.Organization, d.ID)); err != nil { // none is its own, as in the configuration
		return nil, err
	}
	if err := c.divides(r, Reading{}, d.Reading); err != nil {
		return nil, err
	}
	return c.save(r, d, done{to: everyones.path + "/" + d.ID + "/setup", Done: "connection-made"}, settingNames(), func(no refusal) (any, error) {
		return c.newForm(r, d, no), nil
	})
}

// made finds a connection that can be changed, and what it is.
func (c *Console) made(r *request) (Connection, Draft, error) {
	conn, err := c.connection(r)
	if err != nil {
		return conn, Draft{}, err
	}
	if !conn.Made {
		return conn, Draft{}, fault.New(fault.Conflict, "connection %q stands in the gate’s configuration, and is changed there", conn.ID)
	}
	d, err := c.ways.Draft(conn.ID)
	return conn, d, err
}

// changeable is made for a visitor who means to change the connection.
func (c *Console) changeable(r *request) (Connection, Draft, error) {
	if conn, err := c.trusted(r); err != nil {
		return conn, Draft{}, err
	}
	return c.made(r)
}

func (c *Console) connectionSettings(r *request) (any, error) {
	_, d, err := c.made(r)
	switch {
	case err != nil:
		return nil, err
	case r.inAPI:
		return settingsWire(d), nil
	default:
		return c.settingsForm(r, d, nil)
	}
}

func (c *Console) settingsForm(r *request, d Draft, no refusal) (any, error) {
	conn, w, _, err := c.look(r)
	v := c.newForm(r, d, no)
	v.spot, v.Closed, v.KeptOut = c.spot(r, conn, w, "settings"), c.closed(r), r.keptOut(conn, d.Addresses)
	if err := c.governs(r, whoseTheyAre); err != nil {
		v.Staying = fault.Message(err)
	}
	return v, err
}

func (c *Console) changeConnection(r *request) (any, error) {
	conn, d, err := c.changeable(r)
	if err != nil {
		return nil, err
	}
	before := d
	r.settings(&d)
	if err := r.version(d); err != nil {
		return nil, err
	}
	if err := c.divides(r, before.Reading, d.Reading); err != nil {
		return nil, err
	}
	form := func(no refusal) (any, error) { return c.settingsForm(r, d, no) }
	// Whose people they are is changed by saying so: where nothing is said, as in
	// a form that does not offer it, they stay whose they are.
	from := cmp.Or(before.Organization, conn.ID)
	if to := cmp.Or(d.Organization, from); to == from {
		d.Organization = before.Organization
	} else if err := c.moves(r, conn.ID, from, to); err != nil {
		if r.inAPI || !fault.Is(err, fault.Conflict) {
			return nil, err
		}
		return form(refusal{{Field: "organization", Text: sentence(fault.Message(err)), Here: true}})
	}
	if id := r.form.Get("id"); id != "" && id != conn.ID {
		return nil, fault.New(fault.Invalid, "the id of a connection stays: people are known by it")
	}
	if r.keptOut(conn, d.Addresses) && r.form.Get("keptOut") != "yes" {
		problem := "you come from " + r.address + ", which is in none of these networks: you would keep yourself out. Say keptOut if that is what you want."
		if r.inAPI {
			return nil, fault.New(fault.Invalid, "%s", problem)
		}
		problem = strings.ReplaceAll(problem, " Say keptOut if", " Tick the box below if")
		return form(refusal{{Field: "addresses", Text: sentence(problem), Here: true}})
	}
	return c.save(r, d, done{to: everyones.path + "/" + conn.ID, Done: "connection-changed"}, settingNames(), form)
}

// setupView is what to do at the provider, and what of it the gate has to know.
type setupView struct {
	spot

	Maker    string      `json:"provider"`
	Protocol string      `json:"protocol"`
	Steps    []stepJSON  `json:"steps"`
	Values   []valueJSON `json:"values"` // all of them
	Draft    Draft       `json:"-"`
	Refused  refusal     `json:"-"`
	Closed   string      `json:"-"` // why the visitor may not change it; empty if they may
	HasKey   bool        `json:"-"` // there is a secret, or metadata, already
	Next     bool        `json:"-"`
}

func (c *Console) connectionSetup(r *request) (any, error) { return c.setupForm(r, nil, nil) }

func (c *Console) setupForm(r *request, d *Draft, no refusal) (any, error) {
	conn, w, _, err := c.look(r)
	if err != nil {
		return nil, err
	}
	a := c.addresses(conn)
	v := &setupView{
		spot: c.spot(r, conn, w, "setup"), Maker: w.Provider, Protocol: conn.Protocol, Steps: guide(conn, a), Values: providerValues(conn, a), Refused: no,
		HasKey: conn.ClientID != "" || conn.Metadata, Next: conn.NextSecret, Closed: c.closed(r),
	}
	switch {
	case d != nil:
		v.Draft = *d
		v.Draft.ClientSecret, v.Draft.NextSecret, v.Draft.Metadata = "", "", ""
	case conn.Made:
		v.Draft, err = c.ways.Draft(conn.ID)
	}
	return v, err
}

// OurMetadata names, of the values that a provider may want, the address of our
// metadata.
const OurMetadata = "Our metadata"

// providerValues are all addresses of a connection that its provider may want.
func providerValues(conn Connection, a addresses) (out []valueJSON) {
	switch conn.Protocol {
	case OverOIDC:
		out = []valueJSON{
			{"Redirect URI", a.redirect}, {"Sign-out redirect URI", a.signOut}, {"Back-channel logout URL", a.backChannel}, {"Start address", a.start},
		}
	case OverSAML:
		out = []valueJSON{
			{"Entity ID", a.entityID}, {"ACS URL", a.acs}, {"Logout URL", a.slo}, {OurMetadata, a.metadata}, {"Start address", a.start},
		}
	}
	if conn.SCIM {
		out = append(out, valueJSON{"SCIM base URL", a.scim})
	}
	return out
}

// changeProvider takes what stands at the identity provider: by the gate's
// administrators, or by the client's own.
func (c *Console) changeProvider(r *request) (any, error) {
	conn, d, err := c.changeable(r)
	if err != nil {
		return nil, err
	}
	r.provider(&d)
	if err := r.version(d); err != nil {
		return nil, err
	}
	return c.save(r, d, done{to: cornerOf(r).path + "/" + conn.ID, Done: "provider-changed"}, providerNames(), func(no refusal) (any, error) {
		return c.setupForm(r, &d, no)
	})
}

// rollover makes our next key at a SAML provider. It does not say who the people
// are, for no other hand gets that key; but where the provider is not given the
// new one, it keeps everybody out when it begins to sign. So whoever may not take
// a connection away may not do that to it either.
func (c *Console) rollover(r *request) (any, error) {
	conn, err := c.trusted(r)
	if err != nil {
		return nil, err
	}
	if conn.Protocol != OverSAML || conn.Problem != "" || conn.Incomplete {
		return nil, fault.New(fault.Conflict, "%q is no SAML connection in force", conn.ID)
	}
	return done{to: cornerOf(r).path + "/" + conn.ID, Done: "rollover", Count: 1}, c.ways.Rollover(r.ctx, r.actor(), conn.ID)
}

func (c *Console) approveMetadata(r *request) (any, error) {
	conn, err := c.trusted(r)
	if err != nil {
		return nil, err
	}
	// What came after somebody looked is not what they approve.
	if text := r.form.Get("waiting"); text != "" || !r.inAPI {
		t, err := c.trust(r.ctx, conn)
		if err != nil {
			return nil, err
		}
		if since, err := time.Parse(time.RFC3339Nano, text); err != nil || !since.Equal(t.Waiting) {
			return nil, fault.New(fault.Conflict, "the provider publishes something else meanwhile: look at it again")
		}
	}
	return done{to: cornerOf(r).path + "/" + conn.ID, Done: "metadata", Count: 1}, c.ways.ApproveMetadata(r.ctx, r.actor(), conn.ID)
}

// newTokenView shows a token's secret, once.
type newTokenView struct {
	spot

	Token  tokenJSON `json:"token"`
	Secret string    `json:"secret"`
	URL    string    `json:"url"`
	Back   string    `json:"-"`
}

const (
	maxNote  = 200      // bytes
	maxDays  = 10 * 365 // of a token's life
	yearDays = 365
)

func (c *Console) createToken(r *request) (any, error) {
	if _, err := c.trusted(r); err != nil {
		return nil, err
	}
	conn, w, _, err := c.look(r)
	if err != nil {
		return nil, err
	}
	if !conn.SCIM || !w.InForce {
		return nil, fault.New(fault.Conflict, "SCIM is not in force in this connection")
	}
	note, days, most := strings.TrimSpace(r.form.Get("note")), yearDays, maxDays
	if r.own && r.link != nil {
		most = yearDays // who holds the link is not known
	}
	if text := r.form.Get("days"); text != "" {
		if days, err = strconv.Atoi(text); err != nil || days < 1 || days > most {
			return nil, fault.New(fault.Invalid, "days: want 1 to %d", most)
		}
	}
	if len(note) > maxNote || !utf8.ValidString(note) || strings.ContainsRune(note, 0) {
		return nil, fault.New(fault.Invalid, "note: want text of at most %d bytes", maxNote)
	}
	secret, t, err := c.tokens.Create(r.ctx, r.actor(), conn.ID, note, time.Duration(days)*day)
	if err != nil {
		return nil, err
	}
	r.gin.Header("Cache-Control", "no-store")
	return &newTokenView{c.spot(r, conn, w, "scim"), tokenWire(t, c.now()), secret, c.addresses(conn).scim, web.ConsolePrefix + r.tokenPlace(conn)}, nil
}

// tokenPlace is the page on which the visitor sees the tokens of a connection.
func (r *request) tokenPlace(conn Connection) string {
	if !r.own && !r.may(mapping.GateConnectionsEdit) {
		return "/tokens"
	}
	return cornerOf(r).path + "/" + conn.ID + "/scim"
}

func (c *Console) revokeToken(r *request) (any, error) {
	conn, err := c.connection(r)
	if err != nil {
		return nil, err
	}
	list, err := c.tokens.List(r.ctx, conn.ID)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		if t.ID == r.param("token") {
			return done{to: r.tokenPlace(conn), Done: "token", Count: 1}, c.tokens.Revoke(r.ctx, r.actor(), t.ID)
		}
	}
	return nil, fault.New(fault.NotFound, "this connection has no such token")
}

// connectionNotices say what was done about connections and settings.
func connectionNotices() map[string]string {
	return map[string]string{ //nolint:gosec // G101: words for people
		"connection-made":    "Made. Now fill in what stands at the identity provider.",
		"connection-changed": "Saved. It is in force here, and at every other gate within a second.",
		"provider-changed":   "Saved. Try it with a test sign-in.",
		"connection-removed": "The connection is removed.",
		"shadow-removed":     "What was made here is removed. The connection of the configuration that has its id stays as it was, with its people and their sessions.",
		"rollover":           "The next key is made and stands in our metadata. It signs in 30 days: give the provider our metadata anew.",
		"metadata":           "Approved. Every gate follows within half a minute.",
		"token":              "The token is revoked: what uses it is refused from now on.",
		"settings":           "Saved. Every gate follows within a second.",
		"preferences":        "Saved.",
		"own-sessions":       "All other sessions have ended.",
	}
}
