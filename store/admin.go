package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/scim"
)

// withinOf is the condition that a column names one of some connections; nil is
// all.
func withinOf(column string, connections []string) (fragment, error) {
	if connections == nil {
		return sqlf(always), nil
	}
	if len(connections) == 0 {
		return sqlf(never), nil
	}
	out := sqlf(column+" IN (?", connections[0])
	for _, c := range connections[1:] {
		out = join(out, sqlf(", ?", c))
	}
	return join(out, ")"), storable(anys(connections)...)
}

// among is the same condition on the connection where rows are found by another
// one: it is no more to test for many connections than for one.
func (s adminStore) among(connections []string) (fragment, error) {
	if connections == nil {
		return sqlf(always), nil
	}
	these, err := list(append([]string{}, connections...))
	in := "(SELECT value FROM json_each(?))"
	if s.db.dialect == "postgres" {
		in = "(SELECT jsonb_array_elements_text(?::jsonb))"
	}
	return sqlf("(connection IN "+in+") IS TRUE", these), err
}

// everyday are the actions that a push or a sign-in writes: nearly all events of
// a connection may be one of them.
var everyday = []audit.Action{ //nolint:gochecknoglobals // never written
	audit.PersonCreated, audit.PersonUpdated, audit.PersonDeactivated, audit.GroupCreated, audit.GroupUpdated, audit.SignIn, audit.SignOut, audit.SessionEnded,
}

// rare reports whether an action is few events, however many connections are
// asked for.
func rare(action string) bool {
	return action != "" && !slices.Contains(everyday, audit.Action(action))
}

func (s adminStore) Events(ctx context.Context, q admin.EventQuery) ([]admin.Event, error) {
	way, err := s.logWay(ctx, q.Units)
	if err != nil {
		return nil, err
	}
	q, first, err := s.numbered(ctx, q)
	if err != nil {
		return nil, err
	}
	where, err := s.happened(q, way, first)
	if err != nil {
		return nil, err
	}
	part := func(of string) fragment { // only what is sealed has more indexes than its own
		return join("SELECT * FROM (SELECT * FROM audit_events WHERE "+of+" AND ", where, way.newest(q.Limit), ") "+strings.ReplaceAll(of, " ", "_"))
	}
	sealed := part("sealed")
	if len(q.Connections) > 0 && q.Units == nil && q.Person == "" && !rare(q.Action) {
		if sealed, err = s.sealedOf(q, way, first); err != nil {
			return nil, err
		}
	}
	newest := sqlf(" ORDER BY seq DESC LIMIT ?", q.Limit)
	query := join(`SELECT e.*, coalesce(s.position, 0) AS position, s.event AS seal_event, s.hash FROM
		(`, sealed, " UNION ALL ", part("NOT sealed"), newest, `) e
		LEFT JOIN audit_seals s ON s.event = e.seq ORDER BY e.seq DESC`)
	var rows []event
	if err := s.db.glance(ctx, func(t tx) error { return t.once().rows(&rows, query.text, query.args...) }); err != nil {
		return nil, err
	}
	out := make([]admin.Event, len(rows))
	for i := range rows {
		out[i] = admin.Event{Event: rows[i].domain()}
		if rows[i].Position > 0 {
			out[i].Seal = seal(&rows[i])
		}
	}
	return out, nil
}

// sealedOf is the newest sealed events of some connections.
func (s adminStore) sealedOf(q admin.EventQuery, way logWay, first int64) (fragment, error) {
	m := merge{table: "audit_events", index: "audit_events_connection", connections: q.Connections, before: q.Before, limit: q.Limit}
	q.Connections, q.Before = nil, 0
	where, err := s.happened(q, way, first)
	if err != nil {
		return where, err
	}
	m.where = join("sealed AND ", where)
	return m.rows(s.db.dialect, "*")
}

