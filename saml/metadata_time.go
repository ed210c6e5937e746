package saml

import (
	"regexp"
	"strconv"
	"time"

	"github.com/beevik/etree"

	"portcullis/fault"
)

// maxCacheDuration caps what a document may say: beyond a year it means for ever.
const maxCacheDuration = 365 * 24 * time.Hour

// readValidity gives the earliest validUntil and the smallest cacheDuration
// from the role up to the root: what holds an element bounds it (SAML
// metadata, section 4.3.1). Zero values mean that nobody said.
func readValidity(role *etree.Element) (time.Time, time.Duration, error) {
	var until time.Time
	var cache time.Duration
	for el := role; el != nil; el = el.Parent() {
		if value := attribute(el, "validUntil"); value != "" {
			t, err := instant(value)
			if err != nil {
				return until, cache, fault.Wrap(fault.Invalid, err, "validUntil %q is not a time", clean(value))
			}
			if until.IsZero() || t.Before(until) {
				until = t
			}
		}
		if value := attribute(el, "cacheDuration"); value != "" {
			d, err := parseDuration(value)
			if err != nil {
				return until, cache, err
			}
			if cache == 0 || d < cache {
				cache = d
			}
		}
	}
	return until, cache, nil
}

// parseDuration reads an xs:duration. A month has 30 days and a year 365: it
// is only ever a hint of when to ask again. The result is between a second and
// a year.
func parseDuration(s string) (time.Duration, error) {
	form := regexp.MustCompile(`^P(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,6})D)?(T(?:(\d{1,7})H)?(?:(\d{1,8})M)?(?:(\d{1,9})(?:\.\d{1,9})?S)?)?$`)
	m := form.FindStringSubmatch(s)
	if m == nil || s == "P" || m[4] == "T" {
		return 0, fault.New(fault.Invalid, "cacheDuration %q is not a duration", clean(s))
	}
	const day = 24 * time.Hour
	var total time.Duration
	for _, part := range []struct {
		digits string
		unit   time.Duration
	}{{m[1], 365 * day}, {m[2], 30 * day}, {m[3], day}, {m[5], time.Hour}, {m[6], time.Minute}, {m[7], time.Second}} {
		if part.digits == "" {
			continue
		}
		n, err := strconv.ParseInt(part.digits, 10, 64)
		if err != nil {
			return 0, fault.Wrap(fault.Invalid, err, "cacheDuration %q is not a duration", clean(s))
		}
		if n > int64(maxCacheDuration/part.unit) {
			return maxCacheDuration, nil
		}
		total += time.Duration(n) * part.unit // six parts of a year at most: no overflow
	}
	return min(max(total, time.Second), maxCacheDuration), nil
}

// formatDuration writes an xs:duration in whole seconds.
func formatDuration(d time.Duration) string {
	return "PT" + strconv.FormatInt(int64(d/time.Second), 10) + "S"
}
