package mapping

import (
	"slices"
	"strings"
)

// GateTask is a task that is a right in the gate's own console.
type GateTask struct {
	Name  string
	Means string // what its holder may do, in words
}

// gateTask begins the tasks that are rights in the gate itself.
const gateTask = "gate."

// The tasks of the gate. [GateTasks] says what they mean.
const (
	GateUsersView       = "gate.users.view"
	GateUsersEdit       = "gate.users.edit"
	GateUsersLock       = "gate.users.lock"
	GateUsersDelete     = "gate.users.delete"
	GateRolesAssign     = "gate.roles.assign"
	GateMappingView     = "gate.mapping.view"
	GateMappingPropose  = "gate.mapping.propose"
	GateMappingApprove  = "gate.mapping.approve"
	GateConnectionsEdit = "gate.connections.edit"
	GateConnectionsOwn  = "gate.connections.own"
	GateTokensEdit      = "gate.tokens.edit" //nolint:gosec // the name of a task, and no credential
	GateAuditView       = "gate.audit.view"
)

// GateTasks lists every task that the gate itself understands. A task that
// begins with gate. and is not listed gives nothing: [Policy.Warnings] says so.
func GateTasks() []GateTask {
	return []GateTask{
		{GateUsersView, "see people, their state, sessions and sign-ins, and why they may do what they may"},
		{GateUsersEdit, "deactivate and reactivate people"},
		{GateUsersLock, "lock and unlock people, and end their sessions"},
		{GateUsersDelete, "delete people"},
		{GateRolesAssign, "grant assignable roles to a person for a time"},
		{GateMappingView, "read roles, permission groups, the mapping and its history"},
		{GateMappingPropose, "edit and propose a mapping"},
		{GateMappingApprove, "approve a proposed mapping as the second person"},
		{GateConnectionsEdit, "see and change connections, and undo a mass loss"},
		{GateConnectionsOwn, "see and renew one's own connection"},
		{GateTokensEdit, "make and revoke tokens"},
		{GateAuditView, "read and export the audit trail, the login activity and the provisioning log"},
	}
}

// IsGateTask reports whether a task is a right in the gate itself, known or
// not, and none in the portal.
func IsGateTask(task string) bool { return strings.HasPrefix(task, gateTask) }

// gateTaskNames lists the names of [GateTasks] in order, with those that
// belong to accounts of the gate's own: a file may hold them already.
func gateTaskNames() []string {
	names := []string{"gate.users.import", "gate.users.invite", "gate.users.reset", "gate.users.view-as"}
	for _, t := range GateTasks() {
		names = append(names, t.Name)
	}
	slices.Sort(names)
	return names
}

// Wide lists, of the gate's own tasks that somebody has, those that reach
// beyond their own organization. roles are the roles of an [Access] that this
// policy computed for somebody of that connection.
//
// A connection with a ceiling gives none: whatever of the gate it lets through
// is for one's own organization. Elsewhere a task is wide when a role has it
// that is not for one's own organization alone (scope: organization), and that
// is not there because such a role inherits it. Where both may be the reason,
// the narrow one counts.
func (p *Policy) Wide(connection string, roles []string) []string {
	c := p.connections[connection]
	if c == nil || !c.unrestricted {
		return nil
	}
	narrow := newBitset(len(p.roles))
	for _, name := range roles {
		if i, ok := p.roleNumber[name]; ok && p.roles[i].decl.Organization {
			narrow.add(p.roles[i].closure)
		}
	}
	var wide []string
	for _, name := range roles {
		i, ok := p.roleNumber[name]
		if !ok || narrow.has(i) {
			continue
		}
		for _, t := range p.roles[i].tasks {
			if p.gate.has(t) {
				wide = append(wide, p.tasks[t])
			}
		}
	}
	return sortedSet(wide)
}

// Unrestricted reports whether a connection has no ceiling, so that its people
// can be given rights that reach beyond their own organization.
func (p *Policy) Unrestricted(connection string) bool {
	c := p.connections[connection]
	return c != nil && c.unrestricted
}
