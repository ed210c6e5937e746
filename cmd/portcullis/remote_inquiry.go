package main

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/admin"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
)

// farRuling is the mapping that a gate elsewhere answers by.
type farRuling struct {
	Revision int64
	Hash     string
	Since    time.Time
	Way, By  string
	File     string
}

// source names it as it is named here; past is whether it was asked for a time.
func (r *farRuling) source(file string, past bool) *source {
	switch {
	case file != "":
		return &source{file: file, hash: r.Hash}
	case !past:
		return &source{file: r.File, hash: r.Hash}
	default:
		return &source{hash: r.Hash, revision: r.Revision, since: r.Since, way: revision.Way(r.Way), by: printable(r.By)}
	}
}

// farFile is a file of a mapping that is sent whole.
type farFile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// whole reads a mapping file with what it includes. The gate is not told
// where it is.
func whole(file string) ([]farFile, error) {
	texts, err := mappingText(file, "")
	out := make([]farFile, len(texts))
	for i, t := range texts {
		out[i] = farFile{t.Name, string(t.Body)}
	}
	if len(out) > 0 {
		out[0].Name = filepath.Base(file)
	}
	return out, err
}

// farFaults is the mistakes in files that were sent.
type farFaults struct {
	Faults []struct {
		File             string
		Line, Column     int
		Message, Excerpt string
	}
}

// problems gives them as they are called here; nil if there are none.
func (f *farFaults) problems(file string) error {
	var problems mapping.Problems
	for _, x := range f.Faults {
		name := file
		if x.File != filepath.Base(file) {
			name = filepath.Join(filepath.Dir(file), x.File)
		}
		problems = append(problems, mapping.Problem{File: name, Line: x.Line, Column: x.Column, Message: x.Message, Excerpt: x.Excerpt})
	}
	if problems == nil {
		return nil
	}
	return problems
}

// farInquiry is a question about mapping files that are sent.
type farInquiry struct {
	Old         []farFile       `json:"old,omitempty"`
	New         []farFile       `json:"new,omitempty"`
	Texts       []farFile       `json:"texts,omitempty"`
	Environment string          `json:"environment,omitempty"`
	Facts       json.RawMessage `json:"facts,omitempty"`
	Person      string          `json:"person,omitempty"`
	At          string          `json:"at,omitempty"`
}

// diff holds everybody at the gate against two files; bound says that it is
// those alone whom the caller may see.
func (g *remote) diff(ctx context.Context, old, updated, environment string) (d *mapping.Difference, bound bool, err error) {
	q := farInquiry{Environment: environment}
	if q.Old, err = whole(old); err != nil {
		return nil, false, err
	}
	if q.New, err = whole(updated); err != nil {
		return nil, false, err
	}
	// What is wrong with the old one is told as such: both may have one name.
	if _, err := mappingFile(old, mapping.Options{Environment: environment}); err != nil {
		return nil, false, err
	}
	var answer struct {
		farFaults

		Difference struct {
			People, Touched, Gain, Lose, Admitted, Refused int
			Data                                           int `json:"otherData"`
			Privileged                                     int
			Everything                                     int `json:"unrestricted"`
			Roles                                          []mapping.Shift
			Groups                                         []mapping.Shift `json:"permissionGroups"`
			Caps                                           []capJSON
			Changes                                        []changeJSON
			More                                           int
			Bound                                          bool `json:"ofThoseYouMaySee"`
		}
	}
	if err := g.call(ctx, http.MethodPost, "/mapping/compare", q, &answer); err != nil {
		return nil, false, err
	}
	if err := answer.problems(updated); err != nil {
		return nil, false, err
	}
	x := &answer.Difference
	d = &mapping.Difference{
		People: x.People, Touched: x.Touched, Gain: x.Gain, Lose: x.Lose, Admitted: x.Admitted, Refused: x.Refused, Data: x.Data,
		Privileged: x.Privileged, Everything: x.Everything, Roles: x.Roles, Groups: x.Groups, Caps: capsOf(x.Caps), More: x.More,
	}
	for _, c := range x.Changes {
		d.Changes = append(d.Changes, mapping.Change(c))
	}
	return d, x.Bound, nil
}

func capsOf(caps []capJSON) []mapping.CapUse {
	out := make([]mapping.CapUse, len(caps))
	for i, c := range caps {
		out[i].ID, out[i].Role, out[i].MaxUsers, out[i].People = c.ID, c.Role, c.MaxUsers, c.People
	}
	return out
}

// coverage holds a file against its tests and everybody at the gate; bound says
// that it is those alone whom the caller may see.
func (g *remote) coverage(ctx context.Context, file, environment string) (x mapping.Coverage, bound bool, err error) {
	q := farInquiry{Environment: environment}
	if q.Texts, err = whole(file); err != nil {
		return x, false, err
	}
	var answer struct {
		farFaults

		Coverage struct {
			Untested, Overruled, Ungranted, Unused, Unhit, Unseen []mapping.Place
			People                                                int
			Caps                                                  []capJSON
			Bound                                                 bool `json:"ofThoseYouMaySee"`
		}
	}
	if err := g.call(ctx, http.MethodPost, "/mapping/coverage", q, &answer); err != nil {
		return x, false, err
	}
	if err := answer.problems(file); err != nil {
		return x, false, err
	}
	found := &answer.Coverage
	for _, places := range [][]mapping.Place{found.Untested, found.Overruled, found.Ungranted, found.Unused, found.Unhit, found.Unseen} {
		for i := range places {
			places[i].File = filepath.Join(filepath.Dir(file), places[i].File)
		}
	}
	return mapping.Coverage{
		Untested: found.Untested, Overruled: found.Overruled, Ungranted: found.Ungranted, UnusedGroup: found.Unused,
		People: found.People, Unhit: found.Unhit, Unseen: found.Unseen, Caps: capsOf(found.Caps),
	}, found.Bound, nil
}

