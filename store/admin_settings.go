package store

import (
	"context"
	"time"

	"portcullis/admin"
	"portcullis/audit"
)

type settingRow struct {
	Name    string `gorm:"column:name"`
	Value   string `gorm:"column:value"`
	Changed int64  `gorm:"column:changed"`
	Author  string `gorm:"column:author"`
}

// Settings gives what administrators chose, by name.
func (s adminStore) Settings(ctx context.Context) (map[string]admin.Setting, error) {
	var rows []settingRow
	err := s.db.glance(ctx, func(t tx) error { return t.rows(&rows, "SELECT * FROM console_settings") })
	out := make(map[string]admin.Setting, len(rows))
	for _, r := range rows {
		out[r.Name] = admin.Setting{Value: r.Value, Changed: moment(r.Changed), Author: r.Author}
	}
	return out, err
}

// SaveSettings stores choices, with the event. An empty value takes one back.
func (s adminStore) SaveSettings(ctx context.Context, values map[string]string, author string, at time.Time, e audit.Event) error {
	return s.db.update(ctx, func(t tx) error {
		for name, value := range values {
			var err error
			if value == "" {
				_, err = t.exec("DELETE FROM console_settings WHERE name = ?", name)
			} else {
				_, err = t.exec(`INSERT INTO console_settings (name, value, changed, author) VALUES (?, ?, ?, ?)
					ON CONFLICT (name) DO UPDATE SET value = excluded.value, changed = excluded.changed, author = excluded.author`, name, value, micros(at), author)
			}
			if err != nil {
				return err
			}
		}
		return t.Audit(e)
	})
}

type preferencesRow struct {
	Zone    string `gorm:"column:zone"`
	Dates   string `gorm:"column:dates"`
	Numbers string `gorm:"column:numbers"`

	Language string `gorm:"column:language"`
}

// Preferences gives what somebody chose for themselves; the zero value before
// they chose anything.
func (s adminStore) Preferences(ctx context.Context, person string) (admin.Preferences, error) {
	var r preferencesRow
	err := s.db.glance(ctx, func(t tx) error {
		return t.briefly().rows(&r, "SELECT zone, dates, numbers, language FROM console_preferences WHERE person_id = ?", person)
	})
	return admin.Preferences(r), err
}

// SavePreferences stores what somebody chose for themselves.
func (s adminStore) SavePreferences(ctx context.Context, person string, p admin.Preferences) error {
	return s.db.update(ctx, func(t tx) error {
		_, err := t.exec(`INSERT INTO console_preferences (person_id, zone, dates, numbers, language) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (person_id) DO UPDATE SET zone = excluded.zone, dates = excluded.dates, numbers = excluded.numbers, language = excluded.language`,
			person, p.Zone, p.Dates, p.Numbers, p.Language)
		return err
	})
}
