package session_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/session"
)

func TestASessionIsIssuedVerifiedAndEnded(t *testing.T) {
	both(t, func(t *testing.T, a, b *replica) {
		token, issued := a.enter("ada")
		for _, r := range []*replica{a, b} {
			p, err := r.Verify(t.Context(), token)
			if err != nil || p.SessionID != issued.SessionID || p.Subject != "ada" || len(p.Access.Roles) != 1 {
				t.Fatalf("Verify = %+v, %v, want session %s", p, err, issued.SessionID)
			}
		}
		other, _ := a.enter("ada")
		if other == token {
			t.Error("two sessions have one token")
		}
		here, there, stays := a.watch(token), b.watch(token), b.watch(other)
		ticket, connection, err := a.End(t.Context(), token, operator)
		if err != nil || ticket.IDToken != "id token of ada" || connection != "alpha" {
			t.Errorf("End = %v, %q, %v", ticket, connection, err)
		}
		cut(t, "End, where it was ended", here)
		a.refused(token, fault.Unauthenticated, "you were signed out: you signed out")
		cut(t, "End", there)
		b.refused(token, fault.Unauthenticated, "you were signed out: you signed out")
		if stays.Err() != nil {
			t.Error("another session of the same person was cut")
		}
		if ticket, connection, err := a.End(t.Context(), "no such token", operator); ticket != (session.Ticket{}) || connection != "" || err != nil {
			t.Errorf("End of an unknown token = %v, %q, %v, want nothing", ticket, connection, err)
		}
		for _, bad := range []string{"", "x", token + "x", token[1:], strings.ToLower(token), "\x00", "\xff"} {
			a.refused(bad, fault.Unauthenticated, "you are not signed in")
		}
	})
}

// Requests are cut by whose they are and where they come from, one by one.
func TestRequestsAreCutByWhereTheyComeFrom(t *testing.T) {
	both(t, func(t *testing.T, a, b *replica) {
		watch := func(r *replica, token, from string) context.Context {
			p, err := r.Verify(t.Context(), token)
			must(t, err)
			ctx, cancel := r.Watch(t.Context(), p, from)
			t.Cleanup(cancel)
			return ctx
		}
		ada, _ := a.enter("ada")
		ben, _ := a.enter("ben")
		gone := []context.Context{watch(a, ada, "far"), watch(a, ada, "far")}
		stay := []context.Context{watch(a, ada, "near"), watch(a, ben, "far"), watch(b, ada, "far")}
		count := a.CutWhere(func(p *session.Principal, from string) bool { return p.Subject == "ada" && from == "far" })
		if count != len(gone) {
			t.Errorf("CutWhere = %d, want %d", count, len(gone))
		}
		for _, ctx := range gone {
			if context.Cause(ctx) != session.ErrEnded { //nolint:errorlint // the very cause
				t.Errorf("cause = %v", context.Cause(ctx))
			}
		}
		for i, ctx := range stay {
			if ctx.Err() != nil {
				t.Errorf("request %d was cut", i)
			}
		}
		if _, err := a.Verify(t.Context(), ada); err != nil {
			t.Errorf("the session ended: %v", err)
		}
	})
}

func TestARightThatEndsEndsEverywhere(t *testing.T) {
	pushed := func(t *testing.T, r *replica, subject string) string {
		t.Helper()
		p, err := r.dir.Provision(t.Context(), scimActor, "alpha", directory.Record{UserName: subject, ExternalID: "x-" + subject, Active: true})
		must(t, err)
		return p.ID
	}
	revise := func(r *replica, id string, active bool) error {
		_, err := r.dir.Revise(r.t.Context(), scimActor, "alpha", id, func(_ directory.Person, rec directory.Record) (directory.Record, error) {
			rec.Active = active
			return rec, nil
		})
		return err
	}
	for _, tc := range []struct {
		name string
		end  func(r *replica, id string) error
		back func(r *replica, id string) error // nil: it does not come back
	}{
		{"deactivated over SCIM", func(r *replica, id string) error { return revise(r, id, false) }, func(r *replica, id string) error { return revise(r, id, true) }},
		{
			"deactivated by an administrator",
			func(r *replica, id string) error {
				_, err := r.dir.Deactivate(r.t.Context(), operator, id, "")
				return err
			},
			func(r *replica, id string) error { return r.dir.Reactivate(r.t.Context(), operator, id, "") },
		},
		{
			"locked",
			func(r *replica, id string) error { _, err := r.dir.Lock(r.t.Context(), operator, id, ""); return err },
			func(r *replica, id string) error { return r.dir.Unlock(r.t.Context(), operator, id, "") },
		},
		{"deleted", func(r *replica, id string) error { return r.dir.Delete(r.t.Context(), scimActor, "alpha", id) }, nil},
		{
			"signed out",
			func(r *replica, id string) error {
				_, err := r.dir.SignOut(r.t.Context(), operator, id, "")
				return err
			},
			func(*replica, string) error { return nil },
		},
		{
			"organization frozen",
			func(r *replica, _ string) error {
				_, err := r.dir.Freeze(r.t.Context(), operator, "Alpha", "")
				return err
			},
			func(r *replica, _ string) error { return r.dir.Unfreeze(r.t.Context(), operator, "Alpha", "") },
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			both(t, func(t *testing.T, a, b *replica) {
				id := pushed(t, a, "ada")
				token, _ := a.enter("ada")
				in, err := a.dir.SignIn(t.Context(), says("ada"), "ref")
				must(t, err)
				here, there := a.watch(token), b.watch(token)
				must(t, tc.end(a, id))
				if tc.name != "signed out" { // that bars nobody who is on the way in
					if _, _, err := a.Issue(t.Context(), in, session.Client{}, session.Ticket{}); !fault.Is(err, fault.Forbidden) {
						t.Errorf("Issue after the end = %v, want forbidden", err)
					}
				}
				cut(t, tc.name, here)
				cut(t, tc.name, there)
				for _, r := range []*replica{a, b} {
					if _, err := r.Verify(t.Context(), token); !fault.Is(err, fault.Unauthenticated) {
						t.Errorf("Verify = %v, want unauthenticated", err)
					}
				}
				if tc.back == nil {
					return
				}
				must(t, tc.back(a, id))
				for _, r := range []*replica{a, b} {
					if _, err := r.Verify(t.Context(), token); !fault.Is(err, fault.Unauthenticated) {
						t.Errorf("Verify after the right came back = %v, want unauthenticated still", err)
					}
				}
				token, _ = a.enter("ada")
				b.watch(token)
			})
		})
	}
}

