package main

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"os"
	"time"

	"portcullis/config"
	"portcullis/fault"
	"portcullis/keys"
	"portcullis/login"
	"portcullis/oidc"
	"portcullis/saml"
)

// pairLife is how long a certificate of ours is good for.
const pairLife = 3 * 365 * day

// loginSAML is what sign-in needs of a SAML connection. Without a ring, as for
// a look from outside, it has no keys of ours.
func loginSAML(id string, public *url.URL, c *config.SAML, ring *keys.Ring) (*login.SAML, error) {
	out := &login.SAML{
		MetadataFile: c.MetadataFile, MetadataURL: c.MetadataURL, Provider: c.ProviderEntityID, EntityID: c.EntityID,
		AllowPrivate: c.AllowPrivate, Unsigned: !c.SignRequests, AllowIDPInitiated: c.AllowIDPInitiated, AllowSHA1: c.AllowSHA1,
		ForceAuthn: c.ForceAuthn, AuthnContexts: c.AuthnContext, Subject: c.Subject, Attributes: login.Attributes(c.Attributes),
	}
	if c.Metadata != "" {
		out.Metadata = []byte(c.Metadata)
	}
	switch c.Binding {
	case config.ByRedirect:
		out.Binding = saml.BindingRedirect
	case config.ByPOST:
		out.Binding = saml.BindingPOST
	}
	var err error
	if g := c.Graph; g != nil {
		out.Graph = &login.Graph{URL: g.URL, Provider: oidc.Config{
			Issuer: g.Client.Issuer, ClientID: g.Client.ID, ClientSecret: g.Client.Secret.Reveal(), NextSecret: g.Client.NextSecret.Reveal(),
			AllowPrivate: c.AllowPrivate,
		}}
		if _, err := clientKeys(&out.Graph.Provider, g.Client.KeyFile, g.Client.NextKeyFile); err != nil {
			return nil, err
		}
	}
	if c.MetadataSigner != "" {
		if out.Signers, err = readCertificates(c.MetadataSigner); err != nil {
			return nil, err
		}
	}
	if ring != nil {
		out.Keys = func(ctx context.Context) ([]saml.KeyPair, error) {
			pairs, err := ring.Pairs(ctx, id, makePair(public))
			out := make([]saml.KeyPair, len(pairs))
			for i, p := range pairs {
				out[i] = saml.KeyPair{Private: p.Private, Certificate: p.Certificate}
			}
			return out, err
		}
	}
	return out, nil
}

// makePair makes a key of ours and a certificate with our name in it.
func makePair(public *url.URL) keys.MakePair {
	name := public.Hostname()
	if len(name) > 64 { // X.520: ub-common-name
		name = name[:64]
	}
	return func(now time.Time) (*rsa.PrivateKey, *x509.Certificate, error) {
		pair, err := saml.NewKeyPair(name, now, pairLife)
		if err != nil {
			return nil, nil, err
		}
		return pair.Private, pair.Certificate, nil
	}
}

// readCertificates reads a file of certificates in PEM.
func readCertificates(file string) (out []*x509.Certificate, err error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s cannot be read", file)
	}
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "%s holds a certificate that cannot be read", file)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Invalid, "%s: want certificates in PEM, got none", file)
	}
	return out, nil
}
