package store

import (
	"encoding/json"
	"hash/maphash"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"portcullis/directory"
	"portcullis/fault"
)

// words keeps texts and claims that many people have in common once, while
// they are read: the last of each place that a hash gives.
type words struct {
	seed   maphash.Seed
	texts  [1024]string
	claims [1024]any // likewise, boxed
}

func newWords() *words { return &words{seed: maphash.MakeSeed()} }

// text gives a text that does not hold on to what it was cut from.
func (w *words) text(s string) string {
	if s == "" || w == nil {
		return s
	}
	known := &w.texts[maphash.String(w.seed, s)%uint64(len(w.texts))]
	if *known != s {
		*known = strings.Clone(s)
	}
	return *known
}

func (w *words) claim(s string) any {
	if w == nil {
		return s
	}
	known := &w.claims[maphash.String(w.seed, s)%uint64(len(w.claims))]
	if old, ok := (*known).(string); !ok || old != s {
		*known = w.text(s)
	}
	return *known
}

// assertion reads what [tx.InsertAssertion] stores. It is several times as
// fast as encoding/json, which is asked wherever something is not as this
// package writes it.
func (w *words) assertion(facts string) (directory.Assertion, error) {
	s := scanner{text: facts, words: w}
	if a, ok := s.assertion(); ok {
		return a, nil
	}
	return readAssertion(facts)
}

func readAssertion(facts string) (directory.Assertion, error) {
	var a directory.Assertion
	if err := json.Unmarshal([]byte(facts), &a); err != nil {
		return a, fault.Wrap(fault.Internal, err, "stored assertion")
	}
	return a, nil
}

// scanner reads the JSON that encoding/json writes: without spaces. Once it
// meets anything else, odd is set and nothing that it gives counts.
type scanner struct {
	text  string
	at    int
	odd   bool
	depth int
	words *words // nil: what is read is kept with the text
	dry   bool   // claims are read over: all that is looked at is whether they are as they should be
}

// maxNested bounds how deep values of claims lie in each other.
const maxNested = 32

func (s *scanner) assertion() (a directory.Assertion, ok bool) {
	for key := s.first('{', '}'); key; key = s.next('}') {
		switch s.key() {
		case "Connection":
			a.Connection = s.own()
		case "Issuer":
			a.Issuer = s.own()
		case "Subject":
			a.Subject = s.own()
		case "Link":
			a.Link = s.own()
		case "UserName":
			a.UserName = s.own()
		case "Email":
			a.Email = s.own()
		case "EmailVerified":
			a.EmailVerified = s.flag()
		case "Name":
			a.Name = s.own()
		case "Groups":
			a.Groups = s.list()
		case "GroupsIncomplete":
			a.GroupsIncomplete = s.flag()
		case "AppRoles":
			a.AppRoles = s.list()
		case "UserType":
			a.UserType = s.own()
		case "Claims":
			s.odd = s.odd || a.Claims != nil
			a.Claims = s.claims()
		case "ACR":
			a.ACR = s.own()
		case "AuthTime":
			a.AuthTime = s.time()
		case "Received":
			a.Received = s.time()
		default:
			s.odd = true
		}
	}
	return a, !s.odd && s.at == len(s.text)
}

// take reads one character if it comes next.
func (s *scanner) take(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) want(c byte) {
	if !s.take(c) {
		s.odd = true
	}
}

// word reads a literal if it comes next.
func (s *scanner) word(w string) bool {
	if strings.HasPrefix(s.text[s.at:], w) {
		s.at += len(w)
		return true
	}
	return false
}

// first begins an object or a list and reports whether there is anything in it.
func (s *scanner) first(begin, end byte) bool {
	s.want(begin)
	return !s.odd && !s.take(end)
}

// next reports whether anything follows in it.
func (s *scanner) next(end byte) bool {
	if s.odd || s.take(end) {
		return false
	}
	s.want(',')
	return !s.odd
}

// key reads the key of a value.
func (s *scanner) key() string {
	key := s.string()
	s.want(':')
	return key
}

// own reads a text that may be kept.
func (s *scanner) own() string { return s.words.text(s.string()) }

