package store

import (
	"time"

	"portcullis/directory"
)

func (t tx) ConnectionLink(id string) (string, error) {
	var link string
	err := t.row(&link, "connection", "SELECT link FROM connections WHERE id = ?", id)
	return link, err
}

func (t tx) ConnectionUnits(id string) (string, error) {
	var attribute string
	err := t.row(&attribute, "connection", "SELECT unit_attribute FROM connections WHERE id = ?", id)
	return attribute, err
}

func (t tx) PutConnection(c directory.Connection) error {
	_, err := t.exec(`INSERT INTO connections (id, organization, link, unit_attribute) VALUES (?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET organization = excluded.organization, link = excluded.link, unit_attribute = excluded.unit_attribute`,
		c.ID, c.Organization, c.Link, c.Units.Attribute)
	return err
}

func (t tx) Rehome(connection, organization string, at time.Time) (int, error) {
	if err := t.keepPeople(nil, at, "connection = ? AND organization <> ?", connection, organization); err != nil {
		return 0, err
	}
	n, err := t.exec(`UPDATE people SET organization = ?, unit = CASE WHEN unit = '' THEN '' ELSE ? END,
		since = CASE WHEN since < ? THEN ? ELSE since END WHERE connection = ? AND organization <> ?`,
		organization, directory.Unplaced, micros(at), micros(at), connection, organization)
	if err != nil {
		return 0, err
	}
	tokens, err := t.exec("UPDATE api_tokens SET organization = ? WHERE connection = ? AND organization <> ?", organization, connection, organization)
	return int(n + tokens), err
}
