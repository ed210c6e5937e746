package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"sync"

	"portcullis/fault"
)

//go:embed assets/*.css assets/*.svg assets/*.js
var assetFiles embed.FS

// AssetPrefix is the path below which [Asset] serves.
const AssetPrefix = Prefix + "/assets/"

// File is a file whose path names its content, so that browsers may keep it
// for ever.
type File struct {
	path string
	kind string
	body []byte
}

// NewFile makes a File below a folder, which ends with a slash. name has an
// extension; kind is its media type.
func NewFile(folder, name, kind string, body []byte) *File {
	sum := sha256.Sum256(body)
	ext := path.Ext(name)
	return &File{
		path: folder + strings.TrimSuffix(name, ext) + "-" + hex.EncodeToString(sum[:8]) + ext,
		kind: kind,
		body: body,
	}
}

// Path is where the file is served.
func (f *File) Path() string { return f.path }

var (
	style = sync.OnceValue(func() *File { return loadAsset("portcullis.css", "text/css; charset=utf-8") })
	icon  = sync.OnceValue(func() *File { return loadAsset("portcullis.svg", "image/svg+xml") })
	// submit is the only script of the pages, and on those that are a form to pass on.
	submit = sync.OnceValue(func() *File { return loadAsset("submit.js", "text/javascript; charset=utf-8") })
)

func stylePath() string  { return style().path }
func iconPath() string   { return icon().path }
func submitPath() string { return submit().path }

func loadAsset(name, kind string) *File {
	body, err := assetFiles.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // impossible: the file is embedded
	}
	return NewFile(AssetPrefix, name, kind, body)
}

// Asset answers with the style sheet, icon or script whose path was asked for. It
// fails with [fault.NotFound].
func Asset(w http.ResponseWriter, r *http.Request) error {
	return ServeFile(w, r, style(), icon(), submit())
}

// ServeFile answers with the one of some files whose path was asked for. It
// fails with [fault.NotFound].
func ServeFile(w http.ResponseWriter, r *http.Request, files ...*File) error {
	for _, f := range files {
		if r.URL.Path != f.path {
			continue
		}
		h := w.Header()
		SetHeaders(h)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Content-Type", f.kind)
		_, _ = w.Write(f.body)
		return nil
	}
	return fault.New(fault.NotFound, "there is no such file")
}
