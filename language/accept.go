package language

import "strings"

// maxRanges bounds how many language ranges of a request count.
const maxRanges = 64

// Accepted gives the language that the lines of Accept-Language prefer (RFC 9110,
// section 12.5.4), and English where they name none of ours. A range stands for
// itself and for what is below it, and the longer ones for what they are below:
// "de" and "de-CH" are German (lookup, RFC 4647, section 3.4). What weighs the same counts
// in its order. A range that is malformed counts for nothing.
func Accepted(lines []string) *Language {
	best, most := English(), 0
	wild, ranges := 0, 0
	for _, line := range lines {
		for entry := range strings.SplitSeq(line, ",") {
			if ranges++; ranges > maxRanges {
				return best
			}
			name, params, weighed := strings.Cut(entry, ";")
			weight, ok := 1000, true
			if weighed {
				weight, ok = weightOf(params)
			}
			name = strings.Trim(name, " \t")
			if !ok {
				continue
			}
			if name == "*" {
				wild = max(wild, weight)
				continue
			}
			if l := ranged(name); l != nil && weight > most {
				best, most = l, weight
			}
		}
	}
	if wild > most { // anything, rather than what was named
		return English()
	}
	return best
}

// ranged gives the language of a language range (RFC 4647, section 2.1), nil for
// none of ours.
func ranged(name string) *Language {
	primary := name
	for i, sub := range strings.Split(name, "-") {
		if sub == "" || len(sub) > 8 || strings.Trim(sub, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			return nil
		}
		if i == 0 {
			primary = sub
		}
	}
	return Named(strings.ToLower(primary))
}

// weightOf reads the parameters of a range: a quality value, in thousandths
// (RFC 9110, section 12.4.2).
func weightOf(params string) (weight int, ok bool) {
	value, found := strings.CutPrefix(strings.ToLower(strings.Trim(params, " \t")), "q=")
	if !found || value == "" || len(value) > 5 {
		return 0, false
	}
	whole, fraction, dotted := strings.Cut(value, ".")
	if whole != "0" && whole != "1" || dotted && len(fraction) > 3 || strings.Trim(fraction, "0123456789") != "" {
		return 0, false
	}
	for _, c := range (fraction + "000")[:3] {
		weight = weight*10 + int(c-'0')
	}
	if whole == "1" {
		return 1000, weight == 0
	}
	return weight, true
}
