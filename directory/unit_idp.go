package directory

import (
	"time"

	"portcullis/audit"
	"portcullis/fault"
)

// attributeOf finds an attribute of a record: one of the resource itself, of
// the enterprise extension, or one that the connection declares.
func attributeOf(r Record, name string) any {
	for _, in := range []any{r.Attributes, r.Attributes[enterpriseURN], r.Attributes[PortalURN]} {
		if attributes, ok := in.(map[string]any); ok {
			if value, ok := attributes[name]; ok {
				return value
			}
		}
	}
	return nil
}

// settle gives the unit that an identity provider names, and makes it in the
// organization where it is not known: whoever is named to be apart is not to be
// taken for one of the whole. No name is the organization itself. A name that
// cannot be one leads to [Unplaced].
func (d *Directory) settle(tx Tx, by audit.Actor, conn Connection, value any, now time.Time) (string, error) {
	text, ok := value.(string)
	if list, several := value.([]any); several && len(list) == 1 {
		text, ok = list[0].(string)
	}
	switch {
	case value == nil, ok && text == "":
		return "", nil
	case !ok:
		return Unplaced, nil
	}
	name, err := unitName(text)
	if err != nil {
		return Unplaced, nil //nolint:nilerr // a name that is none is an answer here
	}
	u, err := tx.UnitNamed(conn.Organization, UnitKey(name))
	if !fault.Is(err, fault.NotFound) {
		return u.ID, err
	}
	units, err := tx.Units(conn.Organization)
	if err != nil {
		return "", err
	}
	if len(units) >= MaxUnits {
		return Unplaced, nil
	}
	u = Unit{ID: newID(), Organization: conn.Organization, Name: name, Created: now}
	fresh, err := tx.EnsureUnit(u)
	if err != nil {
		return "", err
	}
	if !fresh { // another push made it a moment ago
		u, err = tx.UnitNamed(conn.Organization, UnitKey(name))
		return u.ID, err
	}
	event := unitEvent(now, audit.UnitCreated, by, u, nil)
	event.Connection = conn.ID
	return u.ID, tx.Audit(event)
}

// settleRecord puts a pushed person where their record says, if the connection
// reads that.
func (d *Directory) settleRecord(tx Tx, by audit.Actor, conn Connection, p *Person, r Record, now time.Time) (err error) {
	if conn.Units.Attribute != "" {
		p.Unit, err = d.settle(tx, by, conn, attributeOf(r, conn.Units.Attribute), now)
	}
	return err
}

// settleClaim puts somebody who only signs in where the assertion says, if the
// connection reads that.
func (d *Directory) settleClaim(tx Tx, conn Connection, p *Person, a Assertion, now time.Time) (err error) {
	if conn.Units.Claim != "" {
		p.Unit, err = d.settle(tx, audit.Gate(), conn, a.Claims[conn.Units.Claim], now)
	}
	return err
}

// settleAll puts every pushed person of a connection where their record says.
func (d *Directory) settleAll(tx Tx, conn Connection, now time.Time) error {
	return eachPushed(tx, conn, func(p Person, r Record) error {
		next := p
		if err := d.settleRecord(tx, audit.Gate(), conn, &next, r, now); err != nil || next.Unit == p.Unit {
			return err
		}
		next.Version++
		next.Modified = now
		if err := tx.UpdatePerson(next, linkOf(conn, r)); err != nil {
			return err
		}
		if err := d.moved(tx, audit.Gate(), next, p.Unit, "the connection reads it from "+conn.Units.Attribute, 0, now); err != nil {
			return err
		}
		return tx.Change(Change{At: now, Person: p.ID})
	})
}

// resettle finds a place for somebody who is brought back: the one that they
// were in, or what is left above it.
func (u *undo) resettle(p *Person) error {
	conn := u.d.known()[p.Connection]
	if conn.Units.Attribute != "" {
		r, err := recordOf(*p)
		if err != nil {
			return err
		}
		return u.d.settleRecord(u.tx, u.by, conn, p, r, u.now)
	}
	if p.Unit == "" {
		return nil
	}
	unit, err := heir(u.tx, p.Organization, p.Unit)
	p.Unit = unit
	return err
}

// heir is where somebody belongs today who was in a unit of an organization: in
// it, or in the nearest one above it that is left. Where none is left, they are
// [Unplaced]: nobody is of the whole because their part of it is gone.
func heir(tx Tx, organization, unit string) (string, error) {
	for unit != "" && unit != Unplaced {
		u, err := tx.Unit(unit)
		switch {
		case err == nil && u.Organization != organization:
			return Unplaced, nil
		case err == nil:
			return unit, nil
		case !fault.Is(err, fault.NotFound):
			return "", err
		}
		// What it was a part of was there when it was removed: this comes to an end.
		if unit, err = tx.FormerUnit(unit); err != nil {
			return "", err
		}
	}
	return Unplaced, nil
}
