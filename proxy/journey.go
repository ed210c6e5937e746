package proxy

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"portcullis/session"
	"portcullis/web"
)

// journey is one request on its way through. It is made once and holds all
// that is made for a request, so that little else has to be; it is the
// context of the request, too.
type journey struct {
	web.Visit
	passage
	writer

	in  *http.Request   // as it came, less what only the gate may say
	ctx context.Context // of in, in which the journey is found
	now time.Time       // when it was judged

	proxy     *Proxy
	hasty     bool               // it came beyond a limit: refusing it asks the database for nothing
	who       *session.Principal // nil for nobody
	assertion string             // of who

	body  inbound // of in, if it has one and is forwarded
	out   url.URL // where it goes
	early early
	trace httptrace.ClientTrace
	lines [12]string // what header lines are made of, see line
	used  int
}

type journeyKey struct{}

// Value gives the journey itself, or what is known of its request elsewhere.
func (j *journey) Value(key any) any {
	if key == (journeyKey{}) {
		return j
	}
	return j.Visit.Value(key)
}

// journeyOf gives the journey of a request that has it in its context.
func journeyOf(ctx context.Context) *journey {
	if j, ok := ctx.Value(journeyKey{}).(*journey); ok {
		return j
	}
	return &journey{passage: passage{path: "/", readings: []web.Reading{{Once: "/", Fully: "/"}}}} // impossible: one goes around everything
}

// request is the request with the journey in its context.
func (j *journey) request() *http.Request { return j.in.WithContext(j.ctx) }

// line is the value of a header with one line.
func (j *journey) line(value string) []string {
	if j.used == len(j.lines) {
		return []string{value}
	}
	j.lines[j.used] = value
	j.used++
	return j.lines[j.used-1 : j.used : j.used]
}

// early keeps the informational responses of a portal off a response that has
// begun, or is over.
type early struct {
	mu   sync.Mutex
	over bool
}
