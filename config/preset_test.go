package config_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portcullis/config"
)

func TestPresetNamesWhatTheFileDoesNot(t *testing.T) {
	for _, tc := range []struct {
		preset, claims string
		want           config.Claims
	}{
		{"entra", "", config.Claims{Groups: "groups", Email: "email", Name: "name", Roles: "roles", UserName: "preferred_username"}},
		{"adfs", "", config.Claims{Groups: "group", Email: "email", Name: "unique_name", Roles: "role", UserName: "upn"}},
		{"adfs", ", claims: {groups: teams, user_name: login}", config.Claims{Groups: "teams", Email: "email", Name: "unique_name", Roles: "role", UserName: "login"}},
		{"google", "", config.Claims{Groups: "groups", Email: "email", Name: "name", Roles: "roles", UserName: "email"}},
	} {
		text := strings.NewReplacer("- id: acme-entra", "- id: acme-entra\n    preset: "+tc.preset, "client_secret_env: SECRET", "client_secret_env: SECRET"+tc.claims).Replace(minimal)
		got, err := config.Parse(filepath.Join(t.TempDir(), "portcullis.yaml"), []byte(text), env)
		if err != nil {
			t.Fatal(err)
		}
		if c := got.Connections[0]; c.Preset != tc.preset || c.OIDC.Claims != tc.want {
			t.Errorf("%s%s: %+v, want %+v", tc.preset, tc.claims, c.OIDC.Claims, tc.want)
		}
	}
}

func TestPresetWithoutANameTriesWhatIsUsual(t *testing.T) {
	groups := config.PresetOf("").Attributes.Groups
	for _, name := range []string{"http://schemas.microsoft.com/ws/2008/06/identity/claims/groups", "groups", "memberOf", "group"} {
		if !slices.Contains(groups, name) {
			t.Errorf("groups = %v, want %s among them", groups, name)
		}
	}
	if adfs := config.PresetOf("adfs").Attributes; !slices.Equal(adfs.Groups, []string{"http://schemas.xmlsoap.org/claims/Group"}) {
		t.Errorf("adfs: %v", adfs.Groups)
	}
}

func TestOfflineAccessIsARefresh(t *testing.T) {
	text := strings.Replace(minimal, "client_secret_env: SECRET", "client_secret_env: SECRET, scopes: [offline_access], refresh_every: 5m", 1)
	got, err := config.Parse(filepath.Join(t.TempDir(), "portcullis.yaml"), []byte(text), env)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Connections[0].OIDC.Refresh {
		t.Error("a refresh token is asked for and not used")
	}
}

func TestEntraIsKnownByItsPresetOrItsIssuer(t *testing.T) {
	const tenant = "11111111-2222-3333-4444-555555555555"
	for _, tc := range []struct {
		preset, issuer string
		want           bool
	}{
		{"generic", "https://login.microsoftonline.com/" + tenant + "/v2.0", true},
		{"generic", "https://LOGIN.microsoftonline.us/" + tenant + "/v2.0", true},
		{"generic", "https://login.microsoftonline.com.example/1/v2.0", false},
		{"generic", "https://id.example.com", false},
		{"entra", "https://id.example.com", true},
	} {
		text := strings.Replace(minimal, `oidc: {issuer: "https://id.example.com"`, `preset: `+tc.preset+`, oidc: {issuer: "`+tc.issuer+`"`, 1)
		text = strings.Replace(text, "    preset: "+tc.preset+", oidc", "    preset: "+tc.preset+"\n    oidc", 1)
		c, err := config.Parse("portcullis.yaml", []byte(text), env)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Connections[0].OIDC.Contexts; got != tc.want {
			t.Errorf("%s at %s: Contexts = %v, want %v", tc.preset, tc.issuer, got, tc.want)
		}
	}
}
