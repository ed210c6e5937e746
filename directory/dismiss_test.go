package directory_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

// To dismiss somebody leaves behind, row by row, what it leaves behind to revise
// their record so, and answers the same.
func TestToDismissIsToReviseAtOnce(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		r, raw := newRig(t, db), storetest.Raw(t, databaseURL)
		off := func(_ directory.Person, rec directory.Record) (directory.Record, error) {
			rec.Active, rec.Insists = false, true
			return rec, nil
		}
		group := func(name string, members ...string) directory.Group {
			g, err := r.ProvisionGroup(t.Context(), scimActor, "alpha", name, "", members)
			r.must(err)
			return g
		}
		for i, tc := range []struct {
			name   string
			before func(id, subject string)
			same   bool // moment as that of the push
		}{
			{name: "active"},
			{name: "in the same moment", same: true},
			{name: "with sessions", before: func(_, subject string) { r.session(r.enter(says(subject))) }},
			{name: "in groups", before: func(id, subject string) { group("outer "+subject, group("inner "+subject, id).ID) }},
			{name: "locked", before: func(id, _ string) { _, err := r.Lock(t.Context(), operator, id, "why"); r.must(err) }},
			{name: "inactive", before: func(id, _ string) { r.off(id) }},
			{name: "unconfirmed", before: func(id, _ string) {
				_, err := raw.ExecContext(t.Context(), "UPDATE people SET unconfirmed = TRUE WHERE id = '"+id+"'")
				r.must(err)
			}},
		} {
			var left [2]string
			var shown [2]directory.Shown
			for n, verb := range []func(string) (directory.Shown, error){
				func(id string) (directory.Shown, error) { return r.Revise(t.Context(), scimActor, "alpha", id, off) },
				func(id string) (directory.Shown, error) { return r.Dismiss(t.Context(), scimActor, "alpha", id, off) },
			} {
				r.now = time.Date(2026, 3, 4, 5+i, 6, 7, 0, time.UTC)
				subject := fmt.Sprintf("%c%d", 'a'+n, i)
				id := r.push(record(subject)).ID
				if tc.before != nil {
					tc.before(id, subject)
				}
				if !tc.same {
					r.now = r.now.Add(time.Minute)
				}
				p, err := verb(id)
				if err != nil {
					t.Fatalf("%s: %v", tc.name, err)
				}
				for i, g := range p.Groups {
					p.Groups[i] = directory.Group{Name: strings.ReplaceAll(g.Name, subject, "SUBJECT"), Indirect: g.Indirect}
				}
				p.Attributes = []byte(strings.ReplaceAll(string(p.Attributes), subject, "SUBJECT"))
				p.ID, p.UserName, p.ExternalID, p.Name, p.Email = "", "", "", "", ""
				shown[n], left[n] = p, strings.NewReplacer(id, "ID", subject, "SUBJECT").Replace(rowsOf(t, raw, id))
			}
			if diff := cmp.Diff(left[0], left[1]); diff != "" {
				t.Errorf("%s: rows (-revised +dismissed):\n%s", tc.name, diff)
			}
			if diff := cmp.Diff(shown[0], shown[1]); diff != "" {
				t.Errorf("%s: shown (-revised +dismissed):\n%s", tc.name, diff)
			}
		}
		in := r.enter(says("never-pushed"))
		for _, id := range []string{in.Person.ID, "nobody"} {
			if _, err := r.Dismiss(t.Context(), scimActor, "alpha", id, off); !fault.Is(err, fault.NotFound) {
				t.Errorf("Dismiss of %s = %v, want not found", id, err)
			}
		}
		p := r.push(record("elsewhere"))
		if _, err := r.Dismiss(t.Context(), scimActor, "beta", p.ID, off); !fault.Is(err, fault.NotFound) {
			t.Errorf("Dismiss by another connection = %v, want not found", err)
		}
		// As after a change of the connection's domains.
		_, err = raw.ExecContext(t.Context(), "UPDATE people SET email_verified = NOT email_verified WHERE id = '"+p.ID+"'")
		r.must(err)
		gone, err := r.Dismiss(t.Context(), scimActor, "alpha", p.ID, off)
		r.must(err)
		if gone.IDPActive || gone.EmailVerified != p.EmailVerified {
			t.Errorf("active is %t and the address verified: %t, want false and %t", gone.IDPActive, gone.EmailVerified, p.EmailVerified)
		}
	})
}

// rowsOf are the rows about a person, as text.
func rowsOf(t *testing.T, raw *sql.DB, id string) string {
	t.Helper()
	var out strings.Builder
	for _, query := range []string{
		`SELECT id, connection, organization, user_name, external_id, link, name, email, email_verified, provisioned, idp_active, locked_at,
			attributes, version, created, modified, since, unconfirmed, more_emails FROM people WHERE id = 'ID'`,
		"SELECT person_id, since, until, user_name, external_id, email, idp_active, locked_at, attributes, version, created, modified FROM people_history WHERE person_id = 'ID' ORDER BY since",
		"SELECT at, connection, group_id, kind, member, subject, weight, burial, snapshot, pending, mass, outcome FROM losses WHERE member = 'ID' ORDER BY seq",
		"SELECT at, action, actor_kind, actor_id, actor_name, address, person, subject, connection, reason, detail FROM audit_events WHERE person = 'ID' ORDER BY seq",
		"SELECT person, session, loss, organization FROM changes WHERE person = 'ID' ORDER BY seq",
		"SELECT ended, end_reason FROM sessions WHERE person_id = 'ID'",
	} {
		writeRows(t, &out, raw, strings.ReplaceAll(query, "ID'", id+"'"))
	}
	return out.String()
}

func writeRows(t *testing.T, out *strings.Builder, raw *sql.DB, query string) {
	t.Helper()
	rows, err := raw.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, places := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		places[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(places...); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			fmt.Fprintf(out, "%s=%s ", columns[i], v.String)
		}
		out.WriteString("\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
