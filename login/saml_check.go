package login

import (
	"context"
	"fmt"
	"slices"
	"time"

	"portcullis/fault"
	"portcullis/saml"
)

// check reads the metadata anew, wherever it is, and looks at its keys.
func (f *federated) check(ctx context.Context) []Result {
	md, where, err := f.source.look(ctx)
	r := Result{Connection: f.conn.ID, Name: "metadata", Err: err}
	if err != nil {
		r.Detail = where
		return []Result{r}
	}
	r.Detail = fmt.Sprintf("%s, entity id %s", where, md.IDP.EntityID)
	results, now := []Result{r}, f.now()
	if expired, ok := MetadataExpired(md.ValidUntil, now); ok {
		expired.Connection = f.conn.ID
		results = append(results, expired)
	} else if !md.ValidUntil.IsZero() {
		results = append(results, Result{Connection: f.conn.ID, Name: "metadata", Detail: "metadata's validity", Expires: md.ValidUntil})
	}
	if f.c.Subject == "" && len(f.c.Attributes.Subject) == 0 && len(md.IDP.NameIDFormats) > 0 &&
		!slices.ContainsFunc(md.IDP.NameIDFormats, func(format string) bool { return format != formatTransient }) {
		results = append(results, Result{
			Connection: f.conn.ID, Name: "name id", Warning: true,
			Detail: "the metadata offers transient NameIDs alone, by which nobody is known again: name the attribute that says who somebody is in subject",
		})
	}
	if f.c.AllowSHA1 {
		results = append(results, Result{Connection: f.conn.ID, Name: "signatures", Detail: "SHA-1 is allowed, which can be forged with effort", Warning: true})
	}
	results = append(results, certificateResults(f.conn.ID, md.IDP, now)...)
	if f.grant != nil {
		for _, r := range f.grant.Check(ctx) {
			results = append(results, Result{Connection: f.conn.ID, Name: r.Name, Detail: "for groups: " + r.Detail, Err: r.Err})
		}
	}
	return results
}

// MetadataGrace is how long the keys of metadata are trusted after the end of
// its validity, while there is no newer one: a provider whose publication
// stalls over a holiday does not lock its people out, and a key that it gave up
// is not trusted for ever.
const MetadataGrace = 7 * 24 * time.Hour

// MetadataExpired says what becomes of metadata that was valid until a time,
// as an error once it is not trusted any more; false before it has expired, and
// for the zero time.
func MetadataExpired(until, now time.Time) (Result, bool) {
	end := until.Add(MetadataGrace)
	r := Result{Name: "metadata", Warning: true}
	switch {
	case until.IsZero() || now.Before(until):
		return Result{}, false
	case now.Before(end):
		r.Detail = fmt.Sprintf("it expired on %s, and its keys are trusted until %s", until.Format(time.DateOnly), end.Format(time.DateOnly))
	default:
		r.Detail = fmt.Sprintf("it expired on %s: its keys are not trusted any more", until.Format(time.DateOnly))
		r.Err = fault.New(fault.Unavailable, "the metadata of the identity provider expired on %s", until.Format(time.DateOnly))
	}
	return r, true
}

// certificateResults says of each certificate when it ends. One that has ended
// or is weak is trouble only if no other is good.
func certificateResults(connection string, idp saml.IdentityProvider, now time.Time) (results []Result) {
	states := saml.CertificateStates(idp.Certificates, now)
	good := 0
	for _, s := range states {
		if !s.Expired && !s.Weak {
			good++
		}
	}
	for _, s := range states {
		name := fmt.Sprintf("signing certificate %.12s", s.Fingerprint)
		r := Result{Connection: connection, Name: "certificate", Detail: name}
		switch {
		case s.Weak:
			r.Detail, r.Warning = name+" has a key that is too weak: nothing that it signs is believed", true
		case s.Expired && good > 0:
			r.Detail, r.Warning = name+" is outside its validity; another is good", true
		default:
			r.Expires = s.NotAfter
		}
		results = append(results, r)
	}
	return results
}

// look reads the metadata without putting it in force.
func (s *metadataSource) look(ctx context.Context) (*saml.Metadata, string, error) {
	if s.c.MetadataFile != "" {
		md, err := readMetadataFile(s.c)
		return md, s.c.MetadataFile, err
	}
	_, md, err := s.download(ctx)
	return md, s.c.MetadataURL, err
}
