package trace

import (
	"encoding/json"
	"time"
)

type recordJSON struct {
	Reference  string        `json:"reference"`
	Start      string        `json:"start,omitempty"`
	Connection string        `json:"connection"`
	Protocol   string        `json:"protocol"`
	Started    time.Time     `json:"started"`
	Finished   time.Time     `json:"finished"`
	Address    string        `json:"address,omitempty"`
	Outcome    Outcome       `json:"outcome"`
	Reason     string        `json:"reason,omitempty"`
	Cause      string        `json:"cause,omitempty"`
	Person     string        `json:"person,omitempty"`
	Demand     string        `json:"demand,omitempty"`
	Key        string        `json:"key,omitempty"`
	SkewMillis *int64        `json:"skewMilliseconds,omitempty"`
	Checks     []checkJSON   `json:"checks"`
	Claims     []fieldJSON   `json:"claims"`
	Facts      []fieldJSON   `json:"facts"`
	Decision   *decisionJSON `json:"decision,omitempty"`
	Notes      []Note        `json:"notes,omitempty"`
}

type checkJSON struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Want string `json:"want"`
	Got  string `json:"got"`
}

type fieldJSON struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
	More   int      `json:"more,omitempty"`
}

type decisionJSON struct {
	Login            bool     `json:"login"`
	Verdict          string   `json:"verdict"`
	Reason           string   `json:"reason,omitempty"`
	Roles            []string `json:"roles"`
	Tasks            []string `json:"tasks"`
	PermissionGroups []string `json:"permissionGroups"`
	Permissions      []string `json:"permissions"`
	Rules            []string `json:"rules"`
	NearMisses       []string `json:"nearMisses,omitempty"`
}

// MarshalJSON gives the record for the database and for scripts; checks,
// claims and facts are never null.
func (r Record) MarshalJSON() ([]byte, error) {
	w := recordJSON{
		Reference: r.Reference, Start: r.Start, Connection: r.Connection, Protocol: r.Protocol,
		Started: r.Started.UTC(), Finished: r.Finished.UTC(), Address: r.Address, Outcome: r.Outcome,
		Reason: r.Reason, Cause: r.Cause, Person: r.Person, Demand: r.Demand, Key: r.Key, Notes: r.Notes,
		Checks: make([]checkJSON, len(r.Checks)), Claims: wire(r.Claims), Facts: wire(r.Facts),
	}
	if r.Measured {
		ms := r.Skew.Milliseconds()
		w.SkewMillis = &ms
	}
	for i, c := range r.Checks {
		w.Checks[i] = checkJSON(c)
	}
	if d := r.Decision; d != nil {
		w.Decision = &decisionJSON{
			d.Login, d.Verdict, d.Reason, listed(d.Roles), listed(d.Tasks), listed(d.PermissionGroups), listed(d.Permissions), listed(d.Rules), d.NearMisses,
		}
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Record) UnmarshalJSON(text []byte) error {
	var w recordJSON
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	*r = Record{
		Reference: w.Reference, Start: w.Start, Connection: w.Connection, Protocol: w.Protocol,
		Started: w.Started, Finished: w.Finished, Address: w.Address, Outcome: w.Outcome,
		Reason: w.Reason, Cause: w.Cause, Person: w.Person, Demand: w.Demand, Key: w.Key, Notes: w.Notes,
		Claims: fields(w.Claims), Facts: fields(w.Facts),
	}
	if w.SkewMillis != nil {
		r.Skew, r.Measured = time.Duration(*w.SkewMillis)*time.Millisecond, true
	}
	for _, c := range w.Checks {
		r.Checks = append(r.Checks, Check(c))
	}
	if w.Decision != nil {
		d := Decision(*w.Decision)
		r.Decision = &d
	}
	return nil
}

func wire(list []Field) []fieldJSON {
	out := make([]fieldJSON, len(list))
	for i, f := range list {
		out[i] = fieldJSON{f.Name, listed(f.Values), f.More}
	}
	return out
}

func fields(list []fieldJSON) (out []Field) {
	for _, f := range list {
		out = append(out, Field(f))
	}
	return out
}

func listed(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