func TestStreamsFollowWhatAPersonMayDo(t *testing.T) {
	both(t, func(t *testing.T, a, b *replica) {
		p, err := a.dir.Provision(t.Context(), scimActor, "alpha", directory.Record{UserName: "ada", ExternalID: "x-ada", Active: true})
		must(t, err)
		token, _ := a.enter("ada")
		other, _ := a.enter("ben")
		before, stays := b.watch(token), b.watch(other)
		g, err := a.dir.ProvisionGroup(t.Context(), scimActor, "alpha", "Desk", "", []string{p.ID})
		must(t, err)
		cut(t, "a new role", before)
		with := b.watch(token)
		if _, err := a.dir.ProvisionGroup(t.Context(), scimActor, "alpha", "Unmapped", "", []string{p.ID}); err != nil {
			t.Fatal(err)
		}
		must(t, a.dir.DeleteGroup(t.Context(), scimActor, "alpha", g.ID))
		cut(t, "a lost role", with)
		if got, err := b.Verify(t.Context(), token); err != nil || len(got.Access.Roles) != 1 {
			t.Errorf("Verify = %+v, %v, want one role left", got, err)
		}
		if stays.Err() != nil {
			t.Error("somebody else's stream was cut")
		}
	})
}

func TestAnotherMappingIsInForceAtOnce(t *testing.T) {
	both(t, func(t *testing.T, a, _ *replica) {
		token, _ := a.enter("ada")
		stream := a.watch(token)
		set := func(p *mapping.Policy) {
			a.mu.Lock()
			a.policy = p
			a.mu.Unlock()
			a.PolicyChanged(t.Context())
		}
		set(policyOf(t, rules+"  - {id: more, match: {connection: alpha, groups: [{id: x}]}, grant: {roles: [editor]}}\n"))
		if stream.Err() != nil {
			t.Error("a mapping that gives the same cut a stream")
		}
		set(policyOf(t, strings.Replace(rules, "id: staff}]}, grant: {roles: [viewer]", "id: staff}]}, grant: {roles: [editor]", 1)))
		cut(t, "a mapping that gives other roles", stream)
		if p, err := a.Verify(t.Context(), token); err != nil || p.Access.Roles[0] != "editor" {
			t.Errorf("Verify = %+v, %v, want the new role", p, err)
		}
		stream = a.watch(token)
		set(nil)
		cut(t, "the last mapping", stream)
		a.refused(token, fault.Unavailable, "sign-in is closed: no mapping is in force")
		set(policyOf(t, rules))
		a.watch(token) // no mapping is a fault of ours; it ended nobody's session
		set(policyOf(t, strings.Replace(rules, "groups: [{id: staff}]", "groups: [{id: none}]", 1)))
		if _, err := a.Verify(t.Context(), token); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("Verify under a mapping that gives nothing = %v, want unauthenticated", err)
		}
		set(policyOf(t, rules))
		if _, err := a.Verify(t.Context(), token); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("a session came back with the mapping: %v", err)
		}
	})
}

func TestABrowserThatSendsGarbageIsStored(t *testing.T) {
	both(t, func(t *testing.T, a, _ *replica) {
		in, err := a.dir.SignIn(t.Context(), says("ada"), "ref")
		must(t, err)
		_, p, err := a.Issue(t.Context(), in, session.Client{UserAgent: "\xff\xfe\x00" + strings.Repeat("é", 4000)}, session.Ticket{})
		must(t, err)
		rows, err := a.db.Sessions().SessionsOf(t.Context(), p.PersonID, time.Now())
		must(t, err)
		if len(rows) != 1 || len(rows[0].Client.UserAgent) > 1000 || !strings.HasPrefix(rows[0].Client.UserAgent, "\ufffd") {
			t.Errorf("sessions = %+v, want one with a user agent that is text and not endless", rows)
		}
	})
}
