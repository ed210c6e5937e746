package admin

import (
	"slices"
	"strings"
)

// diffLine is a line of a comparison: "+" is new, "-" is gone, " " is both,
// and "@" stands for lines that are left out.
type diffLine struct {
	Sign string `json:"sign"`
	Text string `json:"text"`
}

const (
	diffAround = 3         // lines that are shown around a change
	diffCells  = 4_000_000 // of the table; a change that is larger is shown as a whole
)

// diff compares two texts line by line; nil if they are the same.
func diff(before, after string) []diffLine { return near(script(before, after)) }

// script is every line of two texts, of which one is made into the other; nil
// if they are the same.
func script(before, after string) []diffLine {
	if before == after {
		return nil
	}
	a, b := splitLines(before), splitLines(after)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var all []diffLine
	for _, l := range a[:head] {
		all = append(all, diffLine{" ", l})
	}
	all = append(all, changed(a[head:len(a)-tail], b[head:len(b)-tail])...)
	for _, l := range a[len(a)-tail:] {
		all = append(all, diffLine{" ", l})
	}
	return all
}

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// changed keeps the longest common subsequence of two lists of lines.
func changed(a, b []string) (out []diffLine) {
	if len(a)*len(b) > diffCells {
		for _, l := range a {
			out = append(out, diffLine{"-", l})
		}
		for _, l := range b {
			out = append(out, diffLine{"+", l})
		}
		return out
	}
	width := len(b) + 1
	longest := make([]int32, (len(a)+1)*width)
	for i := range slices.Backward(a) {
		for j := range slices.Backward(b) {
			if a[i] == b[j] {
				longest[i*width+j] = longest[(i+1)*width+j+1] + 1
			} else {
				longest[i*width+j] = max(longest[(i+1)*width+j], longest[i*width+j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, diffLine{" ", a[i]})
			i++
			j++
		case j == len(b) || i < len(a) && longest[(i+1)*width+j] >= longest[i*width+j+1]:
			out = append(out, diffLine{"-", a[i]})
			i++
		default:
			out = append(out, diffLine{"+", b[j]})
			j++
		}
	}
	return out
}

// near leaves out what is far from any change.
func near(all []diffLine) (out []diffLine) {
	keep := make([]bool, len(all))
	for i, l := range all {
		if l.Sign == " " {
			continue
		}
		for j := max(0, i-diffAround); j <= min(len(all)-1, i+diffAround); j++ {
			keep[j] = true
		}
	}
	for i, l := range all {
		switch {
		case keep[i]:
			out = append(out, l)
		case len(out) == 0 || out[len(out)-1].Sign != "@":
			out = append(out, diffLine{"@", ""})
		}
	}
	return out
}
