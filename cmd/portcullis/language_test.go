package main

import (
	"net/http"
	"strings"
	"testing"
)

// What somebody chose in their account holds on every page of the gate's, in each
// of their browsers, until they sign out.
func TestALanguageThatWasChosenHoldsOnEveryPage(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database})
			w.start(t)
			b := w.browser(t)
			nowhere := func(want string) {
				t.Helper()
				if s := b.open(t, "/.portcullis/nothing-here"); s.status != http.StatusNotFound || !strings.Contains(s.body, want) {
					t.Errorf("%d %s, want %q", s.status, s.body, want)
				}
			}
			nowhere("There is no such page.")
			b.mustSignIn(t, "ada")
			nowhere("There is no such page.")
			b.call(t, http.MethodPut, "/account/preferences", `{"language":"de"}`, http.StatusOK, nil)
			nowhere("Diese Seite gibt es nicht.")
			if s := b.open(t, "/.portcullis/admin/account"); !strings.Contains(s.body, "<h1>Mein Konto</h1>") {
				t.Errorf("the account: %s", s.body)
			}
			s := b.open(t, "/.portcullis/sign-out")
			if !strings.Contains(s.body, "<h1>Abmelden?</h1>") {
				t.Errorf("the question: %s", s.body)
			}
			b.press(t, s, nil)
			nowhere("There is no such page.")
		})
	}
}
