package admin_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/directory"
	"portcullis/store"
	"portcullis/store/storetest"
)

// The fragment of a client is in the trail of its own auditors. How many people
// of all clients a change of it touched is not for them.
func TestATrailTellsAClientOfNobodyElse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		ben, all := w.signIn("acme", "ben", "Admins"), w.signIn("staff", "ada", "gate.audit.view")
		err := w.db.Directory().Update(t.Context(), func(tx directory.Tx) error {
			return tx.Audit(audit.Event{
				At: w.now, Action: audit.MappingProposed, Actor: root, Connection: "acme", Subject: "mapping revision 9",
				Detail: map[string]string{"needs_approval": "every change needs an approval; it changes the access of 3 of 777 people, more than 0 %"},
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		at := "/audit/" + strconv.FormatInt(w.events(admin.EventQuery{Action: string(audit.MappingProposed), Limit: 1})[0].Seq, 10)
		for who, s := range map[string]*somebody{"the client's": ben, "everybody's": all} {
			for _, path := range []string{admin.APIPrefix + "/audit", admin.APIPrefix + "/audit.csv", admin.APIPrefix + at} {
				res := s.send(http.MethodGet, path, nil, nil)
				told := strings.Contains(res.text, "3 of 777 people")
				if res.StatusCode != http.StatusOK || !strings.Contains(res.text, "more than 0 %") || told != (s == all) {
					t.Errorf("%s for %s auditor: status = %d, tells the numbers: %v\n%s", path, who, res.StatusCode, told, res.text)
				}
			}
			contains(t, at, s.page(at), "more than 0 %")
		}
	})
}

// Of two connections with one id the records are of the one that is in force:
// they are nothing to the organization of the other.
func TestRecordsAreNotOfWhomTheConfigurationShadows(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.ways.list = append(w.ways.list, admin.Connection{ID: "beta", Organization: "Acme", Made: true, Shadowed: true})
	w.signIn("beta", "eve")
	w.recorded("REF", "beta", "eve", "signed_in")
	ben := w.signIn("acme", "ben", "Admins")
	for _, at := range []string{"/sign-ins", "/sign-ins.csv", "/traces", "/audit", "/provisioning"} {
		if res := ben.send(http.MethodGet, admin.APIPrefix+at, nil, nil); res.StatusCode != http.StatusOK || strings.Contains(res.text, "Name of eve") || strings.Contains(res.text, `"beta"`) || strings.Contains(res.text, ",beta,") {
			t.Errorf("%s: status = %d\n%s", at, res.StatusCode, res.text)
		}
	}
}
