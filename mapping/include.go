package mapping

import (
	"crypto/sha256"
	"fmt"
	"path"
	"slices"
	"strings"
)

// maxFiles bounds what one policy is made of.
const maxFiles = 5_000

// record is one file of a policy. It is immutable and may be shared by
// policies that were loaded one after another.
type record struct {
	name     string // relative to the folder of the root file, with slashes
	file     string // for messages
	content  string
	hash     [sha256.Size]byte
	includes []name
	// fragment is the connection of which the file is a fragment; without a
	// text if it is none.
	fragment name
	broken   bool // not readable, or not YAML
}

// parsed is the tree of a file and what was wrong with its text.
type parsed struct {
	root *node // nil if it is broken
	src  *source
}

// reader reads the files of one policy.
type reader struct {
	file     string // the root file, for messages
	options  Options
	previous map[string]*record
	base     *source // collects the problems of the base
	records  []*record
	seen     map[string]bool
	trees    map[*record]parsed
}

// tree parses a file that was not parsed yet.
func (r *reader) tree(rec *record) parsed {
	if t, ok := r.trees[rec]; ok {
		return t
	}
	t := r.parse(rec)
	r.trees[rec] = t
	return t
}

func (r *reader) parse(rec *record) parsed {
	src := newSource(rec.file, rec.content)
	src.order = slices.Index(r.records, rec)
	return parsed{parseYAML(src, rec.content), src}
}

// root reads the root file and everything that it includes.
func (r *reader) root(content []byte) *record {
	rec := r.record(path.Base(strings.ReplaceAll(r.file, `\`, "/")), r.file, content)
	r.follow(rec, nil)
	return rec
}

// record makes the record of a file, or finds that of the policy before.
func (r *reader) record(id, file string, content []byte) *record {
	hash := sha256.Sum256(content)
	r.seen[id] = true
	if old := r.previous[id]; old != nil && old.hash == hash && old.file == file && !old.broken {
		r.records = append(r.records, old)
		return old
	}
	rec := &record{name: id, file: file, content: string(content), hash: hash}
	r.records = append(r.records, rec)
	t := r.tree(rec)
	rec.broken = t.root == nil
	if rec.broken {
		rec.fragment = sniff(t.src)
		return rec
	}
	if t.root.kind != kindMap {
		return rec
	}
	for _, f := range t.root.fields {
		switch f.key.text {
		case "include":
			d := decoder{source: t.src}
			rec.includes = d.strings(f.value, "include")
		case "connection":
			if len(r.records) > 1 && f.value.kind == kindString {
				rec.fragment = name{text: f.value.text, at: f.value.at}
			}
		case "connections":
		default:
			// A slip in this key must not make a client's file one of all.
			if len(r.records) > 1 && f.value.kind == kindString && nearest(f.key.text, []string{"connection", "version"}) == "connection" {
				rec.fragment = name{text: f.value.text, at: f.value.at}
			}
		}
	}
	if rec.fragment.text != "" {
		rec.includes = nil // refused as a key of a fragment
	}
	return rec
}

// sniff finds the connection of a fragment that is no YAML, so that a slip
// anywhere in a client's file stays that client's own.
func sniff(src *source) name {
	for i, line := range src.lines {
		value, ok := strings.CutPrefix(line, "connection:")
		if !ok {
			continue
		}
		value, _, _ = strings.Cut(value, " #")
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		return name{text: value, at: src.at(i+1, 1)}
	}
	return name{}
}

// follow reads what a file includes. The names on the way to it are open.
func (r *reader) follow(rec *record, open []string) {
	open = append(open, rec.name)
	for _, include := range rec.includes {
		for _, id := range r.resolve(rec, include) {
			if slices.Contains(open, id) {
				if !isPattern(include.text) {
					r.base.fail(include.at, "include: %s includes itself: %s", id, clip(strings.Join(append(open[slices.Index(open, id):], id), " > ")))
				}
				continue
			}
			if r.seen[id] {
				continue
			}
			if len(r.records) >= maxFiles {
				r.base.fail(include.at, "include: more than %d files", maxFiles)
				return
			}
			if next := r.included(rec, include, id); next != nil {
				r.follow(next, open)
			}
		}
	}
}

func (r *reader) included(from *record, include name, id string) *record {
	content, err := r.options.Read(id)
	file := r.beside(id)
	if err == nil {
		return r.record(id, file, content)
	}
	if old := r.previous[id]; old != nil && old.fragment.text != "" {
		// Somebody took a client's file away; the client stays where it was.
		rec := &record{name: id, file: file, fragment: old.fragment, broken: true}
		r.seen[id] = true
		r.records = append(r.records, rec)
		t := parsed{src: newSource(file, "")}
		t.src.fail(t.src.at(1, 1), "the file cannot be read: %v", err)
		r.trees[rec] = t
		return nil
	}
	r.base.fail(include.at, "include: %s cannot be read: %v", clip(path.Join(path.Dir(from.name), include.text)), err)
	return nil
}

// beside is the name of a file for messages: below the folder of the root file.
func (r *reader) beside(id string) string {
	return path.Join(path.Dir(strings.ReplaceAll(r.file, `\`, "/")), id)
}

func isPattern(include string) bool { return strings.ContainsAny(include, "*?[") }

// resolve gives the names of the files that an include means.
func (r *reader) resolve(from *record, include name) []string {
	id := path.Join(path.Dir(from.name), include.text)
	switch {
	case strings.Contains(include.text, "${"):
		r.base.fail(include.at, "include: variables cannot stand here; write the name itself")
	case strings.ContainsAny(include.text, `\:`), strings.HasPrefix(include.text, "/"), id == ".", id == "..", strings.HasPrefix(id, "../"):
		r.base.fail(include.at, "include: %s is not below the folder of %s; want a relative path with slashes", quote(clip(include.text)), path.Base(r.file))
	case r.options.Read == nil:
		r.base.fail(include.at, "include: files cannot be read here; want everything in this file")
	case !isPattern(include.text):
		return []string{id}
	case r.options.Glob == nil:
		r.base.fail(include.at, "include: files cannot be listed here; want each of them by name")
	default:
		if _, err := path.Match(id, ""); err != nil {
			r.base.fail(include.at, "include: %s is no pattern: %v", quote(clip(include.text)), err)
			return nil
		}
		ids, err := r.options.Glob(id)
		if err != nil {
			r.base.fail(include.at, "include: %s cannot be listed: %v", quote(clip(include.text)), err)
		}
		// A glob gives what is there; that it stays below the folder is not
		// left to it.
		ids = slices.DeleteFunc(sortedSet(ids), func(s string) bool {
			return s == "" || path.Clean(s) != s || strings.HasPrefix(s, "../") || s[0] == '/'
		})
		return ids
	}
	return nil
}

// key tells apart everything that a part of a policy is made from.
func (rec *record) key() string { return fmt.Sprintf("%s %x\n", rec.name, rec.hash) }
