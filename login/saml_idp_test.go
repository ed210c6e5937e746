package login_test

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/xml"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"
	"github.com/crewjam/saml/logger"

	"portcullis/config"
	"portcullis/login"
	"portcullis/saml"
)

// pairOf makes a key once in a run of the tests: they are slow to make.
var pairOf = func() func(t *testing.T, name string) saml.KeyPair {
	var mu sync.Mutex
	made := map[string]saml.KeyPair{}
	return func(t *testing.T, name string) saml.KeyPair {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if p, ok := made[name]; ok {
			return p
		}
		p, err := saml.NewKeyPair(name, time.Now(), 10*365*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		made[name] = *p
		return *p
	}
}()

// samlIDP is the library's identity provider on loopback. Its fields are set
// before a request that they concern.
type samlIDP struct {
	t      *testing.T
	server *httptest.Server
	idp    *crewjam.IdentityProvider
	person crewjam.Session
	change func(*crewjam.Assertion)
	sps    map[string]string // entity ID → where its metadata is
	extra  []*x509.Certificate
	down   atomic.Bool
	until  time.Time // of its metadata, if not zero
	slo    []*http.Request
	asked  *crewjam.AuthnRequest // the last one
}

func newSAMLIDP(t *testing.T) *samlIDP {
	t.Helper()
	p := &samlIDP{t: t, sps: map[string]string{}, person: crewjam.Session{
		ID: "s", Index: "index-1", NameID: "alice-1", NameIDFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
		CustomAttributes: []crewjam.Attribute{
			attribute("groups", "g-1", "g-2"), attribute("email", "alice@acme.example"), attribute("displayName", "Alice"), attribute("uid", "alice"),
			attribute("department", "sales"),
		},
	}}
	p.server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.server.Close)
	at := func(path string) url.URL { u, _ := url.Parse(p.server.URL + path); return *u }
	key, valid := pairOf(t, "idp"), 1000*time.Hour
	p.idp = &crewjam.IdentityProvider{
		Key: key.Private, Certificate: key.Certificate, Logger: logger.DefaultLogger, MetadataURL: at("/metadata"), SSOURL: at("/sso"),
		LogoutURL: at("/slo"), ServiceProviderProvider: p, AssertionMaker: p, ValidDuration: &valid,
		SignatureMethod: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
	}
	return p
}

