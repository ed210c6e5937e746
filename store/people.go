package store

import (
	"strings"
	"time"

	"portcullis/directory"
	"portcullis/fault"
)

// person is a row of people.
type person struct {
	Seq               int64  `gorm:"column:seq;->"`
	ID                string `gorm:"column:id"`
	Connection        string `gorm:"column:connection"`
	Organization      string `gorm:"column:organization"`
	Unit              string `gorm:"column:unit"`
	UserName          string `gorm:"column:user_name"`
	UserNameKey       string `gorm:"column:user_name_key"`
	ExternalID        string `gorm:"column:external_id"`
	Link              string `gorm:"column:link"`
	Name              string `gorm:"column:name"`
	NameKey           string `gorm:"column:name_key"`
	Email             string `gorm:"column:email"`
	EmailKey          string `gorm:"column:email_key"`
	EmailVerified     bool   `gorm:"column:email_verified"`
	Provisioned       bool   `gorm:"column:provisioned"`
	IDPActive         bool   `gorm:"column:idp_active"`
	DeactivatedAt     int64  `gorm:"column:deactivated_at"`
	DeactivatedBy     string `gorm:"column:deactivated_by"`
	DeactivatedReason string `gorm:"column:deactivated_reason"`
	LockedAt          int64  `gorm:"column:locked_at"`
	LockedBy          string `gorm:"column:locked_by"`
	LockedReason      string `gorm:"column:locked_reason"`
	Attributes        string `gorm:"column:attributes"`
	AttributesKey     string `gorm:"column:attributes_key"`
	MoreEmails        bool   `gorm:"column:more_emails"` // was there ever an address beside the main one
	Version           int64  `gorm:"column:version"`
	Created           int64  `gorm:"column:created"`
	Modified          int64  `gorm:"column:modified"`
	LastActive        int64  `gorm:"column:last_active"`
	Since             int64  `gorm:"column:since"`
	Unconfirmed       bool   `gorm:"column:unconfirmed"`
}

func (person) TableName() string { return "people" }

// maxIndexed bounds a text that an index holds: PostgreSQL refuses longer ones.
const maxIndexed = 2000

func personRow(p directory.Person, link string) person {
	row := person{
		ID: p.ID, Connection: p.Connection, Organization: p.Organization, Unit: p.Unit,
		UserName: p.UserName, UserNameKey: strings.ToLower(p.UserName), ExternalID: p.ExternalID, Link: link,
		Name: p.Name, NameKey: strings.ToLower(p.Name), Email: p.Email, EmailKey: strings.ToLower(p.Email),
		EmailVerified: p.EmailVerified, Provisioned: p.Provisioned, IDPActive: p.IDPActive,
		Attributes: string(p.Attributes), AttributesKey: strings.ToLower(string(p.Attributes)), Version: p.Version,
		Created: micros(p.Created), Modified: micros(p.Modified), LastActive: micros(p.LastActive),
		Since: micros(p.Modified),
	}
	if b := p.Deactivated; b != nil {
		row.DeactivatedAt, row.DeactivatedBy, row.DeactivatedReason = micros(b.At), b.By, b.Reason
	}
	if b := p.Locked; b != nil {
		row.LockedAt, row.LockedBy, row.LockedReason = micros(b.At), b.By, b.Reason
	}
	return row
}

func (r *person) storable() error {
	return storable(r.UserName, r.ExternalID, r.Link, r.Name, r.Email, r.Attributes,
		r.DeactivatedBy, r.DeactivatedReason, r.LockedBy, r.LockedReason)
}

