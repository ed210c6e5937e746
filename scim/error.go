package scim

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	liberrors "github.com/elimity-com/scim/errors"

	"portcullis/directory"
	"portcullis/fault"
)

const errorSchema = "urn:ietf:params:scim:api:messages:2.0:Error"

// The detail error keywords of RFC 7644, section 3.12, table 9.
const (
	typeFilter     = "invalidFilter"
	typeUniqueness = "uniqueness"
	typeMutability = "mutability"
	typeSyntax     = "invalidSyntax"
	typePath       = "invalidPath"
	typeNoTarget   = "noTarget"
	typeValue      = "invalidValue"
)

// refusal is a fault that knows more of RFC 7644, section 3.12 than its kind
// says: the status, the scimType, or when to come again.
type refusal struct {
	status   int // 0: by the kind of the fault
	scimType string
	allow    string        // of a 405
	retry    time.Duration // of a 429
	err      error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// invalid is a 400 with a scimType. The message is shown to the client.
func invalid(scimType, format string, args ...any) error {
	return &refusal{scimType: scimType, err: fault.New(fault.Invalid, format, args...)}
}

// errFrozen refuses what is no loss while the organization is frozen.
func errFrozen() error { return directory.ErrFrozen }

// losing refuses a record that lets somebody be active, or stay so, while the
// organization is frozen: whoever is not is out, whatever else is said of them.
func (c *call) losing(r directory.Record) error {
	if c.frozen && r.Active {
		return errFrozen()
	}
	return nil
}

// answered is an error of a status that no kind of fault stands for.
func answered(status int, format string, args ...any) error {
	return &refusal{status: status, err: fault.New(fault.Invalid, format, args...)}
}

// libraryError carries over what the library found wrong with a resource.
func libraryError(e *liberrors.ScimError) error {
	if e == nil {
		return nil
	}
	return &refusal{scimType: string(e.ScimType), err: fault.New(fault.Invalid, "%s", e.Detail)}
}

// wireError is the body of RFC 7644, section 3.12. Status is a string there.
type wireError struct {
	Schemas  []string `json:"schemas"`
	ScimType string   `json:"scimType,omitempty"`
	Detail   string   `json:"detail,omitempty"`
	Status   string   `json:"status"`
}

// statusOf is the one translation of a fault's kind.
func statusOf(kind fault.Kind) (status int, scimType string) {
	switch kind {
	case fault.NotFound:
		return http.StatusNotFound, ""
	case fault.Conflict:
		return http.StatusConflict, typeUniqueness
	case fault.Invalid:
		return http.StatusBadRequest, typeValue
	case fault.Unauthenticated:
		return http.StatusUnauthorized, ""
	case fault.Forbidden:
		return http.StatusForbidden, ""
	case fault.Unavailable:
		return http.StatusServiceUnavailable, ""
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge, ""
	case fault.Precondition:
		return http.StatusPreconditionFailed, ""
	default:
		return http.StatusInternalServerError, ""
	}
}

// answerOf gives the status and the scimType that an error is answered with.
func answerOf(err error) (status int, scimType string) {
	status, scimType = statusOf(fault.KindOf(err))
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return status, scimType
	}
	if r.status != 0 {
		status, scimType = r.status, ""
	}
	return status, cmp.Or(r.scimType, scimType)
}

// fail answers with err. What nobody classified is a 500 without a word of the
// error's own; the log has it.
func (e *Endpoint) fail(ctx context.Context, w http.ResponseWriter, err error) {
	status, scimType := answerOf(err)
	h := w.Header()
	if r, ok := errors.AsType[*refusal](err); ok {
		if r.allow != "" {
			h.Set("Allow", r.allow)
		}
		if r.retry > 0 {
			h.Set("Retry-After", strconv.Itoa(int((r.retry+time.Second-1)/time.Second)))
		}
	}
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="scim"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
		e.log.WarnContext(ctx, "scim request refused: a dependency is away", slog.Any("error", err))
	case http.StatusRequestEntityTooLarge:
		h.Set("Connection", "close")
	case http.StatusInternalServerError:
		e.log.ErrorContext(ctx, "scim request failed", slog.Any("error", err))
	}
	e.write(ctx, w, status, wireError{
		Schemas: []string{errorSchema}, ScimType: scimType, Detail: fault.Message(err), Status: strconv.Itoa(status),
	})
}

// write answers with a JSON document; a nil one is an empty body.
func (e *Endpoint) write(ctx context.Context, w http.ResponseWriter, status int, doc any) {
	h := w.Header()
	values := [4]string{"no-store", "nosniff", "application/scim+json"} // one piece of memory; the names are canonical
	h["Cache-Control"], h["X-Content-Type-Options"] = values[0:1:1], values[1:2:2]
	if doc == nil {
		w.WriteHeader(status)
		return
	}
	body, err := encode(doc)
	if err != nil { // every document here is made of maps, lists and scalars
		e.log.ErrorContext(ctx, "scim answer cannot be encoded", slog.Any("error", fmt.Errorf("marshal: %w", err)))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	values[3] = strconv.Itoa(len(body))
	h["Content-Type"], h["Content-Length"] = values[2:3:3], values[3:4:4]
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil { //nolint:gosec,nolintlint // JSON, and nosniff; gosec finds it now and then
		e.log.DebugContext(ctx, "scim answer was not taken", slog.Any("error", err))
	}
}

// encode writes a document; JSON that was put together here stays as it is.
func encode(doc any) ([]byte, error) {
	switch d := doc.(type) {
	case json.RawMessage:
		return d, nil
	case rawList:
		return d.encode(), nil
	default:
		return json.Marshal(doc)
	}
}
