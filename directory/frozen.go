package directory

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// Spot is where somebody stands: in an organization, and in which unit of it.
type Spot struct {
	Organization string
	Unit         string // its id; empty: in the organization itself
}

// Frozen says what is frozen that keeps those out who stand at some spots, just
// now: the name of their organization, and with it the path to the unit that
// is frozen, if not all of the organization is. A spot that is open is left out.
func (d *Directory) Frozen(ctx context.Context, spots ...Spot) (with map[Spot]string, err error) {
	if len(spots) == 0 {
		return nil, nil
	}
	organizations, units, all := make(map[string]bool), make(map[string]bool), make(map[Spot]bool)
	for _, s := range spots {
		all[s], organizations[s.Organization] = true, true
		if s.Unit != "" && s.Unit != Unplaced {
			units[s.Unit] = true
		}
	}
	err = d.store.Glance(ctx, func(tx Tx) error {
		with = make(map[Spot]string)
		frozen, closed, err := tx.FrozenAmong(slices.Collect(maps.Keys(organizations)), slices.Collect(maps.Keys(units)))
		if err != nil {
			return err
		}
		trees := make(map[string]Tree)
		for s := range all {
			if slices.Contains(frozen, s.Organization) {
				with[s] = s.Organization
				continue
			}
			if !slices.Contains(closed, s.Unit) {
				continue
			}
			tree, known := trees[s.Organization]
			if !known {
				units, err := tx.Units(s.Organization)
				if err != nil {
					return err
				}
				tree = newTree(units)
				trees[s.Organization] = tree
			}
			u, _ := tree.Frozen(s.Unit)
			with[s] = strings.Join(append([]string{s.Organization}, tree.Path(u.ID)...), " / ")
		}
		return nil
	})
	return with, err
}