// happened is the condition on events that a query asks for; first is the lowest
// number that they can have. No index of the time is of use beside that.
func (s adminStore) happened(q admin.EventQuery, way logWay, first int64) (fragment, error) {
	where, err := withinOf(way.text("connection"), q.Connections)
	if q.Person != "" || rare(q.Action) { // they are found by an index of that
		where, err = s.among(q.Connections)
	}
	if err != nil {
		return where, err
	}
	add := func(text string, args ...any) { where = join(where, " AND ", sqlf(text, args...)) }
	if q.Person != "" {
		add("person = ?", q.Person)
	}
	about, err := tx{dialect: s.db.dialect}.ofUnits("person", q.Units)
	if err != nil {
		return where, err
	}
	where = join(where, " AND ", about)
	if q.Action != "" {
		by := logWay{byPerson: way.byPerson || q.Person != ""}
		add(by.text("action")+" = ?", q.Action)
	}
	if !q.From.IsZero() {
		add("at + 0 >= ? AND "+way.seq()+" >= ?", micros(q.From), first)
	}
	if !q.To.IsZero() {
		add("at + 0 < ?", micros(q.To))
	}
	if q.Before > 0 {
		add(way.seq()+" < ?", q.Before)
	}
	return where, nil
}

type signInRow struct {
	Seq  int64  `gorm:"column:seq"`
	Body string `gorm:"column:body"`
}

