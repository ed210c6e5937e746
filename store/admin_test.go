package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portcullis/admin"
	"portcullis/directory"
	"portcullis/store"
	"portcullis/store/storetest"
)

// crowd fills a database with n people: every 500th is locked, every 333rd
// deactivated, half of them never signed in, a tenth is of connection beta,
// and a fifth of those in a unit, of which one is closed.
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
		"INSERT INTO units (id, organization, name, name_key, created, closed) VALUES ('u1', 'Beta', 'One', 'one', 1, TRUE), ('u2', 'Beta', 'Two', 'two', 1, FALSE)",
		fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO people (id, connection, organization, user_name, user_name_key, external_id, link, name, name_key, email, email_key,
				email_verified, provisioned, idp_active, locked_at, attributes, version, created, modified, last_active, unit)
			SELECT 'p' || i, CASE WHEN i %% 10 = 0 THEN 'beta' ELSE 'alpha' END, CASE WHEN i %% 10 = 0 THEN 'Beta' ELSE 'Alpha' END,
				'user' || i || '@alpha.example', 'user' || i || '@alpha.example', 'x' || i, '',
				'Given' || (CAST(i AS BIGINT) * 7919 %% 5003) || ' Family' || i, 'given' || (CAST(i AS BIGINT) * 7919 %% 5003) || ' family' || i,
				'mail' || i || '@alpha.example', 'mail' || i || '@alpha.example', FALSE, TRUE, i %% 333 <> 0,
				CASE WHEN i %% 500 = 0 THEN 1 ELSE 0 END, '{}', 1, i, i, CASE WHEN i %% 2 = 0 THEN i ELSE 0 END,
				CASE WHEN i %% 50 <> 0 THEN '' WHEN i %% 1000 = 0 THEN 'u3' ELSE 'u' || (i %% 2 + 1) END FROM n`, n),
	} {
		if _, err := raw.ExecContext(tb.Context(), statement); err != nil {
			tb.Fatal(err)
		}
	}
	storetest.SeedList(tb, databaseURL)
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
	"frozen":                {Order: admin.ByName, Frozen: true},
	"frozen, by activity":   {Order: admin.ByActive, Frozen: true, Descending: true},
	"frozen, search":        {Order: admin.ByName, Frozen: true, Text: "family1"},
	"locked of one":         {Order: admin.ByName, State: directory.Locked, Organization: "Beta"},
	"never in":              {Order: admin.ByName, NeverIn: true},
	"organization":          {Order: admin.ByName, Organization: "Beta"},
	"connection":            {Order: admin.ByName, Connection: "beta"},
	"connection, by e-mail": {Order: admin.ByEmail, Connection: "beta"},
	"of one, by activity":   {Order: admin.ByActive, Organization: "Beta", Descending: true},
	"nobody's source":       {Order: admin.ByName, Source: "sso"},
	"search, one":           {Order: admin.ByName, Text: "family4711"},
	"search, everybody":     {Order: admin.ByName, Text: "alpha.example"},
	"search, some":          {Order: admin.ByName, Text: "family47"},
	"search, two words":     {Order: admin.ByName, Text: "given1 family99"},
	"search, nobody":        {Order: admin.ByName, Text: "nobody"},
	"search, two letters":   {Order: admin.ByName, Text: "11"},
	"units":                 {Order: admin.ByName, Organization: "Beta", Units: []string{"u1", "u2", "gone"}},
	"units, by activity":    {Order: admin.ByActive, Organization: "Beta", Units: []string{"u3"}, Descending: true},
	"in no unit":            {Order: admin.ByName, Organization: "Beta", Units: []string{""}},
	"no units at all":       {Order: admin.ByName, Units: []string{}},
	"search in units":       {Order: admin.ByName, Text: "family", Organization: "Beta", Units: []string{"u1", "u2"}},
	"search in one":         {Order: admin.ByName, Text: "family11", Organization: "Beta"},
}

func BenchmarkPeople(b *testing.B) {
	for _, size := range []int{100_000, 1_000_000} {
		for _, url := range []string{"sqlite:" + b.TempDir() + "/p.db", storetest.PostgresURL(b)} {
			kind, _, _ := strings.Cut(url, ":")
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) { benchmarkPeople(b, url, size) })
		}
	}
}

func benchmarkPeople(b *testing.B, url string, size int) {
	b.Helper()
	db := crowd(b, url, size)
	raw := storetest.Raw(b, url)
	for what, q := range pages {
		b.Run(what, func(b *testing.B) {
			q.Limit = 50
			for b.Loop() {
				if _, _, err := db.Admin().People(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("counts", func(b *testing.B) {
		for b.Loop() {
			if _, err := db.Admin().PeopleCounts(b.Context(), "", nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	// In the middle of a push: so many wait to be listed.
	if _, err := raw.ExecContext(b.Context(), "UPDATE people SET last_active = last_active + 1 WHERE seq <= 2000"); err != nil {
		b.Fatal(err)
	}
	for _, what := range []string{"first", "search, one", "search, everybody", "by last active"} {
		q := pages[what]
		q.Limit = 50
		b.Run("2000 wait, "+what, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := db.Admin().People(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("listing of 50", func(b *testing.B) {
		for b.Loop() {
			if _, err := raw.ExecContext(b.Context(), "UPDATE people SET name_key = name_key || 'x' WHERE seq > 5000 AND seq <= 5050"); err != nil {
				b.Fatal(err)
			}
			if _, err := db.Admin().List(b.Context(), 50); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Whatever is done to people, and however much of it is on the list already,
// a page shows what a look at everybody shows.
func TestTheListShowsWhatIsSo(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db := crowd(t, databaseURL, 60)
		raw := storetest.Raw(t, databaseURL)
		next := 60
		do := func(query string) {
			t.Helper()
			if _, err := raw.ExecContext(t.Context(), query); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
		}
		rapid.Check(t, func(t *rapid.T) {
			for range rapid.IntRange(0, 6).Draw(t, "steps") {
				who := fmt.Sprintf("WHERE seq %% 7 = %d", rapid.IntRange(0, 6).Draw(t, "who"))
				switch rapid.IntRange(0, 13).Draw(t, "what") {
				case 0:
					do("DELETE FROM people " + fmt.Sprintf("WHERE seq = (SELECT min(seq) FROM people WHERE seq > %d)", rapid.IntRange(0, next).Draw(t, "victim")))
				case 1:
					next++
					do(fmt.Sprintf(`INSERT INTO people (id, connection, organization, user_name, user_name_key, external_id, link, name, name_key, email, email_key,
						email_verified, provisioned, idp_active, attributes, version, created, modified)
						VALUES ('p%d', 'alpha', 'Alpha', 'n%d', 'n%d', 'n%d', '', 'New', 'new', '', '', FALSE, TRUE, TRUE, '{}', 1, 1, 1)`, next, next, next, next))
				case 2:
					do("UPDATE people SET name = 'family' || (seq % 3), name_key = 'family' || (seq % 3) " + who)
				case 3:
					do("UPDATE people SET last_active = 1000 - seq " + who)
				case 4:
					do("UPDATE people SET idp_active = NOT idp_active " + who)
				case 5:
					do("UPDATE people SET locked_at = 1 - locked_at " + who)
				case 6:
					do("UPDATE people SET email = 'x' || seq, email_key = 'x' || seq, organization = 'Beta' " + who)
				case 7:
					do("UPDATE people SET unit = CASE seq % 2 WHEN 0 THEN 'u1' ELSE '' END " + who)
				case 9:
					do("UPDATE organizations SET disabled = NOT disabled WHERE name = 'Beta'")
				case 10:
					do("UPDATE units SET closed = NOT closed WHERE id = 'u1'")
				case 11:
					do("UPDATE people SET provisioned = NOT provisioned " + who)
				case 12:
					do("UPDATE people SET unit = 'w' || (seq % 40) " + who)
				case 13:
					do("DELETE FROM people_kinds WHERE unit LIKE 'nobody%'")
					do(fmt.Sprintf(kindsInPlenty, rapid.SampledFrom([]int{100, 200, 400, 10_001}).Draw(t, "kinds")))
				case 8:
					if _, err := db.Admin().List(context.Background(), rapid.IntRange(1, 30).Draw(t, "listed")); err != nil {
						t.Fatal(err)
					}
				}
			}
			q := asked(t)
			got, err := joined(db, q)
			if err != nil {
				t.Fatal(err)
			}
			var everybody []directory.Person
			var frozen, closed []string
			err = db.Directory().View(context.Background(), func(tx directory.Tx) error {
				page, err := tx.People(directory.Query{Limit: 1000})
				if everybody = page.Items; err != nil {
					return err
				}
				frozen, closed, err = tx.FrozenAmong([]string{"Alpha", "Beta"}, []string{"u1", "u2", "u3"})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(byHand(everybody, q, frozen, closed), got); diff != "" {
				t.Fatalf("%+v (-by hand +listed):\n%s", q, diff)
			}
			counts, err := db.Admin().PeopleCounts(context.Background(), "", nil)
			if locked := byHand(everybody, admin.PeopleQuery{State: directory.Locked}, nil, nil); err != nil || counts.All != len(everybody) || counts.Locked != len(locked) {
				t.Fatalf("counts = %+v, %v, want %d and %d", counts, err, len(everybody), len(locked))
			}
		})
	})
}

// kindsInPlenty makes kinds of people that nobody is of.
const kindsInPlenty = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
	INSERT INTO people_kinds (organization, connection, provisioned, state, never, unit)
	SELECT 'Alpha', 'alpha', TRUE, i %% 3, i %% 2 = 0, 'nobody' || i FROM n`

