// Package config reads portcullis.yaml: defaults, strict parsing, validation.
//
// [Load] gives a [Config] in which every value is filled in, checked and ready
// to use, or [Problems]: every mistake of the file at once, each with its line
// and column. What is not understood is refused, never ignored: unknown keys,
// keys of later versions, values of the wrong type, aliases, second documents.
//
// Secrets never stand in the file. It names a file or an environment variable
// for each, and a [Secret] cannot be printed, marshalled or logged by mistake.
// No message repeats the value of a key that holds or names a secret.
//
// It is the only package of the product that reads the environment, and it
// does so through a function that the caller hands in. It opens no connection
// and writes nothing; whether an identity provider answers or a database is
// there is asked by others. Only the command imports it: the rooms take their
// own Config structs.
package config

import (
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config is a portcullis.yaml that was understood and checked. Nothing
// changes it after [Load]; it is safe for concurrent use.
type Config struct {
	Environment    string   // the mapping file's; defaults to prod
	PublicURL      *url.URL // an origin: https, or http on loopback; lower-case host, no default port, empty path
	Listen         string   // host:port of the public listener; defaults to 127.0.0.1:8080
	OpsListen      string   // host:port of health and metrics; defaults to 127.0.0.1:9090, empty where the file says off
	Upstream       Upstream
	Database       Database
	Keys           Keys
	Mapping        Mapping
	Connections    []Connection // at least one, in the order of the file; ids are unique
	Sessions       Sessions
	Routes         []Route        // in the order of the file
	TrustedProxies []netip.Prefix // whose forwarding headers count; none by default
	ForwardAuth    []netip.Prefix // those of them that ask at /.portcullis/auth; empty for none, nil where the file does not say
	Limits         Limits
	Shutdown       Shutdown
	Traces         Traces

	TLS             *TLS // nil where something in front of the gate speaks TLS, or nobody does
	SecurityHeaders SecurityHeaders

	// Warnings are what an administrator should look at although it does not
	// keep the gate from starting, such as a secret that everyone may read.
	Warnings []Problem
}

// TLS is the certificate of the public listener.
type TLS struct {
	CertFile string // absolute; PEM, the chain behind the certificate
	KeyFile  string // absolute; PEM
}

// SecurityHeaders says what browsers are told.
type SecurityHeaders struct {
	HSTS   time.Duration // how long they ask over https alone; defaults to 365d, 0 where the file says off
	Portal bool          // also on the portal's answers, where it does not say itself
}

// Upstream is a portal behind the gate.
type Upstream struct {
	URL          *url.URL      // an origin: http or https, empty path
	Audience     string        // aud of the assertion; defaults to the origin of URL
	AnswerWithin time.Duration // how long it may take to begin its answer; defaults to 2m
	Health       string        // a path that is asked for its health; empty: nobody asks
	TLS          *UpstreamTLS  // nil where the file says nothing of it
}

// UpstreamTLS says how the gate and an https upstream know each other. Paths
// are absolute; what is empty is not said.
type UpstreamTLS struct {
	CAFile            string // PEM: the authorities that are trusted instead of the system's
	ServerName        string // that its certificate is for, instead of the URL's host
	CertFile, KeyFile string // PEM: the gate's certificate; both or neither
}

// Database says where state is kept.
type Database struct {
	// URL is "sqlite:" and an absolute path, or a postgres:// URL, which may
	// hold a password.
	URL Secret
}

// SQLite gives the absolute path of the SQLite file, and false on PostgreSQL.
func (d Database) SQLite() (string, bool) {
	return strings.CutPrefix(d.URL.Reveal(), sqliteScheme)
}

// Keys names what wraps the keys and secrets in the database.
type Keys struct {
	// File is the absolute path of the wrapping key. On SQLite it defaults to
	// gate.key beside portcullis.yaml; on PostgreSQL the file must name it,
	// because every replica needs the same one.
	File string
}

// Mapping says where the mapping is kept: in a file, or in the database.
type Mapping struct {
	File     string   // absolute; whether it is there and right is for package mapping to say. Empty where Managed
	Managed  bool     // the database holds it, edited by the tools
	Approval Approval // only where Managed
}

// Approval says which changes of the mapping need a second person. The zero
// value asks for none.
type Approval struct {
	Always     bool
	Privileged bool     // those that reach for privileged roles or change a ceiling
	PeopleOver *float64 // those that touch more than this many percent of the people, 0 to 100; nil: not asked
}

// Sessions bounds how long somebody stays signed in.
type Sessions struct {
	Idle     time.Duration // without a request; defaults to 15m, never above Absolute
	Absolute time.Duration // since sign-in; defaults to 12h, at most 30 days
	Max      int           // sessions of one person at a time: at a new sign-in the oldest ends; 0, the default: any number
}

// Shutdown says how the gate takes leave when it is asked to stop.
type Shutdown struct {
	Delay time.Duration // from "not ready" until no connection is taken, for load balancers to notice; 0 to 5m, defaults to 1s
	Drain time.Duration // what requests under way get from then on; 1s to 1h, defaults to 5s
}

// Connection is one identity provider of one organization.
type Connection struct {
	ID           string         // ^[a-z0-9][a-z0-9-]{0,62}$
	Organization string         // defaults to ID
	Domains      []string       // e-mail domains, lower case; claimed by no other organization
	Addresses    []netip.Prefix // where its people may come from; anywhere if empty
	Provisioning string         // JIT or BySCIM; defaults to JIT
	Preset       string         // whose names for claims and attributes count, see PresetOf; empty where the file does not say
	Link         string         // SCIM attribute on which a SCIM record and a sign-in meet; defaults to externalId
	OIDC         *OIDC          // nil where people sign in over SAML, or nobody does
	SAML         *SAML          // nil where people sign in over OpenID Connect, or nobody does: it only receives SCIM
	SCIM         SCIM

	SubOrganization SubOrganization
}

// SubOrganization says how the identity provider of a connection names the
// sub-organization of its people. Who is not covered is placed by hand.
type SubOrganization struct {
	Attribute string // of pushed people: an attribute of the SCIM record, of its enterprise extension, or of scim.attributes; empty for none
	Claim     string // of those who only sign in: a claim, or a SAML attribute; empty for none
}

// The ways of provisioning, which say where people come from.
const (
	JIT    = "jit"  // a person is created when they first sign in
	BySCIM = "scim" // only who was pushed over SCIM may sign in
)

// OIDC is a connection's OpenID provider and our client there.
type OIDC struct {
	Issuer        string    // exactly as in the file: it is compared with iss; https, or http on loopback
	ClientID      string    // never empty
	ClientSecret  Secret    // empty for a public client, and with KeyJWT
	NextSecret    Secret    // tried where the provider does not take ClientSecret; empty outside of a rotation
	SecretExpires time.Time // of ClientSecret, a day in UTC; zero where the file does not say
	KeyJWT        bool      // private_key_jwt: the gate proves itself with a key of its own
	KeyFile       string    // absolute; PEM with a private key of the operator's for private_key_jwt; empty for none
	NextKeyFile   string    // tried where the key of KeyFile is not taken; empty outside of a rotation
	Scopes        []string  // defaults to openid, profile, email; openid is always among them
	Claims        Claims
	Refresh       bool          // ask for a refresh token, to hear when the provider ends its session
	RefreshEvery  time.Duration // how often it is asked; 1m to 12h, defaults to 10m
	Contexts      bool          // of Microsoft Entra ID, by its preset or its issuer: c1 to c99 of a route's acr are asked for by claim
	Graph         *Graph        // nil: groups that a token leaves out stay unknown
	AllowPrivate  bool          // the provider's names may resolve into private networks
}

// Graph is where the groups of somebody are asked for who has too many for a
// token or an assertion of Microsoft Entra ID.
type Graph struct {
	URL string // without a slash at its end; defaults to https://graph.microsoft.com/v1.0

	// Client is what the tenant grants it to, of a SAML connection; nil over
	// OpenID Connect, where it is the client of the connection.
	Client *Client
}

// Client is an application of ours at an OpenID provider that nobody signs in
// through.
type Client struct {
	Issuer        string // of the tenant, exactly as in the file; https, or http on loopback
	ID            string // never empty
	Secret        Secret
	NextSecret    Secret    // tried where Secret is not taken; empty outside of a rotation
	SecretExpires time.Time // of Secret, a day in UTC; zero where the file does not say
	KeyFile       string    // absolute; PEM with the private key by which it proves itself; empty where a secret does
	NextKeyFile   string    // tried where the key of KeyFile is not taken; empty outside of a rotation
}

// Claims names the claims that facts are read from. The connection's preset
// says what they are where the file does not.
type Claims struct {
	Groups   string
	Email    string
	Name     string
	Roles    string // application roles
	UserName string
}

// SCIM says whether an identity provider may push people and groups.
type SCIM struct {
	Enabled bool

	// Attributes are those of the portal's schema extension: a name each, and
	// string, boolean, integer, decimal or dateTime (RFC 7643, section 2.3).
	// Names are unique whatever their case. Never nil.
	Attributes map[string]string

	Guard Guard
}

// Guard says what counts as a mass loss, which is recorded as one change and
// can be undone: within an hour more than People, and more than Percent of a
// hundred, of a connection's people or of a group's members.
type Guard struct {
	Percent int // 1 to 100; defaults to 20
	People  int // 1 to 1,000,000; defaults to 10
}

// maxSize bounds a configuration file, in bytes.
const maxSize = 1 << 20

// Load reads the file at path and the secrets that it names; env looks up an
// environment variable, as os.LookupEnv does. The error is [Problems], except
// for a file that cannot be read: that one wraps the reason (fs.ErrNotExist).
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file on the command line
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(path, text, env)
}

// Parse is [Load] of text that is at hand. Relative paths in it are relative
// to the folder of path, which need not exist; positions name path.
func Parse(path string, text []byte, env func(string) (string, bool)) (*Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find the configuration's folder: %w", err)
	}
	r := &reader{file: path, dir: filepath.Dir(abs), env: env}
	c := &Config{}
	if root := r.tree(text); root != nil {
		c = r.config(root)
	}
	if len(r.problems) > 0 {
		return nil, sorted(r.problems)
	}
	c.Warnings = sorted(r.warnings)
	return c, nil
}
