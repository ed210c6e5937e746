package store

import (
	"time"

	"portcullis/directory"
)

// unit is a row of units.
type unit struct {
	ID           string `gorm:"column:id"`
	Organization string `gorm:"column:organization"`
	Parent       string `gorm:"column:parent"`
	Name         string `gorm:"column:name"`
	Created      int64  `gorm:"column:created"`
	FrozenAt     int64  `gorm:"column:frozen_at"`
	FrozenBy     string `gorm:"column:frozen_by"`
	FrozenPerson string `gorm:"column:frozen_person"`
	FrozenReason string `gorm:"column:frozen_reason"`
	Closed       bool   `gorm:"column:closed"`
}

func (r *unit) domain() directory.Unit {
	u := directory.Unit{
		ID: r.ID, Organization: r.Organization, Parent: r.Parent, Name: r.Name, Created: moment(r.Created), Freezer: r.FrozenPerson, Closed: r.Closed,
	}
	if r.FrozenAt != 0 {
		u.Frozen = &directory.Bar{At: moment(r.FrozenAt), By: r.FrozenBy, Reason: r.FrozenReason}
	}
	return u
}

const unitColumns = "id, organization, parent, name, created, frozen_at, frozen_by, frozen_person, frozen_reason, closed"

// LockUnits holds no push up: those refer to the same row.
func (t tx) LockUnits(organization string) error {
	query := "SELECT name FROM organizations WHERE name = ?"
	if t.dialect == "postgres" {
		query += " FOR NO KEY UPDATE"
	}
	var name string
	return t.row(&name, "organization", query, organization)
}

func (t tx) Units(organization string) ([]directory.Unit, error) {
	var rows []unit
	err := t.rows(&rows, "SELECT "+unitColumns+" FROM units WHERE organization = ?", organization)
	out := make([]directory.Unit, len(rows))
	for i := range rows {
		out[i] = rows[i].domain()
	}
	return out, err
}

func (t tx) Unit(id string) (directory.Unit, error) {
	var r unit
	err := t.row(&r, "sub-organization", t.forShare("SELECT "+unitColumns+" FROM units WHERE id = ?"), id)
	return r.domain(), err
}

func (t tx) UnitNamed(organization, key string) (directory.Unit, error) {
	var r unit
	err := t.row(&r, "sub-organization", t.forShare("SELECT "+unitColumns+" FROM units WHERE organization = ? AND name_key = ?"), organization, key)
	return r.domain(), err
}

func (t tx) UnitCounts(organization string) (map[string]int, error) {
	var rows []struct {
		Unit   string
		People int
	}
	err := t.rows(&rows, "SELECT unit, count(*) AS people FROM people WHERE organization = ? GROUP BY unit", organization)
	out := make(map[string]int, len(rows))
	for _, r := range rows {
		out[r.Unit] = r.People
	}
	return out, err
}

func (t tx) ConnectionsIn(unit string, pushed bool) ([]string, error) {
	var ids []string
	err := t.rows(&ids, "SELECT DISTINCT connection FROM people WHERE unit = ? AND unit <> '' AND provisioned = ? ORDER BY connection", unit, pushed)
	return ids, err
}

const unitInto = "INSERT INTO units (id, organization, parent, name, created, name_key) VALUES (?, ?, ?, ?, ?, ?)"

func unitValues(u directory.Unit) []any {
	return []any{u.ID, u.Organization, u.Parent, u.Name, micros(u.Created), directory.UnitKey(u.Name)}
}

func (t tx) InsertUnit(u directory.Unit) error {
	_, err := t.exec(unitInto, unitValues(u)...)
	return err
}

func (t tx) EnsureUnit(u directory.Unit) (bool, error) {
	n, err := t.exec(unitInto+" ON CONFLICT (organization, name_key) DO NOTHING", unitValues(u)...)
	return n > 0, err
}

func (t tx) UpdateUnit(u directory.Unit) error {
	var frozen directory.Bar
	if u.Frozen != nil {
		frozen = *u.Frozen
	}
	return t.one("sub-organization", `UPDATE units SET parent = ?, name = ?, name_key = ?,
		frozen_at = ?, frozen_by = ?, frozen_person = ?, frozen_reason = ? WHERE id = ?`,
		u.Parent, u.Name, directory.UnitKey(u.Name), micros(frozen.At), frozen.By, u.Freezer, frozen.Reason, u.ID)
}

func (t tx) DeleteUnit(id string) error {
	if _, err := t.exec("INSERT INTO former_units (id, parent) SELECT id, parent FROM units WHERE id = ?", id); err != nil {
		return err
	}
	return t.one("sub-organization", "DELETE FROM units WHERE id = ?", id)
}

func (t tx) FormerUnit(id string) (parent string, err error) {
	err = t.rows(&parent, "SELECT parent FROM former_units WHERE id = ?", id)
	return parent, err
}

func (t tx) BuryUnit(connection string, hashes []string, unit string, at time.Time) error {
	burial := newID()
	for _, h := range hashes {
		err := t.later("INSERT INTO tombstones (connection, hash, burial, at, unit) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
			connection, h, burial, micros(at), unit)
		if err != nil {
			return err
		}
	}
	return nil
}

func (t tx) BuriedUnit(connection string, hashes []string) (unit string, err error) {
	wanted, err := list(hashes)
	if err != nil {
		return "", err
	}
	err = t.rows(&unit, "SELECT unit FROM tombstones WHERE connection = ? AND unit <> '' AND "+t.inList("hash")+" ORDER BY at DESC, unit LIMIT 1",
		connection, wanted)
	return unit, err
}

func (t tx) UnitNames(ids []string) (map[string]string, error) {
	these, err := list(ids)
	if err != nil {
		return nil, err
	}
	var rows []unit
	err = t.rows(&rows, "SELECT id, name FROM units WHERE "+t.inList("id"), these)
	out := make(map[string]string, len(rows))
	for _, r := range rows {
		out[r.ID] = r.Name
	}
	return out, err
}

// inUnits is the condition that somebody is in one of some units; nil is all.
func (t tx) inUnits(units []string) (fragment, error) {
	if units == nil {
		return sqlf(always), nil
	}
	these, err := list(units)
	return sqlf(t.inList("unit"), these), err
}

// ofUnits is the condition that a column holds the id of somebody who is in
// one of some units; nil is all, and what is about nobody.
func (t tx) ofUnits(column string, units []string) (fragment, error) {
	if units == nil {
		return sqlf(always), nil
	}
	in, err := t.inUnits(units)
	return join(column+" IN (SELECT id FROM people WHERE unit <> '' AND ", in, ")"), err
}
