package session

import (
	"slices"
	"strings"
	"time"
)

// Leeway is how far the clocks of the gate and an identity provider may be
// apart, either way.
const Leeway = time.Minute

// Demand is what a route asks of a sign-in beyond that there was one. The
// zero value asks for nothing.
type Demand struct {
	ACR    []string      // one of these authentication context classes; empty for any
	MaxAge time.Duration // how long ago somebody may have proved who they are; 0 for any time
}

// IsZero reports whether nothing is asked for.
func (d Demand) IsZero() bool { return len(d.ACR) == 0 && d.MaxAge == 0 }

// Unmet says, in words for the person, what a sign-in lacks: acr and authTime
// are what the identity provider vouched for, and empty where it said nothing.
// acr may be several classes with spaces between them. It gives "" when the
// demand is met. What is not known is not met.
func (d Demand) Unmet(acr string, authTime, now time.Time) string {
	switch {
	case len(d.ACR) > 0 && acr == "":
		return "your identity provider does not say how you signed in there"
	case len(d.ACR) > 0 && !slices.ContainsFunc(strings.Fields(acr), func(one string) bool { return slices.Contains(d.ACR, one) }):
		return "you signed in with less than this page asks for"
	case d.MaxAge > 0 && authTime.IsZero():
		return "your identity provider does not say when you signed in there"
	case d.MaxAge > 0 && now.Sub(authTime) > d.MaxAge+Leeway:
		return "you signed in at your identity provider longer ago than this page allows"
	default:
		return ""
	}
}

// String gives the demand for a trace.
func (d Demand) String() string {
	var parts []string
	if len(d.ACR) > 0 {
		parts = append(parts, "acr "+strings.Join(d.ACR, " or "))
	}
	if d.MaxAge > 0 {
		parts = append(parts, "signed in at most "+d.MaxAge.String()+" ago")
	}
	return strings.Join(parts, ", ")
}

// Unmet says what the sign-in of the principal lacks, see [Demand.Unmet].
func (p *Principal) Unmet(d Demand, now time.Time) string { return d.Unmet(p.ACR, p.AuthTime, now) }
