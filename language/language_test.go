package language_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"portcullis/language"
)

func TestAcceptedLanguage(t *testing.T) {
	for _, tc := range []struct {
		header []string
		want   string
	}{
		{nil, "en"},
		{[]string{""}, "en"},
		{[]string{"de"}, "de"},
		{[]string{"de-CH"}, "de"},
		{[]string{"DE-at-1996"}, "de"},
		{[]string{"fr-CA, en;q=0.8"}, "fr"},
		{[]string{"es, fr;q=0.5, de;q=0.7"}, "de"},
		{[]string{"en;q=0.8, de;q=0.8"}, "en"},
		{[]string{"en;q=0.79,de;q=0.8"}, "de"},
		{[]string{"fr;q=0.001"}, "fr"},
		{[]string{"de;q=0"}, "en"},
		{[]string{"de;q=0, fr;q=0.1"}, "fr"},
		{[]string{"*"}, "en"},
		{[]string{"de, *;q=0.5"}, "de"},
		{[]string{"*, de;q=0.5"}, "en"},
		{[]string{"es, ja;q=0.9"}, "en"},
		{[]string{"es", "de;q=0.2"}, "de"},
		{[]string{" \tde ; q=0.5"}, "de"},
		{[]string{"de;Q=0.5"}, "de"},
		{[]string{"de;q=2"}, "en"},
		{[]string{"de;q=0.1234"}, "en"},
		{[]string{"de;q=1.001"}, "en"},
		{[]string{"de;q=-1"}, "en"},
		{[]string{"de;q="}, "en"},
		{[]string{"de;level=1"}, "en"},
		{[]string{"de_DE"}, "en"},
		{[]string{"deutsch"}, "en"},
		{[]string{"-de"}, "en"},
		{[]string{"de--"}, "en"},
		{[]string{"d\x00e, fr\xff"}, "en"},
		{[]string{strings.Repeat("es,", 64) + "de"}, "en"},
	} {
		if got := language.Accepted(tc.header).Tag(); got != tc.want {
			t.Errorf("Accepted(%.60q) = %s, want %s", tc.header, got, tc.want)
		}
	}
}

// Whatever is sent, the answer is a language of ours, and one that is named;
// what stands behind it with less weight changes nothing.
func FuzzAccepted(f *testing.F) {
	for _, s := range []string{"de-CH, fr;q=0.9, *;q=0.1", "en;q=0", ";;,,q=1", "de;q=0.5;q=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := language.Accepted([]string{header})
		if !slices.Contains(language.All(), got) {
			t.Fatalf("Accepted(%q) is not a language", header)
		}
		if got != language.English() && !strings.Contains(strings.ToLower(header), got.Tag()) {
			t.Fatalf("Accepted(%q) = %s, which it does not name", header, got.Tag())
		}
		if other := language.Accepted(strings.Split(header, ",")); other != got {
			t.Errorf("Accepted(%q) = %s in one line, %s in several", header, got.Tag(), other.Tag())
		}
		if strings.Count(header, ",") < 60 && got != language.English() {
			if more := language.Accepted([]string{header, "es", "xx;q=0.9"}); more != got {
				t.Errorf("Accepted(%q) = %s, with languages that are not ours %s", header, got.Tag(), more.Tag())
			}
			if last := language.Accepted([]string{header, got.Tag()}); last != got {
				t.Errorf("Accepted(%q) = %s, and %s with that at the end", header, got.Tag(), last.Tag())
			}
		}
	})
}

func TestEveryLanguageHasANameAndATag(t *testing.T) {
	for i, want := range []string{"en English", "de Deutsch", "fr Français"} {
		l := language.All()[i]
		if got := l.Tag() + " " + l.Name(); got != want || language.Named(l.Tag()) != l {
			t.Errorf("language %d is %s, want %s", i, got, want)
		}
	}
	if language.Named("") != nil || language.Named("DE") != nil {
		t.Error("a tag is taken that is none")
	}
}

