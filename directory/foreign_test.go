package directory_test

import (
	"slices"
	"testing"
	"time"

	"portcullis/directory"
	"portcullis/fault"
)

// Another organization's domain in another spelling is refused, or at least
// not passed on; what was pushed stays as it was.
func TestNoSpellingOfAnotherOrganizationsAddressIsPassedOn(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		p := r.push(record("ada"))
		r.enter(says("ada"))
		for _, email := range []string{
			"ceo@(x)beta.example", "ceo@beta.(x)example", "ceo@beta. example", "ceo@beta .example", "ceo@beta\u2024example", "ceo@beta\ufe52example",
			"ceo@\"\"beta.example", "=?utf-8?q?ceo=40beta=2Eexample?=", "ceo&#64;beta.example", "mailto:ceo%40beta.example", "ceo@_beta.example",
			"ceo@beta.exampl\u00ad\u00e9", "ceo@b\u200deta.example", "ceo@xn--beta-.example", "ceo@beta.example\r\n", "ceo@.beta.example",
		} {
			r.revise(p.ID, func(rec *directory.Record) { rec.Email = email })
			asserted := says("eve")
			asserted.Email = email
			for _, a := range []directory.Assertion{says("ada"), asserted} {
				in, err := r.signIn(a)
				if err != nil && !fault.Is(err, fault.Forbidden) {
					t.Fatal(err)
				}
				facts := in.Standing.Facts()
				if err == nil && (facts.Email != "" || facts.EmailVerified || in.Person.Address() != "") {
					t.Errorf("%q is passed on as %q, verified: %v", email, in.Person.Address(), facts.EmailVerified)
				}
			}
			if now, err := r.LookAt(t.Context(), p.ID, time.Time{}); err != nil || now.Person.Email != email {
				t.Errorf("the pushed address is %q, %v, want %q as it came", now.Person.Email, err, email)
			}
		}
	})
}

func TestAnAddressIsPassedOnInNormalForm(t *testing.T) {
	for email, want := range map[string]string{
		"Ada.Lovelace+x@Alpha.example": "Ada.Lovelace+x@Alpha.example", "jos\u00e9@b\u00fccher.example": "jos\u00e9@b\u00fccher.example",
		"jose\u0301@alpha.example": "jos\u00e9@alpha.example", "\uff41da\uff20alpha\uff0eexample": "ada@alpha.example", "ada@localhost": "ada@localhost",
		"ada@xn--bcher-kva.example": "ada@xn--bcher-kva.example", "": "", "ada": "", "a..b@alpha.example": "", "ada@[192.0.2.1]": "", "ada@alpha.example,bo@alpha.example": "",
	} {
		p := directory.Person{Email: email}
		if got := p.Address(); got != want {
			t.Errorf("Address of %q = %q, want %q", email, got, want)
		}
	}
}

// A portal that still reads ß as ss (IDNA2003) is not told that somebody is
// another organization's.
func TestADomainIsForeignAsOlderReadersReadIt(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.must(r.SetConnections(t.Context(), append(slices.Clone(connections), directory.Connection{
			ID: "gamma", Organization: "Gamma", Domains: []string{"strasse.example"}, Provisioning: directory.JIT,
		})))
		a := says("eve")
		a.Email = "eve@stra\u00dfe.example"
		r.refused(a, fault.Forbidden, "the e-mail address that your identity provider sent belongs to another organization")
	})
}

// Whoever looks at somebody sees the same bar as a request, in every list.
func TestEveryStandingKnowsAForeignAddress(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ada, cy := r.push(record("ada")), r.push(record("cy"))
		r.revise(cy.ID, func(rec *directory.Record) { rec.Email = "cy@beta.example" })
		var all []directory.Standing
		for _, id := range []string{ada.ID, cy.ID} {
			s, err := r.LookAt(t.Context(), id, r.now)
			r.must(err)
			all = append(all, s)
		}
		r.must(r.Standings(t.Context(), r.now, func(s directory.Standing) error { all = append(all, s); return nil }))
		page, _, err := r.StandingsAfter(t.Context(), r.now, 0, 10)
		r.must(err)
		named, err := r.StandingsOf(t.Context(), []string{ada.ID, cy.ID})
		r.must(err)
		all = append(append(all, page...), named...)
		if len(all) != 8 {
			t.Fatalf("%d standings, want 8", len(all))
		}
		for i := range all {
			if err := all[i].Bar(); fault.Is(err, fault.Forbidden) != (all[i].Person.ID == cy.ID) {
				t.Errorf("Bar of %s = %v", all[i].Person.UserName, err)
			}
		}
	})
}

func TestOnlyOtherOwnersOfDomainsMakeEverybodyBeJudgedAnew(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		changes := func(next []directory.Connection) []string {
			t.Helper()
			return r.during(nil, func() { r.must(r.SetConnections(t.Context(), next)) }).Changes
		}
		if got := changes(connections); len(got) > 0 {
			t.Errorf("the same connections wrote %q", got)
		}
		next := slices.Clone(connections)
		next[2].Domains = []string{"beta.example", "new.example"}
		if got := changes(next); len(got) != 1 {
			t.Errorf("a claim wrote %q, want one change", got)
		}
		if got := changes(connections); len(got) != 1 {
			t.Errorf("a claim that ended wrote %q, want one change", got)
		}
	})
}
