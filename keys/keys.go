// Package keys keeps the gate's own keys: the ones that sign what the portal
// receives, and the one that seals secrets at rest.
//
// Signing keys live in the database, so that replicas share them, wrapped by
// the key file, so that a stolen database opens nothing. The key file is 32
// random bytes in base64, mode 0600.
//
// The package does not hold the secrets of identity providers; those come
// from the configuration.
package keys

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"portcullis/audit"
	"portcullis/fault"
)

// Stored is a wrapped key.
type Stored struct {
	ID      string // the kid
	Purpose string
	Created time.Time
	Sealed  []byte

	Activates time.Time // when it begins to sign; zero: from the beginning
}

// Store keeps wrapped keys.
type Store interface {
	// Keys gives the keys of a purpose, the newest first; of every purpose if
	// it is empty.
	Keys(ctx context.Context, purpose string) ([]Stored, error)

	// InsertFirstKey stores a key if its purpose has none yet, together with
	// the event, and does nothing otherwise: two replicas that start at the
	// same time agree on one.
	InsertFirstKey(ctx context.Context, k Stored, e audit.Event) error

	// RotateKey stores a further key of a purpose, together with the event,
	// and forgets those that retire. It fails with fault.Conflict if one of
	// the purpose is waiting to sign at that time already.
	RotateKey(ctx context.Context, k Stored, retire []string, now time.Time, e audit.Event) error

	// Rewrap puts in place of everything that is sealed what f makes of it,
	// in one transaction with the event. f gives nil for what stays as it is;
	// when nothing changes there is no event.
	Rewrap(ctx context.Context, f func(purpose string, sealed []byte) ([]byte, error), e func(changed int) audit.Event) (changed int, err error)

	// InsertNextKey stores a key, with the event, while the newest of its
	// purpose is the one called after (empty: none), and does nothing otherwise.
	InsertNextKey(ctx context.Context, k Stored, after string, e audit.Event) error

	// WithdrawKey forgets a key, with the event, and gives its purpose.
	// succeed is given all keys of that, the newest first, and the one that is
	// gone; what it says is put in its place in the same transaction, and
	// replacement is its id. It may be asked several times. It fails with
	// fault.NotFound.
	WithdrawKey(ctx context.Context, id string, succeed func(all []Stored, gone Stored) (Succession, error), now time.Time, e func(purpose, replacement string) audit.Event) (purpose, replacement string, err error)
}

// Config is what a Ring needs.
type Config struct {
	Store  Store  // required
	File   string // path of the key file; required
	Create bool   // make the file when it is missing
	// Withdrawn is called by [Ring.Run] once nothing is signed any more with a
	// key of the assertion that is gone: what it signed has to be forgotten.
	Withdrawn func()
	Now       func() time.Time // defaults to time.Now
	Log       *slog.Logger     // defaults to discarding
}

// Ring holds the keys of a running gate. It is safe for concurrent use.
type Ring struct {
	*Signer // of assertions

	masters   atomic.Pointer[[][]byte] // the first seals, each opens
	file      string
	store     Store
	withdrawn func()
	confirmed atomic.Pointer[time.Time] // when the keys were read last; nil while nobody reads them again
	now       func() time.Time
	log       *slog.Logger

	latest atomic.Pointer[map[string][]Stored] // by purpose, as they were read last; nil before

	mu        sync.Mutex
	clients   map[string]*Signer   // by purpose
	unwrapped map[string]unwrapped // by purpose
}

const signing = "assertion"

