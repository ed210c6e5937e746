package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"portcullis/directory"
	"portcullis/fault"
)

// What a deletion erases is gathered by the database itself into one JSON
// text, in one statement. The keys are the columns without underscores, which
// encoding/json matches with the fields of the row structs.

// flags are the columns that hold booleans, which SQLite has none of.
func isFlag(column string) bool {
	return slices.Contains([]string{"email_verified", "provisioned", "idp_active", "complete", "more_emails"}, column)
}

// object is the SQL for one row of a table as a JSON object.
func (t tx) object(columns ...string) string {
	parts := make([]string, len(columns))
	for i, column := range columns {
		value := column
		if t.dialect == "sqlite" && isFlag(column) {
			value = "json(CASE WHEN " + column + " THEN 'true' ELSE 'false' END)"
		}
		parts[i] = fmt.Sprintf("'%s', %s", strings.ReplaceAll(column, "_", ""), value)
	}
	if t.dialect == "postgres" {
		return "jsonb_build_object(" + strings.Join(parts, ", ") + ")"
	}
	return "json_object(" + strings.Join(parts, ", ") + ")"
}

// objects is the SQL for the rows of a table as a JSON list of objects, or of
// texts if it is one column.
func (t tx) objects(from, order string, columns ...string) string {
	one := t.object(columns...)
	if len(columns) == 1 {
		one = columns[0]
	}
	if t.dialect == "postgres" {
		return "(SELECT coalesce(jsonb_agg(" + one + " ORDER BY " + order + "), '[]') FROM " + from + ")"
	}
	return "json((SELECT json_group_array(" + one + ") FROM (SELECT * FROM " + from + " ORDER BY " + order + ")))"
}

// document is the SQL for a JSON object of such parts, as text.
func (t tx) document(parts ...string) string {
	if t.dialect == "postgres" {
		return "jsonb_build_object(" + strings.Join(parts, ", ") + ")::text"
	}
	return "json_object(" + strings.Join(parts, ", ") + ")"
}

// keptAssertion is a sign-in of somebody who is deleted.
type keptAssertion struct {
	ID       string
	Received int64
	Complete bool
	Facts    string
}

// keptMembership is a group that they are in, or were.
type keptMembership struct {
	GroupID string
	Since   int64
	Until   int64 `json:",omitempty"`
}

// keptPerson is all that is known of somebody who is deleted.
type keptPerson struct {
	Person      person
	Identities  []identity
	Assertions  []keptAssertion
	Memberships []keptMembership
	Past        []pastPerson
	Members     []keptMembership // of which they were a member before
}

// pastPerson is a row of people_history.
type pastPerson struct {
	person

	Until int64
}

func historyColumns() []string {
	columns := strings.Split(keptColumns, ",")
	for i, c := range columns {
		columns[i] = strings.TrimSpace(c)
	}
	return columns
}

func (t tx) InsertDeletion(personID, burial string, at time.Time) error {
	columns := append(historyColumns(), "id", "last_active", "since", "link")
	_, err := t.exec(`INSERT INTO losses (at, connection, group_id, kind, member, subject, burial, snapshot)
		SELECT CAST(? AS BIGINT), connection, '', 'deleted', id, user_name, CAST(? AS TEXT), `+t.document(
		"'person', "+t.object(columns...),
		"'identities', "+t.objects("identities WHERE person_id = people.id", "created", "connection", "issuer", "subject", "link", "created"),
		"'assertions', "+t.objects("assertions WHERE person_id = people.id", "seq", "id", "received", "complete", "facts"),
		"'memberships', "+t.objects("memberships WHERE person_id = people.id", "seq", "group_id", "since"),
		"'past', "+t.objects("people_history WHERE person_id = people.id", "until", append(historyColumns(), "since", "until")...),
		"'members', "+t.objects("memberships_history WHERE person_id = people.id", "until", "group_id", "since", "until"),
	)+" FROM people WHERE id = ?", micros(at), burial, personID)
	return err
}

// kept reads what a loss holds into out.
func (t tx) kept(seq int64, out any) (at int64, err error) {
	var row struct {
		At       int64  `gorm:"column:at"`
		Snapshot string `gorm:"column:snapshot"`
	}
	if err := t.row(&row, "loss", "SELECT at, snapshot FROM losses WHERE seq = ?", seq); err != nil {
		return 0, err
	}
	if row.Snapshot == "" {
		return 0, errNothingKept()
	}
	if err := json.Unmarshal([]byte(row.Snapshot), out); err != nil {
		return 0, fault.Wrap(fault.Internal, err, "what loss %d holds", seq)
	}
	return row.At, nil
}

func (t tx) KeptPerson(seq int64) (directory.KeptPerson, error) {
	var k keptPerson
	if _, err := t.kept(seq, &k); err != nil {
		return directory.KeptPerson{}, err
	}
	out := directory.KeptPerson{Person: k.Person.domain(), Link: k.Person.Link}
	for _, i := range k.Identities {
		i.PersonID = k.Person.ID
		out.Identities = append(out.Identities, i.domain())
	}
	for _, m := range k.Memberships {
		out.Groups = append(out.Groups, m.GroupID)
	}
	return out, nil
}

