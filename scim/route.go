package scim

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"portcullis/fault"
)

// maxID bounds an identifier in a path or a membership, in bytes.
const maxID = 256

// handler answers one method; id is that of the resource that is asked for.
type handler func(c *call, id string) error

// methods are the verbs of one endpoint; nil: the method is not supported.
type methods struct{ get, post, put, patch, remove handler }

// dispatch calls the method's verb, or says which methods there are.
func (c *call) dispatch(m methods, id string) error {
	var h handler
	switch c.r.Method {
	case http.MethodGet:
		h = m.get
	case http.MethodPost:
		h = m.post
	case http.MethodPut:
		h = m.put
	case http.MethodPatch:
		h = m.patch
	case http.MethodDelete:
		h = m.remove
	}
	if h == nil {
		return &refusal{
			status: http.StatusMethodNotAllowed, allow: m.allowed(),
			err: fault.New(fault.Invalid, "the method is not supported here"),
		}
	}
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodDelete { // others when their body is there
		if err := c.turn(); err != nil {
			return err
		}
	}
	return h(c, id)
}

func (m methods) allowed() string {
	var names []string
	for _, v := range []struct {
		name    string
		handler handler
	}{
		{http.MethodDelete, m.remove}, {http.MethodGet, m.get}, {http.MethodPatch, m.patch}, {http.MethodPost, m.post}, {http.MethodPut, m.put},
	} {
		if v.handler != nil {
			names = append(names, v.name)
		}
	}
	return strings.Join(names, ", ")
}

// route takes the path below the connection's base URL. One slash at the end
// is forgiven.
func (c *call) route(path string) error {
	endpoint, id, more := strings.Cut(strings.TrimSuffix(path, "/"), "/")
	if endpoint == "" || more && (id == "" || strings.Contains(id, "/")) {
		return errEndpoint()
	}
	if more && !plausibleID(id) {
		return fault.New(fault.NotFound, "no such resource")
	}
	c.endpoint, c.one = endpoint, id
	switch endpoint {
	case searchPath:
		if more {
			return errEndpoint()
		}
		return c.dispatch(methods{post: func(c *call, _ string) error { return c.search(c.listAll) }}, id)
	case "Bulk":
		if more || c.doc != nil {
			return errEndpoint()
		}
		return c.dispatch(methods{post: (*call).bulk}, id)
	case "Users":
		return c.dispatch(userMethods(id), id)
	case "Groups":
		return c.dispatch(groupMethods(id), id)
	case "ServiceProviderConfig", "Schemas", "ResourceTypes":
		return c.dispatch(methods{get: func(c *call, id string) error { return c.discover(c.endpoint, id) }}, id)
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

func userMethods(id string) methods {
	switch id {
	case "":
		return methods{get: (*call).listUsers, post: (*call).createUser}
	case searchPath:
		return methods{post: func(c *call, _ string) error { return c.search(func() error { return c.listUsers("") }) }}
	default:
		return methods{get: (*call).getUser, put: (*call).putUser, patch: (*call).patchUser, remove: (*call).deleteUser}
	}
}

func groupMethods(id string) methods {
	switch id {
	case "":
		return methods{get: (*call).listGroups, post: (*call).createGroup}
	case searchPath:
		return methods{post: func(c *call, _ string) error { return c.search(func() error { return c.listGroups("") }) }}
	default:
		return methods{get: (*call).getGroup, put: (*call).putGroup, patch: (*call).patchGroup, remove: (*call).deleteGroup}
	}
}

func (c *call) ctx() context.Context {
	if c.within != nil {
		return c.within
	}
	return c.r.Context()
}

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