func (s adminStore) SignIns(ctx context.Context, q admin.SignInQuery) ([]admin.SignIn, error) {
	way, err := s.logWay(ctx, q.Units)
	if err != nil {
		return nil, err
	}
	m := merge{table: "login_traces", index: "login_traces_log", connections: q.Connections, before: q.Before, limit: q.Limit}
	apart := len(q.Connections) > 0 && q.Units == nil && q.Person == "" && q.Reference == "" && q.Tester == ""
	if apart {
		q.Connections, q.Before = nil, 0
	}
	where, err := s.attempts(q, way)
	if err != nil {
		return nil, err
	}
	if q.Person != "" {
		where = join(where, sqlf(" AND person = ? AND person <> ''", q.Person))
	}
	if q.Failed {
		where, m.index = join(where, " AND NOT came_in"), "login_traces_log_failed"
	}
	if q.Tester != "" {
		where = join(where, sqlf(" AND reference IN (SELECT reference FROM login_tests WHERE operator_id = ? AND operator_id <> '')", q.Tester))
	}
	if q.Reference != "" {
		where = join(where, sqlf(" AND reference = ?", q.Reference))
	}
	if q.Before > 0 {
		where = join(where, sqlf(" AND "+way.seq()+" < ?", q.Before))
	}
	query := join("SELECT seq, body FROM login_traces WHERE ", where, way.newest(q.Limit))
	if apart {
		m.where = where
		if query, err = m.rows(s.db.dialect, "seq, body"); err != nil {
			return nil, err
		}
		query = join(query, " ORDER BY seq DESC")
	}
	var rows []signInRow
	if err := s.db.glance(ctx, func(t tx) error { return t.once().rows(&rows, query.text, query.args...) }); err != nil {
		return nil, err
	}
	out := make([]admin.SignIn, len(rows))
	for i, r := range rows {
		out[i].Number = r.Seq
		if err := json.Unmarshal([]byte(r.Body), &out[i].Record); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// attempts is the condition on attempts to sign in that are of some connections
// and, where it is asked, of people in some units.
func (s adminStore) attempts(q admin.SignInQuery, way logWay) (fragment, error) {
	where, err := withinOf(way.text("connection"), q.Connections)
	if err != nil {
		return where, err
	}
	about, err := tx{dialect: s.db.dialect}.ofUnits("person", q.Units)
	if q.Units != nil {
		about = join("person <> '' AND ", about) // in the words of the index
	}
	return join(where, " AND ", about), err
}

// signedIn is true of a trace by which somebody came in: a dry run that went
// well names nobody.
const signedIn = "came_in AND person <> ''"

func (s adminStore) RequestsAbout(ctx context.Context, p directory.Person, limit int) (out []scim.Entry, err error) {
	var rows []logEntry
	err = s.db.glance(ctx, func(t tx) error {
		return t.rows(&rows, `SELECT * FROM scim_log WHERE substr(path, 1, 7) = '/Users/' AND substr(path, 1, 43) = ? AND connection = ?
			ORDER BY seq DESC LIMIT ?`, "/Users/"+p.ID, p.Connection, limit)
	})
	for i := range rows {
		out = append(out, rows[i].domain())
	}
	return out, err
}

// RequestsIn finds what was asked of people in some units, the newest first.
func (s adminStore) RequestsIn(ctx context.Context, units []string, q scim.JournalQuery) (out []scim.Entry, err error) {
	way, err := s.logWay(ctx, append([]string{}, units...))
	if err != nil {
		return nil, err
	}
	in, err := tx{dialect: s.db.dialect}.within(units)
	if err != nil {
		return nil, err
	}
	about := join("substr(path, 1, 7) = '/Users/' AND substr(path, 1, 43) IN (SELECT '/Users/' || id FROM people WHERE ", in, ")")
	query, err := journalStore(s).requests(q, about, way)
	if err != nil {
		return nil, err
	}
	var rows []logEntry
	err = s.db.glance(ctx, func(t tx) error { return t.once().rows(&rows, query.text, query.args...) })
	for i := range rows {
		out = append(out, rows[i].domain())
	}
	return out, err
}

func (s adminStore) InsertLink(ctx context.Context, l admin.Link, e audit.Event) error {
	return s.db.update(ctx, func(t tx) error {
		if _, err := t.exec("DELETE FROM console_links WHERE expires < ?", micros(l.Created)); err != nil {
			return err
		}
		if err := t.endSetup(l.Connection, l.Created); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO console_links (id, hash, issuer, connection, created, expires) VALUES (?, ?, ?, ?, ?, ?)",
			l.ID, l.Hash, l.Issuer, l.Connection, micros(l.Created), micros(l.Expires))
		if err != nil {
			return err
		}
		return t.Audit(e)
	})
}

// endSetup ends the setup links of a connection and what they opened; nothing
// where there is none.
func (t tx) endSetup(connection string, at time.Time) error {
	if connection == "" {
		return nil
	}
	if _, err := t.exec("UPDATE console_links SET opened = ? WHERE connection = ? AND opened = 0", micros(at), connection); err != nil {
		return err
	}
	_, err := t.exec("UPDATE console_visits SET ended = ? WHERE connection = ? AND ended = 0", micros(at), connection)
	return err
}

func (s adminStore) OpenVisit(ctx context.Context, link []byte, setup bool, v admin.Visit, e func(admin.Visit) audit.Event) (admin.Visit, error) {
	err := s.db.update(ctx, func(t tx) error {
		var r visitRow
		err := t.row(&r, "link", `UPDATE console_links SET opened = ? WHERE hash = ? AND opened = 0 AND expires > ? AND (connection <> '') = ?
			RETURNING issuer, connection`, micros(v.Created), link, micros(v.Created), setup)
		if err != nil {
			return err
		}
		v.Issuer, v.Connection = r.Issuer, r.Connection
		if _, err := t.exec("DELETE FROM console_visits WHERE expires < ?", micros(v.Created)); err != nil {
			return err
		}
		_, err = t.exec("INSERT INTO console_visits (id, hash, issuer, connection, address, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
			v.ID, v.Hash, v.Issuer, v.Connection, v.Address, micros(v.Created), micros(v.Expires))
		if err != nil {
			return err
		}
		return t.Audit(e(v))
	})
	return v, err
}

type visitRow struct {
	ID      string `gorm:"column:id"`
	Issuer  string `gorm:"column:issuer"`
	Address string `gorm:"column:address"`
	Created int64  `gorm:"column:created"`
	Expires int64  `gorm:"column:expires"`

	Connection string `gorm:"column:connection"`
}

func (s adminStore) FindVisit(ctx context.Context, hash []byte, now time.Time) (v admin.Visit, err error) {
	var r visitRow
	err = s.db.glance(ctx, func(t tx) error {
		return t.row(&r, "visit", "SELECT id, issuer, connection, address, created, expires FROM console_visits WHERE hash = ? AND ended = 0 AND expires > ?", hash, micros(now))
	})
	return admin.Visit{ID: r.ID, Issuer: r.Issuer, Connection: r.Connection, Address: r.Address, Created: moment(r.Created), Expires: moment(r.Expires)}, err
}

func (s adminStore) EndVisit(ctx context.Context, id string, at time.Time, e audit.Event) error {
	return s.db.update(ctx, func(t tx) error {
		err := t.one("visit", "UPDATE console_visits SET ended = ? WHERE id = ? AND ended = 0", micros(at), id)
		if fault.Is(err, fault.NotFound) {
			return nil // it is over already
		}
		if err != nil {
			return err
		}
		return t.Audit(e)
	})
}
