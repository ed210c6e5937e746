package store

import (
	"encoding/json"
	"strings"

	"portcullis/directory"
)

// personInto is the beginning of a statement that stores a person; values are
// what goes there.
const personInto = `INSERT INTO people (id, connection, organization, user_name, user_name_key, external_id, link, name, name_key,
	email, email_key, email_verified, provisioned, idp_active, deactivated_at, deactivated_by, deactivated_reason,
	locked_at, locked_by, locked_reason, attributes, attributes_key, more_emails, version, created, modified, last_active, since, unit) `

func (r *person) values() []any {
	return []any{
		r.ID, r.Connection, r.Organization, r.UserName, r.UserNameKey, r.ExternalID, r.Link, r.Name, r.NameKey,
		r.Email, r.EmailKey, r.EmailVerified, r.Provisioned, r.IDPActive, r.DeactivatedAt, r.DeactivatedBy, r.DeactivatedReason,
		r.LockedAt, r.LockedBy, r.LockedReason, r.Attributes, r.AttributesKey, r.MoreEmails, r.Version,
		r.Created, r.Modified, r.LastActive, r.Since, r.Unit,
	}
}

// newPerson is the row of somebody new, and their addresses beside the main one.
func newPerson(p directory.Person, link string) (row person, more []string, err error) {
	row = personRow(p, link)
	if err := row.storable(); err != nil {
		return row, nil, err
	}
	more = row.otherEmails()
	row.MoreEmails = len(more) > 0
	return row, more, nil
}

func (t tx) InsertPerson(p directory.Person, link string) error {
	row, more, err := newPerson(p, link)
	if err != nil {
		return err
	}
	err = t.later(personInto+"VALUES ("+commas(len(row.values()))+")", row.values()...)
	t.memo.held = row
	if err != nil {
		return err
	}
	return t.insertEmails(&row, more)
}

func (t tx) UpdatePerson(p directory.Person, link string) error {
	row := personRow(p, link)
	if err := row.storable(); err != nil {
		return err
	}
	if t.memo.held.ID != p.ID {
		if _, err := t.Person(p.ID); err != nil {
			return err
		}
	}
	old := t.memo.held // nobody else changes it before this transaction ends
	row.Since = old.Since
	if old.Version != p.Version && old.Since < row.Modified {
		row.Since = row.Modified
		if err := t.keepPeople(nil, p.Modified, "id = ?", p.ID); err != nil {
			return err
		}
	}
	reachable := row.Attributes != old.Attributes || row.Email != old.Email
	row.MoreEmails = old.MoreEmails
	var more []string
	if reachable {
		more = row.otherEmails()
		row.MoreEmails = old.MoreEmails || len(more) > 0
	}
	set, args := row.changes(&old)
	t.memo.held = row
	if err := t.later("UPDATE people SET "+set+" WHERE id = ?", append(args, row.ID)...); err != nil || !reachable || !row.MoreEmails {
		return err
	}
	if err := t.later("DELETE FROM person_emails WHERE person_id = ?", row.ID); err != nil {
		return err
	}
	return t.insertEmails(&row, more)
}

// changes are what an update sets. Columns that did not change are left out:
// SQLite writes every index anew that has a column which is set, whatever it is
// set to. last_active is the sessions' to write.
func (r *person) changes(old *person) (set string, args []any) {
	var b strings.Builder
	b.WriteString("idp_active = ?, version = ?, modified = ?, since = ?")
	args = []any{r.IDPActive, r.Version, r.Modified, r.Since}
	for _, c := range []struct {
		changed bool
		set     string
		values  []any
	}{
		{
			r.Connection != old.Connection || r.Organization != old.Organization || r.Provisioned != old.Provisioned,
			", connection = ?, organization = ?, provisioned = ?",
			[]any{r.Connection, r.Organization, r.Provisioned},
		},
		{r.Unit != old.Unit, ", unit = ?", []any{r.Unit}},
		{r.UserName != old.UserName, ", user_name = ?, user_name_key = ?", []any{r.UserName, r.UserNameKey}},
		{r.ExternalID != old.ExternalID || r.Link != old.Link, ", external_id = ?, link = ?", []any{r.ExternalID, r.Link}},
		{r.Name != old.Name, ", name = ?, name_key = ?", []any{r.Name, r.NameKey}},
		{
			r.Email != old.Email || r.EmailVerified != old.EmailVerified,
			", email = ?, email_key = ?, email_verified = ?",
			[]any{r.Email, r.EmailKey, r.EmailVerified},
		},
		{
			r.Attributes != old.Attributes || r.MoreEmails != old.MoreEmails,
			", attributes = ?, attributes_key = ?, more_emails = ?",
			[]any{r.Attributes, r.AttributesKey, r.MoreEmails},
		},
		{
			r.DeactivatedAt != old.DeactivatedAt || r.DeactivatedBy != old.DeactivatedBy || r.DeactivatedReason != old.DeactivatedReason,
			", deactivated_at = ?, deactivated_by = ?, deactivated_reason = ?",
			[]any{r.DeactivatedAt, r.DeactivatedBy, r.DeactivatedReason},
		},
		{
			r.LockedAt != old.LockedAt || r.LockedBy != old.LockedBy || r.LockedReason != old.LockedReason,
			", locked_at = ?, locked_by = ?, locked_reason = ?",
			[]any{r.LockedAt, r.LockedBy, r.LockedReason},
		},
	} {
		if c.changed {
			b.WriteString(c.set)
			args = append(args, c.values...)
		}
	}
	return b.String(), args
}

const emailsInto = "INSERT INTO person_emails (person_id, connection, value_key) "

// insertEmails stores the addresses beside the main one, which has a column.
// Most people have none.
func (t tx) insertEmails(row *person, more []string) error {
	for _, key := range more {
		err := t.later(emailsInto+"VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row.ID, row.Connection, key)
		if err != nil {
			return err
		}
	}
	return nil
}

// emailsKey begins the addresses of a resource. A quote within a text is
// escaped there, so that what looks like a member is one; and of extensions
// none has a list.
const emailsKey = `"emails":[`

// onlyOne reports whether a list of addresses is known to hold one alone, the
// main one: that of nearly everybody. The members of an address are stored in
// order, so that its value is the last one. A list that looks otherwise is read.
func onlyOne(list, main string) bool {
	first, _, ok := strings.Cut(list, "]")
	return ok && main != "" && strings.Count(first, "{") == 1 && strings.Contains(first, `"value":"`+main+`"`)
}

// otherEmails are the addresses of a resource beside the main one, in lower
// case. Only the addresses are read, for a resource is long.
func (r *person) otherEmails() []string {
	_, list, ok := strings.Cut(r.Attributes, emailsKey)
	if !ok || onlyOne(list, r.Email) {
		return nil
	}
	var emails []struct {
		Value string `json:"value"`
	}
	if json.NewDecoder(strings.NewReader("["+list)).Decode(&emails) != nil {
		return nil // not a resource of ours; it is found by its columns
	}
	var more []string
	for _, e := range emails {
		if key := strings.ToLower(e.Value); key != "" && key != r.EmailKey && len(key) <= maxIndexed {
			more = append(more, key)
		}
	}
	return more
}

func (t tx) DeletePerson(id string) error {
	if t.memo.held.ID == id {
		t.memo.held = person{}
		return t.later("DELETE FROM people WHERE id = ?", id)
	}
	return t.one("user", "DELETE FROM people WHERE id = ?", id)
}
