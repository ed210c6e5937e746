package admin

import (
	"fmt"
	"time"
)

// spanJSON counts the attempts to sign in within some time.
type spanJSON struct {
	Began  time.Time `json:"began"`
	In     int       `json:"signedIn"`
	Failed int       `json:"failed"`
}

// What the chart of sign-ins shows.
const (
	chartSpan  = 6 * time.Hour
	chartSpans = 28 // a week
)

// chart is a picture of sign-ins, in the units of its view box.
type chart struct {
	Bars    []bar
	Days    []chartDay
	Most    int
	Summary string // for whoever does not see it
	In      int
	Failed  int
}

// bar is one span: those who came in below, those who did not above.
type bar struct {
	X, InY, InHeight, FailedY, FailedHeight float64
	Title                                   string
}

type chartDay struct {
	X    float64
	Text string
}

const (
	chartWidth  = 700.0
	chartHeight = 100.0
	barGap      = 3.0
)

// BarWidth is that of each bar.
func (*chart) BarWidth() float64 { return chartWidth/chartSpans - barGap }

// draw makes the picture of a week of spans.
func draw(spans []spanJSON) *chart {
	c := &chart{}
	for _, s := range spans {
		c.Most, c.In, c.Failed = max(c.Most, s.In+s.Failed), c.In+s.In, c.Failed+s.Failed
	}
	c.Summary = fmt.Sprintf("Sign-ins of the last 7 days: %d came in, %d did not.", c.In, c.Failed)
	scale := chartHeight / float64(max(c.Most, 1))
	for i, s := range spans {
		x, in, failed := float64(i)*chartWidth/chartSpans, float64(s.In)*scale, float64(s.Failed)*scale
		c.Bars = append(c.Bars, bar{
			X: x, InY: chartHeight - in, InHeight: in, FailedY: chartHeight - in - failed, FailedHeight: failed,
			Title: fmt.Sprintf("%s UTC: %d came in, %d did not", s.Began.Format("2006-01-02 15:04"), s.In, s.Failed),
		})
		if s.Began.Hour() == 0 {
			c.Days = append(c.Days, chartDay{x, s.Began.Format("Mon 2 Jan")})
		}
	}
	return c
}

// week counts the attempts of a week by spans, also those without any.
func (c *Console) week(r *request, q SignInQuery) ([]spanJSON, error) {
	since := c.now().Truncate(chartSpan).Add(-(chartSpans - 1) * chartSpan)
	found, err := c.store.SignInSpans(r.ctx, q, since, chartSpan)
	if err != nil {
		return nil, err
	}
	out := make([]spanJSON, chartSpans)
	for i := range out {
		out[i].Began = since.Add(time.Duration(i) * chartSpan)
	}
	for _, s := range found {
		if i := int(s.Began.Sub(since) / chartSpan); i >= 0 && i < len(out) {
			out[i].In, out[i].Failed = s.In, s.Failed
		}
	}
	return out, nil
}
