package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"portcullis/audit"
	"portcullis/config"
	"portcullis/demo"
)

func (c *cli) demoCommand() *cobra.Command {
	var addr string
	cmd := &cobra.Command{
		Use: "demo", Short: "Show the whole product on loopback, with nothing to configure", Args: cobra.NoArgs,
		Long: `Show the whole product on loopback, with nothing to configure: the gate, a
sample client portal, and a sample identity provider for each of three client
companies, one of them over SAML 2.0. State is in a temporary folder that is removed at the end.`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if addr != "" && !onLoopback(addr) {
				return usagef("--listen: want host:port on loopback, got %q", addr)
			}
			dir, err := os.MkdirTemp("", "portcullis-demo-")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			d := &demonstration{cli: c, dir: dir, log: slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelWarn}))}
			return d.run(cmd.Context(), addr)
		},
	}
	cmd.Flags().StringVar(&addr, "listen", "", "address of the gate; by default 127.0.0.1:8080, or a free port if that is taken")
	return cmd
}

// onLoopback reports whether addr is a host and port that only this machine
// reaches: the sample providers ask for no password.
func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip, notIP := netip.ParseAddr(host)
	return err == nil && (host == "localhost" || notIP == nil && ip.IsLoopback())
}

// demonstration is a run of the demo: everything in this process, each part
// on a listener of its own, the gate by a real configuration file.
type demonstration struct {
	cli    *cli
	dir    string
	log    *slog.Logger
	public string
	gate   *gate
	portal *site
	idps   []*site
}

// site is a sample server.
type site struct {
	company demo.Company
	url     string
	l       net.Listener
	idp     *demo.IDP
	server  *http.Server
}

func (d *demonstration) run(ctx context.Context, addr string) error {
	if err := d.listen(ctx, &addr); err != nil {
		return err
	}
	cfg, err := d.configure(addr)
	if err != nil {
		return errors.Join(err, d.close())
	}
	if d.gate, err = openGate(ctx, cfg, d.log); err != nil {
		return errors.Join(err, d.close())
	}
	if err := d.build(ctx); err != nil {
		return errors.Join(err, d.gate.db.Close(), d.close())
	}
	var wg sync.WaitGroup
	for _, s := range append(d.idps, d.portal) {
		wg.Go(func() {
			if err := s.server.Serve(s.l); !errors.Is(err, http.ErrServerClosed) {
				d.log.ErrorContext(ctx, "sample server ended", "error", err)
			}
		})
	}
	err = d.gate.serve(ctx, func(net.Addr) { wg.Go(func() { d.introduce(ctx) }) })
	err = errors.Join(err, d.close())
	wg.Wait()
	return err
}

// listen takes the ports: the gate's own where it is free, so that links in
// the documentation work, and any others.
func (d *demonstration) listen(ctx context.Context, addr *string) error {
	if *addr == "" {
		*addr = "127.0.0.1:8080"
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *addr)
		if err != nil {
			if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
				return err
			}
			*addr = l.Addr().String()
		}
		if err := l.Close(); err != nil { // the gate takes it itself
			return err
		}
	}
	d.public = "http://" + *addr
	sites := []*site{{}}
	for _, company := range demo.Companies() {
		sites = append(sites, &site{company: company})
	}
	for _, s := range sites {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return errors.Join(err, d.close())
		}
		s.l, s.url = l, "http://"+l.Addr().String()
		if s.company.ID == "" {
			d.portal = s
		} else {
			d.idps = append(d.idps, s)
		}
	}
	return nil
}

func (d *demonstration) close() error {
	var errs []error
	for _, s := range append(d.idps, d.portal) {
		switch {
		case s == nil:
		case s.server != nil:
			errs = append(errs, s.server.Close())
		default:
			errs = append(errs, s.l.Close())
		}
	}
	return errors.Join(errs...)
}

// configure writes the files that an operator would write, and loads them.
func (d *demonstration) configure(addr string) (*config.Config, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "public_url: %s\nlisten: %s\nops_listen: off\nupstream: {url: %q}\n", d.public, addr, d.portal.url)
	b.WriteString("database: {url: \"sqlite:portcullis.db\"}\nmapping: {file: mapping.yaml}\nshutdown: {delay: 0s}\n")
	b.WriteString("routes:\n  - {path: /assets/, public: true}\n  - {path: /reports, require: {tasks: [report.view]}}\nconnections:\n")
	files := map[string][]byte{"mapping.yaml": demo.Mapping}
	for _, s := range d.idps {
		id := s.company.ID
		fmt.Fprintf(&b, "  - id: %s\n    organization: %s\n    domains: [%s]\n", id, s.company.Name, s.company.Domain)
		if s.company.SAML {
			fmt.Fprintf(&b, "    saml: {metadata_url: \"%s/saml/metadata\"}\n", s.url)
		} else {
			fmt.Fprintf(&b, "    oidc: {issuer: %q, client_id: portcullis, client_secret_file: %s.secret}\n", s.url, id)
			files[id+".secret"] = []byte(d.secret(id))
		}
		b.WriteString("    scim: {enabled: true}\n")
	}
	path := filepath.Join(d.dir, "portcullis.yaml")
	files["portcullis.yaml"] = []byte(b.String())
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(d.dir, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	return config.Load(path, func(string) (string, bool) { return "", false })
}

