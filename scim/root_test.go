package scim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/store"
	"portcullis/store/storetest"
)

// TestAListOfAllTypesIsInOneOrder compares pages of both kinds and of several
// sizes with the sorted whole (RFC 7644, sections 3.4.2.3 and 3.4.3).
func TestAListOfAllTypesIsInOneOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRigOn(t, open())
		var users, groups []map[string]any // in the order of creation
		for i := range 9 {
			more := map[string]any{"displayName": string([]byte{"bAbcZé"[i%5]}), "externalId": fmt.Sprintf("%c%d", "xXaA"[i%4], i)}
			if i%4 == 3 {
				more["displayName"], more["name"] = nil, nil
			}
			users = append(users, r.want(r.send("POST", "/Users", user(fmt.Sprintf("u%d", i), more)), 201).doc)
			if i%2 == 0 {
				r.clock.turn(time.Second / 2)
			}
			if i >= 7 {
				continue
			}
			g := map[string]any{"schemas": []string{groupURN}, "displayName": fmt.Sprintf("%c%d", "aBcbé"[i%4], i)}
			if i%3 > 0 {
				g["externalId"] = fmt.Sprintf("%c%d", "aXbx"[i%4], i)
			}
			groups = append(groups, r.want(r.send("POST", "/Groups", g), 201).doc)
			if i%3 == 0 {
				r.clock.turn(time.Second / 3)
			}
		}
		docs := slices.Concat(users, groups)
		ids := func(docs []map[string]any) (out []string) {
			for _, d := range docs {
				id, _ := d["id"].(string)
				out = append(out, id)
			}
			return out
		}
		for _, by := range []string{"", "displayName", "externalId", "id", "meta.created", "META.lastModified", "userName", "active"} {
			for _, order := range []string{"ascending", "descending"} {
				if by == "" && order == "descending" {
					continue
				}
				want := slices.Clone(docs)
				slices.SortStableFunc(want, func(x, y map[string]any) int { return sortedBy(by, order == "descending", x, y) })
				for _, size := range []int{1, 4, 20} {
					var index, cursor []string
					for start := 1; start <= len(docs); start += size {
						a := r.want(r.send("POST", "/.search", search(by, order, "startIndex", start, "count", size)), 200)
						index = append(index, ids(a.list("Resources"))...)
						if a.at("totalResults") != float64(len(docs)) {
							t.Errorf("totalResults = %v, want %d", a.at("totalResults"), len(docs))
						}
					}
					for next, pages := "", 0; pages == 0 || next != ""; pages++ {
						a := r.want(r.send("POST", "/.search", search(by, order, "cursor", next, "count", size)), 200)
						cursor = append(cursor, ids(a.list("Resources"))...)
						if next = a.text("nextCursor"); pages > 2*len(docs) || a.at("totalResults") != float64(len(docs)) {
							t.Fatalf("page %d = %s", pages, a.raw)
						}
					}
					name := fmt.Sprintf("sortBy %q %s by %d", by, order, size)
					if diff := cmp.Diff(ids(want), index); diff != "" {
						t.Errorf("%s by index (-want +got):\n%s", name, diff)
					}
					if diff := cmp.Diff(ids(want), cursor); diff != "" {
						t.Errorf("%s by cursor (-want +got):\n%s", name, diff)
					}
				}
			}
		}
	})
}

func search(by, order string, more ...any) map[string]any {
	body := map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:SearchRequest"}}
	if by != "" {
		body["sortBy"], body["sortOrder"] = by, order
	}
	for i := 0; i+1 < len(more); i += 2 {
		name, _ := more[i].(string)
		body[name] = more[i+1]
	}
	return body
}

// sortedBy is the order of RFC 7644, section 3.4.2.3, written plainly.
func sortedBy(by string, descending bool, x, y map[string]any) int {
	key := func(doc map[string]any) string {
		switch strings.ToLower(by) {
		case "":
			return ""
		case "meta.created", "meta.lastmodified":
			meta, _ := doc["meta"].(map[string]any)
			s, _ := meta["created"].(string) // nothing was modified
			at, _ := time.Parse(time.RFC3339, s)
			return at.Format("2006-01-02T15:04:05.000000")
		case "displayname", "username":
			s, _ := doc[by].(string)
			return strings.ToLower(s)
		case "active":
			if _, ok := doc["active"]; ok {
				return fmt.Sprint(doc["active"])
			}
			return ""
		default:
			s, _ := doc[by].(string)
			return s
		}
	}
	a, b := key(x), key(y)
	n := strings.Compare(a, b)
	if a == "" || b == "" {
		n = -n // whoever has none is last
	}
	if descending {
		return -n
	}
	return n
}