// Open reads the key file and the signing keys, making whichever is missing.
// It fails with fault.Invalid when the key file is not one, is readable by
// others, or is not the one that wrapped the keys in the database.
func Open(ctx context.Context, c Config) (*Ring, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Withdrawn == nil {
		c.Withdrawn = func() {}
	}
	stored, err := c.Store.Keys(ctx, signing)
	if err != nil {
		return nil, err
	}
	// A new file would not open what an old one wrapped.
	master, err := readKeyFile(c.File, c.Create && len(stored) == 0)
	if errors.Is(err, fs.ErrNotExist) && len(stored) > 0 {
		return nil, fault.Wrap(fault.Invalid, err, "%s is missing: it wrapped the keys in this database, and nothing else opens them", c.File)
	}
	if err != nil {
		return nil, err
	}
	r := &Ring{file: c.File, store: c.Store, withdrawn: c.Withdrawn, now: c.Now, log: c.Log, clients: make(map[string]*Signer), unwrapped: make(map[string]unwrapped)}
	r.masters.Store(&[][]byte{master})
	if len(stored) > 0 && !r.opens(stored) {
		r.adopt(ctx, stored)
	}
	r.Signer, err = r.signer(ctx, signing, stored)
	return r, err
}

// Client gives the signer with which the gate proves itself to the identity
// provider of a connection (private_key_jwt), making its key if there is none
// yet. Every connection has a key of its own, which rotates like that of the
// assertion.
func (r *Ring) Client(ctx context.Context, connection string) (*Signer, error) {
	purpose := ClientPurpose(connection)
	stored, err := r.store.Keys(ctx, purpose)
	if err != nil {
		return nil, err
	}
	s, err := r.signer(ctx, purpose, stored)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients[purpose] = s
	return s, nil
}

// ClientPurpose is the purpose of the keys of [Ring.Client].
func ClientPurpose(connection string) string { return "client " + connection }

// signer makes the signer of a purpose out of its keys, and the first key if
// there is none.
func (r *Ring) signer(ctx context.Context, purpose string, stored []Stored) (s *Signer, err error) {
	if len(stored) == 0 {
		if err := r.create(ctx, purpose, r.now().UTC()); err != nil {
			return nil, err
		}
		if stored, err = r.store.Keys(ctx, purpose); err != nil {
			return nil, err
		}
	}
	return r.load(purpose, stored)
}

func (r *Ring) create(ctx context.Context, purpose string, now time.Time) error {
	k, err := r.generate(purpose, now)
	if err != nil {
		return err
	}
	return r.store.InsertFirstKey(ctx, k,
		audit.Event{At: now, Action: audit.KeyCreated, Actor: audit.Gate(), Subject: k.ID, Detail: map[string]string{"purpose": purpose}})
}

// generate makes a key and wraps it.
func (r *Ring) generate(purpose string, now time.Time) (Stored, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Stored{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Stored{}, err
	}
	sealed, err := r.Seal("key "+purpose, der)
	return Stored{ID: strings.ToLower(rand.Text()[:16]), Purpose: purpose, Created: now, Sealed: sealed}, err
}

// load unwraps the keys of a purpose.
func (r *Ring) load(purpose string, stored []Stored) (*Signer, error) {
	s := &Signer{now: r.now}
	held, err := r.unwrap(purpose, stored)
	s.held.Store(held)
	return s, err
}

// unwrap gives the keys in the order in which they come to sign, the last one
// first, and the set of those that are published.
func (r *Ring) unwrap(purpose string, stored []Stored) (*held, error) {
	stored = unretired(stored, r.now())
	h := &held{stored: stored}
	var set jose.JSONWebKeySet
	for _, k := range stored {
		der, err := r.Open("key "+purpose, k.Sealed)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "%s is not the key file that wrapped the keys in this database", r.file)
		}
		parsed, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil, err
		}
		key, ok := parsed.(*ecdsa.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("key %s: want an ECDSA key, got %T", k.ID, parsed)
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: k.ID, Algorithm: string(jose.ES256), Use: "sig"})
		options := (&jose.SignerOptions{}).WithType("JWT")
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: k.ID}}, options)
		if err != nil {
			return nil, err
		}
		h.keys = append(h.keys, signingKey{signer, k.Activates})
	}
	var err error
	h.jwks, err = json.Marshal(set)
	return h, err
}

