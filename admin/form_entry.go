package admin

import (
	"net/url"
	"reflect"
	"strconv"
	"strings"
)

func attributeOf(e map[string]any, form url.Values) map[string]any {
	out := cloned(e)
	putText(out, "pattern", form.Get("pattern"))
	putText(out, "source", form.Get("source"))
	putText(out, "onMissing", form.Get("onMissing"))
	return out
}

func connectionOf(e map[string]any, form url.Values) map[string]any {
	out := cloned(e)
	if form.Get("unrestricted") == "yes" {
		out["ceiling"] = unrestricted
		return out
	}
	ceiling := cloned(child(e, "ceiling"))
	putTicked(ceiling, "roles", form["roles"])
	if ceiling["roles"] == nil {
		ceiling["roles"] = []any{} // nothing at all, which has to be said
	}
	put(ceiling, "where", limitsOf(child(ceiling, "where"), form))
	out["ceiling"] = ceiling
	return out
}

func constraintOf(e map[string]any, form url.Values) map[string]any {
	out := cloned(e)
	putLongText(out, "note", form.Get("note"))
	putText(out, "onViolation", form.Get("onViolation"))
	if form.Get("sort") != "cap" {
		delete(out, "role")
		delete(out, "maxUsers")
		putTicked(out, "exclusive", form["exclusive"])
		return out
	}
	delete(out, "exclusive")
	putText(out, "role", form.Get("role"))
	most := written(form.Get("maxUsers"))
	if n, err := strconv.Atoi(most); err == nil {
		put(out, "maxUsers", float64(n))
	} else {
		put(out, "maxUsers", most) // which the check explains
	}
	return out
}

func variableOf(e map[string]any, form url.Values) map[string]any {
	out := make(map[string]any)
	values := form["stands"]
	for i, environment := range form["environment"] {
		if environment = strings.TrimSpace(environment); environment == "" || i >= len(values) {
			continue
		}
		old, there := e[environment]
		if there && alikeFields(text(e, environment), values[i], true) {
			out[environment] = old
		} else {
			out[environment] = written(values[i])
		}
	}
	return out
}

func testFrom(e map[string]any, form url.Values) map[string]any {
	out, given := cloned(e), cloned(child(e, "given"))
	putText(out, "at", form.Get("at"))
	putText(out, "env", form.Get("env"))
	if form.Has("connection") { // not in the file of one connection
		put(given, "connection", form.Get("connection"))
	}
	for _, x := range testTexts() {
		putText(given, x[0], form.Get("given-"+x[0]))
	}
	if verified, said := given["emailVerified"].(bool); (said && !verified) != (form.Get("unverified") == "yes") {
		delete(given, "emailVerified")
		if form.Get("unverified") == "yes" {
			given["emailVerified"] = false
		}
	}
	putRows(given, "groups", form.Get("asserted"))
	putRows(given, "appRoles", form.Get("appRoles"))
	putBool(given, "groupsIncomplete", form.Get("incomplete") == "yes")
	putExact(given, "lastKnownGroups", form.Get("knowsLast") == "yes", form.Get("last"))
	putPushed(given, form)
	putPairs(given, "claims", form.Get("claims"), false)
	putPairs(given, "attributes", form.Get("attributes"), false)
	out["given"] = given
	expect := cloned(child(e, "expect"))
	putText(expect, "login", form.Get("login"))
	for _, x := range testLists() {
		to := expect
		if _, beside := e[x[0]]; beside && x[0] == "because" {
			to = out
		}
		putExact(to, x[0], form.Get("expects-"+x[0]) == "yes", form.Get("expected-"+x[0]))
	}
	if len(expect) > 0 || len(child(e, "expect")) > 0 {
		put(out, "expect", expect)
	}
	for _, key := range []string{"can", "cannot"} {
		if sent := form.Get(key); !alikeFields(rowsInWords(e[key]), sent, false) {
			put(out, key, rowsOf(sent))
		}
	}
	return out
}

// putExact sets a list that means something when it is empty, too.
func putExact(m map[string]any, key string, on bool, sent string) {
	_, there := m[key]
	switch {
	case !on:
		delete(m, key)
	case !there || !alikeFields(lines(words(m[key])), sent, false):
		m[key] = rows(sent)
	}
}

func putPushed(given map[string]any, form url.Values) {
	if form.Get("pushes") != "yes" {
		delete(given, "pushed")
		return
	}
	old, own := pushedIn(given)
	names, ids := form["pushed"], form["pushedID"]
	var now []pushed
	list := []any{}
	for i, name := range names {
		if i >= len(ids) {
			break
		}
		p := pushed{written(name), written(ids[i])}
		if p == (pushed{}) {
			continue
		}
		now = append(now, p)
		group := make(map[string]any)
		put(group, "name", p.Name)
		put(group, "externalId", p.ExternalID)
		list = append(list, group)
	}
	for i := range old {
		old[i] = pushed{written(old[i].Name), written(old[i].ExternalID)}
	}
	if !own || !reflect.DeepEqual(old, now) {
		given["pushed"] = list
	}
}

// rowsOf reads what rowsInWords writes.
func rowsOf(sent string) []any {
	out := []any{}
	for row := range strings.Lines(sent) {
		if row = strings.TrimSpace(row); row != "" {
			out = append(out, unassigned(row))
		}
	}
	return out
}
