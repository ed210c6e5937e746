package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"portcullis/audit"
	"portcullis/config"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
)

type barJSON struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

type userJSON struct {
	ID           string     `json:"id"`
	Connection   string     `json:"connection"`
	Organization string     `json:"organization"`
	Unit         string     `json:"subOrganizationId,omitempty"`
	UserName     string     `json:"userName"`
	Subject      string     `json:"subject,omitempty"`
	ExternalID   string     `json:"externalId,omitempty"`
	Name         string     `json:"name"`
	Email        string     `json:"email"`
	State        string     `json:"state"`
	Source       string     `json:"source"`
	Deactivated  *barJSON   `json:"deactivated,omitempty"`
	Locked       *barJSON   `json:"locked,omitempty"`
	Created      time.Time  `json:"created"`
	LastActive   *time.Time `json:"lastActive"`
}

func userWire(p directory.Person) userJSON {
	w := userJSON{
		ID: p.ID, Connection: p.Connection, Organization: p.Organization, Unit: p.Unit, UserName: p.UserName, ExternalID: p.ExternalID,
		Name: p.Name, Email: p.Email, State: string(p.State()), Source: "sso", Created: p.Created, LastActive: optional(p.LastActive),
	}
	if p.Provisioned {
		w.Source = "scim"
	}
	if b := p.Deactivated; b != nil {
		w.Deactivated = &barJSON{At: b.At, By: b.By, Reason: b.Reason}
	}
	if b := p.Locked; b != nil {
		w.Locked = &barJSON{At: b.At, By: b.By, Reason: b.Reason}
	}
	return w
}

func (c *cli) userCommand() *cobra.Command {
	cmd := group("user", "People and their state", c.userList(), c.userShow(),
		c.userMove(), c.userVerb("lock", "Bar a person and end every session at once", true,
			func(ctx context.Context, d *directory.Directory, by audit.Actor, id, reason string) (int, error) {
				return d.Lock(ctx, by, id, reason)
			}),
		c.userVerb("unlock", "Take the lock away", false,
			func(ctx context.Context, d *directory.Directory, by audit.Actor, id, reason string) (int, error) {
				return 0, d.Unlock(ctx, by, id, reason)
			}),
		c.userVerb("deactivate", "Deactivate a person and end every session at once", true,
			func(ctx context.Context, d *directory.Directory, by audit.Actor, id, reason string) (int, error) {
				return d.Deactivate(ctx, by, id, reason)
			}),
		c.userVerb("reactivate", "Take back a deactivation that was made here", false,
			func(ctx context.Context, d *directory.Directory, by audit.Actor, id, reason string) (int, error) {
				return 0, d.Reactivate(ctx, by, id, reason)
			}),
		c.userSessions(), c.userSignOut(),
	)
	cmd.Long = "People and their state.\n\nA USER is named by id, userName, e-mail address or subject; where several people\nmatch, --connection or the id tells them apart."
	return cmd
}

// withDirectory runs f on the directory. Nobody signs in here, so no mapping
// is in force.
func (c *cli) withDirectory(ctx context.Context, f func(*config.Config, *store.DB, *directory.Directory) error) error {
	return c.withStore(ctx, func(cfg *config.Config, db *store.DB) error {
		return f(cfg, db, directory.New(directory.Config{Store: db.Directory(), Connections: connections(cfg)}))
	})
}

// find gives the one person that a word on the command line means.
func find(ctx context.Context, d *directory.Directory, connection, word string) (directory.Person, error) {
	people, err := d.Find(ctx, connection, word)
	if err != nil {
		return directory.Person{}, err
	}
	return onlyOne(people, word, func(p directory.Person) string { return p.Connection + ":" + p.ID })
}

// onlyOne gives the one of people whom a word means.
func onlyOne[P any](people []P, word string, name func(P) string) (none P, err error) {
	switch len(people) {
	case 0:
		return none, fault.New(fault.NotFound, "no user %q", word)
	case 1:
		return people[0], nil
	default:
		ids := make([]string, len(people))
		for i, p := range people {
			ids[i] = name(p)
		}
		return none, usagef("%d people match %q: %v; name one by id, or with --connection", len(people), word, ids)
	}
}

