package scim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"portcullis/directory"
)

const (
	listSchema = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

	defaultCount  = 100
	maxCount      = 1000
	maxCandidates = 1000   // that a filter may find before the rest of it is judged
	maxTies       = 50_000 // memberships in one list; the resources beyond come with the next page
)

// searchPath is where a list is asked for with a POST, so that no name of a
// person stands in a URL (RFC 7644, section 3.4.3).
const searchPath = ".search"

// search takes the query of a list from the body, and from nowhere else.
func (c *call) search(list func() error) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	c.query = url.Values{}
	for _, name := range []string{"filter", "startIndex", "count", "attributes", "excludedAttributes"} {
		raw, _ := member(body, name)
		for _, v := range listOf(raw) {
			switch v := v.(type) {
			case string:
				c.query.Add(name, v)
			case json.Number:
				c.query.Add(name, v.String())
			default:
				return invalid(typeValue, "%s is not of the right type", name)
			}
		}
	}
	return list()
}

// page is what a client asks of a list (RFC 7644, section 3.4.2.4).
type page struct {
	filter string
	start  int // from 1
	count  int
	show   projection
}

func (c *call) page(t *resourceType) (page, error) {
	p := page{}
	var err error
	if p.show, err = t.project(c.query); err != nil {
		return p, err
	}
	if p.start, err = c.number("startIndex", 1); err != nil {
		return p, err
	}
	if p.count, err = c.number("count", defaultCount); err != nil {
		return p, err
	}
	p.start, p.count = max(p.start, 1), min(max(p.count, 0), maxCount)
	filters := c.query["filter"]
	if len(filters) > 1 {
		return p, invalid(typeFilter, "filter stands more than once in the query")
	}
	if len(filters) == 1 {
		p.filter = filters[0]
	}
	return p, nil
}

func (c *call) number(name string, otherwise int) (int, error) {
	text := strings.TrimSpace(c.query.Get(name))
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, invalid(typeValue, "%s is not an integer", name)
	}
	return int(n), nil
}

// lookup is one list: where to look, and what of it to show.
type lookup struct {
	page

	// find reads a page of documents from the store; fill adds what is read for
	// those alone that are shown, and gives how many of them there is room for.
	find func(directory.Query) ([]map[string]any, int, error)
	fill func(docs []map[string]any) (int, error)
}

func (c *call) list(t *resourceType, l lookup) error {
	q := directory.Query{Connection: c.site.connection, Pushed: true, Offset: l.start - 1, Limit: l.count}
	var rest predicate
	if strings.TrimSpace(l.filter) != "" {
		s, err := t.search(l.filter)
		if err != nil {
			return err
		}
		q.Filter, rest = s.where, s.rest
	}
	if rest != nil {
		q.Offset, q.Limit = 0, maxCandidates
	}
	docs, total, err := l.find(q)
	if err != nil {
		return err
	}
	if rest != nil {
		if total > maxCandidates {
			return invalid(typeTooMany, "the filter finds more than %d resources before it is judged", maxCandidates)
		}
		var kept []map[string]any
		for _, doc := range docs {
			if rest(doc) {
				kept = append(kept, doc)
			}
		}
		total = len(kept)
		from := min(l.start-1, total)
		docs = kept[from:min(from+l.count, total)]
	}
	// A page may be shorter than was asked for (RFC 7644, section 3.4.2.4).
	room, err := l.fill(docs)
	if err != nil {
		return err
	}
	docs = docs[:room]
	resources := make([]any, len(docs)) // never null
	for i, doc := range docs {
		resources[i] = l.show.apply(doc)
	}
	return c.answerList(resources, total, l.start)
}

// answerList answers with resources as they are.
func (c *call) answerList(resources []any, total, start int) error {
	c.write(c.ctx(), c.w, http.StatusOK, map[string]any{
		"schemas": []string{listSchema}, "totalResults": total, "startIndex": start,
		"itemsPerPage": len(resources), "Resources": resources,
	})
	return nil
}

// listUsers shows the groups of people only where they are asked for by name.
func (c *call) listUsers() error {
	p, err := c.page(c.site.user)
	if err != nil {
		return err
	}
	find := func(q directory.Query) ([]map[string]any, int, error) {
		people, total, err := c.directory.People(c.ctx(), q)
		if err != nil {
			return nil, 0, err
		}
		docs := make([]map[string]any, len(people))
		for i, person := range people {
			if docs[i], err = c.site.userDoc(person); err != nil {
				return nil, 0, err
			}
		}
		return docs, total, nil
	}
	fill := func(docs []map[string]any) (int, error) {
		if !p.show.asksFor("groups") {
			return len(docs), nil
		}
		ties := 0
		for i, doc := range docs {
			id, _ := doc["id"].(string)
			of, err := c.directory.GroupsOf(c.ctx(), id)
			if err != nil {
				return 0, err
			}
			if ties += len(of[id]); ties > maxTies && i > 0 {
				return i, nil
			}
			setList(doc, "groups", c.site.groupsValue(of[id]))
		}
		return len(docs), nil
	}
	return c.list(c.site.user, lookup{page: p, find: find, fill: fill})
}

// listGroups reads members unless they are left out: excludedAttributes=members
// is what clients with large groups send.
func (c *call) listGroups() error {
	p, err := c.page(c.site.group)
	if err != nil {
		return err
	}
	find := func(q directory.Query) ([]map[string]any, int, error) {
		groups, total, err := c.directory.Groups(c.ctx(), q)
		if err != nil {
			return nil, 0, err
		}
		docs := make([]map[string]any, len(groups))
		for i, g := range groups {
			docs[i] = c.site.groupDoc(g)
		}
		return docs, total, nil
	}
	fill := func(docs []map[string]any) (int, error) {
		if !p.show.wants("members") {
			return len(docs), nil
		}
		ties := 0
		for i, doc := range docs {
			id, _ := doc["id"].(string)
			members, err := c.directory.Members(c.ctx(), id)
			if err != nil {
				return 0, err
			}
			if ties += len(members); ties > maxTies && i > 0 {
				return i, nil
			}
			setList(doc, "members", c.site.membersValue(members))
		}
		return len(docs), nil
	}
	return c.list(c.site.group, lookup{page: p, find: find, fill: fill})
}
