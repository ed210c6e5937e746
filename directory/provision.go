package directory

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"portcullis/audit"
	"portcullis/document"
	"portcullis/fault"
)

// Record is what an identity provider pushes of a person.
type Record struct {
	UserName   string
	ExternalID string
	Name       string // for display
	Email      string
	Active     bool
	Insists    bool           // the identity provider says so now: Active is not what it was before for want of a word
	Attributes map[string]any // the whole SCIM resource without id, meta, groups, active and password
}

// PortalURN is the SCIM extension that carries the attributes which a
// connection declares.
const PortalURN = "urn:ietf:params:scim:schemas:extension:portal:2.0:User"

// enterpriseURN is the extension of RFC 7643, section 4.3.
const enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// portalAttributes picks the declared attributes out of a stored resource.
func portalAttributes(resource []byte) map[string]any {
	if len(resource) == 0 || !bytes.Contains(resource, []byte(PortalURN)) {
		return nil
	}
	var doc map[string]any
	if json.Unmarshal(resource, &doc) != nil {
		return nil
	}
	attributes, _ := doc[PortalURN].(map[string]any)
	return attributes
}

// newID gives a random identifier in the form of a UUID, version 4, which is
// what SCIM clients expect to store.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// Provision stores a person whom an identity provider pushes, and clears the
// tombstone of an earlier deletion, but for what the gate had decided about
// them: who was locked comes back locked, and who was placed in a
// sub-organization by hand comes back there. Somebody who had signed in before and
// whose link value is the same is the same person: their identity and
// sessions move over. It fails with fault.Conflict if the userName is taken in
// this connection. The link value need not be unique, as RFC 7643, section 3.1
// leaves it to the client; one that several people have meets nobody.
func (d *Directory) Provision(ctx context.Context, by audit.Actor, connection string, r Record) (Person, error) {
	conn, ok := d.known()[connection]
	if !ok {
		return Person{}, fault.New(fault.NotFound, "no connection %q", connection)
	}
	now := d.now()
	pushed := Person{
		ID: newID(), Connection: conn.ID, Organization: conn.Organization, Provisioned: true,
		Version: 1, Created: now, Modified: now,
	}
	if err := d.apply(&pushed, r); err != nil {
		return Person{}, err
	}
	link := linkOf(conn, r)
	p := pushed
	err := d.store.UpdateOne(ctx, func(tx Tx) error {
		p = pushed
		if err := d.settleRecord(tx, by, conn, &p, r, now); err != nil {
			return err
		}
		revived := revivals(conn.ID, link, p.UserName)
		event := personEvent(now, audit.PersonCreated, by, p)
		welcome, err := tx.Welcome(Arrival{Person: p, Link: link, Event: event, Graves: graveyard(conn.ID, revived), Names: namesOf(p)})
		if err != nil || welcome { // nearly everybody is new
			return err
		}
		if err := tx.InsertPerson(p, link); err != nil {
			return err
		}
		if err := tx.Audit(event); err != nil {
			return err
		}
		if err := d.recall(tx, &p, link, revived, now); err != nil {
			return err
		}
		if err := tx.Unbury(conn.ID, revived); err != nil {
			return err
		}
		if err := d.absorb(tx, by, &p, link, now); err != nil {
			return err
		}
		return d.attachParked(tx, p, now)
	})
	if err != nil {
		return Person{}, err
	}
	return p, nil
}

// apply takes a record over into p.
func (d *Directory) apply(p *Person, r Record) error {
	if strings.TrimSpace(r.UserName) == "" {
		return fault.New(fault.Invalid, "userName is required")
	}
	doc, err := document.Append(make([]byte, 0, 512), r.Attributes)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the resource cannot be stored")
	}
	p.UserName, p.ExternalID, p.Name, p.Email = r.UserName, r.ExternalID, r.Name, r.Email
	p.IDPActive, p.Attributes, p.Provisioned = r.Active, doc, true
	p.EmailVerified = d.ownDomain(d.known()[p.Connection], r.Email)
	return nil
}

// linkOf is the value on which the record meets a sign-in.
func linkOf(conn Connection, r Record) string {
	switch conn.Link {
	case LinkExternalID:
		return r.ExternalID
	case LinkUserName:
		return strings.ToLower(r.UserName)
	default:
		value, _ := attributeOf(r, conn.Link).(string)
		return value
	}
}

// absorb lets the pushed person p take over the identity and the sessions
// that carry p's link value in the same connection. Of several the oldest is
// theirs; the others' sessions end, and their next sign-in is refused.
func (d *Directory) absorb(tx Tx, by audit.Actor, p *Person, link string, now time.Time) error {
	if link == "" {
		return nil
	}
	identities, err := tx.IdentitiesByLink(p.Connection, link)
	if err != nil || len(identities) == 0 {
		return err
	}
	if err := d.merge(tx, by, identities[0].Person, p, link, now); err != nil {
		return err
	}
	for _, i := range identities[1:] {
		ended, err := tx.EndSessions(i.Person, "your account is linked to another sign-in", now)
		if err != nil {
			return err
		}
		err = tx.Audit(audit.Event{
			At: now, Action: audit.SessionEnded, Actor: by, Person: i.Person, Subject: p.UserName, Connection: p.Connection,
			Reason: "the pushed record was linked to another sign-in", Detail: EndedDetail(ended),
		})
		if err != nil {
			return err
		}
		if err := tx.Change(Change{At: now, Person: i.Person, Loss: true}); err != nil {
			return err
		}
	}
	return nil
}

