package admin

import (
	"encoding/csv"
	"io"
	"net/http"
	"strings"
	"unicode"

	"portcullis/web"
)

// sheet writes a CSV file (RFC 4180) that spreadsheets take for text alone.
type sheet struct{ w *csv.Writer }

func newCSV(h http.ResponseWriter, w io.Writer, name string, columns ...string) *sheet {
	web.SetHeaders(h.Header())
	h.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	s := &sheet{csv.NewWriter(w)}
	s.w.UseCRLF = true
	s.row(columns...)
	return s
}

func (s *sheet) row(cells ...string) {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		safe[i] = defuse(cell)
	}
	_ = s.w.Write(safe) // kept, and given by flush
}

func (s *sheet) flush() error {
	s.w.Flush()
	return s.w.Error()
}

// defuse makes text of what a spreadsheet would take for a formula: an
// apostrophe in front says so. What a spreadsheet skips before it looks, does
// not count; nor do the wide forms that some of them fold.
func defuse(cell string) string {
	first := strings.TrimLeftFunc(cell, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '"' || r == '\''
	})
	if first != "" && strings.ContainsRune("=+-@|%\uff1d\uff0b\uff0d\uff20", []rune(first)[0]) || strings.HasPrefix(cell, "\t") || strings.HasPrefix(cell, "\r") {
		return "'" + cell
	}
	return cell
}

// yes is a cell for something that is so or not.
func yes(so bool) string {
	if so {
		return "yes"
	}
	return ""
}
