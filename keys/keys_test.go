package keys_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"pgregory.net/rapid"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/keys"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

func open(t *testing.T, db *store.DB, file string) *keys.Ring {
	t.Helper()
	r, err := keys.Open(t.Context(), keys.Config{Store: db.Keys(), File: file, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// refuses checks that a ring does not open, in words that name the file.
func refuses(t *testing.T, db *store.DB, file string, create bool, words string) {
	t.Helper()
	_, err := keys.Open(t.Context(), keys.Config{Store: db.Keys(), File: file, Create: create})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), words) || !strings.Contains(fault.Message(err), file) {
		t.Errorf("Open = %v, want invalid, %q and the file's name", err, words)
	}
}

// claims verifies a signed statement with a key set alone.
func claims(t *testing.T, jwks []byte, text string) (out map[string]any, kid string) {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	header := jws.Signatures[0].Protected
	known := set.Key(header.KeyID)
	if len(known) != 1 || known[0].Algorithm != "ES256" || known[0].Use != "sig" || !known[0].IsPublic() {
		t.Fatalf("key %q in %s: want one public ES256 key for signatures", header.KeyID, jwks)
	}
	if typ := header.ExtraHeaders[jose.HeaderType]; typ != "JWT" {
		t.Errorf("typ = %v, want JWT", typ)
	}
	payload, err := jws.Verify(known[0])
	if err != nil {
		t.Fatalf("the key set does not verify what the ring signed: %v", err)
	}
	if err := json.Unmarshal(payload, &out); err != nil {
		t.Fatal(err)
	}
	return out, header.KeyID
}

func TestReplicasAgreeOnOneKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, openDB func() *store.DB) {
		file := filepath.Join(t.TempDir(), "gate.key")
		dbs := []*store.DB{openDB(), openDB()}
		var mu sync.Mutex
		var rings []*keys.Ring
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				r, err := keys.Open(t.Context(), keys.Config{Store: dbs[i%2].Keys(), File: file, Create: true})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				rings = append(rings, r)
			})
		}
		wg.Wait()
		rings = append(rings, open(t, dbs[0], file)) // and after a restart
		text, err := rings[0].Sign(map[string]any{"sub": "ada", "html": "<&>"})
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := rings[0].Seal("x", []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rings {
			if got, _ := claims(t, r.JWKS(), text); got["sub"] != "ada" || got["html"] != "<&>" {
				t.Errorf("claims = %v", got)
			}
			if plain, err := r.Open("x", sealed); err != nil || string(plain) != "secret" {
				t.Errorf("Open = %q, %v, want what another replica sealed", plain, err)
			}
			if bytes.Contains(r.JWKS(), []byte(`"d"`)) {
				t.Error("the key set holds a private key")
			}
		}
		created := 0
		err = dbs[0].Audit().Walk(t.Context(), func(e audit.Event, _ audit.Seal) error {
			if e.Action == audit.KeyCreated {
				created++
			}
			return nil
		})
		if err != nil || created != 1 {
			t.Errorf("%d keys created, %v, want one", created, err)
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("key file mode %v, %v, want 0600", info.Mode(), err)
		}
		left, err := filepath.Glob(file + ".*")
		if err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}

