package admin

import (
	"fmt"
	"strings"
)

// patch writes a change of one file as git diff does, for a file that is kept
// in Git; empty if there is none.
func patch(name, before, after string) string {
	lines := script(unended(before), unended(after))
	if lines == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "--- a/%[1]s\n+++ b/%[1]s\n", name)
	at, to := 1, 1 // the next line of each side
	for i := 0; i < len(lines); {
		if lines[i].Sign == " " && !nearChange(lines, i) {
			at, to, i = at+1, to+1, i+1
			continue
		}
		end, olds, news := i, 0, 0
		for end < len(lines) && (lines[end].Sign != " " || nearChange(lines, end)) {
			if lines[end].Sign != "+" {
				olds++
			}
			if lines[end].Sign != "-" {
				news++
			}
			end++
		}
		fmt.Fprintf(&b, "@@ -%s +%s @@\n", span(at, olds), span(to, news))
		for ; i < end; i++ {
			b.WriteString(lines[i].Sign + strings.ReplaceAll(lines[i].Text, noEnd, "\n\\ No newline at end of file") + "\n")
			if lines[i].Sign != "+" {
				at++
			}
			if lines[i].Sign != "-" {
				to++
			}
		}
	}
	return b.String()
}

// noEnd marks a last line that does not end. No mapping file has it: YAML
// allows no NUL.
const noEnd = "\x00"

func unended(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + noEnd
}

func span(from, count int) string {
	if count == 0 {
		from--
	}
	return fmt.Sprintf("%d,%d", from, count)
}

func nearChange(lines []diffLine, i int) bool {
	for j := max(0, i-diffAround); j <= min(len(lines)-1, i+diffAround); j++ {
		if lines[j].Sign != " " {
			return true
		}
	}
	return false
}
