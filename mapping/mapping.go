// Package mapping is the language that turns what an identity provider says
// of a person into what that person may do and which data they may see.
//
// It is pure: no clock, no network, no database. [Load] reads and checks a
// file and gives a [Policy]; [Policy.Evaluate] computes access from [Facts]
// and a time. The same two serve sign-in, SCIM pushes, the command line and
// every preview, so that what is shown is what happens.
//
// Invariants:
//   - Rules are a set: their order never matters.
//   - Deny beats restrict, restrict beats grant, and nothing is granted that no rule grants.
//   - Permission groups are ORs of ANDs and are never merged attribute by
//     attribute.
//   - Nobody's access exceeds the ceiling of their connection.
//   - An exception for one person adds roles to a sign-in that a rule allows,
//     under all that holds for rules, and never allows one.
//   - A fragment, the file of one connection, reaches nobody else, whether it
//     is right or broken.
//   - A Policy is immutable and safe for concurrent use.
package mapping

import "time"

// Facts is what is known of a person when their access is computed. Groups
// that a token asserted and groups that SCIM pushed are separate facts:
// selectors by id and by name see the first, scim sees the second.
type Facts struct {
	Connection       string   // id of the connection that they came through
	Subject          string   // who they are at that identity provider
	UserName         string   // userName over SCIM, or preferred_username
	Email            string   // data, never identity
	EmailVerified    bool     // whether the identity provider vouches for Email
	Name             string   // for display
	Groups           []string // asserted at sign-in: ids or names, as they came
	GroupsIncomplete bool     // the identity provider left groups out
	LastKnownGroups  []string // of the last complete assertion; used only where the file says last-known
	Pushed           []Group  // pushed over SCIM
	AppRoles         []string // application roles asserted at sign-in
	UserType         string   // "Member" or "Guest" at Entra ID
	Claims           map[string]any
	Unread           Unread         // holds the claims where Claims is nil; nil: there are none
	Attributes       map[string]any // SCIM attributes that the connection declares
	Exceptions       []Exception    // granted to them at the gate
	Received         time.Time      // when the identity provider asserted this; zero if unknown. It decides nothing
}

// Unread are claims as they are stored. Who holds many people in memory leaves
// them so, for few rules ask for claims. They may be read by several at once.
type Unread interface {
	// Claims reads them, each time anew.
	Claims() map[string]any
}

// AllClaims are the claims, which are read now if nobody has read them yet.
func (f *Facts) AllClaims() map[string]any {
	if f.Claims == nil && f.Unread != nil {
		return f.Unread.Claims()
	}
	return f.Claims
}

// Group is a group that an identity provider pushed over SCIM.
type Group struct {
	ExternalID string
	Name       string // displayName
}

// Access is what a person may do and see. All lists are sorted and free of
// duplicates.
type Access struct {
	Login            bool        // whether they may be inside at all
	Reason           string      // why not, in words for the person; empty when Login
	Roles            []string    // granted, with what they inherit, less what is denied or above the ceiling
	Tasks            []string    // the tasks of Roles
	PermissionGroups []string    // granted by name
	Permissions      Permissions // what those groups mean: which rows are visible
	Rules            []string    // ids of the rules that matched
	Violations       []string    // ids of the constraints that are violated
	// Until is the next moment at which a rule that concerns them, or an
	// exception for them, begins or ends to be valid; zero if there is none. Whoever keeps an Access
	// evaluates again then.
	Until time.Time
}

// Permissions says which rows of data are visible:
//
//	visible(row) = (Unrestricted OR AnyOf[0](row) OR AnyOf[1](row) …) AND AllOf[0](row) AND …
//
// The zero value shows no row at all.
type Permissions struct {
	Unrestricted bool
	AnyOf        []Where
	AllOf        []Where
}

// Where holds one constraint for each attribute; all of them must hold. In
// AnyOf an attribute that is not mentioned is free; one that the catalogue
// marks "onMissing: none" is always mentioned, as a constraint that nothing
// meets when the group does not grant it.
type Where map[string]Constraint

// Constraint limits one attribute. Exactly one of its forms is in use; the
// zero value is an empty "one of", which nothing meets.
type Constraint struct {
	Any    bool     // "*": any value
	In     []string // one of these
	Prefix string   // begins with this
	Not    []string // none of these
}