// merge moves the identity and the sessions of somebody who only signed in to
// the pushed person p, who is the same.
func (d *Directory) merge(tx Tx, by audit.Actor, from string, p *Person, link string, now time.Time) error {
	if err := d.carryBars(tx, from, p, link, now); err != nil {
		return err
	}
	if err := tx.MovePerson(from, p.ID, now); err != nil {
		return err
	}
	if err := tx.DeletePerson(from); err != nil {
		return err
	}
	ended := 0
	if p.State() != Active || d.Foreign(p) {
		var err error
		if ended, err = tx.EndSessions(p.ID, string(p.State()), now); err != nil {
			return err
		}
	}
	event := personEvent(now, audit.PersonLinked, by, *p)
	event.Reason = "the pushed record met an earlier sign-in"
	event.Detail = EndedDetail(ended)
	if err := tx.Audit(event); err != nil {
		return err
	}
	for _, id := range []string{from, p.ID} {
		if err := tx.Change(Change{At: now, Person: id, Loss: true}); err != nil {
			return err
		}
	}
	return nil
}

// carryBars keeps what an administrator decided about the person that is
// absorbed, and about the one that absorbs: meeting does not unlock anybody,
// nor does it take them out of their sub-organization.
func (d *Directory) carryBars(tx Tx, from string, to *Person, link string, now time.Time) error {
	old, err := tx.Person(from)
	if err != nil {
		return err
	}
	next := *to
	if next.Locked == nil {
		next.Locked = old.Locked
	}
	if next.Deactivated == nil {
		next.Deactivated = old.Deactivated
	}
	if next.Unit == "" && d.Placeable(next) == nil {
		next.Unit = old.Unit // nobody is of the whole for having been pushed
	}
	if next.Locked == to.Locked && next.Deactivated == to.Deactivated && next.Unit == to.Unit {
		return nil
	}
	next.Version++
	next.Modified = now
	*to = next
	return tx.UpdatePerson(next, link)
}

// namesOf are the values by which a group may wait for a person.
func namesOf(p Person) []string {
	names := []string{p.ID, p.UserName}
	if p.ExternalID != "" {
		names = append(names, p.ExternalID)
	}
	return names
}

// attachParked puts a person who has just arrived into the groups that were
// waiting for them.
func (d *Directory) attachParked(tx Tx, p Person, now time.Time) error {
	groups, err := tx.ClaimParked(p.Connection, namesOf(p))
	if err != nil {
		return err
	}
	for _, g := range groups {
		if _, err := tx.AddMembers(g, []string{p.ID}, now); err != nil {
			return err
		}
	}
	if len(groups) == 0 {
		return nil
	}
	return tx.Change(Change{At: now, Person: p.ID})
}

// Delete erases a pushed person and leaves a tombstone: nobody finds them any
// more, the audit trail stays, the userName is free again, sign-in does not
// bring them back. Every session ends at once. The ledger keeps their data for
// an hour, and those of a mass loss for [UndoLife]. It fails with
// fault.NotFound.
func (d *Directory) Delete(ctx context.Context, by audit.Actor, connection, id string) error {
	return d.DeleteIf(ctx, by, connection, id, func(Person) error { return nil })
}

// DeleteIf is Delete, unless check refuses the person as they are.
func (d *Directory) DeleteIf(ctx context.Context, by audit.Actor, connection, id string, check func(Person) error) error {
	conn, ok := d.known()[connection]
	if !ok {
		return fault.New(fault.NotFound, "no connection %q", connection)
	}
	now := d.now()
	return d.store.UpdateOne(ctx, func(tx Tx) error {
		p, err := pushedPerson(tx, connection, id)
		if err != nil {
			return err
		}
		if err := check(p); err != nil {
			return err
		}
		r, err := recordOf(p)
		if err != nil {
			return err
		}
		hashes, err := graves(tx, p, linkOf(conn, r))
		if err != nil {
			return err
		}
		burial, err := tx.Bury(connection, hashes, now)
		if err != nil {
			return err
		}
		if err := tx.InsertDeletion(id, burial, now); err != nil {
			return err
		}
		if err := remember(tx, p, hashes, now); err != nil {
			return err
		}
		return d.erase(tx, by, p, "", now)
	})
}

func (d *Directory) erase(tx Tx, by audit.Actor, p Person, reason string, now time.Time) error {
	event := personEvent(now, audit.PersonDeleted, by, p)
	event.Reason = reason
	if err := tx.AuditEnding(event, "deleted"); err != nil {
		return err
	}
	if err := tx.DeletePerson(p.ID); err != nil {
		return err
	}
	return tx.Change(Change{At: now, Person: p.ID, Loss: true})
}
