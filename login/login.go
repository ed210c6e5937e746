// Package login signs people in: a browser goes to the identity provider of
// its company and comes back with an answer, out of which this package makes
// one verified [directory.Assertion]. The directory decides whether that
// person may enter, and package session issues what the browser then holds.
//
// Two rules hold everywhere. Whatever an identity provider sends is foreign
// input: bounded, decoded strictly, and a wrong answer is the fault of the
// request (a 4xx page), never of the gate. And an answer counts once, for the
// browser that asked, at the connection that was asked: state, nonce and PKCE
// verifier live in a row that is bound to the browser and consumed before the
// code is redeemed.
//
// The package does not decide who may enter, keeps no person, and logs no
// token, code, state or cookie.
package login
