package store

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"portcullis/directory"
)

// Of few sign-ins each, the newest are found sooner by looking at the index of
// all of them than at the place of each person in it.
const fewSignIns = 6

func (t tx) Newest() (places []int64, err error) {
	var people, assertions int64
	err = t.each("SELECT (SELECT count(*) FROM people), coalesce((SELECT max(seq) FROM assertions), 0)", nil, func(rows picked) error {
		return rows.Scan(&people, &assertions)
	})
	if err != nil {
		return nil, err
	}
	query := "SELECT max(seq) AS newest FROM assertions GROUP BY person_id"
	switch {
	case assertions <= people*fewSignIns:
	case t.dialect == "postgres":
		query = "SELECT a.seq AS newest FROM people p CROSS JOIN LATERAL (SELECT seq FROM assertions WHERE person_id = p.id ORDER BY seq DESC LIMIT 1) a"
	default:
		query = "SELECT (SELECT max(a.seq) FROM assertions a WHERE a.person_id = p.id) AS newest FROM people p" // group_concat leaves NULL out
	}
	// One row of all of them is read in half the time of one of each.
	together := "string_agg(newest::text, ',')"
	if t.dialect == "sqlite" {
		together = "group_concat(newest)"
	}
	err = t.each("SELECT coalesce("+together+", '') AS places FROM ("+query+") n", nil, func(rows picked) error {
		var text string
		if err := rows.Scan(&text); err != nil || text == "" {
			return err
		}
		places = make([]int64, 0, 1+strings.Count(text, ","))
		for word := range strings.SplitSeq(text, ",") {
			var place int64
			if err := fill(&place, word); err != nil {
				return err
			}
			places = append(places, place)
		}
		return nil
	})
	slices.Sort(places)
	return places, err
}

// saidAtOnce bounds how many assertions one statement names. Where so many of
// every denseOf in a row are wanted, all of them are read: that is cheaper than
// to look each up.
const (
	saidAtOnce = 2000
	denseOf    = 2
)

