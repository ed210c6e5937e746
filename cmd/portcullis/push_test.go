package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// pusher is the directory of a company: it pushes people and groups.
type pusher struct {
	base, token string
	http        *http.Client
}

func (w *world) pusher(t testing.TB) *pusher {
	t.Helper()
	secret := strings.TrimSpace(w.cli(t, exitFine, "token", "create", "--connection", "alpha"))
	return &pusher{w.public + "/scim/v2/alpha", secret, &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}}}
}

// try sends one request; status 0 means that no answer came.
func (p *pusher) try(method, path, body string) (status int, answer []byte, err error) {
	req, err := http.NewRequest(method, p.base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	res, err := p.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// must sends a request that is answered with a status, and gives the id in
// the answer.
func (p *pusher) must(t testing.TB, want int, method, path, body string) (id string) {
	t.Helper()
	status, answer, err := p.try(method, path, body)
	if err != nil || status != want {
		t.Fatalf("%s %s = %d, %v; want %d\n%s", method, path, status, err, want, answer)
	}
	var r struct{ ID string }
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &r); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, answer)
		}
	}
	return r.ID
}

// user pushes somebody of the sample company.
func (p *pusher) user(t testing.TB, person string) (id string) {
	t.Helper()
	return p.must(t, http.StatusCreated, http.MethodPost, "/Users", userJSONOf("alpha-"+person, person+"@alpha.example"))
}

func userJSONOf(externalID, userName string) string {
	b, err := json.Marshal(map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "externalId": externalID, "userName": userName,
		"active": true, "displayName": "Pushed " + userName, "emails": []map[string]any{{"type": "work", "primary": true, "value": userName}},
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// active turns somebody off or on, as Entra says it.
func (p *pusher) active(t *testing.T, id, value string) {
	t.Helper()
	p.must(t, http.StatusOK, http.MethodPatch, "/Users/"+id,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"`+value+`"}]}`)
}
