package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/spf13/cobra"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/config"
	"portcullis/directory"
	"portcullis/keys"
	"portcullis/login"
	"portcullis/mapping"
	"portcullis/proxy"
	"portcullis/revision"
	"portcullis/scim"
	"portcullis/session"
	"portcullis/store"
	"portcullis/telemetry"
	"portcullis/trace"
	"portcullis/web"
)

func (c *cli) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the gate", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.loadConfig()
			if err != nil {
				return err
			}
			log := slog.New(slog.NewJSONHandler(c.err, nil))
			g, err := openGate(cmd.Context(), cfg, log)
			if err != nil {
				return err
			}
			return g.serve(cmd.Context(), nil)
		},
	}
}

// gate is the whole product, wired.
type gate struct {
	cfg      *config.Config // as it stands in the file
	roster   *roster
	log      *slog.Logger
	db       *store.DB
	keys     *keys.Ring
	keeper   *revision.Keeper
	dir      *directory.Directory
	sessions *session.Manager
	login    *login.Login
	traces   *trace.Writer
	scim     *scim.Endpoint
	guard    *scim.Guard
	console  *admin.Console
	proxy    *proxy.Proxy
	ops      *ops
	tracer   *telemetry.Tracer // nil where no traces are wanted

	certificate *proxy.Certificate // of the public listener; nil where it speaks plain HTTP
}

// openGate wires the rooms, from the database up. A broken mapping file does
// not keep the gate from starting: what was in force last is in force again,
// and without that sign-ins are refused until the file is mended.
func openGate(ctx context.Context, cfg *config.Config, log *slog.Logger) (g *gate, err error) {
	tracer, err := newTracer(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, store.Config{URL: cfg.Database.URL.Reveal(), Observe: queries(tracer), Log: log})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	g = &gate{cfg: cfg, log: log, db: db, tracer: tracer}
	counts := newMetrics(connectionIDs(cfg))
	ring, err := keys.Open(ctx, keys.Config{
		Store: g.db.Keys(), File: cfg.Keys.File, Create: true, Withdrawn: func() { g.sessions.ForgetStatements() }, Log: log,
	})
	if err != nil {
		return nil, err
	}
	g.keys = ring
	policy := func() *mapping.Policy { return g.keeper.Policy() }
	g.sessions = session.New(session.Config{
		Store: g.db.Sessions(), Sealer: ring, Policy: policy, Foreign: func(p *directory.Person) bool { return g.dir.Foreign(p) }, Idle: cfg.Sessions.Idle, Absolute: cfg.Sessions.Absolute, Max: cfg.Sessions.Max, Remember: remember(debug.SetMemoryLimit(-1)), Log: log,
	})
	g.roster = newRoster(cfg, db, ring, log, time.Now) //nolint:forbidigo // the clock of the process
	if err := g.roster.Refresh(ctx); err != nil {
		return nil, err
	}
	cfg = g.roster.cfg()
	g.dir = directory.New(directory.Config{Store: g.db.Directory(), Policy: policy, Connections: connections(cfg), Log: log})
	g.keeper = revision.New(revision.Config{
		Store: g.db.Revisions(), File: cfg.Mapping.File, Options: g.roster.mappingOptions(), Replica: replica(cfg),
		Reach:   reach(g.dir, time.Now), //nolint:forbidigo // the clock of the process
		Changed: g.sessions.PolicyChanged, Log: log,
	})
	_ = g.keeper.Load(ctx) // reported by the keeper, and by /readyz
	if err := g.dir.Reconcile(ctx); err != nil {
		return nil, err
	}
	providers, err := g.roster.loginConnections(ctx, cfg)
	if err != nil {
		return nil, err
	}
	g.traces = trace.New(trace.Config{Store: g.db.Traces(), Log: log})
	g.login = login.New(login.Config{
		Traces: attempts{g.traces, counts}, Thread: thread(tracer), Demand: func(target string) session.Demand { return g.proxy.Demand(target) },
		PublicURL: cfg.PublicURL, Connections: providers, Directory: entrance(g.dir, tracer), Sessions: g.sessions,
		Named: func(connection string) bool {
			p := g.keeper.Policy()
			return p == nil || slices.Contains(p.Connections(), connection)
		},
		Store: g.db.Login(), Limit: login.Limit{PerSecond: cfg.Limits.SignIn.PerSecond}, Log: log,
	})
	g.scim = scim.New(scim.Config{
		PublicURL: cfg.PublicURL, Directory: g.dir, Tokens: g.db.Tokens(), Journal: g.db.Journal(), Connections: g.roster.scimConnections(cfg),
		Limit: scim.Limit{PerSecond: cfg.Limits.SCIM.PerSecond}, Address: web.ClientAddress, Log: log,
	})
	g.console = admin.New(admin.Config{
		PublicURL: cfg.PublicURL, Store: g.db.Admin(), Sessions: g.sessions, Directory: g.dir, Keeper: g.keeper,
		Ledger: ledger(cfg, g.db, g.dir, g.roster.mappingOptions(), time.Now), //nolint:forbidigo // the clock of the process

		Journal: g.db.Journal(), Traces: g.db.Traces(), Trail: g.db.Audit(), Ways: g.roster, Tokens: newTokens(g.db), Throttle: g.login,
		Facts: configurationFacts(g.cfg), Environment: cfg.Environment, Log: log,
	})
	front := proxy.Config{
		PublicURL: cfg.PublicURL, Sessions: g.sessions, Keys: countedKeys{ring, counts}, Observe: counts.answered, Via: via(tracer), SCIM: g.scim,
		Mount: []func(*gin.RouterGroup){func(own *gin.RouterGroup) { g.login.Mount(own.Group(web.Prefix)) }, g.console.Mount}, Log: log,
	}
	front.Language = func(ctx context.Context, person string) (string, error) {
		chosen, err := g.db.Admin().Preferences(ctx, person)
		return chosen.Language, err
	}
	front.HandOver = &proxy.HandOver{Sealer: ring, Once: func(ctx context.Context, hash []byte, expires time.Time) error {
		return g.db.Login().UseAssertion(ctx, "hand-over to another host", hash, expires)
	}}
	if err := portals(&front, cfg, log); err != nil {
		return nil, err
	}
	front.Networks = g.roster.state.Load().networks()
	if cfg.TLS != nil {
		if g.certificate, err = certificate(cfg.TLS.CertFile, cfg.TLS.KeyFile, log); err != nil {
			return nil, err
		}
	}
	g.proxy = proxy.New(front)
	g.roster.login, g.roster.apply = func() *login.Login { return g.login }, g.adopt(counts)
	g.guard = scim.NewGuard(scim.GuardConfig{Losses: g.dir, Log: log})
	counts.watch(g)
	g.ops = &ops{metrics: counts, db: g.db, keeper: g.keeper, sessions: g.sessions}
	return g, nil
}

