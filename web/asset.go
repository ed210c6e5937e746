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

// asset is a file whose path names its content.
type asset struct {
	path string
	kind string
	body []byte
}

var (
	style = sync.OnceValue(func() asset { return loadAsset("portcullis.css", "text/css; charset=utf-8") })
	icon  = sync.OnceValue(func() asset { return loadAsset("portcullis.svg", "image/svg+xml") })
	// submit is the only script of the pages, and on those that are a form to pass on.
	submit = sync.OnceValue(func() asset { return loadAsset("submit.js", "text/javascript; charset=utf-8") })
)

func stylePath() string  { return style().path }
func iconPath() string   { return icon().path }
func submitPath() string { return submit().path }

func loadAsset(name, kind string) asset {
	body, err := assetFiles.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // impossible: the file is embedded
	}
	sum := sha256.Sum256(body)
	ext := path.Ext(name)
	return asset{
		path: AssetPrefix + strings.TrimSuffix(name, ext) + "-" + hex.EncodeToString(sum[:8]) + ext,
		kind: kind,
		body: body,
	}
}

// Asset answers with the style sheet, icon or script whose path was asked for. A
// path names its content, so browsers may keep it for ever. It fails with
// [fault.NotFound].
func Asset(w http.ResponseWriter, r *http.Request) error {
	for _, a := range []asset{style(), icon(), submit()} {
		if r.URL.Path != a.path {
			continue
		}
		h := w.Header()
		SetHeaders(h)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Content-Type", a.kind)
		_, _ = w.Write(a.body)
		return nil
	}
	return fault.New(fault.NotFound, "there is no such file")
}
