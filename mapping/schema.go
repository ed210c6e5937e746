package mapping

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// schema is a JSON Schema (draft 2020-12), as far as it is needed.
type schema map[string]any

// Schema is the JSON Schema of mapping files, for editors: it completes keys
// and marks what cannot be right. What a file means is checked by [Load]
// alone, in its own words.
func Schema() []byte {
	root := object("A mapping file of Portcullis: who may do and see what. https://json-schema.org for the form.", nil, fileKeys())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Portcullis mapping"
	// Of a fragment the connection is known; of a whole file the rest is wanted.
	root["if"] = schema{"required": []string{"connection"}}
	root["then"] = schema{"properties": schema{
		"include": false, "vars": false, "connections": false, "roles": false, "attributes": false, "constraints": false, "defaults": false,
	}}
	root["else"] = schema{
		"properties": schema{
			"rules": schema{"items": schema{"properties": schema{"match": schema{"required": []string{"connection"}}}}},
			"tests": schema{"items": schema{"properties": schema{"given": schema{"required": []string{"connection"}}}}},
		},
		"if":   schema{"required": []string{"connections", "rules"}},
		"then": schema{"required": []string{"version"}},
	}
	root["$defs"] = schema{
		"where": where(), "group": selectorSchema(), "calls": calls(),
		"names": array("", schema{"type": "string"}), "values": schema{"type": "array", "items": schema{"type": "string"}, "minItems": 1},
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		return nil // strings, lists and maps always encode
	}
	return b.Bytes()
}

func defined(def string) schema { return schema{"$ref": "#/$defs/" + def} }

func described(text string, s schema) schema {
	s = maps.Clone(s)
	if text != "" {
		s["description"] = text
	}
	return s
}

// object is a mapping with the given keys and no others.
func object(text string, required []string, properties map[string]schema) schema {
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		slices.Sort(required)
		s["required"] = required
	}
	return described(text, s)
}

// named is a mapping whose keys are names that the file gives.
func named(text string, value schema) schema {
	return described(text, schema{"type": "object", "additionalProperties": value})
}

func array(text string, items schema) schema {
	return described(text, schema{"type": "array", "items": items})
}

func maybe(description string) schema {
	return described(description, schema{"type": []string{"string", "null"}})
}

func str(description string) schema { return described(description, schema{"type": "string"}) }

func boolean(description string) schema {
	return described(description, schema{"type": "boolean"})
}

func enum(description string, words ...string) schema {
	return described(description, schema{"enum": words})
}

func moment(description string) schema {
	return described(description, schema{
		"type": "string", "format": "date-time", "pattern": `^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}([.,]\d+)?(Z|[+-]\d{2}:\d{2})$`,
	})
}

// exactly wants one of some sets of keys, beside what s says.
func exactly(s schema, forms ...[]string) schema { return wanting(s, "oneOf", forms) }

// some wants one of some sets of keys or more, beside what s says.
func some(s schema, forms ...[]string) schema { return wanting(s, "anyOf", forms) }

func wanting(s schema, word string, forms [][]string) schema {
	s = maps.Clone(s)
	options := make([]schema, len(forms))
	for i, keys := range forms {
		options[i] = schema{"required": keys}
	}
	s[word] = options
	return s
}

func either(keys ...string) [][]string {
	forms := make([][]string, len(keys))
	for i, key := range keys {
		forms[i] = []string{key}
	}
	return forms
}

func fileKeys() map[string]schema {
	return map[string]schema{
		"version":          described("The format of the file, not a revision.", schema{"const": 1}),
		"include":          array("Further files, relative to this one and below the folder of the first; * is allowed.", schema{"type": "string"}),
		"connection":       str("Makes an included file a fragment: rules, permissionGroups and tests of this connection alone."),
		"vars":             named("Values of ${name} in each environment.", named("", maybe(""))),
		"connections":      connectionsSchema(),
		"roles":            named("Named lists of tasks.", roleSchema()),
		"attributes":       named("Dimensions on which data can be limited.", attributeSchema()),
		"permissionGroups": named("Which rows are visible: AND across attributes, OR across values.", groupSchema()),
		"defaults": object("What happens when nothing else says so.", nil, map[string]schema{
			"noMatch":           enum("No rule that grants matched.", "deny-login", "no-access"),
			"noPermissionGroup": enum("No permission group is granted.", "no-data"),
			"incompleteGroups":  enum("The identity provider left groups out.", "deny-login", "last-known", "proceed"),
		}),
		"rules":       array("A set: order never matters. deny beats restrict beats grant.", ruleSchema()),
		"constraints": array("Roles that nobody may hold together, and how many may hold one.", constraintSchema()),
		"tests":       array("Must pass, or the file is not loaded.", testSchema()),
	}
}

func connectionsSchema() schema {
	ceiling := schema{"oneOf": []schema{
		{"const": "unrestricted"},
		object("", []string{"roles"}, map[string]schema{"roles": defined("names"), "where": defined("where")}),
	}}
	return schema{
		"description": "The connections of the configuration, and the most each can ever give.",
		"oneOf": []schema{
			named("", object("", []string{"ceiling"}, map[string]schema{"ceiling": ceiling})),
			{"type": "array", "items": schema{"type": "string"}, "minItems": 1, "maxItems": 1},
		},
	}
}

func roleSchema() schema {
	return object("", nil, map[string]schema{
		"tasks":        defined("names"),
		"inherits":     defined("names"),
		"privileged":   boolean("Beyond every ceiling, but for roles of scope organization that it lists."),
		"assignableBy": described("Roles whose holders may hand this one out.", defined("names")),
		"scope":        enum("Its holder manages the people of their own organization alone.", "organization"),
	})
}