// string reads a text, as a part of what is read. One with an escape or a
// character that is not ASCII's is odd: those are for encoding/json to read.
func (s *scanner) string() string {
	s.want('"')
	start := s.at
	for ; s.at+8 <= len(s.text); s.at += 8 {
		if found := special(s.text[s.at : s.at+8]); found != 0 {
			s.at += bits.TrailingZeros64(found) / 8
			break
		}
	}
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.text[start : s.at-1]
		case c == '\\' || c < ' ':
			return s.escaped(start)
		case c >= 0x80:
			return s.escaped(start)
		}
	}
	s.odd = true
	return ""
}

// special looks at eight characters at once. The lowest bit of what it gives is
// in the byte of the first that is a quotation mark, a backslash, not ASCII's
// or does not print; 0 if there is none.
func special(s string) uint64 {
	const each, high = 0x0101010101010101, 0x8080808080808080
	_ = s[7]
	x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	quote, slash := x^each*'"', x^each*'\\'
	// Of a byte less than n, and of none but those behind it, the subtraction
	// borrows from the high bit.
	return (x | (x - each*' ') | (quote - each) | (slash - each)) & high
}

// escaped reads a text with escapes, or of other characters, that began at a
// place.
func (s *scanner) escaped(start int) (out string) {
	for ; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			if json.Unmarshal([]byte(s.text[start-1:s.at]), &out) != nil {
				s.odd = true
			}
			return out
		}
	}
	s.odd = true
	return ""
}

func (s *scanner) flag() bool {
	if s.word("true") {
		return true
	}
	if !s.word("false") {
		s.odd = true
	}
	return false
}

func (s *scanner) list() []string {
	if s.word("null") {
		return nil
	}
	out := []string{}
	for more := s.first('[', ']'); more; more = s.next(']') {
		out = append(out, s.own())
	}
	return out
}

func (s *scanner) time() time.Time {
	var at time.Time
	start := s.at
	// Where encoding/json reads a time it knows no escapes.
	if text := s.string(); at.UnmarshalText([]byte(text)) != nil || s.at-start != len(text)+len(`""`) {
		s.odd = true
	}
	return at
}

func (s *scanner) claims() map[string]any {
	if s.word("null") {
		return nil
	}
	if !s.first('{', '}') {
		return map[string]any{}
	}
	if s.dry {
		for more := true; more; more = s.next('}') {
			s.key()
			s.value()
		}
		return nil
	}
	// Room for what is there: twice as much would be half of what is kept of
	// somebody in memory. Three more fields follow the claims.
	out := make(map[string]any, max(0, min(strings.Count(s.text[s.at:], `":`)-3, maxHint)))
	for more := true; more; more = s.next('}') {
		key := s.words.text(s.key())
		out[key] = s.value()
	}
	return out
}

// maxHint bounds the room that is made for claims before they are read.
const maxHint = 32

// value reads any value as encoding/json reads it into an any.
func (s *scanner) value() (out any) {
	if s.odd || s.at >= len(s.text) || s.depth == maxNested {
		s.odd = true
		return nil
	}
	s.depth++
	switch c := s.text[s.at]; c {
	case '"':
		if text := s.string(); !s.dry {
			out = s.words.claim(text)
		}
	case '{':
		out = s.claims()
	case '[':
		items := []any{}
		for more := s.first('[', ']'); more; more = s.next(']') {
			item := s.value()
			if !s.dry {
				items = append(items, item)
			}
		}
		out = items
	case 't', 'f':
		out = s.flag()
	case 'n':
		s.odd = s.odd || !s.word("null")
	default:
		if n := s.number(); !s.dry {
			out = n
		}
	}
	s.depth--
	return out
}

// number reads a number as it stands in JSON: ParseFloat takes more.
func (s *scanner) number() float64 {
	start := s.at
	for s.at < len(s.text) && strings.IndexByte("+-.0123456789eE", s.text[s.at]) >= 0 {
		s.at++
	}
	text := s.text[start:s.at]
	if n, ok := small(text); ok {
		return float64(n)
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !json.Valid([]byte(text)) {
		s.odd = true
	}
	return n
}

// small reads what most numbers of claims are: times in seconds.
func small(text string) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 15 || text[0] == '0' && len(text) > 1 {
		return 0, false
	}
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}
