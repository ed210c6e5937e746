package directory

import "context"

// Find gives the people whom a word names: their id, their userName or
// e-mail address in any case, or what the identity provider calls them
// (externalId, or the subject of a sign-in). An
// empty connection means all of them. Nobody found is no error.
func (d *Directory) Find(ctx context.Context, connection, word string) (people []Person, err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		seen := make(map[string]bool)
		people = nil
		add := func(some []Person) {
			for _, p := range some {
				if !seen[p.ID] {
					seen[p.ID] = true
					people = append(people, p)
				}
			}
		}
		for _, attr := range []Attr{{Name: "id", Kind: Exact}, {Name: "userName"}, {Name: "email"}, {Name: "externalId", Kind: Exact}} {
			page, err := tx.People(Query{Connection: connection, Filter: &Filter{Op: Eq, Attr: attr, Value: word}, Limit: 100})
			if err != nil {
				return err
			}
			add(page.Items)
		}
		named, err := tx.PeopleBySubject(connection, word)
		add(named)
		return err
	})
	return people, err
}
