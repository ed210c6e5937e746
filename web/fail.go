package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"portcullis/fault"
)

// Failure is an error that knows more of its answer than the kind of its
// fault says. Handlers return it like any other error.
type Failure struct {
	Err     error          // required; its fault's message is shown
	Status  int            // defaults to the status of the fault's kind
	Advice  string         // what the person can do, one sentence; defaults to that of the status
	Link    Link           // a way on, on the page; none if empty
	Other   Link           // a second one, less likely; none if empty
	Header  http.Header    // further response headers
	Members map[string]any // extension members of the problem document (RFC 9457, section 3.2)
}

// Link is a way on that a page offers.
type Link struct {
	Text string
	URL  string
}

// Error gives the text for the log.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap gives the error that the failure is about.
func (f *Failure) Unwrap() error { return f.Err }

// Status is the HTTP status of an error: its [Failure]'s, or that of its
// fault's kind.
func Status(err error) int {
	if f, ok := errors.AsType[*Failure](err); ok && f.Status != 0 {
		return f.Status
	}
	switch fault.KindOf(err) {
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Precondition:
		return http.StatusPreconditionFailed
	default:
		return http.StatusInternalServerError
	}
}

// Fail logs err and answers with it: a page where [WantsPage], otherwise a
// problem document (RFC 9457). [Handle] calls it; it is for handlers that are
// not gin's. Nothing may have been written before.
func Fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	d := describe(err)
	logFailure(r, log, err, d.Status)
	render(w, r, d)
}

// logFailure logs an error once, with the reference that the person sees.
func logFailure(r *http.Request, log *slog.Logger, err error, status int) {
	ctx := r.Context()
	level := slog.LevelInfo
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		level = slog.LevelDebug // the client went away
	case status == 0 || status == http.StatusInternalServerError:
		level = slog.LevelError
	case status >= http.StatusInternalServerError:
		level = slog.LevelWarn
	}
	log.Log(ctx, level, "request failed", "reference", Reference(ctx), "status", status,
		"kind", fault.KindOf(err).String(), "error", err.Error(), "method", r.Method, "path", r.URL.Path)
}

// description is an error in the words of the person who sees it.
type description struct {
	Status int
	What   string // what happened, without a full stop
	Advice string // one sentence: what the person can do
	Link   Link
	Other  Link
	header http.Header
	extra  map[string]any
}

func describe(err error) description {
	d := description{Status: Status(err), What: fault.Message(err)}
	if fault.KindOf(err) == fault.Internal {
		d.What = "something went wrong on our side"
	}
	d.Advice = advice(d.Status)
	if f, ok := errors.AsType[*Failure](err); ok {
		if f.Advice != "" {
			d.Advice = f.Advice
		}
		d.Link, d.Other, d.header, d.extra = f.Link, f.Other, f.Header, f.Members
	}
	return d
}

// sentence makes a fault's message read like one: "no such page" becomes
// "No such page."
func sentence(message string) string {
	if message == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(message)
	s := message
	if unicode.IsLower(first) {
		s = string(unicode.ToUpper(first)) + s[size:]
	}
	if !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

// advice is what a person can do about a status when nobody knows better.
func advice(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "Go back and try again; if you followed a link, tell whoever gave it to you that it does not work."
	case http.StatusUnauthorized:
		return "Sign in and try again."
	case http.StatusForbidden:
		return "If you need this, ask your administrator and quote the reference below."
	case http.StatusNotFound:
		return "Check the address, or start again from the first page."
	case http.StatusMethodNotAllowed:
		return "Start again from the first page."
	case http.StatusConflict, http.StatusPreconditionFailed:
		return "Load the page again to see what has changed, then repeat what you did."
	case http.StatusRequestEntityTooLarge:
		return "Send less at once."
	case http.StatusTooManyRequests:
		return "Wait a minute, then try again."
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "Try again in a moment; if it lasts, tell your administrator and quote the reference below."
	default:
		return "Try again; if it happens again, tell your administrator and quote the reference below."
	}
}

// render answers with d as a page or as a problem document.
func render(w http.ResponseWriter, r *http.Request, d description) {
	h := w.Header()
	SetHeaders(h)
	maps.Copy(h, d.header)
	if WantsPage(r) {
		if err := show(w, r, d.Status, "error", d); err == nil {
			return
		}
	}
	writeProblem(w, r, d)
}

// writeProblem answers with a problem document, in English: it is for programs.
// Its instance is a fragment of
// the request's URL, made of the reference: it names this one occurrence and
// leads nowhere.
func writeProblem(w http.ResponseWriter, r *http.Request, d description) {
	doc := map[string]any{}
	maps.Copy(doc, d.extra)
	doc["type"] = "about:blank"
	doc["title"] = http.StatusText(d.Status)
	doc["status"] = d.Status
	doc["detail"] = sentence(d.What)
	if ref := Reference(r.Context()); ref != "" {
		doc["instance"] = "#" + ref
		doc["reference"] = ref
	}
	body, err := json.Marshal(doc)
	if err != nil { // an extension member that has no JSON: answer without any
		body = []byte(`{"type":"about:blank"}`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(d.Status)
	_, _ = w.Write(body)
}

// Navigates reports whether the browser goes to another page, as far as it
// says: Sec-Fetch-Mode is "navigate" or absent (W3C Fetch Metadata, section
// 2.2). An image, a script or a call of one is none, whoever made the page that
// it is in.
func Navigates(r *http.Request) bool {
	mode, ok := r.Header["Sec-Fetch-Mode"]
	return !ok || len(mode) == 1 && strings.EqualFold(mode[0], "navigate")
}

// WantsPage reports whether a browser navigates, so that it can show a page
// or follow a redirect: it [Navigates], and Accept names text/html. Whatever
// else asks is a script.
func WantsPage(r *http.Request) bool {
	if !Navigates(r) {
		return false
	}
	for _, line := range r.Header["Accept"] {
		for entry := range strings.SplitSeq(line, ",") {
			kind, params, _ := strings.Cut(entry, ";")
			if strings.EqualFold(strings.TrimSpace(kind), "text/html") && !refused(params) {
				return true
			}
		}
	}
	return false
}

// refused reports whether the parameters of an Accept entry give it no weight
// (RFC 9110, section 12.4.2).
func refused(params string) bool {
	for p := range strings.SplitSeq(params, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(k, "q") && strings.Trim(v, "0.") == "" {
			return true
		}
	}
	return false
}
