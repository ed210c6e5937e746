package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/session"
	"portcullis/store"
)

type apiTokenJSON struct {
	ID         string     `json:"id"`
	Person     string     `json:"person,omitempty"`
	Service    string     `json:"service,omitempty"`
	Connection string     `json:"connection"`
	Groups     []string   `json:"groups,omitempty"`
	Scopes     []string   `json:"scopes"`
	Note       string     `json:"note"`
	State      string     `json:"state"` // live, expired, revoked
	Created    time.Time  `json:"created"`
	Expires    time.Time  `json:"expires"`
	LastUsed   *time.Time `json:"lastUsed"`
	Revoked    *time.Time `json:"revoked"`
	Secret     string     `json:"secret,omitempty"` // by create alone
}

func apiTokenWire(t session.APIToken, now time.Time) apiTokenJSON {
	return apiTokenJSON{
		ID: t.ID, Person: t.Person, Service: t.Service, Connection: t.Connection, Groups: t.Groups, Scopes: t.Scopes, Note: t.Note,
		State: tokenState(t.Revoked, t.Live(now)), Created: t.Created, Expires: t.Expires, LastUsed: optional(t.LastUsed), Revoked: optional(t.Revoked),
	}
}

func (c *cli) apiTokenCommand() *cobra.Command {
	return group("api-token", "Tokens with which programs come in", c.apiTokenCreate(), c.apiTokenList(), c.apiTokenRevoke())
}

// newAPIToken is what api-token create is asked for.
type newAPIToken struct {
	user, service, connection, note string
	groups, scopes                  []string
	life                            time.Duration
}

func (c *cli) apiTokenCreate() *cobra.Command {
	var n newAPIToken
	cmd := &cobra.Command{
		Use: "create {--user USER | --service NAME --connection ID} --scope SCOPE…", Short: "Make a token and print its secret, once", Args: cobra.NoArgs,
		Long: `Make a token with which a program comes in, as "Authorization: Bearer SECRET",
and print its secret, once.

A token of a person may do what the mapping makes of that person's last sign-in
and of what is pushed of them. A token of a service may do what the mapping
makes of a subject "service:NAME" of user type "service" in the connection,
with the groups that --group names. Either is narrowed to its scopes: names of
roles and tasks, or '*' for everything in the portal; what whom it stands for
does not have itself is named in a warning. The gate's own tasks
(gate.users.view and so on), with which a program calls the API of the console
and commands work through a gate (--gate), count where they are named: neither
a role nor '*' brings one along.

Tokens are made where a gate runs: whoever got hold of one through which others
could be made would stay when it is revoked. Through a gate (--gate) tokens are
listed and revoked.`,
		Example: "  portcullis api-token create --user ada@acme.example --scope report.view\n" +
			"  portcullis api-token create --service nightly --connection acme-entra --group Exports --scope exporter --expires 720h",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.gate.named() != "" {
				return usagef("a gate elsewhere makes no API tokens, so that nobody stays who got hold of one: where the gate runs, without --gate and %s", gateVariable)
			}
			return c.withDirectory(cmd.Context(), func(cfg *config.Config, db *store.DB, d *directory.Directory) error {
				return c.createAPIToken(cmd.Context(), cfg, db, d, n)
			})
		},
	}
	cmd.Flags().StringVar(&n.user, "user", "", "the person whom it stands for")
	cmd.Flags().StringVar(&n.service, "service", "", "the service that it stands for")
	cmd.Flags().StringVar(&n.connection, "connection", "", "connection of the service, or of the person")
	cmd.Flags().StringArrayVar(&n.groups, "group", nil, "group of the service; may be repeated")
	cmd.Flags().StringArrayVar(&n.scopes, "scope", nil, "role or task that it keeps, '*' for all of the portal's; may be repeated")
	cmd.Flags().StringVar(&n.note, "note", "", "what it is for")
	cmd.Flags().DurationVar(&n.life, "expires", session.DefaultTokenLife, "how long it is good, at most 8784h")
	return throughGate(cmd)
}

