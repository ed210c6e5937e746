package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// twoClients is a whole mapping in which two connections have a file each.
func (d *desk) twoClients() {
	d.t.Helper()
	config, err := os.ReadFile(d.path("portcullis.yaml"))
	if err != nil {
		d.t.Fatal(err)
	}
	d.write("portcullis.yaml", string(config)+`  - {id: beta, oidc: {issuer: "http://127.0.0.1:2", client_id: portcullis, client_secret_file: secret}}
`)
	if err := os.Mkdir(d.path("clients"), 0o700); err != nil {
		d.t.Fatal(err)
	}
	d.write("mapping.yaml", `version: 1
include: [clients/*.yaml]
connections:
  alpha: {ceiling: unrestricted}
  beta: {ceiling: {roles: [viewer]}}
roles: {viewer: {tasks: [view]}, admin: {tasks: [lock], privileged: true}}
`)
	for _, c := range []string{"alpha", "beta"} {
		d.client(c, "Readers", "viewer")
	}
}

// client writes the file of a connection.
func (d *desk) client(connection, group, role string) {
	d.t.Helper()
	d.write("clients/"+connection+".yaml", fmt.Sprintf(`connection: %s
rules: [{id: readers, match: {groups: [{name: %s}]}, grant: {roles: [%s]}}]
tests: [{name: others, given: {groups: [Others]}, expect: {login: deny}}]
`, connection, group, role))
}

func (d *desk) history(args ...string) (list []historyJSON) {
	d.t.Helper()
	out, _ := d.as("cleo", 0, append([]string{"history", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		d.t.Fatal(err)
	}
	return list
}

// first takes the hash out of an answer about a fragment.
func first(t *testing.T, out string) string {
	t.Helper()
	return hash(t, strings.Split(out, ", fragment of")[0])
}

func TestOneClientsFileIsBroughtAlone(t *testing.T) {
	d := newDesk(t, "{managed: database, approval: {when: [privileged]}}")
	d.twoClients()
	_, errs := d.as("ada", 1, "propose", "--fragment", "beta", d.path("clients/beta.yaml"), "--reason", "r")
	wants(t, "propose over nothing", errs, "nothing is in force yet")
	out, errs := d.as("ada", 0, "propose", d.path("mapping.yaml"), "--reason", "the first one")
	wants(t, "the first one", errs, "needs an approval: new: ceiling of connection alpha", "new: role admin: privileged")
	d.as("ben", 0, "approve", hash(t, out))
	d.as("ada", 0, "apply", hash(t, out))

	// What is not privileged needs nobody else.
	d.client("beta", "Staff", "viewer")
	out, _ = d.as("ada", 0, "apply", "--fragment", "beta", d.path("clients/beta.yaml"), "--reason", "their list")
	wants(t, "apply", out, "in force: revision ", ", fragment of beta")

	// What is needs somebody, and another client's change does not overtake it.
	d.client("alpha", "Chiefs", "admin")
	_, errs = d.as("ada", 1, "apply", "--fragment", "alpha", d.path("clients/alpha.yaml"))
	wants(t, "apply what is privileged", errs, "needs the approval of a second person", "rule readers of connection alpha grants privileged role admin")
	out, errs = d.as("ada", 0, "propose", "--fragment", "alpha", d.path("clients/alpha.yaml"), "--reason", "chiefs")
	wants(t, "propose", out, ", fragment of alpha")
	wants(t, "propose", errs, "needs an approval: changed: rule readers of connection alpha")
	chiefs := first(t, out)
	d.as("ben", 0, "approve", chiefs)
	d.client("beta", "Everybody", "viewer")
	d.as("cleo", 0, "apply", "--fragment", "beta", d.path("clients/beta.yaml"), "--reason", "more of them")
	_, errs = d.as("ada", 2, "apply", "--fragment", "beta", chiefs)
	wants(t, "apply a fragment of another", errs, "is no fragment of connection beta")
	out, _ = d.as("ada", 0, "apply", chiefs)
	wants(t, "apply what was approved", out, ", fragment of alpha")

	// One client goes back, and the other stays.
	d.as("ada", 0, "rollback", "--fragment", "beta", "--reason", "wrong list")
	list := d.history("--fragment", "beta")
	var said []string
	for _, w := range list {
		said = append(said, w.What+" "+w.State+" "+w.By+" "+w.Reason)
		if w.TestsRan != 1 || w.Counts == nil || len(w.Hash) != 64 {
			t.Errorf("line of the history = %+v, want its test, counts and hash", w)
		}
	}
	want := "rollback in force ada wrong list\napply past cleo more of them\napply past ada their list\napply past ada the first one"
	if got := strings.Join(said, "\n"); got != want {
		t.Errorf("history of beta:\n%s\nwant:\n%s", got, want)
	}
	if list[0].Hash != list[2].Hash {
		t.Errorf("the rollback is to %.12s, want %.12s", list[0].Hash, list[2].Hash)
	}
	if list := d.history("--fragment", "alpha"); len(list) != 2 || list[0].Hash != chiefs || list[0].State != "in force" {
		t.Errorf("history of alpha = %+v", list)
	}
	out, _ = d.as("cleo", 0, "history")
	wants(t, "history of all", out, "FRAGMENT", "beta", "alpha", "wrong list")
	out, errs = d.as("cleo", 0, "show", chiefs)
	wants(t, "show", out, "connection: alpha", "Chiefs")
	wants(t, "show", errs, "fragment of alpha", "apply by ada")
	out, _ = d.as("ada", 0, "rollback", "--fragment", "beta", "--json", list[1].Hash)
	wants(t, "rollback as JSON", out, `"fragment": "beta"`, `"what": "rollback"`, `"testsRan": 2`, `"state": "in force"`)
	d.as("cleo", 1, "history", "--fragment", "gamma")
	_, errs = d.as("ada", 1, "rollback", "--fragment", "gamma")
	wants(t, "rollback of nobody", errs, "nothing was in force before")

	// A mistake of one is not in force, and has its place.
	d.write("clients/beta.yaml", "connection: beta\nrules: [{id: a, match: {}, grant: {roles: [veiwer]}}]\n")
	_, errs = d.as("ada", 1, "apply", "--fragment", "beta", d.path("clients/beta.yaml"))
	wants(t, "a mistake", errs, d.path("clients/beta.yaml")+":2:", `did you mean "viewer"`)
}

// TestAFileUnderAGateIsCountedAndTested: what changed for whom is in the
// history of a file as well.
func TestAFileUnderAGateIsCountedAndTested(t *testing.T) {
	d := newDesk(t, "{file: readers.yaml}")
	d.push(5, 0, 1)
	g := d.gate()
	ctx, stop := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { _ = g.keeper.Run(ctx) })
	t.Cleanup(func() { stop(); following.Wait() })
	d.write("readers.yaml", everybody)
	var list []historyJSON
	eventually(t, "both texts are counted", 20*time.Second, func() bool {
		list = d.history()
		return len(list) == 2 && list[0].Counts != nil && list[1].Counts != nil
	})
	if c := *list[0].Counts; c.People != 5 || c.Changed != 3 || c.LetIn != 3 || list[0].TestsRan != 1 || list[0].What != "file" {
		t.Errorf("history = %+v with %+v", list[0], c)
	}
}
