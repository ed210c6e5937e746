package count_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"portcullis/count"
)

func TestOneIsNotMany(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{count.Of(0, "key", "keys"), "0 keys"},
		{count.Of(1, "key", "keys"), "1 key"},
		{count.Of(int64(2), "key", "keys"), "2 keys"},
		{count.People(1), "1 person"},
		{count.Sessions(1), "1 session"},
		{count.Tests(1), "1 test"},
		{count.Days(1), "1 day"},
	} {
		if tc.got != tc.want {
			t.Errorf("count = %q, want %q", tc.got, tc.want)
		}
	}
}

// Nothing that people read counts one of anything by the word for many.
func TestNumbersAreSaidWithTheirNoun(t *testing.T) {
	const many = `(people|tests|days|sessions|members|memberships|events|values|tokens|live tokens|answers|traces|attempts|signing keys)\b`
	inCode := regexp.MustCompile(`(^|[^ ]* ?)%d ` + many)
	inPage := regexp.MustCompile(`{{(?:\.|number|len)[^}]*}} ` + many)
	var files []string
	for _, pattern := range []string{"../cmd/portcullis/*.go", "../admin/*.go", "../admin/*.html", "../admin/*/*.html", "../directory/*.go", "../mapping/*.go", "../revision/*.go", "../oidc/*.go", "../saml/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		said := inCode
		if strings.HasSuffix(path, ".html") {
			said = inPage
		} else if strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, m := range said.FindAllStringSubmatch(string(text), -1) {
			if !slices.Contains([]string{"most ", "than ", "to ", "for "}, m[1]) { // a bound of ours, which is never 1
				t.Errorf("%s: %q, want count.Of", path, m[0])
			}
		}
	}
}