func (r *person) domain() directory.Person {
	p := directory.Person{
		ID: r.ID, Connection: r.Connection, Organization: r.Organization, Unit: r.Unit, UserName: r.UserName, ExternalID: r.ExternalID,
		Name: r.Name, Email: r.Email, EmailVerified: r.EmailVerified, Provisioned: r.Provisioned, IDPActive: r.IDPActive,
		Version: r.Version, Created: moment(r.Created), Modified: moment(r.Modified), LastActive: moment(r.LastActive),
		Unconfirmed: r.Unconfirmed,
	}
	if r.Attributes != "" {
		p.Attributes = []byte(r.Attributes)
	}
	if r.DeactivatedAt != 0 {
		p.Deactivated = &directory.Bar{At: moment(r.DeactivatedAt), By: r.DeactivatedBy, Reason: r.DeactivatedReason}
	}
	if r.LockedAt != 0 {
		p.Locked = &directory.Bar{At: moment(r.LockedAt), By: r.LockedBy, Reason: r.LockedReason}
	}
	return p
}

// personColumns are what is read of people: not what is there for look-ups.
const personColumns = `people.seq, people.id, people.connection, people.organization, people.user_name, people.external_id, people.name, people.email,
	people.email_verified, people.provisioned, people.idp_active, people.deactivated_at, people.deactivated_by, people.deactivated_reason,
	people.locked_at, people.locked_by, people.locked_reason, people.attributes, people.version, people.created, people.modified, people.last_active,
	people.more_emails, people.since, people.unconfirmed, people.link, people.unit`

// places are where a row of personColumns goes.
func (r *person) places() []any {
	return []any{
		&r.Seq, &r.ID, &r.Connection, &r.Organization, &r.UserName, &r.ExternalID, &r.Name, &r.Email,
		&r.EmailVerified, &r.Provisioned, &r.IDPActive, &r.DeactivatedAt, &r.DeactivatedBy, &r.DeactivatedReason,
		&r.LockedAt, &r.LockedBy, &r.LockedReason, &r.Attributes, &r.Version, &r.Created, &r.Modified, &r.LastActive,
		&r.MoreEmails, &r.Since, &r.Unconfirmed, &r.Link, &r.Unit,
	}
}

// briefColumns are what SCIM shows of people.
const briefColumns = "people.seq, people.id, people.idp_active, people.attributes, people.version, people.created, people.modified, people.unconfirmed"

func (r *person) briefPlaces() []any {
	return []any{&r.Seq, &r.ID, &r.IDPActive, &r.Attributes, &r.Version, &r.Created, &r.Modified, &r.Unconfirmed}
}

// scanPeople reads rows of personColumns, packed, and of sort_value if the list is
// sorted: by hand, for gorm takes longer over a page than the database.
func (t tx) scanPeople(sorted bool, query string, args ...any) (people []found[person], err error) {
	return t.scanInto((*person).places, sorted, query, args)
}

// scanBrief reads rows of briefColumns, packed.
func (t tx) scanBrief(sorted bool, query string, args ...any) (people []found[person], err error) {
	return t.scanInto((*person).briefPlaces, sorted, query, args)
}

func (t tx) scanInto(places func(*person) []any, sorted bool, query string, args []any) (people []found[person], err error) {
	if err := storable(args...); err != nil {
		return nil, err
	}
	err = t.lane.pick(query, args, func(rows picked) error {
		var f found[person]
		to := places(&f.Row)
		var rest []any
		if sorted {
			rest = []any{&f.SortValue}
		}
		for rows.Next() {
			if err := t.unpack(rows, to, rest...); err != nil {
				return err
			}
			people = append(people, f)
		}
		return rows.Err()
	})
	return people, classify(err)
}

func (t tx) Person(id string) (directory.Person, error) {
	found, err := t.scanPeople(false, t.forUpdate("SELECT "+t.packed(personColumns)+" FROM people WHERE id = ?", "people"), id)
	if err != nil {
		return directory.Person{}, err
	}
	if len(found) == 0 {
		return directory.Person{}, fault.New(fault.NotFound, "no such user")
	}
	if t.write {
		t.memo.held = found[0].Row
	}
	return found[0].Row.domain(), nil
}

