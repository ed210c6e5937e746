package main

import (
	"os"

	"portcullis/config"
	"portcullis/fault"
	"portcullis/login"
	"portcullis/oidc"
)

// loginOIDC is what sign-in needs of an OpenID Connect connection.
func loginOIDC(c *config.OIDC) (out *login.OIDC, err error) {
	out = &login.OIDC{
		Provider: oidc.Config{
			Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), NextSecret: c.NextSecret.Reveal(),
			Scopes: c.Scopes, Offline: c.Refresh, AllowPrivate: c.AllowPrivate,
		},
		Claims: login.Claims{
			Groups: c.Claims.Groups, Email: c.Claims.Email, Name: c.Claims.Name, Roles: c.Claims.Roles, UserName: c.Claims.UserName,
		},
		RefreshEvery: c.RefreshEvery, Contexts: c.Contexts,
	}
	if c.Graph != nil {
		out.GraphURL = c.Graph.URL
	}
	out.JWKS, err = clientKeys(&out.Provider, c.KeyFile, c.NextKeyFile)
	return out, err
}

// clientKeys gives a client the keys of the operator's by which it proves
// itself, and what of them is published; nothing where there are none.
func clientKeys(p *oidc.Config, file, next string) (jwks func() []byte, err error) {
	if file == "" {
		return nil, nil
	}
	first, err := readKey(file)
	if err != nil {
		return nil, err
	}
	published := []*oidc.Key{first}
	p.Signer = first
	if next != "" {
		second, err := readKey(next)
		if err != nil {
			return nil, err
		}
		p.NextSigner = second
		published = append(published, second)
	}
	text, err := oidc.JWKS(published...)
	return func() []byte { return text }, err
}

func readKey(file string) (*oidc.Key, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s cannot be read", file)
	}
	k, err := oidc.ReadKey(text)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s: %s", file, fault.Message(err))
	}
	return k, nil
}
