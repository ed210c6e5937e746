package proxy

import (
	"net/http"
	"time"
)

// observed tells Config.Observe how long the portal takes to begin its
// answers.
type observed struct {
	http.RoundTripper

	tell func(status int, took time.Duration)
}

// RoundTrip asks the portal.
func (o observed) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now() //nolint:forbidigo // a duration, whatever the gate takes for now
	res, err := o.RoundTripper.RoundTrip(r)
	took := time.Since(began)
	if err != nil {
		o.tell(0, took)
		return nil, err
	}
	o.tell(res.StatusCode, took)
	return res, nil
}

// watched is a transport under observation, if anybody observes.
func watched(t http.RoundTripper, tell func(int, time.Duration), via func(http.RoundTripper) http.RoundTripper) http.RoundTripper {
	if via != nil {
		t = via(t)
	}
	if tell == nil {
		return t
	}
	return observed{t, tell}
}