func (c *cli) createAPIToken(ctx context.Context, cfg *config.Config, db *store.DB, d *directory.Directory, n newAPIToken) error {
	t := session.APIToken{Service: n.service, Connection: n.connection, Groups: n.groups, Scopes: n.scopes, Note: n.note}
	var owner directory.Standing
	switch {
	case (n.user == "") == (n.service == ""):
		return usagef("want --user USER, or --service NAME --connection ID")
	case n.user != "" && len(n.groups) > 0:
		return usagef("--group is for services: a person's groups are their identity provider's to say")
	case len(n.scopes) == 0:
		return usagef("want --scope ROLE-OR-TASK, or --scope '*'")
	case n.life <= 0:
		return usagef("want --expires above 0")
	case n.service != "":
		i := slices.IndexFunc(cfg.Connections, func(conn config.Connection) bool { return conn.ID == n.connection })
		if i < 0 {
			return usagef("no connection %q; want one of: %v", n.connection, connectionIDs(cfg))
		}
		t.Organization = cfg.Connections[i].Organization
		owner = t.Standing(directory.Organization{Name: t.Organization})
	default:
		p, err := find(ctx, d, n.connection, n.user)
		if err != nil {
			return err
		}
		if owner, err = d.Look(ctx, p.ID); err != nil {
			return err
		}
		if owner.Assertion.Subject == "" {
			return fault.New(fault.Conflict, "%s has never signed in: nothing says what the portal should call them", p.UserName)
		}
		t.Person, t.Connection, t.Organization = p.ID, p.Connection, p.Organization
	}
	secret, made, err := newSessions(cfg, db).CreateToken(ctx, operator(), t, n.life)
	if err != nil {
		return err
	}
	c.warnOfScopes(ctx, cfg, db, &owner, made)
	if c.json {
		wire := apiTokenWire(made, made.Created)
		wire.Secret = secret
		return c.printJSON(wire)
	}
	fmt.Fprintf(c.err, "token %s, good until %s (the secret is shown this once)\n", made.ID, stamp(made.Expires))
	_, err = fmt.Fprintln(c.out, secret)
	return err
}

// warnOfScopes says what a new token cannot do by the mapping of now, though it
// is made for that. It is made all the same: the mapping may follow.
func (c *cli) warnOfScopes(ctx context.Context, cfg *config.Config, db *store.DB, owner *directory.Standing, t session.APIToken) {
	src, err := c.mappingOf(ctx, cfg, db, nil, time.Time{})
	if err != nil {
		fmt.Fprintf(c.err, "warning: whether whom it stands for has what it names cannot be told: %v\n", err)
		return
	}
	access, err := owner.Admit(src.policy, t.Created)
	switch unmet := session.Unmet(&access, t.Scopes); {
	case err != nil:
		fmt.Fprintf(c.err, "warning: the token opens nothing for now: %s\n", fault.ToOthers(err))
	case len(unmet) > 0:
		fmt.Fprintf(c.err, "warning: whom it stands for does not have %s: until the mapping gives them that, the token may do nothing of it\n", strings.Join(unmet, ", "))
	}
}

func (c *cli) apiTokenList() *cobra.Command {
	return throughGate(&cobra.Command{
		Use: "list", Short: "List API tokens", Args: cobra.NoArgs,
		Long: `List API tokens. Through a gate those of everybody for whoever has the task
gate.tokens.edit, and otherwise one's own.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				tokens, everyone, err := g.apiTokens(cmd.Context())
				if err != nil {
					return err
				}
				if !everyone {
					fmt.Fprintln(c.err, "note: these are your own; everybody's are for whoever has the task gate.tokens.edit")
				}
				return c.sayAPITokens(tokens)
			}
			return c.withStore(cmd.Context(), func(cfg *config.Config, db *store.DB) error {
				list, err := newSessions(cfg, db).Tokens(cmd.Context(), session.TokenQuery{})
				if err != nil {
					return err
				}
				wire := make([]apiTokenJSON, len(list))
				for i, t := range list {
					wire[i] = apiTokenWire(t, c.now())
				}
				return c.sayAPITokens(wire)
			})
		},
	})
}

func (c *cli) sayAPITokens(tokens []apiTokenJSON) error {
	if c.json {
		return c.printJSON(tokens)
	}
	rows := make([][]string, len(tokens))
	for i, t := range tokens {
		whose := t.Person
		if whose == "" {
			whose = "service:" + t.Service
		}
		rows[i] = []string{t.ID, whose, t.Connection, t.State, strings.Join(t.Scopes, " "), stamp(t.Expires), stampOf(t.LastUsed), t.Note}
	}
	return c.printTable("ID WHOSE CONNECTION STATE SCOPES EXPIRES LAST-USED NOTE", rows)
}

func (c *cli) apiTokenRevoke() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "Make a token worthless at once, with what it has open", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				if err := g.revokeAPIToken(cmd.Context(), args[0], reason); err != nil {
					return err
				}
				fmt.Fprintln(c.err, "revoked", args[0])
				return nil
			}
			return c.withStore(cmd.Context(), func(cfg *config.Config, db *store.DB) error {
				if err := newSessions(cfg, db).RevokeToken(cmd.Context(), operator(), args[0], reason); err != nil {
					return err
				}
				fmt.Fprintln(c.err, "revoked", args[0])
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	return throughGate(cmd)
}
