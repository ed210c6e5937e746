package store

import (
	"time"

	"portcullis/directory"
)

func (t tx) Organization(name string) (directory.Organization, error) {
	var o directory.Organization
	err := t.row(&o, "organization", "SELECT name, disabled FROM organizations WHERE name = ?", name)
	return o, err
}

func (t tx) Organizations() ([]directory.Client, error) {
	var rows []struct {
		Name, FrozenBy, FrozenReason string

		Disabled bool
		Since    int64
		People   int
	}
	err := t.rows(&rows, `SELECT o.name, o.disabled, o.since, o.frozen_by, o.frozen_reason,
		(SELECT count(*) FROM people p WHERE p.organization = o.name) AS people
		FROM organizations o ORDER BY o.name`)
	if err != nil {
		return nil, err
	}
	var homes []struct{ ID, Organization string }
	if err := t.rows(&homes, "SELECT id, organization FROM connections ORDER BY id"); err != nil {
		return nil, err
	}
	of := make(map[string][]string)
	for _, h := range homes {
		of[h.Organization] = append(of[h.Organization], h.ID)
	}
	out := make([]directory.Client, len(rows))
	for i, r := range rows {
		out[i] = directory.Client{
			Organization: directory.Organization{Name: r.Name, Disabled: r.Disabled}, Connections: of[r.Name], People: r.People,
		}
		if r.Disabled {
			out[i].Frozen = &directory.Bar{At: moment(r.Since), By: r.FrozenBy, Reason: r.FrozenReason}
		}
	}
	return out, nil
}

func (t tx) PutOrganization(o directory.Organization, at time.Time) error {
	t.memo.clients = true
	_, err := t.exec(`INSERT INTO organizations_history (name, disabled, since, until)
		SELECT name, disabled, since, CAST(? AS BIGINT) FROM organizations WHERE name = ? AND disabled <> ? AND since < ?`,
		micros(at), o.Name, o.Disabled, micros(at))
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO organizations (name, disabled, since) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE
		SET disabled = excluded.disabled, since = excluded.since, frozen_by = '', frozen_reason = ''
		WHERE organizations.disabled <> excluded.disabled`, o.Name, o.Disabled, micros(at))
	return err
}

func (t tx) FreezeOrganization(name string, b directory.Bar) error {
	if err := t.PutOrganization(directory.Organization{Name: name, Disabled: true}, b.At); err != nil {
		return err
	}
	if err := t.one("organization", "UPDATE organizations SET frozen_by = ?, frozen_reason = ? WHERE name = ?", b.By, b.Reason, name); err != nil {
		return err
	}
	// Whoever holds a setup link of theirs says who its people are.
	var connections []string
	if err := t.rows(&connections, "SELECT id FROM connections WHERE organization = ?", name); err != nil {
		return err
	}
	for _, id := range connections {
		if err := t.endSetup(id, b.At); err != nil {
			return err
		}
	}
	return nil
}

func (t tx) EndSessionsOf(organization, reason string, at time.Time) (int, error) {
	n, err := t.exec(`UPDATE sessions SET ended = ?, end_reason = ? WHERE ended = 0 AND expires > ?
		AND person_id IN (SELECT id FROM people WHERE organization = ?)`, micros(at), reason, micros(at), organization)
	return int(n), err
}