func (t tx) PersonBySubject(connection, issuer, subject string) (directory.Person, error) {
	var r person
	err := t.row(&r, "user", t.forUpdate(`SELECT p.* FROM identities i JOIN people p ON p.id = i.person_id
		WHERE i.connection = ? AND i.issuer = ? AND i.subject = ?`, "p"), connection, issuer, subject)
	return r.domain(), err
}

func (t tx) PeopleBySubject(connection, subject string) ([]directory.Person, error) {
	var rows []person
	err := t.rows(&rows, `SELECT p.* FROM identities i JOIN people p ON p.id = i.person_id
		WHERE i.subject = ? AND (? = '' OR i.connection = ?) ORDER BY p.seq LIMIT 100`, subject, connection, connection)
	people := make([]directory.Person, len(rows))
	for i := range rows {
		people[i] = rows[i].domain()
	}
	return people, err
}

// linked is the condition on people who have a link value: those who have it
// for their externalId too are found by that one's index.
const linked = `(connection = ? AND link = ? AND link <> '' AND link <> external_id
	OR connection = ? AND external_id = ? AND link = ?)`

func (t tx) PersonByLink(connection, link string) (directory.Person, error) {
	if link == "" {
		return directory.Person{}, fault.New(fault.NotFound, "no such user")
	}
	if err := t.lockLink(connection, link); err != nil {
		return directory.Person{}, err
	}
	var rows []person
	err := t.rows(&rows, t.forUpdate("SELECT * FROM people p WHERE "+linked+" LIMIT 2", "p"), connection, link, connection, link, link)
	switch {
	case err != nil:
		return directory.Person{}, err
	case len(rows) == 0:
		return directory.Person{}, fault.New(fault.NotFound, "no such user")
	case len(rows) > 1:
		return directory.Person{}, fault.New(fault.Conflict, "several users have this identifier")
	}
	return rows[0].domain(), nil
}

func (t tx) People(q directory.Query) (directory.Page[directory.Person], error) {
	more := ""
	if q.Pushed {
		more = " AND people.provisioned"
	}
	columns, read := personColumns, tx.scanPeople
	if q.Brief {
		columns, read = briefColumns, tx.scanBrief
	}
	if name, ok := onlyName(q); ok {
		return t.peopleNamed(q.Connection, name)
	}
	rows, total, next, err := page(t, "people", t.packed(columns), read, peopleTable{tx: t, connection: q.Connection}, q, more)
	if err != nil {
		return directory.Page[directory.Person]{}, err
	}
	people := make([]directory.Person, len(rows))
	for i := range rows {
		people[i] = rows[i].Row.domain()
	}
	if n := len(rows); n > 0 {
		place(next, rows[n-1].Row.Seq, rows[n-1].SortValue)
	}
	return directory.Page[directory.Person]{Items: people, Total: total, Next: next}, nil
}

// onlyName is the userName that a client looks for, in lower case: the one
// question that it asks before each push.
func onlyName(q directory.Query) (string, bool) {
	f := q.Filter
	if f == nil || f.Op != directory.Eq || f.Attr.Name != "userName" || f.Attr.Sub != "" || f.Attr.Extension != "" ||
		!q.Pushed || !q.Brief || q.Connection == "" || q.Sort != nil || q.After != nil || q.Offset > 0 || q.Limit < 1 {
		return "", false
	}
	name, ok := f.Value.(string)
	return strings.ToLower(name), ok && name != "" && storable(name) == nil
}

func (t tx) MovePerson(from, to string, at time.Time) error {
	if err := t.inherit(from, to, at); err != nil {
		return err
	}
	for _, table := range []string{"identities", "assertions", "sessions", "api_tokens", "role_exceptions"} {
		if _, err := t.exec("UPDATE "+table+" SET person_id = ? WHERE person_id = ?", to, from); err != nil {
			return err
		}
	}
	// A dismissal of whom they have moved to knows by this that it has not seen their sessions.
	_, err := t.exec("UPDATE people SET last_active = (SELECT last_active FROM people WHERE id = ?) WHERE id = ?", from, to)
	return err
}
