package store

import (
	"context"
	"encoding/json"
	"time"

	"portcullis/audit"
	"portcullis/login"
	"portcullis/trace"
)

type loginTest struct {
	ID         string `gorm:"column:id"`
	Connection string `gorm:"column:connection"`
	Operator   string `gorm:"column:operator"`
	OperatorID string `gorm:"column:operator_id"`
	Created    int64  `gorm:"column:created"`
	Expires    int64  `gorm:"column:expires"`
	Opened     int64  `gorm:"column:opened"`
	Report     string `gorm:"column:report"`
}

func (s loginStore) InsertTest(ctx context.Context, test login.Test, e audit.Event) error {
	return s.db.update(ctx, func(t tx) error {
		_, err := t.exec("INSERT INTO login_tests (id, link_hash, connection, operator, operator_id, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
			test.ID, test.LinkHash, test.Connection, test.Operator, test.OperatorID, micros(test.Created), micros(test.Expires))
		if err != nil {
			return err
		}
		return t.Audit(e)
	})
}

func (s loginStore) OpenTest(ctx context.Context, linkHash []byte, now time.Time) (login.Test, error) {
	var r loginTest
	err := s.db.update(ctx, func(t tx) error {
		return t.row(&r, "test", "UPDATE login_tests SET opened = ? WHERE link_hash = ? AND opened = 0 AND expires > ? RETURNING *",
			micros(now), linkHash, micros(now))
	})
	found := r.domain()
	found.LinkHash = linkHash
	return found, err
}

func (r loginTest) domain() login.Test {
	return login.Test{
		ID: r.ID, Connection: r.Connection, Operator: r.Operator, OperatorID: r.OperatorID, Created: moment(r.Created), Expires: moment(r.Expires),
		Opened: moment(r.Opened),
	}
}

func (s loginStore) FinishTest(ctx context.Context, id string, report trace.Record, e audit.Event) error {
	body, err := json.Marshal(report)
	if err != nil {
		return err
	}
	return s.db.update(ctx, func(t tx) error {
		n, err := t.exec("UPDATE login_tests SET report = ?, reference = ? WHERE id = ? AND report = ''", string(body), report.Reference, id)
		if err != nil || n == 0 {
			return err
		}
		return t.Audit(e)
	})
}

func (s loginStore) FindTest(ctx context.Context, id string) (login.Test, *trace.Record, error) {
	var r loginTest
	err := s.db.glance(ctx, func(t tx) error {
		return t.row(&r, "test", "SELECT * FROM login_tests WHERE id = ?", id)
	})
	if err != nil || r.Report == "" {
		return r.domain(), nil, err
	}
	report := &trace.Record{}
	return r.domain(), report, json.Unmarshal([]byte(r.Report), report)
}

func (s loginStore) DeleteTests(ctx context.Context, before time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		_, err := t.exec("DELETE FROM login_tests WHERE expires < ?", micros(before))
		return err
	})
}
