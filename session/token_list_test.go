package session_test

import (
	"slices"
	"testing"

	"portcullis/session"
)

// Tokens are read page by page, and of those whose they are alone.
func TestTokensAreReadPageByPage(t *testing.T) {
	both(t, func(t *testing.T, a, b *replica) {
		_, ada := a.enter("ada")
		_, ben := a.enter("ben")
		var all, hers []string
		make := func(k session.APIToken) string {
			t.Helper()
			k.Connection, k.Organization, k.Scopes = "alpha", "Alpha", []string{session.AllScopes}
			_, made, err := a.CreateToken(t.Context(), operator, k, 0)
			must(t, err)
			all = append(all, made.ID)
			return made.ID
		}
		service := ""
		for range 3 {
			hers = append(hers, make(session.APIToken{Person: ada.PersonID}))
			make(session.APIToken{Person: ben.PersonID})
			service = make(session.APIToken{Service: "nightly"})
		}
		read := func(q session.TokenQuery) (ids []string) {
			t.Helper()
			for {
				page, err := b.Tokens(t.Context(), q)
				must(t, err)
				if q.Limit > 0 && len(page) > q.Limit {
					t.Fatalf("a page of %d holds %d", q.Limit, len(page))
				}
				for i := range page {
					ids = append(ids, page[i].ID)
				}
				if q.Limit == 0 || len(page) == 0 {
					return ids
				}
				last := page[len(page)-1]
				q.Created, q.After = last.Created, last.ID
			}
		}
		of := &session.TokenOwner{Person: ada.PersonID}
		for name, tc := range map[string]struct {
			q    session.TokenQuery
			want []string
		}{
			"all":              {session.TokenQuery{}, all},
			"all by two":       {session.TokenQuery{Limit: 2}, all},
			"hers":             {session.TokenQuery{Of: of}, hers},
			"hers one by one":  {session.TokenQuery{Of: of, Limit: 1}, hers},
			"a service's own":  {session.TokenQuery{Of: &session.TokenOwner{Person: "service " + service, Token: service}}, []string{service}},
			"nobody's":         {session.TokenQuery{Of: &session.TokenOwner{}}, nil},
			"one":              {session.TokenQuery{ID: all[1]}, all[1:2]},
			"one that is hers": {session.TokenQuery{ID: hers[0], Of: of}, hers[:1]},
			"one of another":   {session.TokenQuery{ID: all[1], Of: of}, nil},
		} {
			got := read(tc.q)
			slices.Sort(got) // of those of one moment, the ids decide
			want := slices.Sorted(slices.Values(tc.want))
			if !slices.Equal(got, want) {
				t.Errorf("%s = %v, want %v", name, got, want)
			}
		}
	})
}
