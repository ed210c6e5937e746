package login

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/graph"
	"portcullis/oidc"
	"portcullis/session"
	"portcullis/trace"
	"portcullis/web"
)

// openID is the protocol of a connection over OpenID Connect.
type openID struct {
	conn     Connection
	claims   Claims
	issuer   string
	client   *oidc.Provider
	callback string
	jwks     func() []byte // of our own key; nil if there is none

	refreshEvery time.Duration
	contexts     bool          // of Microsoft Entra ID are asked for by claim
	graph        *graph.Client // nil if nobody is asked
	log          *slog.Logger
}

func newOpenID(conn Connection, c *Config) *openID {
	settings := conn.OIDC.Provider
	settings.HTTP, settings.Now, settings.Log = c.HTTP, c.Now, c.Log.With("connection", conn.ID)
	o := &openID{
		conn: conn, claims: conn.OIDC.Claims.withDefaults(), issuer: settings.Issuer, client: oidc.New(settings),
		jwks: conn.OIDC.JWKS, refreshEvery: cmp.Or(conn.OIDC.RefreshEvery, defaultRefresh),
		callback: origin(c.PublicURL) + web.Prefix + "/oidc/" + conn.ID + "/callback",
		contexts: conn.OIDC.Contexts, log: settings.Log,
	}
	if conn.OIDC.GraphURL != "" {
		o.graph = graph.New(graph.Config{URL: conn.OIDC.GraphURL, Token: o.client.ClientToken, HTTP: c.HTTP, Now: c.Now})
	}
	return o
}

const defaultRefresh = 10 * time.Minute

func origin(public *url.URL) string { return public.Scheme + "://" + public.Host }

func (o *openID) cookie() string { return BrowserCookie }

func (o *openID) begin(ctx context.Context, a *Attempt, state, hint string) (departure, error) {
	a.Nonce, a.Verifier = rand.Text(), rand.Text()+rand.Text()
	r := oidc.Request{
		Redirect: o.callback, State: state, Nonce: a.Nonce, Verifier: a.Verifier, Hint: hint,
		ACR: a.Demand.ACR, MaxAge: a.Demand.MaxAge, Afresh: a.Force, Another: a.Another,
	}
	if o.contexts {
		r.ACR = nil
		for _, class := range a.Demand.ACR {
			if isContext(class) {
				r.Contexts = append(r.Contexts, class)
			} else {
				r.ACR = append(r.ACR, class)
			}
		}
	}
	target, err := o.client.AuthURL(ctx, r)
	return departure{URL: target}, err
}

func (o *openID) signOut(_ context.Context, ticket session.Ticket, back, state string) departure {
	return departure{URL: o.client.SignOutURL(oidc.SignOut{Redirect: back, IDToken: ticket.IDToken, State: state})}
}

func (o *openID) check(ctx context.Context) (results []Result) {
	for _, r := range o.client.Check(ctx) {
		results = append(results, Result{Connection: o.conn.ID, Name: r.Name, Detail: r.Detail, Err: r.Err})
	}
	return results
}

func (o *openID) run(ctx context.Context) {
	o.client.Run(ctx)
	if o.graph != nil {
		o.graph.CloseIdleConnections()
	}
}

// callback takes the browser's answer back from an OpenID provider.
func (l *Login) callback(c *gin.Context) error {
	return l.arrive(c, func(p *provider) (Attempt, arrival, error) {
		o, ok := p.protocol.(*openID)
		if !ok {
			return Attempt{}, arrival{}, errNoSuchWay
		}
		answer, err := oidc.ReadAnswer(c.Request.URL.RawQuery)
		if err != nil {
			return Attempt{}, arrival{}, err
		}
		attempt, err := l.consume(c.Request, p, answer.State)
		if err != nil {
			return attempt, arrival{}, err
		}
		who, err := o.redeem(c.Request.Context(), answer, attempt, l.now().UTC())
		return attempt, who, err
	})
}

// redeem makes an assertion out of an answer: of the ID token, and of userinfo
// for what the token leaves open.
func (o *openID) redeem(ctx context.Context, answer oidc.Answer, a Attempt, now time.Time) (arrival, error) {
	b := trace.Of(ctx)
	tokens, err := o.client.Redeem(ctx, answer, oidc.Expected{Redirect: o.callback, Nonce: a.Nonce, Verifier: a.Verifier})
	if err != nil {
		return arrival{}, err
	}
	claims := tokens.Claims
	if o.lacks(claims) {
		info, err := o.client.UserInfo(ctx, tokens)
		b.Check("user information", err == nil, "about the same person", outcomeOf(err))
		if err != nil {
			return arrival{}, err
		}
		if info != nil {
			claims = o.merge(claims, info)
			b.Claims(claims)
		}
	}
	assertion, err := o.assertion(claims, now)
	if assertion.GroupsIncomplete {
		b.Note(trace.Overage)
	}
	b.Check("claims", err == nil, "claims that can be read", outcomeOf(err))
	if err != nil {
		return arrival{}, err
	}
	if oid, _ := claims["oid"].(string); oid == assertion.Subject { // of the tenant that signed
		complete(ctx, o.graph, o.log, &assertion, oid)
	}
	subject, _ := tokens.Claims["sub"].(string)
	return arrival{assertion, session.Ticket{
		Issuer: o.issuer, Subject: subject, Session: tokens.Session, IDToken: tokens.IDToken,
		Refresh: tokens.Refresh, RefreshEvery: o.refreshEvery,
	}}, nil
}
