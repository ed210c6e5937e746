package store

import (
	"context"
	"encoding/json"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/session"
)

type apiToken struct {
	ID           string `gorm:"column:id"`
	Hash         []byte `gorm:"column:hash"`
	PersonID     string `gorm:"column:person_id"`
	Service      string `gorm:"column:service"`
	Connection   string `gorm:"column:connection"`
	Organization string `gorm:"column:organization"`
	Note         string `gorm:"column:note"`
	Scopes       string `gorm:"column:scopes"`
	Facts        string `gorm:"column:facts"` // the groups of a service
	Created      int64  `gorm:"column:created"`
	Expires      int64  `gorm:"column:expires"`
	LastUsed     int64  `gorm:"column:last_used"`
	Revoked      int64  `gorm:"column:revoked"`
}

func (r apiToken) domain() (session.APIToken, error) {
	t := session.APIToken{
		ID: r.ID, Hash: r.Hash, Person: r.PersonID, Service: r.Service, Connection: r.Connection, Organization: r.Organization, Note: r.Note,
		Created: moment(r.Created), Expires: moment(r.Expires), LastUsed: moment(r.LastUsed), Revoked: moment(r.Revoked),
	}
	err := json.Unmarshal([]byte(r.Scopes), &t.Scopes)
	if err == nil {
		err = json.Unmarshal([]byte(r.Facts), &t.Groups)
	}
	return t, fault.Wrap(fault.Internal, err, "stored token %s", r.ID)
}

func (s sessionStore) InsertAPIToken(ctx context.Context, k session.APIToken, e audit.Event) error {
	scopes, err := json.Marshal(k.Scopes)
	if err != nil {
		return err
	}
	groups, err := json.Marshal(k.Groups)
	if err != nil {
		return err
	}
	return s.db.update(ctx, func(t tx) error {
		_, err := t.exec(`INSERT INTO api_tokens
			(id, hash, person_id, service, connection, organization, note, scopes, facts, created, expires)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			k.ID, k.Hash, k.Person, k.Service, k.Connection, k.Organization, k.Note, string(scopes), string(groups), micros(k.Created), micros(k.Expires))
		if err != nil {
			return err
		}
		return t.Audit(e)
	})
}

func (s sessionStore) FindAPIToken(ctx context.Context, hash []byte) (k session.APIToken, st directory.Standing, err error) {
	err = s.db.view(ctx, func(t tx) (err error) {
		var row apiToken
		if err := t.row(&row, "token", "SELECT * FROM api_tokens WHERE hash = ?", hash); err != nil {
			return err
		}
		if k, err = row.domain(); err != nil {
			return err
		}
		if k.Person == "" {
			o, err := t.Organization(k.Organization)
			st = k.Standing(o)
			return err
		}
		st = directory.Standing{}
		if st.Assertion, err = t.LastAssertion(k.Person, false); err != nil {
			return err
		}
		return t.stand(&st, k.Person)
	})
	return k, st, err
}

// stand fills in what is known of a person beside what was asserted.
func (t tx) stand(st *directory.Standing, person string) (err error) {
	if st.Person, err = t.Person(person); err != nil {
		return err
	}
	if st.Organization, err = t.Organization(st.Person.Organization); err != nil {
		return err
	}
	if st.PartFrozen, err = t.closed(st.Person.Unit); err != nil {
		return err
	}
	excepted, err := t.Exceptions(person)
	if err != nil {
		return err
	}
	st.Exceptions = directory.InForce(excepted)
	if st.Pushed, err = t.GroupsOf(person); err != nil || !st.Assertion.GroupsIncomplete {
		return err
	}
	last, err := t.LastAssertion(person, true)
	if err == nil {
		st.LastComplete = &last
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}

func (s sessionStore) APITokens(ctx context.Context, q session.TokenQuery) ([]session.APIToken, error) {
	query := join("SELECT * FROM api_tokens WHERE ", sqlf("(created, id) > (?, ?)", micros(q.Created), q.After))
	if q.ID != "" {
		query = join(query, sqlf(" AND id = ?", q.ID))
	}
	if q.Of != nil {
		query = join(query, sqlf(" AND (person_id = ? AND person_id <> '' OR id = ?)", q.Of.Person, q.Of.Token))
	}
	query = join(query, " ORDER BY created, id")
	if q.Limit > 0 {
		query = join(query, sqlf(" LIMIT ?", q.Limit))
	}
	var rows []apiToken
	err := s.db.view(ctx, func(t tx) error { return t.rows(&rows, query.text, query.args...) })
	if err != nil {
		return nil, err
	}
	out := make([]session.APIToken, len(rows))
	for i, r := range rows {
		if out[i], err = r.domain(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s sessionStore) RevokeAPIToken(ctx context.Context, id string, at time.Time, e audit.Event) error {
	return s.db.update(ctx, func(t tx) error {
		var r apiToken
		if err := t.row(&r, "token", t.forUpdate("SELECT * FROM api_tokens k WHERE id = ?", "k"), id); err != nil {
			return err
		}
		if r.Revoked != 0 {
			return nil
		}
		if err := t.one("token", "UPDATE api_tokens SET revoked = ? WHERE id = ?", micros(at), id); err != nil {
			return err
		}
		e.Person, e.Connection = r.PersonID, r.Connection
		if err := t.Audit(e); err != nil {
			return err
		}
		return t.Change(directory.Change{At: at, Session: id, Loss: true})
	})
}
