package saml

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/url"
	"strings"
	"time"

	dsig "github.com/russellhaering/goxmldsig"

	"portcullis/fault"
)

// Names of what the bindings carry (SAML bindings, sections 3.4.4 and 3.5.4).
const (
	paramRequest    = "SAMLRequest"
	paramResponse   = "SAMLResponse"
	paramRelayState = "RelayState"
	paramSigAlg     = "SigAlg"
	paramSignature  = "Signature"
	paramEncoding   = "SAMLEncoding"

	encodingDeflate = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"
)

const (
	maxInflated   = 256 << 10 // of a message in a query, unpacked; logout messages are about 2 kB
	maxQuery      = 64 << 10  // of the raw query
	maxParams     = 20        // of the raw query
	maxRelayState = 80        // bytes: SAML bindings, section 3.4.3
	maxForeignRS  = 1 << 10   // of what others send; not all keep to the 80 bytes
)

// redirectURL packs a message into the query of destination and signs it with
// RSA-SHA256 (SAML bindings, section 3.4.4.1).
func redirectURL(destination, param string, message []byte, relayState string, key *KeyPair) (string, error) {
	packed, err := deflate(message)
	if err != nil {
		return "", err
	}
	query := param + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed))
	if relayState != "" {
		query += "&" + paramRelayState + "=" + url.QueryEscape(relayState)
	}
	if key != nil {
		query += "&" + paramSigAlg + "=" + url.QueryEscape(dsig.RSASHA256SignatureMethod)
		digest := sha256.Sum256([]byte(query))
		signature, err := key.Private.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return "", fault.Wrap(fault.Internal, err, "sign a query")
		}
		query += "&" + paramSignature + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
	}
	separator := "?"
	if strings.Contains(destination, "?") {
		separator = "&"
	}
	return destination + separator + query, nil
}

func deflate(message []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "deflate")
	}
	if _, err := w.Write(message); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "deflate")
	}
	if err := w.Close(); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "deflate")
	}
	return packed.Bytes(), nil
}

// inflate unpacks what deflate packs. It reads no more than the limit, however
// much the packed bytes would give, and refuses bytes after the end of the stream.
func inflate(packed []byte) ([]byte, error) {
	rest := bytes.NewReader(packed)
	message, err := io.ReadAll(io.LimitReader(flate.NewReader(rest), maxInflated+1))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the message does not inflate")
	}
	if len(message) > maxInflated {
		return nil, fault.New(fault.TooLarge, "the message inflates to more than %d bytes", maxInflated)
	}
	if rest.Len() > 0 {
		return nil, fault.New(fault.Invalid, "there are bytes after the deflated message")
	}
	return message, nil
}

// signedQuery is a message that came by the redirect binding: what it says, and
// the very bytes that were signed. Some providers escape in lower case or
// leave characters bare, so the bytes are never built anew.
type signedQuery struct {
	param      string // SAMLRequest or SAMLResponse
	message    []byte
	relayState string
	algorithm  string
	signature  []byte
	octets     []string // what may have been signed; more than one only for an empty RelayState
}

// readQuery takes a raw query apart. A name that stands there twice, in
// whatever spelling, is refused: two readers may differ on which one counts.
func readQuery(raw string) (*signedQuery, error) {
	values, err := splitQuery(raw)
	if err != nil {
		return nil, err
	}
	_, isRequest := values[paramRequest]
	_, isResponse := values[paramResponse]
	if isRequest == isResponse {
		return nil, fault.New(fault.Invalid, "want either %s or %s in the query", paramRequest, paramResponse)
	}
	q := &signedQuery{param: paramRequest}
	if isResponse {
		q.param = paramResponse
	}
	if encoding, ok := values[paramEncoding]; ok && encoding.decoded != encodingDeflate {
		return nil, fault.New(fault.Invalid, "%s %q is not supported", paramEncoding, clean(encoding.decoded))
	}
	packed, err := base64.StdEncoding.DecodeString(values[q.param].decoded)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s is not base64", q.param)
	}
	if q.message, err = inflate(packed); err != nil {
		return nil, err
	}
	q.relayState = values[paramRelayState].decoded
	if len(q.relayState) > maxForeignRS {
		return nil, fault.New(fault.TooLarge, "%s is longer than %d bytes", paramRelayState, maxForeignRS)
	}
	q.algorithm = values[paramSigAlg].decoded
	if q.algorithm == "" || values[paramSignature].decoded == "" {
		return nil, fault.New(fault.Unauthenticated, "the query is not signed")
	}
	if q.signature, err = base64.StdEncoding.DecodeString(values[paramSignature].decoded); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s is not base64", paramSignature)
	}
	q.octets = signedOctets(q.param, values)
	return q, nil
}

// signedOctets gives the text under the signature: the values as they came, in
// the order that the binding fixes, whichever order they came in (SAML
// bindings, section 3.4.4.1). An empty RelayState is no RelayState there, yet
// some sign its name all the same; both texts say the same thing.
func signedOctets(param string, values map[string]queryValue) []string {
	head := param + "=" + values[param].raw
	tail := "&" + paramSigAlg + "=" + values[paramSigAlg].raw
	relay, ok := values[paramRelayState]
	if !ok {
		return []string{head + tail}
	}
	octets := []string{head + "&" + paramRelayState + "=" + relay.raw + tail}
	if relay.raw == "" {
		octets = append(octets, head+tail)
	}
	return octets
}

type queryValue struct{ raw, decoded string }

func splitQuery(raw string) (map[string]queryValue, error) {
	if len(raw) > maxQuery {
		return nil, fault.New(fault.TooLarge, "the query is longer than %d bytes", maxQuery)
	}
	if strings.Count(raw, "&") >= maxParams {
		return nil, fault.New(fault.TooLarge, "the query has more than %d parameters", maxParams)
	}
	values := make(map[string]queryValue)
	for pair := range strings.SplitSeq(raw, "&") {
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "the query is not well-formed")
		}
		switch name {
		case paramRequest, paramResponse, paramRelayState, paramSigAlg, paramSignature, paramEncoding:
		default:
			continue // not ours, and not under the signature
		}
		if rawName != name {
			return nil, fault.New(fault.Invalid, "the name %s is escaped in the query", name)
		}
		if _, ok := values[name]; ok {
			return nil, fault.New(fault.Invalid, "%s stands in the query twice", name)
		}
		if strings.Contains(rawValue, ";") {
			return nil, fault.New(fault.Invalid, "%s has a bare semicolon", name) // some readers split there
		}
		decoded, err := url.QueryUnescape(rawValue)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "%s is not well-formed", name)
		}
		values[name] = queryValue{raw: rawValue, decoded: decoded}
	}
	return values, nil
}

// verifyQuery gives the fingerprint of the certificate whose key signed the
// query, and whether SHA-1 was in it.
func (sp *ServiceProvider) verifyQuery(q *signedQuery, now time.Time) (string, bool, error) {
	m, ok := methodOf(q.algorithm)
	if !ok {
		return "", false, fault.New(fault.Unauthenticated, "signature algorithm %q is not supported", clean(q.algorithm))
	}
	sha1 := m.hash == crypto.SHA1
	if sha1 && !sp.c.IDP.AllowSHA1 {
		return "", false, fault.New(fault.Unauthenticated, "the query is signed with SHA-1, which this connection does not allow")
	}
	var err error
	for _, octets := range q.octets {
		var certificate string
		if certificate, err = sp.signer(m, octets, q.signature, now); err == nil {
			return certificate, sha1, nil
		}
	}
	return "", false, fault.Wrap(fault.Unauthenticated, err, "the signature of the query is not good")
}
