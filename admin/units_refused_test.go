package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"portcullis/store/storetest"
)

// What is refused about a sub-organization comes back with the form: the
// mistake at its field, what was typed, and the status of the mistake.
func TestARefusedNameComesBackWithItsForm(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	europe := w.unit("", "Europe")
	asia := w.unit("", "Asia")
	w.place(w.signIn("acme", "ben"), asia)
	staff := w.signIn("staff", "ada", tasks()...)
	for _, tc := range []struct {
		what, path string
		fields     []string
		status     int
		want       []string
	}{
		{"a name that is there", "/sub-organizations", []string{"organization", "Acme", "name", `EUROPE "`, "below", europe}, 303, nil},
		{
			"a name that is there", "/sub-organizations",
			[]string{"organization", "Acme", "name", "EUROPE", "below", asia},
			http.StatusConflict,
			[]string{`<p class="notice" id="refused" role="alert">✗ there is a sub-organization of that name already</p>`, `name="name" value="EUROPE" aria-invalid="true" aria-describedby="refused"`, `<option value="` + asia + `" selected>Asia</option>`},
		},
		{
			"no name", "/sub-organizations",
			[]string{"organization", "Acme", "name", "\u202e"},
			http.StatusBadRequest,
			[]string{"✗ name: want 1 to 100 characters", `aria-invalid="true"`},
		},
		{
			"a new name that is there", "/sub-organizations/" + europe + "/rename",
			[]string{"name", `asia`},
			http.StatusConflict,
			[]string{"<details open>", "of that name already", `value="asia"`, `aria-invalid="true" aria-describedby="refused" autofocus`},
		},
		{
			"a name with markup that is too long", "/sub-organizations/" + europe + "/rename",
			[]string{"name", strings.Repeat(`<b>"`, 30)},
			http.StatusBadRequest,
			[]string{"<details open>", `value="&lt;b&gt;&#34;&lt;b&gt;`},
		},
		{
			"below itself", "/sub-organizations/" + europe + "/move",
			[]string{"below", europe},
			http.StatusBadRequest,
			[]string{"<details open>", "✗ that would be below itself", `<select name="below" aria-invalid="true"`, `value="Europe"`},
		},
		{"not empty", "/sub-organizations/" + asia + "/remove", nil, http.StatusConflict, []string{"<details open>", "✗ 1 person is in it: move them first"}},
	} {
		res := staff.form(tc.path, tc.fields...)
		if res.StatusCode != tc.status {
			t.Errorf("%s: status = %d, want %d", tc.what, res.StatusCode, tc.status)
		}
		if tc.want == nil {
			continue
		}
		for _, want := range append(tc.want, "<h1><bdi>Acme</bdi></h1>", "<h2>Sub-organizations</h2>") {
			if !strings.Contains(res.text, want) {
				t.Errorf("%s: %q is not on the page:\n%s", tc.what, want, res.text)
			}
		}
		if n := strings.Count(res.text, `id="refused"`); n != 1 {
			t.Errorf("%s: told %d times", tc.what, n)
		}
	}
	// A program is told as ever.
	var problem struct{ Status int }
	if got := staff.call(http.MethodPost, "/sub-organizations", `{"organization":"Acme","name":"europe"}`, &problem); got != http.StatusConflict || problem.Status != got {
		t.Errorf("status = %d, problem = %+v", got, problem)
	}
}