func TestACatalogueWithAMistakeIsRefused(t *testing.T) {
	for name, tc := range map[string]struct{ file, want string }{
		"no JSON":           {`{`, "EOF"},
		"more behind":       {`{"name":"X","texts":{}} {}`, "one object"},
		"unknown member":    {`{"name":"X","texts":{},"more":1}`, "more"},
		"no texts":          {`{"name":"X"}`, "object"},
		"no name":           {`{"texts":{}}`, "text"},
		"twice":             {`{"name":"X","texts":{"a":"b","a":"c"}}`, "twice"},
		"a number":          {`{"name":"X","texts":{"a":1}}`, "strings"},
		"empty":             {`{"name":"X","texts":{"a":""}}`, "text"},
		"space":             {`{"name":"X","texts":{"a":"b "}}`, "space"},
		"markup":            {`{"name":"X","texts":{"a":"<b>b</b>"}}`, "markup"},
		"entity":            {`{"name":"X","texts":{"a":"b &amp; c"}}`, "markup"},
		"template":          {`{"name":"X","texts":{"a":"{{.Name}}"}}`, "markup"},
		"control":           {`{"name":"X","texts":{"a":"b\u0007c"}}`, "markup"},
		"value lost":        {`{"name":"X","texts":{"a %s":"b"}}`, "0 values"},
		"value added":       {`{"name":"X","texts":{"a":"b %s"}}`, "1 values"},
		"value twice":       {`{"name":"X","texts":{"a %s %s":"b %[1]s %[1]s"}}`, "twice"},
		"no such value":     {`{"name":"X","texts":{"a %s":"b %[2]s"}}`, "wants value 2"},
		"other verb":        {`{"name":"X","texts":{"a %s":"b %d"}}`, "%s"},
		"unknown verb":      {`{"name":"X","texts":{"a %x":"b %x"}}`, "want %s"},
		"percent":           {`{"name":"X","texts":{"100 %":"100 %"}}`, "want %s"},
		"order of the text": {`{"name":"X","texts":{"a %[2]s %[1]s":"b %s %s"}}`, "order"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := language.Parse("x", []byte(tc.file)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Parse(%s) = %v, want %q", tc.file, err, tc.want)
			}
		})
	}
}

// parsed is a language of a few texts.
func parsed(t interface{ Fatal(...any) }) *language.Language {
	l, err := language.Parse("x", []byte(`{"name":"X","texts":{
		"no":"nein", "it is %s":"%s ist es", "%s belongs to %s":"zu %[2]s gehoert %[1]s", "you are out: %w":"draussen: %w",
		"%w and %w":"%w und %w", "the role “%s”":"die Rolle „%s“", "up to %d bytes":"bis %d Bytes", "%s on %s":"%s auf %s"}}`))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestWhatIsTold(t *testing.T) {
	l := parsed(t)
	for _, tc := range []struct {
		said, want string
		ok         bool
	}{
		{"", "", true},
		{"no", "nein", true},
		{"it is cold", "", false}, // too little of its own to be found again
		{"a belongs to b", "zu b gehoert a", true},
		{"<b> belongs to %s", "zu %s gehoert <b>", true},
		{"you are out: no", "draussen: nein", true},
		{"you are out: because", "", false},
		{"you are out: no and no", "draussen: nein und nein", true},
		{"no and no and no", "nein und nein und nein", true},
		{"no and yes", "", false},
		{"the role “a and b”", "die Rolle „a and b“", true},
		{"the role “a” and the role “b”", "die Rolle „a“ und die Rolle „b“", true},
		{"the role “a and b” and the role “c”", "", false},
		{"up to 12 bytes", "bis 12 Bytes", true},
		{"up to many bytes", "", false},
		{"up to  bytes", "", false},
		{"a on b", "", false},
		{strings.Repeat("no and ", 12) + "no", "", false}, // too deep
		{strings.Repeat("you are out: ", 4000), "", false},
	} {
		if got, ok := l.Tell(tc.said); got != tc.want || ok != tc.ok {
			t.Errorf("Tell(%.50q) = %q, %v, want %q, %v", tc.said, got, ok, tc.want, tc.ok)
		}
	}
	if got, ok := language.English().Tell("anything"); got != "anything" || !ok {
		t.Errorf("English tells %q, %v", got, ok)
	}
	for _, tc := range []struct {
		text   string
		values []any
		want   string
	}{
		{"no", nil, "nein"},
		{"it is %s", []any{"50 %"}, "50 % ist es"},
		{"100 % of nothing", nil, "100 % of nothing"},
		{"%s on %s", []any{"a", "b"}, "a auf b"},
		{"only %d here", []any{3}, "only 3 here"},
	} {
		if got := l.Say(tc.text, tc.values...); got != tc.want {
			t.Errorf("Say(%q) = %q, want %q", tc.text, got, tc.want)
		}
	}
}

// What is made of a text is told as what is made of its translation, whatever the
// values: as long as they cannot be taken for what stands around them.
func TestTellingIsSayingTheTranslation(t *testing.T) {
	l := parsed(t)
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringMatching(`[a-z<>"%&]{0,9}`).Draw(t, "a"), rapid.StringMatching(`[A-Z<>"%& ]{0,9}`).Draw(t, "b")
		made := fmt.Sprintf("%s belongs to %s", a, b)
		if got, ok := l.Tell(made); !ok || got != l.Say("%s belongs to %s", a, b) {
			t.Fatalf("Tell(%q) = %q, %v", made, got, ok)
		}
	})
}
