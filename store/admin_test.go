package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/admin"
	"portcullis/directory"
	"portcullis/store"
	"portcullis/store/storetest"
)

// crowd fills a database with n people: every 500th is locked, every 333rd
// deactivated, half of them never signed in, a tenth is of connection beta.
func crowd(tb testing.TB, databaseURL string, n int) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), store.Config{URL: databaseURL})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	raw := storetest.Raw(tb, databaseURL)
	for _, statement := range []string{
		"INSERT INTO organizations (name) VALUES ('Alpha'), ('Beta')",
		fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO people (id, connection, organization, user_name, user_name_key, external_id, link, name, name_key, email, email_key,
				email_verified, provisioned, idp_active, locked_at, attributes, version, created, modified, last_active)
			SELECT 'p' || i, CASE WHEN i %% 10 = 0 THEN 'beta' ELSE 'alpha' END, CASE WHEN i %% 10 = 0 THEN 'Beta' ELSE 'Alpha' END,
				'user' || i || '@alpha.example', 'user' || i || '@alpha.example', 'x' || i, '',
				'Given' || (i * 7919 %% 5003) || ' Family' || i, 'given' || (i * 7919 %% 5003) || ' family' || i,
				'mail' || i || '@alpha.example', 'mail' || i || '@alpha.example', FALSE, TRUE, i %% 333 <> 0,
				CASE WHEN i %% 500 = 0 THEN 1 ELSE 0 END, '{}', 1, i, i, CASE WHEN i %% 2 = 0 THEN i ELSE 0 END FROM n`, n),
		"ANALYZE",
	} {
		if _, err := raw.ExecContext(tb.Context(), statement); err != nil {
			tb.Fatal(err)
		}
	}
	return db
}

// pages are what administrators ask of the list of people.
var pages = map[string]admin.PeopleQuery{
	"first":                 {Order: admin.ByName},
	"last":                  {Order: admin.ByName, Descending: true},
	"middle":                {Order: admin.ByName, After: &admin.Place{Value: "given5", Seq: 1}},
	"middle, descending":    {Order: admin.ByName, After: &admin.Place{Value: "given5", Seq: 1}, Descending: true},
	"by e-mail":             {Order: admin.ByEmail},
	"by last active":        {Order: admin.ByActive, Descending: true},
	"by creation":           {Order: admin.ByCreated},
	"locked":                {Order: admin.ByName, State: directory.Locked},
	"deactivated":           {Order: admin.ByName, State: directory.Deactivated},
	"active":                {Order: admin.ByName, State: directory.Active},
	"locked of one":         {Order: admin.ByName, State: directory.Locked, Organization: "Beta"},
	"never in":              {Order: admin.ByName, NeverIn: true},
	"organization":          {Order: admin.ByName, Organization: "Beta"},
	"connection":            {Order: admin.ByName, Connection: "beta"},
	"connection, by e-mail": {Order: admin.ByEmail, Connection: "beta"},
	"nobody's source":       {Order: admin.ByName, Source: "sso"},
	"search, one":           {Order: admin.ByName, Text: "family4711"},
	"search, everybody":     {Order: admin.ByName, Text: "alpha.example"},
	"search, some":          {Order: admin.ByName, Text: "family47"},
	"search, two words":     {Order: admin.ByName, Text: "given1 family99"},
	"search, nobody":        {Order: admin.ByName, Text: "nobody"},
	"search, two letters":   {Order: admin.ByName, Text: "11"},
	"search in one":         {Order: admin.ByName, Text: "family11", Organization: "Beta"},
}

func BenchmarkPeople(b *testing.B) {
	for _, url := range []string{"sqlite:" + b.TempDir() + "/p.db", storetest.PostgresURL(b)} {
		name, _, _ := strings.Cut(url, ":")
		db := crowd(b, url, 100_000)
		for what, q := range pages {
			b.Run(name+"/"+what, func(b *testing.B) {
				q.Limit = 50
				for b.Loop() {
					if _, _, err := db.Admin().People(b.Context(), q); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(name+"/counts", func(b *testing.B) {
			for b.Loop() {
				if _, err := db.Admin().PeopleCounts(b.Context(), ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Pages joined are the whole list, in its order, whatever is asked: nobody
// twice, nobody missing.
func TestPagesOfPeopleAreTheWholeList(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db := crowd(t, databaseURL, 3000)
		list := func(q admin.PeopleQuery) (ids []string) {
			for {
				people, next, err := db.Admin().People(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range people {
					ids = append(ids, p.ID)
				}
				if q.After = next; next == nil {
					return ids
				}
			}
		}
		for what, q := range pages {
			q.After, q.Limit = nil, 10_000
			want := list(q)
			if want == nil && what != "search, nobody" && what != "nobody's source" && what != "search, one" {
				t.Errorf("%s: nobody found", what)
			}
			q.Limit = 97
			if diff := cmp.Diff(want, list(q)); diff != "" {
				t.Errorf("%s: pages differ from the list (-list +pages):\n%s", what, diff)
			}
			q.Descending = !q.Descending
			back := list(q)
			slices.Reverse(back)
			if diff := cmp.Diff(want, back); diff != "" {
				t.Errorf("%s: the other way around it is another list:\n%s", what, diff)
			}
		}
	})
}

// A search finds what a look at everybody finds, and follows changes.
func TestASearchFindsWhatIsThere(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db := crowd(t, databaseURL, 50)
		raw := storetest.Raw(t, databaseURL)
		found := func(text string) (ids []string) {
			people, _, err := db.Admin().People(t.Context(), admin.PeopleQuery{Text: text, Order: admin.ByCreated, Limit: 100})
			if err != nil {
				t.Errorf("People(%q): %v", text, err)
			}
			for _, p := range people {
				ids = append(ids, p.ID)
			}
			return ids
		}
		odd := `o'né "q" 100%_\ *(x) <script> ` + strings.Repeat("ü", 3000)
		_, err := db.Admin().PeopleCounts(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		err = db.Directory().Update(t.Context(), func(tx directory.Tx) error {
			p, err := tx.Person("p7")
			if err != nil {
				return err
			}
			p.Name, p.Version, p.Modified = odd, 2, time.UnixMicro(9).UTC()
			return tx.UpdatePerson(p, "")
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{`O'NÉ`, `"q"`, `100%_\`, "*(x)", "<script>", "üüüü", `"`, `%_`, "né 100", "ÜÜÜ user7@"} {
			if got := found(text); !slices.Equal(got, []string{"p7"}) {
				t.Errorf("People(%q) = %v, want p7", text, got)
			}
		}
		for _, text := range []string{"family7 ", "x y z", "%%%", "___", "AND OR NOT", "alpha.example nobody", "given\x01", strings.Repeat("a ", 100)} {
			if got := found(text); slices.Contains(got, "p7") && text != "alpha.example nobody" && !strings.HasPrefix(text, "a ") {
				t.Errorf("People(%q) = %v, want nobody called so", text, got)
			}
		}
		if _, err := raw.ExecContext(t.Context(), "DELETE FROM people WHERE id = 'p7'"); err != nil {
			t.Fatal(err)
		}
		if got := found("<script>"); got != nil {
			t.Errorf("after the deletion: %v", got)
		}
	})
}