// loginConnections is the connections that people sign in through. Without a
// ring, as for a look from outside, no client proves itself by a key.
func loginConnections(ctx context.Context, cfg *config.Config, ring *keys.Ring) (out []login.Connection, err error) {
	for _, conn := range cfg.Connections {
		c := login.Connection{ID: conn.ID, Organization: conn.Organization, Domains: conn.Domains, Addresses: conn.Addresses, Link: conn.Link}
		switch {
		case conn.SAML != nil:
			if c.SAML, err = loginSAML(conn.ID, cfg.PublicURL, conn.SAML, ring); err != nil {
				return nil, err
			}
		case conn.OIDC != nil:
			if c.OIDC, err = loginOIDC(conn.OIDC); err != nil {
				return nil, err
			}
		default:
			continue
		}
		if conn.OIDC != nil && conn.OIDC.KeyJWT && ring != nil {
			signer, err := ring.Client(ctx, conn.ID)
			if err != nil {
				return nil, err
			}
			c.OIDC.Provider.Signer, c.OIDC.JWKS = signer, signer.JWKS
		}
		out = append(out, c)
	}
	return out, nil
}

// serve listens and runs until ctx ends; ready, if not nil, is called with
// the address of the public listener. Then the gate takes leave, see
// [gate.leave], and what is in memory is written down.
func (g *gate) serve(ctx context.Context, ready func(net.Addr)) (err error) {
	defer func() { err = errors.Join(err, g.db.Close()) }()
	defer func() { err = errors.Join(err, closeTracer(ctx, g.tracer)) }()
	defer g.proxy.Close()
	public, err := listen(ctx, g.cfg.Listen)
	if err != nil {
		return err
	}
	running, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	servers := []*http.Server{proxy.Server(g.cfg.Listen, g.ops.farewell(around(g.ops.count(g.proxy), g.tracer)), g.log)}
	servers[0].MaxHeaderBytes = int(g.cfg.Limits.Headers)
	questions := g.proxy.Questions(servers[0])
	if g.certificate != nil {
		servers[0].TLSConfig = g.certificate.Server()
	}
	listeners := []net.Listener{public}
	if g.cfg.OpsListen != "" {
		private, err := listen(ctx, g.cfg.OpsListen)
		if err != nil {
			return errors.Join(err, public.Close())
		}
		servers = append(servers, proxy.Server(g.cfg.OpsListen, g.ops.handler(), g.log))
		listeners = append(listeners, private)
	}
	failed := make(chan error, len(servers))
	for i, s := range servers {
		s.BaseContext = func(net.Listener) context.Context { return running }
		go func() {
			if s.TLSConfig != nil {
				failed <- s.ServeTLS(listeners[i], "", "")
			} else {
				failed <- s.Serve(listeners[i])
			}
		}()
	}
	stopRooms := g.run(running)
	g.log.InfoContext(ctx, "ready", "public", g.cfg.PublicURL.String(), "listen", public.Addr().String(), "ops", g.cfg.OpsListen)
	if ready != nil {
		ready(public.Addr())
	}
	pace()
	settled := time.AfterFunc(time.Second, settle)
	defer settled.Stop()
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	err = errors.Join(err, g.leave(running, cut, servers, questions, err == nil))
	stopRooms()
	return err
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	return l, nil
}

// run starts what works in the background; stop ends it and waits.
func (g *gate) run(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	for name, f := range map[string]func(context.Context) error{
		"sessions": g.sessions.Run,
		"keys":     g.keys.Run,
		"roster":   g.roster.Run,
		"mapping":  g.keeper.Run,
		"sign-in":  g.login.Run,
		"traces":   g.traces.Run,
		"scim":     g.scim.Run,
		"guard":    g.guard.Run,
		"health":   g.proxy.Run,
		"console":  g.console.Run,
		"audit":    audit.NewSealer(&trail{Store: g.db.Audit(), metrics: g.ops.metrics}, g.log).Run,
	} {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				g.log.ErrorContext(ctx, "background work ended", "work", name, "error", err)
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}
