package directory_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
)

func TestFreezeKeepsOneOrganizationOutAndSaysHowMany(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a, b := r.enter(says("ada")), r.enter(says("ben"))
		beta := says("cleo")
		beta.Connection, beta.Email, beta.UserName = "beta", "cleo@beta.example", "cleo"
		c := r.enter(beta)
		one, two, other := r.session(a), r.session(b), r.session(c)
		r.session(r.enter(says("ada")))
		ended := -1
		freeze := func() {
			t.Helper()
			var err error
			ended, err = r.Freeze(t.Context(), operator, "Alpha", "unpaid")
			r.must(err)
		}
		got := r.during(nil, freeze)
		if want := []audit.Action{audit.ClientFrozen}; ended != 3 || !cmp.Equal(want, got.Actions) {
			t.Errorf("Freeze ended %d sessions and wrote %v, want 3 and %v", ended, got.Actions, want)
		}
		last := r.events()[len(r.events())-1]
		if last.Reason != "unpaid" || last.Subject != "Alpha" || last.Detail["sessions_ended"] != "3" {
			t.Errorf("event = %+v", last)
		}
		for _, s := range [][]byte{one, two} {
			if alive, _ := r.alive(s); alive {
				t.Error("a session of the organization goes on")
			}
		}
		if alive, _ := r.alive(other); !alive {
			t.Error("a session of another organization ended")
		}
		if got := r.during(nil, freeze); ended != 0 || len(got.Actions) > 0 {
			t.Errorf("a second Freeze ended %d and wrote %v, want nothing", ended, got.Actions)
		}
		r.refused(says("ada"), fault.Forbidden, "access for Alpha is frozen")

		list, err := r.Organizations(t.Context())
		r.must(err)
		want := []directory.Client{
			{
				Organization: directory.Organization{Name: "Alpha", Disabled: true}, People: 2, Connections: []string{"alpha", "strict"},
				Frozen: &directory.Bar{At: r.now, By: "op", Reason: "unpaid"},
			},
			{Organization: directory.Organization{Name: "Beta"}, People: 1, Connections: []string{"beta"}},
		}
		if diff := cmp.Diff(want, list); diff != "" {
			t.Errorf("Organizations (-want +got):\n%s", diff)
		}

		r.now = r.now.Add(time.Second)
		r.must(r.Unfreeze(t.Context(), operator, "Alpha", "paid"))
		if alive, _ := r.alive(one); alive {
			t.Error("a session came back")
		}
		r.enter(says("ada"))
		if got := r.during(nil, func() { r.must(r.Unfreeze(t.Context(), operator, "Alpha", "")) }); len(got.Actions) > 0 {
			t.Errorf("a second Unfreeze wrote %v", got.Actions)
		}
		for name, err := range map[string]error{
			"Freeze":   second(r.Freeze(t.Context(), operator, "Nobody", "")),
			"Unfreeze": r.Unfreeze(t.Context(), operator, "Nobody", ""),
		} {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s of nobody = %v, want not found", name, err)
			}
		}
	})
}
