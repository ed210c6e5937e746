package admin

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/audit"
)

// signInsCSV is the log of sign-ins, as the page was asked for it.
func (c *Console) signInsCSV(r *request) (any, error) {
	q := SignInQuery{Connections: c.chosen(r), Units: r.units, Failed: r.query("failed") == "yes"}
	return file(func(w io.Writer) error {
		s := newCSV(r.gin.Writer, w, "sign-ins.csv", "at", "outcome", "who", "person", "connection", "protocol", "address", "reason", "reference")
		for {
			list, next, err := c.attemptsBefore(r, q, csvBatch)
			if err != nil {
				return err
			}
			for _, x := range list {
				s.row(x.At.Format(time.RFC3339Nano), x.Outcome, x.Who, x.Person, x.Connection, x.Protocol, x.Address, x.Reason, x.Reference)
			}
			if err := s.flush(); err != nil || next == 0 {
				return err
			}
			q.Before = next
		}
	}), nil
}

// provisioningCSV is the log of requests over SCIM, as the page was asked for
// it, without their bodies.
func (c *Console) provisioningCSV(r *request) (any, error) {
	return file(func(w io.Writer) error {
		s := newCSV(r.gin.Writer, w, "provisioning.csv", "at", "connection", "address", "method", "path", "status", "cause", "microseconds")
		for before := int64(0); ; {
			list, next, err := c.requestsBefore(r, before, csvBatch)
			if err != nil {
				return err
			}
			for _, x := range list {
				s.row(x.At.Format(time.RFC3339Nano), x.Connection, x.Address, x.Method, x.Path, strconv.Itoa(x.Status), x.Cause, strconv.FormatInt(x.Micros, 10))
			}
			if err := s.flush(); err != nil || next == 0 {
				return err
			}
			before = next
		}
	}), nil
}

func grantsInWords(rules []grantJSON) string {
	out := make([]string, len(rules))
	for i, g := range rules {
		out[i] = g.Name + " (" + place(g.File, g.Line) + ")"
	}
	return strings.Join(out, "; ")
}

// rolesCSV is the catalogue of roles.
func (c *Console) rolesCSV(r *request) (any, error) {
	out, err := c.roles(r)
	if err != nil {
		return nil, err
	}
	v, _ := out.(*rolesView)
	return file(func(w io.Writer) error {
		s := newCSV(r.gin.Writer, w, "roles.csv", "role", "tasks", "inherits", "privileged", "ownOrganizationOnly", "assignableBy", "people", "rules")
		for _, x := range v.Roles {
			s.row(x.Name, strings.Join(x.Tasks, " "), strings.Join(x.Inherits, " "), yes(x.Privileged), yes(x.Organization), strings.Join(x.AssignableBy, " "),
				strconv.Itoa(x.People), grantsInWords(x.Rules))
		}
		return s.flush()
	}), nil
}

// groupsCSV is what the permission groups show, and whom.
func (c *Console) groupsCSV(r *request) (any, error) {
	out, err := c.attributes(r)
	if err != nil {
		return nil, err
	}
	v, _ := out.(*attributesView)
	return file(func(w io.Writer) error {
		s := newCSV(r.gin.Writer, w, "permission-groups.csv", "permissionGroup", "connection", "file", "line", "unrestricted", "params", "where", "people", "rules", "shows")
		for _, x := range v.Groups {
			s.row(x.Name, x.Connection, x.File, strconv.Itoa(x.Line), yes(x.Unrestricted), strings.Join(x.Params, " "), strings.Join(x.Where, "; "),
				strconv.Itoa(x.People), grantsInWords(x.Rules), x.Shows)
		}
		return s.flush()
	}), nil
}

// approvalsCSV is what waits, and everything that was ever decided.
func (c *Console) approvalsCSV(r *request) (any, error) {
	h, err := c.ledger.Waiting(r.ctx, 0, csvBatch)
	if err != nil {
		return nil, err
	}
	for n := len(h.Proposals); n > 0 && n%csvBatch == 0; n = len(h.Proposals) {
		more, err := c.ledger.Waiting(r.ctx, h.Proposals[n-1].Seq, csvBatch)
		if err != nil {
			return nil, err
		}
		if len(more.Proposals) == 0 {
			break
		}
		h.Proposals = append(h.Proposals, more.Proposals...)
		maps.Copy(h.Overtaken, more.Overtaken)
	}
	var decided []eventJSON
	for _, action := range []audit.Action{audit.MappingApproved, audit.MappingDeclined} {
		q := EventQuery{Action: string(action), Limit: csvBatch}
		for more := true; more; more = q.Before > 0 {
			var events []eventJSON
			if events, q.Before, err = c.events(r, q); err != nil {
				return nil, err
			}
			c.unsaidOf(r, events)
			decided = append(decided, events...)
		}
	}
	slices.SortFunc(decided, func(a, b eventJSON) int { return cmp.Compare(b.Number, a.Number) })
	return file(func(w io.Writer) error {
		s := newCSV(r.gin.Writer, w, "approvals.csv", "at", "what", "about", "hash", "by", "byLink", "reason", "needsApproval", "approvedBy", "detail")
		for _, p := range h.Proposals {
			x := proposalWire(p, h.Overtaken[p.Seq])
			c.unsaid(r, &x)
			what := "waiting"
			if x.Overtaken {
				what = "overtaken"
			}
			s.row(x.At.Format(time.RFC3339), what, "mapping revision "+strconv.FormatInt(x.Revision, 10), x.Hash, x.By, yes(x.ByLink), x.Reason,
				strings.Join(x.Needs, "; "), x.ApprovedBy, "")
		}
		for _, e := range decided {
			detail, err := json.Marshal(e.Detail)
			if err != nil {
				return err
			}
			s.row(e.At.Format(time.RFC3339), e.Action, e.Subject, e.Detail["revision"], e.Actor, "", e.Reason, e.Detail["needs_approval"], "", string(detail))
		}
		return s.flush()
	}), nil
}