// asked is any question about people that the console asks: of those in frozen
// places in whatever state.
func asked(t *rapid.T) admin.PeopleQuery {
	q := admin.PeopleQuery{
		Text:         rapid.SampledFrom([]string{"", "", "", "", "family1", "1", "alpha.example", "family 1", "nobody"}).Draw(t, "text"),
		State:        rapid.SampledFrom([]directory.State{"", "", directory.Active, directory.Locked, directory.Deactivated}).Draw(t, "state"),
		NeverIn:      rapid.IntRange(0, 3).Draw(t, "never in") == 0,
		Frozen:       rapid.IntRange(0, 3).Draw(t, "frozen") == 0,
		Organization: rapid.SampledFrom([]string{"", "", "Alpha", "Beta"}).Draw(t, "organization"),
		Units:        rapid.SampledFrom([][]string{nil, nil, nil, {}, {""}, {"u1"}, {"u1", "u2", "w1", "w2", ""}}).Draw(t, "units"),
		Connection:   rapid.SampledFrom([]string{"", "", "alpha", "beta"}).Draw(t, "connection"),
		Source:       rapid.SampledFrom([]string{"", "", "scim", "sso"}).Draw(t, "source"),
		Order:        rapid.SampledFrom([]admin.Order{admin.ByName, admin.ByEmail, admin.ByActive, admin.ByCreated}).Draw(t, "order"),
		Descending:   rapid.Bool().Draw(t, "descending"),
		Limit:        rapid.SampledFrom([]int{5, 17, 1000}).Draw(t, "limit"),
	}
	if q.Frozen {
		q.State = ""
	}
	return q
}

