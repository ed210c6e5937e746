package store

import (
	"encoding/json"
	"time"

	"portcullis/directory"
	"portcullis/fault"
)

type identity struct {
	Connection string `gorm:"column:connection"`
	Issuer     string `gorm:"column:issuer"`
	Subject    string `gorm:"column:subject"`
	Link       string `gorm:"column:link"`
	PersonID   string `gorm:"column:person_id"`
	Created    int64  `gorm:"column:created"`
}

func (r identity) domain() directory.Identity {
	return directory.Identity{
		Connection: r.Connection, Issuer: r.Issuer, Subject: r.Subject, Link: r.Link, Person: r.PersonID, Created: moment(r.Created),
	}
}

func (t tx) IdentitiesByLink(connection, link string) ([]directory.Identity, error) {
	if err := t.lockLink(connection, link); err != nil {
		return nil, err
	}
	return t.identities(`SELECT i.* FROM identities i JOIN people p ON p.id = i.person_id
		WHERE i.connection = ? AND i.link = ? AND NOT p.provisioned ORDER BY i.created, i.issuer, i.subject`, connection, link)
}

// lockLink makes a sign-in and a push that carry the same link value wait for
// each other: neither sees what the other has not committed yet, and they
// would miss each other for good. SQLite has one writer at a time anyway.
func (t tx) lockLink(connection, link string) error {
	if !t.write || t.dialect != "postgres" {
		return nil
	}
	return t.later("SELECT "+linkLock, connection+"/"+link)
}

const linkLock = "pg_advisory_xact_lock(hashtextextended(?, 0))"

func (t tx) Identities(personID string) ([]directory.Identity, error) {
	return t.identities("SELECT * FROM identities WHERE person_id = ? ORDER BY created, subject", personID)
}

func (t tx) identities(query string, args ...any) ([]directory.Identity, error) {
	var rows []identity
	if err := t.rows(&rows, query, args...); err != nil {
		return nil, err
	}
	out := make([]directory.Identity, len(rows))
	for i, r := range rows {
		out[i] = r.domain()
	}
	return out, nil
}

func (t tx) InsertIdentity(i directory.Identity) error {
	_, err := t.exec("INSERT INTO identities (connection, issuer, subject, link, person_id, created) VALUES (?, ?, ?, ?, ?, ?)",
		i.Connection, i.Issuer, i.Subject, i.Link, i.Person, micros(i.Created))
	return err
}

func (t tx) Relink(i directory.Identity) error {
	_, err := t.exec("UPDATE identities SET link = ? WHERE connection = ? AND issuer = ? AND subject = ? AND link <> ?",
		i.Link, i.Connection, i.Issuer, i.Subject, i.Link)
	return err
}

func (t tx) ForgetLinks(connection string) error {
	_, err := t.exec("UPDATE identities SET link = '' WHERE connection = ? AND link <> ''", connection)
	return err
}

func (t tx) InsertAssertion(personID string, a directory.Assertion) (string, error) {
	facts, err := json.Marshal(a)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "what the identity provider sent cannot be stored")
	}
	id := newID()
	_, err = t.exec("INSERT INTO assertions (id, person_id, received, complete, facts) VALUES (?, ?, ?, ?, ?)",
		id, personID, micros(a.Received), !a.GroupsIncomplete, string(facts))
	return id, err
}

func (t tx) LastAssertion(personID string, complete bool) (directory.Assertion, error) {
	query := "SELECT facts FROM assertions WHERE person_id = ? ORDER BY seq DESC LIMIT 1"
	if complete {
		query = "SELECT facts FROM assertions WHERE person_id = ? AND complete ORDER BY seq DESC LIMIT 1"
	}
	var facts string
	if err := t.row(&facts, "sign-in", query, personID); err != nil {
		return directory.Assertion{}, err
	}
	return readAssertion(facts)
}

func readAssertion(facts string) (directory.Assertion, error) {
	var a directory.Assertion
	if err := json.Unmarshal([]byte(facts), &a); err != nil {
		return a, fault.Wrap(fault.Internal, err, "stored assertion")
	}
	return a, nil
}

func (t tx) Bury(connection string, hashes []string, at time.Time) (burial string, err error) {
	burial = newID()
	for _, h := range hashes {
		err := t.later("INSERT INTO tombstones (connection, hash, burial, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", connection, h, burial, micros(at))
		if err != nil {
			return "", err
		}
	}
	return burial, nil
}

func (t tx) Buried(connection string, hashes []string) (bool, error) {
	if len(hashes) == 0 {
		return false, nil
	}
	wanted, err := list(hashes)
	if err != nil {
		return false, err
	}
	var n int64
	err = t.rows(&n, "SELECT count(*) FROM tombstones WHERE connection = ? AND "+t.inList("hash"), connection, wanted)
	return n > 0, err
}

func (t tx) Unbury(connection string, hashes []string) error {
	if len(hashes) == 0 {
		return nil
	}
	wanted, err := list(hashes)
	if err != nil {
		return err
	}
	return t.later("DELETE FROM tombstones WHERE burial IN (SELECT burial FROM tombstones WHERE connection = ? AND "+t.inList("hash")+")",
		connection, wanted)
}
