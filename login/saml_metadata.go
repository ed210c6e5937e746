package login

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/outbound"
	"portcullis/saml"
)

// How often metadata is fetched: what it asks for, within bounds.
const (
	defaultFetch  = time.Hour
	shortestFetch = 5 * time.Minute
	longestFetch  = 24 * time.Hour
	failedFetch   = time.Minute // after one that did not succeed
	fetchAtMost   = time.Second // while there is none, however many people wait
)

// metadataSource keeps what one identity provider says of itself: out of a file, which
// is the administrator's word, or from an address, where some changes wait for
// one. What was good last stays in force. It is safe for concurrent use.
type metadataSource struct {
	connection string
	c          *SAML
	store      Store
	http       *http.Client
	now        func() time.Time
	log        *slog.Logger

	current atomic.Pointer[saml.Metadata]

	mu      sync.Mutex // one reads or fetches at a time
	file    os.FileInfo
	version int64 // of what is in force, in the store
	tried   time.Time
	failed  error
	next    time.Time // when to fetch
}

func newMetadataSource(connection string, s *SAML, c *Config, log *slog.Logger) *metadataSource {
	host := ""
	if u, err := url.Parse(s.MetadataURL); err == nil {
		host = u.Hostname()
	}
	return &metadataSource{
		connection: connection, c: s, store: c.Store, now: c.Now, log: log,
		http: outbound.New(outbound.Config{Host: host, AllowPrivate: s.AllowPrivate, Base: c.HTTP}),
	}
}

// get gives what is in force.
func (s *metadataSource) get(ctx context.Context) (*saml.Metadata, error) {
	if s.c.MetadataFile != "" {
		return s.reread(ctx)
	}
	if len(s.c.Metadata) > 0 {
		return s.given()
	}
	if md := s.current.Load(); md != nil {
		return md, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if md := s.current.Load(); md != nil {
		return md, nil
	}
	if s.failed != nil && s.now().Sub(s.tried) < fetchAtMost {
		return nil, s.failed
	}
	s.tried = s.now()
	// What was good before counts also while the provider is down.
	if err := s.adopt(ctx); err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if s.current.Load() == nil {
		s.failed = s.fetch(ctx)
	}
	if md := s.current.Load(); md != nil {
		return md, nil
	}
	return nil, s.failed
}

// given reads the document that the administrator gave, once.
func (s *metadataSource) given() (*saml.Metadata, error) {
	if md := s.current.Load(); md != nil {
		return md, nil
	}
	md, err := s.read(s.c.Metadata, time.Time{})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the metadata of the identity provider cannot be read")
	}
	s.current.Store(md)
	return md, nil
}

// reread gives the file's metadata, reading it if it has changed.
func (s *metadataSource) reread(ctx context.Context) (*saml.Metadata, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(s.c.MetadataFile)
	if err == nil && s.file != nil && os.SameFile(info, s.file) && info.ModTime().Equal(s.file.ModTime()) && info.Size() == s.file.Size() {
		return s.current.Load(), s.failed
	}
	var md *saml.Metadata
	if err == nil {
		md, err = readMetadataFile(s.c)
	}
	s.file, s.failed = info, nil
	if err == nil {
		s.current.Store(md)
		s.log.InfoContext(ctx, "metadata read", "entity_id", md.IDP.EntityID)
		return md, nil
	}
	if md = s.current.Load(); md != nil {
		s.log.WarnContext(ctx, "metadata file cannot be used, the last good one stays in force", "error", err.Error())
		return md, nil
	}
	s.failed = fault.Wrap(fault.Unavailable, err, "the metadata of the identity provider cannot be read")
	return nil, s.failed
}

func readMetadataFile(c *SAML) (*saml.Metadata, error) {
	data, err := os.ReadFile(c.MetadataFile)
	if err != nil {
		return nil, err
	}
	return saml.ReadMetadata(data, saml.MetadataOptions{EntityID: c.Provider, Signers: c.Signers})
}

