package scim

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"portcullis/fault"
)

const (
	bulkSchema    = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
	maxOperations = 1000
)

// bulkOp is one operation of a Bulk request (RFC 7644, section 3.7).
type bulkOp struct {
	method, path, bulkID, version string

	data      map[string]any
	needs     []string // bulkIds that it refers to, each once
	waits     int      // for so many of them
	awaitedBy []int    // the operations that refer to it
	done      bool
	id        string // of what it made; empty: nothing
	reply     map[string]any
}

// bulk runs operations one by one, each in a transaction of its own. One that
// refers to what a later one creates waits for it; those that wait for each
// other are refused. Before each one it is asked again who asks: of a token that
// is revoked meanwhile, each operation that is left is answered with a 401. When
// it has held its turn for too long, each is with a 503; what was done stays
// done.
func (c *call) bulk(string) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	ops, err := bulkOps(body)
	if err != nil {
		return err
	}
	limit := 0 // of errors; none
	if raw, _ := member(body, "failOnErrors"); raw != nil {
		n, ok := asNumber(raw)
		most, err := n.Int64()
		if !ok || err != nil || most < 0 || most > maxOperations {
			return invalid(typeValue, "failOnErrors is not a number of errors")
		}
		limit = int(most)
	}
	makers := make(map[string]*bulkOp)
	for _, o := range ops {
		if o.bulkID == "" {
			continue
		}
		if makers[o.bulkID] != nil {
			return invalid(typeValue, "the bulkId %q stands twice in the request", clip(o.bulkID))
		}
		makers[o.bulkID] = o
	}
	var gone error // why nothing that is left is done: the token is good no longer, or it took too long
	todo, late := newPlan(ops, makers), c.now().Add(c.bulkWithin)
	for errs := 0; limit == 0 || errs < limit; {
		o, err := todo.next()
		if o == nil {
			break
		}
		denied := gone
		if denied == nil {
			denied = c.vouch()
		}
		if denied == nil && !c.now().Before(late) {
			gone = fault.New(fault.Unavailable, "the Bulk request took more than %s: send this operation again", c.bulkWithin)
			denied = gone
		}
		if denied != nil {
			if err = denied; fault.Is(denied, fault.Unauthenticated) {
				gone = denied
			}
		}
		if err == nil {
			err = o.resolve(makers)
		}
		if c.run(o, err) >= http.StatusBadRequest {
			errs++
		}
		if c.ctx().Err() != nil {
			return c.ctx().Err()
		}
	}
	replies := []any{}
	for _, o := range ops {
		if o.done {
			replies = append(replies, o.reply)
		}
	}
	c.write(c.ctx(), c.w, http.StatusOK, map[string]any{"schemas": []string{bulkSchema}, "Operations": replies})
	return nil
}

func bulkOps(body map[string]any) ([]*bulkOp, error) {
	raw, _ := member(body, "Operations")
	list, ok := raw.([]any)
	if !ok || len(list) == 0 {
		return nil, invalid(typeValue, "Operations is a list of at least one operation")
	}
	if len(list) > maxOperations {
		return nil, fault.New(fault.TooLarge, "a Bulk request has at most %d operations", maxOperations)
	}
	ops := make([]*bulkOp, len(list))
	for i, raw := range list {
		m, ok := raw.(map[string]any)
		if !ok {
			return nil, invalid(typeSyntax, "an operation is an object")
		}
		o := &bulkOp{}
		for name, to := range map[string]*string{"method": &o.method, "path": &o.path, "bulkId": &o.bulkID, "version": &o.version} {
			v, _ := member(m, name)
			if *to, ok = v.(string); !ok && v != nil {
				return nil, invalid(typeSyntax, "%s of an operation is a string", name)
			}
		}
		o.method = strings.ToUpper(o.method)
		data, _ := member(m, "data")
		if o.data, ok = data.(map[string]any); !ok && data != nil {
			return nil, invalid(typeSyntax, "data of an operation is an object")
		}
		o.needs = neededBy(o.path, o.data)
		ops[i] = o
	}
	return ops, nil
}

// run carries out an operation, or answers it with why it cannot be.
func (c *call) run(o *bulkOp, err error) (status int) {
	w := &reply{header: make(http.Header)}
	if err == nil {
		err = c.inner(o, w)
	}
	if err != nil {
		c.fail(c.ctx(), w, err)
	}
	o.reply = map[string]any{"method": o.method, "status": strconv.Itoa(w.status)}
	if o.bulkID != "" {
		o.reply["bulkId"] = o.bulkID
	}
	if w.status >= http.StatusBadRequest {
		o.reply["response"] = json.RawMessage(w.body.Bytes())
	}
	if location := w.header.Get("Location"); location != "" {
		o.reply["location"] = location
		if o.method == http.MethodPost && w.status == http.StatusCreated {
			o.id = location[strings.LastIndexByte(location, '/')+1:]
		}
	} else if o.method != http.MethodPost {
		o.reply["location"] = c.site.base + o.path
	}
	if tag := w.header.Get("ETag"); tag != "" {
		o.reply["version"] = tag
	}
	return w.status
}

// inner runs an operation as a request of its own. It counts as one.
func (c *call) inner(o *bulkOp, w http.ResponseWriter) error {
	path, ok := strings.CutPrefix(o.path, "/")
	kind, _, _ := strings.Cut(path, "/")
	if !ok || kind != "Users" && kind != "Groups" || strings.ContainsAny(path, "?#") || strings.HasSuffix(path, searchPath) {
		return invalid(typeValue, "path is /Users or /Groups, with an id unless the method is POST")
	}
	switch o.method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		if o.data == nil {
			return invalid(typeValue, "%s needs data", o.method)
		}
	case http.MethodDelete:
		o.data = map[string]any{}
	default:
		return invalid(typeSyntax, "method is POST, PUT, PATCH or DELETE")
	}
	if wait := c.site.limit.take(c.now()); wait > 0 {
		return &refusal{status: http.StatusTooManyRequests, retry: wait, err: fault.New(fault.Unavailable, "too many requests of this connection")}
	}
	r, err := http.NewRequestWithContext(context.WithoutCancel(c.ctx()), o.method, c.site.base+"/", http.NoBody)
	if err != nil {
		return err
	}
	if o.version != "" {
		r.Header.Set("If-Match", o.version)
	}
	sub := &call{Endpoint: c.Endpoint, site: c.site, w: w, r: r, by: c.by, query: url.Values{}, doc: o.data, frozen: c.frozen}
	return sub.route(path)
}

// reply is the answer to one operation.
type reply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *reply) Header() http.Header         { return r.header }
func (r *reply) WriteHeader(status int)      { r.status = status }
func (r *reply) Write(b []byte) (int, error) { return r.body.Write(b) }
