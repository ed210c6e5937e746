package login

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"portcullis/fault"
	"portcullis/graph"
	"portcullis/oidc"
	"portcullis/saml"
	"portcullis/session"
	"portcullis/trace"
	"portcullis/web"
)

// SAML is a connection over SAML 2.0.
type SAML struct {
	// MetadataFile is read anew when it changes; MetadataURL is fetched on a
	// period, and what came of it is kept in the store. One of them, or Metadata,
	// is required.
	MetadataFile, MetadataURL string
	// Metadata is the document itself, instead of both.
	Metadata []byte

	Signers      []*x509.Certificate // one of them must have signed the metadata; empty asks for no signature
	Provider     string              // the entity ID that is meant; empty where the metadata has one provider
	EntityID     string              // ours; defaults to the address of our metadata
	AllowPrivate bool                // the provider's names may resolve into private networks

	Binding           string   // of requests, one of package saml; empty takes what the provider has
	Unsigned          bool     // requests are not signed, unless the provider wants them so
	AllowIDPInitiated bool     // people may begin at the provider
	AllowSHA1         bool     // signatures may rest on SHA-1
	ForceAuthn        bool     // people prove themselves anew at each sign-in
	AuthnContexts     []string // one of them must be answered, whatever a page demands besides; empty for any

	Subject    string // the attribute that says who they are for good, and must be there; empty for the rule of [Attributes]
	Attributes Attributes

	// Graph is where the groups are asked for that an assertion of Microsoft
	// Entra ID leaves out; nil leaves them unknown.
	Graph *Graph

	// Keys gives our pairs: the one that signs first, then those that are only
	// shown and decrypt. It is asked each time. Nil is a gate without.
	Keys func(ctx context.Context) ([]saml.KeyPair, error)
	// Poll is how often the store is asked whether another replica, or an
	// administrator, has put other metadata in force; defaults to 20 seconds.
	Poll time.Duration
}

// Graph is Microsoft Graph, and who asks it.
type Graph struct {
	URL      string      // of the service's version
	Provider oidc.Config // our application in the tenant; HTTP, Now and Log are those of the Login
}

// SAMLCookie is the name of the cookie that binds attempts over SAML to a
// browser, for [web.CookieName]. It comes along with the form that an identity
// provider has the browser post.
const SAMLCookie = "portcullis-signin-saml"

const defaultPoll = 20 * time.Second

// federated is the protocol of a connection over SAML.
type federated struct {
	conn               Connection
	c                  *SAML
	entityID, acs, slo string
	source             *metadataSource
	grant              *oidc.Provider // of access to graph; nil if nobody is asked
	graph              *graph.Client
	now                func() time.Time
	log                *slog.Logger
	mu                 sync.Mutex            // guards what follows
	party              *saml.ServiceProvider // made of the two below
	partyKeys          []saml.KeyPair
	partyIDP           *saml.Metadata
}

func newFederated(conn Connection, c *Config) *federated {
	settings := *conn.SAML
	if settings.Poll <= 0 {
		settings.Poll = defaultPoll
	}
	base := origin(c.PublicURL) + web.Prefix + "/saml/" + conn.ID
	f := &federated{
		conn: conn, c: &settings, entityID: settings.EntityID, acs: base + "/acs", slo: base + "/slo",
		now: c.Now, log: c.Log.With("connection", conn.ID),
	}
	if f.entityID == "" {
		f.entityID = base + "/metadata"
	}
	f.source = newMetadataSource(conn.ID, &settings, c, f.log)
	if settings.Graph != nil {
		client := settings.Graph.Provider
		client.HTTP, client.Now, client.Log = c.HTTP, c.Now, f.log
		f.grant = oidc.New(client)
		f.graph = graph.New(graph.Config{URL: settings.Graph.URL, Token: f.grant.ClientToken, HTTP: c.HTTP, Now: c.Now})
	}
	return f
}

func (f *federated) cookie() string { return SAMLCookie }

// ours gives our pairs, as they are now: one that was withdrawn is used no more.
func (f *federated) ours(ctx context.Context) ([]saml.KeyPair, error) {
	if f.c.Keys == nil {
		return nil, nil
	}
	return f.c.Keys(ctx)
}

// settings is who we are at the provider.
func (f *federated) settings(keys []saml.KeyPair) saml.Config {
	return saml.Config{
		EntityID: f.entityID, ACS: f.acs, SLO: f.slo, Signing: keys, Decryption: keys,
		Skew: session.Leeway, Now: f.now,
	}
}

