package store

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"portcullis/directory"
	"portcullis/fault"
)

// loss is a row of losses, without what is kept in it.
type loss struct {
	Seq        int64  `gorm:"column:seq"`
	At         int64  `gorm:"column:at"`
	Connection string `gorm:"column:connection"`
	GroupID    string `gorm:"column:group_id"`
	Kind       string `gorm:"column:kind"`
	Member     string `gorm:"column:member"`
	Subject    string `gorm:"column:subject"`
	Weight     int    `gorm:"column:weight"`
	Burial     string `gorm:"column:burial"`
	Mass       int64  `gorm:"column:mass"`
	Outcome    string `gorm:"column:outcome"`
	Kept       bool   `gorm:"column:kept"`
}

const lossColumns = "seq, at, connection, group_id, kind, member, subject, weight, burial, mass, outcome, snapshot <> '' AS kept"

func (r loss) domain() directory.Loss {
	return directory.Loss{
		Seq: r.Seq, At: moment(r.At), Connection: r.Connection, Group: r.GroupID, Kind: directory.LossKind(r.Kind), Member: r.Member,
		Subject: r.Subject, Weight: r.Weight, Burial: r.Burial, Mass: r.Mass, Outcome: r.Outcome, Kept: r.Kept,
	}
}

func losses(rows []loss, err error) ([]directory.Loss, error) {
	out := make([]directory.Loss, len(rows))
	for i, r := range rows {
		out[i] = r.domain()
	}
	return out, err
}

func (t tx) InsertLoss(l directory.Loss) error {
	err := t.later("INSERT INTO losses (at, connection, group_id, kind, member, subject, weight) VALUES (?, ?, ?, ?, ?, ?, ?)",
		micros(l.At), l.Connection, l.Group, string(l.Kind), l.Member, l.Subject, l.Weight)
	return err
}

func (t tx) InsertRemovals(g directory.Group, people []string, at time.Time) error {
	ids, err := list(people)
	if err != nil {
		return err
	}
	err = t.later(`INSERT INTO losses (at, connection, group_id, kind, member, subject)
		SELECT CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT), 'removed', id, user_name FROM people WHERE `+t.inList("id"),
		micros(at), g.Connection, g.ID, ids)
	return err
}

func (t tx) InsertRestatement(r directory.Loss, members []string) error {
	const insert = "INSERT INTO losses (at, connection, group_id, kind, member) SELECT CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), "
	if members == nil { // about all of the group: to be known are its losses, or those of people who may have been in it
		const known = "EXISTS (SELECT 1 FROM losses WHERE connection = ? AND (group_id = ? OR group_id = '') AND "
		return t.later(insert+"'' WHERE "+known+"NOT pending) OR "+known+"pending)",
			micros(r.At), r.Connection, r.Group, string(r.Kind), r.Connection, r.Group, r.Connection, r.Group)
	}
	ids, err := list(members)
	if err != nil {
		return err
	}
	return t.later(insert+"v.value FROM "+t.elements()+` WHERE EXISTS (SELECT 1 FROM losses l WHERE l.member = v.value AND l.connection = ? AND NOT l.pending)
		OR v.value IN (SELECT member FROM losses WHERE connection = ? AND pending)`,
		micros(r.At), r.Connection, r.Group, string(r.Kind), ids, r.Connection, r.Connection)
}

func (t tx) LossesPending() (pending bool, err error) {
	err = t.rows(&pending, "SELECT EXISTS (SELECT 1 FROM losses WHERE pending)")
	return pending, err
}

// LockLedger makes replicas count one after the other. SQLite has one writer
// at a time anyway.
func (t tx) LockLedger() error {
	if t.dialect != "postgres" {
		return nil
	}
	_, err := t.exec("SELECT pg_advisory_xact_lock(hashtextextended('portcullis losses', 0))")
	return err
}