// ReviveHistory puts back the sign-ins and the past of somebody whose row is
// there again since at. What they were when they were deleted is past, too.
func (t tx) ReviveHistory(seq int64, at time.Time) error {
	var k keptPerson
	deleted, err := t.kept(seq, &k)
	if err != nil {
		return err
	}
	id := k.Person.ID
	for _, a := range k.Assertions {
		_, err := t.exec("INSERT INTO assertions (id, person_id, received, complete, facts) VALUES (?, ?, ?, ?, ?)", a.ID, id, a.Received, a.Complete, a.Facts)
		if err != nil {
			return err
		}
	}
	if k.Person.Since < deleted {
		k.Past = append(k.Past, pastPerson{k.Person, deleted})
	}
	columns := append(historyColumns(), "since", "until", "person_id")
	insert := "INSERT INTO people_history (" + strings.Join(columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(columns)-1) + ")"
	for _, p := range k.Past {
		_, err := t.exec(insert, p.Connection, p.Organization, p.UserName, p.ExternalID, p.Name, p.Email, p.EmailVerified, p.Provisioned, p.IDPActive,
			p.DeactivatedAt, p.DeactivatedBy, p.DeactivatedReason, p.LockedAt, p.LockedBy, p.LockedReason, p.Attributes, p.Version, p.Created, p.Modified,
			p.Since, p.Until, id)
		if err != nil {
			return err
		}
	}
	for _, m := range k.Memberships {
		if m.Until = deleted; m.Since < deleted {
			k.Members = append(k.Members, m)
		}
	}
	for _, m := range k.Members {
		_, err := t.exec("INSERT INTO memberships_history (group_id, person_id, since, until) VALUES (?, ?, ?, ?)", m.GroupID, id, m.Since, m.Until)
		if err != nil {
			return err
		}
	}
	return nil
}

func (t tx) KeepMembership(member, group string) (bool, error) {
	var rows []loss
	err := t.rows(&rows, "SELECT "+lossColumns+" FROM losses WHERE member = ? AND NOT pending AND kind IN ('deleted', 'group deleted') AND mass <> 0 AND snapshot <> ''", member)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	var kept any
	if r := rows[0]; r.Kind == string(directory.Deletion) {
		var k keptPerson
		// Since they were deleted, that is for no time at all: history has its own row of it.
		_, err = t.kept(r.Seq, &k)
		k.Memberships = append(k.Memberships, keptMembership{GroupID: group, Since: r.At})
		kept = k
	} else {
		var k keptGroup
		_, err = t.kept(r.Seq, &k)
		k.Within = append(k.Within, group)
		kept = k
	}
	if err != nil {
		return false, err
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return false, err
	}
	_, err = t.exec("UPDATE losses SET snapshot = ? WHERE seq = ?", string(text), rows[0].Seq)
	return err == nil, err
}

func (t tx) Taken(k directory.KeptPerson) (bool, error) {
	row := personRow(k.Person, k.Link)
	var taken bool
	err := t.rows(&taken, `SELECT EXISTS (SELECT 1 FROM people WHERE connection = ? AND provisioned AND user_name_key = ?)
		OR ? <> '' AND EXISTS (SELECT 1 FROM people WHERE `+linked+`)`, row.Connection, row.UserNameKey,
		row.Link, row.Connection, row.Link, row.Connection, row.Link, row.Link)
	if err != nil || taken {
		return taken, err
	}
	for _, i := range k.Identities {
		err := t.rows(&taken, "SELECT EXISTS (SELECT 1 FROM identities WHERE connection = ? AND issuer = ? AND subject = ?)", i.Connection, i.Issuer, i.Subject)
		if err != nil || taken {
			return taken, err
		}
	}
	return false, nil
}

// keptGroup is what is known of a group that is deleted.
type keptGroup struct {
	Group  group
	Within []string
	Parked []string
}

func (t tx) InsertGroupDeletion(groupID string, people int, at time.Time) error {
	_, err := t.exec(`INSERT INTO losses (at, connection, group_id, kind, member, subject)
		SELECT CAST(? AS BIGINT), p.connection, m.group_id, 'removed', p.id, p.user_name FROM memberships m JOIN people p ON p.id = m.person_id WHERE m.group_id = ?`,
		micros(at), groupID)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO losses (at, connection, group_id, kind, member, subject)
		SELECT CAST(? AS BIGINT), g.connection, n.group_id, 'removed', g.id, g.name FROM nested_groups n JOIN pushed_groups g ON g.id = n.member_id WHERE n.group_id = ?`,
		micros(at), groupID)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO losses (at, connection, group_id, kind, member, subject, weight, snapshot)
		SELECT CAST(? AS BIGINT), connection, id, 'group deleted', id, name, CAST(? AS BIGINT), `+t.document(
		"'group', "+t.object("id", "connection", "name", "external_id", "version", "created", "modified"),
		"'within', "+t.objects("nested_groups WHERE member_id = pushed_groups.id", "seq", "group_id"),
		"'parked', "+t.objects("parked_members WHERE group_id = pushed_groups.id", "value", "value"),
	)+" FROM pushed_groups WHERE id = ?", micros(at), people, groupID)
	return err
}

func (t tx) KeptGroup(seq int64) (directory.KeptGroup, error) {
	var k keptGroup
	_, err := t.kept(seq, &k)
	return directory.KeptGroup{Group: k.Group.domain(), Within: k.Within, Parked: k.Parked}, err
}

func (t tx) KeepRemoval(groupID, member string) (bool, error) {
	n, err := t.exec(`INSERT INTO losses (at, connection, group_id, kind, member, pending, mass)
		SELECT at, connection, group_id, 'removed', CAST(? AS TEXT), FALSE, mass FROM losses
		WHERE member = ? AND NOT pending AND kind = 'group deleted' AND mass <> 0 AND snapshot <> ''`, member, groupID)
	return n > 0, err
}
