package session

import "strings"

// Device says in words what a browser claims to be, as "Firefox on Windows".
// What it does not know it does not guess: it gives the first word of the
// claim, and "unknown" for none. A browser may claim anything.
func (c Client) Device() string {
	browser, system := browserOf(c.UserAgent), systemOf(c.UserAgent)
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	case system != "":
		return "a browser on " + system
	}
	if words := strings.Fields(c.UserAgent); len(words) > 0 {
		return words[0]
	}
	return "unknown"
}

// browserOf and systemOf hold a claim against signs in order: most browsers
// also name those that they descend from.
func browserOf(claim string) string {
	return firstOf(claim, "Edg/", "Edge", "EdgA/", "Edge", "EdgiOS/", "Edge", "OPR/", "Opera", "SamsungBrowser/", "Samsung Internet",
		"Vivaldi/", "Vivaldi", "Firefox/", "Firefox", "FxiOS/", "Firefox", "CriOS/", "Chrome", "Chrome/", "Chrome", "Safari/", "Safari")
}

func systemOf(claim string) string {
	return firstOf(claim, "iPhone", "iOS", "iPad", "iPadOS", "Android", "Android", "Windows", "Windows", "CrOS", "ChromeOS",
		"Macintosh", "macOS", "Linux", "Linux")
}

// firstOf gives the name of the first sign that stands in a claim; signs and
// names take turns.
func firstOf(claim string, signs ...string) string {
	for i := 0; i+1 < len(signs); i += 2 {
		if strings.Contains(claim, signs[i]) {
			return signs[i+1]
		}
	}
	return ""
}
