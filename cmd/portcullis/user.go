package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"portcullis/audit"
	"portcullis/config"
	"portcullis/count"
	"portcullis/directory"
	"portcullis/fault"
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
	UnitName     string     `json:"subOrganization,omitempty"`
	UserName     string     `json:"userName"`
	Subject      string     `json:"subject,omitempty"`
	ExternalID   string     `json:"externalId,omitempty"`
	Name         string     `json:"name"`
	Email        string     `json:"email"`
	State        string     `json:"state"`
	Frozen       string     `json:"frozen,omitempty"` // what is frozen that they are in
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

// inWords is the state of somebody, whom something frozen keeps out as well.
func (w *userJSON) inWords() string {
	switch {
	case w.Frozen == "":
		return w.State
	case w.State == string(directory.Active):
		return "frozen"
	default:
		return w.State + ", frozen"
	}
}

// tellPlaces says of people how their sub-organization is called, and what is
// frozen that they are in.
func tellPlaces(ctx context.Context, d *directory.Directory, people []userJSON) error {
	spots, units := make([]directory.Spot, len(people)), make(map[string]bool)
	for i, w := range people {
		if spots[i] = (directory.Spot{Organization: w.Organization, Unit: w.Unit}); w.Unit != "" {
			units[w.Unit] = true
		}
	}
	frozen, err := d.Frozen(ctx, spots...)
	if err != nil {
		return err
	}
	names, err := d.UnitNames(ctx, slices.Collect(maps.Keys(units)))
	for i := range people {
		people[i].Frozen, people[i].UnitName = frozen[spots[i]], names[people[i].Unit]
	}
	return err
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
	cmd.Long = "People and their state.\n\nA USER is named by id, userName, e-mail address or subject; where several people\nmatch, --connection or the id tells them apart.\n\nA lock or a deactivation takes the place of one by a manager of their own organization,\nwho cannot undo it then."
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
		return none, usagef("%s match %q: %v; name one by id, or with --connection", count.People(len(people)), word, ids)
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
					text += ", " + count.Sessions(ended) + " ended"
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
				if err := tellPlaces(cmd.Context(), d, wire); err != nil {
					return err
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
	for i := range people {
		w := &people[i]
		rows[i] = []string{w.ID, w.Connection, w.UserName, w.Name, w.inWords(), w.Source, stampOf(w.LastActive)}
	}
	return c.printTable("ID CONNECTION USERNAME NAME STATE SOURCE LAST-ACTIVE", rows)
}
