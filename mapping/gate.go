package mapping

import "slices"

// GateTask is a task that is a right in the gate's own console.
type GateTask struct {
	Name  string
	Means string // what its holder may do, in words
}

// The tasks of the gate. [GateTasks] says what they mean.
const (
	GateUsersView        = "gate.users.view"
	GateUsersLock        = "gate.users.lock"
	GateUsersManage      = "gate.users.manage"
	GateSessionsView     = "gate.sessions.view"
	GateSessionsEnd      = "gate.sessions.end"
	GateSignInsView      = "gate.sign-ins.view"
	GateProvisioningView = "gate.provisioning.view"
	GateProvisioningUndo = "gate.provisioning.undo"
	GateAuditView        = "gate.audit.view"
	GateRolesView        = "gate.roles.view"
	GateMappingView      = "gate.mapping.view"
	GateMappingApprove   = "gate.mapping.approve"
)

// GateTasks lists every task that the gate itself understands. A task that
// begins with gate. and is not listed gives nothing: [Policy.Warnings] says so.
func GateTasks() []GateTask {
	return []GateTask{
		{GateUsersView, "see people, their state, and why they may do what they may"},
		{GateUsersLock, "lock and unlock people"},
		{GateUsersManage, "deactivate, reactivate and delete people"},
		{GateSessionsView, "see who is signed in, since when and from where"},
		{GateSessionsEnd, "end sessions"},
		{GateSignInsView, "see attempts to sign in, and what came of them"},
		{GateProvisioningView, "see what identity providers pushed, and mass losses"},
		{GateProvisioningUndo, "undo a mass loss"},
		{GateAuditView, "read and export the audit trail"},
		{GateRolesView, "see the roles, and who has each"},
		{GateMappingView, "read the mapping and its history"},
		{GateMappingApprove, "approve a proposed mapping as the second person"},
	}
}

// knownGateTask reports whether a task of the gate means something.
func knownGateTask(name string) bool {
	return slices.ContainsFunc(GateTasks(), func(t GateTask) bool { return t.Name == name })
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
