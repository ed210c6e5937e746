package scim

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"portcullis/fault"
)

// maxID bounds an identifier in a path or a membership, in bytes.
const maxID = 256

// methods are the verbs of one endpoint.
type methods map[string]func() error

// dispatch calls the method's handler, or says which methods there are.
func (c *call) dispatch(m methods) error {
	if h, ok := m[c.r.Method]; ok {
		if c.r.Method == http.MethodGet || c.r.Method == http.MethodDelete { // others when their body is there
			if err := c.turn(); err != nil {
				return err
			}
		}
		return h()
	}
	return &refusal{
		status: http.StatusMethodNotAllowed, allow: strings.Join(sortedKeys(m), ", "),
		err: fault.New(fault.Invalid, "the method is not supported here"),
	}
}

// route takes the path below the connection's base URL. One slash at the end
// is forgiven.
func (c *call) route(path string) error {
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	if slices.Contains(parts, "") || len(parts) > 2 {
		return errEndpoint()
	}
	id := ""
	if len(parts) == 2 {
		if id = parts[1]; !plausibleID(id) {
			return fault.New(fault.NotFound, "no such resource")
		}
	}
	c.endpoint, c.one = parts[0], id
	switch parts[0] {
	case searchPath:
		if id != "" {
			return errEndpoint()
		}
		return c.dispatch(methods{http.MethodPost: func() error { return c.search(c.listAll) }})
	case "Bulk":
		if id != "" || c.doc != nil {
			return errEndpoint()
		}
		return c.dispatch(methods{http.MethodPost: c.bulk})
	case "Users":
		return c.routeUsers(id)
	case "Groups":
		return c.routeGroups(id)
	case "ServiceProviderConfig", "Schemas", "ResourceTypes":
		return c.dispatch(methods{http.MethodGet: func() error { return c.discover(parts[0], id) }})
	case "Me": // RFC 7644, section 3.11
		return answered(http.StatusNotImplemented, "/Me is not supported: a token stands for no person")
	default:
		return errEndpoint()
	}
}

func errEndpoint() error { return fault.New(fault.NotFound, "no such endpoint") }

// plausibleID keeps from the store what cannot be an identifier.
func plausibleID(id string) bool {
	return id != "" && len(id) <= maxID && utf8.ValidString(id) && !strings.ContainsFunc(id, func(r rune) bool { return r < 0x20 })
}

func (c *call) routeUsers(id string) error {
	if id == "" {
		return c.dispatch(methods{http.MethodGet: c.listUsers, http.MethodPost: c.createUser})
	}
	if id == searchPath {
		return c.dispatch(methods{http.MethodPost: func() error { return c.search(c.listUsers) }})
	}
	return c.dispatch(methods{
		http.MethodGet:    func() error { return c.getUser(id) },
		http.MethodPut:    func() error { return c.putUser(id) },
		http.MethodPatch:  func() error { return c.patchUser(id) },
		http.MethodDelete: func() error { return c.deleteUser(id) },
	})
}

func (c *call) routeGroups(id string) error {
	if id == "" {
		return c.dispatch(methods{http.MethodGet: c.listGroups, http.MethodPost: c.createGroup})
	}
	if id == searchPath {
		return c.dispatch(methods{http.MethodPost: func() error { return c.search(c.listGroups) }})
	}
	return c.dispatch(methods{
		http.MethodGet:    func() error { return c.getGroup(id) },
		http.MethodPut:    func() error { return c.putGroup(id) },
		http.MethodPatch:  func() error { return c.patchGroup(id) },
		http.MethodDelete: func() error { return c.deleteGroup(id) },
	})
}

func (c *call) ctx() context.Context { return c.r.Context() }

// body reads the request's document.
func (c *call) body() (map[string]any, error) {
	if c.doc != nil {
		return c.doc, nil
	}
	doc, err := c.readObject(c.w, c.r)
	if err == nil && c.entry != nil && c.journal.store != nil {
		c.entry.Body = redact(doc)
	}
	if err != nil {
		return nil, err
	}
	return doc, c.turn()
}

// answer answers with one resource.
func (c *call) answer(status int, doc map[string]any, p projection) error {
	if meta, ok := doc["meta"].(map[string]any); ok {
		for header, name := range map[string]string{"Location": "location", "ETag": "version"} {
			if s, ok := meta[name].(string); ok {
				c.w.Header().Set(header, s)
			}
		}
	}
	c.write(c.ctx(), c.w, status, p.apply(doc))
	return nil
}

// ifMatch refuses a change of another version than the client has seen (RFC
// 7644, section 3.14; RFC 9110, section 13.1.1).
func (c *call) ifMatch(version int64) error {
	want := c.r.Header.Values("If-Match")
	if len(want) == 0 || lists(want, version) {
		return nil
	}
	return fault.New(fault.Precondition, "the resource has changed: its version is %s", etag(version))
}

// notModified answers a GET whose client has this version already.
func (c *call) notModified(version int64) bool {
	if !lists(c.r.Header.Values("If-None-Match"), version) {
		return false
	}
	c.w.Header().Set("ETag", etag(version))
	c.write(c.ctx(), c.w, http.StatusNotModified, nil)
	return true
}

// lists compares weakly: versions are weak (RFC 9110, section 8.8.3.2).
func lists(header []string, version int64) bool {
	want := `"` + strconv.FormatInt(version, 10) + `"`
	for _, h := range header {
		for tag := range strings.SplitSeq(h, ",") {
			if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == "*" || tag == want {
				return true
			}
		}
	}
	return false
}