func (c *cli) userVerb(use, short string, ends bool,
	verb func(context.Context, *directory.Directory, audit.Actor, string, string) (int, error),
) *cobra.Command {
	return c.userTurn(use, short, ends, func(ctx context.Context, _ *config.Config, _ *store.DB, d *directory.Directory, id, reason string) (int, error) {
		return verb(ctx, d, operator(), id, reason)
	})
}

// userTurn is a command that does something to one person.
func (c *cli) userTurn(use, short string, ends bool,
	turn func(ctx context.Context, cfg *config.Config, db *store.DB, d *directory.Directory, id, reason string) (int, error),
) *cobra.Command {
	var connection, reason string
	cmd := &cobra.Command{
		Use: use + " USER", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			say := func(id, userName string, ended int) error {
				if c.json {
					return c.printJSON(map[string]any{"id": id, "done": use, "sessionsEnded": ended})
				}
				text := fmt.Sprintf("%s: %s (%s)", use, printable(userName), id)
				if ends {
					text += fmt.Sprintf(", %d sessions ended", ended)
				}
				_, err := fmt.Fprintln(c.out, text)
				return err
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				if cmd.Flags().Lookup("to") != nil {
					p, err := g.moved(cmd.Context(), connection, args[0], flagOf(cmd, "to"), reason)
					if err != nil {
						return err
					}
					return say(p.ID, p.UserName, 0)
				}
				p, ended, err := g.turn(cmd.Context(), use, connection, args[0], flagOf(cmd, "session"), reason)
				if err != nil {
					return err
				}
				return say(p.ID, p.UserName, ended)
			}
			return c.withDirectory(cmd.Context(), func(cfg *config.Config, db *store.DB, d *directory.Directory) error {
				p, err := find(cmd.Context(), d, connection, args[0])
				if err != nil {
					return err
				}
				ended, err := turn(cmd.Context(), cfg, db, d, p.ID, reason)
				if err != nil {
					return err
				}
				return say(p.ID, p.UserName, ended)
			})
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "connection that the person belongs to")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	return throughGate(cmd)
}

// flagOf gives the value of a flag; nothing where the command has none such.
func flagOf(cmd *cobra.Command, name string) string {
	if f := cmd.Flags().Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

func (c *cli) userList() *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use: "list", Short: "List people", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				people, err := g.people(cmd.Context(), connection)
				if err != nil {
					return err
				}
				return c.sayUsers(people)
			}
			return c.withDirectory(cmd.Context(), func(cfg *config.Config, _ *store.DB, d *directory.Directory) error {
				var people []directory.Person
				for {
					page, err := d.People(cmd.Context(), directory.Query{Connection: connection, Offset: len(people), Limit: 1000})
					if err != nil {
						return err
					}
					people = append(people, page.Items...)
					if page.Next == nil {
						break
					}
				}
				if len(people) == 0 {
					if err := known(cfg, connection); err != nil {
						return err
					}
				}
				wire := make([]userJSON, len(people))
				for i, p := range people {
					wire[i] = userWire(p)
				}
				return c.sayUsers(wire)
			})
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "only this connection's people")
	return throughGate(cmd)
}

func (c *cli) sayUsers(people []userJSON) error {
	if c.json {
		return c.printJSON(people)
	}
	rows := make([][]string, len(people))
	for i, w := range people {
		rows[i] = []string{w.ID, w.Connection, w.UserName, w.Name, w.State, w.Source, stampOf(w.LastActive)}
	}
	return c.printTable("ID CONNECTION USERNAME NAME STATE SOURCE LAST-ACTIVE", rows)
}

