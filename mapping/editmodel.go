package mapping

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// editing is one change on its way: what it means, before it is spliced.
type editing struct {
	*source
	path string
	near pos // how far the path led, for messages
}

func (e *editing) set(root, value *node) *node {
	steps := e.steps()
	if len(e.found) > 0 {
		return nil
	}
	return e.update(root, steps, "", func(*node) *node { return value })
}

func (e *editing) add(root, value *node) *node {
	steps := e.steps()
	if len(e.found) > 0 {
		return nil
	}
	return e.update(root, steps, "", func(old *node) *node {
		switch {
		case old == nil, old.kind == kindNull:
			return &node{kind: kindList, items: []*node{value}}
		case old.kind != kindList:
			e.fail(old.at, "%s is %s; want a list to add to", clip(e.path), old.kind)
			return old
		case value.scalar() && slices.ContainsFunc(old.items, func(n *node) bool { return same(n, value) }):
			return old
		}
		changed := *old
		changed.items = append(slices.Clone(old.items), value)
		return &changed
	})
}

func (e *editing) remove(root *node) *node {
	steps := e.steps()
	if len(e.found) > 0 {
		return nil
	}
	return e.update(root, steps, "", func(old *node) *node {
		if old == nil {
			e.fail(e.near, "%s is not in the file", clip(e.path))
		}
		return nil
	})
}

func (n *node) scalar() bool { return n.kind != kindList && n.kind != kindMap }

// node turns a value of Go into one of a file.
func (e *editing) node(value any, depth int) (*node, bool) {
	refuse := func(what string) (*node, bool) {
		e.fail(pos{}, "%s: %s cannot stand in a mapping file; want strings, numbers, true, false, lists and mappings", clip(e.path), what)
		return nil, false
	}
	if depth > maxDepth/2 {
		return refuse("a value nested that deep")
	}
	switch v := value.(type) {
	case string:
		if !utf8.ValidString(v) {
			return refuse("text that is not UTF-8")
		}
		return &node{kind: kindString, text: v}, true
	case bool:
		return &node{kind: kindBool, text: strconv.FormatBool(v)}, true
	case []string:
		n := &node{kind: kindList}
		for _, s := range v {
			n.items = append(n.items, &node{kind: kindString, text: s})
		}
		return n, !slices.ContainsFunc(v, func(s string) bool { _, ok := e.node(s, depth); return !ok })
	case []any:
		n := &node{kind: kindList}
		for _, item := range v {
			i, ok := e.node(item, depth+1)
			if !ok {
				return nil, false
			}
			n.items = append(n.items, i)
		}
		return n, true
	case map[string]any:
		return e.mappingNode(v, depth)
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return refuse("this number")
		}
		return &node{kind: kindNumber, text: strconv.FormatFloat(f, 'f', -1, 64)}, true
	case nil:
		return refuse("nothing")
	}
	if f, ok := number(value); ok && f == f && f-f == 0 {
		return &node{kind: kindNumber, text: strconv.FormatFloat(f, 'f', -1, 64)}, true
	}
	return refuse("a value of this type")
}

func (e *editing) mappingNode(m map[string]any, depth int) (*node, bool) {
	n := &node{kind: kindMap}
	for _, key := range slices.SortedFunc(maps.Keys(m), houseOrder) {
		if _, ok := e.node(key, depth); !ok {
			return nil, false
		}
		if strings.Contains(key, "${") {
			e.fail(pos{}, "%s: a key cannot hold ${…}; write the name itself", clip(e.path))
			return nil, false
		}
		v, ok := e.node(m[key], depth+1)
		if !ok {
			return nil, false
		}
		n.fields = append(n.fields, field{name{text: key}, v})
	}
	return n, true
}

// houseOrder is the order in which keys are written: as people read an entry,
// and other names by the alphabet behind.
func houseOrder(a, b string) int {
	return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
}

const unranked = 1_000

// rank is the place of a key of the language among others.
func rank(key string) int {
	order := []string{
		"version", "include", "vars", "connection", "connections",
		"id", "name", "regex", "scim", "label", "note", "at", "env",
		"given", "match", "valid", "from", "until", "grant", "restrict", "deny",
		"login", "reason", "groups", "groupsIncomplete", "lastKnownGroups", "pushed", "externalId",
		"appRoles", "subject", "userName", "email", "emailVerified", "emailDomain", "userType", "claims", "when",
		"ceiling", "roles", "attributes", "permissionGroups", "defaults", "noMatch", "noPermissionGroup", "incompleteGroups",
		"rules", "constraints", "exclusive", "role", "maxUsers", "onViolation", "tests",
		"inherits", "tasks", "privileged", "assignableBy", "scope",
		"type", "pattern", "source", "onMissing", "params", "where", "unrestricted", "prefix", "not",
		"expect", "violations", "because", "can", "cannot",
	}
	if i := slices.Index(order, key); i >= 0 {
		return i
	}
	return unranked
}