func attributeSchema() schema {
	return object("", nil, map[string]schema{
		"type":      enum("", "string"),
		"pattern":   str("A regular expression (RE2) that a whole value meets."),
		"source":    maybe("Where the values come from; documentation."),
		"onMissing": enum("What a permission group that does not mention it shows.", "any", "none"),
	})
}

func groupSchema() schema {
	return exactly(object("", nil, map[string]schema{
		"params":       described("Parameters, used as ${name} in where.", defined("values")),
		"where":        defined("where"),
		"unrestricted": {"const": true, "description": "Every row. Granted by name, never by default."},
	}), either("where", "unrestricted")...)
}

func where() schema {
	return schema{"type": "object", "minProperties": 1, "additionalProperties": schema{"oneOf": []schema{
		defined("values"),
		{"const": "*"},
		object("", []string{"prefix"}, map[string]schema{"prefix": str("")}),
		object("", []string{"not"}, map[string]schema{"not": defined("values")}),
	}}}
}

func selectorSchema() schema {
	return exactly(object("A group. One of id, name, regex and scim.", nil, map[string]schema{
		"id":    str("An id that a token asserts; a GUID in any case."),
		"name":  str("A name that a token asserts; * and ? are patterns."),
		"regex": str("A regular expression (RE2) of the whole name; (?P<name>…) feeds a parameter."),
		"scim":  str("A group that was pushed over SCIM."),
		"label": maybe("Documentation; never compared."),
	}), either("id", "name", "regex", "scim")...)
}

func calls() schema {
	return array("", schema{"oneOf": []schema{
		{"type": "string"},
		{"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": named("", schema{"type": "string"})},
	}})
}

func ruleSchema() schema {
	scalar := []string{"string", "number", "boolean"}
	return exactly(object("", []string{"id", "match"}, map[string]schema{
		"id":   str("Unique and stable: audit, tests and traces speak of it."),
		"note": maybe("Documentation."),
		"match": object("Different conditions must all hold; of one list, one value must.", nil, map[string]schema{
			"connection":  str(`The id of a connection, or "*" for every connection.`),
			"groups":      described("", schema{"type": "array", "items": defined("group"), "minItems": 1}),
			"appRoles":    defined("values"),
			"emailDomain": described("Of an address that the identity provider vouches for.", defined("values")),
			"userType":    described("Member or Guest at Entra ID.", defined("values")),
			"claims": described("", schema{"type": "object", "minProperties": 1, "additionalProperties": schema{"oneOf": []schema{
				{"type": scalar}, {"type": "array", "items": schema{"type": scalar}, "minItems": 1},
			}}}),
			"when": described("A condition in CEL over user, claims and groups.", schema{"type": "string", "maxLength": maxWhen}),
		}),
		"valid": some(object("", nil, map[string]schema{"from": moment("The first moment."), "until": moment("The first moment after it.")}),
			either("from", "until")...),
		"grant": some(object("", nil, map[string]schema{"roles": defined("names"), "permissionGroups": defined("calls")}),
			either("roles", "permissionGroups")...),
		"restrict": object("Narrows whatever is granted.", []string{"permissionGroups"}, map[string]schema{
			"permissionGroups": defined("calls"),
		}),
		"deny": some(object("", nil, map[string]schema{
			"login":  {"const": true},
			"reason": maybe("Told to the person."),
			"roles":  defined("names"),
		}), either("login", "roles")...),
	}), either("grant", "restrict", "deny")...)
}

func constraintSchema() schema {
	return exactly(object("", []string{"id"}, map[string]schema{
		"id":          str(""),
		"note":        maybe("Documentation."),
		"exclusive":   described("Roles of which nobody may hold two.", schema{"type": "array", "items": schema{"type": "string"}, "minItems": 2}),
		"role":        str("A role that only so many may hold."),
		"maxUsers":    described("", schema{"type": "integer", "minimum": 1}),
		"onViolation": enum("", "drop-all", "deny-login", "warn"),
	}), []string{"exclusive"}, []string{"role", "maxUsers"})
}

func testSchema() schema {
	row := array("", named("", schema{"type": "string"}))
	return some(object("", []string{"name", "given"}, map[string]schema{
		"name": str(""),
		"at":   moment("When; rules that are valid from some time on are not before."),
		"env":  str("The environment; prod if it is not said."),
		"given": object("What is known of the person.", nil, map[string]schema{
			"connection":       str(""),
			"subject":          maybe(""),
			"userName":         maybe(""),
			"email":            maybe("Counts as verified."),
			"emailVerified":    boolean(""),
			"name":             maybe(""),
			"groups":           described("Asserted, and pushed too unless pushed is given.", defined("names")),
			"groupsIncomplete": boolean(""),
			"lastKnownGroups":  defined("names"),
			"appRoles":         defined("names"),
			"userType":         maybe(""),
			"received":         moment("When the identity provider asserted this."),
			"claims":           {"type": "object"},
			"attributes":       {"type": "object"},
			"pushed": array("", object("", nil, map[string]schema{
				"name": maybe(""), "externalId": maybe(""),
			})),
		}),
		"expect": object("", nil, map[string]schema{
			"login":            enum("", "allow", "deny"),
			"roles":            defined("names"),
			"permissionGroups": defined("names"),
			"because":          described("Every rule that matches.", defined("names")),
			"violations":       defined("names"),
		}),
		"because": described("Every rule that matches.", defined("names")),
		"can":     described("Rows that are visible.", row),
		"cannot":  described("Rows that are not.", row),
	}), either("expect", "because", "can", "cannot")...)
}