// secret is the client secret of a sample provider, which knows no others
// than this process.
func (*demonstration) secret(id string) string { return "sample-secret-of-" + id }

// build makes the sample servers, each with a SCIM token of its connection.
func (d *demonstration) build(ctx context.Context) error {
	d.portal.server = sampleServer(demo.NewPortal(demo.PortalConfig{PublicURL: d.public, Audience: d.portal.url, Log: d.log}))
	for _, s := range d.idps {
		id := s.company.ID
		token, _, err := newTokens(d.gate.db).Create(ctx, audit.Gate(), id, "demo", 0)
		if err != nil {
			return err
		}
		c := demo.IDPConfig{
			Issuer: s.url, Company: s.company.Name, Domain: s.company.Domain, People: s.company.People, Groups: s.company.Groups,
			SCIM:      demo.SCIMConfig{BaseURL: d.public + "/scim/v2/" + id, Token: token},
			Explain:   func(ctx context.Context, subject string) (string, error) { return d.explain(ctx, id, subject) },
			PortalURL: d.public, Log: d.log,
		}
		if s.company.SAML {
			c.SAML.MetadataURL = d.public + "/.portcullis/saml/" + id + "/metadata"
		} else {
			c.ClientID, c.ClientSecret = "portcullis", d.secret(id)
			c.RedirectURIs = []string{d.public + "/.portcullis/oidc/" + id + "/callback"}
			c.PostLogoutRedirectURIs = []string{d.public + "/.portcullis/sign-out"}
		}
		s.idp = demo.NewIDP(c)
		s.server = sampleServer(s.idp)
	}
	return nil
}

func sampleServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
}

// explain says what the gate makes of somebody, as "portcullis mapping
// explain" does.
func (d *demonstration) explain(ctx context.Context, connection, subject string) (string, error) {
	p, err := find(ctx, d.gate.dir, connection, subject)
	if err != nil {
		return "", err
	}
	s, err := d.gate.dir.Look(ctx, p.ID)
	if err != nil {
		return "", err
	}
	text := explainStanding(&s, d.gate.keeper.Policy(), d.cli.now())
	return strings.ReplaceAll(text, d.dir+string(filepath.Separator), ""), nil // the folder's name says nothing
}

// introduce pushes everybody, as a directory does in its first cycle, and
// says where to click.
func (d *demonstration) introduce(ctx context.Context) {
	for _, s := range d.idps {
		if err := s.idp.PushAll(ctx); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "not everybody could be pushed", "company", s.company.Name, "error", err)
		}
	}
	alpha, beta, gamma := d.idps[0], d.idps[1], d.idps[2]
	console, err := d.cli.consoleLink(ctx, d.gate.cfg, d.gate.db, audit.Gate())
	if err != nil {
		if ctx.Err() == nil {
			d.log.WarnContext(ctx, "no link to the console", "error", err)
		}
		return
	}
	fmt.Fprintf(d.cli.out, `
Portcullis is up. Three client companies, Alpha, Beta and Gamma, share one portal.

  The portal, behind the gate      %[1]s
  Alpha's directory, as its IT     %[2]s/admin
  Beta's directory, as its IT      %[3]s/admin
  Gamma's directory, as its IT     %[4]s/admin
  The gate's console, once         %[6]s

What to try:

  1. Open the portal, choose Alpha, sign in as Ada: all accounts of Alpha, and a Reports page.
     Sign out and come back as Ben: one account. As Dan: refused, with the reason.
  2. Stay signed in, on the Live page. In another tab open Alpha's directory and press
     "Deactivate" beside that person: the open page closes at once. "Reactivate" lets them
     sign in again.
  3. In Alpha's directory put Ben into a group named Accounts-BET0001, Beta's account. Sign in
     as Ben: nothing of Beta is there, and the directory page shows the gate's explanation.
  4. Move somebody to another group and watch an open portal page follow.
  5. Sign in at Gamma as Ines: its provider speaks SAML 2.0, and its answer is signed and
     encrypted. Then press "Sign out" in Gamma's directory: the portal is signed out, too.
  6. Open the console by its link, find Ben among the people, look at Why, and lock him.
     It opens once, within 15 minutes; for another one, from this folder:
     go run ./cmd/portcullis admin bootstrap -c %[5]s/portcullis.yaml

The files of this run, to read or to change while it runs: %[5]s
Stop with Ctrl-C.
`, d.public, alpha.url, beta.url, gamma.url, d.dir, console)
}
