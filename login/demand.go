package login

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
	"portcullis/oidc"
	"portcullis/session"
	"portcullis/trace"
	"portcullis/web"
)

// maxACR bounds an authentication context class, or several, in bytes.
const maxACR = 255

// proof reads how and when somebody proved who they are (OpenID Connect Core
// 1.0, section 2). What is malformed or lies in the future is not known.
func (o *openID) proof(claims map[string]any, now time.Time) (acr string, at time.Time) {
	if acr, _ = claims["acr"].(string); !isClass(acr) {
		acr = ""
	}
	if o.contexts {
		acr = withContexts(acr, claims["acrs"])
	}
	if n, ok := claims["auth_time"].(float64); ok && n > 0 && n < 1<<40 {
		if at = time.Unix(int64(n), 0).UTC(); at.After(now.Add(session.Leeway)) {
			at = time.Time{}
		}
	}
	return acr, at
}

// isClass says whether a text can be one authentication context class.
func isClass(s string) bool {
	return s != "" && len(s) <= maxACR && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// isContext says whether a class is one of the authentication contexts that an
// administrator of Microsoft Entra ID defines: c1 to c99.
func isContext(s string) bool {
	n, err := strconv.Atoi(strings.TrimPrefix(s, "c"))
	return err == nil && n >= 1 && n <= 99 && s == "c"+strconv.Itoa(n)
}

// withContexts adds the contexts that a token of Microsoft Entra ID says were
// met to a class, as far as they fit.
func withContexts(acr string, acrs any) string {
	met, ok := oidc.Strings(acrs)
	if !ok {
		return acr
	}
	for _, c := range met {
		if isContext(c) && !slices.Contains(strings.Fields(acr), c) && len(acr)+1+len(c) <= maxACR {
			acr = strings.TrimSpace(acr + " " + c)
		}
	}
	return acr
}

// demanded fills in what the page that somebody is on the way to asks of the
// sign-in. Whoever is inside already and proved themselves too long ago has
// to do it again; that is said in so many words, since not every identity
// provider heeds an age.
func (l *Login) demanded(c *gin.Context, a *Attempt, page string) {
	if l.demand == nil {
		return
	}
	if a.Demand = l.demand(page); a.Demand.MaxAge == 0 {
		return
	}
	for _, token := range web.Cookies(c.Request, l.public, web.SessionCookie) {
		if p, err := l.sessions.Verify(c.Request.Context(), token); err == nil {
			age := session.Demand{MaxAge: a.Demand.MaxAge}
			a.Force = p.Unmet(age, l.now()) != ""
			return
		}
	}
}

// meets holds what the identity provider vouched for against what was asked
// of it. Nothing changes for whoever falls short: not even the session that
// they may have had ends, and nobody is sent around in circles.
func (l *Login) meets(b *trace.Builder, a Attempt, who arrival) error {
	if a.Demand.IsZero() {
		return nil
	}
	got := session.Demand{}
	if who.assertion.ACR != "" {
		got.ACR = []string{who.assertion.ACR}
	}
	text := got.String()
	if at := who.assertion.AuthTime; !at.IsZero() {
		text += " signed in at " + at.Format(time.RFC3339)
	}
	why := a.Demand.Unmet(who.assertion.ACR, who.assertion.AuthTime, l.now())
	if b.Check("step-up", why == "", a.Demand.String(), text) {
		return nil
	}
	return fault.New(fault.Forbidden, "%s", why)
}