// exact is a moment as a gate takes it; nothing for none.
func exact(at moment) string {
	if at.IsZero() {
		return ""
	}
	return at.Format(time.RFC3339Nano)
}

// explained is what somebody may do, and why, in both forms.
type explained struct {
	text        string
	explanation json.RawMessage
	src         *source

	id, state, barred string // of a person
}

// explain has the gate answer a question.
func (g *remote) explain(ctx context.Context, q question, facts []byte, files []string, environment string) (*explained, error) {
	ask, file := farInquiry{Environment: environment, Facts: facts, At: exact(q.at)}, ""
	var err error
	if len(files) > 0 {
		file = files[0]
		if ask.Texts, err = whole(file); err != nil {
			return nil, err
		}
	}
	if q.person != "" {
		p, err := g.find(ctx, q.connection, q.person)
		if err != nil {
			return nil, err
		}
		ask.Person = p.ID
	}
	var answer struct {
		farFaults

		Explanation         json.RawMessage
		Text                string
		Mapping             farRuling
		ID, UserName, State string
		Bar                 string
		Suspended           bool `json:"organizationSuspended"`
		PartSuspended       bool `json:"subOrganizationSuspended"`
	}
	if err := g.call(ctx, http.MethodPost, "/mapping/explain", ask, &answer); err != nil {
		return nil, err
	}
	if err := answer.problems(file); err != nil {
		return nil, err
	}
	out := &explained{
		text: answer.Text, explanation: answer.Explanation, src: answer.Mapping.source(file, !q.at.IsZero()),
		id: answer.ID, state: answer.State, barred: answer.Bar,
	}
	if answer.Bar != "" {
		out.text = explainBarred(answer.UserName, answer.State, answer.Suspended, answer.PartSuspended, answer.Text)
	}
	return out, nil
}

// rowText writes a row as the gate reads it.
func rowText(row map[string]string) (string, error) {
	parts := make([]string, 0, len(row))
	for _, name := range slices.Sorted(maps.Keys(row)) {
		if strings.ContainsAny(name, ",=") || strings.Contains(row[name], ",") || strings.TrimSpace(row[name]) != row[name] {
			return "", usagef("--row: a gate elsewhere takes no commas and no spaces around a value")
		}
		parts = append(parts, name+"="+row[name])
	}
	return strings.Join(parts, ","), nil
}

// who gives everybody at the gate who has what is wanted: by its own mapping,
// or by a file or in another environment if those are named.
func (g *remote) who(ctx context.Context, w admin.Wanted, at moment, files []string, environment string) (found []whoJSON, src *source, asOf time.Time, err error) {
	var body any
	file, method := "", http.MethodGet
	if len(files) > 0 || environment != "" {
		q := farInquiry{Environment: environment}
		if len(files) > 0 {
			file = files[0]
			if q.Texts, err = whole(file); err != nil {
				return nil, nil, asOf, err
			}
		}
		method, body = http.MethodPost, q
	}
	ask := url.Values{"after": {"0"}, "limit": {strconv.Itoa(maxFar)}}
	row, err := rowText(w.Row)
	if err != nil {
		return nil, nil, asOf, err
	}
	for name, value := range map[string]string{"task": w.Task, "role": w.Role, "row": row, "at": exact(at)} {
		if value != "" {
			ask.Set(name, value)
		}
	}
	found = []whoJSON{}
	for hash := ""; ; {
		var some struct {
			farFaults

			At      time.Time
			Mapping farRuling
			People  []struct {
				whoJSON

				Person whoJSON
			}
			Next int64
		}
		err := g.call(ctx, method, "/access?"+ask.Encode(), body, &some)
		if fault.Is(err, fault.Invalid) { // what is wanted is not in the mapping
			err = usagef("%s", fault.Message(err))
		}
		if err == nil {
			err = some.problems(file)
		}
		if err != nil {
			return nil, nil, asOf, err
		}
		if hash == "" {
			hash, src, asOf = some.Mapping.Hash, some.Mapping.source(file, !at.IsZero()), some.At
		}
		if some.Mapping.Hash != hash {
			return nil, nil, asOf, fault.New(fault.Conflict, "another mapping came into force meanwhile: ask again")
		}
		for _, h := range some.People {
			p := h.whoJSON
			p.ID, p.UserName, p.Name, p.Organization, p.Connection = h.Person.ID, h.Person.UserName, h.Person.Name, h.Person.Organization, h.Person.Connection
			found = append(found, p)
		}
		if some.Next == 0 {
			return found, src, asOf, nil
		}
		ask.Set("after", strconv.FormatInt(some.Next, 10))
	}
}
