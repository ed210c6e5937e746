package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/web"
)

func TestAFormGoesOnByItselfUnderThePolicy(t *testing.T) {
	w := httptest.NewRecorder()
	c, _ := gin.CreateTestContext(w)
	c.Request = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	err := web.Page(c, http.StatusOK, "post", web.Post{Title: "Going on", Action: "https://idp.example/sso", Fields: []web.Field{{Name: "SAMLRequest", Value: `a"><script>`}}})
	if err != nil {
		t.Fatal(err)
	}
	body, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
	if strings.Count(body, "<script") != 1 || !strings.Contains(body, `action="https://idp.example/sso"`) || !strings.Contains(body, "<button") {
		t.Errorf("page:\n%s", body)
	}
	if !strings.Contains(policy, "script-src 'self'") || strings.Contains(policy, "form-action") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy = %q", policy)
	}
	_, rest, _ := strings.Cut(body, `<script src="`)
	path, _, _ := strings.Cut(rest, `"`)
	asset := httptest.NewRecorder()
	if err := web.Asset(asset, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)); err != nil || !strings.Contains(asset.Body.String(), ".submit()") {
		t.Errorf("script %q: %v\n%s", path, err, asset.Body)
	}
}

func TestAForeignCookieComesAlongFromOtherSites(t *testing.T) {
	for address, want := range map[string]http.SameSite{"https://gate.example": http.SameSiteNoneMode, "http://127.0.0.1:8080": http.SameSiteLaxMode} {
		public, _ := url.Parse(address)
		w := httptest.NewRecorder()
		web.SetForeignCookie(w, public, "portcullis-x", "v", time.Minute)
		c := w.Result().Cookies()[0]
		if c.SameSite != want || !c.HttpOnly || c.Secure != (public.Scheme == "https") || c.MaxAge != 60 || c.Name != web.CookieName(public, "portcullis-x") {
			t.Errorf("%s: %v", address, c)
		}
	}
}
