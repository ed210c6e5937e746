package store

import (
	"time"

	"portcullis/directory"
	"portcullis/fault"
)

// exception is a row of role_exceptions.
type exception struct {
	ID        string `gorm:"column:id"`
	Person    string `gorm:"column:person_id"`
	Role      string `gorm:"column:role"`
	Since     int64  `gorm:"column:since"`
	Until     int64  `gorm:"column:until"`
	GivenBy   string `gorm:"column:given_by"`
	Giver     string `gorm:"column:giver"`
	Reason    string `gorm:"column:reason"`
	Revoked   int64  `gorm:"column:revoked"`
	RevokedBy string `gorm:"column:revoked_by"`
}

func (r *exception) domain() directory.Exception {
	x := directory.Exception{Person: r.Person, Giver: r.Giver, Revoked: moment(r.Revoked), RevokedBy: r.RevokedBy}
	x.ID, x.Role, x.By, x.Reason, x.From, x.Until = r.ID, r.Role, r.GivenBy, r.Reason, moment(r.Since), moment(r.Until)
	return x
}

func (t tx) InsertException(x directory.Exception) error {
	_, err := t.exec(`INSERT INTO role_exceptions (id, person_id, role, since, until, given_by, giver, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		x.ID, x.Person, x.Role, micros(x.From), micros(x.Until), x.By, x.Giver, x.Reason)
	return err
}

func (t tx) Exceptions(person string) ([]directory.Exception, error) {
	var rows []exception
	err := t.rows(&rows, "SELECT * FROM role_exceptions WHERE person_id = ? ORDER BY since, id", person)
	out := make([]directory.Exception, len(rows))
	for i := range rows {
		out[i] = rows[i].domain()
	}
	return out, err
}

func (t tx) RevokeException(person, id string, at time.Time, by string) (directory.Exception, error) {
	var r exception
	if err := t.row(&r, "exception", t.forUpdate("SELECT * FROM role_exceptions x WHERE id = ? AND person_id = ?", "x"), id, person); err != nil {
		return directory.Exception{}, err
	}
	if r.Revoked != 0 {
		return r.domain(), fault.New(fault.Conflict, "the exception was taken back already")
	}
	r.Revoked, r.RevokedBy = micros(at), by
	return r.domain(), t.one("exception", "UPDATE role_exceptions SET revoked = ?, revoked_by = ? WHERE id = ?", r.Revoked, by, id)
}

// exceptionsAt gives the exceptions of people that stood at a time, whether
// valid then or not, the oldest first.
func (t tx) exceptionsAt(people string, at int64) (map[string][]directory.Exception, error) {
	var rows []exception
	err := t.rows(&rows, "SELECT * FROM role_exceptions WHERE "+t.inList("person_id")+" AND since <= ? AND (revoked = 0 OR revoked > ?) ORDER BY since, id", people, at, at)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	out := make(map[string][]directory.Exception)
	for i := range rows {
		rows[i].Revoked = 0 // it was not yet
		out[rows[i].Person] = append(out[rows[i].Person], rows[i].domain())
	}
	return out, nil
}
