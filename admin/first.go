package admin

import (
	"context"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
)

// fragmentFolder is where files of connections go, where the mapping does not
// say it yet.
const fragmentFolder = "connections/*.yaml"

// first makes d the first file of a connection of its own, in the place that
// the mapping includes such files from. Where there is none yet, it becomes
// the change that makes one, and note says so.
func (c *Console) first(d *draft, of string) (note string, err error) {
	policy := c.keeper.Policy()
	switch {
	case !c.keeper.Status().Managed:
		return "", fault.New(fault.Forbidden, "the mapping is kept elsewhere: make the file there")
	case policy == nil || d.fresh:
		return "", fault.New(fault.Conflict, "no mapping is in force yet: the whole of it comes first")
	case slices.ContainsFunc(d.base.Texts, func(t revision.Text) bool { return t.Connection == of }):
		return "", fault.New(fault.Conflict, "the connection %s has a file of its own already", clip(of))
	case !slices.Contains(policy.Connections(), of):
		return "", fault.New(fault.NotFound, "the mapping has no connection %s: add it, with its ceiling, first", clip(of))
	}
	if name := placeFor(policy, d.base.Texts, of); name != "" {
		text, err := mapping.Edit(name, []byte("connection: \"\"\nrules: []\ntests: []\n"), mapping.Set(mapping.Path("connection"), of))
		if err != nil {
			return "", said(err)
		}
		d.file, d.text = revision.Text{Name: name, Connection: of}, string(text)
		return "This is the first file of " + of + " alone: what stands in it is checked, approved and rolled back for that connection, and touches nobody else.", nil
	}
	text, err := mapping.Edit(d.file.Name, []byte(d.text), mapping.Add(mapping.Path("include"), fragmentFolder))
	if err != nil {
		return "", said(err)
	}
	d.text = string(text)
	return "The mapping includes no files of connections yet. This line lets it; as soon as it is in force, " + of + " can have its own.", nil
}

// placeFor finds the name of a connection's first file among the patterns
// that the mapping includes.
func placeFor(policy *mapping.Policy, texts []revision.Text, of string) string {
	for _, t := range texts {
		m, err := mapping.Read(t.Name, t.Body)
		if err != nil || t.Connection != "" {
			continue
		}
		for _, pattern := range words(m["include"]) {
			folder := path.Dir(filepath.ToSlash(t.Name))
			name := path.Join(folder, strings.Replace(pattern, "*", of, 1))
			taken := slices.ContainsFunc(texts, func(t revision.Text) bool { return filepath.ToSlash(t.Name) == name })
			if strings.Contains(pattern, "*") && !strings.ContainsAny(name, "*?[") && !taken && policy.Includes(name) {
				return name
			}
		}
	}
	return ""
}

// opened is the draft that somebody begins with: a file of the mapping, or
// the first one of a connection.
func (c *Console) opened(ctx context.Context, name, of string) (d *draft, note string, err error) {
	if d, err = c.draft(ctx, name); err == nil && of != "" {
		note, err = c.first(d, of)
	}
	return d, note, err
}

// sentDraft is the draft that a form or a script is about, before its text.
func (c *Console) sentDraft(r *request) (*draft, error) {
	of := r.form.Get("firstOf")
	if of == "" {
		return c.draft(r.ctx, r.form.Get("file"))
	}
	d, note, err := c.opened(r.ctx, "", of)
	if err == nil && d.first() == "" {
		err = fault.New(fault.Conflict, "%s", note)
	}
	return d, err
}

// first gives the connection whose first file the draft is.
func (d *draft) first() string {
	if d.file.Connection != "" && d.file.Body == nil {
		return d.file.Connection
	}
	return ""
}

// homeless lists the connections of the mapping that have no file of their own.
func (c *Console) homeless() (out []string) {
	p := c.keeper.Policy()
	if p == nil || !c.keeper.Status().Managed {
		return nil
	}
	for _, id := range p.Connections() {
		if !slices.ContainsFunc(p.Fragments(), func(f mapping.Fragment) bool { return f.Connection == id }) {
			out = append(out, id)
		}
	}
	return out
}
