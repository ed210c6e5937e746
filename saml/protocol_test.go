package saml_test

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"portcullis/saml"
)

const (
	ownEntity = "https://gate.example/.portcullis/saml/acme/metadata"
	ownACS    = "https://gate.example/.portcullis/saml/acme/acs"
	ownSLO    = "https://gate.example/.portcullis/saml/acme/slo"
	theirSSO  = "https://idp.example/sso"
	theirSLO  = "https://idp.example/slo"
)

// moment is the time of every test that needs one.
var moment = time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)

// The keys of the tests outlive every clock: the library's own types read the
// real one.
var (
	ourKey      = longPair("ours")
	nextKey     = longPair("ours, next")
	theirKey    = longPair("theirs")
	theirNewKey = longPair("theirs, next")
	strangeKey  = longPair("stranger")
)

func longPair(seed string) func() saml.KeyPair {
	key := rsaPair(2048, seed)
	return sync.OnceValue(func() saml.KeyPair {
		return keyPair(makePair(key().key, moment.AddDate(-20, 0, 0), moment.AddDate(60, 0, 0)))
	})
}

// gateWith makes the service provider of the tests, changed by change.
func gateWith(tb testing.TB, change func(*saml.Config)) *saml.ServiceProvider {
	tb.Helper()
	c := saml.Config{
		EntityID: ownEntity, ACS: ownACS, SLO: ownSLO,
		IDP: saml.IdentityProvider{
			EntityID:     theirEntity,
			Certificates: []*x509.Certificate{theirNewKey().Certificate, theirKey().Certificate},
			SSO:          []saml.Endpoint{{Binding: saml.BindingRedirect, Location: theirSSO}, {Binding: saml.BindingPOST, Location: theirSSO}},
			SLO:          []saml.Endpoint{{Binding: saml.BindingRedirect, Location: theirSLO}, {Binding: saml.BindingPOST, Location: theirSLO, ResponseLocation: theirSLO + "/answer"}},
		},
		Signing:    []saml.KeyPair{ourKey(), nextKey()},
		Decryption: []saml.KeyPair{ourKey(), nextKey()},
		Now:        func() time.Time { return moment },
	}
	if change != nil {
		change(&c)
	}
	sp, err := saml.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return sp
}

// packQuery writes a message for the redirect binding, escaped by escape, and
// signs it by itself: none of the product's code is in it.
func packQuery(tb testing.TB, param, message, relayState, algorithm string, key *rsa.PrivateKey, escape func(string) string) string {
	tb.Helper()
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.DefaultCompression)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := io.WriteString(w, message); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	query := param + "=" + escape(base64.StdEncoding.EncodeToString(packed.Bytes()))
	if relayState != "" {
		query += "&RelayState=" + escape(relayState)
	}
	query += "&SigAlg=" + escape(algorithm)
	return query + "&Signature=" + escape(base64.StdEncoding.EncodeToString(signText(tb, query, algorithm, key)))
}

func signText(tb testing.TB, text, algorithm string, key *rsa.PrivateKey) []byte {
	tb.Helper()
	hash := crypto.SHA256
	if algorithm == rsaSHA1 {
		hash = crypto.SHA1
	}
	h := hash.New()
	h.Write([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, key, hash, h.Sum(nil))
	if err != nil {
		tb.Fatal(err)
	}
	return signature
}

// unpackQuery is the other direction: it checks the signature over the raw
// query and gives the message.
func unpackQuery(t *testing.T, target, param string, key *rsa.PublicKey) (message string, relayState string) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	from := strings.Index(u.RawQuery, param+"=")
	signed, _, found := strings.Cut(u.RawQuery[from:], "&Signature=")
	if !found {
		t.Fatalf("%s is not signed", target)
	}
	digest := sha256.Sum256([]byte(signed))
	signature, err := base64.StdEncoding.DecodeString(u.Query().Get("Signature"))
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature); err != nil {
		t.Errorf("the query's signature: %v", err)
	}
	if got := u.Query().Get("SigAlg"); got != rsaSHA256 {
		t.Errorf("SigAlg = %q, want %q", got, rsaSHA256)
	}
	packed, err := base64.StdEncoding.DecodeString(u.Query().Get(param))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		t.Fatal(err)
	}
	return string(plain), u.Query().Get("RelayState")
}

// signXML puts the library's enveloped signature behind the first child.
func signXML(tb testing.TB, message string, key saml.KeyPair, method string) string {
	tb.Helper()
	return signWith(tb, message, key, method, dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(""))
}

func signWith(tb testing.TB, message string, key saml.KeyPair, method string, form dsig.Canonicalizer) string {
	tb.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(message); err != nil {
		tb.Fatal(err)
	}
	context, err := dsig.NewSigningContext(key.Private, [][]byte{key.Certificate.Raw})
	if err != nil {
		tb.Fatal(err)
	}
	context.Canonicalizer = form
	if err := context.SetSignatureMethod(method); err != nil {
		tb.Fatal(err)
	}
	signature, err := context.ConstructSignature(doc.Root().Copy(), true)
	if err != nil {
		tb.Fatal(err)
	}
	at := 0
	if first := doc.Root().ChildElements(); len(first) > 0 && first[0].Tag == "Issuer" {
		at = first[0].Index() + 1
	}
	doc.Root().InsertChildAt(at, signature)
	signed, err := doc.WriteToString()
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

func encode64(message string) string { return base64.StdEncoding.EncodeToString([]byte(message)) }
