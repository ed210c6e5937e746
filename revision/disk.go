package revision

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"portcullis/fault"
	"portcullis/mapping"
)

// maxSize bounds what is read of a file; [mapping.Load] refuses less than this.
const maxSize = 8 << 20

// Disk lets a mapping file that lies on disk include others, of its own folder
// and below alone: a symbolic link that leads out is not followed.
func Disk(file string, o mapping.Options) mapping.Options {
	open := func() (*os.Root, error) { return os.OpenRoot(filepath.Dir(file)) }
	o.Read = func(name string) ([]byte, error) {
		root, err := open()
		if err != nil {
			return nil, err
		}
		defer func() { _ = root.Close() }()
		return readIn(root, name)
	}
	o.Glob = func(pattern string) ([]string, error) {
		root, err := open()
		if err != nil {
			return nil, err
		}
		defer func() { _ = root.Close() }()
		return fs.Glob(root.FS(), pattern)
	}
	return o
}

func readIn(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return bounded(f, name)
}

// read reads the mapping file itself, which may be a link to anywhere: the
// operator named it.
func read(file string) ([]byte, error) {
	f, err := os.Open(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the mapping file cannot be read")
	}
	defer func() { _ = f.Close() }()
	text, err := bounded(f, file)
	if fault.Is(err, fault.TooLarge) {
		return nil, err
	}
	return text, fault.Wrap(fault.Invalid, err, "the mapping file cannot be read")
}

// bounded reads all of a file, and never gives nil without an error.
func bounded(f io.Reader, name string) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxSize:
		return nil, fault.New(fault.TooLarge, "%s: the file is larger than %d MiB", name, maxSize>>20)
	default:
		return text, nil
	}
}

// files is what a mapping file and its includes were at one look.
type files struct {
	base  []byte
	texts map[string][]byte   // by name; nil for one that could not be read
	lists map[string][]string // what each pattern met
}

// look reads a mapping file, and whatever was read at looks before.
func look(file string, before ...*files) (*files, error) {
	base, err := read(file)
	if err != nil {
		return nil, err
	}
	f := &files{base: base, texts: make(map[string][]byte), lists: make(map[string][]string)}
	root, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the folder of the mapping file cannot be read")
	}
	defer func() { _ = root.Close() }()
	// What cannot be read is noted as such, and reported by a load.
	for _, b := range before {
		if b == nil {
			continue
		}
		for name := range b.texts {
			if _, ok := f.texts[name]; !ok {
				f.texts[name], _ = readIn(root, name)
			}
		}
		for pattern := range b.lists {
			if _, ok := f.lists[pattern]; !ok {
				f.lists[pattern], _ = fs.Glob(root.FS(), pattern)
			}
		}
	}
	return f, nil
}

// through makes options that read each file once and note it.
func (f *files) through(o mapping.Options) mapping.Options {
	onDisk := o
	o.Read = func(name string) ([]byte, error) {
		if text := f.texts[name]; text != nil {
			return text, nil
		}
		text, err := onDisk.Read(name)
		if err != nil {
			text = nil
		}
		f.texts[name] = text
		return text, err
	}
	o.Glob = func(pattern string) ([]string, error) {
		if names, ok := f.lists[pattern]; ok {
			return names, nil
		}
		names, err := onDisk.Glob(pattern)
		f.lists[pattern] = names
		return names, err
	}
	return o
}

// agrees reports whether f saw everything that o saw, and the same.
func (f *files) agrees(o *files) bool {
	if f == nil || o == nil || !bytes.Equal(f.base, o.base) {
		return false
	}
	for name, text := range o.texts {
		got, ok := f.texts[name]
		if !ok || (got == nil) != (text == nil) || !bytes.Equal(got, text) {
			return false
		}
	}
	for pattern, names := range o.lists {
		if got, ok := f.lists[pattern]; !ok || !slices.Equal(got, names) {
			return false
		}
	}
	return true
}

// size is how much was looked at, to notice that a load looked at more.
func (f *files) size() int { return len(f.texts) + len(f.lists) }

// ReadFile reads a mapping file and what it includes, as the texts of a
// revision. What is wrong with them is for [Compile] to say.
func ReadFile(file string) ([]Text, error) {
	f, err := look(file)
	if err != nil {
		return nil, err
	}
	_, _ = mapping.Load(file, f.base, f.through(Disk(file, mapping.Options{}))) // for what it reads
	texts := []Text{{Name: file, Body: f.base}}
	for name, text := range f.texts {
		if text != nil {
			texts = append(texts, Text{Name: name, Body: text})
		}
	}
	slices.SortFunc(texts[1:], byName)
	return texts, nil
}

// Compile loads the texts of a revision, the base first, and runs their tests.
// Any mistake, in a client's fragment too, is an error.
func Compile(texts []Text, o mapping.Options) (*mapping.Policy, error) {
	if len(texts) == 0 {
		return nil, fault.New(fault.Invalid, "a revision without a text")
	}
	return mapping.Load(texts[0].Name, texts[0].Body, within(texts, o))
}

// within lets the base of a revision include its other texts.
func within(texts []Text, o mapping.Options) mapping.Options {
	byName := make(map[string][]byte, len(texts)-1)
	for _, t := range texts[1:] {
		byName[t.Name] = append([]byte{}, t.Body...)
	}
	o.Read = func(name string) ([]byte, error) {
		if text, ok := byName[name]; ok {
			return text, nil
		}
		return nil, fs.ErrNotExist
	}
	o.Glob = func(pattern string) (names []string, err error) {
		for name := range byName {
			ok, err := path.Match(pattern, name)
			if err != nil {
				return nil, err
			}
			if ok {
				names = append(names, name)
			}
		}
		return names, nil
	}
	return o
}

// inForceOf gives the texts that a policy of files on disk stands on: of a
// broken fragment the older text that its connection stays on, which is among
// those in force before.
func inForceOf(file string, p *mapping.Policy, base []byte, before []Text) []Text {
	older := make(map[string][]byte, len(before))
	for _, t := range before {
		older[Hash([]Text{t})] = t.Body
	}
	fragments := make(map[string]mapping.Fragment)
	for _, f := range p.Fragments() {
		fragments[f.Connection] = f
	}
	texts := []Text{{Name: filepath.Base(file), Body: base}}
	for _, f := range p.Files() {
		body := []byte(f.Text)
		fragment, ok := fragments[f.Connection]
		switch {
		case f.Name == filepath.Base(file):
			continue
		case !ok || f.Connection == "", fragment.Closed, fragment.Hash == f.Hash:
		case older[fragment.Hash] == nil:
			continue // a second file of a connection that has one
		default:
			body = older[fragment.Hash]
			delete(older, fragment.Hash)
		}
		texts = append(texts, Text{Name: f.Name, Connection: f.Connection, Body: body})
	}
	slices.SortFunc(texts[1:], byName)
	return texts
}
