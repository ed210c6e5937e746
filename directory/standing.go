package directory

import (
	"time"

	"portcullis/fault"
	"portcullis/mapping"
)

// Standing is all that is known of a person at one moment: enough to decide
// whether they may be inside and what they may do.
type Standing struct {
	Person       Person
	Organization Organization
	Assertion    Assertion  // of the sign-in that the session began with
	LastComplete *Assertion // the newest one that held all groups; nil if none
	Pushed       []Group
	Exceptions   []mapping.Exception // that nobody has taken back
	Unit         string              // the sub-organization that they are in today, of whatever time the rest is
	PartFrozen   bool                // the sub-organization that they are in, or one above it, is frozen
	Foreign      bool                // their address is another organization's, today; the store does not know, see [Directory.Foreign]
}

// Facts are what the mapping sees of the standing.
func (s *Standing) Facts() mapping.Facts {
	a := &s.Assertion
	f := mapping.Facts{
		Connection: s.Person.Connection,
		Subject:    a.Subject,
		UserName:   s.Person.UserName,
		Email:      s.Person.Address(),
		// What SCIM pushed is the word of the same identity provider.
		EmailVerified:    s.Person.EmailVerified,
		Name:             s.Person.Name,
		Groups:           a.Groups,
		GroupsIncomplete: a.GroupsIncomplete,
		AppRoles:         a.AppRoles,
		UserType:         a.UserType,
		Claims:           a.Claims,
		Received:         a.Received,
		Attributes:       portalAttributes(s.Person.Attributes),
		Exceptions:       s.Exceptions,
	}
	f.EmailVerified = f.EmailVerified && f.Email != ""
	if a.GroupsIncomplete && s.LastComplete != nil {
		f.LastKnownGroups = s.LastComplete.Groups
	}
	f.Pushed = pushed(s.Pushed)
	return f
}

// pushed are groups as the mapping sees them.
func pushed(groups []Group) []mapping.Group {
	if len(groups) == 0 {
		return nil
	}
	out := make([]mapping.Group, len(groups))
	for i, g := range groups {
		out[i] = mapping.Group{ExternalID: g.ExternalID, Name: g.Name}
	}
	return out
}

// Bar says why the person may not be inside whatever the mapping grants, or
// nil. The fault is Forbidden, in words for the person ([fault.Message]) and for
// others ([fault.ToOthers]).
func (s *Standing) Bar() error {
	switch {
	case s.Organization.Disabled:
		return fault.New(fault.Forbidden, "access for %s is frozen", s.Organization.Name)
	case s.PartFrozen:
		return errPartFrozen(s.Organization.Name)
	case s.Person.Deactivated != nil || !s.Person.IDPActive:
		return fault.Personal(fault.Forbidden, "your account is deactivated", "this account is deactivated")
	case s.Person.Unconfirmed:
		return fault.Personal(fault.Forbidden, "%s has not confirmed your account yet since this gate was restored",
			"%s has not confirmed this account yet since this gate was restored", s.Organization.Name)
	case s.Person.Locked != nil:
		return fault.Personal(fault.Forbidden, "your account is locked", "this account is locked")
	case s.Foreign:
		return errForeign
	default:
		return nil
	}
}

// errPartFrozen is what somebody is told whose part of an organization is
// frozen.
func errPartFrozen(organization string) error {
	return fault.Personal(fault.Forbidden, "access for your part of %s is frozen", "access for their part of %s is frozen", organization)
}

// Admit decides: the access that policy grants at now, or a Forbidden fault
// in words for the person. It is the one decision behind sign-in and every
// request after it. A nil policy admits nobody.
func (s *Standing) Admit(policy *mapping.Policy, now time.Time) (mapping.Access, error) {
	if err := s.Bar(); err != nil {
		return mapping.Access{}, err
	}
	if policy == nil {
		return mapping.Access{}, fault.New(fault.Unavailable, "sign-in is closed: no mapping is in force")
	}
	facts := s.Facts()
	access := policy.Evaluate(&facts, now)
	if !access.Login {
		reason := access.Reason
		if reason == "" {
			reason = "you have no access here"
		}
		return access, fault.Personal(fault.Forbidden, "%s", "the mapping gives them no access; they are told “%s”", reason)
	}
	return access, nil
}
