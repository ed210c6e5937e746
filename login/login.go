// Package login signs people in: a browser goes to the identity provider of
// its company and comes back with an answer, out of which this package makes
// one verified [directory.Assertion]. The directory decides whether that
// person may enter, and package session issues what the browser then holds.
//
// Two rules hold everywhere. Whatever an identity provider sends is foreign
// input: bounded, decoded strictly, and a wrong answer is the fault of the
// request (a 4xx page), never of the gate. And an answer counts once, for the
// browser that asked, at the connection that was asked: state, nonce and PKCE
// verifier live in a row that is bound to the browser and consumed before the
// code is redeemed; the same row holds the id of a SAML request, and an
// assertion counts once.
//
// The package does not decide who may enter, keeps no person, and logs no
// token, code, state or cookie.
package login

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/oidc"
	"portcullis/session"
	"portcullis/web"
)

// Connection is how one organization's people sign in.
type Connection struct {
	ID           string         // required; stands in URLs
	Organization string         // shown in the chooser
	Domains      []string       // e-mail domains that lead here
	Addresses    []netip.Prefix // where its people may come from; anywhere if empty
	Link         string         // attribute on which a pushed record and a sign-in meet; defaults to externalId
	OIDC         *OIDC          // one of OIDC and SAML is required
	SAML         *SAML

	// Version tells two states of one connection apart, see
	// [Login.SetConnections].
	Version int64
}

// OIDC is a connection over OpenID Connect.
type OIDC struct {
	Provider oidc.Config // HTTP, Now and Log are those of the Login
	Claims   Claims

	// RefreshEvery is how often the provider of a session with a refresh token
	// is asked whether its own session lives; defaults to 10 minutes.
	RefreshEvery time.Duration
	// JWKS gives the public half of Provider.Signer, for the provider to
	// fetch; nil if there is none.
	JWKS func() []byte
	// Contexts says that the provider is Microsoft Entra ID, whose
	// authentication contexts, c1 to c99, are asked for and answered in the
	// claim acrs.
	Contexts bool
	// GraphURL is where Microsoft Graph is asked for the groups that a token
	// leaves out; empty to leave them unknown.
	GraphURL string
}

// Claims names the claims that are read. Each is one member of the token,
// exactly; the zero value stands for groups, email, name, roles and
// preferred_username.
type Claims struct {
	Groups string
	Email  string
	Name   string
	Roles  string // app roles
	// UserName is what the person is called at the sign-in page; defaults to
	// preferred_username.
	UserName string
}

// Limit bounds the sign-ins that one address starts. A failed one counts ten
// times.
type Limit struct {
	PerSecond float64 // defaults to 10
	Burst     float64 // defaults to 1000
}

// Directory decides who may enter.
type Directory interface {
	// SignIn fails with fault.Forbidden, in words for the person, when they
	// may not enter.
	SignIn(ctx context.Context, a directory.Assertion, reference string) (directory.SignedIn, error)
	// Rehearse decides like SignIn and leaves nothing behind.
	Rehearse(ctx context.Context, a directory.Assertion) (directory.SignedIn, error)
	// Explain says what the mapping makes of a standing; nil without a mapping.
	Explain(s directory.Standing) *mapping.Explanation
}

// Sessions keeps who is signed in.
type Sessions interface {
	Issue(ctx context.Context, in directory.SignedIn, client session.Client, ticket session.Ticket) (token string, p *session.Principal, err error)
	Verify(ctx context.Context, token string) (*session.Principal, error)
	// End ends one session and gives its ticket and connection. A token that
	// is not known is no error.
	End(ctx context.Context, token string, by audit.Actor) (ticket session.Ticket, connection string, err error)
	// EndOthers ends every session of a person but the one they ask with.
	EndOthers(ctx context.Context, who *session.Principal, by audit.Actor) (ended int, err error)
	// EndHashed is End by the SHA-256 of a token.
	EndHashed(ctx context.Context, hash []byte, by audit.Actor) (ticket session.Ticket, connection string, err error)
	// EndNamed ends what an identity provider names, and fails with
	// fault.Conflict for a request that counted before.
	EndNamed(ctx context.Context, n session.Named, r session.Request, by audit.Actor, reference string) (ended int, err error)
	// TakeDue gives sessions whose refresh token is due, each to one caller.
	TakeDue(ctx context.Context) ([]session.Due, error)
	Renewed(ctx context.Context, d session.Due, refresh string, every time.Duration) error
	// Expel ends a session that its identity provider has ended.
	Expel(ctx context.Context, d session.Due, why error) error
}

// Config is what a Login needs.
type Config struct {
	PublicURL   *url.URL                           // required
	Connections []Connection                       // required
	Directory   Directory                          // required
	Sessions    Sessions                           // required
	Store       Store                              // required
	HTTP        *http.Client                       // transport and timeout towards identity providers; defaults to a guarded one of 5 s
	Traces      Traces                             // takes what happened at each attempt; none does by default
	Demand      func(target string) session.Demand // what a local path and query asks of a sign-in; nothing by default
	Named       func(connection string) bool       // whether the mapping in force names it, see [Login.offered]; defaults to all of them
	Thread      Thread                             // ties the way back to the way there; nothing does by default
	Limit       Limit
	Now         func() time.Time // defaults to time.Now
	Log         *slog.Logger     // defaults to discarding
}