func (t tx) Said(places []int64, f func(*directory.Saying)) error {
	r := newHearer()
	var said directory.Saying
	var partial []directory.Saying
	for chunk := range slices.Chunk(places, saidAtOnce) {
		err := t.briefly().eachSaid(chunk, func(person, facts string) error {
			var err error
			if said, err = r.saying(facts); err != nil {
				return err
			}
			if said.Person = person; said.GroupsIncomplete {
				partial = append(partial, said)
			} else {
				f(&said)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for some := range slices.Chunk(partial, manyAtOnce) {
		if err := t.complete(some); err != nil {
			return err
		}
		for i := range some {
			f(&some[i])
		}
	}
	return nil
}

// eachSaid reads the assertions at some places, which rise.
func (t tx) eachSaid(places []int64, f func(person, facts string) error) error {
	var place int64
	var person, facts string
	wanted := func(facts string) error {
		if _, is := slices.BinarySearch(places, place); !is {
			return nil
		}
		return f(person, facts)
	}
	first, last := places[0], places[len(places)-1]
	where := t.among("seq", places)
	if last-first < int64(denseOf*len(places)) {
		if t.dialect == "sqlite" {
			return t.eachTogether("assertions", "seq, person_id", []any{&place, &person}, "facts", first, last, wanted)
		}
		where = sqlf("seq BETWEEN ? AND ? ORDER BY seq", first, last)
	}
	return t.each("SELECT seq, person_id, facts FROM assertions WHERE "+where.text, where.args, func(rows picked) error {
		if err := rows.Scan(&place, &person, &facts); err != nil {
			return err
		}
		return wanted(facts)
	})
}

// manyAtOnce bounds how many people one statement names.
const manyAtOnce = 500

// complete adds the groups of the newest assertions that held all of them, of
// those whose newest did not.
func (t tx) complete(partial []directory.Saying) error {
	ids := make([]string, len(partial))
	for i := range partial {
		ids[i] = partial[i].Person
	}
	wanted, err := list(ids)
	if err != nil {
		return err
	}
	complete, _, err := t.said("AND b.complete", asIs, wanted)
	for i := range partial {
		partial[i].LastComplete = complete[partial[i].Person].Groups
	}
	return err
}

// hearer reads of many assertions what facts are made of, and keeps what they
// have in common once.
type hearer struct {
	words *words
	lists map[uint64][]string // by the hash of their text
	kept  attic
	free  []unread
}

func newHearer() *hearer { return &hearer{words: newWords(), lists: make(map[uint64][]string)} }

// saying reads what [tx.InsertAssertion] stores.
func (h *hearer) saying(facts string) (directory.Saying, error) {
	s := scanner{text: facts, words: h.words}
	if said, ok := s.saying(h); ok {
		return said, nil
	}
	a, err := readAssertion(facts)
	out := directory.Saying{
		Subject: a.Subject, Groups: a.Groups, GroupsIncomplete: a.GroupsIncomplete, AppRoles: a.AppRoles, UserType: a.UserType, Received: a.Received,
	}
	if a.Claims != nil {
		out.Claims = claims(a.Claims)
	}
	return out, err
}

// neverText is the zero time.
const neverText = `"0001-01-01T00:00:00Z"`

// saying reads an assertion as [scanner.assertion] does, and takes as right
// what that does, but leaves the claims as they are.
func (s *scanner) saying(h *hearer) (a directory.Saying, ok bool) {
	for key := s.first('{', '}'); key; key = s.next('}') {
		switch s.key() {
		case "Connection", "Issuer", "Link", "UserName", "Email", "Name", "ACR":
			s.string()
		case "EmailVerified":
			s.flag()
		case "AuthTime":
			if !s.word(neverText) { // of most people, and read by nobody here
				s.time()
			}
		case "Subject":
			a.Subject = h.kept.keep(s.string())
		case "Groups":
			a.Groups = s.sharedList(h)
		case "GroupsIncomplete":
			a.GroupsIncomplete = s.flag()
		case "AppRoles":
			a.AppRoles = s.sharedList(h)
		case "UserType":
			a.UserType = s.own()
		case "Claims":
			s.odd = s.odd || a.Claims != nil
			if said := s.unread(h); said != nil {
				a.Claims = said
			}
		case "Received":
			a.Received = s.time()
		default:
			s.odd = true
		}
	}
	return a, !s.odd && s.at == len(s.text)
}

// sharedList reads a list that many have.
func (s *scanner) sharedList(h *hearer) []string {
	start := s.at
	// Where a text of the list has a bracket in it this is less than the list,
	// which no other list is.
	end := start + strings.IndexByte(s.text[start:], ']')
	if end < start {
		return s.list()
	}
	place := maphash.String(h.words.seed, s.text[start:end+1])
	known, found := h.lists[place]
	if found && s.is(known, end+1) {
		return known
	}
	s.at = start
	out := s.list()
	if s.at == end+1 && !s.odd && strings.IndexByte(s.text[start:s.at], '\\') < 0 {
		h.lists[place] = out
	}
	return out
}

// is reads a list of such texts that ends at a place, if it comes next as
// encoding/json writes it without escapes.
func (s *scanner) is(texts []string, end int) bool {
	if !s.take('[') {
		return false
	}
	for i, text := range texts {
		if i > 0 && !s.take(',') || !s.take('"') || !s.word(text) || !s.take('"') {
			return false
		}
	}
	return s.take(']') && s.at == end
}

// unread reads over claims; nil if there are none.
func (s *scanner) unread(h *hearer) *unread {
	if s.word("null") {
		return nil
	}
	start := s.at
	s.dry = true
	s.claims()
	s.dry = false
	if s.odd {
		return nil
	}
	if len(h.free) == 0 {
		h.free = make([]unread, 256)
	}
	out := &h.free[0]
	h.free = h.free[1:]
	*out = unread(h.kept.keep(s.text[start:s.at]))
	return out
}

// unread are claims as they are stored, which a scanner has read over.
type unread string

// Claims reads the claims, which several may do at the same time.
func (u *unread) Claims() map[string]any {
	s := scanner{text: string(*u)}
	return s.claims()
}

// claims are those that only encoding/json can read.
type claims map[string]any

// Claims gives a copy.
func (c claims) Claims() map[string]any { return maps.Clone(c) }

// attic keeps texts one behind the other: the garbage collector looks at one
// block where it would look at hundreds.
type attic struct{ block strings.Builder }

const atticBlock = 32 << 10 // bytes

func (a *attic) keep(s string) string {
	if a.block.Cap()-a.block.Len() < len(s) {
		a.block.Reset()
		a.block.Grow(max(atticBlock, len(s)))
	}
	start := a.block.Len()
	a.block.WriteString(s)
	return a.block.String()[start:]
}
