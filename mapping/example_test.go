package mapping_test

import (
	"encoding/json"
	"fmt"
	"time"

	"portcullis/mapping"
)

const exampleFile = `version: 1
connections:
  staff:  {ceiling: unrestricted}
  client: {ceiling: {roles: [viewer], where: {account: [CLI0001]}}}
roles:
  viewer: {tasks: [report.view]}
  author: {inherits: [viewer], tasks: [report.edit]}
attributes:
  account: {type: string, onMissing: none}
permissionGroups:
  all-accounts: {where: {account: "*"}}
rules:
  - id: authors
    match: {connection: staff, groups: [{name: SG-Authors}]}
    grant: {roles: [author], permissionGroups: [all-accounts]}
  - id: clients
    match: {connection: client, groups: [{name: portal-*}]}
    grant: {roles: [author], permissionGroups: [all-accounts]}
`

func ExampleLoad() {
	_, err := mapping.Load("mapping.yaml", []byte("version: 1\nconections: [acme]\nrules: []\n"), mapping.Options{})
	fmt.Println(err)
	// Output:
	// mapping.yaml:2:1: unknown key "conections" in the file; did you mean "connections"?
}

func ExamplePolicy_Evaluate() {
	policy, err := mapping.Load("mapping.yaml", []byte(exampleFile), mapping.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	access := policy.Evaluate(&mapping.Facts{Connection: "client", Groups: []string{"portal-users"}}, time.Time{})
	fmt.Println(access.Login, access.Roles, access.Tasks)
	fmt.Println(access.Permissions.Allows(map[string]string{"account": "CLI0001"}))
	fmt.Println(access.Permissions.Allows(map[string]string{"account": "OTH0001"}))
	// Output:
	// true [viewer] [report.view]
	// true
	// false
}

func ExamplePolicy_Explain() {
	policy, err := mapping.Load("mapping.yaml", []byte(exampleFile), mapping.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	facts, err := mapping.LoadFacts([]byte(`{"connection": "client", "userName": "eve", "groups": ["SG-Authors"]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(policy.Explain(&facts, time.Time{}))
	// Output:
	// eve may not come in through "client": no rule that grants matched, and defaults.noMatch is deny-login
	// they are told: none of your groups gives access
	//
	// rules
	//   no  authors (mapping.yaml:13) grant roles author and permission groups all-accounts
	//       line 14: is for connection "staff", they come through "client"
	//   no  clients (mapping.yaml:16) grant roles author and permission groups all-accounts
	//       line 17: no group of theirs is name "portal-*"
	//
	// near misses
	//   authors (mapping.yaml:14) asserted group "SG-Authors" is what the rule asks for, but on connection "staff"; they come through "client"
	//       it would take a rule for connection "client" that asks for the same group
}

func ExamplePermissions_MarshalJSON() {
	text, err := json.Marshal(mapping.Permissions{AnyOf: []mapping.Where{{
		"account": {Any: true}, "country": {In: []string{"GB", "US"}}, "product": {Prefix: "FI-"},
	}}})
	fmt.Println(string(text), err)
	// Output:
	// {"unrestricted":false,"anyOf":[{"account":"*","country":["GB","US"],"product":{"prefix":"FI-"}}],"allOf":[]} <nil>
}