func (c *cli) userShow() *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use: "show USER", Short: "Show a person, what they may do, and why", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				look, err := g.look(cmd.Context(), connection, args[0])
				if err != nil {
					return err
				}
				return c.sayUser(look)
			}
			return c.withDirectory(cmd.Context(), func(cfg *config.Config, db *store.DB, d *directory.Directory) error {
				p, err := find(cmd.Context(), d, connection, args[0])
				if err != nil {
					return err
				}
				return c.show(cmd.Context(), cfg, db, d, p.ID)
			})
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "connection that the person belongs to")
	return throughGate(cmd)
}

// userLook is a person with all that is shown of them.
type userLook struct {
	user             userJSON
	asserted, pushed []string // groups
	sessions         []sessionJSON
	access           json.RawMessage // empty while no mapping is known
	why              string          // the same in words
	mapping          error           // what is wrong with it
}

func (c *cli) show(ctx context.Context, cfg *config.Config, db *store.DB, d *directory.Directory, id string) error {
	s, err := d.Look(ctx, id)
	if err != nil {
		return err
	}
	sessions, err := newSessions(cfg, db).Of(ctx, id)
	if err != nil {
		return err
	}
	policy, mappingErr := revision.Peek(ctx, revision.Config{Store: db.Revisions(), File: cfg.Mapping.File, Options: mappingOptions(cfg)})
	look := &userLook{
		user: userWire(s.Person), asserted: s.Assertion.Groups, pushed: make([]string, len(s.Pushed)), sessions: sessionsWire(sessions), mapping: mappingErr,
	}
	for i, g := range s.Pushed {
		look.pushed[i] = g.Name
	}
	look.user.Subject = s.Assertion.Subject
	if policy != nil {
		facts, now := s.Facts(), c.now()
		if look.access, err = json.Marshal(policy.Explain(&facts, now)); err != nil {
			return err
		}
		look.why = explainStanding(&s, policy, now)
	}
	return c.sayUser(look)
}

func (c *cli) sayUser(look *userLook) error {
	wire := &look.user
	if c.json {
		out := map[string]any{"user": wire, "asserted": list(look.asserted), "pushed": list(look.pushed), "sessions": look.sessions}
		if len(look.access) > 0 {
			out["access"] = look.access
		}
		return c.printJSON(out)
	}
	rows := [][]string{
		{"id", wire.ID},
		{"userName", wire.UserName},
		{"name", wire.Name},
		{"e-mail", wire.Email},
		{"organization", wire.Organization},
		{"connection", wire.Connection},
		{"subject", wire.Subject},
		{"externalId", wire.ExternalID},
		{"state", wire.State},
		{"source", wire.Source},
		{"created", stamp(wire.Created)},
		{"last active", stampOf(wire.LastActive)},
		{"groups asserted", fmt.Sprint(look.asserted)},
		{"groups pushed", fmt.Sprint(look.pushed)},
		{"sessions", strconv.Itoa(len(look.sessions))},
	}
	if err := c.printTable("WHAT IS", rows); err != nil {
		return err
	}
	switch {
	case look.why == "":
		fmt.Fprintln(c.err, "the mapping is broken, so access cannot be shown:")
		return look.mapping
	case look.mapping != nil:
		fmt.Fprintf(c.err, "warning: the mapping is broken; this is by the revision that was in force last:\n%v\n", look.mapping)
	}
	_, err := fmt.Fprintf(c.out, "\n%s", look.why)
	return err
}

// explainStanding says what somebody may do and why, beginning with what
// bars them whatever the mapping grants.
func explainStanding(s *directory.Standing, policy *mapping.Policy, now time.Time) string {
	facts := s.Facts()
	text := policy.Explain(&facts, now).String()
	if s.Bar() != nil {
		text = explainBarred(s.Person.UserName, string(s.Person.State()), s.Organization.Disabled || s.PartFrozen, text)
	}
	return text
}

// explainBarred says of somebody what bars them, before what they may do.
func explainBarred(userName, state string, suspended bool, text string) string {
	if suspended {
		state = "of a suspended organization"
	}
	return fmt.Sprintf("%s is %s and may not come in. Without that:\n\n%s", userName, state, text)
}
