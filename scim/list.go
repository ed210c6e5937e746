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

	defaultCount = 100
	maxCount     = 1000
	maxTies      = 50_000 // memberships in one list; the resources beyond come with the next page
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
	for _, name := range []string{"filter", "startIndex", "count", "cursor", "sortBy", "sortOrder", "attributes", "excludedAttributes"} {
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

// page is what a client asks of a list (RFC 7644, section 3.4.2; RFC 9865).
type page struct {
	filter     string
	start      int // from 1
	count      int
	sortBy     string
	descending bool
	cursor     *cursor // nil: pages by index
}

func (c *call) page() (page, error) {
	p := page{}
	var err error
	if p.start, err = c.number("startIndex", 1); err != nil {
		return p, err
	}
	if p.count, err = c.number("count", defaultCount); err != nil {
		return p, err
	}
	p.start, p.count = max(p.start, 1), min(max(p.count, 0), maxCount)
	if p.filter, err = c.once("filter", typeFilter); err != nil {
		return p, err
	}
	if p.sortBy, err = c.once("sortBy", typeValue); err != nil {
		return p, err
	}
	order, err := c.once("sortOrder", typeValue)
	if err != nil {
		return p, err
	}
	switch strings.ToLower(order) {
	case "", "ascending":
	case "descending":
		p.descending = true
	default:
		return p, invalid(typeValue, "sortOrder is ascending or descending")
	}
	return p, c.pageCursor(&p)
}

// once gives a parameter that may stand once in a query.
func (c *call) once(name, scimType string) (string, error) {
	values := c.query[name]
	if len(values) > 1 {
		return "", invalid(scimType, "%s stands more than once in the query", name)
	}
	if len(values) == 0 {
		return "", nil
	}
	return strings.TrimSpace(values[0]), nil
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

// lister is one list: find reads a page of documents; fill adds what is read
// for those alone that are shown, and gives how many of them there is room for.
type lister struct {
	t    *resourceType
	show projection
	find func(directory.Query) (directory.Page[map[string]any], error)
	fill func(docs []map[string]any, show projection) (int, error)
	raw  func(directory.Query) (rawList, error) // find, whole and encoded; nil: there is none
}

func (c *call) listUsers(string) error  { return c.listOne(c.users()) }
func (c *call) listGroups(string) error { return c.listOne(c.groups()) }

// users shows the groups of people only where they are asked for by name.
func (c *call) users() lister {
	return lister{t: c.site.user, raw: c.usersRaw, find: func(q directory.Query) (directory.Page[map[string]any], error) {
		page, err := c.people(q)
		if err != nil {
			return directory.Page[map[string]any]{}, err
		}
		docs := make([]map[string]any, len(page.Items))
		for i, person := range page.Items {
			if docs[i], err = c.site.userDoc(person); err != nil {
				return directory.Page[map[string]any]{}, err
			}
		}
		return directory.Page[map[string]any]{Items: docs, Total: page.Total, Next: page.Next}, nil
	}, fill: func(docs []map[string]any, show projection) (int, error) {
		if !show.asksFor("groups") {
			return len(docs), nil
		}
		ties := 0
		for i, id := range idsOf(docs) {
			of, err := c.directory.GroupsOf(c.ctx(), id)
			if err != nil {
				return 0, err
			}
			if ties += len(of[id]); ties > maxTies && i > 0 {
				return i, nil
			}
			setList(docs[i], "groups", c.site.groupsValue(of[id]))
		}
		return len(docs), nil
	}}
}

func (c *call) usersRaw(q directory.Query) (rawList, error) {
	page, err := c.people(q)
	if err != nil {
		return rawList{}, err
	}
	size := 0
	for i := range page.Items {
		size += len(page.Items[i].Attributes) + roomBeside
	}
	all := make([]byte, 0, size)
	for i := range page.Items {
		if i > 0 {
			all = append(all, ',')
		}
		all = c.site.appendUser(all, &page.Items[i], nil)
	}
	return rawList{total: page.Total, start: q.Offset + 1, n: len(page.Items), resources: all}, nil
}

// groups reads members unless they are left out: excludedAttributes=members
// is what clients with large groups send.
func (c *call) groups() lister {
	return lister{t: c.site.group, find: func(q directory.Query) (directory.Page[map[string]any], error) {
		page, err := c.directory.Groups(c.ctx(), q)
		if err != nil {
			return directory.Page[map[string]any]{}, err
		}
		docs := make([]map[string]any, len(page.Items))
		for i, g := range page.Items {
			docs[i] = c.site.groupDoc(g)
		}
		return directory.Page[map[string]any]{Items: docs, Total: page.Total, Next: page.Next}, nil
	}, fill: func(docs []map[string]any, show projection) (int, error) {
		if !show.wants("members") {
			return len(docs), nil
		}
		ties := 0
		for i, id := range idsOf(docs) {
			of, err := c.directory.Members(c.ctx(), id)
			if err != nil {
				return 0, err
			}
			if ties += len(of[id]); ties > maxTies && i > 0 {
				return i, nil
			}
			setList(docs[i], "members", c.site.membersValue(of[id], show))
		}
		return len(docs), nil
	}}
}

func idsOf(docs []map[string]any) []string {
	ids := make([]string, len(docs))
	for i, doc := range docs {
		ids[i], _ = doc["id"].(string)
	}
	return ids
}

// pageQuery is what to ask the directory for a page of one resource type.
func (c *call) pageQuery(l lister, p page, other *resourceType) (directory.Query, error) {
	q := directory.Query{Connection: c.site.connection, Pushed: true, Brief: true, Offset: p.start - 1, Limit: p.count}
	tr := translator{site: c.site, t: l.t, other: other}
	var err error
	if p.filter != "" {
		if q.Filter, err = tr.search(p.filter); err != nil {
			return q, err
		}
	}
	if p.sortBy != "" {
		q.Sort, err = tr.sort(p.sortBy, p.descending)
	}
	return q, err
}

// listOne lists the resources of one type.
func (c *call) listOne(l lister) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	if l.show, err = l.t.project(c.query); err != nil {
		return err
	}
	q, err := c.pageQuery(l, p, nil)
	if err != nil {
		return err
	}
	if p.cursor != nil {
		q.Offset, q.After = 0, p.cursor.after
	}
	if l.raw != nil && l.show.whole() && p.cursor == nil {
		found, err := l.raw(q)
		if err != nil {
			return err
		}
		c.write(c.ctx(), c.w, http.StatusOK, found)
		return nil
	}
	found, resources, err := l.read(q)
	if err != nil {
		return err
	}
	if p.cursor == nil {
		return c.answerList(resources, found.Total, p.start)
	}
	return c.answerCursor(p, resources, found.Total, found.Next)
}

// read gives a page as it is shown. It may be shorter than was asked for (RFC
// 7644, section 3.4.2.4).
func (l lister) read(q directory.Query) (directory.Page[map[string]any], []any, error) {
	found, err := l.find(q)
	for err == nil {
		var room int
		if room, err = l.fill(found.Items, l.show); err != nil || room == len(found.Items) {
			break
		}
		q.Limit = room // so that the next page begins behind what is shown
		found, err = l.find(q)
	}
	if err != nil {
		return found, nil, err
	}
	resources := make([]any, len(found.Items)) // never null
	for i, doc := range found.Items {
		resources[i] = l.show.apply(doc)
	}
	return found, resources, nil
}

// answerList answers with resources as they are.
func (c *call) answerList(resources []any, total, start int) error {
	c.write(c.ctx(), c.w, http.StatusOK, map[string]any{
		"schemas": []string{listSchema}, "totalResults": total, "startIndex": start,
		"itemsPerPage": len(resources), "Resources": resources,
	})
	return nil
}

// rawList is a list of resources that are JSON already.
type rawList struct {
	total, start, n int
	resources       []byte // with commas between them
}

func (l rawList) encode() []byte {
	body := strconv.AppendInt(append(make([]byte, 0, len(l.resources)+256), `{"schemas":["`+listSchema+`"],"totalResults":`...), int64(l.total), 10)
	body = strconv.AppendInt(append(body, `,"startIndex":`...), int64(l.start), 10)
	body = strconv.AppendInt(append(body, `,"itemsPerPage":`...), int64(l.n), 10)
	return append(append(append(body, `,"Resources":[`...), l.resources...), "]}"...)
}
