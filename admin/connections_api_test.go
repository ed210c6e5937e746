package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"portcullis/store/storetest"
	"portcullis/trace"
)

// What is answered about connections is what is described.
func TestAnswersAboutConnectionsAreAsDescribed(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	d := openAPI(t)
	ada, manager := w.signIn("staff", "ada", tasks()...), w.signIn("acme", "manager", "Admins")
	r := trace.Begin(trace.Record{Reference: "R", Connection: "acme"}).End(w.now, trace.Refused, "no", "")
	if err := w.db.Traces().InsertTraces(t.Context(), []trace.Record{r}, nil, trace.Caps{r.Class(): 9}); err != nil {
		t.Fatal(err)
	}
	var calls [][3]string
	for _, base := range []string{"/connections", "/own-connections"} {
		one := base + "/{connection}"
		calls = append(
			calls,
			[3]string{"get", base}, [3]string{"get", one}, [3]string{"get", one + "/setup"}, [3]string{"get", one + "/sign-ins"},
			[3]string{"get", one + "/sign-ins/{reference}"}, [3]string{"post", one + "/tokens", `{"note":"x","days":30}`}, [3]string{"get", one + "/scim"},
			[3]string{"post", one + "/tests", "{}"}, [3]string{"post", one + "/metadata/approve", ""},
		)
	}
	calls = append(
		calls,
		[3]string{"post", "/connections/{connection}/setup-link", ""}, [3]string{"get", "/tokens"}, [3]string{"get", "/settings"},
		[3]string{"put", "/settings", `{"organization":"Client"}`}, [3]string{"get", "/account"}, [3]string{"put", "/account/preferences", `{"zone":"UTC"}`},
		[3]string{"delete", "/account/sessions", ""}, [3]string{"post", "/connections", `{"id":"omega","organization":"Omega","scim":true}`},
	)
	for _, call := range calls {
		var got any
		s := ada
		if strings.HasPrefix(call[1], "/own-connections") {
			s = manager
		}
		path := strings.NewReplacer("{connection}", "acme", "{reference}", "R").Replace(call[1])
		if status := s.call(strings.ToUpper(call[0]), path, call[2], &got); status != http.StatusOK {
			t.Errorf("%s %s: status = %d: %v", call[0], path, status, got)
			continue
		}
		for _, wrong := range d.against(d.Paths[call[1]][call[0]].Responses["200"].Content["application/json"].Schema, got, "answer") {
			t.Errorf("%s %s: %s", call[0], call[1], wrong)
		}
	}
}
