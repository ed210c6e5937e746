package proxy

import (
	"errors"
	"io"
	"slices"
	"testing"
)

// pieces is a body that arrives in pieces of these sizes.
type pieces struct {
	sizes []int
	err   error // comes with the last piece
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.sizes) == 0 {
		return 0, p.err
	}
	n := min(p.sizes[0], len(b))
	if p.sizes[0] -= n; p.sizes[0] == 0 {
		p.sizes = p.sizes[1:]
	}
	return n, nil
}

type sizes []int

func (s *sizes) Write(b []byte) (int, error) {
	*s = append(*s, len(b))
	return len(b), nil
}

// The beginning of a body goes with what follows, everything else as it comes;
// what came before a fault is passed on before it.
func TestBodiesGoInFewPieces(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		in    pieces
		first int
		want  []int
	}{
		{pieces{[]int{3900, 60000, 500, 700}, io.EOF}, held, []int{63900, 500, 700}},
		{pieces{[]int{100, 100}, io.EOF}, held, []int{200}},
		{pieces{[]int{100, 100}, broken}, held, []int{200}},
		{pieces{[]int{100, 100}, io.EOF}, 0, []int{100, 100}},
		{pieces{[]int{65536, 1}, io.EOF}, held, []int{65536, 1}},
		{pieces{nil, io.EOF}, held, nil},
	} {
		var got sizes
		err := pump(&got, &tc.in, make([]byte, 64<<10), tc.first)
		if !slices.Equal(got, tc.want) || (tc.in.err == broken) != errors.Is(err, broken) { //nolint:errorlint // which one the test set
			t.Errorf("pieces = %v, %v; want %v", got, err, tc.want)
		}
	}
}
