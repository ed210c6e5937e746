package admin

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"portcullis/fault"
	"portcullis/mapping"
)

// Reading is what the gate reads out of what an identity provider says of
// people. The zero value is what suits its maker.
type Reading struct {
	// Names are claims, or SAML attributes, by what is read from them: one of
	// [Readable]. Of several SAML attributes the first that is there counts.
	Names map[string][]string
	// UnitAttribute and UnitClaim say in which part of the organization
	// somebody is: over SCIM, and at a sign-in.
	UnitAttribute, UnitClaim string
	// Attributes are those of the portal's SCIM extension, each as name=type.
	Attributes []string
	// GuardPercent and GuardPeople bound what may go over SCIM in an hour before
	// it is one mass loss; empty for the usual.
	GuardPercent, GuardPeople string
}

// Readable is what is read from a claim or an attribute that can have a name of
// its own: Key in the configuration, Member in the API and in forms.
type Readable struct{ Key, Member, Title string }

// Readables are all of them. A subject has a name of its own over SAML alone.
func Readables() []Readable {
	return []Readable{
		{"groups", "groupsFrom", "Groups"},
		{"roles", "rolesFrom", "App roles"},
		{"user_name", "userNameFrom", "User name"},
		{"email", "emailFrom", "E-mail address"},
		{"name", "nameFrom", "Name"},
		{"subject", "subjectFrom", "Lasting identifier (SAML)"},
	}
}

// readingNames are the members of what is sent of addresses and of a [Reading].
func readingNames() []string {
	out := []string{"addresses", "keptOut", "unitAttribute", "unitClaim", "scimAttributes", "guardPercent", "guardPeople"}
	for _, a := range Readables() {
		out = append(out, a.Member)
	}
	return out
}

// reading takes what is sent of [readingNames] into a draft. What a script does
// not name stays: it may not know that it is there.
func (r *request) reading(d *Draft) {
	f, words := r.form, func(name, apart string) []string {
		var out []string
		for _, text := range r.form[name] {
			for _, word := range strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(apart, c) }) {
				if word = strings.TrimSpace(word); word != "" {
					out = append(out, word)
				}
			}
		}
		return out
	}
	if f.Has("addresses") {
		d.Addresses = words("addresses", ",; \t\r\n")
	}
	for name, into := range map[string]*string{
		"unitAttribute": &d.Reading.UnitAttribute, "unitClaim": &d.Reading.UnitClaim,
		"guardPercent": &d.Reading.GuardPercent, "guardPeople": &d.Reading.GuardPeople,
	} {
		if f.Has(name) {
			*into = strings.TrimSpace(f.Get(name))
		}
	}
	if f.Has("scimAttributes") {
		d.Reading.Attributes = nil
		for _, line := range words("scimAttributes", ",;\r\n") {
			name, kind, _ := strings.Cut(strings.Replace(line, ":", "=", 1), "=")
			d.Reading.Attributes = append(d.Reading.Attributes, strings.TrimSpace(name)+"="+strings.TrimSpace(kind))
		}
	}
	named := maps.Clone(d.Reading.Names)
	for _, a := range Readables() {
		if !f.Has(a.Member) {
			continue
		}
		if named == nil {
			named = make(map[string][]string)
		}
		if named[a.Key] = words(a.Member, ",\r\n"); len(named[a.Key]) == 0 {
			delete(named, a.Key)
		}
	}
	if len(named) == 0 {
		named = nil
	}
	d.Reading.Names = named
}

// Links are the attributes on which a pushed record and a sign-in can meet.
func (d Draft) Links() []string {
	out := []string{"externalId", "userName", "employeeNumber"}
	for _, a := range d.Reading.Attributes {
		if name, kind, _ := strings.Cut(a, "="); kind == "string" {
			out = append(out, name)
		}
	}
	if d.Link != "" && !slices.Contains(out, d.Link) {
		out = append(out, d.Link)
	}
	return out
}

// Named are the names of what a [Readable] is read from.
func (d Draft) Named(key string) string { return strings.Join(d.Reading.Names[key], ", ") }

// divides says why a visitor may not change in which part of its organization
// a connection's people are, or nil.
func (c *Console) divides(r *request, old, next Reading) error {
	if old.UnitAttribute == next.UnitAttribute && old.UnitClaim == next.UnitClaim {
		return nil
	}
	return c.governs(r, "which part of an organization people are in")
}

// governs says why where people are is not the visitor's to change, or nil. Who
// is where is who sees and manages whom: that is changed by whoever changes what
// a client may have at all, which stands in the mapping, and like that by nobody
// alone where it takes two.
func (c *Console) governs(r *request, where string) error {
	switch {
	case r.link != nil:
		return nil
	case !slices.Contains(r.wide, mapping.GateMappingPropose):
		return fault.New(fault.Forbidden, "%s decides who manages them: that takes the task %q, as a ceiling does", where, mapping.GateMappingPropose)
	case c.ledger.NeedsTwo():
		return fault.New(fault.Forbidden,
			"%s decides who manages them, which nobody changes alone here: open the console by a one-time link of “portcullis admin bootstrap” for it", where)
	}
	return nil
}

// keptOut reports whether networks would keep the visitor themselves out. What
// cannot be read is for the configuration's checks to say.
func (r *request) keptOut(conn Connection, networks []string) bool {
	if r.who == nil || r.who.Connection != conn.ID || len(networks) == 0 {
		return false
	}
	var from []netip.Prefix
	for _, text := range networks {
		if a, err := netip.ParseAddr(text); err == nil {
			from = append(from, netip.PrefixFrom(a, a.BitLen()))
		} else if p, err := netip.ParsePrefix(text); err == nil {
			from = append(from, p)
		}
	}
	return !holds(from, r.address)
}

// holds reports whether an address is in one of the networks.
func holds(networks []netip.Prefix, address string) bool {
	at, err := netip.ParseAddr(address)
	return err == nil && slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(at.Unmap()) })
}

// readingJSON is [Reading] in the words of the API.
type readingJSON struct {
	Addresses      []string            `json:"addresses"`
	Names          map[string][]string `json:"names"`
	UnitAttribute  string              `json:"unitAttribute"`
	UnitClaim      string              `json:"unitClaim"`
	SCIMAttributes []string            `json:"scimAttributes"`
	GuardPercent   string              `json:"guardPercent"`
	GuardPeople    string              `json:"guardPeople"`
}

func readingWire(conn Connection) readingJSON {
	x := conn.Reading
	w := readingJSON{
		Addresses: []string{}, Names: map[string][]string{}, UnitAttribute: x.UnitAttribute, UnitClaim: x.UnitClaim,
		SCIMAttributes: append([]string{}, x.Attributes...), GuardPercent: x.GuardPercent, GuardPeople: x.GuardPeople,
	}
	for _, n := range conn.Addresses {
		w.Addresses = append(w.Addresses, n.String())
	}
	for _, a := range Readables() {
		if names := x.Names[a.Key]; len(names) > 0 {
			w.Names[a.Member] = names
		}
	}
	return w
}

// Apart are the names that are told, with what is read from them.
func (w readingJSON) Apart() (out []valueJSON) {
	for _, a := range Readables() {
		if names := w.Names[a.Member]; len(names) > 0 {
			out = append(out, valueJSON{a.Title, strings.Join(names, ", ")})
		}
	}
	return out
}