func attribute(name string, values ...string) crewjam.Attribute {
	a := crewjam.Attribute{Name: name, NameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"}
	for _, v := range values {
		a.Values = append(a.Values, crewjam.AttributeValue{Type: "xs:string", Value: v})
	}
	return a
}

func (p *samlIDP) entityID() string { return p.idp.MetadataURL.String() }

// metadata is what it publishes, with both bindings and all of its keys.
func (p *samlIDP) metadata() []byte {
	m := p.idp.Metadata()
	if m.ValidUntil = m.ValidUntil.Add(1000 * time.Hour); !p.until.IsZero() {
		m.ValidUntil = p.until
	}
	role := &m.IDPSSODescriptors[0]
	for _, c := range p.extra {
		d := role.KeyDescriptors[0]
		d.KeyInfo.X509Data.X509Certificates = []crewjam.X509Certificate{{Data: encode64(c.Raw)}}
		role.KeyDescriptors = append(role.KeyDescriptors, d)
	}
	role.SingleLogoutServices = []crewjam.Endpoint{
		{Binding: saml.BindingRedirect, Location: p.idp.LogoutURL.String()}, {Binding: saml.BindingPOST, Location: p.idp.LogoutURL.String()},
	}
	text, err := xml.Marshal(m)
	if err != nil {
		p.t.Error(err)
	}
	return text
}

func (p *samlIDP) GetServiceProvider(_ *http.Request, id string) (*crewjam.EntityDescriptor, error) {
	address, ok := p.sps[id]
	if !ok {
		return nil, os.ErrNotExist
	}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	m := &crewjam.EntityDescriptor{}
	return m, xml.NewDecoder(res.Body).Decode(m)
}

func (p *samlIDP) MakeAssertion(req *crewjam.IdpAuthnRequest, s *crewjam.Session) error {
	if err := (crewjam.DefaultAssertionMaker{}).MakeAssertion(req, s); err != nil {
		return err
	}
	if p.change != nil {
		p.change(req.Assertion)
	}
	return nil
}

func (p *samlIDP) serve(w http.ResponseWriter, r *http.Request) {
	if p.down.Load() {
		panic(http.ErrAbortHandler)
	}
	switch r.URL.Path {
	case "/metadata":
		_, _ = w.Write(p.metadata())
	case "/sso":
		req, err := crewjam.NewIdpAuthnRequest(p.idp, r)
		if err == nil {
			err = req.Validate()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		p.asked = &req.Request
		p.answer(w, req)
	case "/slo":
		_ = r.ParseForm()
		p.slo = append(p.slo, r)
	}
}

func (p *samlIDP) answer(w http.ResponseWriter, req *crewjam.IdpAuthnRequest) {
	s := p.person
	s.CreateTime = time.Now()
	err := p.MakeAssertion(req, &s)
	if err == nil {
		err = req.WriteResponse(w)
	}
	if err != nil {
		p.t.Error(err)
	}
}

// unsolicited is an answer that nobody asked for.
func (p *samlIDP) unsolicited(sp, relayState string) url.Values {
	p.t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(p.t.Context(), http.MethodGet, p.server.URL+"/start", nil)
	m, err := p.GetServiceProvider(r, sp)
	if err != nil {
		p.t.Fatal(err)
	}
	role := &m.SPSSODescriptors[0]
	p.answer(w, &crewjam.IdpAuthnRequest{
		IDP: p.idp, HTTPRequest: r, RelayState: relayState, Now: time.Now(), ServiceProviderMetadata: m, SPSSODescriptor: role,
		ACSEndpoint: &role.AssertionConsumerServices[0],
	})
	_, form := formOf(p.t, w.Body.String())
	return form
}

// samlConnection is how a gate knows the identity provider: by a file.
func (p *samlIDP) connection(id string, change func(*login.SAML)) func(*login.Config) {
	return func(c *login.Config) {
		file := filepath.Join(p.t.TempDir(), "idp.xml")
		if err := os.WriteFile(file, p.metadata(), 0o600); err != nil {
			p.t.Fatal(err)
		}
		s := &login.SAML{
			MetadataFile: file, Attributes: login.Attributes(config.PresetOf("").Attributes),
			Keys: func(context.Context) ([]saml.KeyPair, error) { return []saml.KeyPair{pairOf(p.t, "gate")}, nil },
		}
		if change != nil {
			change(s)
		}
		c.Connections = append(c.Connections, login.Connection{ID: id, Organization: strings.ToUpper(id), SAML: s})
		p.sps[spName(c, id)] = spName(c, id)
	}
}

func spName(c *login.Config, id string) string {
	return c.PublicURL.String() + "/.portcullis/saml/" + id + "/metadata"
}

func all(changes ...func(*login.Config)) func(*login.Config) {
	return func(c *login.Config) {
		for _, f := range changes {
			f(c)
		}
	}
}

// formOf reads the form of a page.
func formOf(t *testing.T, page string) (action string, form url.Values) {
	t.Helper()
	found := regexp.MustCompile(`<form method="post" action="([^"]+)"`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("no form:\n%s", page)
	}
	form = url.Values{}
	for _, f := range regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		form.Set(f[1], html.UnescapeString(f[2]))
	}
	return html.UnescapeString(found[1]), form
}

// samlForm goes from the gate to the identity provider, and gives the form
// that it has the browser post.
func (b *browser) samlForm(g *gate, path string) (action string, form url.Values) {
	b.t.Helper()
	start := b.get(g.public.String() + path)
	if start.StatusCode == http.StatusOK {
		to, fields := formOf(b.t, start.body)
		start = b.do(http.MethodPost, to, fields)
	} else {
		start = b.get(start.location(b.t))
	}
	return formOf(b.t, start.body)
}

func (b *browser) samlSignIn(g *gate, path string) page {
	b.t.Helper()
	action, form := b.samlForm(g, path)
	return b.do(http.MethodPost, action, form)
}

// mirror is the identity provider's side of single logout.
func (p *samlIDP) mirror(g *gate, id string) *saml.ServiceProvider {
	p.t.Helper()
	key, ok := p.idp.Key.(*rsa.PrivateKey)
	if !ok {
		p.t.Fatal("no RSA key")
	}
	slo := g.public.String() + "/.portcullis/saml/" + id + "/slo"
	sp, err := saml.New(saml.Config{
		EntityID: p.entityID(), ACS: p.server.URL + "/acs", SLO: p.idp.LogoutURL.String(), Now: g.now,
		Signing: []saml.KeyPair{{Private: key, Certificate: p.idp.Certificate}},
		IDP: saml.IdentityProvider{
			EntityID: g.public.String() + "/.portcullis/saml/" + id + "/metadata", Certificates: []*x509.Certificate{pairOf(p.t, "gate").Certificate},
			SLO: []saml.Endpoint{{Binding: saml.BindingRedirect, Location: slo}, {Binding: saml.BindingPOST, Location: slo}},
		},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return sp
}
