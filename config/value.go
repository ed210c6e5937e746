package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The shapes of names. Compiled once; nothing changes them.
var (
	idShape          = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	environmentShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)
	attributeShape   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)
	variableShape    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	labelShape       = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)
	numberLabel      = regexp.MustCompile(`^([0-9]+|0x[0-9a-f]*)$`)
	rateShape        = regexp.MustCompile(`^([0-9]{1,7})/(s|m)$`)
	sizeShape        = regexp.MustCompile(`^([0-9]{1,7})(KB|MB|GB)$`)
	methodShape      = regexp.MustCompile(`^[A-Z][A-Z-]{0,31}$`)
	headerShape      = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,62}$`)
	durationShape    = regexp.MustCompile(`^(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,8})s)?$`)
)

// visible reports whether v is a text that a person can read on one line: not
// empty, no control characters, no spaces around, at most 255 characters.
func visible(v string) bool {
	return v != "" && utf8.RuneCountInString(v) <= 255 && strings.TrimSpace(v) == v && !strings.ContainsFunc(v, unprintable)
}

func unprintable(c rune) bool { return !unicode.IsPrint(c) }

// oneWord is a visible text without spaces.
func oneWord(v string) (string, bool) {
	return v, visible(v) && !strings.ContainsFunc(v, unicode.IsSpace)
}

// duration reads whole days, hours, minutes and seconds, in that order.
func duration(v string) (time.Duration, bool) {
	m := durationShape.FindStringSubmatch(v)
	if v == "" || m == nil {
		return 0, false
	}
	var d time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi("0" + m[i+1]) // the shape bounds it
		d += time.Duration(n) * unit
	}
	return d, true
}

// brief writes a duration as people write it in the file: 15m, not 15m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// rate reads 10/s or 30/m.
func rate(v string) (Rate, bool) {
	m := rateShape.FindStringSubmatch(v)
	if m == nil {
		return Rate{}, false
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n < 1 {
		return Rate{}, false
	}
	if m[2] == "m" {
		return Rate{PerSecond: float64(n) / 60}, true
	}
	return Rate{PerSecond: float64(n)}, true
}

const wantSize = "a size such as 512KB, 10MB or 1GB"

// size reads a number of bytes: KB, MB and GB are powers of 1,024.
func size(v string) (int64, bool) {
	m := sizeShape.FindStringSubmatch(v)
	if m == nil {
		return 0, false
	}
	n, _ := strconv.ParseInt(m[1], 10, 64) // the shape bounds it
	return n << map[string]int{"KB": 10, "MB": 20, "GB": 30}[m[2]], n > 0
}

// hostName reports whether v is a lower-case DNS name. A last label that is a
// number makes it an IPv4 address to a browser (WHATWG URL, section 3.5),
// so it is no name.
func hostName(v string) bool {
	if v == "" || len(v) > 253 {
		return false
	}
	labels := strings.Split(v, ".")
	for _, l := range labels {
		if !labelShape.MatchString(l) {
			return false
		}
	}
	return !numberLabel.MatchString(labels[len(labels)-1])
}

// host reports whether v is a host name or an IP address without a zone.
func host(v string) bool {
	if a, err := netip.ParseAddr(v); err == nil {
		return a.Zone() == "" && !a.Is4In6()
	}
	return hostName(v)
}

// loopback reports whether v names this machine and nothing else can.
func loopback(v string) bool {
	a, err := netip.ParseAddr(v)
	return v == "localhost" || err == nil && !a.Is4In6() && a.IsLoopback()
}

// emailDomain reads a host name that people have e-mail addresses at.
func emailDomain(v string) (string, bool) {
	v = strings.ToLower(v)
	return v, hostName(v) && !strings.Contains(v, "_")
}

// webURL reads an absolute http or https URL without user information, query
// and fragment. got says what is wrong, without showing what may be secret.
func webURL(v string) (u *url.URL, got string) {
	u, err := url.Parse(v)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Opaque != "", strings.ContainsFunc(v, unicode.IsSpace):
		return nil, show(v)
	case u.User != nil:
		return nil, "one with user information"
	case u.RawQuery != "", u.ForceQuery:
		return nil, "one with a query"
	case strings.Contains(v, "#"):
		return nil, "one with a fragment"
	case !host(strings.ToLower(u.Hostname())), u.Port() != "" && !port(u.Port(), 1):
		return nil, show(v)
	}
	return u, ""
}

// origin reads a [webURL] that is nothing but scheme, host and port.
func origin(v string) (u *url.URL, got string) {
	u, got = webURL(v)
	if got != "" {
		return nil, got
	}
	if u.Path != "" && u.Path != "/" {
		return nil, "one with a path"
	}
	h, p := strings.ToLower(u.Hostname()), u.Port()
	if p == "80" && u.Scheme == "http" || p == "443" && u.Scheme == "https" {
		p = ""
	}
	switch {
	case p != "":
		h = net.JoinHostPort(h, p)
	case strings.Contains(h, ":"):
		h = "[" + h + "]"
	}
	return &url.URL{Scheme: u.Scheme, Host: h}, ""
}

// port reports whether v is a port number of at least from.
func port(v string, from int) bool {
	n, err := strconv.Atoi(v)
	return err == nil && n >= from && n <= 65535 && strconv.Itoa(n) == v
}

// address reads the host:port of a listener. Port 0 lets the system choose,
// no host means every address of the machine.
func address(v string) (string, bool) {
	h, p, err := net.SplitHostPort(v)
	return v, err == nil && port(p, 0) && (h == "" || host(strings.ToLower(h)))
}

// clash reports whether two listeners cannot both have their address.
func clash(a, b string) bool {
	ah, ap, err1 := net.SplitHostPort(a)
	bh, bp, err2 := net.SplitHostPort(b)
	if err1 != nil || err2 != nil || ap != bp || ap == "0" {
		return false
	}
	return strings.EqualFold(ah, bh) || everywhere(ah) || everywhere(bh)
}

func everywhere(h string) bool {
	a, err := netip.ParseAddr(h)
	return h == "" || err == nil && a.IsUnspecified()
}

// addressRange reads an address or a CIDR range. A range with bits below its
// length is a slip of the pen, and the whole Internet is no range.
func addressRange(v string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(v); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified()
	}
	p, err := netip.ParsePrefix(v)
	return p, err == nil && p.Masked() == p && p.Bits() > 0 && !p.Addr().Is4In6()
}

// routePath reads a path prefix in the form in which the gate judges requests:
// decoded, and with nothing that the path guard refuses.
func routePath(v string) (string, bool) {
	if !strings.HasPrefix(v, "/") || len(v) > 1024 || strings.ContainsAny(v, `%;\?#`) || strings.ContainsFunc(v, unprintable) {
		return "", false
	}
	segments := strings.Split(v[1:], "/")
	for i, s := range segments {
		if s == "." || s == ".." || s == "" && i < len(segments)-1 {
			return "", false
		}
	}
	return v, true
}

// reserved reports whether the gate answers below path itself.
func reserved(path string) bool {
	p := strings.ToLower(path) + "/"
	return strings.HasPrefix(p, "/.portcullis/") || strings.HasPrefix(p, "/scim/v2/")
}
