package scim_test

import (
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"portcullis/store"
	"portcullis/store/storetest"
)

// floor is the thinnest server that could do the same for a client: it reads
// the body with encoding/json, runs one prepared statement against a database
// of the same kind, schema and durability, and answers with the resource. It
// keeps the resource as it answers it, checks and authenticates nothing, and
// writes neither history nor a trail.
type floor struct {
	insert, byID, byName, hundred, off *sql.Stmt
}

const floorBase = "https://gate.example/base/scim/v2/acme/Users/"

// newFloor is a floor over an empty database.
func newFloor(b *testing.B, at string) *floor {
	b.Helper()
	db, err := store.Open(b.Context(), store.Config{URL: at}) // which makes the schema
	if err != nil {
		b.Fatal(err)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	open := func(driver, address string) *sql.DB {
		db, err := sql.Open(driver, address)
		if err != nil {
			b.Fatal(err)
		}
		db.SetMaxOpenConns(16)
		db.SetMaxIdleConns(16)
		b.Cleanup(func() { db.Close() })
		return db
	}
	var read, write *sql.DB
	set := "jsonb_set(jsonb_set(attributes::jsonb, '{active}', 'false'), '{meta,lastModified}', to_jsonb($3::text))::text"
	mark := "$"
	if path, ok := strings.CutPrefix(at, "sqlite:"); ok {
		address := "file:" + path + "?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(ON)"
		read, write = open("sqlite", address), open("sqlite", address)
		write.SetMaxOpenConns(1) // SQLite has one writer at a time: to wait here is faster than to clash there
		set = "json_set(attributes, '\x00.active', json('false'), '\x00.meta.lastModified', $3)"
		mark = "?"
	} else {
		read = open("pgx", at)
		write = read
	}
	if _, err := write.ExecContext(b.Context(), "INSERT INTO organizations (name) VALUES ('Acme')"); err != nil {
		b.Fatal(err)
	}
	prepare := func(db *sql.DB, query string) *sql.Stmt {
		s, err := db.PrepareContext(b.Context(), strings.NewReplacer("$", mark, "\x00", "$").Replace(query))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { s.Close() })
		return s
	}
	return &floor{
		insert: prepare(write, `INSERT INTO people (id, connection, organization, user_name, user_name_key, external_id, link, name, name_key,
			email, email_key, email_verified, provisioned, idp_active, attributes, version, created, modified, since)
			VALUES ($1, 'acme', 'Acme', $2, $3, $4, $4, $5, $6, $7, $8, FALSE, TRUE, TRUE, $9, 1, $10, $10, $10)`),
		byID:   prepare(read, "SELECT attributes FROM people WHERE id = $1"),
		byName: prepare(read, "SELECT attributes FROM people WHERE connection = 'acme' AND user_name_key = $1 AND provisioned"),
		hundred: prepare(read, `SELECT attributes, (SELECT count(*) FROM people WHERE connection = 'acme' AND provisioned)
			FROM people WHERE connection = 'acme' AND provisioned ORDER BY seq LIMIT 100`),
		off: prepare(write, "UPDATE people SET idp_active = FALSE, version = version + 1, modified = $2, since = $2, attributes = "+set+
			" WHERE id = $1 RETURNING attributes"),
	}
}

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/scim/v2/acme/Users"), "/")
	var err error
	var text string
	status := http.StatusOK
	switch {
	case r.Method == http.MethodPost:
		status = http.StatusCreated
		text, err = f.create(w, r)
	case r.Method == http.MethodPatch:
		text, err = f.patch(r, id)
	case id != "":
		err = f.byID.QueryRowContext(r.Context(), id).Scan(&text)
	default:
		if filter := r.URL.Query().Get("filter"); filter != "" {
			name := strings.ToLower(strings.Trim(strings.TrimPrefix(filter, "userName eq "), `"`))
			err = f.byName.QueryRowContext(r.Context(), name).Scan(&text)
			text = list(1, text)
		} else {
			text, err = f.page(r)
		}
	}
	w.Header().Set("Content-Type", "application/scim+json")
	if err != nil {
		status = http.StatusInternalServerError
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// floorUser is what the floor knows of a resource by name.
type floorUser struct{ UserName, ExternalID, DisplayName, Email string }

func (f *floor) create(w http.ResponseWriter, r *http.Request) (string, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return "", err
	}
	var u floorUser
	u.UserName, _ = doc["userName"].(string)
	u.ExternalID, _ = doc["externalId"].(string)
	u.DisplayName, _ = doc["displayName"].(string)
	if emails, ok := doc["emails"].([]any); ok && len(emails) > 0 {
		if first, ok := emails[0].(map[string]any); ok {
			u.Email, _ = first["value"].(string)
		}
	}
	id, now := rand.Text(), time.Now().UTC()
	doc["id"] = id
	doc["meta"] = map[string]any{
		"resourceType": "User", "location": floorBase + id, "created": now.Format(time.RFC3339Nano), "lastModified": now.Format(time.RFC3339Nano),
	}
	if raw, err = json.Marshal(doc); err != nil {
		return "", err
	}
	_, err = f.insert.ExecContext(r.Context(), id, u.UserName, strings.ToLower(u.UserName), u.ExternalID,
		u.DisplayName, strings.ToLower(u.DisplayName), u.Email, strings.ToLower(u.Email), string(raw), now.UnixMicro())
	w.Header().Set("Location", floorBase+id)
	return string(raw), err
}

func (f *floor) patch(r *http.Request, id string) (text string, err error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	var change struct {
		Operations []struct {
			Op, Path string
			Value    any
		}
	}
	if err := json.Unmarshal(raw, &change); err != nil {
		return "", err
	}
	if len(change.Operations) != 1 || change.Operations[0].Path != "active" || change.Operations[0].Value != false {
		return "", fmt.Errorf("the floor does not know how to %s", raw)
	}
	now := time.Now().UTC()
	err = f.off.QueryRowContext(r.Context(), id, now.UnixMicro(), now.Format(time.RFC3339Nano)).Scan(&text)
	return text, err
}

func (f *floor) page(r *http.Request) (string, error) {
	rows, err := f.hundred.QueryContext(r.Context())
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var n int
	var docs []string
	for rows.Next() {
		var doc string
		if err := rows.Scan(&doc, &n); err != nil {
			return "", err
		}
		docs = append(docs, doc)
	}
	return list(n, strings.Join(docs, ",")), rows.Err()
}

func list(n int, resources string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":` + strconv.Itoa(n) + `,"Resources":[` + resources + `]}`
}

// freshURL gives an empty database of a kind, with the durability of service.
func freshURL(b *testing.B, kind string) string {
	b.Helper()
	if kind == "sqlite" {
		return "sqlite:" + b.TempDir() + "/portcullis.db"
	}
	return storetest.DurablePostgresURL(b)
}
