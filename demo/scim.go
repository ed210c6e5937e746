package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// SCIMConfig says where a provider pushes its directory.
type SCIMConfig struct {
	BaseURL string       // the "Tenant URL", as in http://127.0.0.1:8080/scim/v2/alpha; empty pushes nothing
	Token   string       // bearer token
	HTTP    *http.Client // defaults to one with a timeout of 10 s
}

const (
	shownBody = 1500 // bytes of a body that the log keeps
	shownLog  = 40   // exchanges that the log keeps

	userSchema       = "urn:ietf:params:scim:schemas:core:2.0:User"
	enterpriseSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	groupSchema      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	patchSchema      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// exchange is one request to the gate and its answer, for people to watch.
type exchange struct {
	At       time.Time
	Method   string
	Path     string // under the base URL, unescaped
	Status   int    // 0 when there was no answer
	Took     time.Duration
	Request  string
	Response string
}

// Fine reports whether the gate did what was asked.
func (e exchange) Fine() bool { return e.Status/100 == 2 }

// scimClient speaks SCIM 2.0 the way Microsoft Entra ID does: capitalized
// operations, booleans as text, members one at a time.
type scimClient struct {
	c   SCIMConfig
	now func() time.Time

	mu  sync.Mutex
	log []exchange // newest first
}

// statusError is an answer that is not a success.
type statusError struct {
	Method, Path string
	Status       int
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s: the gate answered %d %s", e.Method, e.Path, e.Status, http.StatusText(e.Status))
}

// isStatus reports whether the gate answered with a status.
func isStatus(err error, status int) bool {
	var s *statusError
	return errors.As(err, &s) && s.Status == status
}

// patchOp is one operation as Entra writes it.
type patchOp struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

type member struct {
	Ref   *string `json:"$ref"` // Entra sends null
	Value string  `json:"value"`
}

type resource struct {
	ID     string `json:"id"`
	Active *bool  `json:"active"`
}

func (s *scimClient) findUser(ctx context.Context, userName string) (resource, error) {
	return s.find(ctx, "/Users", "userName", userName)
}

func (s *scimClient) findGroup(ctx context.Context, name string) (resource, error) {
	return s.find(ctx, "/Groups", "displayName", name)
}

// find asks for the one resource with a value; the zero resource means none.
func (s *scimClient) find(ctx context.Context, path, attribute, value string) (resource, error) {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value)
	q := url.Values{"filter": {attribute + ` eq "` + quoted + `"`}}
	if path == "/Groups" {
		q.Set("excludedAttributes", "members")
	}
	var list struct {
		Resources []resource `json:"Resources"`
	}
	err := s.do(ctx, http.MethodGet, path+"?"+strings.ReplaceAll(q.Encode(), "+", "%20"), nil, &list)
	if err != nil || len(list.Resources) == 0 {
		return resource{}, err
	}
	return list.Resources[0], nil
}

func (s *scimClient) createUser(ctx context.Context, subject, company string, p Person) (string, error) {
	given, family, _ := strings.Cut(p.Name, " ")
	var made resource
	err := s.do(ctx, http.MethodPost, "/Users", map[string]any{
		"schemas": []string{userSchema, enterpriseSchema}, "externalId": subject, "userName": p.Email,
		"active": true, "displayName": p.Name, "title": p.Title,
		"name":           map[string]string{"formatted": p.Name, "givenName": given, "familyName": family},
		"emails":         []map[string]any{{"primary": true, "type": "work", "value": p.Email}},
		"meta":           map[string]string{"resourceType": "User"},
		enterpriseSchema: map[string]string{"organization": company},
	}, &made)
	return made.ID, err
}

// setActive sends the boolean as text, as Entra does without
// aadOptscim062020.
func (s *scimClient) setActive(ctx context.Context, id string, active bool) error {
	value := "False"
	if active {
		value = "True"
	}
	return s.patch(ctx, "/Users/"+url.PathEscape(id), patchOp{Op: "Replace", Path: "active", Value: value})
}

func (s *scimClient) deleteUser(ctx context.Context, id string) error {
	return s.do(ctx, http.MethodDelete, "/Users/"+url.PathEscape(id), nil, nil)
}

func (s *scimClient) createGroup(ctx context.Context, externalID, name string) (string, error) {
	var made resource
	err := s.do(ctx, http.MethodPost, "/Groups", map[string]any{
		"schemas": []string{groupSchema}, "externalId": externalID, "displayName": name,
		"meta": map[string]string{"resourceType": "Group"},
	}, &made)
	return made.ID, err
}

func (s *scimClient) renameGroup(ctx context.Context, id, name string) error {
	return s.patch(ctx, "/Groups/"+url.PathEscape(id), patchOp{Op: "Replace", Path: "displayName", Value: name})
}

func (s *scimClient) addMember(ctx context.Context, group, user string) error {
	return s.patch(ctx, "/Groups/"+url.PathEscape(group), patchOp{Op: "Add", Path: "members", Value: []member{{Value: user}}})
}

func (s *scimClient) removeMember(ctx context.Context, group, user string) error {
	return s.patch(ctx, "/Groups/"+url.PathEscape(group), patchOp{Op: "Remove", Path: "members", Value: []member{{Value: user}}})
}

func (s *scimClient) patch(ctx context.Context, path string, ops ...patchOp) error {
	return s.do(ctx, http.MethodPatch, path, map[string]any{"schemas": []string{patchSchema}, "Operations": ops}, nil)
}

// do sends one request, logs it without its token, and reads the answer into
// out unless that is nil.
func (s *scimClient) do(ctx context.Context, method, path string, in, out any) error {
	if s.c.BaseURL == "" {
		return errors.New("this directory has no SCIM base URL, so nothing is pushed")
	}
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(s.c.BaseURL, "/")+path, bytes.NewReader(body)) //nolint:gosec // the base URL is configuration, ids are escaped
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.c.Token)
	req.Header.Set("Accept", "application/scim+json")
	if in != nil {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	start := s.now()
	e := exchange{At: start, Method: method, Path: path, Request: shown(body)}
	if readable, err := url.PathUnescape(path); err == nil {
		e.Path = readable
	}
	var answer []byte
	res, err := s.c.HTTP.Do(req) //nolint:gosec // see above
	if err == nil {
		e.Status = res.StatusCode
		answer, err = io.ReadAll(io.LimitReader(res.Body, 1<<20))
		err = errors.Join(err, res.Body.Close())
	}
	e.Took, e.Response = s.now().Sub(start), shown(answer)
	if err != nil {
		e.Response = err.Error()
	}
	s.keep(e)
	if err != nil {
		return fmt.Errorf("the gate does not answer: %w", err)
	}
	if !e.Fine() {
		return &statusError{Method: method, Path: path, Status: e.Status}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

func (s *scimClient) keep(e exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = slices.Insert(s.log, 0, e)
	s.log = s.log[:min(len(s.log), shownLog)]
}

// exchanges gives the log, newest first.
func (s *scimClient) exchanges() []exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// shown makes a body readable, and cuts what is long.
func shown(body []byte) string {
	var b bytes.Buffer
	text := string(body)
	if json.Indent(&b, body, "", "  ") == nil {
		text = b.String()
	}
	if len(text) <= shownBody {
		return text
	}
	cut := shownBody
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + " …"
}