// TakePending marks the losses that nobody has counted as counted. Exactly
// those that this statement sees: what commits later is for the next pass.
func (t tx) TakePending() ([]directory.LossSlice, error) {
	var rows []struct {
		Connection string `gorm:"column:connection"`
		GroupID    string `gorm:"column:group_id"`
		At         int64  `gorm:"column:at"`
	}
	if err := t.rows(&rows, "UPDATE losses SET pending = FALSE WHERE pending RETURNING connection, group_id, at"); err != nil {
		return nil, err
	}
	type key struct {
		connection, group string
		minute            int64
	}
	found := make(map[key]directory.LossSlice)
	for _, r := range rows {
		k, at := key{r.Connection, r.GroupID, r.At / time.Minute.Microseconds()}, moment(r.At)
		s, ok := found[k]
		if !ok {
			s = directory.LossSlice{Connection: r.Connection, Group: r.GroupID, From: at, To: at}
		}
		if at.Before(s.From) {
			s.From = at
		}
		if at.After(s.To) {
			s.To = at
		}
		found[k] = s
	}
	return slices.SortedFunc(maps.Values(found), func(a, b directory.LossSlice) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.Group, b.Group))
	}), nil
}

// counted is the condition on losses that the guard counts, between two
// times: real ones that were taken, and none that somebody has begun to undo.
const counted = `connection = ? AND group_id = ? AND at > ? AND at <= ? AND NOT pending AND kind NOT IN ('restated', 'replaced')
	AND mass NOT IN (SELECT id FROM mass_losses WHERE connection = ? AND group_id = ? AND undo_began <> 0)`

func (t tx) CountLosses(connection, group string, after, to time.Time) (int, error) {
	var n struct {
		Members int `gorm:"column:members"`
		Whole   int `gorm:"column:whole"`
	}
	err := t.rows(&n, `SELECT CAST(coalesce(sum(CASE WHEN of_group THEN 0 ELSE weight END), 0) AS BIGINT) AS members,
			coalesce(max(CASE WHEN of_group THEN weight ELSE 0 END), 0) AS whole FROM (
			SELECT kind = 'group deleted' AS of_group, max(weight) AS weight FROM losses WHERE `+counted+` GROUP BY member, kind = 'group deleted'
		) AS each_once`, connection, group, micros(after), micros(to), connection, group)
	return max(n.Members, n.Whole), err
}

func (t tx) Remaining(connection, group string, limit int) (n int, err error) {
	if group == "" {
		err = t.rows(&n, "SELECT count(*) FROM (SELECT 1 FROM people WHERE connection = ? AND provisioned AND idp_active LIMIT ?) AS found", connection, limit)
		return n, err
	}
	err = t.rows(&n, `SELECT count(*) FROM (SELECT 1 FROM memberships WHERE group_id = ?
		UNION ALL SELECT 1 FROM nested_groups WHERE group_id = ? LIMIT ?) AS found`, group, group, limit)
	return n, err
}

func (t tx) AttachLosses(mass int64, s directory.LossSlice) ([]directory.Loss, error) {
	var rows []loss
	return losses(rows, t.rows(&rows, `UPDATE losses SET mass = ? WHERE connection = ? AND group_id = ? AND at > ? AND at <= ? AND mass = 0 AND NOT pending
		RETURNING `+lossColumns, mass, s.Connection, s.Group, micros(s.From), micros(s.To)))
}

// EraseLosses keeps the ordinary losses, but for the data of the deleted, as
// long as there is a mass loss in the connection: an undo must know what was
// said later.
func (t tx) EraseLosses(ordinary, mass time.Time) error {
	for _, statement := range []struct {
		query  string
		before time.Time
	}{
		{"DELETE FROM losses WHERE mass <> 0 AND at < ?", mass},
		{"DELETE FROM losses WHERE mass = 0 AND NOT pending AND kind IN ('deleted', 'group deleted') AND at < ?", ordinary},
		{`DELETE FROM losses WHERE mass = 0 AND NOT pending AND at < ?
			AND connection NOT IN (SELECT m.connection FROM losses m WHERE m.mass <> 0)`, ordinary},
	} {
		if _, err := t.exec(statement.query, micros(statement.before)); err != nil {
			return err
		}
	}
	return nil
}

