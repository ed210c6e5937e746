package admin

import (
	"time"

	"portcullis/fault"
	"portcullis/trace"
)

// Tested is how far a dry run of a sign-in has come.
type Tested struct {
	Connection string
	By         string        // id of who asked for it, in the audit trail
	Opened     time.Time     // zero: nobody has opened its link
	Record     *trace.Record // what came of it; nil before anything has
}

// testView is a dry run of a sign-in.
type testView struct {
	spot

	Test   string        `json:"test"`
	URL    string        `json:"url,omitempty"` // what opens it, once; only when it is begun
	Until  *time.Time    `json:"until,omitempty"`
	Opened *time.Time    `json:"opened,omitempty"`
	Done   bool          `json:"done"`
	Record *trace.Record `json:"signIn,omitempty"`
	Causes []stepJSON    `json:"causes,omitempty"` // why nobody has come back for so long

	Late bool `json:"-"` // whoever comes back now is too late
}

const (
	// testLife is how long the link of a dry run is good, and how long somebody
	// who has opened it may take to come back.
	testLife = 10 * time.Minute
	// StrandedAfter is how long somebody may be at an identity provider before
	// the page of a dry run says what may keep them there.
	StrandedAfter = time.Minute
)

func (c *Console) beginTest(r *request) (any, error) {
	conn, w, _, err := c.look(r)
	if err != nil {
		return nil, err
	}
	if conn.Protocol == "" || !w.InForce || conn.Incomplete {
		return nil, fault.New(fault.Conflict, "nobody signs in by this connection yet")
	}
	test, path, err := c.ways.Test(r.ctx, r.actor(), conn.ID)
	if err != nil {
		return nil, err
	}
	v := &testView{spot: c.spot(r, conn, w, ""), Test: test, URL: path}
	v.Until = optional(c.now().Add(testLife))
	return v, nil
}

func (c *Console) testResult(r *request) (any, error) {
	conn, w, t, err := c.look(r)
	if err != nil {
		return nil, err
	}
	test, err := c.ways.Tested(r.ctx, r.param("test"))
	if err != nil {
		return nil, err
	}
	if test.Connection != conn.ID || r.setup() != "" && test.By != r.setup() {
		return nil, fault.New(fault.NotFound, "no such test")
	}
	r.narrow(test.Record)
	v := &testView{
		spot: c.spot(r, conn, w, ""), Test: r.param("test"), Opened: optional(test.Opened), Done: test.Record != nil, Record: test.Record,
	}
	if away := c.now().Sub(test.Opened); v.Opened != nil && !v.Done && away >= StrandedAfter {
		v.Causes, v.Late = strandings(conn, t, c.addresses(conn)), away >= testLife
	}
	return v, nil
}

// complaints are what the makers' own error pages say, where they say it in the
// same words to everybody.
type complaints struct{ address, client, person string }

func complaintsOf(conn Connection) complaints {
	switch conn.Protocol + " " + makerOf(conn.Preset).Preset {
	case "oidc entra", "saml entra":
		return complaints{"AADSTS50011", "AADSTS700016", "AADSTS50105"}
	case "oidc google":
		return complaints{"redirect_uri_mismatch", "invalid_client", "org_internal"}
	case "saml google":
		return complaints{"", "app_not_configured", "app_not_configured_for_user"}
	case "oidc keycloak":
		return complaints{"Invalid parameter: redirect_uri", "Client not found.", ""}
	default:
		return complaints{}
	}
}

// strandings are the usual reasons why an identity provider keeps somebody on a
// page of its own instead of sending them back, and what to hold against what
// stands there.
func strandings(conn Connection, t Trust, a addresses) []stepJSON {
	var out []stepJSON
	says := complaintsOf(conn)
	add := func(text, said string, values ...valueJSON) {
		if said != "" {
			text += " It then says “" + said + "”."
		}
		out = append(out, stepJSON{text, append([]valueJSON{}, values...)})
	}
	switch conn.Protocol {
	case OverOIDC:
		add("The redirect URI is not registered there, or not letter by letter: scheme, host, path, and no slash at the end.", says.address,
			valueJSON{"Redirect URI", a.redirect})
		add("The client id is another one there, or of another tenant than the issuer.", says.client,
			valueJSON{"Client id", conn.ClientID}, valueJSON{"Issuer", conn.Issuer})
	case OverSAML:
		add("The ACS URL (reply URL) is not registered there, or not letter by letter.", says.address, valueJSON{"ACS URL", a.acs})
		add("Our entity ID (identifier, audience) is another one there.", says.client, valueJSON{"Entity ID", a.entityID})
		if t.EntityID != "" {
			add("The metadata here is of another application or provider than the one that was set up.", "",
				valueJSON{"Entity ID of the provider", t.EntityID}, valueJSON{"Its metadata here", sourceOf(conn)})
		}
		add("It knows another certificate of ours than the one that signs the request: give it our metadata anew.", "", valueJSON{"Our metadata", a.metadata})
	}
	add("The person is not assigned to the application there, or the application is not turned on.", says.person)
	return out
}
