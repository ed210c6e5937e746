// Package audit says what an audit event is and how events are chained, so
// that a removed or altered one is noticed.
//
// Events are inserted in the transaction of what they record: an event that
// is missing did not happen, and what happened has its event. One sealer
// chains them within a second ([Sealer]), so that the chain does not serialize
// every write. The trail is for auditors; the log is for operators.
//
// The package does not decide who may read the trail.
package audit

import "time"

// Action names what happened, as subject.verb.
type Action string

// The actions that are recorded.
const (
	SignIn            Action = "sign-in"
	SignInRefused     Action = "sign-in.refused"
	SignInTested      Action = "sign-in.tested"
	SignOut           Action = "sign-out"
	SessionEnded      Action = "session.ended"
	PersonCreated     Action = "person.created"
	PersonUpdated     Action = "person.updated"
	PersonLinked      Action = "person.linked"
	PersonDeactivated Action = "person.deactivated"
	PersonReactivated Action = "person.reactivated"
	PersonLocked      Action = "person.locked"
	PersonUnlocked    Action = "person.unlocked"
	PersonDeleted     Action = "person.deleted"
	PersonMoved       Action = "person.moved" // to another sub-organization
	UnitCreated       Action = "unit.created"
	UnitRenamed       Action = "unit.renamed"
	UnitMoved         Action = "unit.moved"
	UnitRemoved       Action = "unit.removed"
	UnitFrozen        Action = "unit.frozen"
	UnitUnfrozen      Action = "unit.unfrozen"
	GroupCreated      Action = "group.created"
	GroupUpdated      Action = "group.updated"
	GroupDeleted      Action = "group.deleted"
	TokenCreated      Action = "token.created"
	TokenRevoked      Action = "token.revoked"
	MappingApplied    Action = "mapping.applied"
	MappingRefused    Action = "mapping.refused"
	MappingProposed   Action = "mapping.proposed"
	MappingApproved   Action = "mapping.approved"
	MappingDeclined   Action = "mapping.declined"
	MappingRolledBack Action = "mapping.rolled-back"
	KeyCreated        Action = "key.created"
	KeyWithdrawn      Action = "key.withdrawn"
	KeysRewrapped     Action = "keys.rewrapped"
	Restored          Action = "database.restored"
	PeopleConfirmed   Action = "connection.confirmed"
	ClientFrozen      Action = "organization.frozen"
	ClientUnfrozen    Action = "organization.unfrozen"
	MassLossFound     Action = "mass-loss.found"
	MassLossUndone    Action = "mass-loss.undone"
	PersonRestored    Action = "person.restored"
	GroupRestored     Action = "group.restored"
	ConsoleLink       Action = "console.link"   // a link that opens the console with every right was made
	ConsoleOpened     Action = "console.opened" // by such a link
	ConsoleClosed     Action = "console.closed"
	ExceptionGranted  Action = "exception.granted" // a role, to one person for a time
	ExceptionRevoked  Action = "exception.revoked"
	MetadataAccepted  Action = "metadata.accepted"
	MetadataHeld      Action = "metadata.held"
	MetadataApproved  Action = "metadata.approved"
	ConnectionCreated Action = "connection.created" // in the console
	ConnectionUpdated Action = "connection.updated"
	ConnectionRemoved Action = "connection.removed"
	SetupLink         Action = "connection.setup-link" // a link that opens one connection, to set it up, was made
	SetupOpened       Action = "connection.setup-opened"
	SetupClosed       Action = "connection.setup-closed"
	SettingsChanged   Action = "settings.changed"
)

// Actions lists every action, for whoever chooses one.
func Actions() []Action {
	return []Action{
		SignIn, SignInRefused, SignInTested, SignOut, SessionEnded, PersonCreated, PersonUpdated, PersonLinked, PersonDeactivated,
		PersonReactivated, PersonLocked, PersonUnlocked, PersonDeleted, PersonRestored, PersonMoved, UnitCreated, UnitRenamed, UnitMoved, UnitRemoved, UnitFrozen, UnitUnfrozen, GroupCreated, GroupUpdated, GroupDeleted,
		GroupRestored, TokenCreated, TokenRevoked, MappingApplied, MappingRefused, MappingProposed, MappingApproved, MappingDeclined, MappingRolledBack,
		KeyCreated, MassLossFound, MassLossUndone, MetadataAccepted, MetadataHeld, MetadataApproved,
		ConsoleLink, ConsoleOpened, ConsoleClosed, ExceptionGranted, ExceptionRevoked, ConnectionCreated, ConnectionUpdated,
		ConnectionRemoved, SetupLink, SetupOpened, SetupClosed, SettingsChanged,
	}
}

// Actor is who did it.
type Actor struct {
	Kind    string // "person", "service" (by an API token of its own), "scim", "idp" (by a sign-out request), "operator" (the command line), "break-glass" (a link to the console), "setup" (a link to one connection) or "gate"
	ID      string // person id, token id, or operating system user
	Name    string // for people to read
	Address string // network address, if there is one
}

// Anonymous reports whether nobody knows which human the actor is: whoever
// holds what a one-time link opened.
func (a Actor) Anonymous() bool { return a.Kind == "break-glass" || a.Kind == "setup" }

// Gate is the actor of what the gate does by itself.
func Gate() Actor { return Actor{Kind: "gate", Name: "portcullis"} }

// Event is one thing that happened. An Event holds no secret: no token, no
// cookie, no whole assertion.
type Event struct {
	Seq        int64     // order of insertion, given by the store; 0 before
	At         time.Time // UTC
	Action     Action
	Actor      Actor
	Person     string // id of the person it happened to; empty if none
	Subject    string // what it happened to in words: a userName, a group's name, a token's id
	Connection string // empty if none
	Reason     string // given by the actor, or why the gate refused
	Reference  string // the id that stands on the page, in the log and in the trace
	Detail     map[string]string
}