// joined reads all pages of a list.
func joined(db *store.DB, q admin.PeopleQuery) (ids []string, err error) {
	for {
		people, next, err := db.Admin().People(context.Background(), q)
		ids = append(ids, names(people)...)
		if q.After = next; err != nil || next == nil {
			return ids, err
		}
	}
}

// byHand is what a query asks, of everybody in the order of creation, while
// some organizations are frozen and some units closed.
func byHand(everybody []directory.Person, q admin.PeopleQuery, frozen, closed []string) []string {
	var found []directory.Person
	for _, p := range everybody {
		text := strings.ToLower(p.Name + " " + p.Email + " " + p.UserName)
		out := slices.Contains(frozen, p.Organization) || slices.Contains(closed, p.Unit)
		missing := func(word string) bool { return !strings.Contains(text, word) }
		if q.Frozen && !out || q.State == directory.Active && out || q.State != "" && q.State != p.State() || q.NeverIn && !p.LastActive.IsZero() || q.Organization != "" && q.Organization != p.Organization ||
			q.Units != nil && !slices.Contains(q.Units, p.Unit) || q.Connection != "" && q.Connection != p.Connection || q.Source == "sso" && p.Provisioned || q.Source == "scim" && !p.Provisioned || slices.ContainsFunc(strings.Fields(q.Text), missing) {
			continue
		}
		found = append(found, p)
	}
	slices.SortStableFunc(found, func(a, b directory.Person) int {
		switch q.Order {
		case admin.ByName:
			return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
		case admin.ByEmail:
			return strings.Compare(strings.ToLower(a.Email), strings.ToLower(b.Email))
		case admin.ByActive:
			return a.LastActive.Compare(b.LastActive)
		default:
			return 0
		}
	})
	if q.Descending {
		slices.Reverse(found)
	}
	return names(found)
}

func names(people []directory.Person) (ids []string) {
	for _, p := range people {
		ids = append(ids, p.ID)
	}
	return ids
}

// Pages joined are the whole list, in its order, whatever is asked: nobody
// twice, nobody missing.
func TestPagesOfPeopleAreTheWholeList(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db := crowd(t, databaseURL, 3000)
		list := func(q admin.PeopleQuery) []string {
			ids, err := joined(db, q)
			if err != nil {
				t.Fatal(err)
			}
			return ids
		}
		for what, q := range pages {
			q.After, q.Limit = nil, 10_000
			want := list(q)
			if want == nil && what != "search, nobody" && what != "nobody's source" && what != "no units at all" && what != "search, one" {
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
		_, err := db.Admin().PeopleCounts(t.Context(), "", nil)
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
