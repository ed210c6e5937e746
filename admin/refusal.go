package admin

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"portcullis/fault"
)

// Mistake is something of a [Draft] that cannot be in force.
type Mistake struct {
	Key  string // in the configuration, such as addresses[0] or oidc.claims.groups
	Text string // what is wanted, and what was given
}

// Mistakes is why [Ways.Save] does not take a draft. The fault that it fails
// with wraps it, and says the same to programs.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	texts := make([]string, len(m))
	for i, one := range m {
		texts[i] = one.Key + ": " + one.Text
	}
	return strings.Join(texts, "; ")
}

// wrong is what is wrong with one field of a form.
type wrong struct {
	Field string // its name, and the id of its element; empty: of no field
	Title string // its label, of a [Readable]; the templates know the others
	Text  string // empty: nothing
	Here  bool   // the form that was sent has the field
	About string // id of the hint that it has anyway
	First bool   // of those that stand at a field, so that it is looked at first
}

// refusal is why a form was not taken: nothing while it was not refused.
type refusal []wrong

// At is what is to stand at a field, whose hint has the id about; empty: it has
// none.
func (f refusal) At(field, about string) wrong {
	w := wrong{Field: field, About: about}
	var texts []string
	for _, one := range f {
		if one.Field == field {
			texts = append(texts, one.Text)
		}
	}
	w.Text = strings.Join(texts, " ")
	i := slices.IndexFunc(f, func(one wrong) bool { return one.Here })
	w.First = i >= 0 && f[i].Field == field
	return w
}

// refusalOf says in the words of a form what is wrong with what was sent; fields
// are those that it has, in their order.
func refusalOf(err error, fields []string) refusal {
	mistakes, ok := errors.AsType[Mistakes](err)
	if !ok {
		return refusal{{Text: sentence(fault.Message(err))}}
	}
	out := make(refusal, len(mistakes))
	for i, m := range mistakes {
		w := fieldOf(m.Key)
		w.Text, w.Here = sentence(m.Text), slices.Contains(fields, w.Field)
		out[i] = w
	}
	slices.SortStableFunc(out, func(a, b wrong) int { return cmp.Compare(slices.Index(fields, a.Field), slices.Index(fields, b.Field)) })
	return out
}

// sentence puts a mistake as it stands on a page. What else of the
// configuration it names has other words in the form.
func sentence(text string) string {
	text = strings.NewReplacer(
		`scim: {enabled: true} in the connection with "scim", got SCIM turned off`, "that it pushes people and groups over SCIM",
		`scim: {enabled: true} in the connection, got SCIM turned off`, "that it pushes people and groups over SCIM",
		"a string of scim.attributes", "a string among its own attributes over SCIM",
		"unknown key", "want nothing here: a connection of this kind has no such thing",
	).Replace(text)
	first, n := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(first)) + text[n:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// fieldOf is the field of a form that a key of the configuration is filled in
// by.
func fieldOf(key string) wrong {
	key, _, _ = strings.Cut(key, "[")
	for _, at := range []string{"oidc.claims.", "saml.attributes.", "saml."} {
		name, ok := strings.CutPrefix(key, at)
		i := slices.IndexFunc(Readables(), func(a Readable) bool { return a.Key == name })
		if ok && i >= 0 {
			return wrong{Field: Readables()[i].Member, Title: Readables()[i].Title + " from"}
		}
	}
	for _, f := range []struct{ key, field string }{
		{"oidc.issuer", "issuer"},
		{"oidc.client_id", "clientId"},
		{"oidc.client_secret_expires", "secretExpires"},
		{"oidc.client_secret_next", "nextSecret"},
		{"oidc.client_secret", "clientSecret"},
		{"oidc", "authentication"},
		{"saml.metadata_url", "metadataUrl"},
		{"saml", "metadata"},
		{"sub_organization.attribute", "unitAttribute"},
		{"sub_organization", "unitClaim"},
		{"scim.guard.percent", "guardPercent"},
		{"scim.guard", "guardPeople"},
		{"scim.attributes", "scimAttributes"},
	} {
		if strings.HasPrefix(key, f.key) {
			return wrong{Field: f.field}
		}
	}
	return wrong{Field: key}
}
