package scim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzTokenRequest: whatever stands in a request, a token is given to the
// right credentials alone, and every other answer is an error of RFC 6749.
func FuzzTokenRequest(f *testing.F) {
	r := newRig(f)
	f.Add("", "grant_type=client_credentials&client_id=x&client_secret=y")
	f.Add("Basic eDp5", "grant_type=client_credentials&scope=scim")
	f.Add("Basic eDolR0c=", "grant_type=client_credentials")
	f.Add("Bearer x", "grant_type=client_credentials&client_id=%zz")
	f.Add("", "client_assertion=a.b.c&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&grant_type=client_credentials")
	f.Add("", "client_assertion=eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer")
	id, secret := r.client(nil)
	f.Fuzz(func(t *testing.T, header, body string) {
		if strings.Contains(header+body, secret) {
			return
		}
		r := r.in(t)
		r.clock.turn(10e9) // so that the limit does not bite
		headers := []string{"Content-Type", "application/x-www-form-urlencoded"}
		if header != "" {
			headers = append(headers, "Authorization", header)
		}
		a := r.sendTo("acme", "", http.MethodPost, "/oauth/token", body, headers...)
		if a.status < 400 || a.status > 499 || a.text("error") == "" || a.text("access_token") != "" {
			t.Errorf("answer = %d %s, want an error", a.status, a.raw)
		}
		if strings.ContainsAny(a.text("error_description"), "\"\\\n") {
			t.Errorf("error_description = %q", a.text("error_description"))
		}
		// The same credentials in either place are the same client.
		form := credentials(id, secret)
		form.Set("note", body)
		r.want(r.grant("acme", form), 200)
		r.want(r.grant("acme", url.Values{"grant_type": {"client_credentials"}, "note": {header}}, "Authorization", basic(id, secret)), 200)
	})
}