// run fetches on a period, and hears of what others put in force.
func (s *metadataSource) run(ctx context.Context) {
	defer s.http.CloseIdleConnections()
	if s.c.MetadataURL == "" || s.store == nil {
		return
	}
	tick := time.NewTicker(s.c.Poll)
	defer tick.Stop()
	for {
		s.mu.Lock()
		if err := s.adopt(ctx); err != nil && !fault.Is(err, fault.NotFound) && ctx.Err() == nil {
			s.log.WarnContext(ctx, "stored metadata not read", "error", err.Error())
		}
		if !s.now().Before(s.next) {
			if err := s.fetch(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "metadata not fetched, the last good one stays in force", "error", err.Error())
			}
		}
		s.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// adopt puts in force what the store holds, if it is of the same address. The
// caller holds the lock.
func (s *metadataSource) adopt(ctx context.Context) error {
	row, err := s.store.Metadata(ctx, s.connection)
	if err != nil || row.Source != s.c.MetadataURL || row.Version == s.version && s.current.Load() != nil {
		return err
	}
	return s.enforce(row)
}

func (s *metadataSource) enforce(row Metadata) error {
	md, err := s.read(row.Accepted, time.Time{})
	if err != nil {
		return err
	}
	s.current.Store(md)
	s.version = row.Version
	return nil
}

func (s *metadataSource) read(doc []byte, now time.Time) (*saml.Metadata, error) {
	return saml.ReadMetadata(doc, saml.MetadataOptions{EntityID: s.c.Provider, Signers: s.c.Signers, Now: now})
}

// download gets the document from its address.
func (s *metadataSource) download(ctx context.Context) ([]byte, *saml.Metadata, error) {
	accept := http.Header{"Accept": {"application/samlmetadata+xml, application/xml, text/xml, */*;q=0.1"}}
	doc, _, err := outbound.Get(ctx, s.http, s.c.MetadataURL, accept)
	if err != nil {
		return nil, nil, outbound.Classify(err, "metadata")
	}
	md, err := s.read(doc, s.now())
	if err != nil {
		return nil, nil, outbound.Refuse(err, "its metadata: "+fault.Message(err))
	}
	return doc, md, nil
}

// fetch asks the provider and decides what becomes of the answer. The caller
// holds the lock.
func (s *metadataSource) fetch(ctx context.Context) error {
	s.next = s.now().Add(failedFetch)
	doc, md, err := s.download(ctx)
	if err != nil {
		return err
	}
	row, err := s.store.Metadata(ctx, s.connection)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	after, events, held := s.consider(row, doc, md)
	if !same(after, row) {
		err = s.store.SaveMetadata(ctx, after, events...)
		if fault.Is(err, fault.Conflict) { // another replica was first
			return s.adopt(ctx)
		}
		if err != nil {
			return err
		}
		after.Version++
	}
	if held {
		s.log.WarnContext(ctx, "metadata of an identity provider waits for approval", "entity_id", md.IDP.EntityID)
	}
	period := md.CacheDuration
	if period == 0 {
		period = defaultFetch
	}
	s.next = s.now().Add(min(max(period, shortestFetch), longestFetch))
	return s.enforce(after)
}

func same(a, b Metadata) bool {
	return a.Source == b.Source && bytes.Equal(a.Accepted, b.Accepted) && bytes.Equal(a.Pending, b.Pending)
}

// consider says what becomes of a document: it is in force, or it waits. held
// says that it began to wait.
func (s *metadataSource) consider(row Metadata, doc []byte, md *saml.Metadata) (after Metadata, events []audit.Event, held bool) {
	now := s.now().UTC()
	event := func(action audit.Action, changes []saml.Change) {
		events = append(events, audit.Event{
			At: now, Action: action, Actor: audit.Gate(), Connection: s.connection, Subject: md.IDP.EntityID, Detail: describeChanges(changes),
		})
	}
	after = row
	after.Connection, after.Source = s.connection, s.c.MetadataURL
	accept := func() { after.Accepted, after.AcceptedAt, after.Pending, after.PendingAt = doc, now, nil, time.Time{} }
	old, err := s.read(row.Accepted, time.Time{})
	if len(row.Accepted) == 0 || row.Source != s.c.MetadataURL || err != nil { // the administrator chose the address
		accept()
		event(audit.MetadataAccepted, nil)
		return after, events, false
	}
	changes := saml.DiffMetadata(&old.IDP, &md.IDP)
	waits := false
	for _, c := range changes {
		waits = waits || c.NeedsApproval
	}
	switch {
	case len(changes) == 0:
		accept() // other dates, at most
	case !waits:
		accept()
		event(audit.MetadataAccepted, changes)
	default:
		if pending, err := s.read(row.Pending, time.Time{}); err == nil && len(saml.DiffMetadata(&pending.IDP, &md.IDP)) == 0 {
			return row, nil, false
		}
		after.Pending, after.PendingAt = doc, now
		event(audit.MetadataHeld, changes)
		return after, events, true
	}
	return after, events, false
}

func describeChanges(changes []saml.Change) map[string]string {
	detail := make(map[string]string, len(changes))
	for i, c := range changes {
		detail[strconv.Itoa(i+1)+" "+c.What] = fmt.Sprintf("%q to %q", c.Old, c.New)
	}
	return detail
}

// ApproveMetadata puts in force what waits for it. It fails with
// fault.NotFound when nothing does.
func ApproveMetadata(ctx context.Context, s Store, connection string, by audit.Actor, now time.Time) error {
	m, err := s.Metadata(ctx, connection)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err != nil || len(m.Pending) == 0 {
		return fault.Wrap(fault.NotFound, errors.Join(err, errors.New("nothing pending")), "no metadata of %q waits for approval", connection)
	}
	now = now.UTC()
	m.Accepted, m.AcceptedAt, m.Pending, m.PendingAt = m.Pending, now, nil, time.Time{}
	return s.SaveMetadata(ctx, m, audit.Event{At: now, Action: audit.MetadataApproved, Actor: by, Connection: connection})
}

// ReviewMetadata reads what is in force out of m, and how what waits differs
// from it; nothing where nothing waits.
func ReviewMetadata(m Metadata, c *SAML) (*saml.Metadata, []saml.Change, error) {
	o := saml.MetadataOptions{EntityID: c.Provider, Signers: c.Signers}
	now, err := saml.ReadMetadata(m.Accepted, o)
	if err != nil || len(m.Pending) == 0 {
		return now, nil, err
	}
	next, err := saml.ReadMetadata(m.Pending, o)
	if err != nil {
		return now, nil, err
	}
	return now, saml.DiffMetadata(&now.IDP, &next.IDP), nil
}
