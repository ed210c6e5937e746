package scim

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/elimity-com/scim/schema"

	"portcullis/fault"
)

const (
	configSchema = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	typeSchema   = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaSchema = "urn:ietf:params:scim:schemas:core:2.0:Schema"
)

// discover answers ServiceProviderConfig, Schemas and ResourceTypes (RFC 7644,
// section 4).
func (c *call) discover(endpoint, id string) error {
	if c.query.Has("filter") {
		return fault.New(fault.Forbidden, "%s cannot be filtered", endpoint)
	}
	if endpoint == "ServiceProviderConfig" {
		if id != "" {
			return errEndpoint()
		}
		c.write(c.ctx(), c.w, http.StatusOK, c.site.providerConfig())
		return nil
	}
	all, err := c.site.schemas()
	if endpoint == "ResourceTypes" {
		all = []any{c.site.typeDoc(c.site.user), c.site.typeDoc(c.site.group)}
	}
	if err != nil {
		return err
	}
	if id == "" {
		return c.answerList(all, len(all), 1)
	}
	for _, doc := range all {
		if m, ok := doc.(map[string]any); ok {
			if own, _ := m["id"].(string); strings.EqualFold(own, id) {
				c.write(c.ctx(), c.w, http.StatusOK, m)
				return nil
			}
		}
	}
	return fault.New(fault.NotFound, "no such resource")
}

// providerConfig is true to what the endpoint does, not to what is planned.
func (s *site) providerConfig() map[string]any {
	no := map[string]any{"supported": false}
	yes := map[string]any{"supported": true}
	return map[string]any{
		"schemas":        []string{configSchema},
		"patch":          yes,
		"bulk":           map[string]any{"supported": true, "maxOperations": maxOperations, "maxPayloadSize": maxBody},
		"filter":         map[string]any{"supported": true, "maxResults": maxCount},
		"changePassword": no,
		"sort":           yes,
		"etag":           yes,
		"pagination": map[string]any{ // RFC 9865, section 4
			"cursor": true, "index": true, "defaultPaginationMethod": "index", "defaultPageSize": defaultCount, "maxPageSize": maxCount,
		},
		"authenticationSchemes": []any{map[string]any{
			"type": "oauthbearertoken", "name": "Bearer token", "primary": true,
			"description": "A token of this connection in the Authorization header",
			"specUri":     "https://www.rfc-editor.org/rfc/rfc6750",
		}, map[string]any{
			"type": "oauth2", "name": "OAuth 2.0 client credentials", "primary": false,
			"description": "An access token from " + s.audiences[0] + " with the scope " + scopeSCIM,
			"specUri":     "https://www.rfc-editor.org/rfc/rfc6749",
		}},
		"meta": map[string]any{"resourceType": "ServiceProviderConfig", "location": s.base + "/ServiceProviderConfig"},
	}
}

func (s *site) typeDoc(t *resourceType) map[string]any {
	extensions := make([]any, len(t.extensions))
	for i, x := range t.extensions {
		extensions[i] = map[string]any{"schema": x.ID, "required": false}
	}
	return map[string]any{
		"schemas": []string{typeSchema}, "id": t.name, "name": t.name, "description": t.core.Description.Value(),
		"endpoint": "/" + t.endpoint, "schema": t.core.ID, "schemaExtensions": extensions,
		"meta": map[string]any{"resourceType": "ResourceType", "location": s.base + "/ResourceTypes/" + t.name},
	}
}

// schemas are those of the connection, as the library describes them.
func (s *site) schemas() ([]any, error) {
	var out []any
	for _, x := range append([]schema.Schema{s.user.core, s.group.core}, s.user.extensions...) {
		raw, err := json.Marshal(x)
		if err != nil {
			return nil, err
		}
		doc, err := decodeStored(raw)
		if err != nil {
			return nil, err
		}
		if x.ID == userURN {
			requireActive(doc)
		}
		doc["schemas"] = []string{schemaSchema}
		doc["meta"] = map[string]any{"resourceType": "Schema", "location": s.base + "/Schemas/" + x.ID}
		out = append(out, doc)
	}
	return out, nil
}

// requireActive says of active that it is required: a user always has it, and
// it cannot be removed. A new user who comes without it is active.
func requireActive(doc map[string]any) {
	attributes, _ := doc["attributes"].([]any)
	for _, a := range attributes {
		if m, ok := a.(map[string]any); ok && m["name"] == "active" {
			m["required"] = true
		}
	}
}
