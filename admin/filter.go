package admin

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
)

// filter is what the list of people is asked, as it stands in its URL.
type filter struct {
	Text         string `json:"q,omitempty"`
	State        string `json:"state,omitempty"` // active, which is not frozen; locked, deactivated, frozen, never
	Role         string `json:"role,omitempty"`
	Group        string `json:"group,omitempty"` // permission group
	Organization string `json:"organization,omitempty"`
	Unit         string `json:"subOrganization,omitempty"` // id, inNone or notPlaced
	Connection   string `json:"connection,omitempty"`
	Source       string `json:"source,omitempty"` // scim, sso
	Is           string `json:"is,omitempty"`     // id, userName, e-mail address, externalId or subject; beside it the connection alone counts
	Sort         string `json:"sort,omitempty"`
	Descending   bool   `json:"descending,omitempty"`
	after        *Place
	units        []string // that it is about, see narrow; nil: all
}

// maxName bounds what somebody is called, in bytes.
const maxName = 1000

func readFilter(q url.Values) (f filter, err error) {
	f = filter{
		Text: strings.TrimSpace(q.Get("q")), State: q.Get("state"), Role: q.Get("role"), Group: q.Get("group"),
		Organization: q.Get("organization"), Unit: q.Get("subOrganization"), Connection: q.Get("connection"), Source: q.Get("source"), Is: q.Get("is"),
		Sort: q.Get("sort"), Descending: q.Get("order") == "desc",
	}
	for name, c := range map[string]struct {
		value string
		known []string
	}{
		"state":  {f.State, []string{"", "active", "locked", "deactivated", "frozen", "never"}},
		"source": {f.Source, []string{"", "scim", "sso"}},
		"sort":   {f.Sort, []string{"", string(ByName), string(ByEmail), string(ByActive), string(ByCreated)}},
	} {
		if !slices.Contains(c.known, c.value) {
			return f, fault.New(fault.Invalid, "%s: want one of %s", name, strings.Join(c.known[1:], ", "))
		}
	}
	if len(f.Text) > maxText {
		return f, fault.New(fault.Invalid, "q: want at most %d bytes", maxText)
	}
	if len(f.Is) > maxName {
		return f, fault.New(fault.Invalid, "is: want at most %d bytes", maxName)
	}
	if after := q.Get("after"); after != "" {
		if f.after, err = readPlace(after); err != nil {
			return f, err
		}
		if _, bad := strconv.ParseInt(f.after.Value, 10, 64); bad != nil && f.Sort == string(ByActive) {
			return f, errPlace
		}
	}
	return f, nil
}

// query puts a filter back into a URL. More replaces what it names.
func (f *filter) query(more ...string) string {
	v := url.Values{}
	for name, value := range map[string]string{
		"q": f.Text, "state": f.State, "role": f.Role, "group": f.Group, "organization": f.Organization, "subOrganization": f.Unit, "connection": f.Connection,
		"source": f.Source, "is": f.Is, "sort": f.Sort,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if f.Descending {
		v.Set("order", "desc")
	}
	for i := 0; i+1 < len(more); i += 2 {
		if v.Set(more[i], more[i+1]); more[i+1] == "" {
			v.Del(more[i])
		}
	}
	if len(v) == 0 {
		return "?"
	}
	return "?" + v.Encode()
}

// Computed reports whether a filter asks what only the mapping knows.
func (f *filter) Computed() bool { return f.Role != "" || f.Group != "" }

func (p *Place) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.Seq, 10) + " " + p.Value))
}

func readPlace(text string) (*Place, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	seq, value, ok := strings.Cut(string(raw), " ")
	n, bad := strconv.ParseInt(seq, 10, 64)
	if err != nil || bad != nil || !ok || len(value) > 1000 {
		return nil, errPlace
	}
	return &Place{Value: value, Seq: n}, nil
}

// meets is the filter as the store would apply it.
func (f *filter) meets(s *directory.Standing, words []string) bool {
	p, frozen := &s.Person, s.Organization.Disabled || s.PartFrozen
	switch f.State {
	case "":
	case "never":
		if !p.LastActive.IsZero() {
			return false
		}
	case "frozen":
		if !frozen {
			return false
		}
	default:
		if f.State != string(p.State()) || f.State == string(directory.Active) && frozen {
			return false
		}
	}
	switch {
	case f.Organization != "" && f.Organization != p.Organization,
		f.units != nil && !slices.Contains(f.units, p.Unit),
		f.Connection != "" && f.Connection != p.Connection,
		f.Source != "" && (f.Source == "scim") != p.Provisioned:
		return false
	}
	text := strings.ToLower(p.Name + " " + p.Email + " " + p.UserName)
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

func (f *filter) grants(a *mapping.Access) bool {
	return (f.Role == "" || slices.Contains(a.Roles, f.Role)) && (f.Group == "" || slices.Contains(a.PermissionGroups, f.Group))
}
