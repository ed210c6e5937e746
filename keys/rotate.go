package keys

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"

	"portcullis/audit"
	"portcullis/fault"
)

// Assertion is the purpose of the keys that sign what the portal receives.
const Assertion = signing

// PublishAhead is how long a new key of the assertion is published before it
// signs: portals keep the key set for five minutes. KeepPublished is how long
// the former one stays published: an assertion is handed out for a minute and
// lives for five.
const (
	PublishAhead  = 10 * time.Minute
	KeepPublished = 15 * time.Minute
)

// Listed is a key for people to see.
type Listed struct {
	ID        string
	Purpose   string
	State     string // next, signing, published (it signed lately) or retired; of SAML pairs: in use
	Created   time.Time
	Activates time.Time // zero: from the beginning
}

// List gives every key in the store, without opening one.
func List(ctx context.Context, s Store, now time.Time) ([]Listed, error) {
	all, err := s.Keys(ctx, "")
	if err != nil {
		return nil, err
	}
	of := make(map[string][]Stored)
	var purposes []string
	for _, k := range all {
		if of[k.Purpose] == nil {
			purposes = append(purposes, k.Purpose)
		}
		of[k.Purpose] = append(of[k.Purpose], k)
	}
	slices.Sort(purposes)
	var out []Listed
	for _, p := range purposes {
		good := unretired(of[p], now)
		signs := false
		for i, k := range sorted(of[p]) {
			l := Listed{ID: k.ID, Purpose: p, Created: k.Created, Activates: k.Activates, State: "published"}
			switch {
			case isPair(p):
				l.State = "in use" // which pair signs stands in its certificates
			case i >= len(good):
				l.State = "retired"
			case now.Before(k.Activates):
				l.State = "next"
			case !signs:
				l.State, signs = "signing", true
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// sorted puts the keys of one purpose in the order in which they sign, the
// last one first.
func sorted(stored []Stored) []Stored {
	stored = slices.Clone(stored)
	slices.SortStableFunc(stored, func(a, b Stored) int { return b.Activates.Compare(a.Activates) })
	return stored
}

// unretired are the keys whose signatures may still be under way, sorted. A
// key retires when its successor has signed for long enough.
func unretired(stored []Stored, now time.Time) []Stored {
	stored = sorted(stored)
	for i, k := range stored {
		if !k.Activates.IsZero() && !now.Before(k.Activates.Add(KeepPublished)) {
			return stored[:i+1]
		}
	}
	return stored
}

// Rotate makes a further key of a purpose, which is published at once and
// signs after a while. Nobody is signed out. It fails with fault.Conflict
// while another key is waiting.
func (r *Ring) Rotate(ctx context.Context, by audit.Actor, purpose string, after time.Duration) (Stored, error) {
	now := r.now().UTC()
	stored, err := r.store.Keys(ctx, purpose)
	if err != nil {
		return Stored{}, err
	}
	if len(stored) == 0 {
		return Stored{}, fault.New(fault.NotFound, "there are no keys for %q", purpose)
	}
	if after < 0 {
		return Stored{}, fault.New(fault.Invalid, "a key cannot begin to sign in the past")
	}
	k, err := r.generate(purpose, now)
	if err != nil {
		return k, err
	}
	k.Activates = now.Add(after)
	var retire []string
	for _, old := range sorted(stored)[len(unretired(stored, now)):] {
		retire = append(retire, old.ID)
	}
	return k, r.store.RotateKey(ctx, k, retire, now, audit.Event{
		At: now, Action: audit.KeyCreated, Actor: by, Subject: k.ID,
		Detail: map[string]string{"purpose": purpose, "signs": k.Activates.Format(time.RFC3339)},
	})
}

// opens reports whether the key that seals opens what is stored.
func (r *Ring) opens(stored []Stored) bool {
	return allOpen((*r.masters.Load())[0], stored)
}

func allOpen(master []byte, stored []Stored) bool {
	for _, k := range stored {
		if _, err := openWith([][]byte{master}, "key "+k.Purpose, k.Sealed); err != nil {
			return false
		}
	}
	return true
}

// adopt looks for the key that wraps what is stored: in the key file, and in
// the one that lies beside it during a rotation. The former one goes on to
// open what was sealed a moment ago.
func (r *Ring) adopt(ctx context.Context, stored []Stored) {
	for _, file := range []string{r.file, r.file + nextSuffix} {
		master, err := readKeyFile(file, false)
		if err != nil || !allOpen(master, stored) {
			continue
		}
		r.masters.Store(&[][]byte{master, (*r.masters.Load())[0]})
		r.log.InfoContext(ctx, "another wrapping key is in use", "file", file)
		return
	}
}

// Beside the key file: the one that a rotation leads to, and the one that it
// came from.
const (
	nextSuffix = ".next"
	oldSuffix  = ".old"
)

// Rewrap wraps everything in the database with the key of another file,
// making the file if it is missing, in one transaction, and puts that key in
// the place of the key file; what was there is kept beside it, as .old. Called
// again it wraps what a gate has sealed with the former key meanwhile. It
// gives how many values it wrapped.
func (r *Ring) Rewrap(ctx context.Context, by audit.Actor, newFile string) (changed int, err error) {
	master, err := readKeyFile(newFile, true)
	if err != nil {
		return 0, err
	}
	// Until the end there is a file with either key: a loss of power in the
	// middle leaves a gate that starts.
	next := r.file + nextSuffix
	if err := replaceFile(next, master); err != nil {
		return 0, err
	}
	former := *r.masters.Load()
	reseal := func(purpose string, sealed []byte) ([]byte, error) {
		if _, err := openWith([][]byte{master}, purpose, sealed); err == nil {
			return nil, nil //nolint:nilnil // it stays as it is
		}
		plain, err := openWith(former, purpose, sealed)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "something in the database was wrapped neither by %s nor by %s", r.file, newFile)
		}
		return seal(master, purpose, plain)
	}
	changed, err = r.store.Rewrap(ctx, reseal, func(n int) audit.Event {
		return audit.Event{At: r.now().UTC(), Action: audit.KeysRewrapped, Actor: by, Detail: map[string]string{"values": strconv.Itoa(n)}}
	})
	if err != nil {
		return 0, err
	}
	r.masters.Store(&[][]byte{master, former[0]})
	return changed, r.install(master, next)
}

// install makes a key the one in the key file.
func (r *Ring) install(master []byte, next string) error {
	if now, err := readKeyFile(r.file, false); err == nil && slices.Equal(now, master) {
		return ignoreMissing(os.Remove(next))
	}
	old := r.file + oldSuffix
	if err := ignoreMissing(os.Remove(old)); err != nil {
		return fault.Wrap(fault.Invalid, err, "%s cannot be replaced", old)
	}
	if err := os.Link(r.file, old); err != nil {
		return fault.Wrap(fault.Invalid, err, "%s cannot be kept as %s", r.file, old)
	}
	return fault.Wrap(fault.Invalid, os.Rename(next, r.file), "%s cannot be replaced", r.file)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