// provider gives us as the provider of now knows us, and it.
func (f *federated) provider(ctx context.Context) (*saml.ServiceProvider, *saml.IdentityProvider, error) {
	md, err := f.source.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	if expired, ok := MetadataExpired(md.ValidUntil, f.now()); ok {
		trace.Of(ctx).Note(trace.StaleMetadata)
		if expired.Err != nil {
			return nil, nil, expired.Err
		}
	}
	keys, err := f.ours(ctx)
	if err != nil {
		return nil, nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	same := func(a, b saml.KeyPair) bool { return a.Private == b.Private }
	if f.party == nil || f.partyIDP != md || !slices.EqualFunc(f.partyKeys, keys, same) {
		c := f.settings(keys)
		c.IDP = md.IDP
		c.IDP.AllowSHA1 = f.c.AllowSHA1
		if f.party, err = saml.New(c); err != nil {
			return nil, nil, fault.Wrap(fault.Invalid, err, "the metadata of the identity provider cannot be used")
		}
		f.partyIDP, f.partyKeys = md, keys
	}
	return f.party, &f.partyIDP.IDP, nil
}

func (f *federated) begin(ctx context.Context, a *Attempt, state, _ string) (departure, error) {
	sp, _, err := f.provider(ctx)
	if err != nil {
		return departure{}, err
	}
	r := saml.AuthnRequest{
		ForceAuthn: f.c.ForceAuthn || a.Force || a.Another || a.Demand.MaxAge > 0, // SAML knows no age
		Contexts:   f.contexts(a.Demand.ACR), RelayState: state, Binding: f.c.Binding, Unsigned: f.c.Unsigned,
	}
	out, err := sp.MakeAuthnRequest(r)
	if err != nil {
		return departure{}, err
	}
	a.Nonce = out.ID
	return leave(out), nil
}

// contexts is what the provider is asked for: what the page demands, and of
// that what the connection takes. The answer must meet both. Anybody can begin
// at any page, so what a page demands never takes the place of what the
// connection does.
func (f *federated) contexts(demanded []string) []string {
	if len(demanded) == 0 {
		return f.c.AuthnContexts
	}
	both := slices.DeleteFunc(slices.Clone(demanded), func(class string) bool { return !slices.Contains(f.c.AuthnContexts, class) })
	if len(both) == 0 { // the connection takes any, or the two cannot be met together
		return demanded
	}
	return both
}

// leave sends the browser off with a message.
func leave(out *saml.Outgoing) departure {
	d := departure{URL: out.URL, ID: out.ID}
	for _, field := range out.Fields {
		d.Fields = append(d.Fields, web.Field(field))
	}
	return d
}

// nameID is what a session remembers of the NameID, for the sign-out at the
// provider.
type nameID struct {
	Value           string `json:"value"`
	Format          string `json:"format,omitempty"`
	Qualifier       string `json:"qualifier,omitempty"`
	SPNameQualifier string `json:"sp_qualifier,omitempty"`
}

func (f *federated) signOut(ctx context.Context, ticket session.Ticket, _, _ string) departure {
	sp, idp, err := f.provider(ctx)
	if err != nil {
		f.log.WarnContext(ctx, "not signed out at the identity provider", "reference", web.Reference(ctx), "error", err.Error())
		return departure{}
	}
	var id nameID
	if err := json.Unmarshal([]byte(ticket.IDToken), &id); err != nil || id.Value == "" || len(idp.SLO) == 0 {
		return departure{} // it offers nothing, or the session is of another time
	}
	r := saml.LogoutRequest{
		NameID: id.Value, NameIDFormat: id.Format, NameQualifier: id.Qualifier, SPNameQualifier: id.SPNameQualifier,
	}
	if ticket.Session != "" {
		r.SessionIndexes = []string{ticket.Session}
	}
	out, err := sp.MakeLogoutRequest(r)
	if err != nil {
		f.log.WarnContext(ctx, "not signed out at the identity provider", "reference", web.Reference(ctx), "error", err.Error())
		return departure{}
	}
	return leave(out)
}

func (f *federated) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if f.graph != nil {
		defer f.graph.CloseIdleConnections()
		wg.Go(func() { f.grant.Run(ctx) })
	}
	f.source.run(ctx)
}

// metadata is what the provider's administrator is given.
func (f *federated) metadata(ctx context.Context) ([]byte, error) {
	keys, err := f.ours(ctx)
	if err != nil {
		return nil, err
	}
	return saml.OwnMetadataOf(f.settings(keys), saml.OwnMetadata{Unsigned: f.c.Unsigned})
}