func TestTheNewestKeySignsAndAllArePublished(t *testing.T) {
	db := storetest.SQLite(t)
	file := filepath.Join(t.TempDir(), "gate.key")
	old := open(t, db, file)
	text, err := old.Sign(map[string]any{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	// Rotation, as a later release will do it: one more key, newer.
	stored, err := db.Keys().Keys(t.Context(), "assertion")
	if err != nil {
		t.Fatal(err)
	}
	both := two{db.Keys(), append([]keys.Stored{made(t, file)}, stored...)}
	r, err := keys.Open(t.Context(), keys.Config{Store: both, File: file})
	if err != nil {
		t.Fatal(err)
	}
	_, oldID := claims(t, r.JWKS(), text)
	text, err = r.Sign(map[string]any{"n": 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, id := claims(t, r.JWKS(), text); id == oldID || id != both.keys[0].ID {
		t.Errorf("signed with %s, want the newest, %s", id, both.keys[0].ID)
	}
}

// two is a store with more keys than one.
type two struct {
	keys.Store
	keys []keys.Stored
}

func (s two) Keys(ctx, string) ([]keys.Stored, error) { return s.keys, nil }

// made gives another key that the file wraps.
func made(t *testing.T, file string) keys.Stored {
	t.Helper()
	db := storetest.SQLite(t)
	open(t, db, file)
	stored, err := db.Keys().Keys(t.Context(), "assertion")
	if err != nil || len(stored) != 1 {
		t.Fatalf("keys = %v, %v, want one", stored, err)
	}
	return stored[0]
}

func TestBadKeyFilesAreRefusedInWords(t *testing.T) {
	db := storetest.SQLite(t)
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	refuses(t, db, filepath.Join(dir, "none"), false, "cannot be read")
	refuses(t, db, filepath.Join(dir, "no", "folder"), true, "cannot be made")
	refuses(t, db, write("world", good, 0o644), true, "want mode 0600, got 0644")
	refuses(t, db, write("group", good, 0o640), true, "want mode 0600, got 0640")
	refuses(t, db, write("short", good[:20], 0o600), true, "want 32 bytes in base64")
	refuses(t, db, write("empty", "", 0o600), true, "want 32 bytes in base64")
	refuses(t, db, write("text", "not base64 at all, no", 0o600), true, "want 32 bytes in base64")
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	refuses(t, db, filepath.Join(dir, "folder"), true, "cannot be read")
	if stored, err := db.Keys().Keys(t.Context(), "assertion"); err != nil || len(stored) != 0 {
		t.Errorf("keys = %v, %v: a bad file made one", stored, err)
	}
	open(t, db, write("good", good+"\n", 0o400))
	refuses(t, db, write("other", "MTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", 0o600), true, "is not the key file that wrapped the keys in this database")
	missing := filepath.Join(dir, "missing")
	refuses(t, db, missing, true, "is missing: it wrapped the keys in this database")
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Error("a new key file was made that opens nothing")
	}
}

func TestSealAndOpenAreInversesForOnePurpose(t *testing.T) {
	r := open(t, storetest.SQLite(t), filepath.Join(t.TempDir(), "gate.key"))
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		purpose, other := rapid.String().Draw(t, "purpose"), rapid.String().Draw(t, "other")
		sealed, err := r.Seal(purpose, plain)
		if err != nil {
			t.Fatal(err)
		}
		again, err := r.Seal(purpose, plain)
		if err != nil || bytes.Equal(sealed, again) {
			t.Fatalf("sealed twice the same, %v: the nonce is not random", err)
		}
		if len(plain) > 8 && bytes.Contains(sealed, plain) {
			t.Fatal("the plain text shows")
		}
		if got, err := r.Open(purpose, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Open = %x, %v, want %x", got, err, plain)
		}
		if _, err := r.Open(other, sealed); err == nil && other != purpose {
			t.Fatal("opened for another purpose")
		}
		at := rapid.IntRange(0, len(sealed)-1).Draw(t, "at")
		sealed[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		if _, err := r.Open(purpose, sealed); err == nil {
			t.Fatal("opened after a byte was altered")
		}
		if _, err := r.Open(purpose, sealed[:at]); err == nil {
			t.Fatal("opened after it was cut short")
		}
	})
}

func TestATamperedStatementIsRefused(t *testing.T) {
	r := open(t, storetest.SQLite(t), filepath.Join(t.TempDir(), "gate.key"))
	text, err := r.Sign(map[string]any{"sub": "ada"})
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(text, ".")
	parts[1] = "eyJzdWIiOiJldmUifQ"
	jws, err := jose.ParseSignedCompact(strings.Join(parts, "."), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jws.Verify(set.Keys[0]); err == nil {
		t.Error("other claims verify under the signature of these")
	}
	if _, err := r.Sign(map[string]any{"bad": make(chan int)}); err == nil {
		t.Error("what is no JSON was signed")
	}
}

func TestKeysAreStampedWithTheClockThatWasGiven(t *testing.T) {
	db := storetest.SQLite(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	_, err := keys.Open(t.Context(), keys.Config{
		Store: db.Keys(), File: filepath.Join(t.TempDir(), "k"), Create: true, Now: func() time.Time { return at },
	})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := db.Keys().Keys(t.Context(), "assertion")
	if err != nil || len(stored) != 1 || !stored[0].Created.Equal(at) {
		t.Errorf("keys = %+v, %v, want one of %v", stored, err, at)
	}
}

type ctx = context.Context
