package session_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/keys"
	"portcullis/mapping"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
)

// TestNoTableHoldsACookie reads every value of every table.
func TestNoTableHoldsACookie(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		ring, err := keys.Open(t.Context(), keys.Config{Store: db.Keys(), File: filepath.Join(t.TempDir(), "gate.key"), Create: true})
		must(t, err)
		r := newReplica(t, db, nil, nil)
		m := session.New(session.Config{Store: db.Sessions(), Sealer: ring, Policy: func() *mapping.Policy { return policyOf(t, rules) }, Foreign: r.dir.Foreign})
		in, err := r.dir.SignIn(t.Context(), says("ada"), "ref")
		must(t, err)
		token, _, err := m.Issue(t.Context(), in, session.Client{}, session.Ticket{IDToken: "the.id.token", Refresh: "the-refresh-token", RefreshEvery: time.Hour})
		must(t, err)
		_, err = m.Verify(t.Context(), token)
		must(t, err)

		raw := storetest.Raw(t, databaseURL)
		tables := "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
		if strings.HasPrefix(databaseURL, "sqlite:") {
			tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
		}
		all := dump(t, raw, tables)
		sum := sha256.Sum256([]byte(token))
		if !strings.Contains(all, hex.EncodeToString(sum[:])) {
			t.Error("the hash is nowhere: what was read is not the whole database")
		}
		for _, secret := range []string{
			token, strings.ToLower(token), hex.EncodeToString([]byte(token)), "the.id.token", hex.EncodeToString([]byte("the.id.token")),
			"the-refresh-token", hex.EncodeToString([]byte("the-refresh-token")),
		} {
			if strings.Contains(all, secret) {
				t.Errorf("a table holds %q", secret)
			}
		}
		if ticket, _, err := m.End(t.Context(), token, operator); ticket.IDToken != "the.id.token" || err != nil {
			t.Errorf("End = %q, %v, want the id token", ticket.IDToken, err)
		}
	})
}

// dump gives every value of every table as text, bytes in hex.
func dump(t *testing.T, db *sql.DB, tables string) string {
	t.Helper()
	var names []string
	query(t, db, tables, func(values []any) { names = append(names, fmt.Sprint(values[0])) })
	var out strings.Builder
	for _, name := range names {
		query(t, db, "SELECT * FROM "+name, func(values []any) {
			for _, v := range values {
				if b, ok := v.([]byte); ok {
					fmt.Fprintf(&out, "%x\n", b)
				}
				fmt.Fprintf(&out, "%s\n", v)
			}
		})
	}
	return out.String()
}

// query calls f for each row.
func query(t *testing.T, db *sql.DB, text string, f func(values []any)) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text)
	must(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	must(t, err)
	for rows.Next() {
		values, places := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			places[i] = &values[i]
		}
		must(t, rows.Scan(places...))
		f(values)
	}
	must(t, rows.Err())
}
