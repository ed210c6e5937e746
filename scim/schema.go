package scim

import (
	"slices"
	"strings"

	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"

	"portcullis/directory"
)

// The schema URNs that the endpoint speaks.
const (
	userURN       = schema.UserSchema
	groupURN      = schema.GroupSchema
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	portalURN     = directory.PortalURN
)

// resourceType is what the endpoint knows of Users or of Groups: the schemas
// of one connection, with the common attributes of RFC 7643, section 3.1.
type resourceType struct {
	name       string // User, Group
	endpoint   string // Users, Groups
	core       schema.Schema
	common     schema.Attributes // id, externalId, meta, schemas
	extensions []schema.Schema

	all    []schema.Schema // core and extensions
	judged schema.Schema   // core with externalId, which bodies have as well
}

// complete derives the rest from the schemas.
func (t *resourceType) complete() *resourceType {
	t.all = append([]schema.Schema{t.core}, t.extensions...)
	t.judged = t.core
	if external, ok := t.common.ContainsAttribute("externalId"); ok {
		t.judged.Attributes = append(slices.Clone(t.core.Attributes), external)
	}
	return t
}

// field is a resolved attribute: where it stands and what it is.
type field struct {
	urn  string // of the extension it stands in; empty for the core
	attr schema.CoreAttribute
}

func groupType() *resourceType {
	t := &resourceType{name: "Group", endpoint: "Groups", core: schema.CoreGroupSchema(), common: schema.CommonAttributes()}
	for i, a := range t.core.Attributes {
		if a.Name() == "members" {
			t.core.Attributes[i] = memberSchema()
		}
	}
	return t.complete()
}

// memberSchema is what a group says of its members: clients name them, and
// how they are called is read from their own resource.
func memberSchema() schema.CoreAttribute {
	return schema.ComplexCoreAttribute(schema.ComplexParams{
		Name: "members", MultiValued: true, Description: optional.NewString("A list of members of the Group."),
		SubAttributes: []schema.SimpleParams{
			schema.SimpleStringParams(schema.StringParams{
				Name: "value", Mutability: schema.AttributeMutabilityImmutable(), CaseExact: true,
				Description: optional.NewString("Identifier of the member of this Group."),
			}),
			schema.SimpleReferenceParams(schema.ReferenceParams{
				Name: "$ref", Mutability: schema.AttributeMutabilityImmutable(), ReferenceTypes: []schema.AttributeReferenceType{"User", "Group"},
				Description: optional.NewString("The URI corresponding to a SCIM resource that is a member of this Group."),
			}),
			schema.SimpleStringParams(schema.StringParams{
				Name: "type", Mutability: schema.AttributeMutabilityImmutable(), CanonicalValues: []string{"User", "Group"},
				Description: optional.NewString("A label indicating the type of resource, e.g., 'User' or 'Group'."),
			}),
			schema.SimpleStringParams(schema.StringParams{
				Name: "display", Mutability: schema.AttributeMutabilityReadOnly(), Returned: schema.AttributeReturnedRequest(),
				Description: optional.NewString("A human-readable name for the group member, primarily used for display purposes."),
			}),
		},
	})
}

// userType makes the user's type with the portal attributes that a connection
// declares. A type that is not known counts as string: package config refuses
// it before.
func userType(attributes map[string]string) *resourceType {
	t := &resourceType{
		name: "User", endpoint: "Users", core: schema.CoreUserSchema(), common: schema.CommonAttributes(),
		extensions: []schema.Schema{schema.ExtensionEnterpriseUser()},
	}
	t.core.Description = optional.NewString("User Account")
	if len(attributes) > 0 {
		t.extensions = append(t.extensions, portalSchema(attributes))
	}
	return t.complete()
}

func portalSchema(attributes map[string]string) schema.Schema {
	s := schema.Schema{
		ID: portalURN, Name: optional.NewString("Portal User"),
		Description: optional.NewString("What the portal knows of a person beyond the standard attributes"),
	}
	for _, name := range sortedKeys(attributes) {
		var p schema.SimpleParams
		switch attributes[name] {
		case "boolean":
			p = schema.SimpleBooleanParams(schema.BooleanParams{Name: name})
		case "integer":
			p = schema.SimpleNumberParams(schema.NumberParams{Name: name, Type: schema.AttributeTypeInteger()})
		case "decimal":
			p = schema.SimpleNumberParams(schema.NumberParams{Name: name, Type: schema.AttributeTypeDecimal()})
		case "dateTime":
			p = schema.SimpleDateTimeParams(schema.DateTimeParams{Name: name})
		default:
			p = schema.SimpleStringParams(schema.StringParams{Name: name})
		}
		s.Attributes = append(s.Attributes, schema.SimpleCoreAttribute(p))
	}
	return s
}

// urn gives a schema URN of the type in its own spelling; the core's is empty.
func (t *resourceType) urn(s string) (string, bool) {
	if s == "" || strings.EqualFold(s, t.core.ID) {
		return "", true
	}
	for _, x := range t.extensions {
		if strings.EqualFold(s, x.ID) {
			return x.ID, true
		}
	}
	return "", false
}

// field finds an attribute by name. Without a URN it looks in the core first
// and then in the extensions: clients send "manager" and "department" bare.
func (t *resourceType) field(urn, name string) (field, bool) {
	own, ok := t.urn(urn)
	if !ok {
		return field{}, false
	}
	if own == "" {
		if a, ok := t.core.Attributes.ContainsAttribute(name); ok {
			return field{attr: a}, true
		}
		if a, ok := t.common.ContainsAttribute(name); ok {
			return field{attr: a}, true
		}
	}
	for _, x := range t.extensions {
		if own != x.ID && urn != "" {
			continue
		}
		if a, ok := x.Attributes.ContainsAttribute(name); ok {
			return field{urn: x.ID, attr: a}, true
		}
	}
	return field{}, false
}

// splitURN takes a schema URN of the type off the front of a path, in any
// spelling: the library's parser cannot read one that has a hyphen in it, or
// one that stands alone.
func (t *resourceType) splitURN(path string) (urn, rest string) {
	for i := range t.all {
		s := &t.all[i]
		if len(path) < len(s.ID) || !strings.EqualFold(path[:len(s.ID)], s.ID) {
			continue
		}
		switch rest := path[len(s.ID):]; {
		case rest == "":
			return s.ID, ""
		case rest[0] == ':' || rest[0] == '.':
			return s.ID, rest[1:]
		}
	}
	return "", path
}

// readOnly are the attributes that only the endpoint writes.
func readOnly(a schema.CoreAttribute) bool {
	return a.Mutability() == "readOnly" || a.Name() == "schemas"
}
