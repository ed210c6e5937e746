package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/fault"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestTokens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		s := db.Tokens()
		one := scim.Token{ID: "t1", Connection: "alpha", Hash: []byte{1}, Note: "first", Created: start}
		two := scim.Token{ID: "t2", Connection: "beta", Hash: []byte{2}, Created: start, Expires: start.Add(time.Hour)}
		for _, k := range []scim.Token{one, two} {
			if err := s.InsertToken(t.Context(), k, happened); err != nil {
				t.Fatal(err)
			}
		}
		clash := two
		clash.ID = "t3"
		if err := s.InsertToken(t.Context(), clash, happened); !fault.Is(err, fault.Conflict) {
			t.Errorf("the same hash = %v, want conflict", err)
		}
		if got, err := s.TokenByHash(t.Context(), one.Hash); err != nil || cmp.Diff(one, got) != "" {
			t.Errorf("TokenByHash = %+v, %v, want %+v", got, err, one)
		}
		for _, hash := range [][]byte{nil, {}, {9}} {
			if _, err := s.TokenByHash(t.Context(), hash); !fault.Is(err, fault.NotFound) {
				t.Errorf("TokenByHash(%v) = %v, want not found", hash, err)
			}
		}
		if err := s.TouchToken(t.Context(), "t1", start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		before := actions(t, db)
		for range 2 { // revoked once
			if err := s.RevokeToken(t.Context(), "t1", start.Add(time.Hour), happened); err != nil {
				t.Fatal(err)
			}
		}
		if n := actions(t, db) - before; n != 1 {
			t.Errorf("%d events of two revocations, want one", n)
		}
		one.LastUsed, one.Revoked = start.Add(time.Minute), start.Add(time.Hour)
		for connection, want := range map[string][]scim.Token{"": {one, two}, "alpha": {one}, "beta": {two}, "gamma": {}} {
			if got, err := s.Tokens(t.Context(), connection); err != nil || cmp.Diff(want, got) != "" {
				t.Errorf("Tokens(%q) = %+v, %v, want %+v", connection, got, err, want)
			}
		}
		if err := s.RevokeToken(t.Context(), "none", start, happened); !fault.Is(err, fault.NotFound) {
			t.Errorf("RevokeToken of none = %v, want not found", err)
		}
		if err := s.TouchToken(t.Context(), "none", start); !fault.Is(err, fault.NotFound) {
			t.Errorf("TouchToken of none = %v, want not found", err)
		}
	})
}

func TestAccessTokensAreTheirClients(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db, other := open(), open()
		s := db.Tokens()
		client := scim.Token{ID: "c1", Connection: "alpha", Client: true, PublicKey: "{}", Hash: []byte{1}, Created: start, Expires: start.Add(90 * time.Minute)}
		if err := s.InsertToken(t.Context(), client, happened); err != nil {
			t.Fatal(err)
		}
		if got, err := s.TokenByID(t.Context(), "c1"); err != nil || cmp.Diff(client, got) != "" {
			t.Errorf("TokenByID = %+v, %v, want %+v", got, err, client)
		}
		if _, err := s.TokenByID(t.Context(), "none"); !fault.Is(err, fault.NotFound) {
			t.Errorf("TokenByID of none = %v, want not found", err)
		}
		access := scim.Access{Hash: []byte{2}, Client: "c1", Expires: start.Add(time.Hour), Assertion: []byte{9}, Until: start.Add(5 * time.Minute)}
		if err := s.InsertAccess(t.Context(), access, start); err != nil {
			t.Fatal(err)
		}
		again := scim.Access{Hash: []byte{3}, Client: "c1", Expires: start.Add(2 * time.Hour), Assertion: []byte{9}, Until: access.Until}
		if err := other.Tokens().InsertAccess(t.Context(), again, start); !fault.Is(err, fault.Conflict) {
			t.Errorf("the same assertion = %v, want conflict", err)
		}
		want := client
		want.Hash, want.Expires = access.Hash, access.Expires
		if got, err := other.Tokens().TokenByAccess(t.Context(), access.Hash); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("TokenByAccess = %+v, %v, want %+v", got, err, want)
		}
		again.Assertion = nil
		if err := s.InsertAccess(t.Context(), again, access.Expires.Add(time.Second)); err != nil { // and access has expired
			t.Fatal(err)
		}
		want.Hash, want.Expires = again.Hash, client.Expires
		if got, err := s.TokenByAccess(t.Context(), again.Hash); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("TokenByAccess = %+v, %v, want %+v", got, err, want)
		}
		for _, hash := range [][]byte{access.Hash, client.Hash, nil} {
			if _, err := s.TokenByAccess(t.Context(), hash); !fault.Is(err, fault.NotFound) {
				t.Errorf("TokenByAccess(%v) = %v, want not found", hash, err)
			}
		}
		if err := s.RevokeToken(t.Context(), "c1", start, happened); err != nil {
			t.Fatal(err)
		}
		if got, err := other.Tokens().TokenByAccess(t.Context(), again.Hash); err != nil || got.Revoked.IsZero() {
			t.Errorf("TokenByAccess = %+v, %v, want a revoked client", got, err)
		}
	})
}
