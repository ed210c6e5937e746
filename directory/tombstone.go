package directory

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"portcullis/audit"
	"portcullis/document"
)

// tombstones are the hashes under which a sign-in finds that somebody was
// deleted. They are hashes because a tombstone outlives the person's data.
func tombstones(connection, issuer, subject, link string) []string {
	var hashes []string
	if subject != "" {
		hashes = append(hashes, tombstone(connection, "subject", issuer, subject))
	}
	if link != "" {
		hashes = append(hashes, tombstone(connection, "link", link))
	}
	return hashes
}

// burial are the hashes of a deleted person beside those of their identities.
// The userName refuses nobody at sign-in, for it may be given to somebody
// else.
func burial(connection, link, userName string) []string {
	userName = strings.ToLower(userName)
	hashes := append(tombstones(connection, "", "", link), tombstone(connection, "userName", userName))
	if link == "" {
		hashes = append(hashes, tombstone(connection, "userName alone", userName))
	}
	return hashes
}

// revivals are the hashes under which a new push finds the burials that it
// undoes: those of the same link value, and where it or the burial has none,
// of the same userName. Another link value under the same userName is
// somebody else with a name that was used before.
func revivals(connection, link, userName string) []string {
	userName = strings.ToLower(userName)
	if link == "" {
		return []string{tombstone(connection, "userName", userName)}
	}
	return append(tombstones(connection, "", "", link), tombstone(connection, "userName alone", userName))
}

// tombstone hashes the JSON list of some texts, which keeps them apart.
func tombstone(parts ...string) string {
	var room [256]byte
	list := append(room[:0], '[')
	for i, part := range parts {
		if i > 0 {
			list = append(list, ',')
		}
		list = document.AppendText(list, part)
	}
	sum := sha256.Sum256(append(list, ']'))
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}

// graves are the hashes that the deletion of a pushed person leaves behind:
// those of the record and those of the sign-ins that it met.
func graves(tx Tx, p Person, link string) ([]string, error) {
	hashes := burial(p.Connection, link, p.UserName)
	identities, err := tx.Identities(p.ID)
	for _, i := range identities {
		hashes = append(hashes, tombstones(p.Connection, i.Issuer, i.Subject, i.Link)...)
	}
	return hashes, err
}

// barred are the hashes under which a bar of the gate outlives the person.
// They lie apart from the graves: a push that undoes a deletion undoes no
// decision of the gate.
func barred(connection string, bar State, graves []string) []string {
	return apart(connection, string(bar), graves)
}

// placed are the hashes under which it is remembered where somebody was.
func placed(connection string, graves []string) []string {
	return apart(connection, "sub-organization", graves)
}

func apart(connection, what string, graves []string) []string {
	hashes := make([]string, len(graves))
	for i, g := range graves {
		hashes[i] = tombstone(connection, what, g)
	}
	return hashes
}

// graveyard are all hashes under which something may be remembered about
// somebody who comes back: the graves, and the bars and the place apart from
// them.
func graveyard(connection string, graves []string) []string {
	return slices.Concat(graves, barred(connection, Locked, graves), barred(connection, Deactivated, graves), placed(connection, graves))
}

// remember keeps the bars of somebody who is deleted, and the sub-organization
// that they are in: nobody is of the whole for having been deleted.
func remember(tx Tx, p Person, graves []string, now time.Time) error {
	if p.Unit != "" {
		if err := tx.BuryUnit(p.Connection, placed(p.Connection, graves), p.Unit, now); err != nil {
			return err
		}
	}
	for bar, set := range map[State]*Bar{Locked: p.Locked, Deactivated: p.Deactivated} {
		if set == nil {
			continue
		}
		if _, err := tx.Bury(p.Connection, barred(p.Connection, bar, graves), now); err != nil {
			return err
		}
	}
	return nil
}

// recall puts the bars that are remembered under some graves on the person who
// comes in their place, and the person where the one who was deleted was. It
// stores the person if that changes them.
func (d *Directory) recall(tx Tx, p *Person, link string, graves []string, now time.Time) error {
	next := *p
	for bar, into := range map[State]**Bar{Locked: &next.Locked, Deactivated: &next.Deactivated} {
		if *into != nil {
			continue
		}
		found, err := tx.Buried(p.Connection, barred(p.Connection, bar, graves))
		if err != nil {
			return err
		}
		if found {
			*into = &Bar{At: now, By: "portcullis", Reason: "decided about the account that was deleted"}
		}
	}
	if err := d.recallUnit(tx, &next, graves); err != nil {
		return err
	}
	if next.Locked == p.Locked && next.Deactivated == p.Deactivated && next.Unit == p.Unit {
		return nil
	}
	old := p.Unit
	*p = next
	if err := tx.UpdatePerson(next, link); err != nil || next.Unit == old {
		return err
	}
	if err := d.moved(tx, audit.Gate(), next, old, "where the account was that was deleted", 0, now); err != nil {
		return err
	}
	return tx.Change(Change{At: now, Person: p.ID})
}

// recallUnit puts somebody who is of the whole organization where the one was
// who was deleted, or into what is left above that; unless it is the identity
// provider that says where they are. What was remembered is forgotten.
func (d *Directory) recallUnit(tx Tx, p *Person, graves []string) error {
	hashes := placed(p.Connection, graves)
	unit, err := tx.BuriedUnit(p.Connection, hashes)
	if err != nil || unit == "" {
		return err
	}
	if p.Unit == "" && d.Placeable(*p) == nil {
		if p.Unit, err = heir(tx, p.Organization, unit); err != nil {
			return err
		}
	}
	return tx.Unbury(p.Connection, hashes)
}

// returns are the hashes under which somebody comes back by signing in, or by
// a push that their sign-in would meet: an administrator deleted them, which
// holds against no record of that name.
func returns(tx Tx, p Person) (hashes []string, err error) {
	identities, err := tx.Identities(p.ID)
	for _, i := range identities {
		hashes = append(hashes, tombstones(p.Connection, i.Issuer, i.Subject, i.Link)...)
	}
	return hashes, err
}

// forgetBar forgets a bar that an administrator takes back.
func forgetBar(tx Tx, p Person, bar State, link string) error {
	hashes, err := returns(tx, p)
	if p.Provisioned && err == nil {
		hashes, err = graves(tx, p, link)
	}
	if err != nil {
		return err
	}
	return tx.Unbury(p.Connection, barred(p.Connection, bar, hashes))
}