func (t tx) Losses(mass, after int64, limit int) ([]directory.Loss, error) {
	var rows []loss
	err := t.rows(&rows, "SELECT "+lossColumns+" FROM losses WHERE mass = ? AND mass <> 0 AND seq > ? AND kind NOT IN ('restated', 'replaced') ORDER BY seq LIMIT ?",
		mass, after, limit)
	return losses(rows, err)
}

func (t tx) LossesToUndo(mass, before int64, groups bool, limit int) ([]directory.Loss, error) {
	var rows []loss
	err := t.rows(&rows, "SELECT "+lossColumns+` FROM losses WHERE mass = ? AND mass <> 0 AND seq < ? AND outcome = '' AND kind NOT IN ('restated', 'replaced')
		AND (kind = 'group deleted') = ? ORDER BY seq DESC LIMIT ?`, mass, before, groups, limit)
	return losses(rows, err)
}

func (t tx) SetOutcome(seqs []int64, outcome string) error {
	numbers, err := json.Marshal(seqs)
	if err != nil {
		return err
	}
	where := "seq IN (SELECT value FROM json_each(?))"
	if t.dialect == "postgres" {
		where = "seq IN (SELECT value::bigint FROM jsonb_array_elements_text(?::jsonb))"
	}
	_, err = t.exec("UPDATE losses SET outcome = ?, snapshot = '' WHERE "+where, outcome, string(numbers))
	return err
}

func (t tx) SettleRestatements(mass int64) error {
	_, err := t.exec("UPDATE losses SET outcome = ? WHERE mass = ? AND mass <> 0 AND outcome = '' AND kind IN ('restated', 'replaced')", directory.Restored, mass)
	return err
}

func (t tx) Overruled(l directory.Loss, group, member string) (is bool, err error) {
	about := sqlf("EXISTS (SELECT 1 FROM losses WHERE member = ? AND group_id = ? AND seq > ? AND mass <> ? AND outcome <> ? AND ",
		member, group, l.Seq, l.Mass, directory.Restored)
	either := join("SELECT ", about, "NOT pending) OR ", about, "pending)")
	if group != "" {
		all := sqlf("EXISTS (SELECT 1 FROM losses WHERE connection = ? AND group_id = ? AND kind = 'replaced' AND seq > ? AND mass <> ? AND outcome <> ? AND ",
			l.Connection, group, l.Seq, l.Mass, directory.Restored)
		either = join(either, " OR ", all, "NOT pending) OR ", all, "pending)")
	}
	err = t.rows(&is, either.text, either.args...)
	return is, err
}

func (t tx) GroupNamed(connection, name string) (is bool, err error) {
	err = t.rows(&is, "SELECT EXISTS (SELECT 1 FROM pushed_groups WHERE connection = ? AND name_key = ?)", connection, strings.ToLower(name))
	return is, err
}

func (t tx) Exhume(burial string) (bool, error) {
	n, err := t.exec("DELETE FROM tombstones WHERE burial = ?", burial)
	return n > 0, err
}

// massLoss is a row of mass_losses.
type massLoss struct {
	ID          int64  `gorm:"column:id"`
	Connection  string `gorm:"column:connection"`
	GroupID     string `gorm:"column:group_id"`
	GroupName   string `gorm:"column:group_name"`
	Began       int64  `gorm:"column:began"`
	LastAt      int64  `gorm:"column:last_at"`
	Population  int    `gorm:"column:population"`
	Deactivated int    `gorm:"column:deactivated"`
	Deleted     int    `gorm:"column:deleted"`
	Removed     int    `gorm:"column:removed"`
	Closed      bool   `gorm:"column:closed"`
	UndoBegan   int64  `gorm:"column:undo_began"`
	Undone      int64  `gorm:"column:undone"`
	UndoneBy    string `gorm:"column:undone_by"`
	Restored    int    `gorm:"column:restored"`
	Skipped     int    `gorm:"column:skipped"`
}

