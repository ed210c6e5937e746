package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"portcullis/fault"
	"portcullis/session"
)

// maxFar is how many rows a gate elsewhere gives at a time.
const maxFar = 1000

// people gives everybody of a connection, or everybody, in the order of
// creation.
func (g *remote) people(ctx context.Context, connection string) ([]userJSON, error) {
	q := url.Values{"sort": {"created"}, "limit": {strconv.Itoa(maxFar)}}
	if connection != "" {
		q.Set("connection", connection)
	}
	people := []userJSON{}
	for {
		var some struct {
			People      []userJSON
			Next        string
			Connections []string
		}
		if err := g.get(ctx, "/people", q, &some); err != nil {
			return nil, err
		}
		if people = append(people, some.People...); some.Next == "" {
			if len(people) == 0 {
				return people, knownThere(connection, some.Connections)
			}
			return people, nil
		}
		q.Set("after", some.Next)
	}
}

// knownThere is known for the connections of a gate elsewhere.
func knownThere(connection string, ids []string) error {
	if connection != "" && !slices.Contains(ids, connection) {
		return usagef("no connection %q; want one of: %v", connection, ids)
	}
	return nil
}

// find gives the one person that a word on the command line means.
func (g *remote) find(ctx context.Context, connection, word string) (userJSON, error) {
	if word == "" {
		return userJSON{}, fault.New(fault.NotFound, "no user %q", word)
	}
	q := url.Values{"is": {word}}
	if connection != "" {
		q.Set("connection", connection)
	}
	var found struct{ People []userJSON }
	if err := g.get(ctx, "/people", q, &found); err != nil {
		return userJSON{}, err
	}
	return onlyOne(found.People, word, func(p userJSON) string { return p.Connection + ":" + p.ID })
}

// sessions gives the living sessions of a person.
func (g *remote) sessions(ctx context.Context, id string) ([]sessionJSON, error) {
	answer := struct{ Sessions []sessionJSON }{[]sessionJSON{}}
	err := g.get(ctx, place("people", id, "sessions"), nil, &answer)
	for i := range answer.Sessions {
		answer.Sessions[i].Device = session.Client{UserAgent: answer.Sessions[i].UserAgent}.Device()
	}
	return answer.Sessions, err
}

// turn does something to a person; of sign-out, to one of their sessions if
// that is named.
func (g *remote) turn(ctx context.Context, verb, connection, word, one, reason string) (p userJSON, ended int, err error) {
	if p, err = g.find(ctx, connection, word); err != nil {
		return p, 0, err
	}
	method, path := http.MethodPost, place("people", p.ID, verb)
	if one != "" {
		method, path = http.MethodDelete, place("people", p.ID, "sessions", one)
	}
	var done doneJSON
	err = g.call(ctx, method, path, order{reason}, &done)
	return p, done.Ended, err
}

// look gives a person with all that is shown of them.
func (g *remote) look(ctx context.Context, connection, word string) (*userLook, error) {
	found, err := g.find(ctx, connection, word)
	if err != nil {
		return nil, err
	}
	look := &userLook{asserted: []string{}, pushed: []string{}}
	var whole struct {
		Person                userJSON
		Subject               string
		OrganizationSuspended bool

		SubOrganizationSuspended bool
	}
	if err := g.get(ctx, place("people", found.ID), nil, &whole); err != nil {
		return nil, err
	}
	look.user = whole.Person
	look.user.Subject = whole.Subject
	var why struct {
		Explanation json.RawMessage
		Text, Bar   string
		Groups      []struct{ Name, Source string }
	}
	if err := g.get(ctx, place("people", found.ID, "why"), nil, &why); err != nil {
		return nil, err
	}
	for _, group := range why.Groups {
		if strings.HasPrefix(group.Source, "scim") {
			look.pushed = append(look.pushed, group.Name)
		} else {
			look.asserted = append(look.asserted, group.Name)
		}
	}
	if look.why = why.Text; look.why == "" {
		look.mapping = fault.New(fault.Unavailable, "no mapping is in force")
	} else {
		look.access = why.Explanation
	}
	if why.Bar != "" && look.why != "" {
		look.why = explainBarred(look.user.UserName, look.user.State, whole.OrganizationSuspended, whole.SubOrganizationSuspended, look.why)
	}
	look.sessions, err = g.sessions(ctx, found.ID)
	return look, err
}