// BrowserCookie is the name of the cookie that binds attempts to a browser,
// for [web.CookieName]. One serves all tabs.
const BrowserCookie = "portcullis-signin"

// Login is safe for concurrent use.
type Login struct {
	public    *url.URL
	ways      atomic.Pointer[ways]
	changed   chan struct{} // the ways did; holds at most one
	config    Config        // what providers are made of
	setting   sync.Mutex    // one SetConnections at a time
	directory Directory
	sessions  Sessions
	store     Store
	traces    Traces                      // may be nil
	demand    func(string) session.Demand // may be nil
	named     func(string) bool           // may be nil
	thread    Thread                      // may be nil
	limit     *limiter                    // of sign-ins
	frames    *limiter                    // of front-channel sign-outs
	signOuts  *limiter                    // of messages that are to sign somebody out, and are not good
	line      chan struct{}               // holds who verifies such a message in spite of that
	forgery   *http.CrossOriginProtection
	now       func() time.Time
	log       *slog.Logger
}

// New makes a Login. It reaches no identity provider: one that is down does
// not keep the gate from starting.
func New(c Config) *Login {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Limit.PerSecond <= 0 {
		c.Limit.PerSecond = 10
	}
	if c.Limit.Burst <= 0 {
		c.Limit.Burst = 1000
	}
	l := &Login{
		public: c.PublicURL, changed: make(chan struct{}, 1), config: c, directory: c.Directory, sessions: c.Sessions,
		store: c.Store, limit: newLimiter(errSignIns, c.Limit, c.Now), forgery: http.NewCrossOriginProtection(),
		frames: newLimiter(errFrames, c.Limit, c.Now), signOuts: newLimiter(errSignOuts, c.Limit, c.Now), line: make(chan struct{}, 1),
		traces: c.Traces, demand: c.Demand, named: c.Named, thread: c.Thread, now: c.Now, log: c.Log,
	}
	// Behind a proxy the Host header may not be ours; the public URL is. An
	// origin that cannot be trusted this way leaves the check stricter.
	_ = l.forgery.AddTrustedOrigin(origin(c.PublicURL))
	l.SetConnections(c.Connections)
	return l
}

// Mount registers the paths of signing in and out on g, the group of
// [web.Prefix].
func (l *Login) Mount(g *gin.RouterGroup) {
	g.GET("/sign-in", web.Handle(l.log, l.choose))
	g.POST("/sign-in", web.Handle(l.log, l.choose)) // keeps the e-mail out of the URL
	g.GET("/sign-in/:connection", web.Handle(l.log, l.start))
	g.GET("/test-sign-in/:link", web.Handle(l.log, l.startTest))
	g.GET("/oidc/:connection/callback", web.Handle(l.log, l.callback))
	g.POST("/oidc/:connection/backchannel-logout", l.backChannelLogout)
	g.GET("/oidc/:connection/frontchannel-logout", web.Handle(l.log, l.frontChannelLogout))
	g.GET("/oidc/:connection/jwks.json", web.Handle(l.log, l.clientKeys))
	g.GET("/saml/:connection/metadata", web.Handle(l.log, l.samlMetadata))
	g.POST("/saml/:connection/acs", web.Handle(l.log, l.samlAnswer))
	g.GET("/saml/:connection/slo", web.Handle(l.log, l.samlLogout))
	g.POST("/saml/:connection/slo", web.Handle(l.log, l.samlLogout))
	g.GET("/sign-out", web.Handle(l.log, l.confirmSignOut))
	g.POST("/sign-out", web.Handle(l.log, l.signOut))
}

const (
	signInPath  = web.Prefix + "/sign-in"
	signOutPath = web.Prefix + "/sign-out"
)

func (l *Login) absolute(path string) string { return origin(l.public) + path }

// Run keeps what is known of the identity providers fresh and removes old
// attempts, until ctx ends; then it gives nil.
func (l *Login) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { l.attend(ctx) })
	wg.Go(func() { l.clean(ctx) })
	wg.Go(func() { l.renew(ctx) })
	wg.Wait()
	return nil
}

// clean removes attempts that nobody came back from.
func (l *Login) clean(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := l.sweep(ctx); err != nil && ctx.Err() == nil {
			l.log.WarnContext(ctx, "old sign-in attempts not removed", "error", err.Error())
		}
	}
}

// replicaSkew is how far the clocks of two replicas may be apart without one
// forgetting an assertion that the other would still take.
const replicaSkew = 10 * time.Minute

// sweepBatch bounds what one transaction removes.
const sweepBatch = 500

// sweep removes what nobody came back for, and traces it.
func (l *Login) sweep(ctx context.Context) error {
	now := l.now().UTC()
	for {
		gone, err := l.store.DeleteAttempts(ctx, now, sweepBatch)
		if err != nil {
			return err
		}
		for _, a := range gone {
			l.abandoned(a)
		}
		if len(gone) < sweepBatch {
			return errors.Join(l.store.DeleteTests(ctx, now.Add(-testKept)), l.store.DeleteAssertions(ctx, now.Add(-replicaSkew)))
		}
	}
}
