// Package web holds what every page and handler of the gate shares: handlers
// that return errors, the page or problem document that tells of one, the
// layout and its style sheet, headers of our own pages, cookies, references,
// the address of the client, and the judgement of paths.
//
// It knows nothing of people, sessions or the upstream.
//
// Invariants:
//   - An error is logged once and shown once, both with the same reference.
//   - Only the message of a fault is ever shown ([fault.Message]).
//   - Our pages load nothing from elsewhere and cannot be framed; a script runs
//     only on pages that ask for one of our own ([Look]).
//   - A return target never leaves the public origin ([SafeReturn]).
package web

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
)

// Prefix is the path below which everything is the gate's own.
const Prefix = "/.portcullis"

// ConsolePrefix is the path below which the console's pages are.
const ConsolePrefix = Prefix + "/admin"

// Handle makes a gin handler of one that returns an error. The error becomes
// a page for a browser that navigates and problem JSON for everybody else
// ([Fail]). After the response has begun nothing can be said any more: the
// connection is cut, so that half an answer never looks like a whole one.
func Handle(log *slog.Logger, h func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		err := h(c)
		if err == nil {
			return
		}
		c.Abort()
		if c.Writer.Written() {
			logFailure(c.Request, log, err, 0)
			panic(http.ErrAbortHandler)
		}
		Fail(c.Writer, c.Request, log, err)
	}
}

// Answer is a response of which can be told whether it has begun.
type Answer interface {
	http.ResponseWriter

	// Written reports whether the response has begun.
	Written() bool
}

// Recover is [Rescue] for gin.
func Recover(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer c.Abort() // nobody answers a second time
		defer Rescue(c.Request.Context(), c.Writer, c.Request, log)
		c.Next()
	}
}

// Rescue makes a panic an internal error; a handler defers it, itself.
// [http.ErrAbortHandler] passes through: swallowed, a response that an upstream
// cut short would end as a complete one. So does any panic after the response
// has begun.
func Rescue(ctx context.Context, w Answer, r *http.Request, log *slog.Logger) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares the recovered value like this
		panic(v)
	}
	log.ErrorContext(ctx, "handler panicked", "reference", Reference(ctx), "panic", v, "stack", string(debug.Stack()))
	if w.Written() {
		panic(http.ErrAbortHandler)
	}
	render(w, r.WithContext(ctx), describe(fault.New(fault.Internal, "handler panicked")))
}

// Secure sets the headers of our own pages. It is for the gate's own paths
// only: what the portal sends is the portal's business.
func Secure(c *gin.Context) {
	SetHeaders(c.Writer.Header())
	c.Next()
}

// SetHeaders is [Secure] for a handler that is not gin's.
//
// The referrer is kept for our own origin: with "no-referrer" browsers send
// "Origin: null" with our forms, which the check against forged requests
// would have to refuse.
func SetHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy+"; form-action 'self'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// contentPolicy is the Content-Security-Policy of our pages but for
// form-action, see [Pages].
const contentPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