// Signer signs with the keys of one purpose. It is safe for concurrent use.
type Signer struct {
	held atomic.Pointer[held]
	now  func() time.Time
}

type held struct {
	keys   []signingKey
	jwks   []byte
	stored []Stored // what they were unwrapped from
}

type signingKey struct {
	signer    jose.Signer
	activates time.Time
}

// Sign gives claims as a compact JWS, ES256, with the key's kid: of the keys
// that may sign by now, the one that came last.
func (s *Signer) Sign(claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	now := s.now()
	for _, k := range s.held.Load().keys {
		if now.Before(k.activates) {
			continue
		}
		jws, err := k.signer.Sign(payload)
		if err != nil {
			return "", err
		}
		return jws.CompactSerialize()
	}
	return "", fault.New(fault.Unavailable, "no key may sign yet")
}

// JWKS is the public half as a JSON Web Key Set (RFC 7517, section 5): with
// the key that signs, the one that will, and those that signed lately.
func (s *Signer) JWKS() []byte { return s.held.Load().jwks }

// Seal encrypts plain for one purpose; what was sealed for another does not
// open.
func (r *Ring) Seal(purpose string, plain []byte) ([]byte, error) {
	return seal((*r.masters.Load())[0], purpose, plain)
}

func seal(master []byte, purpose string, plain []byte) ([]byte, error) {
	aead, err := aeadOf(master, purpose)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plain, nil), nil //nolint:gosec // G407: this AEAD makes its own random nonce and takes none
}

// Open decrypts what Seal gave for the same purpose.
func (r *Ring) Open(purpose string, sealed []byte) ([]byte, error) {
	return openWith(*r.masters.Load(), purpose, sealed)
}

func openWith(masters [][]byte, purpose string, sealed []byte) (plain []byte, err error) {
	for _, master := range masters {
		aead, failed := aeadOf(master, purpose)
		if failed != nil {
			return nil, failed
		}
		if plain, err = aead.Open(nil, nil, sealed, nil); err == nil {
			return plain, nil
		}
	}
	return nil, err
}

// aeadOf is AES-256-GCM with random nonces under a key of the purpose's own.
func aeadOf(master []byte, purpose string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, master, nil, "portcullis seal 1 "+purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// readKeyFile reads the master key, making the file if that is allowed.
func readKeyFile(path string, create bool) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err := writeKeyFile(path); err != nil {
			return nil, err
		}
		info, err = os.Stat(path)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the key file %s cannot be read", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Invalid, "%s: want mode 0600, got %#o: others can read the key file", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the key file %s cannot be read", path)
	}
	master, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(master) != 32 {
		return nil, fault.New(fault.Invalid, "%s: want 32 bytes in base64", path)
	}
	return master, nil
}

// writeKeyFile makes a key file; of two that try at once, one wins.
func writeKeyFile(path string) error {
	master := make([]byte, 32)
	_, _ = rand.Read(master) // never fails
	temp := path + "." + rand.Text()[:8]
	err := writeDurably(temp, base64.StdEncoding.EncodeToString(master)+"\n")
	if err == nil {
		err = os.Link(temp, path) // fails if another got there first, whose key then counts
	}
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if gone := os.Remove(temp); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return fault.Wrap(fault.Invalid, err, "the key file %s cannot be made", path)
}

// replaceFile puts a key into a file, whole or not at all.
func replaceFile(path string, master []byte) error {
	temp := path + "." + rand.Text()[:8]
	err := writeDurably(temp, base64.StdEncoding.EncodeToString(master)+"\n")
	if err == nil {
		err = os.Rename(temp, path)
	}
	return fault.Wrap(fault.Invalid, err, "%s cannot be written", path)
}

// writeDurably writes a new file that is there after a loss of power, too:
// the database will hold keys that nothing else opens.
func writeDurably(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // beside the file that the operator names
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
