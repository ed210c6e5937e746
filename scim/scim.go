// Package scim is the SCIM 2.0 endpoint: it takes the people and groups that
// identity providers push (RFC 7643, RFC 7644) and turns each request into one
// verb of package directory.
//
// A request passes four stages: the routes and limits of this package, a
// normaliser that understands every client's dialect, one directory verb, and
// a projector that shapes the answer. The schema objects, the validation of
// whole resources and the parsing of paths and filters come from
// github.com/elimity-com/scim and its parser; its HTTP handler is not used.
//
// Invariants:
//   - A bearer token opens the connection that it was made for and nothing
//     else. Whatever is wrong with a credential is the same 401.
//   - A filter that is not understood is refused, never answered with an empty
//     list: the client would create its people a second time.
//   - A PATCH is applied whole or not at all.
//   - No password is stored, logged or echoed, and no body is logged.
//   - Foreign input is bounded before it is parsed: size, depth and length.
//
// The package does not decide who may enter: that is what package directory
// makes of the facts that were pushed.
package scim
