package admin_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/fault"
	"portcullis/login"
	"portcullis/store"
)

// fakeWays are the connections of a world. What a gate makes of connections is
// shown where the whole of it runs; dry runs are real.
type fakeWays struct {
	db    *store.DB
	now   func() time.Time
	list  []admin.Connection
	draft map[string]admin.Draft
	trust admin.Trust
	done  []string
}

func newWays(db *store.DB, now func() time.Time) *fakeWays {
	w := &fakeWays{db: db, now: now, draft: map[string]admin.Draft{}}
	for _, id := range []string{"staff", "acme", "beta"} {
		w.list = append(w.list, admin.Connection{
			ID: id, Organization: strings.ToUpper(id[:1]) + id[1:], Protocol: admin.OverOIDC, Issuer: "https://idp.example/" + id, ClientID: "x",
			Authentication: admin.BySecret, SCIM: true, Provisioning: "jit", Link: "externalId",
		})
	}
	return w
}

func (w *fakeWays) Connections() []admin.Connection { return w.list }

func (w *fakeWays) Trust(context.Context, string) (admin.Trust, error) { return w.trust, nil }

func (w *fakeWays) ApproveMetadata(_ context.Context, by audit.Actor, id string) error {
	w.done = append(w.done, fmt.Sprint("approve ", id, " by ", by.Name))
	return nil
}

func (w *fakeWays) Rollover(_ context.Context, by audit.Actor, id string) error {
	w.done = append(w.done, fmt.Sprint("rollover ", id, " by ", by.Name))
	return nil
}

func (w *fakeWays) Test(ctx context.Context, by audit.Actor, id string) (string, string, error) {
	test, path := login.NewTest(id, by, w.now())
	err := w.db.Login().InsertTest(ctx, test, audit.Event{At: test.Created, Action: audit.SignInTested, Actor: by, Connection: id})
	return test.ID, login.TestURL(public, path), err
}

func (w *fakeWays) Tested(ctx context.Context, test string) (admin.Tested, error) {
	t, record, err := w.db.Login().FindTest(ctx, test)
	return admin.Tested{Connection: t.Connection, By: t.OperatorID, Opened: t.Opened, Record: record}, err
}

func (w *fakeWays) Draft(id string) (admin.Draft, error) {
	d, ok := w.draft[id]
	if !ok {
		return d, fault.New(fault.NotFound, "no draft")
	}
	return d, nil
}

func (w *fakeWays) Save(_ context.Context, by audit.Actor, d admin.Draft) (int, error) {
	if strings.Contains(d.Issuer, "wrong") || d.ID == "" {
		return 0, fault.New(fault.Invalid, "oidc.issuer: want another")
	}
	if i := slices.IndexFunc(w.list, func(c admin.Connection) bool { return c.ID == d.ID }); i >= 0 {
		w.list = slices.Delete(w.list, i, i+1)
	}
	d.Version++
	w.draft[d.ID] = d
	w.list = append(w.list, admin.Connection{
		ID: d.ID, Organization: d.Organization, Domains: d.Domains, Preset: d.Preset, Protocol: d.Protocol, SCIM: d.SCIM, Issuer: d.Issuer,
		ClientID: d.ClientID, Authentication: admin.BySecret, Made: true, Version: d.Version, Changed: w.now(), Author: by.Name,
	})
	return 0, nil
}

func (w *fakeWays) Remove(_ context.Context, by audit.Actor, id, reason string) (int, error) {
	w.list = slices.DeleteFunc(w.list, func(c admin.Connection) bool { return c.ID == id && c.Made })
	w.done = append(w.done, fmt.Sprint("remove ", id, " by ", by.Name, ": ", reason))
	return 2, nil
}

// patient waits for nobody: how long an address is kept waiting is shown where
// the whole gate runs.
type patient struct{}

func (patient) Debt(string) error { return nil }
func (patient) Failed(string)     {}