func (r massLoss) domain() directory.MassLoss {
	return directory.MassLoss{
		ID: r.ID, Connection: r.Connection, Group: r.GroupID, GroupName: r.GroupName, Began: moment(r.Began), Last: moment(r.LastAt),
		Population: r.Population, Deactivated: r.Deactivated, Deleted: r.Deleted, Removed: r.Removed, Closed: r.Closed,
		UndoBegan: moment(r.UndoBegan), Undone: moment(r.Undone), UndoneBy: r.UndoneBy, Restored: r.Restored, Skipped: r.Skipped,
	}
}

func (t tx) OpenMassLoss(connection, group string) (directory.MassLoss, error) {
	var r massLoss
	err := t.row(&r, "open mass loss", t.forUpdate("SELECT * FROM mass_losses m WHERE connection = ? AND group_id = ? AND NOT closed", "m"), connection, group)
	return r.domain(), err
}

func (t tx) MassLoss(id int64) (directory.MassLoss, error) {
	var r massLoss
	err := t.row(&r, "change", t.forUpdate("SELECT * FROM mass_losses m WHERE id = ?", "m"), id)
	return r.domain(), err
}

func (t tx) MassLosses(q directory.MassLossQuery, now time.Time) ([]directory.MassLoss, error) {
	query := join("SELECT * FROM mass_losses WHERE ", openLosses(q.Undoable, now))
	if q.Connection != "" {
		query = join(query, sqlf(" AND connection = ?", q.Connection))
	}
	if q.After != nil {
		query = join(query, sqlf(" AND id < ?", q.After.Seq))
	}
	return t.massLosses(join(query, sqlf(" ORDER BY id DESC LIMIT ?", q.Limit)))
}

// LatestMassLosses reads the table once, however many connections there are:
// mass losses are few.
func (t tx) LatestMassLosses(connections []string, undoable bool, limit int, now time.Time) ([]directory.MassLoss, error) {
	these, err := list(append([]string{}, connections...))
	if err != nil {
		return nil, err
	}
	return t.massLosses(join("SELECT * FROM (SELECT m.*, row_number() OVER (PARTITION BY connection ORDER BY id DESC) AS place FROM mass_losses m WHERE ",
		openLosses(undoable, now), " AND ", sqlf(t.inList("connection"), these), sqlf(") latest WHERE place <= ? ORDER BY id DESC", limit)))
}

// openLosses is the condition on a mass loss that it can be undone, where that is
// asked for.
func openLosses(undoable bool, now time.Time) fragment {
	if !undoable {
		return sqlf(always)
	}
	return sqlf("undone = 0 AND last_at > ?", micros(now.Add(-directory.UndoLife)))
}

func (t tx) massLosses(query fragment) ([]directory.MassLoss, error) {
	var rows []massLoss
	err := t.rows(&rows, query.text, query.args...)
	out := make([]directory.MassLoss, len(rows))
	for i, r := range rows {
		out[i] = r.domain()
	}
	return out, err
}

func (t tx) InsertMassLoss(m directory.MassLoss) (id int64, err error) {
	err = t.row(&id, "change", `INSERT INTO mass_losses
		(connection, group_id, group_name, began, last_at, population, deactivated, deleted, removed, closed)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		m.Connection, m.Group, m.GroupName, micros(m.Began), micros(m.Last), m.Population, m.Deactivated, m.Deleted, m.Removed, m.Closed)
	return id, err
}

func (t tx) UpdateMassLoss(m directory.MassLoss) error {
	return t.one("change", `UPDATE mass_losses SET group_name = ?, began = ?, last_at = ?, population = ?, deactivated = ?, deleted = ?,
		removed = ?, closed = ?, undo_began = ?, undone = ?, undone_by = ?, restored = ?, skipped = ? WHERE id = ?`,
		m.GroupName, micros(m.Began), micros(m.Last), m.Population, m.Deactivated, m.Deleted,
		m.Removed, m.Closed, micros(m.UndoBegan), micros(m.Undone), m.UndoneBy, m.Restored, m.Skipped, m.ID)
}

func errNothingKept() error { return fault.New(fault.NotFound, "nothing is kept") }
